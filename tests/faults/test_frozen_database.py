"""Postgres is there and says nothing: who is told to stop stops all the same."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskyard.sdk.local import LocalServer
from tests.faults.holds import strike
from tests.faults.yard import Yard, open_yard
from tests.system.kit import processes_of
from tests.waiting import until

pytestmark = pytest.mark.all_tier

PROMISE_S = 10.0
"""Seconds within which a server stops, whatever Postgres does."""


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """A server and a worker with an active task."""
    with open_yard(tmp_path / "log") as yard:
        made = yard.new()
        yard.create(made)
        yard.until_answered(made)
        yield yard


@contextmanager
def frozen(yard: Yard) -> Iterator[None]:
    """Nothing of Postgres runs meanwhile, and both processes have noticed."""
    pids = yard.postgres()
    for pid in pids:
        strike(pid, signal.SIGSTOP)
    try:
        time.sleep(2.0)  # the leases, the beats and the looks of everybody come round
        yield
    finally:
        for pid in pids:
            strike(pid, signal.SIGCONT)


def stopped(process: LocalServer, number: int) -> float:
    """Seconds that it took to stop; fails where it took longer than that is promised."""
    began = time.monotonic()
    process.process.send_signal(number)
    until(
        "the end",
        lambda: None if process.process.poll() is None else True,
        within_s=3 * PROMISE_S,
    )
    return time.monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "sigint"])
def test_stopping(yard: Yard, number: int) -> None:
    """The worker and then the server end in time; told by hand, no workspace is left."""
    with frozen(yard):
        assert stopped(yard.worker, number) < PROMISE_S
        assert stopped(yard.server, number) < PROMISE_S
        assert yard.worker.wait() == 0
        assert yard.server.wait() == 0
        if number == signal.SIGINT:
            assert processes_of(yard.data_dir) == {}
    # A workspace that goes on without a server ends with its lease.
    until("all to end", lambda: None if processes_of(yard.data_dir) else True)
