"""What is known of each coding agent: pure data, so that everything else can stay free of their names.

Words: agentapi 5.3; commands: agentapi 6; how they go on: agentapi 8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import Final

from taskyard_agent.settings import CONFINED

__all__ = ["CONFINED", "TYPES", "AgentType", "canonical", "guess", "how_to_get", "kind_of"]

ESCAPE: Final = "\x1b"
CTRL_C: Final = "\x03"
CTRL_U: Final = "\x15"

SESSION: Final = "{session}"
"""Stands for the session's id within words."""

CUSTOM: Final = "custom"

SAFE_PATH: Final = "-P"
"""Keeps Python from taking modules of the folder it is started in: those are the workspace's, not ours."""


@dataclass(frozen=True, slots=True)
class AgentType:
    """A kind of coding agent.

    words: how people call it, for `--type` or as first word of a command.
    acp: the command that speaks ACP, null when it has none; older: what to try when that cannot be
    run, newest first. pty: the command with a screen, empty when there is none.
    install: a sentence on how to get it; install_pty: on how to get the program with the screen, where
    that is another one, else empty. needs_env: one of these must be set, none when empty.
    interrupt, clear: keys that end a turn, and that empty the composer of one line.
    first, resume, newest: words added to pty for a session with an id of ours, for one with a
    known id, and for the newest one of the folder. restores: it can go on at all.
    asks, free: modes of its ACP session in which it asks first, and in which it never asks and
    switches its own sandbox off; empty: the mode that it starts in does. Each release offers only
    some of them. mode_env: the variable that names the mode to start in.
    keeps: what its memory is in, within the home directory.
    """

    name: str
    words: tuple[str, ...]
    acp: tuple[str, ...] | None
    pty: tuple[str, ...]
    install: str
    install_pty: str = ""
    needs_env: tuple[str, ...] = ()
    older: tuple[tuple[str, ...], ...] = ()
    interrupt: str = ESCAPE
    clear: str = CTRL_U
    first: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    newest: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    mode_env: str | None = None
    keeps: tuple[str, ...] = ()

    @property
    def restores(self) -> bool:
        """Whether its screen can be started with an earlier session."""
        return bool(self.resume or self.newest)

    def first_pty(self, session_uuid: str) -> tuple[str, ...]:
        """Words added at the first start; those that take an id make it the session's. Source: N17."""
        return _with(self.first, session_uuid)

    def resume_pty(self, session_id: str | None) -> tuple[str, ...]:
        """Words added to go on with a session; without an id, with the newest one. Source: N17."""
        if session_id is None or not self.resume:
            return self.newest
        return _with(self.resume, session_id)

    def modes(self, permissions: str, env: Mapping[str, str]) -> tuple[str, ...]:
        """Modes that its ACP session may be put into, best first; none: the one it starts in is fine.

        Nothing is asked and its own sandbox is off only where ours confines the workspace and the
        template allows everything. What the template itself names wins where that is so.
        """
        free = permissions == "allow" and env.get(CONFINED) == "1"
        fitting = (*self.free, *self.asks) if free else self.asks
        named = env.get(self.mode_env) if self.mode_env is not None else None
        if named and (free or named not in self.free):
            return (named, *fitting)
        return fitting

    def start_env(self, permissions: str, env: Mapping[str, str]) -> dict[str, str]:
        """Variables to be set for its process, so that no session of it begins in another mode."""
        modes = self.modes(permissions, env)
        return {self.mode_env: modes[0]} if self.mode_env is not None and modes else {}

    def has_key(self, env: Mapping[str, str]) -> bool:
        """Whether what it needs to reach its model is set, as far as the environment tells."""
        return not self.needs_env or any(env.get(name) for name in self.needs_env)

    def acp_commands(self) -> tuple[tuple[str, ...], ...]:
        """Every command that may speak ACP, the one to be preferred first."""
        return () if self.acp is None else (self.acp, *self.older)


def _with(words: Sequence[str], session: str) -> tuple[str, ...]:
    return tuple(word.replace(SESSION, session) for word in words)


def _npm(program: str, package: str) -> str:
    return f"`{program}` not found: npm install -g {package}"


_ALL = (
    AgentType(
        name="shell",
        words=("shell",),
        acp=("python", SAFE_PATH, "-m", "taskyard_agent.shell"),
        pty=("bash",),
        install="It is part of Taskyard; `bash` must be on the PATH.",
        interrupt=CTRL_C,
        keeps=(".taskyard-shell",),
    ),
    AgentType(
        name="claude",
        words=("claude",),
        acp=("claude-agent-acp",),
        older=(("claude-code-acp",),),
        pty=("claude",),
        install=_npm("claude-agent-acp", "@agentclientprotocol/claude-agent-acp")
        + " (with its own screen: npm install -g @anthropic-ai/claude-code)",
        install_pty=_npm("claude", "@anthropic-ai/claude-code"),
        needs_env=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
        first=("--session-id", SESSION),
        resume=("--resume", SESSION),
        newest=("--continue",),
        asks=("default",),
        keeps=(".claude", ".claude.json"),
    ),
    AgentType(
        name="codex",
        words=("codex",),
        acp=("codex-acp",),
        pty=("codex",),
        install=_npm("codex-acp", "@agentclientprotocol/codex-acp")
        + " (with its own screen: npm install -g @openai/codex)",
        install_pty=_npm("codex", "@openai/codex"),
        needs_env=("CODEX_API_KEY", "OPENAI_API_KEY"),
        resume=("resume", SESSION),
        newest=("resume", "--last"),
        asks=("workspace-write",),
        free=("agent-full-access", "full-access"),
        mode_env="INITIAL_AGENT_MODE",
        keeps=(".codex",),
    ),
    AgentType(
        name="gemini",
        words=("gemini",),
        acp=("gemini", "--acp"),
        older=(("gemini", "--experimental-acp"),),
        pty=("gemini",),
        install=_npm("gemini", "@google/gemini-cli"),
        needs_env=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"),
        resume=("--resume", SESSION),
        newest=("--resume", "latest"),
        asks=("default",),
        keeps=(".gemini",),
    ),
    AgentType(
        name="opencode",
        words=("opencode",),
        acp=("opencode", "acp"),
        pty=("opencode",),
        install=_npm("opencode", "opencode-ai"),
        resume=("--session", SESSION),
        newest=("--continue",),
        keeps=(".local/share/opencode", ".config/opencode"),
    ),
    AgentType(
        name="aider",
        words=("aider",),
        acp=None,
        pty=("aider",),
        install="`aider` not found: pip install aider-chat",
        interrupt=CTRL_C,
        newest=("--restore-chat-history",),
        keeps=(".aider.chat.history.md",),
    ),
    AgentType(
        name="goose",
        words=("goose",),
        acp=("goose", "acp"),
        pty=("goose", "session"),
        install="`goose` not found: get it from its own site; no package registry has it.",
        interrupt=CTRL_C,
        newest=("--resume",),
        keeps=(".config/goose", ".local/share/goose"),
    ),
    AgentType(
        name="copilot",
        words=("copilot",),
        acp=("copilot", "--acp"),
        pty=("copilot",),
        install=_npm("copilot", "@github/copilot"),
        needs_env=(
            "COPILOT_GITHUB_TOKEN",
            "GH_TOKEN",
            "GITHUB_TOKEN",
            "COPILOT_PROVIDER_API_KEY",
        ),
        resume=("--resume", SESSION),
        newest=("--continue",),
        keeps=(".copilot",),
    ),
    AgentType(
        name="cursor",
        words=("cursor", "cursor-agent"),
        acp=("cursor-agent", "acp"),
        pty=("cursor-agent",),
        install="`cursor-agent` not found: get it from its own site; no package registry has it.",
        interrupt=CTRL_C,
        keeps=(".cursor",),
    ),
    AgentType(
        name="amp",
        words=("amp",),
        acp=None,
        pty=("amp",),
        install=_npm("amp", "@sourcegraph/amp"),
        needs_env=("AMP_API_KEY",),
    ),
    AgentType(
        name="auggie",
        words=("auggie",),
        acp=("auggie", "--acp"),
        pty=("auggie",),
        install=_npm("auggie", "@augmentcode/auggie"),
        needs_env=("AUGMENT_SESSION_AUTH", "AUGMENT_API_TOKEN"),
        keeps=(".augment",),
    ),
    AgentType(
        name="amazonq",
        words=("amazonq", "q"),
        acp=None,
        pty=("q", "chat"),
        install="`q` not found: get it from its own site; no package registry has it.",
        interrupt=CTRL_C,
    ),
    AgentType(
        name=CUSTOM,
        words=(CUSTOM,),
        acp=None,
        pty=(),
        install="The template's agent command must name a program that the workspace has.",
        interrupt=CTRL_C,
    ),
)

TYPES: Final[Mapping[str, AgentType]] = MappingProxyType({kind.name: kind for kind in _ALL})
"""Every type by its name."""

_BY_WORD: Final = {word: kind.name for kind in _ALL for word in kind.words}

_BY_PROGRAM: Final = _BY_WORD | {
    command[0]: kind.name
    for kind in _ALL
    for command in kind.acp_commands()
    if command[0] != "python"
}


def canonical(word: str) -> str | None:
    """The name of the type that a word means, exactly; None for a word that means none."""
    return _BY_WORD.get(word)


def guess(argv: Sequence[str]) -> str:
    """The type of a command by the base name of its program, custom when it is not known. Source: D12.

    A program that only speaks ACP tells its type too.
    """
    if not argv:
        return CUSTOM
    return _BY_PROGRAM.get(PurePath(argv[0]).name, CUSTOM)


def kind_of(name: str) -> AgentType:
    """What is known of a type; of a name that is not known, what is known of none."""
    return TYPES.get(name, TYPES[CUSTOM])


def how_to_get(program: str) -> str | None:
    """How to get a program of ours to talk to, None for one that no type names."""
    name = PurePath(program).name
    kind = _BY_PROGRAM.get(name)
    if kind is None or kind in {"shell", CUSTOM}:
        return None
    found = TYPES[kind]
    return (found.install_pty if name in found.pty[:1] else "") or found.install
