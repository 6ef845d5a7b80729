"""Watching a job, be it of a build or of an import, from the queue to its end."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import click

from taskyard.cli.failures import Failure
from taskyard.cli.output import Progress, note, plain
from taskyard.sdk import ApiError, Client
from taskyard.wire.enums import JobStatus, LogLevel
from taskyard.wire.templates import TemplateVersion
from taskyard.wire.workspaces import ProvisionerJob, ProvisionerJobLog, WorkspaceBuild

QUEUE_LOOK_S: Final = 0.3
"""Pause between looks at a job that waits; short enough that its start is seen at once."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A job to watch; what is a phrase such as `pausing alice/fix`."""

    what: str
    look: Callable[[], WorkspaceBuild | TemplateVersion]
    follow: Callable[[], Iterator[ProvisionerJobLog]]
    cancel: Callable[[], object]


def watch_build(client: Client, build: WorkspaceBuild, what: str) -> None:
    """Returns when a build succeeded. Raises Failure; Abort after Ctrl-C, which cancels the build."""
    watch(
        Watched(
            what,
            look=lambda: client.get_workspace_build(build.id),
            follow=lambda: client.follow_workspace_build_logs(build.id),
            cancel=lambda: client.cancel_workspace_build(build.id),
        )
    )


def watch_import(client: Client, version: TemplateVersion, what: str) -> None:
    """Returns when an import succeeded. Raises Failure; Abort after Ctrl-C, which cancels the import."""
    watch(
        Watched(
            what,
            look=lambda: client.get_template_version(version.id),
            follow=lambda: client.follow_template_version_logs(version.id),
            cancel=lambda: client.cancel_template_version(version.id),
        )
    )


def watch(watched: Watched) -> None:
    """Shows a job's place, stages and log on stderr until it ended well. Raises Failure, Abort."""
    progress = Progress()
    try:
        job = _until_over(watched, progress)
    except KeyboardInterrupt:
        progress.clear()
        _cancel(watched)
        raise click.Abort from None
    finally:
        progress.clear()
    match job.status:
        case JobStatus.SUCCEEDED:
            return
        case JobStatus.FAILED:
            why = plain(job.error or "the server did not say why")
            raise Failure(f"{watched.what} failed: {why}")
        case JobStatus.CANCELED | JobStatus.CANCELING:
            raise Failure(f"{watched.what} was canceled.")
        case _:
            raise Failure(
                f"{watched.what}: its log ended while the job is still {job.status}.",
                hint="It may still go on; look again in a moment.",
            )


def _until_over(watched: Watched, progress: Progress) -> ProvisionerJob:
    seen = watched.look()
    while seen.job.status is JobStatus.PENDING:
        progress.show(f"{watched.what}: {queue_text(seen)}")
        time.sleep(QUEUE_LOOK_S)
        seen = watched.look()
    stage = ""
    for line in watched.follow():
        if line.stage and line.stage != stage:
            stage = line.stage
            progress.show(f"{watched.what}: {stage}")
        if line.output:
            mark = (
                f"{line.log_level}: " if line.log_level in (LogLevel.WARN, LogLevel.ERROR) else ""
            )
            progress.line(f"  {mark}{line.output}")
    return watched.look().job


def queue_text(seen: WorkspaceBuild | TemplateVersion) -> str:
    """What a job waits for, in words."""
    workers = seen.matched_provisioners
    if workers and workers.count == 0:
        return "no worker runs that could take it"
    job = seen.job
    if job.queue_position > 0 and job.queue_size > 1:
        return f"place {job.queue_position} of {job.queue_size} in the queue"
    return "waiting for a worker"


def _cancel(watched: Watched) -> None:
    try:
        watched.cancel()
    except ApiError as error:
        note(f"{watched.what} could not be canceled and goes on: {error.message}")
    else:
        note(f"{watched.what}: told the server to cancel it.")
