"""What goes over the relay's socket, and into the log: requests, refusals, decisions."""

import re
from dataclasses import dataclass
from http import HTTPStatus

import structlog

from taskyard.control.egress import Grant
from taskyard.lifecycle.egress import MAX_NAME_CHARS, Reason, Refusal, read_target

log = structlog.get_logger()

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
}
"""What a proxy's clients understand of each reason."""

_VERDICTS = {
    Reason.LISTED: "allowed",
    Reason.NAME_UNKNOWN: "failed",
    Reason.UNREACHABLE: "failed",
    Reason.TIMEOUT: "failed",
}
"""What the log says of a decision; all else was refused."""

_FIELD = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: the text of the target as it came, and the token, null when none was sent."""

    target: str
    token: str | None


def read_request(head: bytes) -> Asked:
    """What a head asks for; raises ValueError for anything but a plain CONNECT."""
    first, *lines = head.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")
    if any(char < " " for char in first) or not re.fullmatch(r"CONNECT [^ ]+ HTTP/1\.1", first):
        raise ValueError("it takes CONNECT host:port HTTP/1.1 and nothing else")
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _FIELD.fullmatch(name) or name.lower() in fields:
            raise ValueError("a header cannot be read, or came twice")
        fields[name.lower()] = value.strip(" \t")
    if fields.keys() & {"content-length", "transfer-encoding"}:
        raise ValueError("CONNECT has no body")
    scheme, _, token = fields.get("proxy-authorization", "").partition(" ")
    return Asked(first.split(" ")[1], token.strip() if scheme.lower() == "bearer" else None)


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


def note(grant: Grant, asked: Asked, refusal: Refusal | None) -> None:
    """One line of the log for each decision."""
    reason = Reason.LISTED if refusal is None else refusal.reason
    try:
        target = read_target(asked.target)
        place: dict[str, object] = {"host": target.host, "port": target.port}
    except ValueError:
        place = {"host": asked.target[:MAX_NAME_CHARS], "port": None}
    actor = grant.actor
    log.info(
        "egress.decided",
        workspace_id=str(actor.workspace_id),
        task_id=str(actor.task_id) if actor.task_id else None,
        verdict=_VERDICTS.get(reason, "refused"),
        reason=str(reason),
        **place,
    )
