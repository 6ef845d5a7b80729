"""`taskyard import`: what an export holds becomes what a new server keeps, all of it or nothing.

Everything is checked before anything is made. Tables, and what has to change in them, are one transaction; homes and
the key are put in their places before it ends, and taken away again when it does not.
"""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import asyncpg

from taskyard.control.arrivals import settle_arrivals
from taskyard.control.vault import Vault
from taskyard.daemon.complaints import exit_status
from taskyard.daemon.copies import Manifest, check_sums, pieces, read_manifest
from taskyard.daemon.database import claim, database_address
from taskyard.daemon.export import connected, say, with_sigterm
from taskyard.daemon.homes import arriving, check_homes
from taskyard.daemon.offline import Spot, offline_settings, open_spot
from taskyard.daemon.secret_key import vault_of
from taskyard.db import dump
from taskyard.db.migrate import load_migrations, migrate_within
from taskyard.db.pool import prepare_connection
from taskyard.errors import SecretKeyWrong, StartupError, TaskyardError


def run_import(flags: Mapping[str, object], config_file: Path | None, *, folder: Path) -> int:
    """Imports an export into a server that nobody has used yet; the exit status."""

    def work() -> None:
        settings = offline_settings(flags, config_file, new=True)
        manifest = _checked(folder)
        with_sigterm()
        with open_spot(settings) as spot:
            paused = asyncio.run(_import(spot, folder, manifest))
        _tell(spot, manifest, paused)
        sys.stdout.write(f"{settings.data_dir}\n")

    return exit_status(work, TaskyardError)


def _checked(folder: Path) -> Manifest:
    """What the folder holds, once all of it is known to be whole. Raises StartupError."""
    manifest = read_manifest(folder)
    known = len(load_migrations())
    if not 1 <= manifest.migration <= known:
        raise StartupError(
            f"the export in {folder} is of migration {manifest.migration}, made by release "
            f"{manifest.server_version}; this release knows {known}. Install that release, or a newer one."
        )
    names = [table.name for table in manifest.tables]
    ids = [home.workspace_id for home in manifest.homes]
    if len(set(names)) != len(names) or len(set(ids)) != len(ids):
        raise StartupError(f"the manifest in {folder} names something twice: it is damaged")
    check_sums(folder, manifest, say)
    check_homes(folder, manifest.homes)
    return manifest


async def _import(spot: Spot, folder: Path, manifest: Manifest) -> int:
    """How many workspaces were paused."""
    async with (
        database_address(spot.settings, spot.data) as url,
        connected(spot.settings, url) as conn,
    ):
        await prepare_connection(conn)
        async with conn.transaction():
            await _make_ready(spot, conn, manifest)
            await _load(conn, folder, manifest)
            await migrate_within(conn)
            await _forget_limits(conn)
            await claim(conn, spot.settings, spot.data)
            with (
                arriving(spot.data, folder, manifest.homes, say),
                _key_in_place(spot, folder, manifest),
            ):
                homes = {home.workspace_id for home in manifest.homes}
                now = datetime.now(UTC)
                paused = await settle_arrivals(conn, spot.data.host_id, homes, now)
                await conn.execute("set constraints all immediate")
    return paused


async def _make_ready(
    spot: Spot, conn: "asyncpg.Connection[asyncpg.Record]", manifest: Manifest
) -> None:
    """The database has the tables of the export's release, and nobody in them. Raises StartupError."""
    number = await dump.get_schema_number(conn)
    if number > manifest.migration:
        raise StartupError(
            f"the export is of migration {manifest.migration}, and the database of {spot.data.path} is at "
            f"{number} already. Import into a new data directory with an empty database: it is "
            "brought to this release on the way."
        )
    await migrate_within(conn, upto=manifest.migration)
    await _forget_limits(conn)
    if await conn.fetchval("select exists (select from users)"):
        raise StartupError(
            f"the server in {spot.data.path} has users already, and an import takes the place of nothing. "
            "Import into a new data directory with an empty database."
        )


async def _forget_limits(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Migrations set bounds for their transaction, which ours is as well."""
    await conn.execute("set local statement_timeout = 0; set local lock_timeout = 0")


async def _load(
    conn: "asyncpg.Connection[asyncpg.Record]", folder: Path, manifest: Manifest
) -> None:
    """The rows of all tables. Raises StartupError for what does not fit."""
    known = {table.name: table for table in await dump.list_tables(conn)}
    files = {table.name: table for table in manifest.tables}
    for name, file in files.items():
        if name not in known or not set(file.columns) <= set(known[name].columns):
            raise StartupError(
                f"the export holds a table {name!r} of another shape than migration "
                f"{manifest.migration} makes it: it was not made by this program, or is damaged"
            )
    names = [name for name in known if name in files]
    await dump.hush_triggers(conn, names, quiet=True)
    # Before there are users there is only what migrations and a first start put there.
    await dump.empty(conn, list(reversed(names)))
    for name in names:
        path = folder / files[name].path
        try:
            rows = await dump.copy_in(conn, name, files[name].columns, pieces(path))
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            raise StartupError(f"{path} cannot be imported: {error}. Nothing was kept.") from error
        if rows != files[name].rows:
            raise StartupError(
                f"{path} holds {rows} rows instead of {files[name].rows}. Nothing was kept."
            )
        say(f"table {name}: {rows} rows")
    await dump.raise_counters(conn, manifest.counters)
    await dump.hush_triggers(conn, names, quiet=False)
    if not (manifest.key or manifest.rows("secrets")):
        await conn.execute("delete from secret_key")  # then any key will do


@contextmanager
def _key_in_place(spot: Spot, folder: Path, manifest: Manifest) -> Iterator[None]:
    """The key is where the server looks for it; what was there is back if the block fails. Raises StartupError."""
    path = vault_of(spot.settings, spot.data).path
    assert path is not None
    if manifest.key is None:
        yield
        return
    text = (folder / manifest.key.path).read_bytes()
    _check_key(folder / manifest.key.path, manifest)
    if spot.settings.secrets_key_file is not None and path.exists():
        if Vault(path).key_id != manifest.key_id:
            raise StartupError(
                f"{path} holds another key than the export's secrets are sealed by. Name a file that is "
                "not there yet, or the right one, with --secrets-key-file."
            )
        yield
        return
    before = path.read_bytes() if path.exists() else None
    _write_key(path, text)
    try:
        yield
    except BaseException:
        path.unlink()
        if before is not None:
            _write_key(path, before)
        raise


def _check_key(path: Path, manifest: Manifest) -> None:
    try:
        found = Vault(path).key_id
    except SecretKeyWrong as error:
        raise StartupError(f"the export's key cannot be used: {error}") from error
    if found != manifest.key_id:
        raise StartupError(
            f"{path} of the export is key {found}, but its secrets are sealed by {manifest.key_id}"
        )


def _write_key(path: Path, text: bytes) -> None:
    """A file that only this user reads, there whole or not at all."""
    fresh = path.with_name(f"{path.name}.{token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def _tell(spot: Spot, manifest: Manifest, paused: int) -> None:
    say(
        f"imported {manifest.rows('users')} users, {manifest.rows('tasks')} tasks and "
        f"{len(manifest.homes)} home directories; workspaces paused: {paused}"
    )
    if manifest.key is None and manifest.rows("secrets"):
        say(
            f"THE KEY IS MISSING: {manifest.rows('secrets')} secrets came sealed. Put the other server's "
            f"secrets.key at {vault_of(spot.settings, spot.data).path} before you start this one, or "
            "give them up with `taskyard server forget-secrets`."
        )
