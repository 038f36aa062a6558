"""What the queue and schedule handlers of app.py do: events in, the answer to the event source out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from .bootstrap import Services, get_services
from .domain.errors import Malformed
from .messaging import Unit
from .observability import logger
from .services.batch import Received

BatchAnswer = dict[str, list[dict[str, str]]]


def tick(event: dict[str, Any], context: Any) -> None:
    """The schedule's work, once a minute."""
    del event
    services = get_services()
    services.dispatcher.tick(_deadline(services, context))


def report(event: dict[str, Any], context: Any) -> None:
    """Every quarter of an hour: send the daily report if its time has come."""
    del event, context
    get_services().reports.send_due()


def dispatch(event: dict[str, Any], context: Any) -> BatchAnswer:
    """Carry out units of the dispatch queue. What is no unit stays until the queue gives it up to its dead letters."""
    services = get_services()
    failed: list[str] = []
    for record in event["Records"]:
        try:
            unit = Unit.parse(record["body"])
            logger.debug("unit", unit=unit.kind, mailing_id=unit.mailing_id, shard=unit.shard)
            services.dispatcher.handle(unit, _deadline(services, context))
        except Malformed as error:
            logger.error("poison on the dispatch queue", item=record["messageId"], error=str(error))
            failed.append(record["messageId"])
        except Exception:  # the boundary of one record
            logger.exception("unit failed, seen again later", item=record["messageId"])
            failed.append(record["messageId"])
    return _answer(failed)


def send(event: dict[str, Any], context: Any) -> BatchAnswer:
    """Deliver a batch of the send queue."""
    services = get_services()
    received = [
        Received(
            record["messageId"],
            record["receiptHandle"],
            record["body"],
            int(record["attributes"]["ApproximateReceiveCount"]),
        )
        for record in event["Records"]
    ]
    return _answer(services.delivery.deliver(received, _deadline(services, context)))


def _deadline(services: Services, context: Any) -> datetime:
    return services.clock.now() + timedelta(milliseconds=context.get_remaining_time_in_millis())


def _answer(failed: list[str]) -> BatchAnswer:
    return {"batchItemFailures": [{"itemIdentifier": item} for item in failed]}
