"""The MCP servers of a coding agent's session: our report tool, and those of a configuration file. Source: N14."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from taskyard_agent.acp_messages import NONE, peek
from taskyard_agent.agent_types import SAFE_PATH
from taskyard_agent.bridge.own_tool import CLAUDE_NAME, SERVER
from taskyard_agent.report import BRIDGE_TOKEN, BRIDGE_URL

_PYTHON_ENV: Final = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
"""What our interpreter may need: some coding agents start servers without their own environment."""

CONFIG_FILE: Final = "mcp.json"
"""The configuration file of a template, which lies beside its taskyard.toml."""


class McpConfigInvalid(Exception):
    """The configuration file cannot be used; str() says which, and what is wrong."""


class _Server(msgspec.Struct):
    """A server in the common format: a command, or a url of type http or sse."""

    command: str | None = None
    args: list[str] = []
    env: dict[str, str] = {}
    type: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}


class _Config(msgspec.Struct, rename="camel"):
    mcp_servers: dict[str, _Server]


class _McpCapabilities(msgspec.Struct):
    http: bool | None = None
    sse: bool | None = None


class _Capabilities(msgspec.Struct, rename="camel"):
    mcp_capabilities: msgspec.Raw = NONE


def read_config(path: Path) -> dict[str, _Server]:
    """The servers of a configuration file by their names. Raises McpConfigInvalid."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Config).mcp_servers
    except (OSError, ValueError) as error:
        raise McpConfigInvalid(f"The MCP configuration {path} cannot be used: {error}") from error
    for name, server in found.items():
        problem = _problem(name, server)
        if problem is not None:
            raise McpConfigInvalid(f"The MCP configuration {path} cannot be used: {problem}")
    return found


def _problem(name: str, server: _Server) -> str | None:
    if name == SERVER:
        return f"the name {SERVER!r} is taken by Taskyard's own server; choose another."
    if (server.command is None) == (server.url is None):
        return f"server {name!r} needs either a command or a url."
    if server.url is not None and server.type not in {"http", "sse", None}:
        return f"server {name!r} is of type {server.type!r}; http and sse are known."
    return None


def report_env(url: str, token: str | None, env: Mapping[str, str]) -> dict[str, str]:
    """The environment of our report tool."""
    own = {BRIDGE_URL: url} | {name: env[name] for name in _PYTHON_ENV if env.get(name)}
    return own | ({BRIDGE_TOKEN: token} if token else {})


def report_command() -> list[str]:
    """The command of our report tool."""
    return [sys.executable, SAFE_PATH, "-m", "taskyard_agent.report"]


class McpServers:
    """What a session is opened with. url: of the bridge, which reports go to."""

    def __init__(
        self, url: str, env: Mapping[str, str], config: Path | None, token: str | None = None
    ) -> None:
        """Raises McpConfigInvalid."""
        self._servers = {} if config is None else read_config(config)
        self._env = report_env(url, token, env)

    def offered(self, capabilities: msgspec.Raw) -> tuple[list[msgspec.Raw], list[str]]:
        """The servers that an agent with these capabilities takes, and sentences on all others."""
        command, *args = report_command()
        servers, problems = [_stdio(SERVER, command, args, self._env)], []
        can = _can(capabilities)
        for name, server in self._servers.items():
            if server.command is not None:
                servers.append(_stdio(name, server.command, server.args, server.env))
                continue
            kind = server.type or "http"
            if can.sse if kind == "sse" else can.http:
                servers.append(_remote(kind, name, server))
            else:
                problems.append(
                    f"The MCP server {name!r} is left out: the coding agent takes none over {kind}."
                )
        return servers, problems


def _can(capabilities: msgspec.Raw) -> _McpCapabilities:
    found = peek(capabilities, _Capabilities) or _Capabilities()
    return peek(found.mcp_capabilities, _McpCapabilities) or _McpCapabilities()


def _stdio(name: str, command: str, args: Sequence[str], env: Mapping[str, str]) -> msgspec.Raw:
    made = {"name": name, "command": command, "args": list(args), "env": _pairs(env)}
    return msgspec.Raw(msgspec.json.encode(made))


def _remote(kind: str, name: str, server: _Server) -> msgspec.Raw:
    made = {"type": kind, "name": name, "url": server.url, "headers": _pairs(server.headers)}
    return msgspec.Raw(msgspec.json.encode(made))


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def screen_words(
    kind: str, url: str, env: Mapping[str, str], token: str | None = None
) -> list[str]:
    """Words for the command of a coding agent with a screen, so that it has our tool too.

    Only Claude Code takes a server on its command line and allows its tool there; of the others none.
    """
    if kind != "claude":
        return []
    command, *args = report_command()
    server = {"command": command, "args": args, "env": report_env(url, token, env)}
    config = json.dumps({"mcpServers": {SERVER: server}})
    return [f"--mcp-config={config}", f"--allowedTools={CLAUDE_NAME}"]
