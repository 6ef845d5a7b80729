"""The commands of `taskyard-agent` for people: bridge, attach, help and version."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence

from taskyard_agent import __version__
from taskyard_agent.standalone.attach import Console, attach
from taskyard_agent.standalone.client import DEFAULT_URL, BridgeClient, BridgeFailed
from taskyard_agent.standalone.command_line import BridgeCommand, read_command
from taskyard_agent.standalone.flags import FLAGS, Flag, UsageError
from taskyard_agent.standalone.pidfile import AlreadyRunning, holding
from taskyard_agent.standalone.piped import piped

HELP = """\
taskyard-agent bridge [FLAGS] -- PROGRAM [ARGUMENTS...]
    runs a coding agent behind an HTTP API: AgentAPI on its paths, more below /v2
taskyard-agent attach [--url URL] [--token TOKEN]
    shows a bridge's terminal or conversation here, and types into it; Ctrl-C leaves
taskyard-agent run
    the workspace agent, which a server's driver starts
taskyard-agent --version, --help

`server` is another word for `bridge`. Each flag can be set in the environment: AGENTAPI_ and its name
in capitals, with _ for -. A flag goes before the environment.
"""

EXIT_USAGE = 1
"""As AgentAPI ends when its command line makes no sense. Source: agentapi 3."""

COLUMN = 30


def main(arguments: Sequence[str]) -> int:
    """The exit code of the command."""
    word, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    try:
        if word in {"bridge", "server"}:
            return _bridge(rest)
        if word == "attach":
            return _attach(rest)
    except UsageError as error:
        print(f"{error}\nMore: taskyard-agent --help", file=sys.stderr)  # noqa: T201 - for people
        return EXIT_USAGE
    if word in {"--version", "-v"}:
        print(f"taskyard-agent {__version__}")  # noqa: T201 - for people
        return 0
    if word in {"--help", "-h", "help"}:
        print(_help())  # noqa: T201 - for people
        return 0
    print(f"There is no command {word!r}.\n\n{HELP}", file=sys.stderr)  # noqa: T201 - for people
    return EXIT_USAGE


def _help() -> str:
    lines = [_line(flag) for flag in FLAGS if not flag.is_hidden]
    return "\n".join([HELP, "Flags of bridge:", *lines])


def _line(flag: Flag) -> str:
    short = f"-{flag.short}, " if flag.short else "    "
    default = ""
    if flag.default not in (None, "", False, ()):
        shown = ",".join(flag.default) if isinstance(flag.default, tuple) else flag.default
        default = f" ({shown})"
    return f"  {short}{'--' + flag.name:<{COLUMN - 6}}{flag.help}{default}"


def _bridge(arguments: Sequence[str]) -> int:
    flags = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if {"--help", "-h"} & set(flags):
        print(_help())  # noqa: T201 - for people
        return 0
    command = read_command(arguments, os.environ)
    if command.switch("exit"):
        return 0
    if command.switch("print-openapi"):
        return _print_openapi(command)
    return _serve(command)


def _print_openapi(command: BridgeCommand) -> int:
    """AgentAPI's document, with its keys and lists of words in order. Source: agentapi 3."""
    if command.transport == "acp":
        raise UsageError(
            "--print-openapi describes AgentAPI for a terminal; leave out the ACP flag."
        )
    # Imported here: only this command needs it.
    from taskyard_agent.bridge.openapi import openapi

    print(json.dumps(_sorted(openapi("3.0.3")), indent=2, sort_keys=True))  # noqa: T201 - the answer
    return 0


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        words = {"enum": sorted(value["enum"])} if isinstance(value.get("enum"), list) else {}
        return {key: _sorted(item) for key, item in value.items()} | words
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _serve(command: BridgeCommand) -> int:
    # Imported here: a wrong command line is answered without loading all of it.
    from taskyard_agent.standalone.run import CannotRun, log, serve

    try:
        with holding(command.path("pid-file")):
            prompt = command.text("initial-prompt").strip()
            if not prompt:
                found = piped()
                prompt = found.text
                if found.warning:
                    log("warn", found.warning)
            return serve(command, dict(os.environ), prompt)
    except (AlreadyRunning, CannotRun, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program's last words
        return 1


def _attach(arguments: Sequence[str]) -> int:
    if {"--help", "-h"} & set(arguments):
        print(_help())  # noqa: T201 - for people
        return 0
    values = {"--url": DEFAULT_URL, "--token": ""}
    rest = iter(arguments)
    for word in rest:
        name, equals, text = word.partition("=")
        name = {"-u": "--url"}.get(name, name)
        if name not in values:
            raise UsageError(f"attach has no flag {word!r}; it takes --url and --token.")
        values[name] = text if equals else next(rest, "")
    try:
        bridge = BridgeClient.at(values["--url"], values["--token"] or None)
        return asyncio.run(attach(bridge, Console()))
    except BridgeFailed as error:
        print(error, file=sys.stderr)  # noqa: T201 - for people
        return 1
    except KeyboardInterrupt:
        return 0
