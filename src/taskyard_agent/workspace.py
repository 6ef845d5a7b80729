"""What runs in a workspace between its start and its end: scripts, apps, the bridge with its agent."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from taskyard_agent import points
from taskyard_agent.bridge.bridge import Bridge, BridgeOrder
from taskyard_agent.bridge.mcp import CONFIG_FILE
from taskyard_agent.bridge.options import Options
from taskyard_agent.bridge.session import Place
from taskyard_agent.journal import Journal, JournalBusy
from taskyard_agent.ports import OURS
from taskyard_agent.process import ProcessError
from taskyard_agent.programs import Programs, Surroundings, describe
from taskyard_agent.protocol import App, Manifest
from taskyard_agent.reports import Reports
from taskyard_agent.settings import AgentSettings, child_env

if TYPE_CHECKING:
    from taskyard_agent.repository.place import Ground


class Workspace:
    """The programs that a manifest names. run() until end_programs(); the end has an order."""

    def __init__(
        self,
        settings: AgentSettings,
        manifest: Manifest,
        reports: Reports,
        env: Mapping[str, str],
    ) -> None:
        """env: the agent's own environment."""
        self.manifest = manifest
        self.bridge: Bridge | None = None
        self._settings = settings
        self._reports = reports
        self._own_env = env
        self._env = child_env(env, settings, manifest)
        self._programs = Programs(Surroundings(str(settings.home), self._env))
        self._starting: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._watches: list[asyncio.Task[None]] = []
        self._watch_foreign: Callable[[], None] | None = None
        self._foreign_watch: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    async def open_journal(self, floor: int, ports: dict[int, int]) -> Journal | None:
        """The transcript, with item numbers above floor; None without a bridge, or when it cannot be had.

        ports: gets the bridge's port by the one that its url names.
        """
        order = self._bridge_order(floor, ports)
        if order is None:
            return None
        bridge = Bridge(order)
        try:
            journal = await bridge.open()
        except (JournalBusy, OSError) as error:
            order.log("error", f"The transcript cannot be opened: {error}")
            order.on_health("unhealthy")
            return None
        self.bridge = bridge
        return journal

    def _bridge_order(self, floor: int, ports: dict[int, int]) -> BridgeOrder | None:
        agent, slug = self.manifest.coding_agent, self.manifest.bridge_slug
        app = self._app(slug)
        if agent is None or slug is None or app is None:
            return None
        return BridgeOrder(
            home=self._settings.home,
            url=app.url,
            place=Place(agent, self._folder(), self._env, self._mcp_config()),
            floor=floor,
            ports=ports,
            log=partial(self._reports.log, "agent"),
            on_health=partial(self._reports.health, slug),
            options=Options(answerers=OURS),
        )

    def _mcp_config(self) -> str | None:
        """The template's file with MCP servers, null when it has none. Source: N14."""
        path = self._settings.template_dir / CONFIG_FILE
        return str(path) if path.is_file() else None

    def _folder(self) -> str:
        """Where the coding agent works: the same at every start, cloned or not. Source: N16."""
        repository = self.manifest.repository
        home = self._settings.home
        return str(home if repository is None else home / repository.folder)

    @property
    def place(self) -> Surroundings:
        """Where a person's shell begins, and its environment: those of the coding agent, but for a folder not made yet."""
        folder = self._folder()
        home = str(self._settings.home)
        return Surroundings(folder if Path(folder).is_dir() else home, self._env)

    def _app(self, slug: str | None) -> App | None:
        return next((app for app in self.manifest.apps if app.slug == slug), None)

    async def run(self) -> None:
        """Starts everything, and returns when end_programs() was called."""
        async with asyncio.TaskGroup() as work:
            self._starting = work.create_task(self._start(work))
            await self._closed.wait()
            for task in [self._starting, *self._tasks]:
                task.cancel()

    async def _start(self, work: asyncio.TaskGroup) -> None:
        """The start script first: it may install what everything else needs."""
        self._reports.lifecycle("starting")
        cloned = await self._clone()
        ended = await self._run_start_script()
        await points.reached("agent.scripts")
        for app in self.manifest.apps:
            self._start_app(work, app)
        if self.bridge is not None:
            work.create_task(self._run_bridge(self.bridge))
        self._reports.lifecycle(ended if cloned else "start_error")

    async def _run_start_script(self) -> str:
        """The lifecycle word for how that went: ready, start_error or start_timeout."""
        script, most_s = self.manifest.start_script, self._settings.start_script_s
        if script is None:
            return "ready"
        try:
            async with asyncio.timeout(most_s):
                fine = await self._run_script(script, "start")
        except TimeoutError:
            told = f"The start script {script} was killed after {most_s:g} s."
            self._reports.log("start", "error", told)
            return "start_timeout"
        return "ready" if fine else "start_error"

    async def _clone(self) -> bool:
        """Whether everything is there that the coding agent is to work on; the log says what is not."""
        ground = self.ground()
        if ground is None:
            return True
        # Imported here: most workspaces have no repository.
        from taskyard_agent.repository.clone import clone

        return await clone(ground, partial(self._reports.log, "git"))

    def ground(self) -> "Ground | None":
        """The repository and what it takes to work on it; None without one."""
        if self.manifest.repository is None:
            return None
        # Imported here, as above.
        from taskyard_agent.repository.place import Ground

        # The template's environment must not lead git anywhere: it gets the agent's own.
        home, owner = self._settings.home, self.manifest.owner_name
        return Ground(self.manifest.repository, home, self._own_env, owner)

    async def _run_bridge(self, bridge: Bridge) -> None:
        try:
            await bridge.run()
        except* OSError as errors:
            told = f"The bridge cannot work: {errors.exceptions[0]}"
            self._reports.log("agent", "error", told)
            self._reports.health(self.manifest.bridge_slug or "", "unhealthy")

    def _start_app(self, work: asyncio.TaskGroup, app: App) -> None:
        if app.slug == self.manifest.bridge_slug:
            return
        if app.command is not None:
            log = partial(self._reports.log, app.slug)
            keeping = self._programs.keep(["sh", "-c", app.command], log)
            self._tasks.append(work.create_task(keeping))
        if app.healthcheck is not None:
            report = partial(self._reports.health, app.slug)
            # Imported here: most workspaces have no app that is watched by HTTP.
            from taskyard_agent.health import watch_health

            watching = watch_health(app.healthcheck, report)
            self._watches.append(work.create_task(watching))
        if app.slug == self.manifest.task_slug:
            self._watch_foreign = partial(self._begin_to_watch, work, app)
            self._watch_foreign()

    def _begin_to_watch(self, work: asyncio.TaskGroup, app: App) -> None:
        """The state of somebody else's server is told from now on, beginning with what it is."""
        # Imported here: our own bridge needs no watching.
        from taskyard_agent.foreign import report_status, watch_status

        if self._foreign_watch is not None:
            self._foreign_watch.cancel()
        tell = partial(report_status, self._settings, app.slug)
        self._foreign_watch = work.create_task(watch_status(app.url, tell))
        self._watches.append(self._foreign_watch)

    def go_on(self, settings: AgentSettings) -> None:
        """Tells once more what holds, with another generation's token: this run stood still until it was that."""
        self._settings = settings
        if self._watch_foreign is not None and not self._closed.is_set():
            self._watch_foreign()
        if self.bridge is not None and self.bridge.record is not None:
            self.bridge.record.tell_again()

    async def _run_script(self, name: str, source: str) -> bool:
        """Whether the script ended well; the log says so when it did not."""
        log = partial(self._reports.log, source)
        path = self._settings.template_dir / name
        try:
            ended = await self._programs.run(["bash", str(path)], log)
        except (ProcessError, OSError) as error:
            log("error", f"The {source} script {name} cannot be run: {error}")
            return False
        if ended.code != 0:
            log("error", f"The {source} script {name} ended with {describe(ended)}.")
        return ended.code == 0

    # the end, in this order

    async def stop_turn(self, grace_s: float) -> None:
        """Nothing is started any more, and the coding agent works on nothing."""
        if self._starting is not None:
            self._starting.cancel()
        if self.bridge is not None:
            await self.bridge.stop(grace_s)

    async def end_agent(self, grace_s: float) -> None:
        """The coding agent is gone."""
        if self.bridge is not None:
            await self.bridge.end_agent(grace_s)

    async def run_stop_script(self, timeout_s: float) -> str:
        """The lifecycle word for how that went: off, shutdown_error or shutdown_timeout."""
        script = self.manifest.stop_script
        if script is None:
            return "off"
        try:
            async with asyncio.timeout(timeout_s):
                fine = await self._run_script(script, "stop")
        except TimeoutError:
            told = f"The stop script {script} was killed after {timeout_s:.1f} s."
            self._reports.log("stop", "error", told)
            return "shutdown_timeout"
        return "off" if fine else "shutdown_error"

    async def end_programs(self, grace_s: float) -> None:
        """No script or app runs any more, nor what they left running."""
        for watch in self._watches:
            watch.cancel()
        await self._programs.end(grace_s)
        self._closed.set()

    async def close(self) -> None:
        """The bridge is closed, and the transcript on stable storage."""
        if self.bridge is not None:
            await self.bridge.close()

    @property
    def foreign_url(self) -> str | None:
        """Where somebody else's AgentAPI server of the task is; None when ours is the task's."""
        app = self._app(self.manifest.task_slug)
        if app is None or app.slug == self.manifest.bridge_slug:
            return None
        return app.url
