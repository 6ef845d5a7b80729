"""Which plain HTTP requests a workspace may send: methods and path prefixes, as templates list them.

Servers differ in how they read a path that can be read in two ways. Where a rule has paths, such a path is
refused and not guessed at, and what was judged is what is sent.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from taskyard.lifecycle.egress import (
    Reason,
    Refusal,
    Target,
    is_limited,
    judge_target,
    read_target,
    rules_for,
)
from taskyard.lifecycle.template_model import Egress

HTTP_PORT = 80
"""The port of an authority that names none."""

MAX_METHOD_CHARS = 40
"""Longest method; the longest that is registered has 17."""

_METHOD = re.compile(r"[A-Z]+(?:-[A-Z]+)*")
_ABSOLUTE = re.compile(r"(?i:http)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL)
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})?")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_UNCLEAR = {ord(char): f"%{ord(char):02x}" for char in "/\\%;"} | dict.fromkeys(
    range(32), "a control"
)
"""Encoded, these mean one thing to a server that decodes first, another to one that splits first."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A request that may be sent: the target as it goes out, and the prefix that allows it, empty for none.

    is_limited: other methods or paths would not be.
    """

    sent_as: str
    prefix: str
    is_limited: bool = True


def read_method(text: str) -> str:
    """A method of a rule; raises ValueError, which says what is wrong with it."""
    if len(text) > MAX_METHOD_CHARS or not _METHOD.fullmatch(text):
        raise ValueError("a method is a word of capital letters, as GET")
    if text == "CONNECT":
        raise ValueError("CONNECT is for tunnels; list the host without methods")
    return text


def read_prefix(text: str) -> str:
    """A path prefix of a rule; raises ValueError, which says what is wrong with it."""
    if not re.fullmatch(r"/[!-~]*", text) or "?" in text or "#" in text:
        raise ValueError("a path begins with / and has no query; other letters are written as %..")
    return clear_path(text)


def clear_path(path: str) -> str:
    """The path with letters that were encoded without need written out.

    Raises ValueError for one that servers may read differently: encoded slashes, dots for folders, parameters.
    """
    decoded = _ENCODED.sub(_decode, path)
    if any(char in decoded for char in "\\;#"):
        raise ValueError("it has a backslash, a semicolon or a #")
    inner = decoded.split("/")[1:]
    if any(part in (".", "..") for part in inner):
        raise ValueError("it has . or .. for a folder")
    if "" in inner[:-1]:
        raise ValueError("it has an empty folder")
    return decoded


def _decode(found: re.Match[str]) -> str:
    if found[1] is None:
        raise ValueError("a % stands without two digits")
    code = int(found[1], 16)
    if code in _UNCLEAR or code == 127:
        raise ValueError(f"it has {_UNCLEAR.get(code, 'a control')} encoded")
    return chr(code) if code in _UNRESERVED else f"%{found[1].upper()}"


def origin_form(target: Target, host: str, asked: str) -> str:
    """Path and query of a request's target, if it and the Host are about this target; raises ValueError.

    asked: as it came, in origin or absolute form, or `*`.
    """
    if _authority(host) != (target.host, target.port):
        raise ValueError(f"Host is {host!r}")
    if asked == "*" or asked.startswith("/"):
        return asked
    found = _ABSOLUTE.fullmatch(asked)
    if found is None:
        raise ValueError("the address is neither a path nor http://")
    if _authority(found["authority"]) != (target.host, target.port):
        raise ValueError(f"the address is at {found['authority']!r}")
    rest = found["rest"]
    return rest if rest.startswith("/") else f"/{rest}"


def _authority(text: str) -> tuple[str, int]:
    has_port = re.search(r":[0-9]*$", text.rpartition("]")[2]) is not None
    if text.endswith(":"):
        text, has_port = text[:-1], False
    found = read_target(text if has_port else f"{text}:{HTTP_PORT}")
    return found.host, found.port


def judge_request(
    target: Target, rules: Sequence[Egress], method: str, asked: str
) -> Judged | Refusal:
    """How a request may be sent to a target, or why not; asked: path and query as they came."""
    found = rules_for(target, rules)
    if not found:
        refusal = judge_target(target, rules)
        assert refusal is not None  # no rule is about it
        return refusal
    if any(not is_limited(rule) for rule in found):
        return Judged(asked, "", is_limited=False)
    allowing = [rule for rule in found if rule.methods is None or method in rule.methods]
    if not allowing:
        listed = ", ".join(sorted({word for rule in found for word in rule.methods or ()}))
        return Refusal(
            Reason.METHOD_NOT_LISTED,
            f"The template lists {target} with {listed} only, not {method[:MAX_METHOD_CHARS]}.",
        )
    return _judge_path(target, allowing, asked)


def _judge_path(target: Target, rules: Sequence[Egress], asked: str) -> Judged | Refusal:
    prefixes = [path for rule in rules for path in rule.paths or ["/"]]
    if "/" in prefixes:
        return Judged(asked, "")
    raw, mark, query = asked.partition("?")
    try:
        path = clear_path(raw)
    except ValueError as error:
        return Refusal(
            Reason.PATH_UNCLEAR,
            f"The template lists paths of {target}, and servers may read this path differently: {error}.",
        )
    for prefix in prefixes:
        if path == prefix or path.startswith(f"{prefix.removesuffix('/')}/"):
            return Judged(f"{path}{mark}{query}", prefix)
    return Refusal(
        Reason.PATH_NOT_LISTED,
        f"The template lists {target} with paths below {', '.join(sorted(set(prefixes)))[:300]} only.",
    )
