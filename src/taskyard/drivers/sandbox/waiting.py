"""Waiting without blocking the event loop: for threads, for other server processes, for an end."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from taskyard.drivers.sandbox.place import Place
from taskyard.drivers.sandbox.process import Process, open_handle
from taskyard.errors import DriverError

T = TypeVar("T")

WORK_S = 110.0
"""Seconds a thread has: the longest work is to remove a large home. Less than the two minutes of a job, so that its
log gets the sentence of this driver."""
PATIENCE_S = 5.0
"""Seconds to wait for work on the same that was left behind; half of what somebody waits who used force."""
LEAVE_S = 1.0
"""Seconds a cancelled caller waits for its thread: most take milliseconds, and a server ends within ten seconds."""
_LOCK_TIMEOUT_S = 120.0
"""The longest verb is destroying a large home; a minute or two, then somebody should look."""
_LOCK_POLL_S = 0.01
"""Between two tries for a lock that another server process holds, which is rare."""


class Threads:
    """Work in threads, each by what it is about. One that does not come back is left behind.

    A file operation may never return, and a thread cannot be stopped. While one is left behind, nothing else is
    begun about the same, so that there are few of them; and a server that ends does not wait for them.
    """

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._left: dict[str, set[Future[Any]]] = {}

    async def to_end(
        self,
        about: str,
        work: Callable[[], T],
        undo: Callable[[T], None] | None = None,
        *,
        within_s: float = WORK_S,
    ) -> T:
        """What the work returns. A cancelled caller gets its cancellation when the work is done, or left behind.

        undo is called with a result that the caller never sees. Raises DriverError when the time is up.
        """
        for earlier in self.left(about):
            await _wait(earlier, self._patience_s)
        self.refuse(about)
        future = _begin(work)
        try:
            await _wait(future, within_s)
        except asyncio.CancelledError:
            try:
                await _wait(future, LEAVE_S)
            finally:
                self._leave(about, future, undo)
            raise
        if not future.done():
            self._leave(about, future, undo)
            raise DriverError(_sentence(about, f"was given up after {within_s:g} s"))
        return future.result()

    def left(self, about: str) -> list[Future[Any]]:
        """What was left behind and has not come back."""
        left = {future for future in self._left.pop(about, set()) if not future.done()}
        if left:
            self._left[about] = left
        return list(left)

    def refuse(self, about: str) -> None:
        """Nothing; raises DriverError when something was left behind."""
        if self.left(about):
            raise DriverError(_sentence(about, "was given up before, and has not come back"))

    def _leave(self, about: str, future: Future[T], undo: Callable[[T], None] | None) -> None:
        self._left.setdefault(about, set()).add(future)
        if undo is not None:
            future.add_done_callback(partial(_take_back, undo))


def _sentence(about: str, what: str) -> str:
    return (
        f"Work on {about} {what}: the machine does not answer about its files. Look at that disk, and at the "
        "kernel's log. Once it answers, try again."
    )


def _take_back(undo: Callable[[T], None], future: Future[T]) -> None:
    if future.exception() is None:
        undo(future.result())


def _begin(work: Callable[[], T]) -> Future[T]:
    """The result to be, of a thread of its own: the interpreter waits at its end for those of any executor."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            future.set_exception(error)
        else:
            future.set_result(result)

    Thread(target=run, name="sandbox", daemon=True).start()
    return future


async def _wait(future: Future[T], within_s: float) -> None:
    """Returns once the thread is back, or when the time is up."""
    loop = asyncio.get_running_loop()
    back = asyncio.Event()

    def tell(_: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(back.set)

    future.add_done_callback(tell)
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await back.wait()


async def ended_within(process: Process, timeout_s: float) -> bool:
    """True once the process has ended, False when the time was up first."""
    handle = open_handle(process)
    if handle is None:
        return True
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        async with asyncio.timeout(timeout_s):
            await ended.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    return True


class Locks:
    """The locks of this process; a file lock each makes them hold against other processes."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._local: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, place: Place) -> AsyncIterator[None]:
        """The lock, until the block ends or this process dies. Raises DriverError after two minutes.

        Work on the workspace that was left behind holds it on until it comes back.
        """
        lock = self._local.setdefault(place.lock, asyncio.Lock())
        async with lock:
            handle = await self._lock_file(place)
            try:
                yield
            finally:
                for future in self._threads.left(place.about):
                    # A copy of the handle holds the same lock.
                    future.add_done_callback(partial(_close_copy, os.dup(handle)))
                os.close(handle)

    async def _lock_file(self, place: Place) -> int:
        deadline = time.monotonic() + _LOCK_TIMEOUT_S
        work = partial(_try_lock, place.lock)
        while (handle := await self._threads.to_end(place.about, work, _close)) is None:
            if time.monotonic() > deadline:
                raise DriverError(
                    f"Another server process has been working on {place.about} for "
                    f"{_LOCK_TIMEOUT_S:.0f} s. Look for it, end it if it hangs, and try again."
                )
            await asyncio.sleep(_LOCK_POLL_S)
        return handle


def _try_lock(path: Path) -> int | None:
    """The locked file's handle; None when another holds it, or removed it meanwhile."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), path.stat()):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(handle)
    return None


def _close(handle: int | None) -> None:
    if handle is not None:
        os.close(handle)


def _close_copy(handle: int, _: object) -> None:
    os.close(handle)
