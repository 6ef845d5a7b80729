"""What `taskyard-agent bridge` is asked to do, read from its arguments and its environment. Source: agentapi 3."""

import difflib
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taskyard_agent.agent_types import canonical, guess
from taskyard_agent.bridge.guard import BadEntry, host_names, origin_patterns
from taskyard_agent.standalone.flags import BY_NAME, SHORT, Flag, UsageError, Value

END_OF_FLAGS = "--"


@dataclass(frozen=True, slots=True)
class BridgeCommand:
    """Everything that was decided before anything is started. values holds each flag by its name."""

    argv: tuple[str, ...]
    agent_type: str
    host: str
    port: int
    token: str | None
    state_file: Path | None
    loads_state: bool
    saves_state: bool
    transport: str
    values: Mapping[str, Value] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A flag that is text; empty when it is not given."""
        value = self.values[name]
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int:
        """A flag that is a whole number."""
        value = self.values[name]
        assert isinstance(value, int)
        return value

    def seconds(self, name: str) -> float | None:
        """A flag that is a time; null when there is none."""
        value = self.values[name]
        return None if value is None else float(str(value))

    def switch(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.values[name] is True

    def entries(self, name: str) -> tuple[str, ...]:
        """A flag that is a list."""
        value = self.values[name]
        assert isinstance(value, tuple)
        return value

    def pattern(self, name: str) -> re.Pattern[str] | None:
        """A flag that is a regular expression; null when it is not given. Raises UsageError."""
        text = self.text(name)
        try:
            return re.compile(text) if text else None
        except re.error as error:
            raise UsageError(f"--{name} is no regular expression: {error}.") from None

    def path(self, name: str) -> Path | None:
        """A flag that names a file or folder; null when it is not given."""
        text = self.text(name)
        return Path(text) if text else None


def read_command(arguments: Sequence[str], env: Mapping[str, str]) -> BridgeCommand:
    """The options; raises UsageError."""
    given, argv = _split(arguments)
    values = {flag.name: _value(flag, given.get(flag.name), env) for flag in BY_NAME.values()}
    if not argv:
        raise UsageError("Which program is the coding agent? Put its command behind --.")
    host, port = _address(values)
    state_file = values["state-file"]
    options = BridgeCommand(
        argv=tuple(argv),
        agent_type=_agent_type(values, argv),
        host=host,
        port=port,
        token=_token(values, host),
        state_file=None if state_file is None else Path(str(state_file)),
        loads_state=_state_switch(values, "load-state"),
        saves_state=_state_switch(values, "save-state"),
        transport="acp" if values["experimental-acp"] else str(values["transport"]),
        values=values,
    )
    _check_lists(options)
    return options


def _split(arguments: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The flags by name with the texts that each was given, and the command of the coding agent."""
    given: dict[str, list[str]] = {}
    argv: list[str] = []
    rest = iter(arguments)
    for word in rest:
        if word == END_OF_FLAGS:
            argv += rest
        elif word.startswith("-") and len(word) > 1:
            for flag, text in _flags_of(word, rest):
                given.setdefault(flag.name, []).append(text)
        else:
            argv.append(word)
    return given, argv


def _flags_of(word: str, rest: Iterator[str]) -> Iterator[tuple[Flag, str]]:
    """The flags that a word names, with their values; a value may be the next word."""
    if word.startswith("--"):
        name, equals, text = word[2:].partition("=")
        flag = BY_NAME.get(name)
        if flag is None:
            raise UsageError(f"There is no flag --{name}.{_nearest(name)}")
        yield flag, text if equals else _text_after(flag, f"--{name}", rest)
        return
    letters = word[1:]
    while letters:
        flag = SHORT.get(letters[0])
        if flag is None:
            raise UsageError(f"There is no flag -{letters[0]}. --help shows them all.")
        tail = letters[1:]
        if flag.is_switch and not tail.startswith("="):
            yield flag, "true"
            letters = tail
        else:
            yield flag, tail.removeprefix("=") or _text_after(flag, f"-{letters[0]}", rest)
            return


def _text_after(flag: Flag, shown: str, rest: Iterator[str]) -> str:
    if flag.is_switch:
        return "true"
    text = next(rest, None)
    if text is None:
        raise UsageError(f"{shown} needs a value.")
    return text


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, BY_NAME, 1)
    return f" Did you mean --{near[0]}?" if near else " --help shows them all."


def _value(flag: Flag, given: list[str] | None, env: Mapping[str, str]) -> Value:
    if given is not None:
        return _read(flag, given, f"--{flag.name}")
    text = env.get(flag.variable)
    if text is None:
        return flag.default
    if flag.is_list:
        return tuple(text.split())
    return _read(flag, [text], flag.variable)


def _read(flag: Flag, texts: list[str], shown: str) -> Value:
    try:
        values = [flag.read(text) for text in texts]
    except ValueError as error:
        raise UsageError(f"{shown} {error}, not {texts[-1]!r}.") from None
    if not flag.is_list:
        return values[-1]
    return tuple(entry for value in values if isinstance(value, tuple) for entry in value)


def _agent_type(values: Mapping[str, Value], argv: Sequence[str]) -> str:
    """The type by its one name. An unknown one is refused, an unknown command is custom. Source: agentapi 5.3."""
    word = str(values["type"])
    if not word:
        return guess(argv)
    found = canonical(word)
    if found is None:
        raise UsageError(f"{word!r} is no type of coding agent. Use custom for any other program.")
    return found


def _address(values: Mapping[str, Value]) -> tuple[str, int]:
    """Host and port to listen on; --listen goes before --port."""
    listen = values["listen"]
    if listen is None:
        port = values["port"]
        assert isinstance(port, int)
        return "127.0.0.1", port
    host, colon, port_text = str(listen).rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    port = int(port_text) if port_text.isascii() and port_text.isdecimal() else -1
    if not colon or not host or not 0 <= port <= 65535:
        raise UsageError(
            f"--listen must be an address and a port, such as 127.0.0.1:3284, not {listen!r}."
        )
    return host, port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token(values: Mapping[str, Value], host: str) -> str | None:
    """The token that callers need. Beyond the loopback there must be one. Raises UsageError. Source: N7."""
    token, file = values["token"], values["token-file"]
    if token is not None and file is not None:
        raise UsageError("Give --token or --token-file, not both.")
    if file is not None:
        try:
            token = Path(str(file)).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"The token file {file} cannot be read: {error}") from None
        if not token:
            raise UsageError(f"The token file {file} is empty.")
    if token is None and not values["insecure"] and not _is_loopback(host):
        raise UsageError(
            f"On {host} anybody could give the coding agent orders. Give --token-file, or listen on 127.0.0.1; "
            "--insecure does without."
        )
    return None if token is None else str(token)


def _state_switch(values: Mapping[str, Value], name: str) -> bool:
    """Whether the state is loaded, or saved: as said, else when there is a file for it."""
    switch, file = values[name], values["state-file"]
    if switch and file is None:
        raise UsageError(f"--{name} needs --state-file, which says where the state is.")
    return file is not None and switch is not False


def _check_lists(options: BridgeCommand) -> None:
    try:
        host_names(options.entries("allowed-hosts"))
        origin_patterns(options.entries("allowed-origins"))
    except BadEntry as error:
        raise UsageError(str(error)) from None
