"""Which of a program's tools a scripted call means, and what that tool is given."""

from collections.abc import Sequence

from tests.agents.model.script import Call, Shell, Tool, Write
from tests.agents.model.talk import Offered, Use

SHELLS = ("Bash", "bash", "exec_command", "shell_command", "shell", "run_shell_command")
"""Names of tools that run a line, as programs call them."""

COMMANDS = ("command", "cmd")
WRITERS = ("Write", "write", "write_file")
PATHS = ("file_path", "filePath", "path")
TEXTS = ("content", "contents", "text")
"""Names of such tools, and of what they are given."""

FILLERS: dict[str, object] = {
    "string": "as the script says",
    "boolean": False,
    "number": 10_000,
    "integer": 10_000,
    "array": [],
    "object": {},
}
"""What else a tool insists on gets a value of the right type."""


def bound(call: Call, tools: Sequence[Offered]) -> Use | None:
    """The call as this program takes it; None when it offers no such tool."""
    match call:
        case Shell(command):
            return _shell(command, tools)
        case Write(path, text):
            tool = _named(WRITERS, tools)
            if tool is None:
                return _shell(f"cat > '{path}' <<'EOT'\n{text.rstrip()}\nEOT", tools)
            given: dict[str, object] = {_key(tool, PATHS): path, _key(tool, TEXTS): text}
            return Use(tool, _filled(tool, given))
        case Tool(name, arguments):
            tool = next((each for each in tools if each.name.endswith(name)), None)
            return None if tool is None else Use(tool, arguments)


def _shell(command: str, tools: Sequence[Offered]) -> Use | None:
    tool = _named(SHELLS, tools)
    if tool is None:
        return None
    key = _key(tool, COMMANDS)
    is_list = "array" in tool.property(key).type
    given: dict[str, object] = {key: ["bash", "-c", command] if is_list else command}
    return Use(tool, _filled(tool, given))


def _named(names: Sequence[str], tools: Sequence[Offered]) -> Offered | None:
    by_name = {tool.name: tool for tool in tools}
    return next((by_name[name] for name in names if name in by_name), None)


def _key(tool: Offered, names: Sequence[str]) -> str:
    return next((name for name in names if name in tool.schema.properties), names[0])


def _filled(tool: Offered, given: dict[str, object]) -> dict[str, object]:
    for name in tool.schema.required:
        if name not in given and name in tool.schema.properties:
            wanted = tool.property(name)
            kind = wanted.type if isinstance(wanted.type, str) else wanted.type[0]
            given[name] = wanted.enum[0] if wanted.enum else FILLERS.get(kind, "")
    return given
