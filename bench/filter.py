"""What it costs to narrow a list: 50 tasks out of many, in every way that a query knows."""

import json
import time
from collections.abc import Callable

from bench.crowd import FEW, OWN, TASKS, Line, crowded
from bench.measure import Figure, figure, interleave

QUESTION = "How long does a list of 50 of 100,000 tasks take with each filter, beside the newest 50 without any?"

PLAIN = "newest 50 of all"

WARM = 5
"""Requests of each kind before any is counted."""

PAGE = f"/api/v2/tasks?page_size={OWN}&q="
WHOLE = "/api/v2/tasks?q="

BY_OWNER = {
    PLAIN: PAGE,
    "one owner, whole list": f"{WHOLE}owner:crowd-9",
    "one owner, one status": f"{WHOLE}owner:crowd-9%20status:paused",
    "one organization": f"{PAGE}organization:crowd-3",
    "a status of three in ten": f"{PAGE}status:paused",
    "a status of one in ten": f"{PAGE}status:error",
    "organization and status": f"{PAGE}organization:crowd-3%20status:active",
}
"""Queries of the site's owner, who sees everything."""

BY_MEMBER = {
    "a member, whole list": WHOLE,
    "a member, `owner:me`": f"{WHOLE}owner:me",
}

NOBODY = "a status that no task has"
"""Everything must be looked at to say that there is nothing: the worst case, asked less often."""


def measure(*, quick: bool) -> list[Figure]:
    """Times of lists, those without a filter as the floor."""
    with crowded(FEW if quick else TASKS) as (port, owner, member):
        boss, one = Line(port, owner), Line(port, member)
        times: dict[str, list[float]] = {}
        works = [_timed(times, name, boss, path) for name, path in BY_OWNER.items()]
        works += [_timed(times, name, one, path) for name, path in BY_MEMBER.items()]
        interleave(WARM, *works)
        times.clear()
        interleave(10 if quick else 200, *works)
        interleave(3, _timed(times, NOBODY, boss, f"{PAGE}status:unknown", least=0))
        boss.close()
        one.close()
    floor = (PLAIN, times[PLAIN])
    return [figure(name, took, floor if name != PLAIN else None) for name, took in times.items()]


def _timed(
    times: dict[str, list[float]], name: str, client: Line, path: str, *, least: int = 1
) -> Callable[[], None]:
    """Asks for a list, which must have some tasks, and notes how long that took."""

    def timed() -> None:
        began = time.perf_counter()
        body = client.get(path)
        times.setdefault(name, []).append(time.perf_counter() - began)
        count = json.loads(body)["count"]
        if not least <= count <= OWN:
            raise RuntimeError(f"{path} listed {count} tasks")

    return timed
