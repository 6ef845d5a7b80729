"""The echo driver: workspaces that are only a script, for tests and demos.

What lies in its folder, one folder a workspace named after its id:

    state.json     generation, whether it runs, the agent's token
    echo.json      the script it was last started with
    messages.json  the conversation of its scripted task app; kept over stops

Files are replaced whole, so a kill leaves the old or the new. The scripted agents run inside this
process while `run` does; without it workspaces start and stop, but nobody dials the server.
"""

import asyncio
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from uuid import UUID

import msgspec

from taskyard.drivers.base import LogSink, Observation, PlaceState, WorkspaceSpec
from taskyard.drivers.echo.agent import ScriptedAgent
from taskyard.drivers.echo.script import Script, Step, read_script, script_in
from taskyard.drivers.echo.waiting import pause
from taskyard.errors import CannotFreeze, DriverError
from taskyard.lifecycle.walls import Wall


class _State(msgspec.Struct, frozen=True):
    """What is kept of a workspace."""

    generation: int
    running: bool
    token: str


KEPT = ("echo.json", "messages.json")
"""What is left of a workspace when it moves to another server."""


def at_rest() -> bytes:
    """What `state.json` says of a workspace that has files here, and never ran."""
    return msgspec.json.encode(_State(0, running=False, token=""))


class EchoDriver:
    """Plays scripts in place of workspaces; keeps its records under root.

    link_url is where scripted agents dial, as in taskyard_agent.link; null: they do not.
    """

    def __init__(self, root: Path, link_url: str | None = None) -> None:
        self._root = root
        self._link_url = link_url
        self._locks: dict[UUID, asyncio.Lock] = {}
        self._agents: dict[UUID, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    @property
    def name(self) -> str:
        """The word that templates put behind `workspace.driver`."""
        return "echo"

    async def run(self) -> None:
        """Plays the scripted agents of all running workspaces, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for workspace_id in self._known():
                    self._start_agent(workspace_id)
                await asyncio.Event().wait()
            finally:
                self._group = None
                for agent in self._agents.values():
                    agent.cancel()
                self._agents.clear()

    async def probe(self) -> None:
        """Nothing: a script can be played anywhere."""

    async def lacks(self, walls: Collection[Wall]) -> Mapping[Wall, str]:
        """Nothing: no program runs, so none gets past a wall."""
        del walls
        return {}

    async def ensure(self, spec: WorkspaceSpec, log: LogSink) -> None:
        """Plays `ensure`, then the workspace counts as running; raises DriverError."""
        workspace_id = spec.workspace_id
        async with self._lock(workspace_id):
            state = self._load(workspace_id)
            if state is not None and state.generation > spec.generation:
                raise DriverError(
                    f"Generation {state.generation} of this workspace exists already, "
                    f"{spec.generation} comes too late."
                )
            if state is not None and state.running and state.generation == spec.generation:
                return
            await self._end_agent(workspace_id)
            script = script_in(spec.template_tar)
            self._write(workspace_id, "echo.json", msgspec.json.encode(script))
            self._save(workspace_id, _State(spec.generation, running=False, token=spec.agent_token))
            await _play(script.ensure, log)
            self._save(workspace_id, _State(spec.generation, running=True, token=spec.agent_token))
            self._start_agent(workspace_id)

    async def observe(self, workspace_id: UUID) -> Observation:
        """The workspace as its record has it."""
        return self._observation(workspace_id)

    async def stop(self, workspace_id: UUID, *, grace_s: float, up_to: int | None = None) -> None:
        """Plays `stop`, at most for the grace; then the workspace does not run. Raises DriverError."""
        async with self._lock(workspace_id):
            state = self._load(workspace_id)
            if state is None or _is_later(state, up_to):
                return
            try:
                async with asyncio.timeout(grace_s):
                    await _play(self._script(workspace_id).stop)
            except TimeoutError:
                pass  # the grace is over: the workspace ends now
            await self._end_agent(workspace_id)
            self._save(workspace_id, msgspec.structs.replace(state, running=False))

    async def freeze(self, workspace_id: UUID, *, up_to: int | None = None) -> None:
        """Always raises CannotFreeze: a script is no process."""
        del workspace_id, up_to
        raise CannotFreeze("the echo driver has no processes that could be frozen")

    async def destroy(self, workspace_id: UUID, *, up_to: int | None = None) -> None:
        """Plays `destroy`, then nothing is left; raises DriverError when the script fails."""
        async with self._lock(workspace_id):
            state = self._load(workspace_id)
            if state is None or _is_later(state, up_to):
                return
            await _play(self._script(workspace_id).destroy)
            await self._end_agent(workspace_id)
            self._remove(workspace_id)

    async def list(self) -> Sequence[Observation]:
        """Every workspace with a record."""
        return [self._observation(workspace_id) for workspace_id in self._known()]

    async def strays(self) -> Sequence[str]:
        """Folders and files among the workspaces that are none."""
        if not self._root.is_dir():
            return []
        known = {str(workspace_id) for workspace_id in self._known()}
        names = sorted(path.name for path in self._root.iterdir() if path.name not in known)
        return [f"{self._root / name} is no workspace" for name in names]

    async def crash(self, workspace_id: UUID) -> None:
        """Ends a workspace as if its processes had been killed; for tests."""
        async with self._lock(workspace_id):
            await self._end_agent(workspace_id)
            self._died(workspace_id)

    def _died(self, workspace_id: UUID) -> None:
        state = self._load(workspace_id)
        if state is not None:
            self._save(workspace_id, msgspec.structs.replace(state, running=False))

    def _start_agent(self, workspace_id: UUID) -> None:
        state = self._load(workspace_id)
        if self._group is None or self._link_url is None or state is None or not state.running:
            return
        script = self._script(workspace_id).agent
        if script is not None:
            agent = ScriptedAgent(self._folder(workspace_id), script, self._link_url, state.token)
            self._agents[workspace_id] = self._group.create_task(
                self._play_agent(workspace_id, agent)
            )

    async def _play_agent(self, workspace_id: UUID, agent: ScriptedAgent) -> None:
        await agent.run()
        self._died(workspace_id)

    async def _end_agent(self, workspace_id: UUID) -> None:
        task = self._agents.pop(workspace_id, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def _lock(self, workspace_id: UUID) -> asyncio.Lock:
        return self._locks.setdefault(workspace_id, asyncio.Lock())

    def _folder(self, workspace_id: UUID) -> Path:
        return self._root / str(workspace_id)

    def _known(self) -> Iterable[UUID]:
        if not self._root.is_dir():
            return []
        names = [path.parent.name for path in self._root.glob("*/state.json")]
        return [UUID(name) for name in names if _is_id(name)]

    def _observation(self, workspace_id: UUID) -> Observation:
        state = self._load(workspace_id)
        if state is None:
            return Observation(workspace_id, PlaceState.ABSENT, 0, "")
        place = PlaceState.RUNNING if state.running else PlaceState.STOPPED
        return Observation(workspace_id, place, state.generation, "")

    def _load(self, workspace_id: UUID) -> _State | None:
        try:
            text = (self._folder(workspace_id) / "state.json").read_bytes()
        except FileNotFoundError:
            return None
        return msgspec.json.decode(text, type=_State)

    def _script(self, workspace_id: UUID) -> Script:
        return read_script((self._folder(workspace_id) / "echo.json").read_bytes())

    def _save(self, workspace_id: UUID, state: _State) -> None:
        self._write(workspace_id, "state.json", msgspec.json.encode(state))

    def _write(self, workspace_id: UUID, name: str, data: bytes) -> None:
        folder = self._folder(workspace_id)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = folder / f"{name}.new"
        temporary.write_bytes(data)
        temporary.replace(folder / name)

    def _remove(self, workspace_id: UUID) -> None:
        folder = self._folder(workspace_id)
        (folder / "state.json").replace(folder / "state.old")  # from here on it is not known
        shutil.rmtree(folder)


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _is_later(state: _State, up_to: int | None) -> bool:
    """Whether somebody has started the workspace again since."""
    return up_to is not None and state.generation > up_to


async def _play(steps: Sequence[Step], log: LogSink | None = None) -> None:
    """Plays the steps of a verb; raises DriverError where the script says so."""
    for step in steps:
        if step.log is not None and log is not None:
            log(step.level, step.log)
        await pause(step.sleep_s, step.wait_for)
        if step.fail is not None and _fails(step):
            raise DriverError(step.fail)


def _fails(step: Step) -> bool:
    return step.fail_while is None or Path(step.fail_while).exists()
