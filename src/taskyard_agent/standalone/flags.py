"""The flags of `taskyard-agent bridge`: names, short names, defaults, and how text becomes a value.

A value comes from the flag, else from the environment, else from the table. Source: agentapi 3.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskyard_agent.bridge.options import ALLOWED_HOSTS, ALLOWED_ORIGINS, Limits

Value = str | int | float | bool | tuple[str, ...] | None

ENV_PREFIX = "AGENTAPI_"
"""Before a flag's name in upper case with `_` for `-`: the name of its environment variable."""

TRUE = frozenset({"1", "t", "true", "yes", "on"})
FALSE = frozenset({"0", "f", "false", "no", "off"})
"""How a switch is written behind `=` or in the environment."""

SIDE_MIN = 10
SIDE_MAX = 65535
"""Columns or rows of a terminal. Source: agentapi 3."""

PORT_MAX = 65535

SECRET_MIN = 1
"""Characters of the shortest token: an empty one would mean that there is none."""


class UsageError(Exception):
    """The command line or the environment asks for something that cannot be; str() is a sentence."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag. read turns text into its value and raises ValueError with the rest of a sentence.

    is_switch: it needs no value on the command line. is_list: it may be given again, and the environment
    separates its entries by blanks.
    """

    name: str
    read: Callable[[str], Value]
    default: Value
    help: str
    short: str = ""
    is_switch: bool = False
    is_list: bool = False
    is_hidden: bool = False

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return ENV_PREFIX + self.name.upper().replace("-", "_")


def _text(text: str) -> str:
    return text


def _path(text: str) -> str | None:
    return str(Path(text).absolute()) if text else None


def _maybe(text: str) -> str | None:
    return text or None


def _switch(text: str) -> bool:
    word = text.strip().lower()
    if word in TRUE | FALSE:
        return word in TRUE
    raise ValueError("must be true or false")


def _number(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal()):
            raise ValueError("must be a whole number")
        number = int(text)
        if not low <= number <= high:
            raise ValueError(f"must be at least {low} and at most {high}")
        return number

    return read


def _seconds(text: str) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        raise ValueError("must be seconds, such as 2 or 0.5") from None
    if not 0 <= seconds < float("inf"):
        raise ValueError("must not be negative, and must have an end")
    return seconds


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return read


def _entries(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


LIMITS = Limits()

_BYTES = 2**40
"""Bytes of the largest limit that can be set."""

FLAGS: Sequence[Flag] = (
    Flag("type", _text, "", "type of the coding agent; empty guesses by the command", "t"),
    Flag("port", _number(0, PORT_MAX), 3284, "port to listen on", "p"),
    Flag("listen", _maybe, None, "address to listen on, with its port: 127.0.0.1:3284"),
    Flag(
        "print-openapi", _switch, False, "print the OpenAPI document and end", "P", is_switch=True
    ),
    Flag("chat-base-path", _text, "/chat", "where a proxy shows /chat", "c"),
    Flag("term-width", _number(SIDE_MIN, SIDE_MAX), 80, "columns of the terminal", "W"),
    Flag("term-height", _number(SIDE_MIN, SIDE_MAX), 1000, "rows of the terminal", "H"),
    Flag(
        "allowed-hosts",
        _entries,
        ALLOWED_HOSTS,
        "host names that may be asked for",
        "a",
        is_list=True,
    ),
    Flag(
        "allowed-origins",
        _entries,
        ALLOWED_ORIGINS,
        "origins whose pages may ask",
        "o",
        is_list=True,
    ),
    Flag(
        "initial-prompt",
        _text,
        "",
        "first message; else standard input when it is a pipe or a file",
        "I",
    ),
    Flag("state-file", _path, None, "file that keeps the conversation over restarts", "s"),
    Flag(
        "load-state",
        _switch,
        None,
        "read the state file (default: when there is one)",
        is_switch=True,
    ),
    Flag(
        "save-state",
        _switch,
        None,
        "write the state file (default: when there is one)",
        is_switch=True,
    ),
    Flag("pid-file", _path, None, "file that holds the number of this process"),
    Flag("experimental-acp", _switch, False, "the same as --transport acp", is_switch=True),
    Flag("exit", _switch, False, "check the command line and end", is_switch=True, is_hidden=True),
    Flag(
        "transport",
        _one_of("auto", "acp", "pty"),
        "auto",
        "how to talk with the coding agent: auto, acp or pty",
    ),
    Flag("token", _maybe, None, "what callers must send as a bearer token"),
    Flag("token-file", _path, None, "file that holds the token"),
    Flag("insecure", _switch, False, "listen beyond the loopback without a token", is_switch=True),
    Flag("state-dir", _path, None, "folder for transcript and session"),
    Flag(
        "permissions",
        _one_of("allow", "ask", "deny"),
        "allow",
        "what to answer when the agent asks: allow, ask or deny",
    ),
    Flag("permission-timeout", _seconds, None, "seconds until an unanswered request is denied"),
    Flag("mcp-config", _path, None, "file with MCP servers for the coding agent"),
    Flag(
        "on-interrupted",
        _one_of("wait", "continue"),
        "wait",
        "what to do with a turn that was cut off: wait or continue",
    ),
    Flag(
        "on-exit",
        _one_of("stop", "restart", "hold"),
        "stop",
        "what to do when the program ends: stop, restart or hold",
    ),
    Flag("grace", _seconds, 25.0, "seconds for an orderly end"),
    Flag("stable-after", _seconds, 2.0, "seconds without a change after which a screen is stable"),
    Flag("ready-pattern", _maybe, None, "regular expression of a screen that takes input"),
    Flag("ready-timeout", _seconds, 60.0, "seconds until a program that is not ready is reported"),
    Flag("term-type", _text, "vt100", "TERM of the program"),
    Flag(
        "pty-inline-max", _number(0, _BYTES), 16 * 1024, "bytes of the longest prompt that is typed"
    ),
    Flag(
        "pty-log-bytes",
        _number(0, _BYTES),
        64 * 1024 * 1024,
        "bytes of terminal output that are kept",
    ),
    Flag("format-rules", _path, None, "file with rules for reading the screen"),
    Flag("hide-tool", _entries, (), "tool whose calls are not shown", is_list=True),
    Flag(
        "acp-inline-tools", _one_of("on", "off"), "on", "show a line for each tool call: on or off"
    ),
    Flag("max-body", _number(1, _BYTES), LIMITS.body_bytes, "bytes of a request of AgentAPI"),
    Flag("max-v2-body", _number(1, _BYTES), LIMITS.v2_body_bytes, "bytes of a request below /v2"),
    Flag("max-upload", _number(1, _BYTES), LIMITS.upload_bytes, "bytes of one uploaded file"),
    Flag("max-uploads", _number(1, _BYTES), LIMITS.uploads_bytes, "bytes of all uploaded files"),
    Flag("max-streams", _number(1, _BYTES), LIMITS.streams, "event streams open at once"),
    Flag("max-queue", _number(1, _BYTES), LIMITS.queued_prompts, "prompts that may wait"),
    Flag(
        "max-tool-data",
        _number(1, _BYTES),
        LIMITS.tool_bytes,
        "bytes kept of all data of a tool call",
    ),
    Flag(
        "max-transcript",
        _number(1, _BYTES),
        LIMITS.transcript_bytes,
        "bytes of the transcript on disk",
    ),
)

SHORT: Mapping[str, Flag] = {flag.short: flag for flag in FLAGS if flag.short}
BY_NAME: Mapping[str, Flag] = {flag.name: flag for flag in FLAGS}
