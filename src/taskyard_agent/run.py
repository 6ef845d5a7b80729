"""One run of a workspace agent: the link, what the manifest names, and an orderly end."""

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from taskyard_agent import __version__, points
from taskyard_agent.handover import Inbox
from taskyard_agent.hidden import hide
from taskyard_agent.link import LeaseLapsed, Link, LinkTarget, ProtocolMismatch, TokenRefused
from taskyard_agent.mux import Handlers
from taskyard_agent.ports import LAST_PORT, serve_port
from taskyard_agent.protocol import (
    Difference,
    Manifest,
    Nothing,
    Push,
    Pushed,
    ShellOpen,
    ShellOpened,
    ShellResize,
    Welcome,
)
from taskyard_agent.push import Pusher
from taskyard_agent.reports import Reports, Stale
from taskyard_agent.settings import AgentSettings
from taskyard_agent.stream import Stream
from taskyard_agent.workspace import Workspace

if TYPE_CHECKING:
    from taskyard_agent.pty_shell import Shells
    from taskyard_agent.relay import Relay

EXIT_ENDED = 0
EXIT_OVER = 3
"""The server does not want this run any more: lease, token or generation is over."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Agent:
    """Everything of one run; what outlives a connection is here."""

    def __init__(self, settings: AgentSettings, env: Mapping[str, str]) -> None:
        self.settings = settings
        if settings.attempts_fd is not None:
            with suppress(OSError):
                os.set_inheritable(settings.attempts_fd, False)  # not for what this process starts
        self.reports = Reports(_now)
        self.workspace: Workspace | None = None
        self.pusher: Pusher | None = None
        self._relay: Relay | None = None
        self._env = env
        self._ports: dict[int, int] = {}
        self._welcome: Welcome | None = None
        self._welcomed = asyncio.Event()
        self._prepared = asyncio.Event()
        self._stopping = asyncio.Event()
        self._inbox = Inbox(settings.handover_fd)
        self._over: str | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._shells: Shells | None = None
        self.link = Link(
            LinkTarget(settings.url, settings.token),
            __version__,
            self._handlers(),
            self._on_connected,
            moved_ports=self._ports,
            look_for_news=self._look_for_news,
            serve=self._serve_stream,
        )

    async def run(self) -> int:
        """The exit code, once everything is over."""
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._stopping.set)
        self._inbox.watch(self._look_for_news)
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._keep_link())
            living = tasks.create_task(self._live(tasks))
            await self._stopping.wait()
            living.cancel()
            await self._end()
        if self._over is not None:
            print(self._over, flush=True)  # noqa: T201 - the driver keeps it as the workspace's last words
            return EXIT_OVER
        return EXIT_ENDED

    def _handlers(self) -> Handlers:
        """What the server may ask."""
        handlers = Handlers()
        handlers.add("repository_diff", Nothing, self._repository_diff, ordered=True)
        handlers.add("repository_push", Push, self._repository_push, ordered=True)
        handlers.add("shell_open", ShellOpen, self._shell_open, ordered=True)
        handlers.add("shell_resize", ShellResize, self._shell_resize, ordered=True)
        return handlers

    async def _serve_stream(self, stream: Stream) -> None:
        """Connects a stream to the port that it names, or to the shell."""
        if self._shells is not None and stream.port > LAST_PORT:
            await self._shells.serve(stream)
        else:
            await serve_port(stream, self._ports)

    async def _shell_open(self, order: ShellOpen) -> ShellOpened:
        if self._shells is None:
            # Imported here: most workspaces are never entered by a person.
            from taskyard_agent.pty_shell import Shells

            assert self._tasks is not None  # there is no link before
            self._shells = Shells(
                self._tasks, lambda: None if self.workspace is None else self.workspace.place
            )
        return await self._shells.open(order)

    async def _shell_resize(self, order: ShellResize) -> Nothing:
        return Nothing() if self._shells is None else await self._shells.resize(order)

    async def _repository_diff(self, _: Nothing) -> Difference:
        # Imported here: a start does not need it.
        from taskyard_agent.repository.serve import serve_diff

        return await serve_diff(None if self.workspace is None else self.workspace.ground())

    async def _repository_push(self, order: Push) -> Pushed:
        # Imported here, as above.
        from taskyard_agent.repository.serve import serve_push

        return await serve_push(None if self.workspace is None else self.workspace.ground(), order)

    async def _keep_link(self) -> None:
        try:
            await self.link.run()
        except (TokenRefused, LeaseLapsed, ProtocolMismatch) as error:
            self._give_up(str(error))

    def _look_for_news(self) -> None:
        """Goes on as another generation where the workspace stood still until it was given one."""
        news = self._inbox.take()
        if news is None:
            return
        self.settings = replace(self.settings, token=news.token)
        if self._relay is not None:
            self._relay.renew(news.token)
        if self.workspace is not None:
            self.workspace.go_on(self.settings)
        self.reports.again()
        self.link.take_over(news.token)

    def _give_up(self, why: str) -> None:
        self._over = self._over or why
        self._stopping.set()

    async def _on_connected(self, welcome: Welcome) -> None:
        """Tells the server all that it has not heard, as long as the connection lasts."""
        points.about(str(welcome.manifest.workspace_id))
        await points.reached("agent.connected")
        if self._welcome is None:
            self._welcome = welcome
            self._welcomed.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.reports.send(self.link))
                await self._prepared.wait()
                if self.pusher is not None:
                    await self.pusher.run(self.link, welcome.acked_seq)
                    told = (
                        "The transcript has a gap before the server's next item; no more is sent."
                    )
                    self.reports.log("agent", "error", told)
        except* Stale:
            if not self.link.is_taken_over:  # else it was told to what this one was before
                self._give_up("A newer generation of this workspace is running.")

    async def _live(self, tasks: asyncio.TaskGroup) -> None:
        """Begins what the first manifest names; it goes on beside this."""
        await self._welcomed.wait()
        assert self._welcome is not None
        manifest = self._welcome.manifest
        env = {**self._env, **await self._way_out(manifest, tasks)}
        workspace = Workspace(self.settings, manifest, self.reports, env)
        journal = await workspace.open_journal(self._welcome.acked_seq, self._ports)
        if journal is not None:
            self.pusher = Pusher(journal)
        self._prepared.set()
        self.workspace = workspace
        tasks.create_task(workspace.run())

    async def _way_out(self, manifest: Manifest, tasks: asyncio.TaskGroup) -> Mapping[str, str]:
        """What leads programs out of the workspace, where the template lists something."""
        if not manifest.egress:
            return {}
        # Imported here: most workspaces have nowhere to go.
        from taskyard_agent.relay import start_relay

        log = partial(self.reports.log, "relay")
        self._relay = await start_relay(self.settings, manifest, log, tasks)
        return {} if self._relay is None else self._relay.env

    async def _end(self) -> None:
        # Imported here: it needs the HTTP client, which a start need not wait for.
        from taskyard_agent.ending import Ending

        if self._shells is not None:
            await self._shells.end()
        if self.workspace is not None:
            ending = Ending(self.settings, self.reports, self.pusher, told=self._over is None)
            await ending.run(self.workspace)
        if self._relay is not None:
            self._relay.close()
        await self.link.close()
        if self.workspace is not None:
            await self.workspace.close()  # last: the link reads the transcript


def run(env: Mapping[str, str] | None = None) -> int:
    """Runs an agent as the environment says; the exit code."""
    env = os.environ if env is None else env
    settings = AgentSettings.read(env)
    if settings.confined:  # without walls the token is the least of what can be read
        hide()
    return asyncio.run(_main(settings, env))


async def _main(settings: AgentSettings, env: Mapping[str, str]) -> int:
    points.listen_beside(settings.url)
    await points.reached("agent.started")
    return await Agent(settings, env).run()


def _now() -> datetime:
    return datetime.now(UTC)
