"""The one logger, tracer and set of metrics, and the list of metric names."""

from __future__ import annotations

from aws_lambda_powertools import Logger

SERVICE = "message-service"

# Keys of every record about them: mailing_id, message_id, client_id. Never a phone number, a text or a secret.
logger = Logger(service=SERVICE, utc=True, use_rfc3339=True)
