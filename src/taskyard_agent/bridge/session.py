"""A conversation with one coding agent, whatever way it is talked to: what the routes of a bridge need."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from taskyard_agent.acp_permissions import PermissionOption
from taskyard_agent.bridge.overview import Turn
from taskyard_agent.bridge.record import Record
from taskyard_agent.journal import SessionFile
from taskyard_agent.protocol import CodingAgent

Transport = Literal["acp", "pty"]

TRIM = " \t\n\r\f\v"
"""What is cut off both ends of a prompt. Source: A30."""


class Refused(Exception):
    """The session does not take what it was given; code is a word of N37, str() a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how the coding agent runs; env is its whole environment.

    mcp_config: a file with more MCP servers, null for none. on_interrupted: continue, or wait.
    """

    agent: CodingAgent
    cwd: str
    env: Mapping[str, str]
    mcp_config: str | None = None
    on_interrupted: str = "wait"

    @property
    def argv(self) -> list[str]:
        """The command; the word `python` is the interpreter that this runs on."""
        name, *rest = self.agent.command
        return [sys.executable if name == "python" else name, *rest]


class OpenPermission(msgspec.Struct, frozen=True):
    """A request for permission that nobody answered yet; expires_at null: it waits for ever."""

    id: str
    title: str
    options: list[PermissionOption]
    expires_at: datetime | None


Outcome = Literal["working", "complete", "failure"]


class Report(msgspec.Struct, frozen=True):
    """What a coding agent says of its own work; the data of a `report` item. link null: it gave none."""

    summary: str
    link: str | None
    outcome: Outcome


class Session(Protocol):
    """Prompts one at a time. Everything that it says, and every state, goes through the record."""

    record: Record
    file: SessionFile
    stopping: bool

    @property
    def transport(self) -> Transport:
        """How the coding agent is talked to."""

    @property
    def turn(self) -> Turn | None:
        """The turn that runs, or the prompt of which is just being taken; None between turns."""

    async def prompt(self, content: str, prompt_id: str | None) -> None:
        """Returns once the agent has taken the prompt, at once when that id was taken before.

        Raises Refused: empty, busy, not_ready, dialog_open, agent_exited, timeout, shutting_down.
        Source: N8, A30-A34, N18.
        """

    async def raw(self, keys: str) -> None:
        """The keys are with the program; without a terminal, Escape and Ctrl-C cancel. Source: A35, N10.

        Raises Refused: raw_needs_terminal, agent_exited.
        """

    async def cancel(self) -> None:
        """The running turn was asked to end; nothing when there is none. Source: N10, N13."""

    def permissions(self) -> list[OpenPermission]:
        """Requests that wait for a person, oldest first. Source: N11."""

    def answer_permission(
        self, request_id: str, option_id: str | None, name: str | None = None
    ) -> None:
        """The request is answered with that option, or cancelled with None, by a person of that name.

        Raises Refused: unknown, answered, no_such_option. Source: N11.
        """

    def report(self, report: Report) -> None:
        """What the coding agent said of itself is stored. Raises Refused: not_stored."""

    async def stop(self, grace_s: float) -> None:
        """Prompts are refused from now on, and the running turn is over. Source: N19, N20."""


class TakesBlocks(Session, Protocol):
    """A session over ACP, which takes more than text."""

    async def prompt_blocks(self, blocks: Sequence[msgspec.Raw], prompt_id: str | None) -> None:
        """As prompt(), with content blocks of ACP, which the agent gets as they are."""


class ByteLog(Protocol):
    """Bytes in order, of which the oldest may be gone: those from `first` up to `end` are there."""

    @property
    def first(self) -> int:
        """The offset of the oldest byte that is kept."""

    @property
    def end(self) -> int:
        """The offset behind the newest byte."""

    def read(self, offset: int, limit: int) -> bytes:
        """Up to so many bytes from an offset that is there; empty at the end."""

    async def wait_beyond(self, offset: int) -> None:
        """Returns as soon as there are bytes behind the offset."""


class TerminalLike(Session, Protocol):
    """A session whose program has a terminal."""

    @property
    def pty_log(self) -> ByteLog:
        """All that the program wrote to its terminal. Source: N27."""

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the terminal."""

    def screen_text(self) -> str:
        """The screen as it is now. Source: A15."""

    async def keys(self, data: str) -> None:
        """The bytes of these characters are with the program, as they are. Raises Refused: agent_exited."""

    def resize(self, cols: int, rows: int) -> None:
        """The terminal has that size."""

    def hook(self, event: str, error: str | None) -> None:
        """The program told an event of its own; error: why its turn failed. Source: N29."""


class Keeper(Protocol):
    """Keeps a coding agent running behind a session."""

    async def run(self) -> None:
        """Returns when there will be no agent any more; the session knows why."""

    async def stop(self, grace_s: float) -> None:
        """The agent and all that it started are gone."""
