"""Which command is run for a coding agent, and whether it is talked to by ACP or through its screen."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taskyard_agent.agent_types import CUSTOM, TYPES, AgentType, how_to_get, kind_of
from taskyard_agent.bridge.session import Transport
from taskyard_agent.protocol import CodingAgent

_PYTHON = "python"
"""The word of a command that stands for the interpreter which this runs on."""

_SEEN = (
    " A workspace sees only what lies below /usr of the server's machine, or in a folder that "
    "`taskyard server --programs` names."
)
"""Why a program may be missing in a workspace that is there for everybody else."""


class LoginNeeded(Exception):
    """The coding agent has no key, or is not logged in; str() says what to do."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What is to be started. argvs: the best one first, others when it cannot be run; maybe none."""

    kind: AgentType
    transport: Transport
    argvs: tuple[tuple[str, ...], ...]


def launch(agent: CodingAgent, env: Mapping[str, str]) -> Launch:
    """The command and the transport of a coding agent.

    A command that is given is run as it is. auto: ACP when the command is known to speak it, or
    when none is given and the type's is installed; else the screen, unless there is none. Source: N1.
    """
    kind = kind_of(agent.type)
    given = tuple(agent.command)
    transport = _transport(agent.transport, kind, given, env)
    argvs = (given,) if given else kind.acp_commands() if transport == "acp" else (kind.pty,)
    return Launch(kind, transport, tuple(_runnable(argv) for argv in argvs if argv))


def _transport(
    wanted: str, kind: AgentType, given: Sequence[str], env: Mapping[str, str]
) -> Transport:
    if wanted == "acp":
        return "acp"
    if wanted == "pty":
        return "pty"
    if given:
        return "acp" if speaks_acp(given) else "pty"
    commands = kind.acp_commands()
    if any(is_installed(command[0], env) for command in commands):
        return "acp"
    # Neither is there: the error is to name the program that is wanted most.
    screen_only = not commands or (kind.pty and is_installed(kind.pty[0], env))
    return "pty" if screen_only else "acp"


def speaks_acp(argv: Sequence[str]) -> bool:
    """Whether a command is one that is known to speak ACP, wherever its program lies."""
    program = argv[0].rpartition("/")[2]
    words = (program, *argv[1:])
    known = (command for kind in TYPES.values() for command in kind.acp_commands())
    return any(words[: len(command)] == command for command in known)


def is_installed(program: str, env: Mapping[str, str]) -> bool:
    """Whether there is such a program in the workspace."""
    return program == _PYTHON or shutil.which(program, path=env.get("PATH", "")) is not None


def _runnable(argv: tuple[str, ...]) -> tuple[str, ...]:
    return (sys.executable, *argv[1:]) if argv[0] == _PYTHON else argv


def not_found(program: str, env: Mapping[str, str]) -> str:
    """A sentence for a program that is not there: which, how to get it, where it was looked for."""
    told = how_to_get(program) or (
        f"`{program}` not found: install it in the workspace, or name it by its full path."
    )
    ending = "" if told.endswith(".") else "."
    where = f"It was looked for in {env.get('PATH', '')!r}."
    return f"{told}{ending} {where}{_SEEN if 'TASKYARD_WORKSPACE_ID' in env else ''}"


def no_command(kind: AgentType) -> str:
    """A sentence for a type that cannot be started without a command, or not by that transport."""
    if kind.name == CUSTOM:
        return "A custom coding agent needs a command. Set `command` in the template's [agent]."
    return (
        f"The coding agent {kind.name} does not speak ACP. Use transport pty, or set a command of "
        "your own that does."
    )


def login_needed(kind: AgentType, offered: Sequence[str]) -> str:
    """A sentence for a coding agent that wants a key or a login. offered: its own ways, by name."""
    told = "The coding agent wants to be logged in first."
    if kind.needs_env:
        *others, last = kind.needs_env
        names = f"{', '.join(others)} or {last}" if others else last
        told += f" Set {names}: taskyard secrets set {kind.needs_env[0]}."
    if offered:
        told += f" It offers: {'; '.join(offered)}."
    return told
