"""What all tests share: one Postgres a run, a template database per set of migrations, a clone a test."""

import asyncio
import base64
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from taskyard.config import Settings
from taskyard.control.links import Links
from taskyard.control.services import Services
from taskyard.control.vault import Vault
from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.db.migrate import load_migrations, migrate
from taskyard.db.pool import Database, Doorbell
from tests.compatibility import Evidence
from tests.faults.report import summarize
from tests.system.kit import LOGS

ZONE = "Asia/Kolkata"
"""A zone with a half-hour offset: code that forgets UTC is off by what no test overlooks."""

DEAR = {"yard", "browser", "idle_yard", "lasting", "made", "open_yard", "hostile_world"}
"""Fixtures that take seconds and serve a folder: servers, and a Postgres to break. House tests read every file."""

FIGURE = "figure"
"""The name under which reports carry lines for people."""

MEMORY = Path("/dev/shm")
"""Where most Linux machines have a file system in memory; a clone there takes a quarter of the time."""

ROOM_BYTES = 2**30
"""Free space that makes it enough: two runs of some clones of 9 MB, and Postgres's own log of changes."""


LOG_CHARS = 6000
"""What is shown of the end of a server's log: some tracebacks."""


def pytest_configure(config: pytest.Config) -> None:
    """Every process of the run lives in the odd zone, and notes what it showed."""
    os.environ["TZ"] = ZONE
    config.pluginmanager.register(Evidence(config))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share something dear run in one process of several, so that it is made once."""
    for item in items:
        folder = item.path.parent.name
        if folder == "house" or DEAR.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(folder))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Beside a failure stands what the servers that run then have logged: a 500 tells nothing by itself."""
    report = yield
    if report.when == "call" and report.failed:
        for log in LOGS:
            told = log.read_text(errors="replace")
            start = max(told.rfind("request.crashed"), 0) or max(len(told) - LOG_CHARS, 0)
            report.sections.append((f"log of the server, {log}", told[start : start + LOG_CHARS]))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests measured or counted without judging it, whichever process of the run it was in."""
    reports = [r for group in terminalreporter.stats.values() for r in group]
    figures = [
        value
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == FIGURE and report.when == "call"
    ]
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.line(line)
    summarize(terminalreporter)


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Takes a line for the end of the run."""
    return partial(record_property, FIGURE)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """asyncio with uvloop, as the server runs."""
    return ("asyncio", {"use_uvloop": True})


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of this run's Postgres, durability off; one for each process of the run.

    It has loops of its own, so that a test's loop that ends badly does not wait for it.
    """
    # pytest's own folders are 0700, which a database that gave up root cannot cross.
    home = Path(tempfile.mkdtemp(prefix="taskyard-test-", dir=_quick_folder()))
    home.chmod(0o711)
    postgres = EmbeddedPostgres(home, durable=False)
    asyncio.run(postgres.start())
    try:
        yield postgres.url
    finally:
        asyncio.run(postgres.stop())
        shutil.rmtree(home)


@pytest.fixture
async def database_url(postgres_url: str) -> AsyncIterator[str]:
    """A database of this test's own, migrated, gone afterwards."""
    name = f"t_{uuid4().hex}"
    admin = await asyncpg.connect(postgres_url)
    try:
        template = await _template(admin, postgres_url)
        # Files are copied as they are: the other strategy writes each page to the log as well.
        await admin.execute(f'create database "{name}" template "{template}" strategy file_copy')
        try:
            yield _with_database(postgres_url, name)
        finally:
            await admin.execute(f'drop database "{name}" with (force)')
    finally:
        await admin.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on a database of this test's own."""
    pool = Database(database_url, size=8)
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture
def services(database: Database, database_url: str, tmp_path: Path) -> Services:
    """What use cases work with, on a database of this test's own."""
    return Services(
        settings=Settings(data_dir=str(tmp_path)),
        db=database,
        doorbell=Doorbell(database_url),
        links=Links(),
        server_id=uuid4(),
        deployment_id=uuid4(),
        now=lambda: datetime.now(UTC),
        vault=_vault(tmp_path),
    )


def _vault(folder: Path) -> Vault:
    """A vault whose key is the same in every test."""
    path = folder / "secrets.key"
    path.write_bytes(base64.b64encode(bytes(range(32))))
    return Vault(path)


def _quick_folder() -> str | None:
    """Memory where there is enough of it, for a clone is some 450 files; None for the usual place."""
    try:
        free = shutil.disk_usage(MEMORY).free
    except OSError:
        return None
    return str(MEMORY) if free >= ROOM_BYTES and os.access(MEMORY, os.W_OK) else None


async def _template(admin: "asyncpg.Connection[asyncpg.Record]", url: str) -> str:
    """The name of a migrated database that clones are made of; made on first use."""
    name = _template_name()
    if not await admin.fetchval("select 1 from pg_database where datname = $1", name):
        await admin.execute(f'create database "{name}"')
        await migrate(_with_database(url, name))
    return name


@cache
def _template_name() -> str:
    """One name for each set of migrations, which do not change during a run."""
    text = "".join(m.checksum for m in load_migrations())
    return "template_" + hashlib.sha256(text.encode()).hexdigest()[:16]


def _with_database(url: str, name: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{name}"))
