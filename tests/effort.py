"""What work costs the processor, beside other work of the same run: a busy machine makes both of them dear."""

import time
from collections.abc import Callable

TRIES = 3
"""Comparisons until one holds: whatever disturbs one of them is seldom there for three."""


def effort_s(work: Callable[[], object]) -> float:
    """Seconds of processor time that the work takes this thread; waiting and other programs do not count."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def costs_at_most(
    times: float, work: Callable[[], object], yardstick: Callable[[], object]
) -> None:
    """Fails if the work takes more than so many times the effort of the yardstick, whenever it is tried."""
    found: list[float] = []
    for _ in range(TRIES):
        found.append(effort_s(work) / effort_s(yardstick))
        if found[-1] <= times:
            return
    raise AssertionError(f"{min(found):.0f} times the effort of what it is held against")
