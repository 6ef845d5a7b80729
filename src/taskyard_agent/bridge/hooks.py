"""The coding agent's own events: how it is made to tell them, and what they mean. Source: N29."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

PROGRAM: Final = str(Path(__file__).parent.parent / "hook.py")

TURN_FAILED: Final = "StopFailure"

CODEX_DONE: Final = "agent-turn-complete"
"""The one event that Codex tells."""

BUSY: Final[Mapping[str, bool | None]] = MappingProxyType(
    {
        "UserPromptSubmit": True,
        "PreToolUse": True,
        "PermissionRequest": None,
        "Notification": None,
        "Stop": False,
        TURN_FAILED: False,
        "SessionEnd": None,
        CODEX_DONE: False,
    }
)
"""Whether a coding agent works after an event; null: nobody knows, the screen has to tell.

Of a question that is refused it tells nothing more, so that being asked must not count as work.
"""

_CLAUDE: Final = tuple(event for event in BUSY if event != CODEX_DONE)

HOOK_S: Final = 5
"""Seconds after which the coding agent goes on without it: more than the hook ever takes."""


def command(event: str) -> list[str]:
    """What tells an event: our program as a file, found and run without anything of the folder that it runs in."""
    return [sys.executable, "-S", "-s", "-P", PROGRAM, event]


def hook_words(kind: str, argv: Sequence[str]) -> list[str]:
    """Words for the command of a coding agent with a screen, so that it tells its events.

    None for types that cannot, and where the command sets the same already.
    """
    match kind:
        case "claude" if not any(word.startswith("--settings") for word in argv):
            hooks = {event: [{"hooks": [_claude_hook(event)]}] for event in _CLAUDE}
            return [f"--settings={json.dumps({'hooks': hooks})}"]
        case "codex" if not any(word.startswith("notify") for word in argv):
            return ["-c", f"notify={json.dumps(command(CODEX_DONE))}"]  # TOML has the same lists
        case _:
            return []


def turn_failed(error: str | None) -> str:
    """A sentence on a turn that failed, with the coding agent's own words if there are any."""
    told = " ".join((error or "").split())
    return f"The coding agent could not go on{': ' if told else '.'}{told}"


def _claude_hook(event: str) -> dict[str, object]:
    return {"type": "command", "command": shlex.join(command(event)), "timeout": HOOK_S}
