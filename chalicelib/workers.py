"""The work of the queue and schedule handlers in app.py: an event in, the answer to the event source out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from .bootstrap import Services, get_services
from .domain.errors import Malformed
from .domain.heartbeats import Worker
from .observability import invocation, logger
from .queues import BALANCE, TRIAL, Unit
from .services.receiving.received import ReceiptItem
from .services.sending.batch import Received

BatchAnswer = dict[str, list[dict[str, str]]]


def tick(event: dict[str, Any], context: Any) -> None:
    """The schedule's work, once a minute."""
    del event
    with invocation("tick", context.aws_request_id):
        services = get_services()
        services.dispatcher.tick(_deadline(services, context))
        services.sending.expect_workers()
        services.heartbeats.beat(Worker.TICK)  # last: one that fails every time does not work


def report(event: dict[str, Any], context: Any) -> None:
    """Every quarter of an hour: send the daily report if its time has come."""
    del event
    with invocation("report", context.aws_request_id):
        get_services().reports.send_due()


def dispatch(event: dict[str, Any], context: Any) -> BatchAnswer:
    """Carry out units of the dispatch queue. What is not a unit stays until the queue moves it to its dead letters."""
    with invocation("dispatcher", context.aws_request_id):
        services = get_services()
        services.heartbeats.worked(Worker.DISPATCHER)  # first, because it may feed the send queue for minutes
        return _answer(
            [record["messageId"] for record in event["Records"] if not _carried_out(record, services, context)]
        )


def _carried_out(record: dict[str, Any], services: Services, context: Any) -> bool:
    try:
        unit = Unit.parse(record["body"])
        started = services.clock.now()
        services.dispatcher.handle(unit, _deadline(services, context))
        duration = (services.clock.now() - started) // timedelta(milliseconds=1)
        about = {"unit": unit.kind, "mailing_id": unit.mailing_id, "shard": unit.shard}
        logger.debug("unit", extra={**about, "duration_ms": duration})
    except Malformed as error:
        logger.error("unreadable message on the dispatch queue", item=record["messageId"], error=str(error))
        return False
    except Exception:  # the boundary of one record
        logger.exception("dispatch unit failed, will be retried", item=record["messageId"])
        return False
    return True


def send(event: dict[str, Any], context: Any) -> BatchAnswer | dict[str, Any]:
    """Deliver a batch of the send queue, or do what the API's function requests."""
    if BALANCE in event:
        with invocation("sender", context.aws_request_id):
            told = get_services().ask_balance(event[BALANCE])
            return {"amount": told.amount, "currency": told.currency}
    if TRIAL in event:
        with invocation("sender", context.aws_request_id):
            return get_services().tester().send(**event[TRIAL]).stored()
    received = [
        Received(
            record["messageId"],
            record["receiptHandle"],
            record["body"],
            int(record["attributes"]["ApproximateReceiveCount"]),
        )
        for record in event["Records"]
    ]
    with invocation("sender", context.aws_request_id):
        services = get_services()
        failed = services.delivery.deliver(received, _deadline(services, context))
        services.heartbeats.worked(Worker.SENDER)  # last: one that fails every time does not work
        return _answer(failed)


def receive(event: dict[str, Any], context: Any) -> BatchAnswer | dict[str, Any]:
    """Apply a batch of the receipt queue, or handle a call to the function's own address."""
    if "rawPath" in event:
        from .web.callbacks import answer_of_url  # only needed if the receiver has its own address

        with invocation("receiver", context.aws_request_id):
            return answer_of_url(event, get_services())
    items = [
        ReceiptItem(record["messageId"], record["body"], int(record["attributes"]["ApproximateReceiveCount"]))
        for record in event["Records"]
    ]
    with invocation("receiver", context.aws_request_id):
        services = get_services()
        return _answer(services.receiver().receive(items, _deadline(services, context)))


def _deadline(services: Services, context: Any) -> datetime:
    return services.clock.now() + timedelta(milliseconds=context.get_remaining_time_in_millis())


def _answer(failed: list[str]) -> BatchAnswer:
    return {"batchItemFailures": [{"itemIdentifier": item} for item in failed]}
