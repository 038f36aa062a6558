"""The AWS account that the service is deployed to, or the emulator that stands in for one."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import boto3
import localstack_client.session
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.environment import keep_loopback_direct, use_given
from infra.package import LAMBDA, architecture, this_machine
from infra.template import Target

_TIMEOUT = 10.0  # seconds
_CONFIG = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 5})


class AccountError(Exception):
    """There is no account to deploy to; the text says why, for a person."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account of the credentials in use, and the region. `endpoint` is the emulator's address, "" on AWS."""

    session: Any
    endpoint: str
    region: str
    account_id: str
    partition: str = "aws"

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Account:
        """The account of the current credentials, or the emulator at AWS_ENDPOINT_URL.

        Raises AccountError without either.

        Missing credentials and region for the emulator are added to `environ`, for later readers.
        """
        endpoint = environ.get("AWS_ENDPOINT_URL", "").strip().rstrip("/")
        session: Any
        if endpoint:
            use_given(environ)
            keep_loopback_direct(environ)
            if environ.get("AWS_SESSION_TOKEN"):  # of a role, whose clients localstack_client makes without its token
                session = boto3.Session(region_name=environ["AWS_REGION"])
            else:
                session = localstack_client.session.Session(
                    environ.get("AWS_ACCESS_KEY_ID", "test"),
                    environ.get("AWS_SECRET_ACCESS_KEY", "test"),
                    region_name=environ["AWS_REGION"],
                )
        else:
            session = boto3.Session()
        region = session.region_name
        if not region:
            raise AccountError("no region is set; set AWS_REGION")
        environ["AWS_DEFAULT_REGION"] = region
        try:
            identity = session.client("sts", config=_CONFIG).get_caller_identity()
        except (BotoCoreError, ClientError) as error:
            raise AccountError(f"{endpoint or 'AWS'} does not say whose credentials these are: {error}") from error
        return cls(session, endpoint, region, identity["Account"], partition=identity["Arn"].split(":")[1])

    @property
    def emulated(self) -> bool:
        return bool(self.endpoint)

    @property
    def imports(self) -> bool:
        """Whether its CloudFormation can import existing resources into a stack; LocalStack's cannot."""
        return not self.emulated or self._is_ministack()

    def client(self, service: str) -> Any:
        """A boto3 client with timeouts and retries."""
        return self.session.client(service, config=_CONFIG)

    def target(self) -> Target:
        """What functions run on: MiniStack starts them with its own Python, LocalStack in Lambda's images."""
        if not self.emulated:
            return LAMBDA
        return this_machine() if self._is_ministack() else Target(LAMBDA.python, architecture())

    def api_url(self, outputs: Mapping[str, str]) -> str:
        """The address of the stack's API, without a slash at the end. Only on AWS the stack's outputs have it."""
        url = outputs["EndpointURL"].rstrip("/")
        if not self.emulated:
            return url
        return f"{self.endpoint}/_aws/execute-api/{outputs['RestAPIId']}/{url.rpartition('/')[2]}"

    def object_url(self, bucket: str, key: str) -> str:
        """The address at which CloudFormation reads an object in S3."""
        if self.emulated:
            return f"{self.endpoint}/{bucket}/{key}"
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return f"https://{bucket}.s3.{self.region}.{suffix}/{key}"

    def _is_ministack(self) -> bool:
        try:
            return requests.get(f"{self.endpoint}/_ministack/health", timeout=_TIMEOUT).ok
        except requests.RequestException:
            return False
