"""A file of JSON lines with rising numbers, read in blocks and searched by bisection."""

import os
import re
from collections.abc import Iterator
from typing import TypeVar

import msgspec

BLOCK_BYTES = 64 * 1024
"""Bytes read at once; bisection ends when its range is one block."""

HEAD_BYTES = 64
"""Bytes of a line that always hold its number, which comes first."""

_SEQ = re.compile(rb'\{"seq":(\d+),')

T = TypeVar("T")


class _Head(msgspec.Struct):
    """What makes a line an item, also one that a newer release wrote."""

    seq: int
    kind: str


class Lines:
    """The lines of an open file as far as `size`, which its writer moves. Numbers rise with offsets."""

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size

    def from_start_of(self, after: int) -> Iterator[bytes]:
        """All lines from a little before the first one with a number above `after`."""
        return self._lines(self._offset_before(after))

    def seq_at(self, offset: int) -> int | None:
        """The number of the item whose line starts there; None when it cannot be read."""
        match = _SEQ.match(os.pread(self.fd, HEAD_BYTES, offset))
        return int(match[1]) if match else None

    def first_seq(self) -> int | None:
        """The number of the first item that can be read; None when there is none."""
        found = (_SEQ.match(line) for line in self._lines(0))
        return next((int(match[1]) for match in found if match), None)

    def whole_end(self) -> tuple[int, int]:
        """Where the last readable line ends, and its number: all behind it is a crash's debris."""
        end = self._newline_before(self.size)
        while end > 0:
            start = self._newline_before(end - 1)
            head = decode(os.pread(self.fd, end - start, start), _Head)
            if head is not None:
                return end, head.seq
            end = start
        return 0, 0

    def _offset_before(self, after: int) -> int:
        """A line's start at or before the first item above `after`, and near it."""
        low, high = 0, self.size
        while high - low > BLOCK_BYTES:
            middle = self._line_start((low + high) // 2)
            seq = self.seq_at(middle) if middle < high else None
            if seq is not None and seq <= after:
                low = middle
            else:
                high = (low + high) // 2
        return low

    def _line_start(self, offset: int) -> int:
        """The start of the first line that begins after an offset; the file's end for none."""
        while offset < self.size:
            block = os.pread(self.fd, BLOCK_BYTES, offset)
            found = block.find(b"\n")
            if found >= 0:
                return offset + found + 1
            offset += len(block) or self.size
        return self.size

    def _lines(self, offset: int) -> Iterator[bytes]:
        parts: list[bytes] = []
        while offset < self.size:
            block = os.pread(self.fd, BLOCK_BYTES, offset)
            offset += len(block) or self.size
            *ended, rest = block.split(b"\n")
            for piece in ended:
                yield b"".join([*parts, piece])
                parts = []
            parts.append(rest)

    def _newline_before(self, end: int) -> int:
        """The offset behind the last line end before an offset; 0 for none."""
        while end > 0:
            start = max(0, end - BLOCK_BYTES)
            found = os.pread(self.fd, end - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return 0


def decode(line: bytes, type_: type[T]) -> T | None:
    """The line as that type; None when it is none."""
    try:
        return msgspec.json.decode(line, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
