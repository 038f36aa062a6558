"""Garbage collection in the processes of `make run`: seldom, and without what is there from the start."""

from __future__ import annotations

import gc

_ALLOCATIONS = 20_000  # objects more than were freed, before the youngest are looked at; Python's own number is 700


def collect_seldom() -> None:
    """Leave all objects of this moment out of collections, and collect others more seldom.

    Nearly everything is freed by its reference count. A collection finds only cycles, such as exceptions with their
    frames, and walks over all that the emulator keeps to do so: a fifth of the CPU time of a mailing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)
