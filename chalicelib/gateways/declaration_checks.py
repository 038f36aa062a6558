"""Faults in a declaration whose parts are each valid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..domain.errors import FieldError
from ..domain.faults import Fault
from .answers import first_at, found_at, words_of
from .declared_receipts import rule_of, singles_of
from .placeholders import IN_HEADERS, NAMES, OF_THE_GATEWAY, PLACEHOLDER, strings_in

if TYPE_CHECKING:
    from .declaration import Answering, Asking, BalanceAsking, Condition, Declaration, LookUp, Places, Sample
    from .declaration_callbacks import Receiving, Replying


def faults(declaration: Declaration) -> Iterator[FieldError]:
    """What is wrong, with the path to it in the declaration."""
    yield from _faults_of_request(declaration)
    yield from _faults_of_answer(declaration.answer)
    yield from _faults_of_examples(declaration)
    if declaration.look_up:
        yield from _faults_of_look_up(declaration.look_up)
    if declaration.receipts:
        yield from _faults_of_receipts(declaration, declaration.receipts)
    if declaration.replies:
        yield from _faults_of_replies(declaration.replies)
    if declaration.balance:
        yield from _faults_of_balance(declaration.balance)


def _faults_of_request(declaration: Declaration) -> Iterator[FieldError]:
    auth = declaration.auth
    templates = [*_templates("request", declaration.request)]
    if auth is not None:
        templates += [("auth.value", auth.value), ("auth.username", auth.username)]
        if auth.kind in ("header", "query") and auth.name is None:
            yield FieldError("auth.name", Fault.REQUIRED)
    yield from _faults_of_templates("request", templates, ("phone", "digits"), ("text", "text_ucs2_hex"))
    if declaration.request.form is not None and declaration.request.json_body is not None:
        yield FieldError("request.json", Fault.DECLARATION_TWO_BODIES)
    if declaration.validity.least > declaration.validity.most:
        yield FieldError("validity.least", Fault.MORE_THAN_ALLOWED, {"most": declaration.validity.most})


def _faults_of_templates(
    path: str, templates: Sequence[tuple[str, str]], *needed: tuple[str, ...]
) -> Iterator[FieldError]:
    used: set[str] = set()
    for where, template in templates:
        names = set(PLACEHOLDER.findall(template))
        used |= names
        known = IN_HEADERS if where.startswith((f"{path}.headers", "auth")) else NAMES
        for name in sorted(names - known):
            yield FieldError(where, Fault.DECLARATION_PLACEHOLDER, {"name": name})
    for names_of_one in needed:
        if not used.intersection(names_of_one):
            yield FieldError(path, Fault.DECLARATION_LEAVES_OUT, {"name": f"{{{names_of_one[0]}}}"})


def _templates(path: str, asked: Asking) -> Iterator[tuple[str, str]]:
    trees: dict[str, Any] = {
        "path": asked.path,
        "query": asked.query,
        "headers": asked.headers,
        "form": asked.form,
        "json": asked.json_body,
    }
    for name, tree in trees.items():
        for way, template in strings_in(tree):
            yield ".".join((path, name, *way)), template


def _faults_of_answer(answer: Answering) -> Iterator[FieldError]:
    for place, rule in enumerate(answer.rules):
        path = f"answer.rules.{place}"
        if rule.code and answer.code is None:
            yield FieldError(f"{path}.code", Fault.DECLARATION_NO_CODE)
        if rule.outcome != "accepted":
            continue
        if not (rule.status or rule.code):
            yield FieldError(path, Fault.DECLARATION_ANY_SUCCESS)
        if any(not 200 <= status < 300 for status in rule.status):
            yield FieldError(f"{path}.status", Fault.DECLARATION_NOT_SUCCESS)
        if any(code.endswith("*") and len(code) < 3 for code in rule.code):
            yield FieldError(f"{path}.code", Fault.DECLARATION_ANY_SUCCESS)
    if not any(rule.outcome == "accepted" for rule in answer.rules):
        yield FieldError("answer.rules", Fault.DECLARATION_NO_SUCCESS)


def _faults_of_examples(declaration: Declaration) -> Iterator[FieldError]:
    answer = declaration.answer
    ways = {f"answer.{name}": getattr(answer, name) for name in ("reference", "price", "parts", "words")}
    yield from _faults_of_reading("", answer, answer.rules, declaration.examples, "unknown", ways)
    if not any(example.outcome == "accepted" for example in declaration.examples):
        yield FieldError("examples", Fault.DECLARATION_NO_SUCCESS)


def _faults_of_look_up(look_up: LookUp) -> Iterator[FieldError]:
    path, answer = "look_up.", look_up.answer
    templates = [*_templates("look_up.request", look_up.request)]
    yield from _faults_of_templates("look_up.request", templates, ("message_id", "short_id", "gateway_id"))
    for place, rule in enumerate(answer.rules):
        if rule.code and answer.code is None:
            yield FieldError(f"{path}answer.rules.{place}.code", Fault.DECLARATION_NO_CODE)
        if rule.outcome == "missing" and not (rule.code or rule.empty or rule.status == (404,)):
            yield FieldError(f"{path}answer.rules.{place}", Fault.DECLARATION_ANY_MISSING)
        if rule.outcome == "found" and not (rule.has or rule.code):
            yield FieldError(f"{path}answer.rules.{place}", Fault.DECLARATION_ANY_SUCCESS)
    yield from _faults_of_reading(path, answer, answer.rules, look_up.examples, "unclear", {})


def _faults_of_receipts(declaration: Declaration, receiving: Receiving) -> Iterator[FieldError]:
    used = {
        name for _, template in _templates("request", declaration.request) for name in PLACEHOLDER.findall(template)
    }
    named = {"receipt_url"} if receiving.message_id == "message_id" else {"receipt_url", "message_id", "short_id"}
    if not used & named:
        yield FieldError("request", Fault.DECLARATION_LEAVES_OUT, {"name": "{receipt_url}"})
    if not any(rule.word == "delivered" for rule in receiving.rules):
        yield FieldError("receipts.rules", Fault.DECLARATION_NO_SUCCESS)
    for place, rule in enumerate(receiving.rules):
        if rule.word == "delivered" and any(code.endswith("*") and len(code) < 3 for code in rule.code):
            yield FieldError(f"receipts.rules.{place}.code", Fault.DECLARATION_ANY_SUCCESS)
        if rule.detail and receiving.detail is None:
            yield FieldError("receipts.detail", Fault.REQUIRED)
    ways = {name: getattr(receiving, name) for name in ("code", "detail", "phone", "at", "parts", "price", "currency")}
    seen: set[str] = set()
    for place, example in enumerate(receiving.examples):
        content = example.form if example.form is not None else example.json_body
        singles = singles_of(receiving, content)
        seen |= {name for name, way in ways.items() if way and any(found_at(one, way) for one in singles)}
        words = tuple(found.word if (found := rule_of(receiving, one)) else "pending" for one in singles)
        if words != example.words:
            said = ", ".join(words) or "nothing"
            yield FieldError(f"receipts.examples.{place}", Fault.DECLARATION_EXAMPLE, {"outcome": said})
    for name, way in ways.items():
        if way and name not in seen:
            yield FieldError(f"receipts.{name}", Fault.DECLARATION_POINTS_NOWHERE)


def _faults_of_replies(replying: Replying) -> Iterator[FieldError]:
    ways = {name: getattr(replying, name) for name in ("id", "phone", "text", "to", "at", "message_id")}
    seen: set[str] = set()
    for place, example in enumerate(replying.examples):
        singles = singles_of(replying, example.form if example.form is not None else example.json_body)
        seen |= {name for name, way in ways.items() if way and any(found_at(one, way) for one in singles)}
        texts = tuple(str(first_at(one, replying.text)) for one in singles)
        if texts != example.texts:
            yield FieldError(
                f"replies.examples.{place}", Fault.DECLARATION_EXAMPLE, {"outcome": ", ".join(texts) or "nothing"}
            )
    for name, way in ways.items():
        if way and name not in seen:
            yield FieldError(f"replies.{name}", Fault.DECLARATION_POINTS_NOWHERE)


def _faults_of_balance(balance: BalanceAsking) -> Iterator[FieldError]:
    for where, template in _templates("balance.request", balance.request):
        for name in sorted(set(PLACEHOLDER.findall(template)) - set(OF_THE_GATEWAY)):
            yield FieldError(where, Fault.DECLARATION_PLACEHOLDER, {"name": name})
    for place, example in enumerate(balance.examples):
        read = balance.read(example.body)
        if (read.amount, read.currency) != (example.amount, example.currency):
            said = f"{read.amount} {read.currency}".strip() or "nothing"
            yield FieldError(f"balance.examples.{place}", Fault.DECLARATION_EXAMPLE, {"outcome": said})


def _faults_of_reading(
    path: str,
    answer: Places,
    rules: Sequence[Condition],
    examples: Sequence[Sample],
    otherwise: str,
    ways: dict[str, Any],
) -> Iterator[FieldError]:
    """Faults found by applying the rules to the examples, and paths that lead nowhere in all of them."""
    ways = {**ways, f"{path}answer.code": answer.code}
    ways |= {f"{path}answer.rules.{place}.has": rule.has for place, rule in enumerate(rules)}
    seen: set[str] = set()
    for place, example in enumerate(examples):
        content = example.body if answer.format == "json" else words_of(str(example.body).encode())
        seen |= {name for name, way in ways.items() if way and found_at(content, way)}
        rule, _ = answer.first(rules, example.status, content)
        meant = rule.outcome if rule else otherwise
        if meant != example.outcome:
            yield FieldError(f"{path}examples.{place}", Fault.DECLARATION_EXAMPLE, {"outcome": meant})
    for name, way in ways.items():
        if way and name not in seen:
            yield FieldError(name, Fault.DECLARATION_POINTS_NOWHERE)
