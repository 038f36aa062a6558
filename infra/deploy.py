"""`make deploy`: the service as one CloudFormation stack, in an AWS account or in an emulator at AWS_ENDPOINT_URL."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.bootstrap import build
from chalicelib.config import Settings
from chalicelib.domain.errors import Invalid
from chalicelib.domain.reasons import Cause
from chalicelib.gateways import check_kind
from chalicelib.gateways.http_adapter import obstacle
from chalicelib.services.passwords import verify
from chalicelib.wording import reason_text
from infra import move_ledger, saved_queries
from infra.account import Account, AccountError
from infra.api_logs import ensure_api_logs
from infra.artifacts import Artifacts
from infra.fingerprint import OUTPUT, fingerprint, with_fingerprint
from infra.package import NOT_COMPILED, PackagingError, check, package
from infra.provision import complete_tables
from infra.retained import Kept, by_name
from infra.stack import Stack, StackError

APP = "message-service"
HEALTH_BOUND = 120.0  # seconds; an emulator starts its functions slowly
_FUNCTION = "AWS::Serverless::Function"
_ALARM = "AWS::CloudWatch::Alarm"
# What needs no other variable, which the stack may have from before.
_READ_ALONE = ("LOG_LEVEL", "GATEWAY_HOSTS", "GATEWAY_RECOGNISES_IDS", "REPORT_FROM", "REPORT_HOUR", "REPORT_TIMEZONE")
EMULATED = {"GATEWAY_LOCAL": "true"}  # a gateway of this machine may be called
# LocalStack tells a function the path that AWS would, while its API has this before the stage.
LOCALSTACK = {"API_ADDRESS_PREFIX": "/_aws/execute-api"}


class DeployError(Exception):
    """The service is not deployed; the text says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person asked for: the stage, a package made before (or none), and the environment of the command."""

    stage: str
    package_dir: Path
    packaged: bool
    environ: Mapping[str, str]

    @property
    def stack(self) -> str:
        return stack_name(self.stage)

    def given(self, name: str) -> str:
        return self.environ.get(name, "").strip()


def stack_name(stage: str) -> str:
    """The name of a stage's stack, with which the names of all its resources begin."""
    return f"{APP}-{stage}"


def variable(parameter: str) -> str:
    """The variable of the environment that sets a parameter of the template: GatewayUrl is GATEWAY_URL."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", parameter).upper()


def deploy(options: Options, account: Account) -> str:
    """Make the stage's stack what the package says; the API's address. Raises what `main` explains."""
    stack = Stack(account.client("cloudformation"), options.stack, say, pause(account))
    stack.prepare()
    if not account.emulated:
        check_gateway(options, stack.parameters())
    template = _template(options, account)
    artifacts = Artifacts(account, options.stack)
    artifacts.ensure()
    zip_key = artifacts.put_file(options.package_dir / "deployment.zip")
    for resource in template["Resources"].values():
        if resource["Type"] == _FUNCTION:
            resource["Properties"]["CodeUri"] = f"s3://{artifacts.bucket}/{zip_key}"
    template = _take_up_what_is_kept(stack, template, artifacts, account)
    parameters = {name: options.given(variable(name)) for name in template.get("Parameters", {})}
    parameters["LogLevel"] = parameters["LogLevel"].upper()
    parameters["Gateway"] = gateway_kind(options)
    print_of_this = fingerprint(template, parameters, stack.parameters())
    template_key = artifacts.put(
        json.dumps(with_fingerprint(template, print_of_this), sort_keys=True).encode(), ".json"
    )
    say(f"Deploying {options.stack} to {account.endpoint or f'{account.account_id}, {account.region}'}")
    if ensure_api_logs(account):
        say("  API Gateway may write logs now, in all of this account's region")
    same = stack.rests_well() and stack.outputs().get(OUTPUT) == print_of_this
    if same or not stack.deploy(account.object_url(artifacts.bucket, template_key), parameters):
        say("  Nothing has changed")
    artifacts.supersede_all_but(zip_key, template_key)
    _finish(options, account, stack)
    return account.api_url(stack.outputs())


def check_variables(environ: Mapping[str, str]) -> None:
    """Refuse what the functions could not read, before anything is packaged; DeployError names the variable."""
    try:
        Settings.from_environment({name: environ.get(name, "") for name in _READ_ALONE})
    except ValueError as error:
        raise DeployError(str(error)) from error


def check_gateway(options: Options, known: Mapping[str, str]) -> None:
    """Refuse a gateway that no sender would call, given the stack's parameters; DeployError says why."""
    kind = gateway_kind(options) or known.get("Gateway", "sandbox")
    url = options.given("GATEWAY_URL") or known.get("GatewayUrl", "")
    hosts = options.given("GATEWAY_HOSTS") or known.get("GatewayHosts", "")
    if kind != "sandbox" and not url:
        raise DeployError(f"GATEWAY_URL: set the address of the gateway, for GATEWAY={kind}")
    try:
        settings = Settings.from_environment({"GATEWAY": kind, "GATEWAY_URL": url, "GATEWAY_HOSTS": hosts})
        check_kind(settings)
        reason = None if settings.sends_nothing else obstacle(settings)
    except ValueError as error:
        raise DeployError(str(error)) from error
    if reason:
        raise DeployError(f"GATEWAY_URL: {reason_text(Cause(reason))}")


def gateway_kind(options: Options) -> str:
    """The kind of gateway that is asked for, "" for that of the stack; an address alone asks for `http`."""
    return options.given("GATEWAY") or ("http" if options.given("GATEWAY_URL") else "")


def _template(options: Options, account: Account) -> dict[str, Any]:
    """The packaged template; the package is made first where there is none."""
    if not options.packaged:
        target = account.target()
        say(f"Packaging for {target.runtime} on {target.architecture}")
        if not package(options.stage, options.package_dir, target):
            say(NOT_COMPILED.format(target.python))
        check(options.package_dir / "template.json")
    template: dict[str, Any] = json.loads((options.package_dir / "template.json").read_text(encoding="utf-8"))
    if account.emulated:
        # A gateway of this machine speaks no TLS.
        template["Parameters"]["GatewayUrl"].pop("AllowedPattern", None)
        template = without_unknown(template)
        more = {} if account.imports else LOCALSTACK
        for one in template["Resources"].values():
            if one["Type"] == _FUNCTION:
                variables = one["Properties"]["Environment"]["Variables"]
                one["Properties"]["Environment"]["Variables"] = EMULATED | more | variables
    return template


def without_unknown(template: dict[str, Any]) -> dict[str, Any]:
    """What MiniStack refuses a stack for, left out: an emulator has nothing to query, and nobody to alarm."""
    known, unknown = {}, {}
    for name, one in template["Resources"].items():
        metric_math = one.get("Type") == _ALARM and "Metrics" in one["Properties"]
        if one.get("Type") == saved_queries.TYPE or metric_math:
            unknown[name] = {"Ref": name, "Arn": name}
        else:
            known[name] = one
    left: dict[str, Any] = by_name({**template, "Resources": known}, unknown)
    return left


def _take_up_what_is_kept(
    stack: Stack, template: dict[str, Any], artifacts: Artifacts, account: Account
) -> dict[str, Any]:
    """The template to deploy: tables of a stack that was removed, or never came to be, would be in its way.

    They become part of the new stack, or if its CloudFormation cannot do that, they stay outside of it and are used.
    """
    kept = Kept(account, stack.name)
    if not account.imports:
        found = kept.outside(stack)
        if found:
            say(f"Using what an earlier stack kept: {', '.join(kept.name(one) for one in found)}")
        return kept.left_out(template, found)
    if not stack.is_new():
        return template
    found = kept.adoptable()
    if found:
        say(f"Adopting what an earlier stack kept: {', '.join(kept.name(one) for one in found)}")
        key = artifacts.put(json.dumps(kept.template(found), sort_keys=True).encode(), ".json")
        stack.adopt(account.object_url(artifacts.bucket, key), found)
    return template


def _finish(options: Options, account: Account, stack: Stack) -> None:
    """What no template can hold: messages of earlier versions, the token, the first user, what an emulator drops."""
    settings = Settings(resource_prefix=options.stack, gateway="sandbox")
    if account.emulated:
        complete_tables(settings, account.client("dynamodb"))
    move_ledger.move(settings, account.client("dynamodb"), lambda text: say(f"  {text}"))
    token = options.given("GATEWAY_TOKEN")
    if token:
        secret = stack.outputs()["GatewayTokenSecret"]
        account.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=token)
        say("  The gateway's token is stored")
    username = options.given("ADMIN_USERNAME") or "admin"
    accounts = build(settings).accounts
    password = options.environ.get("ADMIN_PASSWORD", "")
    generated = accounts.ensure_first_user(username, password or None)
    if generated:
        say(f"  User {username}, password {generated} (generated, shown only this once)")
    elif password and not verify(accounts.get(username).password_hash, password):
        say(f"  User {username} keeps their password, which differs from ADMIN_PASSWORD. Change it in the service")


def await_health(url: str, bound: float = HEALTH_BOUND) -> None:
    """Wait until the API answers; DeployError with its last answer after `bound` seconds."""
    deadline = time.monotonic() + bound
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            answer = requests.get(f"{url}/health/ready", timeout=35)
            if answer.ok:
                return
            last = f"{answer.status_code} {answer.text[:200]}"
        except requests.RequestException as error:
            last = f"{type(error).__name__}: {error}"
        time.sleep(1)
    raise DeployError(f"the stack was deployed, but {url}/health/ready does not answer: {last}")


def pause(account: Account) -> float:
    """Seconds between two looks at a stack."""
    return 0.3 if account.emulated else 2.0


def say(text: str) -> None:
    """A line for the person at the terminal."""
    print(text, flush=True)  # noqa: T201 - a command talks to a person


EXPECTED = (DeployError, StackError, AccountError, PackagingError, Invalid, BotoCoreError, ClientError)


def refused(reason: str) -> int:
    """Say why not, on the error stream; the exit code."""
    print(reason, file=sys.stderr, flush=True)  # noqa: T201 - a command talks to a person
    return 1


def main() -> int:
    """Deploy and say where the service answers; 1 with the reason where that failed."""
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", description=__doc__)
    parser.add_argument("--stage", default="dev", help="the stage of .chalice/config.json (default: dev)")
    parser.add_argument("--package", type=Path, metavar="DIR", help="deploy the package in DIR instead of building one")
    given = parser.parse_args()
    options = Options(given.stage, given.package or Path("dist"), given.package is not None, os.environ)
    try:
        check_variables(os.environ)
        url = deploy(options, Account.from_environment(os.environ))
        await_health(url)
    except EXPECTED as error:
        return refused(f"Not deployed: {error}")
    say(f"Ready: {url}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
