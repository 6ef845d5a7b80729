"""`taskyard-agent bridge`: a bridge without a server, in the place of `agentapi server`. Source: agentapi 3, 4."""

import asyncio
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from taskyard_agent.bridge.bridge import Bridge, BridgeOrder
from taskyard_agent.bridge.life import Ended, Life, OnExit
from taskyard_agent.bridge.options import Limits, Options
from taskyard_agent.bridge.port import BACKLOG
from taskyard_agent.bridge.session import Place
from taskyard_agent.bridge.terminal_options import TerminalOptions
from taskyard_agent.journal import JournalBusy, SessionFile
from taskyard_agent.protocol import CodingAgent
from taskyard_agent.standalone.command_line import BridgeCommand
from taskyard_agent.standalone.flags import UsageError
from taskyard_agent.standalone.memory import (
    StateKeeper,
    folder_of,
    part,
    remember_prompt,
    take_over,
)
from taskyard_agent.standalone.state_file import State, StateUnreadable, load

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Source: A47."""

TURN_SHARE = 0.4
AGENT_SHARE = 0.4
"""Of the grace: for the end of the turn, then for the coding agent's. With 25 s, 10 s each. Source: N20."""


class CannotRun(Exception):
    """The bridge cannot be started; str() is a sentence."""


def log(level: str, text: str) -> None:
    """A line about what happens, as names and values. Source: agentapi 3."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    print(f"time={time} level={level} msg={text!r}", flush=True)  # noqa: T201 - the program's log


@dataclass(frozen=True, slots=True)
class Start:
    """What a run begins with, besides the command."""

    command: BridgeCommand
    env: Mapping[str, str]
    prompt: str
    folder: Path


def serve(command: BridgeCommand, env: Mapping[str, str], prompt: str) -> int:
    """The exit code, once the bridge has ended. prompt: to be sent first, empty for none. Raises CannotRun."""
    try:
        with folder_of(command) as folder:
            return asyncio.run(Run(Start(command, env, prompt, folder)).run())
    except (OSError, JournalBusy, UsageError) as error:
        raise CannotRun(str(error)) from error


class Run:
    """One run, from the first file that is read to the last process that is gone."""

    def __init__(self, start: Start) -> None:
        self._command = start.command
        self._start = start
        self._stopping = asyncio.Event()
        self._ended: Ended | None = None
        self._warning = ""
        self._listening = _listen(start.command.host, start.command.port)

    async def run(self) -> int:
        """The exit code. Raises JournalBusy, OSError."""
        state = self._load()
        await self._part(state)
        prompt = self._start.prompt
        if not prompt and state is not None and not state.initial_prompt_sent:
            prompt = state.initial_prompt
        self._keeper = StateKeeper(
            self._start.folder,
            self._command.state_file if self._command.saves_state else None,
            prompt,
        )
        bridge = Bridge(self._order(prompt))
        await self._open(bridge, state)
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGUSR1, partial(self._save, bridge))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bridge.run())
            log("info", f"listening on {_shown(self._listening)}")
            await self._stopping.wait()
            await self._stop(bridge)
        return self._last_words()

    def _load(self) -> State | None:
        if not self._command.loads_state or self._command.state_file is None:
            return None
        try:
            return load(self._command.state_file)
        except StateUnreadable as error:
            self._warning = f"The previous conversation could not be restored. {error}"
            log("warn", self._warning)
            return None

    async def _part(self, state: State | None) -> None:
        """What lies in the folder is the conversation that is to be loaded, or nothing is. Source: A43."""
        file = self._command.state_file
        if self._command.loads_state and file is not None:
            await part(self._start.folder, file, state, unreadable=bool(self._warning))

    async def _open(self, bridge: Bridge, state: State | None) -> None:
        journal = await bridge.open()
        if state is not None and journal.last_seq == 0:
            take_over(state, journal)
            await remember_prompt(state, SessionFile(self._start.folder / "session.json"))

    def _order(self, prompt: str) -> BridgeOrder:
        command = self._command
        agent = CodingAgent(
            type=command.agent_type,
            transport=command.transport,
            command=list(command.argv),
            permissions=command.text("permissions"),
            permission_timeout_s=command.seconds("permission-timeout"),
        )
        life = Life(OnExit(command.text("on-exit")), prompt, self._on_end)
        return BridgeOrder(
            home=Path.cwd(),
            url=f"http://127.0.0.1:{command.port}",
            place=Place(
                agent,
                str(Path.cwd()),
                self._start.env,
                mcp_config=command.text("mcp-config") or None,
                on_interrupted=command.text("on-interrupted"),
            ),
            floor=0,
            ports={},
            log=log,
            on_health=lambda _health: None,
            warning=self._warning,
            options=_options(command),
            terminal=_terminal(command),
            life=life,
            folder=self._start.folder,
            listening=self._listening,
        )

    def _on_end(self, ended: Ended) -> None:
        self._ended = ended
        self._stopping.set()

    def _save(self, bridge: Bridge) -> None:
        """Everything is written down; the run goes on. Source: A48."""
        try:
            if bridge.record is not None and bridge.file is not None:
                self._keeper.save(bridge.record, bridge.file)
        except OSError as error:
            log("error", f"The state file cannot be written: {error}")

    async def _stop(self, bridge: Bridge) -> None:
        """Source: A47, N20."""
        grace_s = self._command.seconds("grace") or 0.0
        await bridge.stop(grace_s * TURN_SHARE)
        self._save(bridge)
        await bridge.end_agent(grace_s * AGENT_SHARE)
        await bridge.close()

    def _last_words(self) -> int:
        """The exit code: 0 unless the coding agent ended badly, which is told with its last screen. Source: A19."""
        ended = self._ended
        if ended is None or ended.exit.code == 0:
            return 0
        if ended.screen.strip():
            print(ended.screen.rstrip(), file=sys.stderr)  # noqa: T201 - the last screen
        print(ended.sentence, file=sys.stderr, flush=True)  # noqa: T201 - a program's last words
        return 1


def _shown(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CannotRun(
            f"The bridge cannot listen on {host} port {port}: {error}. Choose another one by --port."
        ) from error


def _options(command: BridgeCommand) -> Options:
    return Options(
        hosts=command.entries("allowed-hosts"),
        origins=command.entries("allowed-origins"),
        token=command.token,
        queue=True,
        chat_base=command.text("chat-base-path").rstrip("/"),
        inline_tools=command.text("acp-inline-tools") == "on",
        limits=Limits(
            body_bytes=command.number("max-body"),
            v2_body_bytes=command.number("max-v2-body"),
            upload_bytes=command.number("max-upload"),
            uploads_bytes=command.number("max-uploads"),
            streams=command.number("max-streams"),
            queued_prompts=command.number("max-queue"),
            tool_bytes=command.number("max-tool-data"),
            transcript_bytes=command.number("max-transcript"),
        ),
    )


def _terminal(command: BridgeCommand) -> TerminalOptions:
    return TerminalOptions(
        cols=command.number("term-width"),
        rows=command.number("term-height"),
        kind=command.text("term-type"),
        stable_after_s=command.seconds("stable-after") or 0.0,
        ready_pattern=command.pattern("ready-pattern"),
        ready_timeout_s=command.seconds("ready-timeout") or None,
        rules=command.path("format-rules"),
        inline_max_bytes=command.number("pty-inline-max"),
        log_bytes=command.number("pty-log-bytes"),
        hide_tools=command.entries("hide-tool"),
    )
