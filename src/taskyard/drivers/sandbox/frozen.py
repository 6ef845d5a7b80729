"""Freezing a workspace, and making it go on as another generation. Everything here blocks, and needs its lock.

The kernel knows what stands still, so nothing of that is written down: whoever dies at whatever line, the next one
sees what is. A new generation's token goes through a pipe that has a name outside of the workspace only, and whose
other end the agent alone holds. The pipe lives as long as the agent, whatever becomes of the server.
"""

import array
import fcntl
import hashlib
import os
import select
import stat
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from taskyard.drivers.base import WorkspaceSpec
from taskyard.drivers.sandbox.cgroups.find import Found
from taskyard.drivers.sandbox.cgroups.groups import Cgroups
from taskyard.drivers.sandbox.cgroups.model import Can, Version
from taskyard.drivers.sandbox.place import Place, Record, load_record, save_record
from taskyard.drivers.sandbox.process import boot_id, is_alive
from taskyard.errors import CannotFreeze, DriverError
from taskyard_agent import points
from taskyard_agent.handover import NewToken

_TAKEN_S = 2.0
"""Seconds that an agent which goes on has to take its token: a millisecond; more where all of it was swapped out."""
_POLL_S = 0.0005
"""Between two looks whether it has: short beside the millisecond."""
_PIPE_BYTES = 65536
"""What a pipe holds at most, so that one read empties it."""


def channel(place: Place) -> Path:
    """The pipe's name, outside of what the workspace sees."""
    return place.folder / "handover"


def make_channel(place: Place) -> str:
    """The name of a fresh pipe, for the launcher to hand to the agent."""
    path = channel(place)
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    return str(path)


def shape_of(spec: WorkspaceSpec) -> str:
    """Stands for all of a spec but its generation and token: equal ones want the same workspace."""
    rest = replace(spec, generation=0, agent_token="", template_tar=b"", env={})
    text = repr((rest, sorted(spec.env.items()))).encode(errors="surrogateescape")
    return hashlib.sha256(hashlib.sha256(spec.template_tar).digest() + text).hexdigest()


def is_frozen(place: Place, record: Record) -> bool:
    """Whether the workspace stands still; asked only of one that was made for it."""
    return bool(record.shape) and _groups(place).is_frozen(place.name)


def freeze(place: Place, up_to: int | None) -> None:
    """Nothing; every process stands still, unless somebody has started the workspace since. Raises CannotFreeze."""
    record = load_record(place)
    if record is None or not _runs(record):
        raise CannotFreeze("it does not run")
    if up_to is not None and record.generation > up_to:
        return
    if not record.confined:
        raise CannotFreeze("it is not confined, so not all of its processes are known")
    if not record.shape:
        raise CannotFreeze("it was started by a template that did not ask for it")
    groups = _groups(place)
    try:
        groups.freeze(place.name)
        points.passed("freeze.frozen", place.name)
    except (DriverError, OSError) as error:
        with suppress(DriverError, OSError):
            groups.thaw(place.name)
        raise CannotFreeze(str(error).rstrip(".")) from error


def wake(place: Place, record: Record, spec: WorkspaceSpec) -> str:
    """Empty once the workspace goes on, as the spec's generation and with its token; else why not.

    Then what is left of it must be ended. The record names the new generation before anything runs.
    """
    if not _runs(record):
        return "its agent is gone"
    if record.shape != shape_of(spec):
        return "template, parameters or secrets have changed since"
    try:
        with _opened(place) as pipe:
            _fill(pipe, NewToken(spec.generation, spec.agent_token))
            points.passed("thaw.handed", place.name)
            save_record(place, msgspec.structs.replace(record, generation=spec.generation))
            points.passed("thaw.recorded", place.name)
            _groups(place).thaw(place.name)
            points.passed("thaw.thawed", place.name)
            taken = _is_taken(pipe)
    except (DriverError, OSError) as error:
        return str(error).rstrip(".")
    return "" if taken and _runs(record) else "its agent did not take the new token"


def let_die(place: Place, record: Record) -> None:
    """Nothing; the workspace can be ended: what stands still takes a signal only once it goes on.

    It is killed first, so that none of it runs another step.
    """
    if not is_frozen(place, record):
        return
    groups = _groups(place)
    groups.kill(place.name)
    with suppress(DriverError):  # it is gone already
        groups.thaw(place.name)


def _groups(place: Place) -> Cgroups:
    """The workspace's groups, where any were made for it: those that are written down say all that is needed."""
    why = {Can.FREEZE: "it has no control group that can"}
    return Cgroups(place.root, Found(Version.V2, (), why))


def _runs(record: Record) -> bool:
    return record.boot_id == boot_id() and is_alive(record.agent)


@contextmanager
def _opened(place: Place) -> Iterator[int]:
    """The pipe, open both ways: so nothing waits, and nothing in it is lost while the agent holds it."""
    flags = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    pipe = os.open(channel(place), flags)
    try:
        if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
            raise DriverError(f"{channel(place)} is no pipe")
        yield pipe
    finally:
        os.close(pipe)


def _fill(pipe: int, message: NewToken) -> None:
    """Nothing; the pipe holds this message alone: what an earlier try left in it names a dead token."""
    with suppress(BlockingIOError):
        os.read(pipe, _PIPE_BYTES)
    os.write(pipe, msgspec.json.encode(message) + b"\n")


def _is_taken(pipe: int) -> bool:
    deadline = time.monotonic() + _TAKEN_S
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while poll.poll(0) and _waiting_bytes(pipe):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _waiting_bytes(pipe: int) -> int:
    size = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, size)
    return size[0]
