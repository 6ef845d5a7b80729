"""Text from a coding agent, made fit to be shown on one line."""

import re

STATUS_MESSAGE_BYTES = 160
"""Longest message of a status, in bytes of UTF-8. Source: T149."""

_PIECE = re.compile(
    r'(?P<plain>[^"\\\n]+)'
    r'|\\(?P<letter>[abfnrtv\\"])'
    r"|\\(?:x(?P<hex>[0-9a-fA-F]{2})|(?P<octal>[0-3][0-7]{2}))"
    r"|\\(?:u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8}))"
)
_LETTERS = dict(zip('abfnrtv\\"', '\a\b\f\n\r\t\v\\"', strict=True))

_DROPPED_WITH_CONTENT = re.compile(
    r"<(script|style|iframe)\b[^>]*>.*?(</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL
)
_TAG = re.compile(r"<!--.*?(?:-->|\Z)|<[!?][^<>]*>|</?[a-zA-Z][^<>]*>", re.DOTALL)
_ANSI = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])"
)


def sanitize_message(text: str) -> str:
    """The text with escapes resolved, tags, control sequences and unprintable characters gone, on one line.

    Characters such as & and < that stand for themselves are kept as they are. Source: T148.
    """
    untagged = _TAG.sub("", _DROPPED_WITH_CONTENT.sub("", _unescape(text)))
    plain = _ANSI.sub("", untagged)
    printable = "".join(c for c in plain if c.isprintable() or c.isspace())
    return " ".join(printable.split())


def cut_to_bytes(text: str, size: int) -> str:
    """As much of the beginning as fits into that many bytes of UTF-8, whole characters."""
    return text.encode()[:size].decode(errors="ignore")


def _unescape(text: str) -> str:
    """Backslash escapes resolved where the text could stand between double quotes in Go; else as it is."""
    if "\\" not in text:
        return text
    resolved, place = bytearray(), 0
    while place < len(text):
        piece = _PIECE.match(text, place)
        data = None if piece is None else _resolve(piece)
        if piece is None or data is None:
            return text
        resolved += data
        place = piece.end()
    return resolved.decode(errors="replace")


def _resolve(piece: re.Match[str]) -> bytes | None:
    """The bytes that a piece stands for; None for the number of no character."""
    value = piece[piece.lastgroup or 0]
    match piece.lastgroup:
        case "plain":
            return value.encode()
        case "letter":
            return _LETTERS[value].encode()
        case "hex":
            return bytes([int(value, 16)])
        case "octal":
            return bytes([int(value, 8)])
        case _:
            code = int(value, 16)
            is_character = code < 0xD800 or 0xDFFF < code <= 0x10FFFF
            return chr(code).encode() if is_character else None
