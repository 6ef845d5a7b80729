"""The verbs on one workspace as they work on disk and processes. They block, and need the workspace's lock."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from taskyard.drivers.base import Observation, PlaceState, WorkspaceSpec
from taskyard.drivers.sandbox.files import empty_folder, lay_out
from taskyard.drivers.sandbox.orders import (
    CONFINED,
    LINK,
    MARKER_NAME,
    TEMPLATE,
    Inside,
    Start,
    Walls,
    agent_env,
    confined,
    unconfined,
)
from taskyard.drivers.sandbox.place import (
    Place,
    Record,
    how_it_ended,
    load_record,
    save_record,
    trim_log,
)
from taskyard.drivers.sandbox.process import boot_id, is_alive
from taskyard.drivers.sandbox.programs import search_path
from taskyard.drivers.sandbox.runtime import AGENT_HOME, Bind
from taskyard.drivers.sandbox.tree import end_tree, start_tree
from taskyard.drivers.sandbox.uids import claim_uid, release_uid
from taskyard.errors import DriverError
from taskyard_agent import points


@dataclass(frozen=True, slots=True)
class Maker:
    """How workspaces are made here: behind walls, or, where walls is None, as plain processes.

    agent_argv is the agent's command, None for `taskyard_agent run` in the server's own interpreter.
    programs are folders of the machine that every workspace finds its programs in.
    """

    link_dir: Path
    walls: Walls | None
    agent_argv: Sequence[str] | None
    programs: tuple[Bind, ...] = ()

    def start(self, place: Place, spec: WorkspaceSpec, children: set[int]) -> bool:
        """True after the workspace was started, False when it ran already.

        A lower generation is killed first: its token is dead, so it could hand nothing over.
        Raises DriverError for a generation that was replaced, and when the start fails.
        """
        old = load_record(place)
        if old is not None and old.generation > spec.generation:
            raise DriverError(
                f"Workspace {spec.workspace_id} is at generation {old.generation} already; the late "
                f"start of generation {spec.generation} was refused. Nothing needs to be done."
            )
        if old is not None and old.generation == spec.generation and runs(old):
            return False
        if old is not None:
            end_tree(place, old)
        place.folder.mkdir(mode=0o700, exist_ok=True)
        record = self._fresh_record(place, spec, old)
        start_tree(place, record, self._orders(place, record, spec), children)
        return True

    def _fresh_record(self, place: Place, spec: WorkspaceSpec, old: Record | None) -> Record:
        uid = old.uid if old is not None else None
        if uid is None and self.walls is not None and os.geteuid() == 0:
            uid = claim_uid(place.root, spec.workspace_id)
        return Record(
            generation=spec.generation,
            confined=self.walls is not None,
            boot_id=boot_id(),
            uid=uid,
        )

    def _orders(self, place: Place, record: Record, spec: WorkspaceSpec) -> bytes:
        uid = record.uid if self.walls is not None else None
        lay_out(place, uid, spec.hostname, spec.template_tar)
        agent = ("-I", "-m", "taskyard_agent", "run")
        if self.walls is not None:
            path = search_path(self.programs, inside=True)
            env = agent_env(spec, Inside(LINK, TEMPLATE, AGENT_HOME, path)) | {CONFINED: "1"}
            argv = self.agent_argv or (self.walls.runtime.python, *agent)
            return confined(
                self.walls, Start(place, uid, spec.generation, spec.hostname, env, argv)
            )
        path = search_path(self.programs, inside=False)
        inside = Inside(str(self.link_dir), str(place.template), str(place.home), path)
        env = agent_env(spec, inside)
        env[MARKER_NAME] = place.name
        argv = self.agent_argv or (sys.executable, *agent)
        return unconfined(Start(place, uid, spec.generation, spec.hostname, env, argv))


def runs(record: Record) -> bool:
    """Whether the agent of the record is alive; the workspace lives exactly as long as it does."""
    return record.boot_id == boot_id() and is_alive(record.agent)


def look(place: Place, workspace_id: UUID) -> Observation | None:
    """The workspace as it is; None when its record names processes but no agent runs: settle it first."""
    record = load_record(place)
    if record is None:
        state = PlaceState.STOPPED if place.folder.is_dir() else PlaceState.ABSENT
        return Observation(workspace_id, state, 0, "")
    if record.monitor is None:
        return Observation(workspace_id, PlaceState.STOPPED, record.generation, record.ended)
    if not runs(record):
        return None
    trim_log(place)
    return Observation(workspace_id, PlaceState.RUNNING, record.generation, "")


def settle(place: Place, workspace_id: UUID) -> Observation:
    """The workspace as it is, after what its agent, or a driver that died, left behind was ended."""
    record = load_record(place)
    if record is not None and record.monitor is not None and not runs(record):
        finish(place, record, "")
    seen = look(place, workspace_id)
    assert seen is not None  # the caller holds the lock
    return seen


def finish(place: Place, record: Record, cause: str) -> None:
    """Nothing; every process is gone, and the record says so with the cause and how the agent ended."""
    end_tree(place, record)
    parts = [part for part in (cause, how_it_ended(place, record)) if part]
    save_record(place, record.without_processes("; ".join(parts)))


def is_later(record: Record, up_to: int | None) -> bool:
    """Whether somebody has started the workspace since its generation was up_to; not when that is null."""
    return up_to is not None and record.generation > up_to


def destroy(place: Place, workspace_id: UUID, up_to: int | None = None) -> None:
    """Nothing; processes, files and record are gone. The record goes last, so that a retry finds it.

    A workspace of a generation above up_to is left alone.
    """
    record = load_record(place)
    if record is not None and is_later(record, up_to):
        return
    if record is not None:
        end_tree(place, record)
    if place.folder.is_dir():
        empty_folder(place.folder, keep=place.record.name)
        points.passed("delete.emptied", place.name)
        release_uid(place.root, workspace_id)
        place.record.unlink(missing_ok=True)
        place.folder.rmdir()
    place.lock.unlink(missing_ok=True)
