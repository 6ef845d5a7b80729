"""Export and import of what a database holds: every row of every table, at one moment, all of it or nothing."""

import asyncio
import json
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from taskyard.control.vault import Vault
from taskyard.daemon.datadir import DataDir
from taskyard.db import dump
from taskyard.db.secrets import SealedRow
from taskyard.lifecycle.secret_names import SecretOwner
from tests.moving.moving_kit import Spot, newest, spot, user_id

ITEMS = 100_000
"""Transcript items of a long life: 60 MB of rows."""

Edit = Callable[[Path], None]


def test_every_row_comes_back(here: Spot, there: Spot, tmp_path: Path) -> None:
    """All tables, whatever is in them, and the key; numbers go on where they were."""
    before = here.rows()
    empty = [name for name, rows in before.items() if not rows]
    assert not empty, f"give these tables a row in full.sql: {empty}"
    here.execute("select setval(pg_get_serial_sequence('provisioner_jobs', 'place'), 5000)")
    assert here.export(tmp_path / "out") == 0
    assert there.take(tmp_path / "out") == 0
    assert there.rows() == before
    place = there.value("select nextval(pg_get_serial_sequence('provisioner_jobs', 'place'))")
    assert place == 5001
    assert (there.data / "secrets.key").read_bytes() == (here.data / "secrets.key").read_bytes()
    assert (there.data / "secrets.key").stat().st_mode & 0o777 == 0o600
    row = there.on(lambda conn: conn.fetchrow("select key_id, nonce, sealed from secrets"))
    sealed = SealedRow(
        name="TOKEN",
        owner=SecretOwner.USER,
        owner_id=user_id(),
        scheme=1,
        **dict(row or {}),
    )
    assert Vault(there.data / "secrets.key").open(sealed) == "open sesame"


async def test_tables_are_taken_or_named(database_url: str) -> None:
    """What stays behind exists, and nothing that is taken needs it."""
    conn = await asyncpg.connect(database_url)
    try:
        tables = await dump.list_tables(conn)
        everything = await conn.fetch(
            "select tablename from pg_tables where schemaname = current_schema()"
        )
        keys = await conn.fetch(
            "select conrelid::regclass::text as owner, confrelid::regclass::text as needed from pg_constraint"
            " where contype = 'f'"
        )
    finally:
        await conn.close()
    taken = {table.name for table in tables}
    assert taken | dump.LEFT_OUT.keys() == {row["tablename"] for row in everything}
    assert not taken & dump.LEFT_OUT.keys()
    lost = [(k["owner"], k["needed"]) for k in keys if k["owner"] in taken]
    assert not [pair for pair in lost if pair[1] not in taken]


def test_tables_that_need_each_other_are_told() -> None:
    """There is no order for them."""
    a = dump.Table("a", (), frozenset({"b"}))
    b = dump.Table("b", (), frozenset({"a"}))
    with pytest.raises(ValueError, match="a, b"):
        dump.in_order([a, b])


def test_an_export_is_one_moment(here: Spot, tmp_path: Path) -> None:
    """Rows that come while it is taken are in none of the tables; whoever writes does not wait."""

    async def both() -> None:
        conn = await asyncpg.connect(here.url)
        other = await asyncpg.connect(here.url)
        try:
            async with conn.transaction(isolation="repeatable_read", readonly=True):
                tables = {table.name: table for table in await dump.list_tables(conn)}
                seen: list[bytes] = []

                async def take(piece: bytes) -> None:
                    seen.append(piece)

                await dump.copy_out(conn, tables["organizations"], take)
                await other.execute("set lock_timeout = '30s'; update users set name = 'later'")
                await dump.copy_out(conn, tables["users"], take)
            assert b"later" not in b"".join(seen)
            assert await other.fetchval("select name from users") == "later"
        finally:
            await conn.close()
            await other.close()

    asyncio.run(both())


def test_what_ran_is_paused(here: Spot, there: Spot, tmp_path: Path) -> None:
    """A start that is done or under way ends in a build that stops; nobody holds a job, a lease or a link."""
    here.execute(
        """
        update workspace_builds set transition = 'start';
        update provisioner_jobs set completed_at = null where type = 'workspace_build';
        update workspace_builds set settled = false;
        update workspace_agents set server_id = gen_random_uuid(), lease_expires_at = now(), lifecycle = 'ready'
        """
    )
    assert here.export(tmp_path / "out") == 0
    assert there.take(tmp_path / "out") == 0
    held = (
        "select count(*) from provisioner_jobs where completed_at is null and worker_id is not null"
    )
    assert there.value(held) == 0
    assert there.value("select count(*) from workspace_agents where server_id is not null") == 0
    build = there.on(
        lambda conn: conn.fetchrow(
            "select b.transition, b.reason, b.settled, l.stage from workspace_builds b"
            " join provisioner_job_logs l on l.job_id = b.job_id order by b.build_number desc limit 1"
        )
    )
    assert tuple(build or ()) == ("stop", "task_auto_pause", False, "Imported")
    assert there.value("select count(*) from workspace_builds where not settled") == 1
    assert "moved" in str(there.value("select error from provisioner_jobs where error is not null"))


def test_an_older_export_is_brought_up(there: Spot, postgres_url: str, tmp_path: Path) -> None:
    """An export of an earlier release is loaded as it was, then migrated; in a newer database it cannot be."""
    with spot(postgres_url) as old:
        with DataDir(old.data):
            Vault(old.data / "secrets.key").make()
        old.migrate(upto=3)
        old.execute(
            "insert into organizations values (gen_random_uuid(), 'main', '', '', '', true, now(), now());"
            "insert into users (id, username, email, name, avatar_url, login_type, status, roles, created_at,"
            " updated_at, last_seen_at) values (gen_random_uuid(), 'ann', 'ann@example.com', '', '', 'none',"
            " 'active', '{}', now(), now(), now())"
        )
        assert old.export(tmp_path / "out") == 0
        assert json.loads((tmp_path / "out" / "manifest.json").read_text())["migration"] == 3
        assert there.take(tmp_path / "out") == 0
        assert there.value("select max(number) from schema_migrations") == newest()
        assert there.value("select username from users") == "ann"
        there.execute("delete from users")
        assert there.take(tmp_path / "out") == 1


@pytest.mark.all_tier
def test_many_items_take_little_memory(here: Spot, there: Spot, tmp_path: Path) -> None:
    """A hundred thousand items go through pieces of a megabyte."""
    here.execute(
        "insert into task_items (task_id, number, kind, turn, data, time, stored_at)"
        " select id, n, 'agent_message', 1, json_build_object('text', repeat('x', 500)), now(), now()"
        f" from tasks, generate_series(2, {ITEMS}) n"
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert here.export(tmp_path / "out") == 0
    assert there.take(tmp_path / "out") == 0
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert there.value("select count(*) from task_items") == ITEMS
    assert (tmp_path / "out" / "tables" / "task_items.txt").stat().st_size > 50_000_000
    assert grown_kb < 40_000


def _cut(out: Path) -> None:
    with (out / "tables" / "users.txt").open("r+b") as file:
        file.truncate(10)


def _change(out: Path) -> None:
    path = out / "tables" / "users.txt"
    path.write_bytes(path.read_bytes().replace(b"ada@", b"eve@"))


def _lose(out: Path) -> None:
    (out / "tables" / "files.txt").unlink()


def _age(out: Path) -> None:
    _manifest(out, format=2)


def _renumber(out: Path) -> None:
    _manifest(out, migration=newest() + 1)


def _escape(out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["tables"][0]["name"] = "../../../etc/passwd"
    (out / "manifest.json").write_text(json.dumps(manifest))


def _half_manifest(out: Path) -> None:
    path = out / "manifest.json"
    path.write_bytes(path.read_bytes()[:200])


def _no_manifest(out: Path) -> None:
    (out / "manifest.json").unlink()


def _other_column(out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["tables"][0]["columns"][0] = "x) from stdin; drop table users; --"
    (out / "manifest.json").write_text(json.dumps(manifest))


def _manifest(out: Path, **values: object) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps(manifest | values))


def test_what_is_not_whole_is_refused(
    here: Spot, there: Spot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cut, changed, lost, newer, escaping: each is told in a sentence, and nothing is made of it."""
    assert here.export(tmp_path / "out") == 0
    said = {
        _cut: "users.txt is not as it was exported",
        _change: "users.txt is not as it was exported",
        _lose: "files.txt of the export cannot be read",
        _age: "format 2",
        _renumber: "this release knows",
        _escape: "leads elsewhere",
        _half_manifest: "damaged",
        _no_manifest: "is no export",
    }
    for edit, sentence in said.items():
        shutil.rmtree(tmp_path / "bad", ignore_errors=True)
        shutil.copytree(tmp_path / "out", tmp_path / "bad")
        edit(tmp_path / "bad")
        capsys.readouterr()
        assert there.take(tmp_path / "bad") == 1
        assert sentence in capsys.readouterr().err
        assert not there.data.exists()
    assert there.value("select to_regclass('users') is null")


def test_what_does_not_fit_leaves_nothing(
    here: Spot, there: Spot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns that no release had: the database is as it was, and takes the right export afterwards."""
    assert here.export(tmp_path / "out") == 0
    shutil.copytree(tmp_path / "out", tmp_path / "bad")
    _other_column(tmp_path / "bad")
    assert there.take(tmp_path / "bad") == 1
    assert "of another shape" in capsys.readouterr().err
    assert there.value("select to_regclass('users') is null")
    assert not (there.data / "secrets.key").exists()
    assert there.take(tmp_path / "out") == 0
    assert there.take(tmp_path / "out") == 1
    assert "has users already" in capsys.readouterr().err


def test_an_export_takes_the_place_of_nothing(
    here: Spot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder with something in it is left alone; an empty one is filled; nothing unfinished stays."""
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("x")
    assert here.export(tmp_path / "taken") == 1
    assert "is not empty" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert here.export(tmp_path / "empty") == 0
    assert (tmp_path / "empty").stat().st_mode & 0o777 == 0o700
    (here.data / "secrets.key").unlink()
    assert here.export(tmp_path / "keyless") == 1
    assert "--without-key" in capsys.readouterr().err
    assert here.export(tmp_path / "keyless", with_key=False) == 0
    assert "WITHOUT THE KEY" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "keyless", "taken"]


def test_an_import_without_the_key_says_so(
    here: Spot, there: Spot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The secrets come sealed; where the key belongs is said, and no other takes its place."""
    assert here.export(tmp_path / "out", with_key=False) == 0
    assert not (tmp_path / "out" / "secrets.key").exists()
    assert there.take(tmp_path / "out") == 0
    assert str(there.data / "secrets.key") in capsys.readouterr().err
    assert not (there.data / "secrets.key").exists()
    assert there.value("select count(*) from secret_key") == 1


def test_backups_are_kept_by_number(
    here: Spot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The newest stay, half ones go, and what is not a backup is nobody's to remove."""
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "notes.txt").write_text("x")
    (folder / "taskyard-mine").mkdir()
    left = folder / ".taskyard-20200101T000000Z.0000.unfinished"
    left.mkdir()
    made = []
    for _ in range(3):
        assert here.back_up(folder, keep=2) == 0
        made.append(Path(capsys.readouterr().out.strip()))
    assert [path.exists() for path in made] == [False, True, True]
    assert not left.exists()
    assert (folder / "notes.txt").exists()
    assert (folder / "taskyard-mine").exists()
    manifest = json.loads((made[-1] / "manifest.json").read_text())
    assert (manifest["with_homes"], manifest["homes"]) == (True, [])
    assert time.time() - made[-1].stat().st_mtime < 600
