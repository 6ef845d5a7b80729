"""How a program with a screen is run and read: what can be set, each with its default."""

import re
from dataclasses import dataclass
from pathlib import Path

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class TerminalOptions:
    """All of it; times are in seconds.

    cols, rows: the terminal's size. kind: TERM. stable_after_s: without a change until a screen stands
    still. ready_pattern: what a screen shows that takes input; null: the type's rules decide.
    ready_timeout_s: until a program that is not ready is reported; null: never. reaction_s: until a
    prompt that nothing follows has failed; repeat_s: until Enter is pressed again. echo_s: that a
    program may take to show what was typed; quiet_s: without a change until that is all. rules: a file
    in place of the type's own. inline_max_bytes: of a prompt that is typed; a longer one is put into a
    file. log_bytes: of terminal output that are kept. hide_tools: whose calls are not shown.
    Source: A14, A30-A34, A40, N25-N28, N31-N33, N35, N36.
    """

    cols: int = 80
    rows: int = 1000
    kind: str = "vt100"
    stable_after_s: float = 2.0
    ready_pattern: re.Pattern[str] | None = None
    ready_timeout_s: float | None = 60.0
    reaction_s: float = 15.0
    repeat_s: float = 3.0
    echo_s: float = 2.0
    quiet_s: float = 0.15
    rules: Path | None = None
    inline_max_bytes: int = 16 * KIB
    log_bytes: int = 64 * MIB
    hide_tools: tuple[str, ...] = ()
