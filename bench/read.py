"""How quick reads are, how much of the processor they take, and how both grow with what there is."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from bench.bridged import cpu_s
from bench.crowd import FEW, TASKS, Line, Site, crowded_site
from bench.measure import Figure, amount, figure, interleave
from bench.seed import MILLION, OWN, identify

QUESTION = (
    "How long do GET of one task and a list of 50 take, token and rights checked, beside the same statements through "
    "asyncpg and an encoder, by how many tasks there are and how many ask at once? How much of the processor does the "
    "server take for each, and how long does one task take while it is asked for 350 times a second, whether the last "
    "ones are answered or not?"
)

SIZES = (10, 10_000, TASKS, MILLION)
QUICK_SIZES = (10, FEW)
CLIENTS = (1, 16, 64)

WARM = 30
"""Requests before any is counted: Postgres settles on a plan after some five on each connection."""

RATE = 350
"""Requests a second of the open loop."""

ONE, LIST = "one task", "list of 50"
OURS = {ONE: f"/api/v2/tasks/me/{identify('task7')}", LIST: f"/api/v2/tasks?page_size={OWN}"}
FLOOR = {ONE: f"/floor/one?task={identify('task7')}", LIST: "/floor/list"}


def measure(*, quick: bool) -> list[Figure]:
    """Times of answers at each size, then processor and open loop where there are many tasks."""
    sizes = QUICK_SIZES if quick else SIZES
    with ExitStack() as stack:
        sites = {size: stack.enter_context(crowded_site(size)) for size in sizes}
        figures = _times(sites, rounds=1 if quick else 600)
        figures += _growth(sites, rounds=5 if quick else 1000)
        busiest = sites[sizes[-1] if quick else TASKS]
        figures += _processor(busiest, blocks=1 if quick else 12, block=25 if quick else 250)
        figures += asyncio.run(_open_loop(busiest, seconds=1 if quick else 30))
    return figures


def _times(sites: dict[int, Site], *, rounds: int) -> list[Figure]:
    found = []
    for what in OURS:
        for count in CLIENTS:
            found += _at_once(sites, what, count, max(1, rounds // count))
    return found


def _at_once(sites: dict[int, Site], what: str, count: int, rounds: int) -> list[Figure]:
    """What so many at once wait for at each size, in turns with the statements alone."""
    times: dict[str, list[float]] = {}
    names = {size: f"{what} of {size:,}, {count} at once" for size in sites}
    works = []
    with ExitStack() as stack:
        for size, site in sites.items():
            lines = stack.enter_context(_lines(site, count))
            works.append(_timed(times, f"{names[size]}: the statements", lines, FLOOR[what]))
            works.append(_timed(times, names[size], lines, OURS[what]))
        interleave(min(rounds, WARM), *works)
        times.clear()
        interleave(rounds, *works)
    found = []
    for name in names.values():
        floor = f"{name}: the statements"
        found.append(figure(floor, times[floor]))
        found.append(figure(name, times[name], (floor, times[floor])))
    return found


def _growth(sites: dict[int, Site], *, rounds: int) -> list[Figure]:
    """Both reads at the last size beside those at the second one, or at the first of two."""
    few, many = [*sites][1 if len(sites) > 2 else 0], [*sites][-1]
    times: dict[str, list[float]] = {}
    with ExitStack() as stack:
        works = []
        for size in (few, many):
            lines = stack.enter_context(_lines(sites[size], 1))
            works += [_timed(times, f"{what}, {size:,} tasks", lines, OURS[what]) for what in OURS]
        interleave(min(rounds, WARM), *works)
        times.clear()
        interleave(rounds, *works)
    found = []
    for what in OURS:
        floor = f"{what}, {few:,} tasks"
        name = f"{what}, {many:,} tasks"
        found.append(figure(floor, times[floor]))
        found.append(figure(name, times[name], (floor, times[floor])))
    return found


def _processor(site: Site, *, blocks: int, block: int) -> list[Figure]:
    """Milliseconds of the server's processor time for an answer; block is how many requests are counted at once."""
    spent = defaultdict[str, list[float]](list)
    with _lines(site, 1) as [line]:
        works = [
            _spending(
                spent[f"processor, {what}{rest}"], site.pid, partial(line.get, paths[what]), block
            )
            for what in OURS
            for rest, paths in ((": the statements", FLOOR), ("", OURS))
        ]
        interleave(blocks, *works)
    found = []
    for what in OURS:
        name, floor = f"processor, {what}", f"processor, {what}: the statements"
        found.append(amount(floor, "ms", spent[floor]))
        found.append(amount(name, "ms", spent[name], (floor, spent[floor])))
    return found


async def _open_loop(site: Site, *, seconds: int) -> list[Figure]:
    """Times from the moment at which each request was due: what waits for a free connection waits too."""
    took: list[float] = []
    # First in, first out: the server hangs up on a connection that is not used for seconds.
    idle: asyncio.Queue[Line] = asyncio.Queue()
    with _lines(site, max(CLIENTS)) as lines:
        for line in lines:
            idle.put_nowait(line)
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(RATE * seconds):
                due = began + number / RATE
                await asyncio.sleep(due - time.perf_counter())
                group.create_task(_asked(idle, due, took))
    return [figure(f"{ONE}, {RATE} requests a second", took)]


async def _asked(idle: "asyncio.Queue[Line]", due: float, took: list[float]) -> None:
    line = await idle.get()
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    line.ask(OURS[ONE])
    loop.add_reader(line.fileno(), readable.set)
    await readable.wait()
    loop.remove_reader(line.fileno())
    line.answer()
    took.append(time.perf_counter() - due)
    idle.put_nowait(line)


@contextmanager
def _lines(site: Site, count: int) -> Iterator[list[Line]]:
    lines = [Line(site.port, site.owner) for _ in range(count)]
    try:
        yield lines
    finally:
        for line in lines:
            line.close()


def _timed(
    times: dict[str, list[float]], name: str, lines: list[Line], path: str
) -> Callable[[], None]:
    """Asks on all lines at once, and notes how long an answer took."""

    def timed() -> None:
        began = time.perf_counter()
        for line in lines:
            line.ask(path)
        for line in lines:
            line.answer()
        times.setdefault(name, []).append((time.perf_counter() - began) / len(lines))

    return timed


def _spending(
    spent: list[float], pid: int, work: Callable[[], object], block: int
) -> Callable[[], None]:
    """Does the work block times, and notes the milliseconds that the process spent on each."""

    def spending() -> None:
        before = cpu_s(pid)
        for _ in range(block):
            work()
        spent.append((cpu_s(pid) - before) * 1000 / block)

    return spending
