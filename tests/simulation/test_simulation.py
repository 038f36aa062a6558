"""Runs the simulation for a fixed number of examples; `make simulate N=…` runs it for as many steps as wanted."""

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.machine import ServiceMachine

STEPS = 50
EXAMPLES = int(os.environ.get("SIMULATION_STEPS", "2000")) // STEPS


def test_the_promises_hold_whatever_happens() -> None:
    """A failing example is printed as the steps that led to it, and is tried first the next time."""
    run_state_machine_as_test(
        ServiceMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize="SIMULATION_STEPS" not in os.environ,
            print_blob=True,
            # Shrinking takes many times as long as finding; SIMULATION_SHRINK asks for it.
            phases=[phase for phase in Phase if phase is not Phase.shrink or "SIMULATION_SHRINK" in os.environ],
            suppress_health_check=list(HealthCheck),
        ),
    )
