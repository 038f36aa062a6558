"""The account's role for API Gateway's logs: made once, and never taken from others."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.apigateway.exceptions import ApiGatewayException
from moto.apigateway.models import APIGatewayBackend

from infra.account import Account
from infra.api_logs import ROLE, ensure_api_logs

REGION = "eu-west-1"


@pytest.fixture
def account() -> Iterator[Account]:
    """An account in which nothing was ever set."""
    with mock_aws(config={"iam": {"load_aws_managed_policies": True}}):
        session = boto3.Session("test", "test", region_name=REGION)
        yield Account(session, "", REGION, "123456789012")


def _set(account: Account) -> str:
    return str(account.client("apigateway").get_account().get("cloudwatchRoleArn", ""))


def test_an_account_without_a_role_gets_one_that_can_write_logs(account: Account) -> None:
    """Expects only API Gateway to be able to assume it, and only for what AWS's own policy allows."""
    assert ensure_api_logs(account)
    role = account.client("iam").get_role(RoleName=ROLE)["Role"]
    assert _set(account) == role["Arn"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
    (policy,) = account.client("iam").list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"]
    assert policy["PolicyName"] == "AmazonAPIGatewayPushToCloudWatchLogs"


def test_an_existing_role_stays(account: Account) -> None:
    """Expects neither a second deploy nor somebody else's choice to be changed."""
    theirs = "arn:aws:iam::123456789012:role/theirs"
    change = {"op": "replace", "path": "/cloudwatchRoleArn", "value": theirs}
    account.client("apigateway").update_account(patchOperations=[change])
    assert not ensure_api_logs(account)
    assert _set(account) == theirs


def test_a_role_from_another_region_is_reused(account: Account) -> None:
    """Roles are global, but the setting belongs to a region."""
    ensure_api_logs(account)
    other = Account(boto3.Session("test", "test", region_name="eu-north-1"), "", "eu-north-1", "123456789012")
    assert ensure_api_logs(other)
    assert _set(other) == _set(account)


@pytest.mark.parametrize(("refusals", "works"), [(3, True), (99, False)])
def test_a_new_role_is_waited_for(account: Account, refusals: int, works: bool) -> None:
    """Expects API Gateway's refusal of a role that it cannot see yet to be tolerated for a minute, and no longer."""
    waited: list[float] = []
    update = APIGatewayBackend.update_account

    def refuse_at_first(backend: APIGatewayBackend, patch: list[dict[str, str]]) -> object:
        if len(waited) < refusals:
            raise ApiGatewayException("BadRequestException", "The role ARN does not have required permissions")
        return update(backend, patch)

    with mock.patch.object(APIGatewayBackend, "update_account", refuse_at_first):
        if works:
            assert ensure_api_logs(account, waited.append)
            assert len(waited) == refusals
        else:
            with pytest.raises(ClientError, match="required permissions"):
                ensure_api_logs(account, waited.append)
            assert 30 <= sum(waited) <= 90
