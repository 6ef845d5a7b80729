"""How a program with a screen is started: with the words that let it go on where it was, if it can. Source: N17."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from taskyard_agent.agent_types import AgentType
from taskyard_agent.bridge.context import summary
from taskyard_agent.bridge.hooks import hook_words
from taskyard_agent.bridge.mcp import screen_words
from taskyard_agent.bridge.parts import Parts
from taskyard_agent.report import BRIDGE_TOKEN

CLAUDE = "claude"
"""The type whose session is a file that is named after its id."""

SHELL = "shell"
SHELLS = frozenset({"ash", "bash", "dash", "fish", "ksh", "sh", "zsh"})
"""The type, and the programs, that run what is typed: a conversation would be run once more."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a program is started. how: new or resumed. session_id null: it has none that we know.

    lost: why a conversation is not gone on with, null when it is or when there is none.
    context: what the program has to be told of it, null for nothing.
    """

    argv: tuple[str, ...]
    how: str
    session_id: str | None
    lost: str | None = None
    context: str | None = None


def start_of(parts: Parts, failed: str | None) -> Start:
    """The next start. failed: why the last one could not go on with the session, null when it could."""
    saved, kind = parts.file.session, parts.launch.kind
    argv = parts.launch.argvs[0] if parts.launch.argvs else ()
    is_known = _is_known(kind, argv)
    own = _own_words(parts, argv) if is_known else []
    said = parts.record.turn > 0
    lost = failed or _lost(parts, argv) if said else None
    if said and lost is None:
        # It was opened after an earlier one was lost, and has not got a message since.
        forgotten = parts.record.turn < saved.native_first_turn
        words = (*argv, *kind.resume_pty(saved.native_session_id), *own)
        context = _context(parts, argv) if forgotten else None
        return Start(words, "resumed", saved.native_session_id, context=context)
    session_id = str(uuid.uuid4()) if is_known and kind.first else None
    first = kind.first_pty(session_id or "") if is_known else ()
    context = None if lost is None else _context(parts, argv)
    return Start((*argv, *first, *own), "new", session_id, lost, context)


def _is_known(kind: AgentType, argv: Sequence[str]) -> bool:
    """Whether the command is the type's own, which takes the type's words."""
    return bool(argv and kind.pty) and PurePath(argv[0]).name == PurePath(kind.pty[0]).name


def _own_words(parts: Parts, argv: Sequence[str]) -> list[str]:
    """Words that give it our report tool, and have it tell its events. Source: N14, N29."""
    kind = parts.launch.kind.name
    token = None if parts.token is None else f"${{{BRIDGE_TOKEN}}}"  # everybody sees a command
    tool = screen_words(kind, parts.url, parts.place.env, token)
    return [*tool, *hook_words(kind, argv)]


def _lost(parts: Parts, argv: Sequence[str]) -> str | None:
    """Why the last session cannot be had again; None when it most likely can."""
    saved, kind, place = parts.file.session, parts.launch.kind, parts.place
    if not saved.agent:
        return "Nothing is known of it any more."
    if saved.agent != kind.name:
        return f"It belongs to another coding agent, {saved.agent}."
    if saved.cwd != place.cwd:
        return f"It belongs to another folder, {saved.cwd}."
    if not (kind.restores and _is_known(kind, argv)):
        return "The command is not known to restore sessions."
    if not _is_there(kind, saved.native_session_id, place.env):
        return "The coding agent's file of it is gone."
    return None


def _is_there(kind: AgentType, session_id: str | None, env: Mapping[str, str]) -> bool:
    """Whether the program still has that session, as far as it can be told before it is started."""
    if kind.name != CLAUDE or session_id is None:
        return True
    home = env.get("CLAUDE_CONFIG_DIR") or str(PurePath(env.get("HOME", "/")) / ".claude")
    return any(Path(home).glob(f"projects/*/{session_id}.jsonl"))


def _context(parts: Parts, argv: Sequence[str]) -> str | None:
    is_shell = bool(argv) and PurePath(argv[0]).name in SHELLS and _takes_lines(argv[1:])
    if is_shell or parts.launch.kind.name == SHELL:
        return None
    return summary(parts.record.conversation.messages)


def _takes_lines(words: Sequence[str]) -> bool:
    """Whether a shell with these words runs what is typed, rather than a script or a command."""
    return all(word.startswith("-") for word in words)
