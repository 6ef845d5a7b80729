"""What a call sends and what its answer means, by the table of routes: pure, shared by both clients."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID, uuid4

import msgspec

from taskyard.sdk.errors import AnswerInvalid, ApiError, Problem
from taskyard.wire.base import Response, encode
from taskyard.wire.paths import PATHS, Method
from taskyard.wire.tasks import QueuedPrompt

T = TypeVar("T")

PathPart = str | UUID
"""A name or an id in a path; `me` and `default` are names too."""

Query = Mapping[str, str | int | bool | None]
"""The keys of a query; those of None are left out."""

NEXT_PAGE_HEADER: Final = "x-taskyard-next-page"
"""Where a list of tasks that is read by pages says how to go on."""

PAGE_SIZE: Final = 100
"""Tasks that are read at once: some 200 kB, which is quick to read and seldom more than one page."""

TOKEN_HEADER: Final = "Coder-Session-Token"  # noqa: S105 - the name of a header
USER_AGENT: Final = "taskyard-sdk"

CONNECT_TIMEOUT_S: Final = 10.0
"""Time for a connection to come about; a server that takes longer has something wrong with it."""

DEFAULT_TIMEOUT_S: Final = 60.0
"""Time without a byte until an answer counts as lost; the slowest call waits 30 s for a coding agent."""

RETRY_PAUSES_S: Final = (0.05, 0.25)
"""Pauses before a read is tried again on a new connection; a restarting proxy is back by then."""

REPEAT_PAUSES_S: Final = (0.25,)
"""The pause before a POST is sent again, once, with the key by which the server knows it again."""

COMES_BACK: Final = frozenset({"stopping", "cut_off"})
"""Reasons of 503 from a server that stops: it, or another one at its address, answers in a moment."""

COME_BACK_TRIES: Final = 5
"""How often a request is sent again that met such a server: with a second between, it has started anew by then."""

COME_BACK_S: Final = 1.0
"""The pause before that, where the answer does not say."""

COME_BACK_MOST_S: Final = 5.0
"""The longest pause that an answer may ask for."""

KEY_HEADER: Final = "Idempotency-Key"
"""Where a POST has the key that makes it safe to be sent again."""


class Raw(msgspec.Struct, frozen=True):
    """A body that is sent as it is."""

    data: bytes
    media_type: str


class Address(msgspec.Struct, frozen=True):
    """Where a server is: a socket file, or host and port; host is ASCII, prefix is the path before `/api`."""

    url: str
    secure: bool
    host: str
    port: int
    prefix: str
    socket: str | None = None

    @property
    def host_header(self) -> str:
        """The server's name in requests."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        """That name with its port, where it is not the usual one."""
        usual = 443 if self.secure else 80
        return self.host_header if self.port == usual else f"{self.host_header}:{self.port}"


class Request(msgspec.Struct, frozen=True):
    """One HTTP request; target is path and query."""

    operation: str
    method: Method
    target: str
    headers: dict[str, str]
    body: bytes | None

    @property
    def pauses_s(self) -> tuple[float, ...]:
        """Before each time it may be sent again when no answer came: reads, and once what has a key."""
        if self.method == "GET":
            return RETRY_PAUSES_S
        return REPEAT_PAUSES_S if KEY_HEADER in self.headers else ()


class Reply(msgspec.Struct, frozen=True):
    """One HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Tries:
    """How a request is sent again: the pause before, in seconds, or None where what came of it stands."""

    def __init__(self, request: Request) -> None:
        self._pauses_s = iter(request.pauses_s)
        self._may_repeat = bool(request.pauses_s)
        self._met = 0

    def broken(self) -> float | None:
        """After a connection that broke before the answer."""
        return COME_BACK_S if self._meets_again() else next(self._pauses_s, None)

    def answered(self, reply: Reply) -> float | None:
        """After an answer."""
        if reply.status != HTTPStatus.SERVICE_UNAVAILABLE or not self._may_repeat:
            return None
        if reply.headers.get("x-taskyard-reason") not in COMES_BACK:
            return None
        if self._met == 0:
            self._met = 1
        elif not self._meets_again():
            return None
        asked = reply.headers.get("retry-after", "")
        return min(float(asked), COME_BACK_MOST_S) if asked.isdecimal() else COME_BACK_S

    def _meets_again(self) -> bool:
        """Whether a server that stops was met before, and may be met once more."""
        if not 0 < self._met < COME_BACK_TRIES:
            return False
        self._met += 1
        return True


def parse_address(url: str) -> Address:
    """Where a URL of http, https or unix points; raises ValueError, which says what is wrong with it."""
    parts = urlsplit(url.strip())
    if parts.scheme == "unix" and parts.path:
        return Address(url, secure=False, host="localhost", port=80, prefix="", socket=parts.path)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no address of a server; write it like http://127.0.0.1:7080")
    try:
        host = parts.hostname.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError(
            f"{url!r} has a host name that cannot be; write it like http://taskyard.example.com:7080"
        ) from error
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    prefix = parts.path.rstrip("/")
    return Address(url.rstrip("/"), secure=secure, host=host, port=port, prefix=prefix)


def prepare(
    operation: str,
    path: tuple[PathPart, ...] = (),
    *,
    token: str,
    prefix: str = "",
    query: Query | None = None,
    body: msgspec.Struct | Raw | None = None,
) -> Request:
    """The request of an operation; raises ValueError for an empty path part, TypeError for too few."""
    method, pattern = PATHS[operation]
    headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
    if token:
        headers[TOKEN_HEADER] = token
    if method == "POST":
        headers[KEY_HEADER] = uuid4().hex
    data: bytes | None = None
    if isinstance(body, Raw):
        data, headers["Content-Type"] = body.data, body.media_type
    elif body is not None:
        data, headers["Content-Type"] = encode(body), "application/json"
    target = prefix + _filled(pattern, path) + _query_text(query or {})
    return Request(operation, method, target, headers, data)


def understand(wanted: type[T], request: Request, reply: Reply, url: str) -> T:
    """The body of a good answer as the wanted type. Raises ApiError, AnswerInvalid."""
    check(request, reply, url)
    return decoded(wanted, reply, request.operation, url)


def decoded(wanted: type[T], reply: Reply, operation: str, url: str) -> T:
    """A body as the wanted type; raises AnswerInvalid."""
    try:
        return msgspec.json.decode(reply.body, type=wanted)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AnswerInvalid(operation, url, str(error)) from error


def check(request: Request, reply: Reply, url: str) -> None:
    """Nothing when the call succeeded; raises ApiError."""
    if not 200 <= reply.status < 300:
        raise refusal(request, reply, url)


def refusal(request: Request, reply: Reply, url: str) -> ApiError:
    """The error that an answer stands for; url is that of the server."""
    called = url + request.target
    return ApiError(reply.status, problem_of(reply), method=request.method, url=called)


def problem_of(reply: Reply) -> Problem:
    """What a refusal says, also when it comes from something in between that is no API at all."""
    try:
        said = msgspec.json.decode(reply.body, type=Response)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = Response(message=_unexplained(reply))
    return Problem(
        message=said.message,
        detail=said.detail or "",
        validations=tuple((item.field, item.detail) for item in said.validations or []),
        reason=reply.headers.get("x-taskyard-reason", ""),
        request_id=reply.headers.get("x-taskyard-request-id", ""),
        server_version=reply.headers.get("x-coder-build-version", ""),
    )


def _unexplained(reply: Reply) -> str:
    """A sentence about an answer that explains nothing itself."""
    try:
        phrase = f" ({HTTPStatus(reply.status).phrase})"
    except ValueError:
        phrase = ""
    return f"The answer was {reply.status}{phrase}, without a reason that this client can read."


def _filled(pattern: str, parts: tuple[PathPart, ...]) -> str:
    """A path with its parameters filled in, in order."""
    names = [piece.partition("}")[0] for piece in pattern.split("{")[1:]]
    texts = [str(part) for part in parts]
    if len(texts) != len(names):
        raise TypeError(f"{pattern} takes {len(names)} path parts, not {len(texts)}")
    for name, text in zip(names, texts, strict=True):
        if text in ("", ".", ".."):
            raise ValueError(f"the {name} in {pattern} cannot be {text!r}")
    quoted = (quote(text, safe="") for text in texts)
    return pattern.format(**dict(zip(names, quoted, strict=True)))


def _query_text(query: Query) -> str:
    """The query with its question mark; nothing when no key is set."""
    pairs = {key: _word(value) for key, value in query.items() if value is not None}
    return f"?{urlencode(pairs)}" if pairs else ""


def _word(value: str | int | bool | None) -> str:  # noqa: FBT001 - one value of a query, whatever it is
    """A value as the API writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def queued_prompt(reply: Reply, url: str) -> QueuedPrompt | None:
    """Where a message waits; None when it went out. Raises AnswerInvalid."""
    if reply.status != HTTPStatus.ACCEPTED:
        return None
    return decoded(QueuedPrompt, reply, "send_task_input", url)
