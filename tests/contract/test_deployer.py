"""Who deploys: CI signs in without keys, and may do no more than a deploy needs, and only to what its stage owns."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs

import pytest
import yaml
from samtranslator.translator.transform import transform

from tests.contract.packaged import Packaged, as_list
from tests.support.deployer_policy import statements, template

ROOT = Path(__file__).parents[2]
# Which statements of Execution are for which kinds of resources.
FOR_KINDS = {
    "AWS::ApiGateway::BasePathMapping": {"Api"},
    "AWS::ApiGateway::Deployment": {"Api"},
    "AWS::ApiGateway::DomainName": {"Api"},
    "AWS::ApiGateway::RestApi": {"Api"},
    "AWS::ApiGateway::Stage": {"Api"},
    "AWS::CloudWatch::Alarm": {"Alarms", "Looking"},
    "AWS::CloudWatch::Dashboard": {"Dashboard"},
    "AWS::CodeDeploy::Application": {"Rollout"},
    "AWS::CodeDeploy::DeploymentGroup": {"Rollout", "RolesOfFunctions"},
    "AWS::DynamoDB::Table": {"Tables"},
    "AWS::Events::Rule": {"Schedules"},
    "AWS::IAM::Policy": {"Roles", "RolesWithinBoundary"},
    "AWS::IAM::Role": {"Roles", "RolesWithinBoundary"},
    "AWS::Lambda::Alias": {"Functions", "Rollout"},
    "AWS::Lambda::EventInvokeConfig": {"Functions"},
    "AWS::Lambda::EventSourceMapping": {"EventSources", "Looking"},
    "AWS::Lambda::Function": {"Functions", "Code", "RolesOfFunctions", "Looking"},
    "AWS::Lambda::Permission": {"Functions"},
    "AWS::Lambda::Url": {"Functions"},
    "AWS::Lambda::Version": {"Functions"},
    "AWS::Logs::LogGroup": {"Logs", "Looking"},
    "AWS::Logs::QueryDefinition": {"Looking"},
    "AWS::SNS::Subscription": {"Topics"},
    "AWS::SNS::Topic": {"Topics"},
    "AWS::SNS::TopicPolicy": {"Topics"},
    "AWS::SQS::Queue": {"Queues"},
    "AWS::SQS::QueuePolicy": {"Queues"},
    "AWS::SecretsManager::Secret": {"Token"},
    "AWS::WAFv2::WebACLAssociation": {"Waf"},
}
# Whatever begins so may be seen; and KMS names its actions by families.
FAMILIES = {"lambda:Get*", "lambda:List*", "kms:GenerateDataKey*", "kms:ReEncrypt*"}


def _policy(role: str) -> dict[str, Any]:
    found: dict[str, Any] = template()["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]
    return found


def test_cloudformation_may_make_every_kind_of_resource_and_no_other(packaged: Packaged) -> None:
    """Expects rights for each kind of resource that SAM makes from the template, and for no other kind."""

    class Policies:
        def load(self) -> dict[str, str]:
            return {"AWSCodeDeployRoleForLambda": "arn:aws:iam::aws:policy/service-role/AWSCodeDeployRoleForLambda"}

    given = json.loads(json.dumps(packaged.template))
    for one in given["Resources"].values():
        if "CodeUri" in one.get("Properties", {}):
            one["Properties"]["CodeUri"] = "s3://bucket/deployment.zip"
    with mock.patch.dict(os.environ, AWS_DEFAULT_REGION="us-east-1"):
        made = transform(given, {}, Policies())
    assert {one["Type"] for one in made["Resources"].values()} == set(FOR_KINDS)
    sids = {one.sid for one in statements("Execution", "prod")}
    assert set().union(*FOR_KINDS.values()) == sids


@pytest.mark.parametrize("role", ["Deployer", "Execution"])
def test_rights_are_limited_to_the_names_of_the_stage(role: str) -> None:
    """Expects no action on everything, except those that take no name, and none on another stage."""
    open_to_all = {one.sid: one.actions for one in statements(role, "prod") if "*" in one.resources}
    assert set(open_to_all) == {"Deployer": {"Quotas"}, "Execution": {"Looking", "EventSources"}}[role]
    conditions = {one["Sid"]: one.get("Condition") for one in _policy(role)["Statement"] if "Sid" in one}
    assert all(conditions[sid] for sid in open_to_all if sid == "EventSources")
    shared = ("apigateway", "wafv2", "transform/", "deploymentconfig:", "message-service-api-gateway-logs")
    for one in statements(role, "prod"):
        for resource in one.resources:
            assert (
                resource == "*"
                or "message-service-prod" in resource
                or "execution-prod" in resource
                or any(name in resource for name in shared)
            ), f"{one.sid}: {resource}"


@pytest.mark.parametrize("role", ["Deployer", "Execution"])
def test_rights_are_named_and_fit_into_a_role(role: str) -> None:
    """Expects no `*` in an action, except for those that only read, and less than IAM's 10,240 characters."""
    actions = {action for one in statements(role, "prod") for action in one.actions}
    assert {action for action in actions if "*" in action} <= FAMILIES
    assert len(re.sub(r"\s", "", json.dumps(_policy(role)))) < 10_240


def test_the_stacks_roles_stay_within_their_boundary(packaged: Packaged) -> None:
    """Expects it to allow whatever a role of the template allows, and CloudFormation to make no role without it."""
    (own, beside) = template()["Resources"]["Boundary"]["Properties"]["PolicyDocument"]["Statement"]
    allowed = [one.replace("*", "[A-Za-z]+") for one in own["Action"] + beside["Action"]]
    roles = packaged.properties("AWS::IAM::Role")
    policies = [one["PolicyDocument"] for role in roles.values() for one in role.get("Policies", [])]
    policies += [one["PolicyDocument"] for one in packaged.properties("AWS::IAM::Policy").values()]
    given = {action for policy in policies for one in policy["Statement"] for action in as_list(one["Action"])}
    assert len(given) > 15
    assert [action for action in given if not any(re.fullmatch(one, action) for one in allowed)] == []
    bound = {"Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    assert all(role["PermissionsBoundary"] == bound for role in roles.values())
    (making,) = (one for one in _policy("Execution")["Statement"] if one.get("Sid") == "RolesWithinBoundary")
    assert {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"} <= set(making["Action"])
    assert making["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": {"Ref": "Boundary"}}}
    free = {
        action
        for one in _policy("Execution")["Statement"]
        if one.get("Sid") not in (None, "RolesWithinBoundary")
        for action in as_list(one["Action"])
    }
    assert not free & (set(making["Action"]) | {"iam:DeleteRolePermissionsBoundary"})


def test_no_deploy_can_delete_data() -> None:
    """Expects both roles to be unable to: tables and the token are kept even if the stack is deleted."""
    for role in ("Deployer", "Execution"):
        actions = {action for one in statements(role, "prod") for action in one.actions}
        assert not actions & {
            "dynamodb:DeleteTable",
            "secretsmanager:DeleteSecret",
            "s3:DeleteObject",
            "s3:DeleteBucket",
        }


def test_a_role_can_be_passed_only_to_the_services_that_need_it() -> None:
    """Expects the service to be named wherever a role is passed: otherwise any service could be made to act as it."""
    passing = [
        one
        for role in ("Deployer", "Execution")
        for one in _policy(role)["Statement"]
        if "iam:PassRole" in str(one.get("Action")) and one["Sid"] != "ApiLogsRole"
    ]
    assert len(passing) == 2
    assert all(one["Condition"]["StringEquals"]["iam:PassedToService"] for one in passing)


def test_only_jobs_of_the_protected_branch_are_let_in() -> None:
    """Expects audience and subject to be compared exactly, without `*`: any project of GitLab has such a token."""
    (statement,) = template()["Resources"]["Deployer"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert list(statement["Condition"]) == ["StringEquals"]
    wanted = statement["Condition"]["StringEquals"]
    assert wanted == {
        "gitlab.com:aud": "sts.amazonaws.com",
        "gitlab.com:sub": {"Fn::Sub": "project_path:${Project}:ref_type:branch:ref:${Branch}"},
    }
    assert "*" not in template()["Parameters"]["Project"]["AllowedPattern"].replace(")*", ")").replace("]*", "]")
    (audience,) = _job()["id_tokens"].values()
    assert audience == {"aud": wanted["gitlab.com:aud"]}


# -- the job


def _job() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text(encoding="utf-8"))[".deploy"]
    return found


class _Sts(BaseHTTPRequestHandler):
    """Gives credentials for a token, and notes what it was asked."""

    asked: list[dict[str, list[str]]]

    def do_POST(self) -> None:
        self.asked.append(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        body = (
            b'<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            b"<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s"
            b"</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>"
            b"</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def sts() -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """The address of AWS's token service, and what it was asked."""
    asked: list[dict[str, list[str]]] = []
    with HTTPServer(("127.0.0.1", 0), type("Sts", (_Sts,), {"asked": asked})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def test_the_job_signs_in_with_its_token(sts: tuple[str, list[dict[str, list[str]]]], tmp_path: Path) -> None:
    """Expects the lines before `make deploy` to be all that boto3 needs to take on the role, and nothing to be
    printed."""
    url, asked = sts
    lines = [line for line in _job()["script"] if not line.startswith("make ")]
    code = "import boto3; print(boto3.Session().get_credentials().get_frozen_credentials().access_key)"
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL_STS": url,
        "AWS_ID_TOKEN": "the.id.token",
        "AWS_ROLE_ARN": "arn:aws:iam::111111111111:role/message-service-deployer-prod",
        "ADMIN_PASSWORD": "p",
    }
    script = "\n".join(["set -euo pipefail", *lines, f"{sys.executable} -c '{code}'"])
    done = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ASIA1\n", "")
    (call,) = asked
    assert call["WebIdentityToken"] == ["the.id.token"]
    assert call["RoleArn"] == [environ["AWS_ROLE_ARN"]]


def test_nobody_keeps_a_key() -> None:
    """Expects no long-lived AWS key in the pipeline, and no document that asks for one."""
    for path in (ROOT / ".gitlab-ci.yml", ROOT / "docs" / "operations.md"):
        text = path.read_text(encoding="utf-8")
        assert "AWS_ACCESS_KEY_ID" not in text
        assert "AWS_SECRET_ACCESS_KEY" not in text
