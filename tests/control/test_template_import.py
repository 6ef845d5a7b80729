"""Imports by a worker: what it takes, what it refuses, and what stays when it dies on the way."""

import io
import tarfile
from collections.abc import Callable, Collection, Mapping
from uuid import UUID, uuid4

import msgspec
import pytest

from taskyard.control.files import store_file
from taskyard.control.job_run import JobRun
from taskyard.control.template_import import import_version
from taskyard.control.template_versions import NewVersion, insert_version
from taskyard.control.worker import Worker
from taskyard.db import jobs
from taskyard.db.jobs import Claim, JobKind, JobRow, Lease
from taskyard.drivers.base import Driver
from taskyard.drivers.echo.driver import EchoDriver
from taskyard.errors import JobFailed, LeaseLost
from taskyard.lifecycle.template_model import Template
from taskyard.lifecycle.walls import Wall
from taskyard.wire.enums import JobStatus
from tests.api.template_kit import ASKING, TASK
from tests.archives import tar_of
from tests.control.world_kit import World, eventually

pytestmark = pytest.mark.anyio

NO_DRIVERS: dict[str, Driver] = {}


async def pushed(world: World, data: bytes) -> UUID:
    """The id of a version of this archive that waits for its import."""
    async with world.services.db.transaction() as conn:
        stored = await store_file(conn, world.user_id, data, now=world.now)
        new = NewVersion(world.organization_id, None, "v1", "", stored.id, world.user_id)
        return await insert_version(conn, new, world.now)


async def claimed(world: World, drivers: Mapping[str, Driver] = NO_DRIVERS) -> JobRun:
    """The oldest job in the hands of a worker."""
    now, worker_id = world.now, uuid4()
    claim = Claim(worker_id, "test", [JobKind.IMPORT], now, 1)
    async with world.services.db.transaction() as conn:
        job = await jobs.claim_job(conn, claim, now)
    assert job is not None
    return JobRun(world.services, drivers, job, Lease(job.id, job.attempt, worker_id))


async def job_of(world: World, version_id: UUID) -> JobRow:
    """The import job of a version."""
    job_id = await world.value("select job_id from template_versions where id = $1", version_id)
    assert isinstance(job_id, UUID)
    async with world.services.db.connection() as conn:
        job = await jobs.get_job(conn, job_id)
    assert job is not None
    return job


async def definition(world: World, version_id: UUID) -> Template | None:
    """The parsed template of a version; None while it is not imported."""
    raw = await world.value("select definition from template_versions where id = $1", version_id)
    assert raw is None or isinstance(raw, bytes)
    return None if raw is None else msgspec.json.decode(raw, type=Template)


def tar_with(change: Callable[[tarfile.TarInfo], None]) -> bytes:
    """A template with one entry more, made odd."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("taskyard.toml")
        info.size = len(TASK)
        tar.addfile(info, io.BytesIO(TASK))
        odd = tarfile.TarInfo("odd")
        change(odd)
        tar.addfile(odd)
    return buffer.getvalue()


def link(info: tarfile.TarInfo) -> None:
    info.type, info.linkname = tarfile.SYMTYPE, "taskyard.toml"


def hard_link(info: tarfile.TarInfo) -> None:
    info.type, info.linkname = tarfile.LNKTYPE, "taskyard.toml"


def device(info: tarfile.TarInfo) -> None:
    info.type = tarfile.CHRTYPE


def outside(info: tarfile.TarInfo) -> None:
    info.name = "../odd"


def absolute(info: tarfile.TarInfo) -> None:
    info.name = "/odd"


def nested(info: tarfile.TarInfo) -> None:
    info.name = "taskyard.toml/odd"


def control(info: tarfile.TarInfo) -> None:
    info.name = "odd\nname"


@pytest.mark.parametrize("change", [link, hard_link, device, outside, absolute, nested, control])
async def test_only_files_and_folders_are_taken(
    world: World, change: Callable[[tarfile.TarInfo], None]
) -> None:
    """Links, devices and paths that lead elsewhere fail the import; the sentence names the entry."""
    await pushed(world, tar_with(change))
    with pytest.raises(JobFailed, match="odd"):
        await import_version(await claimed(world))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a tar"),
        (b"nonsense" * 200, "not a tar"),
        (b"\x1f\x8b\x08 compressed", "compressed"),
        (tar_of({"taskyard.toml": TASK})[:600], "not a tar"),
        (tar_of({str(n): b"" for n in range(10_001)}), "10000 entries"),
        (tar_of({str(n): bytes(33 << 20) for n in range(2)}), "bytes"),
        (tar_of({}), "taskyard.toml: is missing"),
        (tar_of({"a/b/taskyard.toml": TASK, "a/c": b""}), "not at the top"),
    ],
)
async def test_what_is_no_template_is_refused(world: World, data: bytes, says: str) -> None:
    """Whatever the archive is, the job fails with a sentence about it."""
    await pushed(world, data)
    with pytest.raises(JobFailed, match=says):
        await import_version(await claimed(world))


async def test_a_hostile_tar_ends_quickly(world: World) -> None:
    """Headers within headers, a thousand deep, are refused like any other broken tar."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 512
    block = header.tobuf(tarfile.GNU_FORMAT) + b"a" * 512
    await pushed(world, block * 3000)
    with pytest.raises(JobFailed, match="archive"):
        await import_version(await claimed(world))


class PoorDriver(EchoDriver):
    """A driver on a machine that has no runc."""

    async def lacks(self, walls: Collection[Wall]) -> Mapping[Wall, str]:
        return {wall: "no runc was found" for wall in walls if wall is Wall.RUNC}


async def test_what_the_machine_cannot_do_is_not_imported(world: World) -> None:
    """A template that demands a wall fails with the line that says so and the cause; one that does not is imported."""
    drivers = {"sandbox": PoorDriver(world.folder)}
    for line, good in (("", True), ('require = ["memory"]', True), ('backend = "runc"', False)):
        version_id = await pushed(world, tar_of({"taskyard.toml": f"[workspace]\n{line}\n"}))
        run = await claimed(world, drivers)
        if good:
            await import_version(run)
        else:
            with pytest.raises(JobFailed, match=r'backend = "runc".*no runc was found'):
                await import_version(run)
        assert (await definition(world, version_id) is not None) is good


async def test_an_import_writes_everything_at_once(world: World) -> None:
    """The whole document, with parameters and presets in their tables, and the job over."""
    version_id = await pushed(world, tar_of({"./taskyard.toml": ASKING, "./readme.MD": b"hi"}))
    await import_version(await claimed(world))
    template = await definition(world, version_id)
    assert template is not None
    assert template.has_ai_task
    assert [p.name for p in template.parameters] == ["size", "region"]
    assert await world.value("select readme from template_versions") == "hi"
    assert await world.value("select count(*) from template_version_parameters") == 2
    assert await world.value("select count(*) from template_version_presets") == 2
    assert (await job_of(world, version_id)).status is JobStatus.SUCCEEDED


async def test_what_cannot_be_read_leaves_nothing(world: World) -> None:
    """A failed import has no document and no rows; the job says why."""
    version_id = await pushed(world, tar_of({"taskyard.toml": ASKING + b"x = "}))
    worker = Worker(world.services, NO_DRIVERS, {JobKind.IMPORT: import_version}, "test")

    async def over() -> JobRow | None:
        job = await job_of(world, version_id)
        return job if job.completed_at is not None else None

    async with world.working(worker):
        job = await eventually(over)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert "taskyard.toml" in job.error
    assert await definition(world, version_id) is None
    assert await world.value("select count(*) from template_version_parameters") == 0


async def test_a_worker_that_was_taken_for_dead_writes_nothing(world: World) -> None:
    """Two workers with the same job: the one whose lease lapsed stops, the other's import stands."""
    version_id = await pushed(world, tar_of({"top/taskyard.toml": ASKING}))
    first = await claimed(world)
    second = await claimed(world)
    assert first.job.id == second.job.id
    with pytest.raises(LeaseLost):
        await import_version(first)
    assert await definition(world, version_id) is None
    assert await world.value("select count(*) from files") == 1
    await import_version(second)
    assert await world.value("select count(*) from template_version_presets") == 2
    with pytest.raises(LeaseLost):
        await import_version(first)
    assert await world.value("select count(*) from template_version_presets") == 2
