"""Runs the simulation for a fixed number of examples; `make simulate N=…` runs it for as many steps as wanted.

`make test` runs the first few of them, `make proof` all.
"""

import os
import sys

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from tests.simulation.machine import ServiceMachine

STEPS = 100
ASKED = "SIMULATION_STEPS" in os.environ
FIRST = 2  # examples
EXAMPLES = int(os.environ.get("SIMULATION_STEPS", "2000")) // STEPS


class WatchedMachine(ServiceMachine):
    """Tells how far it is if somebody has asked for many steps."""

    examples = steps = calls = 0

    @invariant()
    def count(self) -> None:
        WatchedMachine.steps += 1

    def teardown(self) -> None:
        super().teardown()
        WatchedMachine.examples += 1
        WatchedMachine.calls += len(self.simulation.gateway.log)
        if ASKED:
            told = f"{WatchedMachine.examples} of {EXAMPLES} examples, {WatchedMachine.steps} steps"
            sys.stderr.write(f"\r{told}, {WatchedMachine.calls} calls of the gateway")


def test_the_promises_hold_at_a_glance() -> None:
    """Expects the first examples to break none: who has broken a promise is told by `make test` already."""
    search(FIRST)


@pytest.mark.proof
def test_the_promises_hold_whatever_happens() -> None:
    """Expects no example to break one."""
    search(EXAMPLES)


def search(examples: int) -> None:
    """A failing example is printed as the steps that led to it, and is tried first the next time."""
    run_state_machine_as_test(
        WatchedMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not ASKED,
            print_blob=True,
            # Shrinking takes many times as long as finding; SIMULATION_SHRINK asks for it.
            phases=[phase for phase in Phase if phase is not Phase.shrink or "SIMULATION_SHRINK" in os.environ],
            suppress_health_check=list(HealthCheck),
        ),
    )
