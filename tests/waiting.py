"""Waiting for what other processes do."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 60.0
"""Seconds within which a busy machine does what a test waits for."""

LOOK_S = 0.02
"""Seconds between looks."""


def until(what: str, look: Callable[[], T | None], *, within_s: float = DEADLINE_S) -> T:
    """What the look finds, once it is not None; fails after a deadline."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(LOOK_S)
    raise AssertionError(f"waited {within_s:g} s in vain for {what}")
