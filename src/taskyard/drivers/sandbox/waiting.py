"""Waiting without blocking the event loop: for threads, for other server processes, for an end."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

from taskyard.drivers.sandbox.process import Process, open_handle
from taskyard.errors import DriverError

T = TypeVar("T")

_LOCK_TIMEOUT_S = 120.0
"""The longest verb is destroying a large home; a minute or two, then somebody should look."""
_LOCK_POLL_S = 0.01
"""Between two tries for a lock that another server process holds, which is rare."""


async def to_end(work: Callable[[], T], undo: Callable[[T], None] | None = None) -> T:
    """What the work returns, done in a thread. A cancelled caller gets its cancellation after that.

    A thread cannot be stopped, and whoever left it alone would give up the lock under it.
    undo is called with a result that a cancelled caller never sees.
    """
    future = asyncio.get_running_loop().run_in_executor(None, work)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        # Looked at in any case, so that a failure is not reported as forgotten.
        if future.exception() is None and undo is not None:
            undo(future.result())
        raise cancelled
    return future.result()


async def ended_within(process: Process, timeout_s: float) -> bool:
    """True once the process has ended, False when the time was up first."""
    handle = await to_end(partial(open_handle, process), _close)
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

    def __init__(self) -> None:
        self._local: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, path: Path) -> AsyncIterator[None]:
        """The lock, until the block ends or this process dies. Raises DriverError after two minutes."""
        lock = self._local.setdefault(path, asyncio.Lock())
        async with lock:
            handle = await _lock_file(path)
            try:
                yield
            finally:
                os.close(handle)


async def _lock_file(path: Path) -> int:
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while (handle := await to_end(partial(_try_lock, path), _close)) is None:
        if time.monotonic() > deadline:
            raise DriverError(
                f"Another server process has been working on workspace {path.name} for "
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
