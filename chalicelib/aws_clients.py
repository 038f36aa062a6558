"""Clients of DynamoDB and SQS, with timeouts and retries, and without work that these two do not need.

Requests and answers are JSON already. Still, botocore walks through every value to convert bytes and moments, of which
there are none here. That took a third of the time of delivering a message.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.parsers import JSONParser, ResponseParserFactory
from botocore.serialize import JSONSerializer

from .aws_calls import ShortCalls


def aws_client(name: str, *, patient: bool = True) -> Any:
    """A client of an AWS service that speaks JSON; AWS_ENDPOINT_URL redirects it.

    A client that is not `patient` gives up within two seconds.
    """
    config = Config(
        connect_timeout=2 if patient else 1,
        read_timeout=10 if patient else 1,
        retries={"mode": "standard", "total_max_attempts": 4 if patient else 1},
        max_pool_connections=32,
    )
    return plain_client(name, config)


def plain_client(name: str, config: Config) -> Any:
    """A client of DynamoDB or SQS with these settings."""
    session = botocore.session.get_session()
    session.register_component("response_parser_factory", _PlainParsers())
    client = session.create_client(name, config=config.merge(Config(parameter_validation=False)))
    client._serializer = _PlainSerializer()
    ShortCalls(client)
    return client


class _PlainSerializer(JSONSerializer):  # type: ignore[misc]
    """Sends parameters as they are. Bytes, which JSON does not have, raise TypeError."""

    def _serialize(self, serialized: dict[str, Any], value: dict[str, Any], shape: Any, key: str | None = None) -> None:
        del shape, key
        serialized.update(value)


class _PlainParser(JSONParser):  # type: ignore[misc]
    """Takes answers as they are. Moments, which only descriptions contain, stay numbers."""

    def _parse_shape(self, shape: Any, node: Any) -> Any:
        del shape
        return node

    def _parse_body_as_json(self, body_contents: bytes) -> Any:
        try:
            return _from_json()(body_contents)
        except ValueError:  # nothing, or no JSON, or half of a surrogate pair
            return super()._parse_body_as_json(body_contents)


def _from_json() -> Any:
    """pydantic's parser, which takes a third of the time, for functions that have it anyway; else that of Python."""
    found = sys.modules.get("pydantic_core")
    return found.from_json if found else json.loads


class _PlainParsers(ResponseParserFactory):  # type: ignore[misc]
    def create_parser(self, protocol_name: str) -> Any:
        return _PlainParser() if protocol_name == "json" else super().create_parser(protocol_name)
