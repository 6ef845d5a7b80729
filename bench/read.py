"""How quick one task is read: by one client, and by many at once."""

import time
from collections.abc import Callable
from functools import partial

from bench.crowd import FEW, TASKS, Line, crowded, identify
from bench.measure import Figure, figure, interleave

QUESTION = "How long does GET of one task take among 100,000, token and rights checked, beside one round trip to Postgres?"

CLIENTS = 16
"""Requests that are on their way at once: more than there are connections to Postgres."""

WARM = 30
"""Requests before any is counted: Postgres settles on a plan after some five on each connection."""

FLOOR = "`select 1` behind a bare handler"


def measure(*, quick: bool) -> list[Figure]:
    """Times of single requests, and of an answer when many clients ask at once."""
    with crowded(FEW if quick else TASKS) as (port, _, token):
        clients = [Line(port, token) for _ in range(CLIENTS)]
        paths = {
            FLOOR: "/floor",
            "key only: GET users/me": "/api/v2/users/me",
            "GET task by id": f"/api/v2/tasks/me/{identify('task7')}",
            "GET task by name": "/api/v2/tasks/me/crowd-7",
        }
        times: dict[str, list[float]] = {}
        works = [
            work
            for name, path in paths.items()
            for work in (
                _timed(times, name, partial(clients[0].get, path), 1),
                _timed(times, _many(name), partial(_at_once, clients, path), CLIENTS),
            )
        ]
        interleave(WARM, *works)
        times.clear()
        interleave(30 if quick else 1000, *works)
        for client in clients:
            client.close()
    one, many = (FLOOR, times[FLOOR]), (_many(FLOOR), times[_many(FLOOR)])
    alone = [figure(name, times[name], one if name != FLOOR else None) for name in paths]
    crowd = [
        figure(_many(name), times[_many(name)], many if name != FLOOR else None) for name in paths
    ]
    return alone + crowd


def _many(name: str) -> str:
    return f"{name}, {CLIENTS} clients: time an answer"


def _at_once(clients: list[Line], path: str) -> None:
    for client in clients:
        client.ask(path)
    for client in clients:
        client.answer()


def _timed(
    times: dict[str, list[float]], name: str, work: Callable[[], object], answers: int
) -> Callable[[], None]:
    """The work, which notes how long each of its answers took."""

    def timed() -> None:
        began = time.perf_counter()
        work()
        times.setdefault(name, []).append((time.perf_counter() - began) / answers)

    return timed
