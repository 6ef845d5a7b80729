"""The verbs on one workspace as they work on disk and processes. They block, and need the workspace's lock."""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import UUID

import msgspec

from taskyard.drivers.base import Observation, PlaceState, WorkspaceSpec
from taskyard.drivers.sandbox.cgroups.groups import Cgroups, written_groups
from taskyard.drivers.sandbox.disk import (
    forget_disk,
    measured_limit,
    prepare_disk,
    too_much,
)
from taskyard.drivers.sandbox.files import empty_folder, lay_out
from taskyard.drivers.sandbox.frozen import is_frozen, make_channel, shape_of, wake
from taskyard.drivers.sandbox.launchers import Launchers
from taskyard.drivers.sandbox.memory import memory_kills, why_killed, why_no_forks
from taskyard.drivers.sandbox.orders import (
    CONFINED,
    LINK,
    MARKER_NAME,
    TEMPLATE,
    WAY_OUT_ENV,
    Inside,
    Start,
    Walls,
    agent_env,
    confined,
    settling,
    unconfined,
)
from taskyard.drivers.sandbox.overlay import NO_WALLS_NO_OVERLAY, prepare_overlay
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
from taskyard.drivers.sandbox.runc import contained
from taskyard.drivers.sandbox.runc_state import forget
from taskyard.drivers.sandbox.runtime import AGENT_HOME, Bind
from taskyard.drivers.sandbox.tree import Told, end_tree, start_tree
from taskyard.drivers.sandbox.uids import claim_uid, release_uid
from taskyard.errors import DriverError
from taskyard.lifecycle.walls import Backend, Overlay
from taskyard_agent import points

_KILLED = f"by signal {signal.SIGKILL.value}"
"""How the sentence on an agent ends that was killed."""
GOES_ON = "The frozen workspace goes on where it was: the same processes, with a new token."


@dataclass(frozen=True, slots=True)
class Maker:
    """How workspaces are made here: behind walls, or, where walls is None, as plain processes.

    agent_argv is the agent's command, None for `taskyard_agent run` in the server's own interpreter.
    programs are folders of the machine that every workspace finds its programs in. cgroups hold its limits.
    """

    link_dir: Path
    walls: Walls | None
    agent_argv: Sequence[str] | None
    programs: tuple[Bind, ...] = ()
    cgroups: Cgroups | None = None

    def start(self, place: Place, spec: WorkspaceSpec, launchers: Launchers) -> bool:
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
        forget_disk(place)
        limit, overlay = spec.limits.disk_bytes, spec.overlay is not Overlay.NONE
        walls, held = self.walls is not None, spec.limits.disk_held
        image = prepare_disk(place, record.uid, limit, walls=walls, held=held)
        counted = measured_limit(limit, image, overlay=overlay)
        record = msgspec.structs.replace(record, disk_bytes=counted)
        groups = [] if self.cgroups is None else self.cgroups.make(place.name, spec.limits)
        first = settling(record.uid, groups, walls=self.walls is not None)
        rest = partial(self._orders, place, record, spec, groups=groups, disk=image)
        start_tree(place, record, Told(first, rest), launchers)
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
            shape=shape_of(spec) if spec.freezes and self.walls is not None else "",
            backend=spec.backend if self.walls is not None else Backend.BWRAP,
        )

    def _orders(
        self,
        place: Place,
        record: Record,
        spec: WorkspaceSpec,
        *,
        groups: Sequence[str],
        disk: str,
    ) -> bytes:
        uid = record.uid if self.walls is not None else None
        self._check_overlay(spec)
        lay_out(place, uid, spec.hostname, spec.template_tar)
        prepare_overlay(place, uid, spec.overlay)
        agent = ("-I", "-m", "taskyard_agent", "run")
        if self.walls is not None:
            path = search_path(self.programs, inside=True)
            env = agent_env(spec, Inside(LINK, TEMPLATE, AGENT_HOME, path)) | {CONFINED: "1"}
            env |= WAY_OUT_ENV if spec.way_out else {}
            argv = self.agent_argv or (self.walls.runtime.python, *agent)
            start = Start(
                *(place, uid, spec.generation, spec.hostname, env, argv),
                way_out=spec.way_out,
                handover=make_channel(place) if record.shape else "",
                groups=groups,
                disk=disk,
                memory_bytes=spec.limits.memory_bytes,
                token=spec.agent_token,
                overlay=spec.overlay,
            )
            return (contained if spec.backend is Backend.RUNC else confined)(self.walls, start)
        path = search_path(self.programs, inside=False)
        inside = Inside(str(self.link_dir), str(place.template), str(place.home), path)
        env = agent_env(spec, inside)
        env[MARKER_NAME] = place.name
        argv = self.agent_argv or (sys.executable, *agent)
        start = Start(place, uid, spec.generation, spec.hostname, env, argv)
        return unconfined(replace(start, token=spec.agent_token))

    def _check_overlay(self, spec: WorkspaceSpec) -> None:
        """Nothing; raises DriverError where the workspace is to change /usr and cannot."""
        if spec.overlay is Overlay.NONE:
            return
        why_not = NO_WALLS_NO_OVERLAY if self.walls is None else self.walls.no_overlay
        if why_not:
            raise DriverError(
                f'Workspace {spec.workspace_id} wants overlay = "{spec.overlay}". {why_not}'
            )


def go_on(place: Place, spec: WorkspaceSpec) -> str | None:
    """A sentence on what became of a workspace that stood still; None for any other.

    One that cannot go on as the spec's generation is ended, so that it can be started anew.
    """
    record = load_record(place)
    if record is None or record.generation > spec.generation or not is_frozen(place, record):
        return None
    why = wake(place, record, spec)
    if not why:
        return GOES_ON
    end_tree(place, record)
    save_record(place, record.without_processes(f"it was frozen, and {why}"))
    return f"The frozen workspace cannot go on: {why}. It is started anew with its files."


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
    state = PlaceState.FROZEN if is_frozen(place, record) else PlaceState.RUNNING
    groups = written_groups(place.root)
    kills = memory_kills(groups, place.name)
    why = why_killed(groups, place.name, kills) if kills else ""
    forks = why_no_forks(groups, place.name)
    return Observation(
        *(workspace_id, state, record.generation, "", kills, why),
        processes=forks,
        too_much=too_much(place, record),
    )


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
    memory = _died_of_memory(place) if not cause else ""
    end_tree(place, record)
    ended = how_it_ended(place, record)
    memory = memory if ended.endswith(_KILLED) else ""
    parts = [part for part in (cause, memory, ended) if part]
    save_record(place, record.without_processes("; ".join(parts)))


def _died_of_memory(place: Place) -> str:
    """What to say when the agent was killed and nobody of ours did it; empty when memory was never full."""
    groups = written_groups(place.root)
    kills = memory_kills(groups, place.name)
    return why_killed(groups, place.name, kills) if kills else ""


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
    forget(place)
    written_groups(place.root).remove(place.name)
    if place.folder.is_dir():
        empty_folder(place.folder, keep=place.record.name)
        points.passed("delete.emptied", place.name)
        release_uid(place.root, workspace_id)
        place.record.unlink(missing_ok=True)
        place.folder.rmdir()
    place.lock.unlink(missing_ok=True)
