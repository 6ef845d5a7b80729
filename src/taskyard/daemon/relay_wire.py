"""What goes over the relay's socket: what is asked for, and refusals."""

import re
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from taskyard.lifecycle.egress import Reason

OK = b"HTTP/1.1 200 Connection established\r\n\r\n"

STATUS = {
    Reason.TARGET_INVALID: HTTPStatus.BAD_REQUEST,
    Reason.HOST_NOT_LISTED: HTTPStatus.FORBIDDEN,
    Reason.PORT_NOT_LISTED: HTTPStatus.FORBIDDEN,
    Reason.ADDRESS_CLOSED: HTTPStatus.FORBIDDEN,
    Reason.NAME_UNKNOWN: HTTPStatus.BAD_GATEWAY,
    Reason.UNREACHABLE: HTTPStatus.BAD_GATEWAY,
    Reason.TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    Reason.TOO_MANY: HTTPStatus.SERVICE_UNAVAILABLE,
    Reason.NOT_TCP: HTTPStatus.FORBIDDEN,
    Reason.HTTP_ONLY: HTTPStatus.FORBIDDEN,
    Reason.METHOD_NOT_LISTED: HTTPStatus.FORBIDDEN,
    Reason.PATH_NOT_LISTED: HTTPStatus.FORBIDDEN,
    Reason.PATH_UNCLEAR: HTTPStatus.FORBIDDEN,
    Reason.HOST_DIFFERS: HTTPStatus.MISDIRECTED_REQUEST,
    Reason.REQUEST_INVALID: HTTPStatus.BAD_REQUEST,
    Reason.ANSWER_INVALID: HTTPStatus.BAD_GATEWAY,
}
"""What a proxy's clients understand of each reason."""

_FIELD = re.compile(r"[A-Za-z0-9-]+")


class Word(StrEnum):
    """What is wanted. The last three have it known what a program wanted in vain: a name, a connection by TCP, and to send
    by another protocol.
    """

    CONNECT = "CONNECT"
    HTTP = "HTTP"
    NAME = "NAME"
    TCP = "TCP"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: the text of the target as it came, and the token, null when none was sent.

    With HTTP it is not for a tunnel, but to send requests of plain HTTP, each of which is judged.
    """

    target: str
    token: str | None
    word: Word = Word.CONNECT


def read_request(head: bytes) -> Asked:
    """What a head asks for; raises ValueError for anything but one of our words, its target and plain headers."""
    first, *lines = head.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")
    if any(char < " " for char in first) or not re.fullmatch(
        rf"({'|'.join(Word)}) [^ ]+ HTTP/1\.1", first
    ):
        raise ValueError(
            "it takes CONNECT, HTTP or TCP host:port, NAME host or OTHER host[:port], each with HTTP/1.1, and nothing else"
        )
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _FIELD.fullmatch(name) or name.lower() in fields:
            raise ValueError("a header cannot be read, or came twice")
        fields[name.lower()] = value.strip(" \t")
    if fields.keys() & {"content-length", "transfer-encoding"}:
        raise ValueError("there is no body before the answer")
    scheme, _, token = fields.get("proxy-authorization", "").partition(" ")
    word, target, _ = first.split(" ")
    sent = token.strip() if scheme.lower() == "bearer" else None
    return Asked(target, sent, Word(word))


def refused(status: HTTPStatus, reason: str, sentence: str) -> bytes:
    """A refusal as it goes over the wire."""
    body = f"{sentence}\n".encode()
    lines = (
        f"HTTP/1.1 {status} {status.phrase}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        f"X-Taskyard-Reason: {reason}",
        *(
            ["Proxy-Authenticate: Bearer"]
            if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
            else []
        ),
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body
