"""What it costs to narrow a list: 50 tasks out of many, in every way that a query knows."""

import json
import time
from collections.abc import Callable

from bench.crowd import FEW, TASKS, Line, crowded_site
from bench.measure import Figure, figure, interleave
from bench.seed import OWN, identify

QUESTION = "How long does a list of 50 of 100,000 tasks take with each filter, beside its statement through asyncpg?"

WARM = 5
"""Requests of each kind before any is counted."""

USER9, HERE = identify("user9"), identify("organization3")

BY_OWNER = {
    "no filter": ("", ""),
    "one owner": ("owner:crowd-9", f"owner_id={USER9}"),
    "one owner, one status": (
        "owner:crowd-9%20status:paused",
        f"owner_id={USER9}&status=paused",
    ),
    "one organization": ("organization:crowd-3", f"organization_id={HERE}"),
    "organization and status": (
        "organization:crowd-3%20status:active",
        f"organization_id={HERE}&status=active",
    ),
    "status active, half of all": ("status:active", "status=active"),
    "status paused, three in ten": ("status:paused", "status=paused"),
    "status error, one in ten": ("status:error", "status=error"),
    "status pending, one in ten": ("status:pending", "status=pending"),
    "status initializing, none": ("status:initializing", "status=initializing"),
    "status unknown, none": ("status:unknown", "status=unknown"),
}
"""Queries of the site's owner, who sees everything, and what they come to in the statement."""

BY_MEMBER = {"a member": "", "a member, `owner:me`": "owner:me"}


def measure(*, quick: bool) -> list[Figure]:
    """Times of lists, each with its statement as the floor."""
    with crowded_site(FEW if quick else TASKS) as site:
        boss, one = Line(site.port, site.owner), Line(site.port, site.member)
        times: dict[str, list[float]] = {}
        works = []
        for name, (q, floor) in BY_OWNER.items():
            works.append(_timed(times, name, boss, f"/api/v2/tasks?page_size={OWN}&q={q}"))
            works.append(_timed(times, _floor(name), boss, f"/floor/list?{floor}"))
        for name, q in BY_MEMBER.items():
            works.append(_timed(times, name, one, f"/api/v2/tasks?page_size={OWN}&q={q}"))
            works.append(_timed(times, _floor(name), one, "/floor/list"))
        interleave(WARM, *works)
        times.clear()
        interleave(5 if quick else 200, *works)
        boss.close()
        one.close()
    found = []
    for name in [*BY_OWNER, *BY_MEMBER]:
        floor_name = _floor(name)
        found.append(figure(floor_name, times[floor_name]))
        found.append(figure(name, times[name], (floor_name, times[floor_name])))
    return found


def _floor(name: str) -> str:
    return f"{name}: the statement"


def _timed(times: dict[str, list[float]], name: str, client: Line, path: str) -> Callable[[], None]:
    """Asks for a list, which has tasks unless its name says that there are none, and notes how long that took."""

    def timed() -> None:
        began = time.perf_counter()
        body = client.get(path)
        times.setdefault(name, []).append(time.perf_counter() - began)
        if (json.loads(body)["count"] == 0) != (", none" in name):
            raise RuntimeError(f"{path} listed {json.loads(body)['count']} tasks")

    return timed
