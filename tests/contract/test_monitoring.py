"""Alarms and the dashboard watch what exists: metrics that are emitted, of resources that the template has."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from chalicelib.observability import METRICS, NAMESPACE
from tests.contract.packaged import FUNCTION, LOG_GROUP, QUEUE, STACK, TABLE, Packaged, in_stack
from tests.support.full_run import full_run

Watched = tuple[str, str, frozenset[tuple[str, str]]]  # namespace, metric, dimensions
# Those of AWS that are used, with their dimensions: the CloudWatch pages of SQS, Lambda, DynamoDB and API Gateway.
OF_QUEUES = {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage", "NumberOfMessagesDeleted"}
OF_AWS = {
    "AWS/SQS": ([{"QueueName"}], OF_QUEUES),
    "AWS/Lambda": ([{"FunctionName"}], {"Errors", "Throttles", "Invocations", "Duration", "ConcurrentExecutions"}),
    "AWS/DynamoDB": ([{"TableName"}, {"TableName", "GlobalSecondaryIndexName"}], {"WriteThrottleEvents"}),
    "AWS/ApiGateway": ([{"ApiName", "Stage"}], {"Count", "4XXError", "5XXError", "Latency"}),
}


def _alarms(packaged: Packaged) -> dict[str, dict[str, Any]]:
    return packaged.properties("AWS::CloudWatch::Alarm")


def _widgets(packaged: Packaged) -> list[dict[str, Any]]:
    (dashboard,) = packaged.properties("AWS::CloudWatch::Dashboard").values()
    found: list[dict[str, Any]] = json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]
    return found


def _of_alarms(packaged: Packaged) -> list[Watched]:
    return [
        (
            one["Namespace"],
            one["MetricName"],
            frozenset((part["Name"], _text(part["Value"])) for part in one["Dimensions"]),
        )
        for alarm in _alarms(packaged).values()
        for one in ([query["MetricStat"]["Metric"] for query in alarm.get("Metrics", [])[:-1]] or [alarm])
    ]


def _of_dashboard(packaged: Packaged) -> list[Watched]:
    lines = [line for widget in _widgets(packaged) for line in widget["properties"].get("metrics", [])]
    return [
        (namespace, name, frozenset((key, _text(value)) for key, value in zip(rest[::2], rest[1::2], strict=False)))
        for namespace, name, *rest in (line[:-1] for line in lines)
    ]


def _text(value: Any) -> str:
    return in_stack(value if isinstance(value, dict) else {"Fn::Sub": value})


def test_every_metric_of_aws_exists(packaged: Packaged) -> None:
    """Expects names and dimensions as AWS spells them."""
    for namespace, name, dimensions in _of_alarms(packaged) + _of_dashboard(packaged):
        if namespace.startswith("AWS/"):
            keys, names = OF_AWS[namespace]
            assert name in names, f"{namespace} {name}"
            assert {key for key, _ in dimensions} in keys, f"{namespace} {name}"


def test_every_metric_of_our_own_is_emitted(packaged: Packaged) -> None:
    """Expects names and dimensions of the list, which is what a run emits (tests/integration/test_emf.py)."""
    known = {
        (NAMESPACE, metric.name, frozenset([("service", STACK), *((metric.dimension, value) for value in values)]))
        for metric in METRICS
        for values in ([[value] for value in metric.values] or [[]])
    }
    ours = {one for one in _of_alarms(packaged) + _of_dashboard(packaged) if not one[0].startswith("AWS/")}
    assert ours == known


def test_the_functions_name_the_stack_as_their_service(packaged: Packaged) -> None:
    """Expects every function to emit its metrics with the dimension that the dashboard and the alarms use."""
    for function in packaged.properties(FUNCTION).values():
        assert function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == {"Ref": "AWS::StackName"}


def test_what_is_watched_is_in_the_template(packaged: Packaged) -> None:
    """Expects each dimension to be the name of the API, or of a queue, function or table that the stack creates."""
    rest = packaged.template["Resources"]["RestAPI"]["Properties"]
    made = {
        "QueueName": {in_stack(one["QueueName"]) for one in packaged.properties(QUEUE).values()},
        "FunctionName": {in_stack(one["FunctionName"]) for one in packaged.properties(FUNCTION).values()},
        "TableName": {in_stack(one["TableName"]) for one in packaged.properties(TABLE).values()},
        "ApiName": {in_stack(rest["DefinitionBody"]["info"]["title"])},
        "Stage": {rest["StageName"]},
        "GlobalSecondaryIndexName": {index for _, index in _indexes(packaged)},
    }
    watched = _of_alarms(packaged) + _of_dashboard(packaged)
    found: dict[str, set[str]] = {key: set() for key in made}
    for namespace, _, dimensions in watched:
        if namespace.startswith("AWS/"):
            for key, value in dimensions:
                found[key].add(value)
    assert found == made


def _indexes(packaged: Packaged) -> set[tuple[str, str]]:
    """Every index, with the name of its table."""
    return {
        (in_stack(table["TableName"]), index["IndexName"])
        for table in packaged.properties(TABLE).values()
        for index in table.get("GlobalSecondaryIndexes", [])
    }


def test_every_table_and_every_index_has_an_alarm_for_its_throttles(packaged: Packaged) -> None:
    """Expects an alarm for each index, too: it holds up the writes of its table, whose own metric does not show it."""
    tables = {(in_stack(one["TableName"]), None) for one in packaged.properties(TABLE).values()}
    watched = [dict(dimensions) for _, name, dimensions in _of_alarms(packaged) if name == "WriteThrottleEvents"]
    found = [(one["TableName"], one.get("GlobalSecondaryIndexName")) for one in watched]
    assert set(found) == tables | _indexes(packaged)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_every_function_has_an_alarm(packaged: Packaged, metric: str) -> None:
    """Expects one alarm for its errors and one for its throttles."""
    functions = {in_stack(one["FunctionName"]) for one in packaged.properties(FUNCTION).values()}
    watched = {dict(dimensions).get("FunctionName") for _, name, dimensions in _of_alarms(packaged) if name == metric}
    assert watched == functions


def test_every_dead_letter_queue_has_an_alarm(packaged: Packaged) -> None:
    """Expects an alarm above zero for each queue that gets other queues' dead letters."""
    queues = packaged.properties(QUEUE)
    dead = {
        queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for queue in queues.values()
        if "RedrivePolicy" in queue
    }
    ringing = {
        _text(one["Dimensions"][0]["Value"])
        for one in _alarms(packaged).values()
        if one.get("MetricName") == "ApproximateNumberOfMessagesVisible" and one["Threshold"] == 0
    }
    assert ringing == {in_stack(queues[name]["QueueName"]) for name in dead}


def test_an_alarm_notifies_the_topic_and_names_its_stack(packaged: Packaged) -> None:
    """Expects every alarm to do so when it begins and when it ends; two stages have nothing in common."""
    names = [alarm["AlarmName"]["Fn::Sub"] for alarm in _alarms(packaged).values()]
    assert len(names) == len(set(names)) > 20
    assert all(name.startswith("${AWS::StackName}-") for name in names)
    for alarm in _alarms(packaged).values():
        assert alarm["AlarmActions"] == alarm["OKActions"]
        assert alarm["AlarmActions"]["Fn::If"][:2] == ["HasAlarmTopic", [{"Ref": "AlarmTopic"}]]


def test_the_dashboard_shows_every_alarm(packaged: Packaged) -> None:
    """Expects their states at the top, and no two graphs in the same place."""
    widgets = _widgets(packaged)
    shown = re.findall(r"\$\{(\w+)\.Arn\}", json.dumps(widgets[0]["properties"]["alarms"]))
    assert sorted(shown) == sorted(_alarms(packaged))
    places = [(widget["x"], widget["y"]) for widget in widgets]
    assert len(places) == len(set(places))
    assert all(widget["x"] + widget["width"] <= 24 for widget in widgets)


def test_the_saved_queries_read_the_logs_of_all_functions(packaged: Packaged) -> None:
    """Expects this stack's functions and no others, and a query for an id that the reader fills in."""
    queries = packaged.properties("AWS::Logs::QueryDefinition")
    logs = {in_stack(one["LogGroupName"]) for one in packaged.properties(LOG_GROUP).values()}
    functions = {name for name in logs if name.startswith("/aws/lambda/")}
    assert len(functions) == len(packaged.properties(FUNCTION))
    for query in queries.values():
        assert {in_stack(one) for one in query["LogGroupNames"]} == functions
    asked = {name: set(re.findall(r"{{(\w+)}}", query["QueryString"])) for name, query in queries.items()}
    known = {name: {one["Name"] for one in query.get("Parameters", [])} for name, query in queries.items()}
    assert asked == known == {"HistoryQuery": {"id"}, "TroubleQuery": set()}


def test_the_saved_queries_use_keys_that_records_have(packaged: Packaged) -> None:
    """Expects each field of a query in some record of a run."""
    keys = set().union(*(record.keys() for record in full_run().records)) | {"@timestamp", "@message"}
    for query in packaged.properties("AWS::Logs::QueryDefinition").values():
        fields = query["QueryString"].splitlines()[0].removeprefix("fields ").split(", ")
        assert set(fields) <= keys
