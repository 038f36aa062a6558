"""What each code of a provider means, row by row as the provider's own tables have it.

Only what says of the number that no message will ever reach it is `permanent`: three of those mark a client as
unreachable. What a provider calls permanent because the same message would fail again is no word about the number.
"""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.gateways.declaration_callbacks import ReceiptRule
from chalicelib.gateways.declared import read_declaration
from chalicelib.gateways.declared_receipts import rule_of

# Statuses: smsc.ru/api/http/status_messages/statuses/, as github.com/C0deWiser/laravel-smscenter-mailer
# (src/MessageStatus.php) has them, too. Errors: smscentre.com/api/smpp/errors, the same service in English.
SMSC = [
    ("-3", "", "pending", ""),  # not found
    ("-2", "", "temporary", "not_delivered"),  # stopped
    ("-1", "", "pending", ""),  # waits
    ("0", "", "pending", ""),  # at the operator
    ("1", "0", "delivered", ""),
    ("2", "0", "delivered", ""),  # read
    ("3", "", "temporary", "validity_ended"),
    ("4", "", "delivered", ""),  # a link in it was opened
    ("20", "0", "temporary", "not_delivered"),
    ("20", "1", "permanent", "number_invalid"),  # the subscriber does not exist
    ("20", "6", "temporary", "phone_unreachable"),  # offline
    ("20", "11", "temporary", "not_delivered"),  # no service, a landline or roaming
    ("20", "12", "temporary", "not_delivered"),  # an error in the phone
    ("20", "13", "temporary", "blocked_by_carrier"),  # blocked, mostly for want of money
    ("20", "21", "temporary", "not_delivered"),  # the device does not support it
    ("20", "219", "temporary", "blocked_by_carrier"),  # a new SIM card, for a day
    ("20", "245", "temporary", "not_delivered"),  # no status was got
    ("20", "248", "temporary", "not_delivered"),  # no route
    ("20", "249", "permanent", "number_invalid"),  # the number's format
    ("20", "252", "temporary", "blocked_by_carrier"),  # the number is forbidden
    ("20", "253", "temporary", "taken_for_spam"),
    ("20", "254", "temporary", "not_delivered"),  # the sender is not registered
    ("20", "255", "temporary", "blocked_by_carrier"),  # refused by the operator
    ("22", "", "permanent", "number_invalid"),
    ("23", "", "temporary", "blocked_by_carrier"),
    ("24", "", "temporary", "not_delivered"),  # no money
    ("25", "1", "permanent", "number_invalid"),
    ("25", "6", "temporary", "phone_unreachable"),
]
# developer.vonage.com/en/messaging/sms/guides/delivery-receipts, as several public clients have them, too.
VONAGE = [
    ("delivered", "0", "delivered", ""),
    ("accepted", "0", "pending", ""),
    ("buffered", "0", "pending", ""),
    ("unknown", "1", "pending", ""),
    ("expired", "0", "temporary", "validity_ended"),
    ("failed", "1", "temporary", "not_delivered"),
    ("failed", "2", "temporary", "phone_unreachable"),  # absent, temporarily
    ("failed", "3", "permanent", "number_invalid"),  # “no longer active and should be removed from your database”
    ("failed", "4", "permanent", "blocked_by_carrier"),  # “a permanent error”, barred by the user
    ("failed", "5", "temporary", "not_delivered"),  # portability
    ("rejected", "6", "temporary", "taken_for_spam"),
    ("failed", "7", "temporary", "phone_unreachable"),  # busy
    ("failed", "8", "temporary", "not_delivered"),  # the network
    ("rejected", "9", "temporary", "blocked_by_carrier"),  # they do not want messages of this sender
    ("rejected", "10", "temporary", "not_delivered"),  # the message itself
    ("rejected", "11", "temporary", "not_delivered"),  # no route
    ("failed", "12", "temporary", "not_delivered"),  # no route to the number
    ("failed", "13", "temporary", "blocked_by_carrier"),  # for their age
    ("failed", "14", "temporary", "blocked_by_carrier"),
    ("failed", "15", "temporary", "blocked_by_carrier"),  # they have no money
    ("rejected", "50", "temporary", "blocked_by_carrier"),  # India's rules: the entity, header, content, consent
    ("rejected", "51", "temporary", "blocked_by_carrier"),
    ("rejected", "52", "temporary", "taken_for_spam"),
    ("rejected", "53", "temporary", "blocked_by_carrier"),
    ("rejected", "54", "temporary", "blocked_by_carrier"),
    ("failed", "99", "temporary", "not_delivered"),
]
# infobip.com/docs/developer-resources/api-fundamentals/error-code-reference: `permanent` there is of the message.
INFOBIP = [
    ("1", "NO_ERROR", "pending", ""),
    ("3", "NO_ERROR", "delivered", ""),
    ("4", "EC_ABSENT_SUBSCRIBER", "temporary", "validity_ended"),
    ("2", "NO_ERROR", "temporary", "not_delivered"),
    ("2", "EC_UNKNOWN_SUBSCRIBER", "permanent", "number_invalid"),  # permanent: true
    ("2", "EC_UNIDENTIFIED_SUBSCRIBER", "temporary", "not_delivered"),  # false
    ("2", "EC_ABSENT_SUBSCRIBER_SM", "temporary", "phone_unreachable"),  # false
    ("2", "EC_ABSENT_SUBSCRIBER", "temporary", "phone_unreachable"),  # false
    ("2", "EC_SUBSCRIBER_BUSY_FOR_MT_SMS", "temporary", "phone_unreachable"),  # false
    ("2", "EC_ROAMING_NOT_ALLOWED", "temporary", "blocked_by_carrier"),  # false
    ("2", "EC_ILLEGAL_SUBSCRIBER", "permanent", "blocked_by_carrier"),  # true, the number is on a list
    ("2", "EC_TELESERVICE_NOT_PROVISIONED", "permanent", "number_invalid"),  # true, no SMS
    ("2", "EC_CALL_BARRED", "temporary", "blocked_by_carrier"),  # false, mostly unpaid
    ("2", "EC_SM_DF_MEMORYCAPACITYEXCEEDED", "temporary", "not_delivered"),  # false
    ("2", "EC_SC_BLOCKED_BY_END_USER", "temporary", "blocked_by_carrier"),  # true, but of this sender only
    ("2", "EC_USER_OUT_OF_CREDIT", "temporary", "blocked_by_carrier"),  # false
    ("2", "EC_DEST_ADDRESS_UNABLE_TO_RECEIVE_SMS", "permanent", "number_invalid"),  # true
    ("5", "EC_INVALID_DESTINATION_ADDRESS", "permanent", "number_invalid"),
    ("5", "NO_ERROR", "temporary", "not_delivered"),
]
# Statuses and codes of 400 and more: developers.sinch.com/docs/sms/api-reference/sms/tag/Delivery-reports/. Below:
# developers.sinch.com/docs/sms/smpp/error-codes/, as github.com/sinch/docs (sms-other-cloud-smpp.md) has them, too.
SINCH = [
    ("Queued", "400", "pending", ""),
    ("Dispatched", "401", "pending", ""),
    ("Unknown", "6", "pending", ""),  # no word came, or none that could be read
    ("Delivered", "0", "delivered", ""),
    ("Expired", "406", "temporary", "validity_ended"),
    ("Failed", "1", "permanent", "number_invalid"),  # unknown subscriber
    ("Failed", "2", "temporary", "not_delivered"),  # a fault of number portability
    ("Failed", "5", "temporary", "not_delivered"),  # unidentified
    ("Failed", "9", "temporary", "not_delivered"),  # illegal, or filtered: temporary there
    ("Failed", "10", "permanent", "number_invalid"),  # no valid mobile number
    ("Failed", "11", "permanent", "number_invalid"),  # no SMS
    ("Failed", "13", "temporary", "blocked_by_carrier"),  # barred
    ("Failed", "27", "temporary", "phone_unreachable"),
    ("Failed", "28", "temporary", "phone_unreachable"),
    ("Failed", "29", "temporary", "phone_unreachable"),
    ("Failed", "69", "temporary", "not_delivered"),
    ("Rejected", "300", "temporary", "blocked_by_carrier"),  # screened or blocked
    ("Aborted", "402", "temporary", "not_delivered"),  # unroutable: of the message
    ("Aborted", "403", "temporary", "not_delivered"),  # an error at Sinch
    ("Aborted", "404", "temporary", "not_delivered"),
    ("Aborted", "406", "temporary", "validity_ended"),
    ("Cancelled", "407", "temporary", "not_delivered"),
    ("Aborted", "408", "temporary", "not_delivered"),
    ("Aborted", "412", "temporary", "not_delivered"),  # the account has no such region
    ("Deleted", "0", "temporary", "not_delivered"),  # by the carrier
]
# twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks, and twilio.com/docs/api/errors/CODE.
TWILIO = [
    ("queued", "", "pending", ""),
    ("sending", "", "pending", ""),
    ("sent", "", "pending", ""),
    ("delivered", "", "delivered", ""),
    ("read", "", "delivered", ""),
    ("canceled", "", "temporary", "not_delivered"),
    ("undelivered", "30003", "temporary", "phone_unreachable"),  # off, no service, “temporarily unreachable”
    ("undelivered", "30004", "temporary", "blocked_by_carrier"),
    ("undelivered", "30005", "permanent", "number_invalid"),  # unknown
    ("undelivered", "30006", "permanent", "number_invalid"),  # a landline: “do not retry”
    ("undelivered", "30007", "temporary", "taken_for_spam"),
    ("undelivered", "30008", "temporary", "not_delivered"),
    ("failed", "30036", "temporary", "validity_ended"),
    ("failed", "21610", "temporary", "blocked_by_carrier"),  # they wrote STOP to this sender
    ("failed", "21614", "permanent", "number_invalid"),
]
# docs.jasminsms.com/en/latest/apis/http/: the states of SMPP, at level 2. 1 and 3 speak of the message center, too.
JASMIN = [
    ("ESME_ROK", "", "pending", ""),
    ("ENROUTE", "", "pending", ""),
    ("ACCEPTD", "", "pending", ""),
    ("UNKNOWN", "", "pending", ""),
    ("DELIVRD", "", "delivered", ""),
    ("EXPIRED", "", "temporary", "validity_ended"),
    ("DELETED", "", "temporary", "not_delivered"),
    ("UNDELIV", "", "temporary", "not_delivered"),
    ("REJECTD", "", "temporary", "not_delivered"),
]
TABLES = {
    "smsc": SMSC,
    "vonage": VONAGE,
    "infobip": INFOBIP,
    "sinch": SINCH,
    "twilio": TWILIO,
    "jasmin": JASMIN,
}
ROWS = [(name, *row) for name, rows in TABLES.items() for row in rows]


def at(way: str | None, value: str) -> dict[str, Any]:
    """Content with a value at a way."""
    if way is None:
        return {}
    first, _, rest = way.partition(".")
    return {first: at(rest, value) if rest else value}


@pytest.mark.parametrize(("name", "code", "detail", "word", "reason"), ROWS)
def test_a_code_means_what_its_provider_says(name: str, code: str, detail: str, word: str, reason: str) -> None:
    receiving = read_declaration(name).receipts
    assert receiving is not None
    rule = rule_of(receiving, at(receiving.code, code) | (at(receiving.detail, detail) if detail else {}))
    assert _meaning(rule) == (word, reason)


def _meaning(rule: ReceiptRule | None) -> tuple[str, str]:
    if rule is None:
        return "pending", ""
    return rule.word, rule.reason if rule.word in ("temporary", "permanent") else ""


@pytest.mark.parametrize("name", TABLES)
def test_every_code_of_a_declaration_has_a_row(name: str) -> None:
    receiving = read_declaration(name).receipts
    assert receiving is not None
    codes = {code for rule in receiving.rules for code in rule.code}
    details = {detail.rstrip("*") for rule in receiving.rules for detail in rule.detail}
    assert codes <= {code for code, *_ in TABLES[name]}
    assert details - {detail for _, detail, *_ in TABLES[name]} == UNWRITTEN.get(name, set())


# Codes of sending, which a callback may have as well.
UNWRITTEN = {"twilio": {"21211"}}
