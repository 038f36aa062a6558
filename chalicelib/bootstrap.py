"""Wires the services together, once for each cold start."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from .aws_clients import aws_client
from .clock import Backoff, SystemClock
from .config import Settings
from .domain.client_ids import ClientIds
from .domain.gateway_paces import GatewayPaces
from .domain.gateway_routes import ONLY, ONLY_NAME, GatewayRoutes
from .domain.heartbeats import Worker
from .domain.messages import RetryPolicy
from .gateways import create_gateway
from .gateways.base import Gateway
from .queues import Queue
from .services.at_once import AtOnce
from .services.audiences import Audiences
from .services.audit import AuditService
from .services.clients import ClientService
from .services.contacts import Contacts
from .services.dead_letters import DeadLetters
from .services.dispatching.checks import Checker
from .services.dispatching.closing import Closer
from .services.dispatching.completion import Completion
from .services.dispatching.dispatcher import Dispatcher
from .services.dispatching.expansion import Expander
from .services.dispatching.feeder import Feeder
from .services.dispatching.ledger_walks import Walker
from .services.dispatching.reopening import Reopener
from .services.dispatching.zone_changes import ZoneChanges
from .services.gateway_control import GatewayControlService
from .services.gateways import Gateways, Line
from .services.gauges import GaugeService
from .services.heartbeats import Heartbeats
from .services.history import HistoryService
from .services.imports import ImportService
from .services.mailing_actions import MailingActions
from .services.mailing_changes import MailingChanges
from .services.mailings import MailingService
from .services.messages import MessageService
from .services.overviews import OverviewService
from .services.previews import PreviewService
from .services.readiness import ReadinessService
from .services.receiving.links import ReceiptLinks
from .services.recipients import RecipientFiles
from .services.reports import ReportService
from .services.sending.budgets import Budgets
from .services.sending.calls import Caller
from .services.sending.claims import Claims
from .services.sending.delivery import Delivery
from .services.sending.mailing_cache import MailingCache
from .services.sending.outcomes import Outcomes
from .services.sending.table_pace import TablePace
from .services.sending_states import SendingStateService
from .services.statistics import StatisticsService
from .services.users import UserService
from .storage.activity import ActivityRepository
from .storage.audit import AuditLog
from .storage.call_totals import CallTotalsRepository
from .storage.check_slices import CheckSlices
from .storage.clients import ClientRepository
from .storage.feeding_list import FeedingList
from .storage.gateway_control import GatewayControlRepository
from .storage.heartbeats import HeartbeatRepository
from .storage.import_mappings import ImportMappings
from .storage.import_parts import ImportParts
from .storage.imports import ImportRepository
from .storage.leases import LeaseRepository
from .storage.ledger import Ledger
from .storage.mailings import MailingRepository
from .storage.readiness import TableProbe
from .storage.recipients import RecipientRepository
from .storage.reports import ReportRepository
from .storage.sending_states import SendingStateRepository
from .storage.spending import SpendingRepository
from .storage.tables import Tables, bind
from .storage.users import UserRepository
from .storage.walks import WalkRepository

if TYPE_CHECKING:
    from .domain.balances import Balance
    from .emails.post import Post
    from .services.balances import BalanceService
    from .services.prices import PriceService
    from .services.receiving.gate import ReceiptGate
    from .services.receiving.receiver import Receiver
    from .services.replies import ReplyService
    from .services.saved_segments import SavedSegmentService
    from .services.templates import TemplateService
    from .services.trials import Tester, TrialService
    from .storage.replies import ReplyRepository


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that handlers and routes use."""

    settings: Settings
    clock: SystemClock
    gateway: Gateway
    gateways: Gateways
    users: UserService
    audit: AuditService
    clients: ClientService
    mailings: MailingService
    mailing_actions: MailingActions
    messages: MessageService
    replies: Callable[[], ReplyService]
    templates: Callable[[], TemplateService]
    segments: Callable[[], SavedSegmentService]
    prices: Callable[[], PriceService]
    spending: SpendingRepository
    history: HistoryService
    statistics: StatisticsService
    gauges: GaugeService
    overviews: OverviewService
    previews: PreviewService
    imports: ImportService
    recipients: RecipientFiles
    dead_letters: DeadLetters
    queues: dict[str, Queue]
    gateway_control: GatewayControlService
    heartbeats: Heartbeats
    sending: SendingStateService
    readiness: ReadinessService
    reports: ReportService
    ask_balance: Callable[[str], Balance]
    balances: Callable[[], BalanceService]
    tester: Callable[[], Tester]
    trials: Callable[[], TrialService]
    feeder: Feeder
    dispatcher: Dispatcher
    delivery: Delivery
    receiver: Callable[[], Receiver]  # only the receiver's function needs it; the gate is for the API
    receipt_gate: Callable[[], ReceiptGate]
    receipt_links: ReceiptLinks


def create_post(settings: Settings) -> Post:
    """The way to send e-mails, by MAIL_URL of the settings. Raises ValueError if it is wrong."""
    from .emails import post  # imported here because only reports need it

    return post.create_post(settings.mail_url)


def build(
    settings: Settings,
    *,
    clock: SystemClock | None = None,
    rng: random.Random | None = None,
    gateway: Gateway | None = None,
    several: tuple[Mapping[str, Gateway], GatewayRoutes] | None = None,
    dynamodb: Any = None,
    sqs: Any = None,
    executor: Executor | None = None,
    tables: Tables | None = None,
    client_ids: ClientIds | None = None,
) -> Services:
    """Wire the services. What is not given is the real one. Makes no calls to AWS.

    `gateway` is a single gateway, `several` are gateways by name and their routes.
    """
    clock = clock or SystemClock()
    rng = rng or random.Random()  # noqa: S311 - jitter and ids, no secrets
    backoff = Backoff(clock, rng)
    dynamodb = dynamodb or aws_client("dynamodb")
    tables = tables or bind(settings, dynamodb)
    sqs = sqs or aws_client("sqs")
    clients = ClientRepository(tables=tables, dynamodb=dynamodb, backoff=backoff, rng=rng, ids=client_ids)
    mailings = MailingRepository(tables, dynamodb, backoff)
    retain = timedelta(days=settings.retain_days)
    ledger = Ledger(tables, dynamodb, backoff, retain)
    recipients = RecipientRepository(tables, dynamodb, backoff, clients)
    audiences = Audiences(clients, ledger, recipients)
    contacts = Contacts(clients, recipients)
    calls = CallTotalsRepository(tables, dynamodb)
    activity = ActivityRepository(tables)
    audit = AuditLog(tables, backoff)
    heartbeats = Heartbeats(HeartbeatRepository(tables), clock)
    dispatch_queue = Queue(sqs, settings.dispatch_queue, backoff)
    send_queue = Queue(sqs, settings.send_queue, backoff)
    receipt_queue = Queue(sqs, settings.receipt_queue, backoff)
    dead_letters = Queue(sqs, settings.send_dead_letter_queue, backoff)
    queues = {
        "dispatch": dispatch_queue,
        "dispatch-dead": Queue(sqs, settings.dispatch_dead_letter_queue, backoff),
        "send": send_queue,
        "send-dead": dead_letters,
        "receipts": receipt_queue,
        "receipts-dead": Queue(sqs, settings.receipt_dead_letter_queue, backoff),
    }
    policy = RetryPolicy(settings.max_attempts, settings.retry_base, settings.retry_cap)
    at_once = AtOnce(executor)
    mailing_cache = MailingCache(mailings, at_once, clock)

    def line(name: str, one: Gateway) -> Line:
        repository = GatewayControlRepository(tables, dynamodb, backoff, name)
        paces = GatewayPaces(counts_parts=one.capabilities.counts_parts, name=name)
        control = GatewayControlService(
            repository=repository, threshold=settings.circuit_threshold, clock=clock, rng=rng, paces=paces
        )
        return Line(name, one, control, at_once_of.get(name, 0))

    made, routes = _gateways(settings, gateway, several)
    at_once_of = _concurrencies(settings)
    gateways = Gateways([line(name, one) for name, one in made.items()], routes)
    throttle = gateways.throttle
    links = ReceiptLinks(settings, clients.installation_key)
    feeder = Feeder(
        settings=settings,
        mailings=mailings,
        ledger=ledger,
        leases=LeaseRepository(tables),
        control=throttle,
        dispatch_queue=dispatch_queue,
        send_queue=send_queue,
        feeding_list=FeedingList(tables),
        at_once=at_once,
        clock=clock,
        rng=rng,
    )
    zones = ZoneChanges(
        clients=clients, mailings=mailings, ledger=ledger, feeder=feeder, dispatch_queue=dispatch_queue, clock=clock
    )
    walker = Walker(
        mailings=mailings, walks=WalkRepository(tables), dispatch_queue=dispatch_queue, clock=clock, rng=rng
    )
    imports = ImportService(
        clients=clients,
        imports=ImportRepository(tables, backoff),
        parts=ImportParts(tables),
        mappings=ImportMappings(tables),
        recipients=recipients,
        dispatch=dispatch_queue,
        clock=clock,
        rng=rng,
        default_country=settings.default_country,
    )
    recipient_files = RecipientFiles(imports, recipients, clock)
    reports = ReportService(
        settings=settings,
        reports=ReportRepository(tables),
        mailings=mailings,
        activity=activity,
        post=lambda: create_post(settings),
        clock=clock,
        rng=rng,
        audit=audit,
    )
    messages = MessageService(ledger, mailings, gateways)
    table_pace = TablePace()
    spending = SpendingRepository(tables)
    budgets = Budgets(
        mailings=mailings,
        spending=spending,
        prices=lambda: prices().get(),
        mailing_cache=mailing_cache,
        gateways=gateways,
        clock=clock,
        rng=rng,
    )

    # Their imports are needed for test messages only, so most processes never need them.
    @cache
    def tester() -> Tester:
        from .services.trials import choose_tester

        return choose_tester(settings, gateways, clock)

    def ask_balance(gateway: str) -> Balance:
        from .services.balances import ask_directly, ask_the_sender

        if settings.function in ("", "sender"):
            return ask_directly(gateways, gateway)
        return ask_the_sender(settings, gateway)

    @cache
    def balances() -> BalanceService:
        from .services.balances import BalanceService
        from .storage.balances import BalanceRepository

        return BalanceService(BalanceRepository(tables), ask_balance, clock)

    @cache
    def trials() -> TrialService:
        from .services.trials import TrialService
        from .storage.trials import TrialRepository

        return TrialService(TrialRepository(tables), tester(), clock, audit)

    letters = DeadLetters(
        mailings=mailings,
        ledger=ledger,
        activity=activity,
        dead_letters=dead_letters,
        send_queue=send_queue,
        backoff=backoff,
        audit=audit,
    )

    def reply_repository() -> ReplyRepository:
        from .storage.replies import ReplyRepository

        return ReplyRepository(tables, backoff, retain)

    def replies() -> ReplyService:
        from .services.replies import ReplyService

        return ReplyService(reply_repository(), calls, clock)

    def templates() -> TemplateService:
        from .services.templates import TemplateService
        from .storage.templates import TemplateRepository

        return TemplateService(TemplateRepository(tables, backoff), clock, rng)

    def segments() -> SavedSegmentService:
        from .services.saved_segments import SavedSegmentService
        from .storage.saved_segments import SavedSegmentRepository

        return SavedSegmentService(SavedSegmentRepository(tables, backoff), clock)

    def prices() -> PriceService:
        from .services.prices import PriceService
        from .storage.prices import PriceRepository

        return PriceService(PriceRepository(tables, backoff), clock, gateways.names)

    def receiver() -> Receiver:
        from .services.receiving.numbers import Numbers
        from .services.receiving.reader import Reader
        from .services.receiving.receiver import Receiver
        from .services.receiving.replies import ReplyKeeper

        return Receiver(
            reader=Reader(gateways.by_name, links, clock, _of_topic(settings)),
            numbers=Numbers(clients, backoff),
            replies=ReplyKeeper(replies=reply_repository(), clients=clients, ledger=ledger, totals=calls, clock=clock),
            mailings=mailings,
            ledger=ledger,
            activity=activity,
            calls=calls,
            receipt_queue=receipt_queue,
            dispatch_queue=dispatch_queue,
            clock=clock,
        )

    def receipt_gate() -> ReceiptGate:
        from .services.receiving.gate import ReceiptGate

        return ReceiptGate(gateways.by_name, links, receipt_queue, clock)

    changes = MailingChanges(mailings, dispatch_queue, clock, retain)
    return Services(
        settings=settings,
        clock=clock,
        gateway=gateways.first.gateway,
        gateways=gateways,
        users=UserService(UserRepository(tables, dynamodb, backoff), clock),
        audit=AuditService(audit, clock),
        clients=ClientService(clients, clock, settings.default_country),
        mailings=MailingService(
            mailings=mailings,
            audiences=audiences,
            recipients=recipient_files,
            changes=changes,
            clock=clock,
            rng=rng,
            gateways=gateways,
            retain=retain,
            prices=prices,
        ),
        mailing_actions=MailingActions(mailings, audiences, changes, clock),
        messages=messages,
        replies=cache(replies),
        templates=cache(templates),
        segments=cache(segments),
        prices=cache(prices),
        spending=spending,
        history=HistoryService(mailings, clients, messages, audit),
        statistics=StatisticsService(mailings, links, clock),
        gauges=GaugeService(
            clients=clients,
            mailings=mailings,
            calls=calls,
            gateways=gateways,
            queues=queues,
            heartbeats=heartbeats,
            clock=clock,
        ),
        overviews=OverviewService(
            mailings=mailings, activity=activity, gateways=gateways, queues=queues, heartbeats=heartbeats, clock=clock
        ),
        previews=PreviewService(
            clients=clients,
            audiences=audiences,
            contacts=contacts,
            recipients=recipient_files,
            control=throttle,
            clock=clock,
            prices=lambda: prices().get(),
            shares=gateways.shares,
        ),
        imports=imports,
        recipients=recipient_files,
        dead_letters=letters,
        queues=queues,
        gateway_control=gateways.first.control,
        heartbeats=heartbeats,
        sending=SendingStateService(
            repository=SendingStateRepository(tables, dynamodb, backoff, list(gateways.lines)),
            mailings=mailings,
            heartbeats=heartbeats,
            queues={Worker.SENDER: send_queue, Worker.DISPATCHER: dispatch_queue},
            clock=clock,
        ),
        readiness=_readiness(settings, tables, backoff),
        reports=reports,
        ask_balance=ask_balance,
        balances=balances,
        tester=tester,
        trials=trials,
        feeder=feeder,
        dispatcher=Dispatcher(
            audiences=audiences,
            mailings=mailings,
            expander=Expander(
                settings=settings,
                clients=clients,
                audiences=audiences,
                mailings=mailings,
                ledger=ledger,
                control=throttle,
                send_queue=send_queue,
                at_once=at_once,
                clock=clock,
                rng=rng,
            ),
            feeder=feeder,
            checker=Checker(
                mailings=mailings,
                slices=CheckSlices(tables),
                feeder=feeder,
                zones=zones,
                control=throttle,
                dispatch_queue=dispatch_queue,
                at_once=at_once,
                clock=clock,
            ),
            completion=Completion(
                mailings=mailings,
                ledger=ledger,
                recipients=recipients,
                activity=activity,
                closer=Closer(
                    mailings=mailings,
                    ledger=ledger,
                    activity=activity,
                    claim_lease=timedelta(seconds=settings.claim_lease),
                    clock=clock,
                ),
                walker=walker,
                feeder=feeder,
                gateways=gateways,
                clock=clock,
            ),
            reopener=Reopener(
                mailings=mailings,
                ledger=ledger,
                activity=activity,
                letters=letters,
                walker=walker,
                feeder=feeder,
                clock=clock,
            ),
            control=throttle,
            imports=imports,
            zones=zones,
            dispatch_queue=dispatch_queue,
            launches=AtOnce(executor),  # not those threads in which a launch reads shards
            clock=clock,
        ),
        delivery=Delivery(
            settings=settings,
            claims=Claims(
                settings=settings,
                policy=policy,
                contacts=contacts,
                ledger=ledger,
                mailing_cache=mailing_cache,
                gateways=gateways,
                pace=table_pace,
                budgets=budgets,
                clock=clock,
                rng=rng,
            ),
            outcomes=Outcomes(
                policy=policy,
                mailings=mailings,
                ledger=ledger,
                calls=calls,
                activity=activity,
                mailing_cache=mailing_cache,
                gateways=gateways,
                letters=letters,
                dead_letters=dead_letters,
                dispatch_queue=dispatch_queue,
                budgets=budgets,
                at_once=at_once,
                clock=clock,
                rng=rng,
            ),
            gateways=gateways,
            caller=Caller(
                settings=settings,
                contacts=contacts,
                mailing_cache=mailing_cache,
                gateways=gateways,
                clock=clock,
                executor=executor,
                links=links,
            ),
            pace=table_pace,
            send_queue=send_queue,
            clock=clock,
            rng=rng,
        ),
        receiver=cache(receiver),
        receipt_gate=cache(receipt_gate),
        receipt_links=links,
    )


def _gateways(
    settings: Settings, one: Gateway | None, several: tuple[Mapping[str, Gateway], GatewayRoutes] | None
) -> tuple[Mapping[str, Gateway], GatewayRoutes]:
    """The gateways by name, and their routes, if they are not given."""
    if several:
        return several
    if one or not settings.gateways:
        return {ONLY: one or create_gateway(settings)}, GatewayRoutes()
    from .gateways.several import create_several  # imports Pydantic, which a sender does not need otherwise

    return create_several(settings)


def _concurrencies(settings: Settings) -> Mapping[str, int]:
    """How many calls may be made of each of several gateways at the same time."""
    if not settings.gateways:
        return {}
    from .gateways.several import concurrencies

    return concurrencies(settings)


def _of_topic(settings: Settings) -> str:
    """The gateway with an SNS topic: the first of the kind `eum`, if there are several gateways."""
    if not settings.gateways:
        return ONLY_NAME
    from .gateways.several import SeveralGateways

    told = SeveralGateways.parse(settings.gateways)
    return next((one.name for one in told.gateways if one.kind == "eum"), ONLY_NAME)


def _readiness(settings: Settings, tables: Tables, backoff: Backoff) -> ReadinessService:
    """Readiness with its own clients, which give up early.

    They are made at the first use, because most processes never need them.
    """

    def probe() -> TableProbe:
        return TableProbe(tables, aws_client("dynamodb", patient=False))

    def queues() -> list[Queue]:
        sqs = aws_client("sqs", patient=False)
        return [Queue(sqs, name, backoff) for name in settings.queues]

    return ReadinessService(probe, queues, backoff.clock)


@lru_cache(maxsize=1)
def get_services() -> Services:
    """The services of this process, with the settings from its environment."""
    return build(Settings.from_environment())
