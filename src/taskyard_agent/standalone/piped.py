"""A first prompt from standard input. Source: A40, N43."""

import os
import select
import stat

MAX_BYTES = 1024 * 1024
"""Longest prompt that is read from standard input. Source: N43."""

SILENCE_S = 5.0
"""Seconds without a byte after which a pipe counts as one that nobody writes to. Source: N43."""

READ_BYTES = 64 * 1024


class Piped:
    """What came, and what is to be said about it: empty when all is well."""

    def __init__(self, text: str, warning: str = "") -> None:
        self.text = text
        self.warning = warning


def piped(fd: int = 0, silence_s: float = SILENCE_S) -> Piped:
    """All of standard input when it is a pipe or a file; nothing else is waited for."""
    try:
        mode = os.fstat(fd).st_mode
    except OSError:  # it is closed
        return Piped("")
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return Piped("")
    data = bytearray()
    while len(data) <= MAX_BYTES:
        if not select.select([fd], [], [], silence_s)[0]:
            told = f"Standard input said nothing for {silence_s:g} s. The bridge starts without a prompt from there."
            return Piped("", told)
        read = os.read(fd, READ_BYTES)
        if not read:
            return Piped(data.decode(errors="replace").strip())
        data += read
    return Piped(
        "", f"Standard input is longer than {MAX_BYTES} bytes and is not used as a prompt."
    )
