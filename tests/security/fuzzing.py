"""Hypothesis for a bounded time: a number of examples as a test, or for as many minutes as TASKYARD_FUZZ_MINUTES says.

In the long mode each target gets its share of the minutes, with other examples each round, and says how many it saw.
"""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from typing import TypeVar

import anyio.to_thread
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

MINUTES = float(os.environ.get("TASKYARD_FUZZ_MINUTES", "0"))
TARGETS = 8
"""Tests that share the minutes."""
LONG_ROUND = 300
"""Examples of a round of the long mode: after each, others are made of a new seed."""
HANG_S = 2.0
"""Seconds of processor time that one example may take; all take milliseconds."""


def fuzz(strategy: SearchStrategy[T], check: Callable[[T], object], *, examples: int) -> str:
    """How many examples were tried; raises what the check raises, with the smallest example that does it."""
    until, tried, round_ = time.monotonic() + MINUTES * 60 / TARGETS, 0, 0
    began = time.monotonic()
    while round_ == 0 or time.monotonic() < until:

        def once(example: T) -> None:
            nonlocal tried
            tried += 1
            start = time.thread_time()
            check(example)
            assert time.thread_time() - start < HANG_S, "took too long"

        run = settings(
            max_examples=LONG_ROUND if MINUTES else examples,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )(given(strategy)(once))
        (seed(time.time_ns()) if MINUTES else seed(1))(run)()
        round_ += 1
    return f"{tried} examples in {time.monotonic() - began:.0f} s"


async def fuzz_served(
    strategy: SearchStrategy[T],
    check: Callable[[T], Coroutine[None, None, object]],
    *,
    examples: int,
) -> str:
    """The same, for what is served by this loop: examples are made in a thread."""
    loop = asyncio.get_running_loop()

    def checked(example: T) -> None:
        asyncio.run_coroutine_threadsafe(check(example), loop).result()

    return await anyio.to_thread.run_sync(lambda: fuzz(strategy, checked, examples=examples))
