"""A conversation with one coding agent, whatever way it is talked to: what the routes of a bridge need."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

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
    """Where and how the coding agent runs; env is its whole environment."""

    agent: CodingAgent
    cwd: str
    env: Mapping[str, str]

    @property
    def argv(self) -> list[str]:
        """The command; the word `python` is the interpreter that this runs on."""
        name, *rest = self.agent.command
        return [sys.executable if name == "python" else name, *rest]


class Session(Protocol):
    """Prompts one at a time. Everything that it says, and every state, goes through the record."""

    record: Record
    file: SessionFile
    stopping: bool

    @property
    def transport(self) -> Transport:
        """How the coding agent is talked to."""

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

    async def stop(self, grace_s: float) -> None:
        """Prompts are refused from now on, and the running turn is over. Source: N19, N20."""


class Keeper(Protocol):
    """Keeps a coding agent running behind a session."""

    async def run(self) -> None:
        """Returns when there will be no agent any more; the session knows why."""

    async def stop(self, grace_s: float) -> None:
        """The agent and all that it started are gone."""
