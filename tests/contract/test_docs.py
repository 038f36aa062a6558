"""What docs/ says is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

from chalicelib.api.exposition import FAMILIES
from chalicelib.domain.faults import Fault
from chalicelib.domain.reasons import Reason
from chalicelib.domain.statuses import (
    ALL_FIELDS,
    MESSAGE_STATES,
    NOT_LAUNCHED,
    STATES,
    MailingStatus,
    MessageStatus,
)
from chalicelib.gateways import GATEWAYS
from chalicelib.gateways.declaration import OUTCOMES, Declaration
from chalicelib.gateways.declared import read_declaration, ready_made
from chalicelib.gateways.placeholders import OF_A_MESSAGE, OF_THE_GATEWAY
from chalicelib.gateways.sandbox import PLAYED, RECEIPTS, REPLIES
from chalicelib.observability import METRICS
from chalicelib.web import problems
from chalicelib.wording import DETAILED, REASONS
from infra.alarms import RUNBOOK, alarms
from infra.local.gateway_responses import GATEWAY_RESPONSES
from infra.metrics import FUNCTIONS, INDEXES, TABLES
from infra.parameters import table
from tests.contract import marked_texts
from tests.pictures.admin_ui import MAX_BYTES, SHOTS

ROOT = Path(__file__).parents[2]


def test_every_problem_is_in_the_table_of_errors() -> None:
    """Expects each type once, with its status, title and meaning, and no type that does not exist."""
    lines = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| `/problems/")]
    known = [*problems.PROBLEMS.values(), problems.UNEXPECTED]
    assert rows == [f"| `{one.uri}` | {int(one.status)} | {one.title} | {one.meaning} |" for one in known]


def test_every_error_of_api_gateway_is_in_its_table() -> None:
    """Expects each code once, with its status and detail."""
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").partition("| code | status | `detail` |\n")[2]
    rows = text.partition("\n\n")[0].splitlines()[1:]
    told = dict.fromkeys(
        f"| `{one.code}` | {one.status} | {one.detail} |" for one in GATEWAY_RESPONSES.values() if one.code
    )
    assert rows == list(told)


def test_every_reason_is_in_its_table() -> None:
    """Expects code, text, whether it has a detail, and meaning, in the order of the enum, and no other reason."""
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    _, _, table = text.partition("| `reason_code` | `reason` |")
    lines = table.partition("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    texts = {one: re.sub(r"%\(\w+\)s", "…", DETAILED.get(one, REASONS[one])) for one in Reason}
    assert [row[:2] for row in rows] == [[f"`{one}`", texts[one]] for one in Reason]
    assert {row[0].strip("`") for row in rows if row[2]} == set(DETAILED)
    assert all(len(row) == 4 and row[3] for row in rows)


def test_the_words_for_operators_are_those_of_the_admin_ui() -> None:
    """Expects each word of the table in docs/architecture.md to be on a page in this spelling."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("| in the admin UI |")[2]
    words = [line.strip("| ").split(" | ")[0] for line in text.partition("\n\n")[0].splitlines()[2:]]
    known = {one for texts in marked_texts.marked() for one in texts}
    assert len(words) > 10
    assert [word for word in words if word not in known] == []


def test_the_diagrams_of_states_agree_with_the_tables() -> None:
    """Expects the arrows of a mailing to be what may follow; a message ends as the table says, and may be reopened."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = [re.findall(r"^ +(\w+) --> (\w+)", part, re.MULTILINE) for part in text.split("stateDiagram-v2")[1:]]
    mailings, messages = map(set, drawn)
    assert mailings == {(status, next_one) for status, state in STATES.items() for next_one in state.leads_to}
    assert {name for arrow in messages for name in arrow} == {"open", *MessageStatus}
    ends = {status for status, state in MESSAGE_STATES.items() if state.terminal}
    assert {end for start, end in messages if start == "open"} == ends
    assert {start for start, end in messages if end == "open"} == {"failed", "unknown", "expired"}


def test_every_fault_is_in_the_list_of_errors() -> None:
    """Expects each with its text, in the order of the enum, and no other; faults of queue messages are not part of
    the API."""
    told = [one for one in Fault if one not in (Fault.NOT_A_HINT, Fault.NOT_A_RECEIPT, Fault.NOT_A_UNIT)]
    rows = [row for row in _rows("errors.md", "| `") if row[0] != "`code`"]
    assert rows == [[f"`{one.code}`", re.sub(r"%\(\w+\)s", "…", one.value)] for one in told]


def test_the_document_about_gateways_has_every_kind_field_and_placeholder() -> None:
    """Expects every outcome of a rule, too, and the declaration that it shows as an example to be valid."""
    page = (ROOT / "docs" / "gateways.md").read_text(encoding="utf-8")
    first = [row[0].strip("`") for row in _rows("gateways.md", "| `")]
    assert sorted(name for name in first if name in GATEWAYS) == sorted(GATEWAYS)
    assert sorted(name for name in first if name in ready_made()) == ready_made()
    placeholders = {**OF_A_MESSAGE, **OF_THE_GATEWAY}
    assert list(_rows("gateways.md", "| `{")) == [[f"`{{{name}}}`", what] for name, what in placeholders.items()]
    assert set(OUTCOMES) <= set(first)
    assert [row[0] for row in _rows("gateways.md", "| +44")] == [
        f"+447700900{ending}" for ending in (*PLAYED, *RECEIPTS, *REPLIES)
    ]
    assert Declaration.parse(page.split("```json\n")[1].split("```")[0]).name == "acme"
    counts = {row[0].strip("`"): row[-1] for row in _rows("gateways.md", "| `")}
    for name in ready_made():
        assert counts[name] == read_declaration(name).capabilities.counts


def test_every_test_that_proves_a_promise_exists() -> None:
    """docs/promises.md names tests; a name that does not exist proves nothing."""
    text = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`(test_[a-z0-9_]+)(?:\[[^`]*)?`", text))
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(names) > 15
    assert not {name for name in names if f"def {name}(" not in tests}


def _rows(document: str, start: str) -> list[list[str]]:
    """The cells of every row in a document's tables that begins like this."""
    lines = (ROOT / "docs" / document).read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith(start)]


def test_every_metric_of_prometheus_is_in_its_table() -> None:
    """Expects type, labels and meaning as in /metrics (tests/integration/api/test_metrics.py), and no other metric."""
    rows = _rows("observability.md", "| `message_service_")
    assert rows == [
        [f"`message_service_{one.name}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), one.about]
        for one in FAMILIES
    ]


def test_every_metric_of_cloudwatch_is_in_its_table() -> None:
    """Expects unit, dimension and meaning as functions emit them (tests/integration/test_emf.py), and no other
    metric."""
    dimensions = {one: f"`{one.dimension}`: {', '.join(one.values)}" if one.dimension else "" for one in METRICS}
    rows = [
        row for row in _rows("observability.md", "| `") if len(row) == 4 and row[1] in {one.unit for one in METRICS}
    ]
    assert rows == [[f"`{one.name}`", one.unit, dimensions[one], one.about] for one in METRICS]
    told = re.search(r"there\nare (\d+) of them", (ROOT / "docs" / "observability.md").read_text(encoding="utf-8"))
    assert told
    assert int(told[1]) == sum(max(1, len(one.values)) for one in METRICS)


def test_what_may_be_done_in_each_state_is_in_its_table() -> None:
    """Expects a row for every status, and for those that differ before the launch: actions, fields and what may
    follow."""
    rows = [(f"`{status}`", state) for status, state in STATES.items()]
    rows += [(f"`{status}`, not launched", state) for status, state in NOT_LAUNCHED.items()]
    expected = {}
    for name, state in rows:
        fields = "all" if state.fields == ALL_FIELDS else ", ".join(f"`{field}`" for field in sorted(state.fields))
        follow = ", ".join(status for status in MailingStatus if status in state.leads_to)
        expected[name] = [part or "\u2013" for part in (", ".join(state.actions), fields, follow)]
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("| status | people may |")[2]
    lines = text.partition("\n\n")[0].splitlines()[2:]
    told = {name: rest for name, *rest in (line.strip("| ").split(" | ") for line in lines)}
    assert told == expected


# Alarms that have one line together: those of functions, of tables and of indexes.
FAMILIES_OF_ALARMS = {
    "NAME-errors": [f"{name}-errors" for name in FUNCTIONS],
    "NAME-throttles": [f"{name}-throttles" for name in FUNCTIONS],
    "TABLE-throttles": [f"{name}-throttles" for name in TABLES],
    "TABLE-INDEX-throttles": [f"{table}-{index}-throttles" for table, index in INDEXES],
}


@pytest.mark.parametrize(
    ("document", "heading"), [("observability.md", "Alarms"), ("operations.md", "When an alarm rings")]
)
def test_every_alarm_is_in_its_tables(document: str, heading: str) -> None:
    """Expects its meaning in one table and what to do in the other, and no row without an alarm."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    rows = re.findall(r"^\| `([A-Za-z-]+)` \| (.+) \|$", text.partition("\n## ")[0], re.MULTILINE)
    named = [title for name, _ in rows for title in FAMILIES_OF_ALARMS.get(name, [name])]
    assert sorted(named) == sorted(one.title for one in alarms())
    assert all(len(line) > 40 for _, line in rows)


def test_every_alarm_names_its_runbook() -> None:
    """Expects the heading in its description to exist."""
    path, _, heading = RUNBOOK.partition("#")
    assert heading in _headings(ROOT / path)
    assert all(RUNBOOK in one.resource()["Properties"]["AlarmDescription"] for one in alarms())


def test_every_parameter_of_the_stack_is_in_its_table() -> None:
    """Expects variable, default, bounds and meaning as in the template, in its order, and no other."""
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8").partition("\n## Parameters of the stack\n")[2]
    rows = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    assert rows == table()
    assert all(re.fullmatch(r"[A-Z][^|]{20,}", row.rpartition(" | ")[2].removesuffix(" |")) for row in rows)


def test_the_monthly_price_of_metrics_and_alarms_is_right() -> None:
    """Expects docs/operations.md to have as many metrics and alarms as there are, at their price."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    row = re.search(
        r"^\| (\d+) metrics of its own, alarms on (\d+) metrics, one dashboard \| (.+) \|$", text, re.MULTILINE
    )
    assert row
    metrics = sum(max(1, len(one.values)) for one in METRICS)
    watched = sum(2 if one.other else 1 for one in alarms())
    assert (int(row[1]), int(row[2])) == (metrics, watched)
    assert row[3] == f"${0.30 * metrics:.2f} + ${0.10 * watched:.2f} + $3.00"


def test_every_aws_command_is_known_to_aws() -> None:
    """Expects service, operation and options to be in botocore's models, from which the command line is made."""
    session = botocore.session.get_session()
    found = 0
    for path in (ROOT / "docs").glob("*.md"):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for service, operation, rest in re.findall(r"\baws ([a-z0-9-]+) ([a-z-]+)([^\n`)]*)", text):
            model = session.get_service_model(service)
            known = {xform_name(name): name for name in model.operation_names}
            assert operation.replace("-", "_") in known, f"{path.name}: aws {service} {operation}"
            shape = model.operation_model(known[operation.replace("-", "_")]).input_shape
            options = {xform_name(name).replace("_", "-") for name in (shape.members if shape else {})}
            given = set(re.findall(r" --([a-z-]+)", rest)) - {"query", "output"}
            assert given <= options, f"{path.name}: aws {service} {operation}"
            found += 1
    assert found > 12


def test_links_between_documents_work() -> None:
    """Expects the files and headings that they name to exist."""
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            name, _, heading = target.partition("#")
            if "://" in target:
                continue
            linked = path.parent / name if name else path
            assert linked.exists(), f"{path.name}: {target}"
            if heading:
                assert heading in _headings(linked), f"{path.name}: {target}"


def _headings(path: Path) -> set[str]:
    """The anchors of a document's headings."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_pictures_of_the_readme_exist_and_are_small() -> None:
    """Expects each to be made by a command, and below 150 KB."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"docs/images/[\w-]+\.png", text))
    assert named == {shot.file.relative_to(ROOT).as_posix() for shot in SHOTS}
    assert [name for name in named if (ROOT / name).stat().st_size > MAX_BYTES] == []
