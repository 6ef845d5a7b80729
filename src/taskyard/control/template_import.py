"""The executor of import jobs: reads an archive, checks the template in it, and records what it is."""

from dataclasses import dataclass
from typing import NoReturn
from uuid import uuid4

import anyio.to_thread
import msgspec

from taskyard.control.archives import Archive, pack, read_archive
from taskyard.control.files import store_file
from taskyard.control.job_run import JobRun
from taskyard.control.templates_view import PresetValue, StoredOption
from taskyard.control.walls import check_walls
from taskyard.db import files, runs
from taskyard.db import template_imports as db
from taskyard.errors import JobFailed
from taskyard.errors.templates import ArchiveInvalid
from taskyard.lifecycle.template import (
    Parameter,
    Preset,
    Template,
    TemplateInvalid,
    parse_template,
)
from taskyard.wire.enums import LogLevel, LogSource
from taskyard.wire.templates import Monotonic

UNPACKING = "Unpacking the archive"
CHECKING = "Checking the template"
RECORDING = "Recording the version"
"""The stages of an import, as its log names them."""

MAX_README_CHARS = 256 * 1024
"""Characters kept of a README: pages show it whole, and lists of versions carry it."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A template as its archive says; repacked is null where the archive is kept as it came."""

    archive: Archive
    template: Template
    repacked: bytes | None


async def import_version(run: JobRun) -> None:
    """Does a `template_version_import` job: afterwards workspaces can be made of the version.

    Every problem of the template is an error line of the log. Raises JobFailed, JobCanceled, LeaseLost.
    """
    version_id = run.job.template_version_id
    if version_id is None:
        raise JobFailed("internal: this import names no template version")
    read = await _read(run)
    _tell(run, read)
    driver = run.drivers.get(read.template.workspace.driver)
    if driver is not None:
        await check_walls(run, driver, read.template, CHECKING)
    async with run.fenced() as conn:
        now = run.services.now()
        if read.repacked is not None:
            stored = await store_file(conn, run.job.initiator_id, read.repacked, now=now)
            await files.use_file(conn, run.job.id, stored.id)
        await db.record_import(conn, version_id, _found(read), now)
        run.log(LogLevel.INFO, RECORDING, "The version can be used.")
        await run.finish(conn, now)


async def _read(run: JobRun) -> _Read:
    """What the job's archive holds; raises JobFailed with the first problem, all are in the log then."""
    async with run.services.db.connection() as conn:
        data = await runs.get_file_as_system(conn, run.job.file_id)
    if data is None:
        raise JobFailed("internal: the archive of this version is gone from the database")
    try:
        archive = await anyio.to_thread.run_sync(read_archive, data)
    except ArchiveInvalid as error:
        run.log(LogLevel.ERROR, UNPACKING, str(error))
        raise JobFailed(str(error)) from error
    run.log(LogLevel.INFO, UNPACKING, _contents(archive))
    try:
        return await anyio.to_thread.run_sync(_understand, archive)
    except TemplateInvalid as error:
        _refuse(run, error)


def _understand(archive: Archive) -> _Read:
    """The template of an archive; raises TemplateInvalid. Work for a thread."""
    template = parse_template({file.name: file.content for file in archive.files})
    # What a workspace unpacks must be what was checked here: the same names from the same top.
    return _Read(archive, template, pack(archive.files) if archive.folder else None)


def _refuse(run: JobRun, error: TemplateInvalid) -> NoReturn:
    for problem in error.problems:
        run.log(LogLevel.ERROR, CHECKING, str(problem), source=LogSource.PROVISIONER)
    more = len(error.problems) - 1
    others = f" (and {more} more: see the log of the import)" if more else ""
    raise JobFailed(f"The template is not right: {error.problems[0]}{others}") from error


def _contents(archive: Archive) -> str:
    size_bytes = sum(len(file.content) for file in archive.files)
    where = f', all in the folder "{archive.folder}", which is left away' if archive.folder else ""
    return f"{len(archive.files)} files, {size_bytes} bytes{where}."


def _tell(run: JobRun, read: _Read) -> None:
    """Writes to the log what was understood."""
    template = read.template
    for warning in template.warnings:
        run.log(LogLevel.WARN, CHECKING, warning, source=LogSource.PROVISIONER)
    use = (
        f'its tasks talk to the app "{template.task_app}"'
        if template.task_app
        else "it runs no tasks"
    )
    run.log(
        LogLevel.INFO,
        CHECKING,
        f"The template is right: {use}; parameters: {len(template.parameters)}, presets: {len(template.presets)}.",
        source=LogSource.PROVISIONER,
    )


def _found(read: _Read) -> db.ImportedVersion:
    template = read.template
    return db.ImportedVersion(
        definition=msgspec.json.encode(template),
        has_ai_task=template.has_ai_task,
        readme=_readme(read.archive),
        display_name=template.display_name,
        description=template.description,
        icon=template.icon,
        parameters=[_parameter(each) for each in template.parameters],
        presets=[_preset(each) for each in template.presets],
    )


def _readme(archive: Archive) -> str:
    """The text of README.md at the top, in any case; empty when there is none."""
    for file in archive.files:
        if file.name.lower() == "readme.md":
            text = file.content.decode("utf-8", errors="replace")
            return text.replace("\0", "\ufffd")[:MAX_README_CHARS]
    return ""


def _parameter(parameter: Parameter) -> db.ParameterRow:
    options = [
        StoredOption(each.name, each.description, each.value, each.icon)
        for each in parameter.options
    ]
    return db.ParameterRow(
        name=parameter.name,
        display_name=parameter.display_name,
        description=parameter.description,
        type=parameter.type,
        form_type=parameter.form_type,
        mutable=parameter.mutable,
        default_value=parameter.default or "",
        icon=parameter.icon,
        options=msgspec.json.encode(options),
        validation_error=parameter.error,
        validation_regex=parameter.regex,
        validation_min=parameter.minimum,
        validation_max=parameter.maximum,
        validation_monotonic=Monotonic(parameter.monotonic) if parameter.monotonic else None,
        required=parameter.required,
        ephemeral=parameter.ephemeral,
    )


def _preset(preset: Preset) -> db.PresetRow:
    values = [PresetValue(name, value) for name, value in preset.parameters.items()]
    return db.PresetRow(
        id=uuid4(),
        name=preset.name,
        description=preset.description,
        icon=preset.icon,
        is_default=preset.default,
        parameters=msgspec.json.encode(values),
    )
