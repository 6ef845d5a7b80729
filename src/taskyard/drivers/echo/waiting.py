"""How scripts wait: for a time, or for a file that a test makes."""

import asyncio
import os

LOOK_S = 0.01
"""Seconds between looks for a file that a script waits for."""


async def pause(sleep_s: float, wait_for: str | None) -> None:
    """Returns after so many seconds, and once the file exists."""
    await asyncio.sleep(sleep_s)
    while wait_for is not None and not _exists(wait_for):  # noqa: ASYNC110 - a file rings no bell
        await asyncio.sleep(LOOK_S)


def _exists(path: str) -> bool:
    return os.path.lexists(path)
