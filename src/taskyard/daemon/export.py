"""`taskyard export` and `taskyard backup`: all that a server keeps as a folder, taken while it works.

One transaction sees every table as it was at one moment, and holds up nobody. Homes are copied after it: what a
workspace has written since, it hands over when it connects, and nothing that is in the tables is missing in a home.
"""

import asyncio
import fcntl
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import msgspec

from taskyard.config import Settings
from taskyard.control.vault import KEY_FILE
from taskyard.daemon.complaints import exit_status
from taskyard.daemon.copies import (
    FORMAT,
    MANIFEST,
    UNFINISHED,
    HomeFile,
    KeyFile,
    Manifest,
    Say,
    SumFile,
    TableFile,
    check_free,
    new_folder,
    write_manifest,
)
from taskyard.daemon.database import cannot_be_used, database_address
from taskyard.daemon.homes import Whose, copy_home
from taskyard.daemon.offline import Spot, offline_settings, open_spot
from taskyard.daemon.secret_key import vault_of
from taskyard.db import dump
from taskyard.db.arrivals import list_homes_as_system
from taskyard.db.migrate import load_migrations
from taskyard.db.secrets import get_secret_key_as_system
from taskyard.errors import SecretKeyWrong, StartupError
from taskyard_agent import __version__

CONNECT_TIMEOUT_S = 10.0
"""How long a database may take to let us in."""

NAME = re.compile(r"taskyard-\d{8}T\d{6}Z(-\d+)?")
"""How a backup is called: by its time."""

LOCK = ".taskyard-backup.lock"
"""Held by the backup that is being made, so that another one leaves its unfinished folder alone."""


def run_export(
    flags: Mapping[str, object],
    config_file: Path | None,
    *,
    folder: Path,
    homes: bool,
    with_key: bool,
) -> int:
    """Exports into a new folder; the exit status."""

    def work() -> None:
        settings = offline_settings(flags, config_file, new=False)
        check_free(folder.absolute())
        with_sigterm()
        asyncio.run(_export(settings, folder, homes=homes, with_key=with_key))
        sys.stdout.write(f"{folder}\n")

    return exit_status(work, StartupError)


def run_backup(
    flags: Mapping[str, object], config_file: Path | None, *, folder: Path, homes: bool, keep: int
) -> int:
    """Adds a backup to a folder of them, and removes the oldest beyond keep, 0 for none; the exit status."""

    def work() -> None:
        settings = offline_settings(flags, config_file, new=False)
        with_sigterm()
        with _alone_in(folder):
            target = _free_name(folder, datetime.now(UTC))
            asyncio.run(_export(settings, target, homes=homes, with_key=True))
            for old in _beyond(folder, keep):
                shutil.rmtree(old)
                say(f"removed {old.name}")
        sys.stdout.write(f"{target}\n")

    return exit_status(work, StartupError)


def say(line: str) -> None:
    """Tells how far things are, on stderr."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def with_sigterm() -> None:
    """SIGTERM ends this process as Ctrl-C does: what is half made is taken away."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


async def _export(settings: Settings, folder: Path, *, homes: bool, with_key: bool) -> None:
    with open_spot(settings) as spot, new_folder(folder) as work:
        (work / "tables").mkdir(mode=0o700)
        (work / "homes").mkdir(mode=0o700)
        async with database_address(spot.settings, spot.data) as url:
            manifest, whose = await _copy_database(spot, url, work, with_key=with_key)
        if homes:
            manifest = await _copy_homes(spot, work, manifest, whose)
        write_manifest(work, manifest)
        _warn(spot, manifest)


async def _copy_database(
    spot: Spot, url: str, work: Path, *, with_key: bool
) -> tuple[Manifest, list[Whose]]:
    """The manifest without homes, and whose homes there may be."""
    async with (
        connected(spot.settings, url) as conn,
        conn.transaction(isolation="repeatable_read", readonly=True),
    ):
        number = await dump.get_schema_number(conn)
        if number == 0:
            raise StartupError("there is nothing to export: no server has ever used this database")
        if number > len(load_migrations()):
            raise StartupError(
                f"the database is at migration {number}, this release knows {len(load_migrations())}: "
                "export with the release that the server runs"
            )
        key_id = await get_secret_key_as_system(conn)
        key = _copy_key(spot, work, key_id) if with_key and key_id is not None else None
        tables = await dump.list_tables(conn)
        files = [await _copy_table(conn, table, work, say) for table in tables]
        rows = await list_homes_as_system(conn)
        manifest = Manifest(
            format=FORMAT,
            made_at=datetime.now(UTC),
            server_version=__version__,
            migration=number,
            tables=files,
            counters=await dump.get_counters(conn),
            key_id=key_id,
            key=key,
            with_homes=False,
            homes=[],
        )
    return manifest, [Whose(row.workspace_id, row.driver, row.running) for row in rows]


@asynccontextmanager
async def connected(
    settings: Settings, url: str
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection whose statements may take as long as they need. Raises StartupError for what goes wrong with it."""
    try:
        conn = await asyncpg.connect(
            url,
            timeout=CONNECT_TIMEOUT_S,
            server_settings={"application_name": "taskyard", "statement_timeout": "0"},
        )
        try:
            yield conn
        finally:
            await conn.close(timeout=CONNECT_TIMEOUT_S)
    except (ConnectionError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StartupError(cannot_be_used(settings, error)) from error


async def _copy_table(
    conn: "asyncpg.Connection[asyncpg.Record]", table: dump.Table, work: Path, tell: Say
) -> TableFile:
    with SumFile(work / "tables" / f"{table.name}.txt") as file:
        rows = await dump.copy_out(conn, table, file.take)
    tell(f"table {table.name}: {rows} rows")
    return TableFile(
        name=table.name,
        columns=list(table.columns),
        rows=rows,
        bytes=file.size,
        sha256=file.sha256,
    )


def _copy_key(spot: Spot, work: Path, key_id: str) -> KeyFile:
    """The key beside the tables. Raises StartupError where it is not the one that secrets are sealed by."""
    vault = vault_of(spot.settings, spot.data)
    assert vault.path is not None
    try:
        found, problem = vault.key_id, ""
    except SecretKeyWrong as error:
        found, problem = "", str(error)
    if found != key_id:
        problem = problem or f"{vault.path} holds key {found}, not {key_id}"
        raise StartupError(
            f"the key that secrets are sealed by cannot be taken along: {problem}. Name its file with "
            "--secrets-key-file, or leave it out with --without-key."
        )
    text = vault.path.read_bytes()
    with SumFile(work / KEY_FILE) as file:
        file.write(text)
    return KeyFile(bytes=file.size, sha256=file.sha256)


async def _copy_homes(spot: Spot, work: Path, manifest: Manifest, whose: list[Whose]) -> Manifest:
    homes: list[HomeFile] = []
    for one in whose:
        home = await copy_home(spot.data, work, one)
        if home is None:
            say(f"home of workspace {one.workspace_id}: none here")
            continue
        homes.append(home)
        told = ", while it runs" if home.running else ""
        say(f"home of workspace {one.workspace_id}: {home.bytes} bytes{told}")
        for name in home.missed_names:
            say(f"  left out {name}")
        if home.missed > len(home.missed_names):
            say(f"  left out {home.missed - len(home.missed_names)} more")
    return msgspec.structs.replace(manifest, with_homes=True, homes=homes)


def _warn(spot: Spot, manifest: Manifest) -> None:
    """Says what a reader must know about who may see it, and what is not in it."""
    if manifest.key is None and manifest.rows("secrets"):
        say(
            f"WITHOUT THE KEY: {manifest.rows('secrets')} secrets are in it, sealed. They open only with "
            f"{vault_of(spot.settings, spot.data).path}: keep a copy of that file somewhere else."
        )
    elif manifest.key is not None:
        say("It holds the key of all secrets, and password hashes: keep it where nobody reads it.")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """The one backup that is made in a folder; what a killed one left is removed. Raises StartupError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StartupError(f"{folder} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in folder.glob(f".taskyard-*.{UNFINISHED}"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    except BlockingIOError as error:
        raise StartupError(
            f"another backup is being made in {folder}. Wait until it is done."
        ) from error
    finally:
        os.close(lock)


def _free_name(folder: Path, now: datetime) -> Path:
    """What a backup of now is called."""
    name = f"taskyard-{now:%Y%m%dT%H%M%SZ}"
    number = 2
    target = folder / name
    while target.exists():
        target = folder / f"{name}-{number}"
        number += 1
    return target


def _beyond(folder: Path, keep: int) -> list[Path]:
    """The whole backups that are older than the newest so many; none where keep is 0."""
    found = [
        path
        for path in folder.iterdir()
        if NAME.fullmatch(path.name) and (path / MANIFEST).exists()
    ]
    return sorted(found, key=_age)[:-keep] if keep else []


def _age(path: Path) -> tuple[str, int]:
    stamp, _, number = path.name.removeprefix("taskyard-").partition("-")
    return stamp, int(number or 1)
