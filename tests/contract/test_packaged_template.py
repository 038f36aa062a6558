"""The packaged template is complete: sources, queues, tables, functions and names, as AWS will create them."""

from __future__ import annotations

import json
import re
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest
from chalice.app import Chalice

from app import app
from chalicelib import admin, api
from chalicelib.config import Settings
from infra.package import check
from infra.provision import resources
from infra.resolved import resolved
from infra.rollout import without_alias
from tests.contract.packaged import FUNCTION, LOG_GROUP, QUEUE, STACK, TABLE, Packaged, in_stack
from tests.support.deployer_policy import TEMPLATE as DEPLOYER

ROOT = Path(__file__).parents[2]


def _handlers(chalice_app: Chalice) -> set[str]:
    sources = {source.handler_string for source in chalice_app.event_sources}
    return sources | {one.handler_string for one in chalice_app.builtin_auth_handlers} | {"app.app"}


def test_cfn_lint_finds_nothing(packaged: Packaged) -> None:
    """Expects no error and no warning, in this template and in that of the deployer's roles."""
    check(packaged.template_file, DEPLOYER)


def test_every_queue_source_reports_failed_items(packaged: Packaged) -> None:
    """Expects this of all sources: without it a partial answer counts as success, and messages are lost."""
    sources = packaged.queue_sources()
    assert set(sources) == {"Dispatcher", "Sender", "Receiver"}
    for _, source in sources.values():
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_a_source_gets_its_queue_by_one_intrinsic(packaged: Packaged) -> None:
    """Expects the merge to have replaced the name that Chalice wrote, rather than added to it."""
    queues = {name: packaged.source_queue(source) for name, (_, source) in packaged.queue_sources().items()}
    assert {name: in_stack(queue["QueueName"]) for name, queue in queues.items()} == {
        "Dispatcher": Settings(resource_prefix=STACK).dispatch_queue,
        "Sender": Settings(resource_prefix=STACK).send_queue,
        "Receiver": Settings(resource_prefix=STACK).receipt_queue,
    }
    for _, source in packaged.queue_sources().values():
        assert list(source["Queue"]) == ["Fn::Sub"]


def test_messages_stay_hidden_for_six_timeouts(packaged: Packaged) -> None:
    """Expects what AWS recommends: with a shorter visibility, messages come twice when functions start slowly."""
    for function, source in packaged.queue_sources().values():
        assert packaged.source_queue(source)["VisibilityTimeout"] >= 6 * function["Timeout"]


def test_batches_and_concurrency_are_valid_for_lambda(packaged: Packaged) -> None:
    """Expects a window for batches of more than 10, and a limit on functions at once."""
    for name, (_, source) in packaged.queue_sources().items():
        assert source["BatchSize"] <= 10 or source["MaximumBatchingWindowInSeconds"] >= 1
        assert source["ScalingConfig"]["MaximumConcurrency"] == {"Ref": f"{name}Concurrency"}
        bounds = packaged.template["Parameters"][f"{name}Concurrency"]
        assert 2 == bounds["MinValue"] <= bounds["Default"] <= bounds["MaxValue"] == 1000


def test_no_function_reserves_less_than_its_source_may_start(packaged: Packaged) -> None:
    """Expects no reserved concurrency: a lower one turns messages that nobody has read into dead letters."""
    for function in packaged.properties(FUNCTION).values():
        assert "ReservedConcurrentExecutions" not in function


def test_lambda_stops_only_loops_that_are_not_meant(packaged: Packaged) -> None:
    """Expects it to allow functions that go on by sending to their own queue, and to stop loops of all others."""
    allowed = {name for name, one in packaged.properties(FUNCTION).items() if one.get("RecursiveLoop") == "Allow"}
    assert allowed == {"Dispatcher", "Sender", "Receiver"} == set(packaged.queue_sources())


def test_the_receiver_has_a_url_of_its_own_only_if_that_is_wanted(packaged: Packaged) -> None:
    """Expects it to be public, and known to the functions that give it away but not to the receiver, as that would be
    a circle."""
    url = {"AWS::Lambda::Url": "ReceiptUrl", "AWS::Lambda::Permission": "ReceiptUrl"}
    ours = {name: one for kind in url for name, one in packaged.resources(kind).items() if name.startswith(url[kind])}
    assert {one["Condition"] for one in ours.values()} == {"ReceiptsByFunction"}
    assert ours["ReceiptUrl"]["Properties"] == {
        "AuthType": "NONE",
        "TargetFunctionArn": {"Fn::GetAtt": ["Receiver", "Arn"]},
    }
    allowed = {one["Properties"]["Action"]: one["Properties"] for name, one in ours.items() if name != "ReceiptUrl"}
    assert set(allowed) == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    assert allowed["lambda:InvokeFunctionUrl"]["FunctionUrlAuthType"] == "NONE"
    assert allowed["lambda:InvokeFunction"]["InvokedViaFunctionUrl"] is True  # and in no other way
    named = {
        name: one["Environment"]["Variables"].get("RECEIPT_URL")
        for name, one in packaged.properties(FUNCTION).items()
        if "RECEIPT_URL" in one["Environment"]["Variables"]
    }
    address = {"Fn::If": ["ReceiptsByFunction", {"Fn::GetAtt": ["ReceiptUrl", "FunctionUrl"]}, ""]}
    assert named == {"APIHandler": address, "Sender": address}
    assert packaged.by_default().resources("AWS::Lambda::Url") == {}


def _names(part: Any) -> set[str]:
    """What a part of a template refers to."""
    if isinstance(part, list):
        return {name for one in part for name in _names(one)}
    if not isinstance(part, dict):
        return set()
    match part:
        case {"Ref": str(name)}:
            return {name}
        case {"Fn::GetAtt": [str(name), *_]}:
            return {name}
        case {"Fn::Sub": str(text)}:
            return {name.split(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text)}
    return {name for one in part.values() for name in _names(one)}


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"GatewayReceipts": "true"},
        {"GatewayReceipts": "true", "ReceiptAddress": "function"},
        {"GatewayReceipts": "true", "ReceiptAddress": "function", "Gateway": "eum", "KmsKeyArn": "a", "SubnetIds": "a"},
        {"GatewayReceipts": "true", "ReceiptAddress": "function", "DomainName": "a", "WebAclArn": "a"},
    ],
)
def test_no_resource_depends_on_itself(packaged: Packaged, chosen: dict[str, str]) -> None:
    """Expects an order in which the resources can be made: CloudFormation refuses a circle. cfn-lint does not look
    into conditions."""
    needed = {name: _names(one) for name, one in resolved(packaged.template, chosen)["Resources"].items()}
    order = list(TopologicalSorter({name: names & set(needed) for name, names in needed.items()}).static_order())
    assert set(order) == set(needed)


def test_lambda_writes_no_log_lines_for_each_receipt(packaged: Packaged) -> None:
    """Expects this of the receiver alone; its own records have the level of all functions, in Lambda's word for it."""
    logging = {
        name: one["LoggingConfig"] for name, one in packaged.properties(FUNCTION).items() if "LoggingConfig" in one
    }
    assert logging == {
        "Receiver": {
            "LogFormat": "JSON",
            "SystemLogLevel": "WARN",
            "ApplicationLogLevel": {"Fn::If": ["LogsWarnings", "WARN", {"Ref": "LogLevel"}]},
        }
    }


def test_a_missed_run_of_a_schedule_is_not_made_up_for(packaged: Packaged) -> None:
    """Expects Lambda to drop an invocation once the next one replaces it."""
    scheduled = [
        function
        for function in packaged.properties(FUNCTION).values()
        if any(event["Type"] == "Schedule" for event in function.get("Events", {}).values())
    ]
    assert len(scheduled) == 2
    for function in scheduled:
        assert function["EventInvokeConfig"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}


def test_every_queue_has_dead_letters_that_are_kept_as_long(packaged: Packaged) -> None:
    """Expects a dead-letter queue for each, in which nothing expires sooner than in the queue itself."""
    queues = packaged.properties(QUEUE)
    redriven = {name: queue["RedrivePolicy"] for name, queue in queues.items() if "RedrivePolicy" in queue}
    dead = {name: policy["deadLetterTargetArn"]["Fn::GetAtt"][0] for name, policy in redriven.items()}
    assert set(dead) | set(dead.values()) == set(queues)
    assert len(set(dead.values())) == len(dead)
    for name, dead_name in dead.items():
        assert 5 <= redriven[name]["maxReceiveCount"] <= 1000
        assert queues[dead_name]["MessageRetentionPeriod"] >= queues[name]["MessageRetentionPeriod"]


def test_there_is_one_function_for_each_handler(packaged: Packaged) -> None:
    """Expects the API and every event source of app.py, and nothing else."""
    handlers = [function["Handler"] for function in packaged.properties(FUNCTION).values()]
    assert sorted(handlers) == sorted(_handlers(app))


def test_functions_run_on_one_kind_of_machine(packaged: Packaged) -> None:
    """Expects the Python and the processor for which the zip's wheels are, and no traces that nobody fills in."""
    for function in packaged.properties(FUNCTION).values():
        assert (function["Runtime"], function["Architectures"]) == ("python3.12", ["arm64"])
        assert function["Tracing"] == "PassThrough"


def test_timeouts_are_those_of_the_settings(packaged: Packaged) -> None:
    """Expects code and template to agree, and the API to answer before API Gateway gives up."""
    timeouts = {name: function["Timeout"] for name, function in packaged.properties(FUNCTION).items()}
    assert timeouts["Sender"] == Settings().sender_timeout
    assert timeouts["Dispatcher"] == Settings().dispatcher_timeout
    assert timeouts["Tick"] <= 60
    assert timeouts["APIHandler"] <= 29


def test_a_claim_outlives_the_sender_that_made_it(packaged: Packaged) -> None:
    """Expects nobody to take a message over while its sender may still call, and the queue to return it later."""
    settings = Settings()
    call = settings.gateway_connect_timeout + settings.gateway_read_timeout
    (function, source) = packaged.queue_sources()["Sender"]
    assert call < function["Timeout"] / 2 < function["Timeout"] < settings.claim_lease
    assert settings.claim_lease < packaged.source_queue(source)["VisibilityTimeout"]


def test_the_operators_guide_has_each_functions_numbers(packaged: Packaged) -> None:
    """Expects memory, timeout and concurrency in docs/operations.md to be those of the template, with a reason each."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \| (\d*) ?\| \w.+ \|$", text, re.MULTILINE)
    by_default = packaged.by_default()
    sources = by_default.queue_sources()
    assert sorted(told) == sorted(
        (
            function["FunctionName"]["Fn::Sub"].rpartition("-")[2],
            str(function["MemorySize"]),
            str(function["Timeout"]),
            str(sources[name][1]["ScalingConfig"]["MaximumConcurrency"]) if name in sources else "",
        )
        for name, function in by_default.properties(FUNCTION).items()
    )


def test_the_service_uses_the_names_of_its_own_stack(packaged: Packaged) -> None:
    """Expects each function to get the stack's name, and the settings to derive the template's names from it."""
    for function in packaged.properties(FUNCTION).values():
        assert function["Environment"]["Variables"]["RESOURCE_PREFIX"] == {"Ref": "AWS::StackName"}
    settings = Settings(resource_prefix=STACK)
    known = {getattr(settings, name) for name in dir(settings) if name.endswith(("_table", "_queue"))}
    tables = {in_stack(table["TableName"]) for table in packaged.properties(TABLE).values()}
    queues = {in_stack(queue["QueueName"]) for queue in packaged.properties(QUEUE).values()}
    assert tables | queues == known


def test_every_resource_of_the_one_template_is_packaged_unchanged(packaged: Packaged) -> None:
    """Expects tables and queues as infra/resources.yaml has them, unless a parameter says otherwise."""
    text = json.dumps(packaged.by_default().template["Resources"]).replace("${AWS::StackName}", STACK)
    packaged_resources = json.loads(text)
    for name, resource in resources(STACK).items():
        found = json.loads(json.dumps(packaged_resources[name]))
        properties = found["Properties"]
        assert properties.pop("DeletionProtectionEnabled", False) is False
        for key in ("TableName", "QueueName"):
            if key in properties:
                properties[key] = properties[key]["Fn::Sub"]
        assert found == resource


def test_data_is_encrypted_kept_and_can_be_restored(packaged: Packaged) -> None:
    """Expects all three of every table, and encryption of every queue."""
    packaged = packaged.by_default()
    for table in packaged.resources(TABLE).values():
        assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
        assert table["Properties"]["SSESpecification"] == {"SSEEnabled": True}
        assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    for queue in packaged.properties(QUEUE).values():
        assert queue["SqsManagedSseEnabled"] is True


def test_all_logs_go_to_groups_with_a_retention(packaged: Packaged) -> None:
    """Expects one group for each function, under the name that Lambda writes to, and one for the API."""
    groups = {in_stack(one["LogGroupName"]): one for one in packaged.properties(LOG_GROUP).values()}
    functions = {in_stack(one["FunctionName"]) for one in packaged.properties(FUNCTION).values()}
    assert set(groups) == {f"/aws/lambda/{name}" for name in functions} | {f"/aws/apigateway/{STACK}"}
    assert {group["RetentionInDays"] for group in groups.values()} == {30}


def test_the_api_limits_its_requests(packaged: Packaged) -> None:
    """Expects a limit for every method, far below what API Gateway itself would let through."""
    rest = packaged.by_default().template["Resources"]["RestAPI"]["Properties"]
    (settings,) = rest["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert 50 <= settings["ThrottlingRateLimit"] <= settings["ThrottlingBurstLimit"] <= 1000
    assert not {"LoggingLevel", "DataTraceEnabled"} & set(settings), "execution logs hold bodies: phones and texts"


def test_the_api_logs_each_request_without_its_query_and_body(packaged: Packaged) -> None:
    """Expects lines of JSON in the API's own group, with the caller, the route and the result."""
    logging = packaged.template["Resources"]["RestAPI"]["Properties"]["AccessLogSetting"]
    arn = logging["DestinationArn"]["Fn::Sub"]
    assert arn.endswith(":log-group:${ApiAccessLogGroup}"), "API Gateway takes no ARN that ends in :*"
    line = json.loads(logging["Format"])
    assert {"$context.requestId", "$context.status", "$context.resourcePath", "$context.identity.sourceIp"} <= set(
        line.values()
    )
    assert all(value.startswith("$context.") for value in line.values())
    assert "\n" not in logging["Format"]


def test_the_gateways_token_is_in_no_template_and_no_variable(packaged: Packaged) -> None:
    """Expects a secret without a value, whose name gets to those who call the gateway or check its signature."""
    secret = packaged.template["Resources"]["GatewayToken"]["Properties"]
    assert not {"SecretString", "GenerateSecretString"} & set(secret)
    variables = {
        name: set(function["Environment"]["Variables"]) for name, function in packaged.properties(FUNCTION).items()
    }
    assert [name for name, names in variables.items() if "GATEWAY_TOKEN_SECRET" in names] == ["Receiver", "Sender"]
    assert not any("GATEWAY_TOKEN" in names for names in variables.values())


def test_messages_reach_nobody_before_a_gateway_is_named(packaged: Packaged) -> None:
    """Expects the sandbox by default, and no gateway that is called without encryption."""
    parameters = packaged.template["Parameters"]
    assert parameters["Gateway"]["Default"] == "sandbox"
    assert "http:" not in parameters["GatewayUrl"]["AllowedPattern"]


def test_the_functions_of_a_new_stack_send_nothing(packaged: Packaged) -> None:
    """Expects all of them, with the settings of a new stack, to have the sandbox as their gateway."""
    kind = packaged.template["Parameters"]["Gateway"]
    for name, function in packaged.properties(FUNCTION).items():
        assert function["Environment"]["Variables"]["GATEWAY"] == {"Ref": "Gateway"}, name
    assert Settings.from_environment({"GATEWAY": kind["Default"]}).sends_nothing


def test_only_a_stack_that_sends_by_aws_may(packaged: Packaged) -> None:
    """Expects the permission to send to depend on the kind of gateway, and to be the sender's alone."""
    policies = packaged.resources("AWS::IAM::Policy")
    allowed = [one for one in policies.values() if "sms-voice:" in json.dumps(one)]
    assert [(one["Condition"], one["Properties"]["Roles"]) for one in allowed] == [("UsesEum", [{"Ref": "SenderRole"}])]
    assert packaged.template["Conditions"]["UsesEum"] == {"Fn::Equals": [{"Ref": "Gateway"}, "eum"]}


def test_the_api_has_every_route_and_no_authorizer(packaged: Packaged) -> None:
    """An authorizer would be a second invocation for every request, and LocalStack has none."""
    body = packaged.template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    served = {(method.upper(), path): one for path, methods in body["paths"].items() for method, one in methods.items()}
    operations = {(one.method, one.path) for routes in api.ROUTES for one in routes.operations}
    pages = {(method, route.path) for each in admin.PAGES for route in each.routes for method in ("GET", route.method)}
    assert set(served) == operations | pages
    assert [route for route, one in served.items() if "security" in one] == []
    assert "securityDefinitions" not in body


def test_api_gateway_may_call_the_alias_and_does(packaged: Packaged) -> None:
    """Expects every route to name the alias and to be created after it, and the alias to have the permission."""
    rest = packaged.template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    operations = [one for methods in rest["paths"].values() for one in methods.values()]
    called = {one["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"] for one in operations}
    function = packaged.properties(FUNCTION)["APIHandler"]
    (address,) = called
    assert address.endswith(f"/functions/${{APIHandler.Arn}}:{function['AutoPublishAlias']}/invocations")
    assert packaged.template["Resources"]["RestAPI"]["DependsOn"] == [f"APIHandlerAlias{function['AutoPublishAlias']}"]
    permissions = packaged.properties("AWS::Lambda::Permission")
    assert permissions["APIHandlerInvokePermission"]["FunctionName"] == {"Ref": "APIHandler.Alias"}


def test_an_engine_that_cannot_change_an_alias_calls_the_function(packaged: Packaged) -> None:
    """Expects nothing of the alias to be left, and no role for CodeDeploy."""
    direct = without_alias(packaged.template)
    text = json.dumps(direct)
    for word in ("APIHandler.Alias", "APIHandlerAlias", ":live", "AutoPublishAlias", "RolloutRole", "VersionDeletion"):
        assert word not in text
    permission = direct["Resources"]["APIHandlerInvokePermission"]["Properties"]
    assert permission["FunctionName"] == {"Ref": "APIHandler"}
    assert "${APIHandler.Arn}/invocations" in text


def test_alarms_of_the_api_roll_a_new_version_back(packaged: Packaged) -> None:
    """Expects alarms that start within minutes, and a version to be deleted once no alias names it."""
    function = packaged.properties(FUNCTION)["APIHandler"]
    named = [one["Ref"] for one in function["DeploymentPreference"]["Alarms"]]
    assert named == ["ApiServerErrorsAlarm", "ApiErrorsAlarm"]
    soonest = packaged.properties("AWS::CloudWatch::Alarm")["ApiServerErrorsAlarm"]
    assert soonest["Period"] * soonest["DatapointsToAlarm"] <= 120, "a canary lasts five minutes"
    assert function["VersionDeletionPolicy"] == "Delete"


def test_the_stage_is_not_repeated_in_paths(packaged: Packaged) -> None:
    """Expects another name than Chalice's default, which would make /api/api/clients/."""
    assert packaged.template["Resources"]["RestAPI"]["Properties"]["StageName"] == "service"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("ACCESS_DENIED", 403),
        ("MISSING_AUTHENTICATION_TOKEN", 404),
        ("INVALID_SIGNATURE", 404),  # the same with a token, which API Gateway takes for a signature of AWS
        ("THROTTLED", 429),
    ],
)
def test_errors_of_api_gateway_look_like_those_of_the_service(packaged: Packaged, kind: str, status: int) -> None:
    """Expects a problem document with a status that HTTP clients understand."""
    answer = packaged.template["Resources"]["RestAPI"]["Properties"]["GatewayResponses"][kind]
    assert answer["StatusCode"] == status
    assert answer["ResponseParameters"]["Headers"]["Content-Type"] == "'application/problem+json'"
    text = answer["ResponseTemplates"]["application/json"]
    assert json.loads(text)["status"] == status
    assert not set("$#") & set(text), "API Gateway reads these as its own language"
