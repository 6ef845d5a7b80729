"""Lines of JSON from a program that may write anything."""

import json
import re
from collections.abc import Iterator

import msgspec

LINE_BYTES = 32 * 1024 * 1024
"""Bytes of the longest line that is taken. Source: agentapi 7.3 row 1."""

EXCERPT_BYTES = 500
"""Bytes of a lost line that are quoted: enough to recognise a banner or a stack trace."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class Malformed(msgspec.Struct, frozen=True):
    """Something that the agent wrote and that is no message: why, how long, and its beginning."""

    reason: str
    size_bytes: int
    excerpt: str


def clean(line: bytes) -> bytes:
    """The line as valid UTF-8 without halves of surrogate pairs; what is broken becomes U+FFFD.

    Agents cut text in the middle of an emoji; msgspec and databases refuse such text.
    """
    if not line.isascii():
        line = line.decode(errors="replace").encode()
    if _SURROGATE.search(line):
        text = json.dumps(json.loads(line), ensure_ascii=False)
        line = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
    return line


class Lines:
    """Cuts a stream of bytes into lines; one that is over the limit is lost and reported."""

    def __init__(self, limit: int = LINE_BYTES) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[bytes | Malformed]:
        """Every line that ends in this chunk, without its end."""
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._keep(piece)
            yield self._take()
        self._keep(rest)

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= self._limit:
            self._parts.append(piece)
        else:  # no longer a message: only its beginning is of use
            self._parts = [b"".join([*self._parts, piece[:EXCERPT_BYTES]])[:EXCERPT_BYTES]]

    def _take(self) -> bytes | Malformed:
        line, size = b"".join(self._parts), self._size
        self._parts, self._size = [], 0
        return line if size <= self._limit else malformed("the line is too long", line, size)


def malformed(reason: str, line: bytes, size: int | None = None) -> Malformed:
    """The report on a lost line."""
    excerpt = line[:EXCERPT_BYTES].decode(errors="replace")
    return Malformed(reason, len(line) if size is None else size, excerpt)
