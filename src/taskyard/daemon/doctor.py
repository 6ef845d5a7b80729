"""What this machine can do for a server and its workspaces, tried one by one, whether a server runs here or not."""

import asyncio
import fcntl
import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

import asyncpg
import msgspec

from taskyard.config import Settings, load_settings
from taskyard.daemon.complaints import exit_status
from taskyard.daemon.listen import Place, listen_at, read_place
from taskyard.daemon.postgres_cluster import data_major
from taskyard.daemon.postgres_programs import OLDEST_MAJOR, choose_programs
from taskyard.drivers.sandbox.abilities import TRIALS, Finding, Ground
from taskyard.drivers.sandbox.cgroups.groups import find_cgroups
from taskyard.drivers.sandbox.runtime import find_bubblewrap
from taskyard.errors import StartupError
from taskyard.lifecycle.walls import Wall

CONNECT_S = 5.0
"""Seconds a database may take to answer; one on the same network takes milliseconds."""

LEAST_BYTES = 1024**3
"""Room that the data directory's disk must have: a fresh database, its log and one workspace with a clone in it."""


class Standing(StrEnum):
    """How it stands with a thing: there, missing though a server needs it, or off: not there, and not needed."""

    OK = "ok"
    MISSING = "missing"
    OFF = "off"


class Line(msgspec.Struct, frozen=True):
    """One thing, what was seen of it, what that means, and the one command that mends it where one does."""

    name: str
    standing: Standing
    seen: str
    means: str
    fix: str


class Report(msgspec.Struct, frozen=True):
    """All that was tried; ok is whether nothing that is needed is missing."""

    ok: bool
    confined: bool
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What it means that a thing is not there, and whether a server does without it."""

    without: str
    needed: bool = True


_NO_WALLS = "no workspace can be confined, so the server does not start"
_OPEN = "THE SERVER WAS TOLD --allow-unconfined: its workspaces have all of its rights, its files and the network"
_MEANINGS: Mapping[str, _Meaning] = {
    "account": _Meaning("nobody knows whom the server runs as"),
    "data": _Meaning("the server has no place for what it keeps"),
    "database": _Meaning("the server does not start"),
    "port": _Meaning("the server does not start on that address"),
    "bubblewrap": _Meaning(_NO_WALLS),
    "namespaces": _Meaning(_NO_WALLS),
    "uids": _Meaning(_NO_WALLS),
    Wall.CONFINED: _Meaning(_NO_WALLS),
    Wall.SECCOMP: _Meaning(_NO_WALLS),
    Wall.MEMORY: _Meaning("a template's limit of memory is not held", needed=False),
    Wall.CPU: _Meaning("a template's limit of cpu is not held", needed=False),
    Wall.PROCESSES: _Meaning("a template's limit of processes is not held", needed=False),
    Wall.DISK: _Meaning(
        "a template's limit of disk is held by measuring and stopping, not by the disk",
        needed=False,
    ),
    Wall.FREEZE: _Meaning('a workspace with pause = "freeze" is stopped instead', needed=False),
    Wall.NETWORK: _Meaning(
        "what a template lists is reached only by programs that know proxies", needed=False
    ),
    Wall.OVERLAY: _Meaning("a template with an overlay is refused", needed=False),
    Wall.RUNC: _Meaning(
        'a template with backend = "runc" is refused; others do not need it', needed=False
    ),
}
"""Every thing that is tried, in the order in which it is shown."""

_WALLS = frozenset(name for name, meaning in _MEANINGS.items() if meaning.without is _NO_WALLS)


def run_doctor(flags: Mapping[str, object], config_file: Path | None, *, as_json: bool) -> int:
    """Says on stdout what was found; 0 when all that is needed is there, else 1."""
    healthy = True

    def work() -> None:
        nonlocal healthy
        report = examine(load_settings(flags, os.environ, config_file))
        healthy = report.ok
        text = (
            msgspec.json.format(msgspec.json.encode(report)).decode() if as_json else _page(report)
        )
        sys.stdout.write(f"{text}\n")

    return exit_status(work, StartupError) or int(not healthy)


def examine(settings: Settings) -> Report:
    """What this machine can do for a server of these settings. Nothing of it stays."""
    data = Path(settings.data_dir).absolute()
    lines = [_line(settings, name, work) for name, work in _of_server(settings, data).items()]
    with _ground(data) as ground:
        lines += [_line(settings, name, partial(ground.ask, name)) for name in TRIALS]
        confined = ground.ask(Wall.CONFINED).there
    ok = all(line.standing is not Standing.MISSING for line in lines)
    return Report(ok, confined, lines)


def _of_server(settings: Settings, data: Path) -> dict[str, Callable[[], Finding]]:
    return {
        "account": _account,
        "data": lambda: _room(data),
        "database": lambda: _database(settings, data),
        "port": lambda: _ports(settings, data),
    }


def _line(settings: Settings, name: str, work: Callable[[], Finding]) -> Line:
    try:
        found = work()
    except (OSError, StartupError) as error:
        found = Finding(there=False, seen=str(error))
    if found.there:
        return Line(name, Standing.OK, found.seen, "", "")
    meaning = _MEANINGS[name]
    opened = settings.allow_unconfined and name in _WALLS
    needed = meaning.needed and not opened
    standing = Standing.MISSING if needed else Standing.OFF
    return Line(
        name, standing, found.seen.rstrip("."), _OPEN if opened else meaning.without, found.fix
    )


@contextmanager
def _ground(data: Path) -> Iterator[Ground]:
    """Folders where things can be tried as a server would, on the data directory's disk where that can be written."""
    above = next(folder for folder in (data, *data.parents) if folder.is_dir())
    where = above if os.access(above, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(dir=where, prefix=".doctor-") as made:
        link = Path(made) / "link"
        link.mkdir()
        link.chmod(0o711)
        root = Path(made) / "workspaces"
        root.mkdir()
        # Those of the server itself: what root hands over is one server's.
        yield Ground(root, link, find_bubblewrap(), find_cgroups(data / "workspaces"))


def _account() -> Finding:
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"user {uid}, who has no account"
    return Finding(there=True, seen=f"the server would run as {name}")


def _room(data: Path) -> Finding:
    above = next(folder for folder in (data, *data.parents) if folder.is_dir())
    other = "taskyard server --data-dir FOLDER"
    if not os.access(above, os.W_OK | os.X_OK):
        return Finding(there=False, seen=f"{above} cannot be written by this user", fix=other)
    free = shutil.disk_usage(above).free
    seen = f"{data} has {free / 1024**3:.1f} GiB free"
    return Finding(there=free >= LEAST_BYTES, seen=seen, fix="" if free >= LEAST_BYTES else other)


def _database(settings: Settings, data: Path) -> Finding:
    if settings.postgres_url is not None:
        return asyncio.run(_answers(settings.postgres_url))
    home = data / "postgres"
    with tempfile.TemporaryDirectory(prefix="taskyard-doctor-") as made:
        Path(made).chmod(0o755)
        place = home if home.is_dir() and os.access(home, os.W_OK) else Path(made)
        programs = choose_programs(place, data_major(home / "cluster" / "data"))
    return Finding(there=True, seen=f"its own, Postgres {programs.major} in {programs.folder}")


async def _answers(url: str) -> Finding:
    fix = "taskyard doctor --postgres-url URL"
    try:
        async with asyncio.timeout(CONNECT_S):
            connection = await asyncpg.connect(url)
            try:
                version = connection.get_server_version()
            finally:
                await connection.close()
    except (
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        ValueError,
        TimeoutError,
    ) as error:
        said = "it does not answer" if isinstance(error, TimeoutError) else str(error)
        return Finding(there=False, seen=f"the Postgres of yours cannot be used: {said}", fix=fix)
    seen = f"yours, Postgres {version.major}"
    if version.major < OLDEST_MAJOR:
        return Finding(there=False, seen=f"{seen}, which is older than {OLDEST_MAJOR}", fix=fix)
    return Finding(there=True, seen=seen)


def _ports(settings: Settings, data: Path) -> Finding:
    if _is_served(data):
        return Finding(there=True, seen="a server runs on this data directory already")
    places = [read_place(text, "listen") for text in settings.listen]
    places = places or [Place(host=settings.host, port=settings.port)]
    for place in places:
        if not place.path:
            try:
                listen_at(place).close()
            except StartupError as error:
                return Finding(there=False, seen=str(error), fix="taskyard server --port 0")
    shown = ", ".join(place.path or f"{place.host} port {place.port}" for place in places)
    return Finding(there=True, seen=f"{shown} can be had")


def _is_served(data: Path) -> bool:
    """Whether a server holds the directory now."""
    try:
        lock = os.open(data / "server.lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _page(report: Report) -> str:
    """For people: a line each, with what it means and what to do below those that are not there."""
    rows: list[str] = []
    told: set[str] = set()
    for line in report.lines:
        rows.append(f"{line.standing:<9}{line.name:<12}{line.seen}")
        rows += [f"{'':21}{text}" for text in _advice(line, told)]
    missing = [line.name for line in report.lines if line.standing is Standing.MISSING]
    if missing:
        rows += ["", f"Missing: {', '.join(missing)}. A server cannot start here as it is."]
    elif not report.confined:
        rows += ["", f"{_OPEN}."]
    else:
        rows += [
            "",
            "All that a server needs is here. What is off is needed by some templates only.",
        ]
    return "\n".join(rows)


def _advice(line: Line, told: set[str]) -> Iterator[str]:
    """What follows, and what to do; a command that stands above already is not shown again."""
    if line.standing is not Standing.OK:
        yield f"so: {line.means}"
    if line.fix:
        yield "to have it: the command above" if line.fix in told else f"to have it: {line.fix}"
        told.add(line.fix)
