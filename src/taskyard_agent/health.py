"""Watches the apps that have a health check."""

import asyncio
from collections.abc import Callable

from taskyard_agent.fetch import Ask, FetchFailed, fetch
from taskyard_agent.protocol import HealthCheck

FIRST_PAUSE_S = 0.05
"""Seconds between the first two looks; doubled up to the interval until the app is healthy."""

TIMEOUT_MIN_S = 1.0
"""Least seconds that an app may take to answer, however short its interval."""


async def watch_health(check: HealthCheck, report: Callable[[str], None]) -> None:
    """Looks for ever and reports each change: healthy at the first 2xx, unhealthy after `threshold` failures.

    Quick first looks do not count as failures of their own: an app that never was healthy has as
    long as `threshold` intervals to come up.
    """
    clock = asyncio.get_running_loop().time
    interval_s = max(check.interval_s, 1)
    pause_s = FIRST_PAUSE_S
    health = "initializing"
    good_until = clock()
    while True:
        if await _answers(check.url, max(interval_s, TIMEOUT_MIN_S)):
            good_until, pause_s = clock(), interval_s
            found = "healthy"
        else:
            lasted_s = clock() - good_until
            found = "unhealthy" if lasted_s >= (check.threshold - 0.5) * interval_s else health
        if found != health:
            health = found
            report(health)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, interval_s)


async def _answers(url: str, timeout_s: float) -> bool:
    try:
        answer = await fetch(Ask(url), timeout_s)
    except FetchFailed:
        return False
    return 200 <= answer.status < 300
