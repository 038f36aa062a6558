"""`make mutants`: breaks the code that a promise depends on, one change at a time; the tests must notice."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = (
    "tests/unit/services/test_calls.py",
    "tests/unit/domain",
    "tests/integration/storage/test_ledger.py",
    "tests/integration/storage/test_mailings.py",
    "tests/integration/test_main_job.py",
    "tests/integration/test_hints.py",
    "tests/integration/test_faults.py",
    "tests/integration/test_crashes.py",
    "tests/integration/test_changes_while_expanding.py",
    "tests/integration/test_busy_tables.py",
    "tests/integration/test_gateway_answers.py",
    "tests/integration/test_http_gateway.py",
    "tests/integration/test_completion.py",
    "tests/integration/test_changing_clients.py",
    "tests/integration/test_rates_hold.py",
    "tests/integration/test_receipts.py",
    "tests/integration/test_several_gateways.py",
    "tests/integration/test_budgets.py",
    "tests/simulation",
)
_BOUND = 3600  # seconds for the tests of one mutant; a survivor takes all of them
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", ".local", "dist", "__pycache__", ".hypothesis", ".*_cache", "docs")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change that breaks a promise: `text`, which is in `file` once, becomes `instead`."""

    name: str
    file: str
    text: str
    instead: str


MUTANTS = (
    Mutant(
        "claim: take a message whatever has become of it since it was read",
        "chalicelib/storage/bucket_writes.py",
        "WHERE ledger_key = ? AND bucket_no = ? AND revision = ?",
        "WHERE ledger_key = ? AND bucket_no = ? AND revision >= ?",
    ),
    Mutant(
        "neighbours: when somebody has written the bucket, write over what they did to the message itself",
        "chalicelib/storage/bucket_writes.py",
        "unlike = now.revision != old.revision or",
        "unlike = now.status.terminal or",
    ),
    Mutant(
        "neighbours: believe what is remembered of a bucket, however old it is",
        "chalicelib/storage/bucket_writes.py",
        "            if job.is_stale(known):\n",
        "            if False:\n",
    ),
    Mutant(
        "cursor: move it whoever has the shard and wherever it is",
        "chalicelib/storage/mailing_shards.py",
        "(model.owner == old.owner) & (model.cursor == old.cursor) & (model.expanded == old.expanded)",
        "model.part.exists()",
    ),
    Mutant(
        "partial failures: answer that all of a batch is done",
        "chalicelib/workers.py",
        'return {"batchItemFailures": [{"itemIdentifier": item} for item in failed]}',
        'return {"batchItemFailures": []}',
    ),
    Mutant(
        "last look: call whatever has happened since the claim",
        "chalicelib/services/sending/calls.py",
        "        state = self._mailing_cache.get(job.mailing.mailing_id, since)\n",
        "        return\n",
    ),
    Mutant(
        "timeouts: give the answer the time of the connection, and the other way round",
        "chalicelib/gateways/http_adapter.py",
        "_connect_timeout,\n                read_timeout=settings.gateway_read_timeout,",
        "_read_timeout,\n                read_timeout=settings.gateway_connect_timeout,",
    ),
    Mutant(
        "one for all: let a statement that the table is too busy for speak for all of them",
        "chalicelib/storage/bucket_writes.py",
        "        self._read_back(job)\n        return job.applied\n",
        "        self._read_back(job)\n"
        "        return Applied([Written.BUSY] * len(changes)) if job.left else job.applied\n",
    ),
    Mutant(
        "outcomes: forget what the table is too busy for",
        "chalicelib/services/sending/outcomes.py",
        "self._ledger.update([(job.message, new) for job, _, new, _ in written], until=until)",
        "self._ledger.update([(job.message, new) for job, _, new, _ in written], tries=1)\n"
        "        self._unwritten = deque(maxlen=0)",
    ),
    Mutant(
        "closing: begin each shard from its start again",
        "chalicelib/services/dispatching/ledger_walks.py",
        "            walk, changed = self._pages(mailing, walk, step, deadline)",
        '            walk, changed = self._pages(mailing, replace(walk, cursor=""), step, deadline)',
    ),
    Mutant(
        "changed clients: give a row to those only whom the walk meets",
        "chalicelib/services/dispatching/expansion.py",
        "rows, page.cursor = self._missed(mailing, shard, page.cursor.removeprefix(_IN_LOG), now)",
        'rows, page.cursor = list[Message](), ""',
    ),
    Mutant(
        "too many: count a 429 as an attempt",
        "chalicelib/services/sending/outcomes.py",
        "            case Outcome.THROTTLED:\n                return True\n",
        "            case Outcome.THROTTLED:\n                return probe\n",
    ),
    Mutant(
        "opt-out: call whoever has opted out since the claim",
        "chalicelib/services/sending/calls.py",
        "if contact is None or contact.opted_out:",
        "if contact is None:",
    ),
    Mutant(
        "end: call after the window has closed",
        "chalicelib/services/sending/calls.py",
        "if in_the_way := obstacle(state.mailing, now, paid=job.cost > 0):",
        "if in_the_way := obstacle(state.mailing, job.mailing.start_at, paid=job.cost > 0):",
    ),
    Mutant(
        "hours: call outside the client's own",
        "chalicelib/services/sending/calls.py",
        "        if deferral(state.mailing, job.message, now):\n",
        "        if False:\n",
    ),
    Mutant(
        "turn: take one however late it is",
        "chalicelib/services/sending/calls.py",
        "if job.not_before and now > job.not_before + TOLERANCE:",
        "if job.not_before is None and now > calls.latest:",
    ),
    Mutant(
        "rate: book every message for the same moment",
        "chalicelib/domain/pace.py",
        "        moment += widest\n",
        "        moment += 0\n",
    ),
    Mutant(
        "several gateways: send what one may have taken through another",
        "chalicelib/domain/gateway_routes.py",
        "    if not taken(attempts):\n",
        "    if True:\n",
    ),
    Mutant(
        "receipts: believe the last one",
        "chalicelib/domain/deliveries.py",
        "return new if new.rank > old.rank else old",
        "return new",
    ),
    Mutant(
        "budget: look at what is left and not at what is noted",
        "chalicelib/storage/spending.py",
        "condition=spent.does_not_exist() | (spent <= most)",
        "condition=None",
    ),
    Mutant(
        "ledger before queue: hint at what is not written",
        "chalicelib/services/dispatching/expansion.py",
        "zip(rows, self._ledger.insert(rows), strict=True) if new]",
        "zip(rows, [True] * len(rows), strict=True) if new]",
    ),
)


def mutated(mutant: Mutant, directory: Path) -> Path:
    """A copy of the project with the change; raises ValueError if its text is not in the file exactly once."""
    copy = directory / "project"
    shutil.copytree(ROOT, copy, ignore=_LEFT_OUT)
    path = copy / mutant.file
    source = path.read_text(encoding="utf-8")
    if source.count(mutant.text) != 1:
        raise ValueError(f"{mutant.name}: its text stands {source.count(mutant.text)} times in {mutant.file}")
    path.write_text(source.replace(mutant.text, mutant.instead), encoding="utf-8")
    return copy


def caught_by(project: Path, tests: list[str]) -> list[str]:
    """The first test that fails there; None if all pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=_BOUND, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"the tests did not run: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return re.findall(r"^(?:FAILED|ERROR) (\S+::\S+)", done.stdout, re.MULTILINE)


def main() -> int:
    """Say for each mutant which test noticed it first; returns 1 if one survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mutants whose name begins so")
    parser.add_argument("tests", nargs="*", default=list(TESTS))
    asked = parser.parse_args()
    survived = 0
    for mutant in MUTANTS:
        if not mutant.name.startswith(asked.only):
            continue
        with tempfile.TemporaryDirectory() as directory:
            caught = caught_by(mutated(mutant, Path(directory)), asked.tests)
        if caught and caught_by(ROOT, caught):
            raise RuntimeError(f"this test fails with the code as it is, too: {caught[0]}")
        survived += not caught
        sys.stdout.write(f"{mutant.name}\n  {', '.join(caught) or 'SURVIVED'}\n")
        sys.stdout.flush()
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
