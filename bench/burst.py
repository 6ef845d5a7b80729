"""What becomes of many tasks that are created at once."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from bench.create import started
from bench.fresh import first_token, fresh_server, shell_version, wait
from bench.measure import Figure, amount, figure
from taskyard.sdk import Client
from taskyard.wire.tasks import CreateTaskRequest, Task

QUESTION = (
    "How long until all of 100 shell tasks that are created at once are `active`, beside as many trees of the same "
    "programs, two at a time? Of 500 on a server of default settings, each deleted once it is active: how long until "
    "each had its turn, and how many begin before one whose 201 was there when they were sent?"
)

CLIENTS = 8
"""Requests that are on their way at once."""

AT_ONCE = 2
"""Trees of programs that start at the same time: one for each core."""

LOOK_S = 0.1
"""Seconds between two looks at the list."""

WAIT_S = 900.0
"""Seconds until a task that is not there counts as lost."""


def measure(*, quick: bool) -> list[Figure]:
    """A burst that fits, beside its floor, then one that does not, each on a fresh server."""
    if quick:
        return [*_fitting(4), *_queueing(8, "--max-running", "3")]
    return [*_fitting(100), *_queueing(500)]


def _fitting(count: int) -> list[Figure]:
    floor = f"{count} trees of the same programs"
    with fresh_server("--max-running", str(count)) as server, _first(server.url) as (client, more):
        version = shell_version(client)
        bare = [_bare(count)]
        began = time.perf_counter()
        posts = _posted(more, version, count)
        wait(lambda: len(_active(client)) == count, WAIT_S)
        took = time.perf_counter() - began
    return [
        amount(floor, "s", bare),
        figure(f"POST to 201, of {count}", [post.answered - post.sent for post in posts]),
        amount(f"until all of {count} are active", "s", [took], (floor, bare)),
    ]


def _queueing(count: int, *options: str) -> list[Figure]:
    begun: dict[UUID, datetime] = {}
    with fresh_server(*options) as server, _first(server.url) as (client, more):
        version = shell_version(client)
        began = time.perf_counter()
        posts = _posted(more, version, count)
        accepted = time.perf_counter() - began
        wait(lambda: _take(client, begun) == count, WAIT_S)
        took = time.perf_counter() - began
        wait(lambda: not client.list_tasks().tasks, WAIT_S)
    return [
        figure(f"POST to 201, of {count}", [post.answered - post.sent for post in posts]),
        amount(f"until {count} are accepted", "s", [accepted]),
        amount(f"until each of {count} was active once", "s", [took]),
        amount("begun before an earlier one", "tasks", [_disorder(posts, begun)]),
    ]


@contextmanager
def _first(url: str) -> Iterator[tuple[Client, Callable[[], Client]]]:
    """A client of the owner, and what makes more of them."""
    token = first_token(url)
    with Client(url, token) as client:
        yield client, partial(Client, url, token)


@dataclass(frozen=True, slots=True)
class _Post:
    """A task and when it was asked for and accepted."""

    task: UUID
    sent: float
    answered: float


def _posted(more: Callable[[], Client], version: UUID, count: int) -> list[_Post]:
    """Tasks of as many requests, some at a time. Raises ApiError when one is refused."""
    request = CreateTaskRequest(template_version_id=version, input="")

    def post(share: int) -> list[_Post]:
        posts = []
        with more() as mine:
            for _ in range(share):
                sent = time.perf_counter()
                task = mine.create_task("me", request).id
                posts.append(_Post(task, sent, time.perf_counter()))
        return posts

    shares = [len(range(first, count, CLIENTS)) for first in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        return [post for posts in pool.map(post, shares) for post in posts]


def _active(client: Client) -> list[Task]:
    time.sleep(LOOK_S)
    return client.list_tasks("status:active").tasks


def _take(client: Client, begun: dict[UUID, datetime]) -> int:
    """Deletes those that are active, having noted when each began; how many have been until now."""
    for task in _active(client):
        if task.id not in begun:
            assert task.workspace_id is not None
            job = client.get_workspace(task.workspace_id).latest_build.job
            assert isinstance(job.started_at, datetime)
            begun[task.id] = job.started_at
            client.delete_task("me", task.id)
    return len(begun)


def _disorder(posts: list[_Post], begun: dict[UUID, datetime]) -> int:
    """How many began before another that was accepted before they were sent."""
    return sum(
        any(one.answered < post.sent and begun[one.task] > begun[post.task] for one in posts)
        for post in posts
    )


def _bare(count: int) -> float:
    """Seconds until so many trees of the floor's programs are there."""
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = list(pool.map(lambda _: started(), range(count)))
    took = time.perf_counter() - began
    for process in made:
        process.communicate()
    return took
