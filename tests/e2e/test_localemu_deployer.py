"""With IAM enforced by LocalEmu: the deployer signs in as GitLab's job does, and may do that and nothing else."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import botocore.client
import pytest
from botocore.exceptions import ClientError

from chalicelib.aws_calls import ShortCalls
from infra.account import Account
from infra.api_logs import ROLE
from infra.deploy import Options, await_health, deploy, stack_name
from infra.parameters import Parameters
from infra.rollback import rollback
from tests.support.deployer_policy import ACCOUNT, PROVIDER, REGION, TEMPLATE, Permission, needed, statements
from tests.support.localstack_run import LocalStackRun

pytestmark = pytest.mark.localemu
STAGE = "least"
NAME = stack_name(STAGE)
# What a deploy into an emulator asks beside, since its CloudFormation leaves it out (infra/provision.py).
FOR_EMULATORS = {
    f"dynamodb:{name}"
    for name in ("DescribeTimeToLive", "UpdateTimeToLive", "DescribeContinuousBackups", "UpdateContinuousBackups")
}
# What LocalEmu takes for permissions of API Gateway, whose own are the methods of HTTP: GET and PATCH of /account; and
# what has a condition with a key that it does not know, iam:PolicyARN.
MISTAKEN = {"apigateway:GetAccount", "apigateway:UpdateAccount", "iam:AttachRolePolicy"}
# What is allowed and not asked for here, with the reason.
UNRECORDED = {
    ("Stack", "cloudformation:DeleteChangeSet"): "of one that CloudFormation refuses",
    ("Stack", "cloudformation:DeleteStack"): "of a stack that never came to be",
    ("Transform", "cloudformation:CreateChangeSet"): "asked for by CloudFormation itself",
    ("Execution", "iam:PassRole"): "asked for by CloudFormation itself",
    ("Bucket", "s3:PutBucketPolicy"): "on AWS only: an emulator is called without TLS",
    ("ApiLogsRole", "iam:PassRole"): "asked for by API Gateway itself",
}
OUTSIDE: dict[tuple[str, str], dict[str, Any]] = {
    ("dynamodb", "delete_table"): {"TableName": f"{NAME}-ledger"},
    ("dynamodb", "scan"): {"TableName": f"{NAME}-clients"},
    ("dynamodb", "describe_table"): {"TableName": f"{stack_name('test')}-clients"},
    ("secretsmanager", "get_secret_value"): {"SecretId": f"{NAME}/gateway-token"},
    ("lambda", "delete_function"): {"FunctionName": f"{NAME}-sender"},
    ("cloudformation", "delete_stack"): {"StackName": stack_name("test")},
    ("s3", "list_buckets"): {},
    ("s3", "delete_object"): {"Bucket": f"{NAME}-{ACCOUNT}-{REGION}", "Key": "releases.json"},
    ("iam", "create_user"): {"UserName": "me"},
    ("iam", "create_role"): {"RoleName": "mine", "AssumeRolePolicyDocument": "{}"},
}


def _token() -> str:
    """A token like GitLab's, as far as LocalEmu checks it: it compares the issuer, but no signature."""
    parts = ({"alg": "none"}, {"iss": "gitlab.com", "sub": "project_path:group/project:ref_type:branch:ref:main"})
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*texts, "signature"])


@cache
def _roles(run: LocalStackRun) -> dict[str, str]:
    """The roles of the stage, created by an administrator."""
    stacks = run.client("cloudformation")
    given = {"Stage": STAGE, "Project": "group/project", "Provider": PROVIDER}
    stacks.create_stack(
        StackName="deployer",
        TemplateBody=TEMPLATE.read_text(encoding="utf-8"),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    stacks.get_waiter("stack_create_complete").wait(StackName="deployer", WaiterConfig={"Delay": 1})
    more = {"Effect": "Allow", "Action": sorted(FOR_EMULATORS | MISTAKEN), "Resource": "*"}
    run.client("iam").put_role_policy(
        RoleName=f"message-service-deployer-{STAGE}",
        PolicyName="emulators",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [more]}),
    )
    outputs = stacks.describe_stacks(StackName="deployer")["Stacks"][0]["Outputs"]
    return {one["OutputKey"]: one["OutputValue"] for one in outputs}


@cache
def _credentials(run: LocalStackRun) -> dict[str, str]:
    """The credentials that the role gives a job for its token."""
    found = run.client("sts").assume_role_with_web_identity(
        RoleArn=_roles(run)["DeployerRole"], RoleSessionName="job-1", WebIdentityToken=_token()
    )["Credentials"]
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return {key: found[name] for key, name in zip(keys, names, strict=True)}


@contextmanager
def _signed_in(run: LocalStackRun, **environ: str) -> Iterator[set[Permission]]:
    """The environment of a job that is signed in, as its calls need it."""
    used: set[Permission] = set()
    make_call, make_short_call = botocore.client.BaseClient._make_api_call, ShortCalls.call

    def noted(client: Any, operation: str, params: dict[str, Any]) -> Any:
        used.update(needed(client.meta.service_model.service_name, operation, params))
        return make_call(client, operation, params)

    def noted_short(calls: ShortCalls, operation: str, params: dict[str, Any]) -> Any:
        used.update(needed(calls.client.meta.service_model.service_name, operation, params))
        return make_short_call(calls, operation, params)

    mine = {"AWS_ENDPOINT_URL": run.endpoint, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "YES": "1"}
    roles = {"DEPLOY_ROLE_ARN": _roles(run)["ExecutionRole"], "PERMISSIONS_BOUNDARY": _roles(run)["Boundary"]}
    mine |= {**roles, **_credentials(run), **environ}
    with (
        mock.patch.dict(os.environ, mine),
        mock.patch.object(botocore.client.BaseClient, "_make_api_call", noted),
        mock.patch.object(ShortCalls, "call", noted_short),
    ):
        yield used


def _deploy(run: LocalStackRun, **environ: str) -> set[Permission]:
    with _signed_in(run, **environ) as used:
        parameters = Parameters.read(os.environ, STAGE, Path("/nonexistent"))
        options = Options(STAGE, run.package, True, os.environ, parameters)
        deploy(options, Account.from_environment(os.environ))
    return used


def test_the_deployer_may_do_all_that_a_deploy_does_and_nothing_else(run: LocalStackRun) -> None:
    """From a new stage on: deploys, a rollback and a deploy after it; every call is allowed, and every right
    is used."""
    gateway = run.client("apigateway")
    gateway.update_account(patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": ""}])
    with contextlib.suppress(ClientError):  # another stage has made it, so that it is asked for, too
        run.client("iam").create_role(
            RoleName=ROLE, AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}'
        )
    used = _deploy(run, GATEWAY_TOKEN="a-token", ADMIN_PASSWORD="a long enough password")
    used |= _deploy(run, LOG_LEVEL="DEBUG")
    with _signed_in(run) as more:
        url = rollback(STAGE, Account.from_environment(os.environ), lambda question: True)
        await_health(url)  # functions work within their bounds
    used |= more | _deploy(run, LOG_LEVEL="ERROR")
    used = {one for one in used if one[0] not in FOR_EMULATORS}
    policy = statements("Deployer", STAGE)
    assert sorted(one for one in used if not any(statement.allows(one) for statement in policy)) == []
    unused = {
        (statement.sid, action)
        for statement in policy
        for action in statement.actions
        if not any(one[0] == action and statement.allows(one) for one in used)
    }
    assert unused == set(UNRECORDED)


@pytest.mark.parametrize("call", OUTSIDE, ids=".".join)
def test_what_a_deploy_does_not_do_is_refused(run: LocalStackRun, call: tuple[str, str]) -> None:
    """Expects this of other stages, and of data."""
    service, operation = call
    keys = {name.lower(): value for name, value in _credentials(run).items()}
    with pytest.raises(ClientError) as caught:
        getattr(run.client(service, **keys), operation)(**OUTSIDE[call])
    assert "AccessDenied" in caught.value.response["Error"]["Code"]
