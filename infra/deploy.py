"""`make deploy`: the service as one CloudFormation stack, in an AWS account or in an emulator at AWS_ENDPOINT_URL."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import __version__
from chalicelib.bootstrap import build
from chalicelib.config import Settings
from chalicelib.domain.errors import Invalid
from chalicelib.domain.gateway_routes import shown
from chalicelib.domain.reasons import Cause
from chalicelib.gateways import create_gateway
from chalicelib.gateways.http_adapter import HttpAdapter
from chalicelib.gateways.several import create_several
from chalicelib.services.passwords import verify
from chalicelib.wording import reason_text
from infra import move_ledger
from infra.account import Account, AccountError
from infra.api_logs import ensure_api_logs
from infra.artifacts import Artifacts
from infra.emulated import for_emulator
from infra.fingerprint import OUTPUT, fingerprint, with_fingerprint
from infra.package import NOT_COMPILED, PackagingError, check, package
from infra.parameters import ParameterError, Parameters, variable
from infra.provision import complete_tables
from infra.quotas import QuotaError, check_quotas
from infra.releases import Release, Releases
from infra.retained import Kept
from infra.rollout import with_version
from infra.stack import Stack, StackError

APP = "message-service"
HEALTH_BOUND = 120.0  # seconds; an emulator starts its functions slowly
_FUNCTION = "AWS::Serverless::Function"


class DeployError(Exception):
    """The service was not deployed; the text says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a deploy: the stage, an existing package (or none), the environment, and parameters."""

    stage: str
    package_dir: Path
    packaged: bool
    environ: Mapping[str, str]
    parameters: Parameters

    @property
    def stack(self) -> str:
        return stack_name(self.stage)

    def given(self, name: str) -> str:
        return self.environ.get(name, "").strip()


def stack_name(stage: str) -> str:
    """The name of a stage's stack; the names of all its resources begin with it."""
    return f"{APP}-{stage}"


def deploy(options: Options, account: Account) -> str:
    """Deploy the package to the stage's stack. Returns the API's address. Raises the errors that `main` handles."""
    role = options.given("DEPLOY_ROLE_ARN")
    stack = Stack(account.client("cloudformation"), options.stack, say, pause(account), role=role)
    stack.prepare()
    known = stack.parameters()
    values = options.parameters.effective(known)
    if not account.emulated:
        check_gateway(values)
    say(f"Deploying {options.stack} to {account.endpoint or f'{account.account_id}, {account.region}'}")
    check_quotas(account, values, say)
    template = _template(options, account, values)
    artifacts = Artifacts(account, options.stack)
    artifacts.ensure()
    zip_key = artifacts.put_file(options.package_dir / "deployment.zip")
    for resource in template["Resources"].values():
        if resource["Type"] == _FUNCTION:
            resource["Properties"]["CodeUri"] = f"s3://{artifacts.bucket}/{zip_key}"
    template = with_version(template, values)
    template = _take_up_what_is_kept(stack, template, values, artifacts, account)
    parameters = {name: options.parameters.given.get(name) for name in template["Parameters"]}
    print_of_this = fingerprint(template, values, {})
    template_key = artifacts.put(
        json.dumps(with_fingerprint(template, print_of_this), sort_keys=True).encode(), ".json"
    )
    if ensure_api_logs(account):
        say("  API Gateway may write logs now, in all of this account's region")
    ran = stack.outputs().get(OUTPUT, "")
    same = stack.rests_well() and ran == print_of_this
    if same or not stack.deploy(account.object_url(artifacts.bucket, template_key), parameters):
        say("  Nothing has changed")
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    release = Release(
        at=at,
        version=__version__,
        fingerprint=print_of_this,
        zip_key=zip_key,
        template_key=template_key,
        parameters=stack.parameters(),
    )
    Releases(artifacts).note(release, instead_of=ran)
    _finish(options, account, stack)
    return account.api_url(stack.outputs())


def check_gateway(values: Mapping[str, str]) -> None:
    """Raises DeployError if senders would not call the gateway in the stack's parameters."""
    kind = values["Gateway"]
    if kind == "http" and not values["GatewayUrl"] and not values["Gateways"]:
        raise DeployError(f"GATEWAY_URL: set the address of the gateway, for GATEWAY={kind}")
    known = {variable(name): value for name, value in values.items() if name.startswith("Gateway")}
    try:
        settings = Settings.from_environment({**known, "AWS_LAMBDA_FUNCTION_NAME": "sender"})
        gateways = create_several(settings)[0] if settings.gateways else {"": create_gateway(settings)}
    except ValueError as error:
        raise DeployError(str(error)) from error
    for name, gateway in gateways.items():
        reason = gateway.obstacle if isinstance(gateway, HttpAdapter) else None
        if reason:
            what = f"GATEWAYS: {shown(name)}" if settings.gateways else "GATEWAY_URL"
            raise DeployError(f"{what}: {reason_text(Cause(reason))}")


def _template(options: Options, account: Account, values: Mapping[str, str]) -> dict[str, Any]:
    """The packaged template; the package is made first if there is none."""
    if not options.packaged:
        target = account.target()
        say(f"Packaging for {target.runtime} on {target.architecture}")
        if not package(options.stage, options.package_dir, target):
            say(NOT_COMPILED.format(target.python))
        check(options.package_dir / "template.json")
    template: dict[str, Any] = json.loads((options.package_dir / "template.json").read_text(encoding="utf-8"))
    return for_emulator(template, values, localstack=not account.imports) if account.emulated else template


def _take_up_what_is_kept(
    stack: Stack, template: dict[str, Any], values: Mapping[str, str], artifacts: Artifacts, account: Account
) -> dict[str, Any]:
    """The template to deploy, after taking over tables that an earlier stack left, which would be in its way.

    They are imported into the new stack. If CloudFormation cannot do that, they are used but stay outside of it.
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
        key = artifacts.put(json.dumps(kept.template(found, values), sort_keys=True).encode(), ".json")
        stack.adopt(account.object_url(artifacts.bucket, key), found)
    return template


def _finish(options: Options, account: Account, stack: Stack) -> None:
    """Do what no template can: move old messages, set the token, create the first user, fix emulators."""
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
    users = build(settings).users
    password = options.environ.get("ADMIN_PASSWORD", "")
    generated = users.ensure_first_user(username, password or None)
    if generated:
        say(f"  User {username}, password {generated} (generated, shown only this once)")
    elif password and not verify(users.get(username).password_hash, password):
        say(f"  User {username} keeps their password, which differs from ADMIN_PASSWORD. Change it in the service")


def await_health(url: str, bound: float = HEALTH_BOUND) -> None:
    """Wait until the API answers. Raises DeployError with its last answer after `bound` seconds."""
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
    """Print a line."""
    print(text, flush=True)  # noqa: T201 - a command talks to a person


EXPECTED = (
    DeployError,
    StackError,
    AccountError,
    PackagingError,
    ParameterError,
    QuotaError,
    Invalid,
    BotoCoreError,
    ClientError,
)


def refused(reason: str) -> int:
    """Print a reason to the error stream. Returns the exit code."""
    print(reason, file=sys.stderr, flush=True)  # noqa: T201 - a command talks to a person
    return 1


def main() -> int:
    """Deploy and print the service's address. Returns 1, with the reason printed, if that failed."""
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", description=__doc__)
    parser.add_argument("--stage", default="dev", help="the stage of .chalice/config.json (default: dev)")
    parser.add_argument("--package", type=Path, metavar="DIR", help="deploy the package in DIR instead of building one")
    given = parser.parse_args()
    try:
        parameters = Parameters.read(os.environ, given.stage)
        options = Options(
            stage=given.stage,
            package_dir=given.package or Path("dist"),
            packaged=given.package is not None,
            environ=os.environ,
            parameters=parameters,
        )
        url = deploy(options, Account.from_environment(os.environ))
        await_health(url)
    except EXPECTED as error:
        return refused(f"Not deployed: {error}")
    say(f"Ready: {url}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
