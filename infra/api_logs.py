"""Lets API Gateway write access logs: a role that is set once for an account's region, and shared by all its APIs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.account import Account

ROLE = "message-service-api-gateway-logs"
_POLICY = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"  # pragma: allowlist secret
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
_TRIES, _PAUSE = 12, 5.0  # a new role takes some seconds to be known everywhere


def ensure_api_logs(account: Account, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Give API Gateway a role for logging, if the account has none. Returns whether it was needed.

    The role is not a resource of the stack, because removing one stage would take it from all others. An existing role
    is kept.
    """
    gateway = account.client("apigateway")
    if gateway.get_account().get("cloudwatchRoleArn"):
        return False
    iam = account.client("iam")
    change = {"op": "replace", "path": "/cloudwatchRoleArn", "value": _role(iam)["Arn"]}
    iam.attach_role_policy(RoleName=ROLE, PolicyArn=f"arn:{account.partition}:iam::aws:policy/{_POLICY}")
    for left in reversed(range(_TRIES)):
        try:
            gateway.update_account(patchOperations=[change])
            break
        except ClientError as error:
            if not left or error.response["Error"]["Code"] != "BadRequestException":
                raise
            sleep(_PAUSE)
    return True


def _role(iam: Any) -> Mapping[str, Any]:
    try:
        role: Mapping[str, Any] = iam.create_role(
            RoleName=ROLE,
            AssumeRolePolicyDocument=json.dumps(_TRUST),
            Description="Lets API Gateway write access logs, for all APIs of this account",
        )["Role"]
    except iam.exceptions.EntityAlreadyExistsException:
        role = iam.get_role(RoleName=ROLE)["Role"]
    return role
