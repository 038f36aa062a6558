"""A gateway that tells what became of messages, as the contract of the kind http has it."""

from __future__ import annotations

import json
from typing import Any

from chalicelib.domain.messages import Message
from chalicelib.gateways.base import Callback
from tests.support.simulation import Simulation


def tell(simulation: Simulation, *receipts: dict[str, Any]) -> None:
    """The gateway calls with receipts, as the contract of the kind http has them."""
    secret = simulation.services.receipt_links.secret("default")
    body = json.dumps({"receipts": list(receipts)})
    simulation.services.receipt_gate().take(Callback("default", "", "application/json", body), secret)


def write_back(simulation: Simulation, *replies: Any) -> None:
    """The gateway calls with what people wrote, as the contract of the kind http has it."""
    secret = simulation.services.receipt_links.secret("default")
    body = json.dumps({"replies": list(replies)})
    simulation.services.receipt_gate().take_reply(Callback("default", "", "application/json", body), secret)


def delivered(message: Message, **more: Any) -> dict[str, Any]:
    return {"message_id": message.message_id, "status": "delivered", "phone": message.phone_number} | more


def undelivered(message: Message, **more: Any) -> dict[str, Any]:
    return {"message_id": message.message_id, "status": "undelivered", **more}
