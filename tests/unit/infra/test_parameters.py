"""The parameters of the stack: read from the environment and a file, and refused before anything is made."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from chalicelib.config import _VARIABLES, Settings
from infra.package import LAMBDA
from infra.parameters import ParameterError, Parameters, definitions, variable
from infra.resolved import resolved
from infra.template import merge_template

KEY = "arn:aws:kms:eu-central-1:111111111111:key/1234-abcd"
CERTIFICATE = "arn:aws:acm:eu-central-1:111111111111:certificate/1234-abcd"
ACL = "arn:aws:wafv2:eu-central-1:111111111111:regional/webacl/mine/1234-abcd"
# What is set by other means, or by Lambda, or belongs to an emulator.
NO_PARAMETER = {
    "RESOURCE_PREFIX": "the stack's name",
    "AWS_LAMBDA_FUNCTION_NAME": "set by Lambda",
    "GATEWAY_TOKEN": "a secret",
    "GATEWAY_TOKEN_SECRET": "the name of the secret",
    "GATEWAY_LOCAL": "of emulators",
    "API_ADDRESS_PREFIX": "of LocalStack",
    "MAIL_URL": "SES on AWS",
    "PUBLIC_URL": "the API's own on AWS",
    "RECEIPT_URL": "follows from RECEIPT_ADDRESS on AWS",
}


def read(directory: Path = Path("/nonexistent"), **environ: str) -> Parameters:
    return Parameters.read(environ, "dev", directory)


def file(directory: Path, text: str) -> Path:
    (directory / "dev.env").write_text(text, encoding="utf-8")
    return directory


def built(**values: str) -> dict[str, Any]:
    """The resources with these parameters."""
    found: dict[str, Any] = resolved(merge_template(LAMBDA), values, texts=True)["Resources"]
    return found


def test_every_setting_is_a_parameter() -> None:
    """Expects none that can be changed in code only, and each with the default of the code."""
    by_variable = {variable(name): one for name, one in definitions().items()}
    assert {name for _, name, _ in _VARIABLES} - set(by_variable) == set(NO_PARAMETER)
    assert not set(NO_PARAMETER) & set(by_variable)
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    for name, environ, kind in _VARIABLES:
        given = by_variable.get(environ, {}).get("Default")
        if kind in (int, float):
            assert given is None or given == defaults[name], environ


def test_every_function_is_told_what_concerns_sending() -> None:
    """Expects the same settings in all, so that no two reckon with other times."""
    functions = [one for one in built().values() if one.get("Type") == "AWS::Serverless::Function"]
    numbers = {environ for _, environ, kind in _VARIABLES if kind in (int, float)}
    assert len(functions) == 6
    for one in functions:
        assert set(one["Properties"]["Environment"]["Variables"]) >= numbers


def test_what_is_given_goes_before_the_file_and_both_before_the_stack(tmp_path: Path) -> None:
    """Expects the default for what nobody gave, and again for what is given as `default`."""
    directory = file(
        tmp_path, "# of prod\n\nSENDER_CONCURRENCY=30\nexport MAX_ATTEMPTS = '4'\nRETAIN_DAYS=90\nLOG_LEVEL=debug\n"
    )
    known = {"SenderConcurrency": "5", "QueueHighWater": "400", "StallAfter": "90", "Unknown": "1"}
    parameters = read(directory, MAX_ATTEMPTS="5", STALL_AFTER="default", RETAIN_DAYS=" ")
    found = parameters.effective(known)
    assert found["SenderConcurrency"] == "30"
    assert (found["MaxAttempts"], found["RetainDays"], found["LogLevel"]) == ("5", "90", "DEBUG")
    assert (found["QueueHighWater"], found["StallAfter"], found["ApiRate"]) == ("400", "60", "200")
    assert set(found) == set(definitions())
    assert set(parameters.given) == {"SenderConcurrency", "MaxAttempts", "RetainDays", "LogLevel", "StallAfter"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("SENDER_CONCURENCY=3", r"line 1: SENDER_CONCURENCY is no parameter, do you mean SENDER_CONCURRENCY\?"),
        ("GATEWAY_TOKEN=abc", r"line 1: GATEWAY_TOKEN is no parameter"),
        ("fast", r"line 1: must be NAME=value: 'fast'"),
    ],
)
def test_a_line_that_says_nothing_is_refused(tmp_path: Path, line: str, reason: str) -> None:
    """A mistyped name would otherwise be left out without a word, and a secret does not belong there."""
    with pytest.raises(ParameterError, match=reason):
        read(file(tmp_path, line))


@pytest.mark.parametrize(
    ("environ", "text", "reason"),
    [
        ("SENDER_CONCURRENCY", "1", "must be from 2 to 1000: 1"),
        ("SENDER_CONCURRENCY", "many", "must be a whole number: 'many'"),
        ("GATEWAY_READ_TIMEOUT", "19", "must be from 0.1 to 18: 19"),
        ("REPORT_HOUR", "24", "must be from 0 to 23: 24"),
        ("LOG_LEVEL", "LOUD", "must be one of DEBUG, INFO, WARNING, ERROR: 'LOUD'"),
        ("DELETION_PROTECTION", "yes", "must be one of true, false: 'yes'"),
        ("GATEWAY_URL", "http://gateway.example", "must begin with https://: 'http://gateway.example'"),
        ("KMS_KEY_ARN", "alias/mine", "must be the ARN of a key, not of an alias: 'alias/mine'"),
        ("SUBNET_IDS", "subnet-12345678,vpc-1", "must be ids of subnets: 'subnet-12345678,vpc-1'"),
        ("DOMAIN_NAME", "https://a.example", "must be a name such as messages.example.com: 'https://a.example'"),
        ("WEB_ACL_ARN", ACL.replace("regional", "global"), "must be the ARN of a regional web ACL: "),
        ("REPORT_FROM", "nobody", "must look like"),
    ],
)
def test_a_value_that_cannot_be_is_refused(environ: str, text: str, reason: str) -> None:
    """In the variable's name and before AWS is asked anything."""
    with pytest.raises(ParameterError) as caught:
        read(**{environ: text})
    assert str(caught.value).startswith(f"{environ}: {reason}")


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"SUBNET_IDS": "subnet-12345678"}, "SECURITY_GROUP_IDS: is required if SUBNET_IDS is set"),
        ({"CERTIFICATE_ARN": CERTIFICATE}, "DOMAIN_NAME: is required if CERTIFICATE_ARN is set"),
        ({"REPORT_TO": "a@example.com"}, "REPORT_FROM: is required if REPORT_TO is set"),
        ({"GATEWAY_HOSTS": "a b"}, "GATEWAY_HOSTS: not a list of hosts"),
        ({"REPORT_TIMEZONE": "Mars"}, "REPORT_TIMEZONE: not a time zone"),
        ({"RETRY_BASE": "90"}, "RETRY_BASE: 90 is more than RETRY_CAP"),
        ({"GATEWAY_READ_TIMEOUT": "18", "GATEWAY_CONNECT_TIMEOUT": "5"}, "GATEWAY_READ_TIMEOUT: 18 is too long"),
        ({"LEDGER_WARM_WRITES": "100"}, "LEDGER_WARM_WRITES: at least 4000"),
    ],
)
def test_values_that_cannot_work_together_are_refused(environ: dict[str, str], reason: str) -> None:
    """With the one that is missing, or too much."""
    with pytest.raises(ParameterError) as caught:
        read(**environ).effective({})
    assert str(caught.value).startswith(reason)


def test_on_an_emulator_a_gateway_needs_no_tls() -> None:
    """It is on this machine."""
    found = read(AWS_ENDPOINT_URL="http://127.0.0.1:4566", GATEWAY_URL="http://127.0.0.1:9100")
    assert found.given == {"GatewayUrl": "http://127.0.0.1:9100", "Gateway": "http"}


def test_messages_may_be_kept_for_ever() -> None:
    """As docs/settings.md says: by 0, which is too little of anything else."""
    assert read(RETAIN_DAYS="0").effective({})["RetainDays"] == "0"


# -- what each option makes of the template


def test_without_options_nothing_optional_is_made() -> None:
    """No key, network, domain, WAF or warm throughput: an engine that has none of them gets the same as ever."""
    resources = built()
    kinds = {one.get("Type", "") for one in resources.values()}
    optional = ("AWS::WAFv2", "AWS::ApiGateway::DomainName", "AWS::ApiGateway::BasePathMapping", "AWS::IAM::Policy")
    assert not [kind for kind in kinds if kind.startswith(optional)]
    text = str(resources)
    for word in (
        "Kms",
        "KMS",
        "VpcConfig",
        "AWSLambdaVPC",
        "PermissionsBoundary",
        "WarmThroughput",
        "AWS::NoValue",
        "Fn::If",
    ):
        assert word not in text


def test_a_key_encrypts_all_that_holds_data_and_the_functions_may_use_it() -> None:
    """Expects tables, queues and the token, and each function's role."""
    resources = built(KmsKeyArn=KEY)
    tables = [one["Properties"] for one in resources.values() if one.get("Type") == "AWS::DynamoDB::Table"]
    queues = [one["Properties"] for one in resources.values() if one.get("Type") == "AWS::SQS::Queue"]
    assert len(tables) == 5
    assert len(queues) == 6
    assert all(one["SSESpecification"]["KMSMasterKeyId"] == KEY for one in tables)
    assert all(one["KmsMasterKeyId"] == KEY and "SqsManagedSseEnabled" not in one for one in queues)
    assert resources["GatewayToken"]["Properties"]["KmsKeyId"] == KEY
    policy = resources["KmsKeyPolicy"]["Properties"]
    assert len(policy["Roles"]) == 6
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Resource"] == KEY


def test_tables_can_be_protected_from_being_deleted() -> None:
    """Expects all of them to be."""
    tables = [one for one in built(DeletionProtection="true").values() if one.get("Type") == "AWS::DynamoDB::Table"]
    assert all(one["Properties"]["DeletionProtectionEnabled"] is True for one in tables)


def test_only_senders_call_from_the_subnets() -> None:
    """They call the gateway, which may want to know one address; the others need no way out but AWS's own."""
    resources = built(SubnetIds="subnet-12345678", SecurityGroupIds="sg-12345678")
    inside = [name for name, one in resources.items() if "VpcConfig" in one.get("Properties", {})]
    assert inside == ["Sender"]
    (policy,) = resources["SenderRole"]["Properties"]["ManagedPolicyArns"]
    assert policy["Fn::Sub"].endswith("/AWSLambdaVPCAccessExecutionRole")


def test_a_domain_a_web_acl_and_warm_throughput_are_made_if_asked_for() -> None:
    """Each by its own parameters."""
    domain = built(DomainName="m.example.com", CertificateArn=CERTIFICATE)
    assert domain["ApiDomainName"]["Properties"]["RegionalCertificateArn"] == CERTIFICATE
    assert "WebAclOfApi" not in domain
    assert built(WebAclArn=ACL)["WebAclOfApi"]["Properties"]["WebACLArn"] == ACL
    warm = built(LedgerWarmWrites="10000")["LedgerTable"]["Properties"]["WarmThroughput"]
    assert warm == {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 10000}


def test_bounds_are_numbers_for_who_reads_no_references() -> None:
    """MiniStack takes a reference there for a text; variables of functions stay references."""
    template = resolved(merge_template(LAMBDA), {"SenderConcurrency": "7"})
    sender = template["Resources"]["Sender"]["Properties"]
    assert sender["Events"]["SenderSqsEventSource"]["Properties"]["ScalingConfig"]["MaximumConcurrency"] == 7
    assert sender["MemorySize"] == 1024
    assert sender["Environment"]["Variables"]["QUEUE_HIGH_WATER"] == {"Ref": "QueueHighWater"}
    assert "Conditions" not in template
