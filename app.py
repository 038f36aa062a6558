"""Creates the Chalice app, registers the HTTP blueprints and declares every event source."""

from typing import Any

from chalice import Chalice, Cron, Rate
from chalice.app import CloudWatchEvent, SQSEvent

from chalicelib import workers
from chalicelib.config import Settings

settings = Settings.from_environment()

app = Chalice(app_name="message-service")


# Only the API's own function has routes and pages: they take as long to import as everything else.
if settings.function in ("", "api"):
    from chalicelib import admin, api
    from chalicelib.admin.answering import blueprint_of

    for routes in api.ROUTES:
        app.register_blueprint(routes.blueprint())
    for pages in admin.PAGES:
        app.register_blueprint(blueprint_of(pages))


@app.schedule(Rate(1, unit=Rate.MINUTES), name="tick")
def tick(event: CloudWatchEvent) -> None:
    workers.tick(event.to_dict(), event.context)


# A rule knows UTC only, while the report's hour moves with its zone's clocks, by quarters of an hour in some zones.
@app.schedule(Cron("0/15", "*", "*", "*", "?", "*"), name="report")
def report(event: CloudWatchEvent) -> None:
    workers.report(event.to_dict(), event.context)


@app.on_sqs_message(queue=settings.dispatch_queue, name="dispatcher", batch_size=1)
def dispatcher(event: SQSEvent) -> dict[str, list[dict[str, str]]]:
    return workers.dispatch(event.to_dict(), event.context)


# Receipts come one by one and are written many at once, so that a bucket of the ledger is written as seldom as can be.
@app.on_sqs_message(
    queue=settings.receipt_queue, name="receiver", batch_size=1000, maximum_batching_window_in_seconds=5
)
def receiver(event: SQSEvent) -> dict[str, Any]:
    return workers.receive(event.to_dict(), event.context)


# Ten hints, which are for up to a hundred messages.
@app.on_sqs_message(queue=settings.send_queue, name="sender", batch_size=10, maximum_batching_window_in_seconds=1)
def sender(event: SQSEvent) -> dict[str, Any]:
    return workers.send(event.to_dict(), event.context)
