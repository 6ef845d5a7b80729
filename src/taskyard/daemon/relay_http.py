"""Plain HTTP on its way out: each request is read, judged, and written anew.

What a server gets is never what the workspace sent, but what was understood of it: a request that two
programs could read in two ways is refused, and a second one cannot hide in the body of the first.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import h11

from taskyard.daemon.relay_seats import Line
from taskyard.daemon.relay_wire import STATUS, refused
from taskyard.lifecycle.egress import Reason, Refusal, Target, only_http
from taskyard.lifecycle.egress_http import Judged, judge_request, origin_form
from taskyard.lifecycle.template_model import Egress
from taskyard_agent.splice import HEAD_END, End, HeadTooLong

HEAD_BYTES = 64 * 1024
"""Most bytes of a request's or an answer's head: what servers take."""

LINGER_S = 2.0
LINGER_BYTES = 4 * 1024 * 1024
"""How long, and how much, is read of a body that nobody wants, so that its sender reads the answer."""

_UNCLEAR = re.compile(rb"\x00|\r(?!\n)|(?<!\r)\n|\n[ \t]|^\r\n")
"""Line ends of other kinds, lines that go on in the next, nothing before the first line."""

_TLS = 22
"""The first byte of TLS. No request begins with it."""

_ONCE = {b"host", b"content-length", b"transfer-encoding"}
_FRAMING = {b"content-length", b"transfer-encoding", b"host"}
_HOP = {
    *(b"connection", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate"),
    *(b"keep-alive", b"te", b"trailer", b"upgrade"),
}
"""Headers that are between two neighbours only. So no other protocol begins here: a tunnel is for that."""

_OTHER_REQUEST = {
    *(b"x-http-method", b"x-http-method-override", b"x-method-override"),
    *(b"x-original-url", b"x-rewrite-url", b"x-original-uri", b"x-original-method"),
    *(b"x-forwarded-uri", b"x-forwarded-url", b"x-forwarded-path", b"x-forwarded-prefix"),
    *(b"x-forwarded-method", b"x-forwarded-host", b"x-override-url"),
}
"""Headers by which some servers take a request for another one than its first line says."""

_PLAIN_NAME = re.compile(rb"[a-z0-9-]+")
"""A header's name that all servers read alike: many take an underscore, and some a dot, for a dash."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds in which a head that was begun has to be there whole, and seconds without any request."""

    head_s: float
    between_s: float = 60.0


Headers = list[tuple[bytes, bytes]]
Note = Callable[[Reason, str, str], None]
"""Takes what became of a request, its method, and its path or the prefix that allowed it."""


@dataclass(frozen=True, slots=True)
class Outside:
    """A connection to the target. closed: the places off the internet that it leads to, whose rules count too."""

    end: End
    closed: Sequence[Target]


Dial = Callable[[], Awaitable[Outside | Refusal]]


class _Refused(Exception):
    """A request does not go on, for this reason."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.refusal = Refusal(reason, sentence)


class _Feed:
    """What a workspace sends, of which a part can be given back."""

    def __init__(self, end: End) -> None:
        self.end = end
        self._held = bytearray()

    async def begun(self) -> bool:
        """Whether another request begins; False when the workspace sends no more."""
        if not self._held:
            self._held += await self.end.read()
        return bool(self._held)

    @property
    def is_tls(self) -> bool:
        """Whether what has begun is TLS."""
        return self._held[:1] == bytes((_TLS,))

    async def head(self) -> bytes:
        """Everything up to and with the first empty line; raises HeadTooLong, ConnectionError."""
        start = 0
        while (at := self._held.find(HEAD_END, max(0, start))) < 0:
            if len(self._held) > HEAD_BYTES:
                raise HeadTooLong
            start = len(self._held) - len(HEAD_END) + 1
            piece = await self.end.read()
            if not piece:
                raise ConnectionResetError("the connection ended within a head")
            self._held += piece
        if at > HEAD_BYTES:
            raise HeadTooLong
        found = bytes(self._held[: at + len(HEAD_END)])
        del self._held[: len(found)]
        return found

    async def read(self) -> bytes:
        """Some bytes, empty when no more come."""
        if not self._held:
            return await self.end.read()
        found = bytes(self._held)
        self._held.clear()
        return found

    def give_back(self, data: bytes) -> None:
        """What was read too far."""
        self._held[:0] = data


@dataclass(slots=True)
class _Way:
    """One side of a request. said: whether the head of an answer was sent there."""

    end: End
    state: h11.Connection
    read: Callable[[], Awaitable[bytes]]
    said: bool = field(default=False)

    async def next(self) -> object:
        """What comes next; raises h11.RemoteProtocolError."""
        while (event := self.state.next_event()) is h11.NEED_DATA:
            self.state.receive_data(await self.read())
        return event

    async def send(self, event: h11.Event) -> None:
        """Sends, no faster than it is read; raises ConnectionError where nobody reads any more."""
        pieces = self.state.send_with_data_passthrough(event) or []
        # In one piece: a head that goes out in twenty is twenty packets.
        self.end.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        await self.end.drain()
        if self.end.over.is_set():
            raise ConnectionResetError("nobody reads any more")


class Requests:
    """One connection on which a workspace sends requests to a target, one after another."""

    def __init__(
        self,
        line: Line,
        target: Target,
        *,
        rules: Sequence[Egress],
        dial: Dial,
        note: Note,
        patience: Patience,
    ) -> None:
        self._line = line
        self._target = target
        self._rules = rules
        self._dial = dial
        self._note = note
        self._patience = patience
        self._feed = _Feed(line.inside)
        self._outside: Outside | None = None

    async def serve(self) -> None:
        """Returns when either side is done, or after a refusal."""
        try:
            await self._serve()
        except* (ConnectionError, h11.ProtocolError, TimeoutError):
            self._line.inside.abort()
        finally:
            self._hang_up()

    async def _serve(self) -> None:
        try:
            while await self._begun() and await self._one():
                pass
        except _Refused as error:
            await self._refuse(error.refusal)

    async def _begun(self) -> bool:
        async with asyncio.timeout(self._patience.between_s):
            return await self._feed.begun()

    async def _one(self) -> bool:
        """Serves a request; whether there may be another one."""
        state = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        inside = _Way(self._line.inside, state, self._feed.read)
        request = await self._request(state)
        outside, sent = await self._judged(request)
        server = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        way = _Way(outside.end, server, outside.end.read)
        await way.send(_onward(request, sent))
        is_readable = True
        try:
            await _exchange(inside, way)
        except* h11.RemoteProtocolError:
            is_readable = False
        if not is_readable:
            raise self._unreadable(inside)
        if not _is_done(server) or outside.end.ended:
            self._hang_up()
        self._feed.give_back(state.trailing_data[0])
        return _is_done(state)

    def _unreadable(self, inside: _Way) -> Exception:
        """What follows where a body or an answer is no HTTP."""
        if inside.said:
            return ConnectionResetError("an answer that was begun cannot be ended")
        if inside.state.their_state is h11.ERROR:
            return self._bad("The body is not framed as HTTP/1.1 frames it.")
        sentence = f"What {self._target} answered is no HTTP/1.1."
        return self._refused(Refusal(Reason.ANSWER_INVALID, sentence), "", "")

    async def _request(self, state: h11.Connection) -> h11.Request:
        """The head of the next request; raises _Refused for TLS, and for one that could be read in two ways."""
        if self._feed.is_tls:
            raise self._refused(only_http(self._target), "", "")
        try:
            async with asyncio.timeout(self._patience.head_s):
                head = await self._feed.head()
        except (HeadTooLong, TimeoutError) as error:
            said = f"A head takes {HEAD_BYTES} bytes and {self._patience.head_s:g} s at most."
            raise self._bad(said) from error
        if _UNCLEAR.search(head):
            raise self._bad(
                "A line of the head ends or goes on in a way that not all servers read."
            )
        state.receive_data(head)
        try:
            request = state.next_event()
        except h11.RemoteProtocolError as error:
            raise self._bad(f"This is no HTTP/1.1: {error}.") from error
        if not isinstance(request, h11.Request):
            raise self._bad("This is no request.")
        names = [name for name, _ in request.headers if name in _ONCE]
        both = {b"content-length", b"transfer-encoding"} <= set(names)
        # h11 takes the same length twice for one: there are servers that do not.
        twice = len(_lengths(head)) > 1
        if both or twice or len(names) != len(set(names)) or b"host" not in names:
            raise self._bad(
                "A request has one Host, and one of Content-Length and Transfer-Encoding."
            )
        return request

    async def _judged(self, request: h11.Request) -> tuple[Outside, str]:
        """Where a request goes and as what; raises _Refused."""
        method, asked = self._asked(request)
        judged = self._judge(self._target, request, asked)
        outside = self._outside
        if outside is None or outside.end.ended:
            self._hang_up()
            made = await self._dial()
            if isinstance(made, Refusal):
                raise self._refused(made, method, asked)
            outside = self._outside = made
            self._line.outside = made.end
        for place in outside.closed:
            # The same path, as it was understood: both rules have to allow the same request.
            judged = self._judge(place, request, judged.sent_as)
        self._note(Reason.LISTED, method, judged.prefix)
        return outside, judged.sent_as

    def _asked(self, request: h11.Request) -> tuple[str, str]:
        """Method, and path with query; raises _Refused for a request to somebody else."""
        method = request.method.decode("ascii")
        host = next(value for name, value in request.headers if name == b"host")
        try:
            asked = origin_form(self._target, host.decode("ascii"), request.target.decode("ascii"))
        except ValueError as error:
            sentence = f"This connection is for {self._target} alone: {error}."
            raise self._refused(Refusal(Reason.HOST_DIFFERS, sentence), method, "") from error
        if method == "CONNECT":
            raise self._bad("A tunnel is asked for on a connection of its own.")
        return method, asked

    def _judge(self, place: Target, request: h11.Request, asked: str) -> Judged:
        method = request.method.decode("ascii")
        judged = judge_request(place, self._rules, method, asked)
        if isinstance(judged, Refusal):
            raise self._refused(judged, method, asked)
        unclear = _unclear_header(request) if judged.is_limited else None
        if unclear is not None:
            raise self._refused(Refusal(Reason.REQUEST_INVALID, unclear), method, asked)
        return judged

    def _refused(self, refusal: Refusal, method: str, asked: str) -> _Refused:
        self._note(refusal.reason, method, asked.partition("?")[0])
        return _Refused(refusal.reason, refusal.sentence)

    def _bad(self, sentence: str) -> _Refused:
        return self._refused(Refusal(Reason.REQUEST_INVALID, sentence), "", "")

    async def _refuse(self, refusal: Refusal) -> None:
        """Answers, and waits a little for whoever is still sending: else the answer may be lost."""
        inside = self._line.inside
        status = STATUS.get(refusal.reason, HTTPStatus.FORBIDDEN)
        inside.write(refused(status, refusal.reason, refusal.sentence))
        if inside.ended or inside.over.is_set():
            return
        inside.transport.write_eof()
        taken = 0
        try:
            async with asyncio.timeout(LINGER_S):
                while taken < LINGER_BYTES and (piece := await inside.read()):
                    taken += len(piece)
        except TimeoutError:
            pass

    def _hang_up(self) -> None:
        if self._outside is not None:
            self._outside.end.abort()
        self._outside = self._line.outside = None


def _unclear_header(request: h11.Request) -> str | None:
    """Why a header may make another request of this one than the one that was judged; None when none may."""
    for name, _ in request.headers:
        if name in _OTHER_REQUEST:
            return f"The header {name.decode()} asks for another request than was judged."
        if not _PLAIN_NAME.fullmatch(name):
            return f"Servers may read the name of the header {name.decode()} differently; use letters, digits and dashes."
    return None


async def _exchange(inside: _Way, outside: _Way) -> None:
    """Sends the body and the answer; an answer that comes before its end ends that too."""
    first = await inside.next()
    if isinstance(first, h11.EndOfMessage):
        await outside.send(h11.EndOfMessage())
        await _answer(outside, inside)
        return
    async with asyncio.TaskGroup() as tasks:
        body = tasks.create_task(_send_body(first, inside, outside))
        await _answer(outside, inside)
        body.cancel()


async def _send_body(first: object, inside: _Way, outside: _Way) -> None:
    event = first
    while isinstance(event, h11.Data):
        await outside.send(h11.Data(data=event.data))
        event = await inside.next()
    if not isinstance(event, h11.EndOfMessage):
        raise ConnectionResetError("the body ended early")
    await outside.send(h11.EndOfMessage())


async def _answer(outside: _Way, inside: _Way) -> None:
    while True:
        event = await outside.next()
        match event:
            case h11.InformationalResponse():
                await inside.send(event)
            case h11.Response():
                inside.said = True
                await inside.send(_back(event))
            case h11.Data():
                await inside.send(h11.Data(data=event.data))
            case h11.EndOfMessage():
                await inside.send(h11.EndOfMessage())
                return
            case _:
                raise ConnectionResetError("the answer ended early")


def _onward(request: h11.Request, sent_as: str) -> h11.Request:
    """The request as its server gets it."""
    headers = _passed_on(request.headers.raw_items())
    return h11.Request(method=request.method, target=sent_as, headers=headers)


def _back(response: h11.Response) -> h11.Response:
    """The answer as the workspace gets it."""
    headers = _passed_on(response.headers.raw_items())
    if any(name.lower() == b"transfer-encoding" for name, _ in headers):
        headers = [each for each in headers if each[0].lower() != b"content-length"]
    return h11.Response(status_code=response.status_code, reason=response.reason, headers=headers)


def _passed_on(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """What is meant for the other side; what frames the body stays, whatever is said about it."""
    items = list(headers)
    named = {
        word.strip().lower()
        for name, value in items
        if name.lower() == b"connection"
        for word in value.split(b",")
    }
    dropped = (_HOP | named) - _FRAMING
    return [(name, value) for name, value in items if name.lower() not in dropped]


def _lengths(head: bytes) -> list[bytes]:
    return re.findall(rb"\r\ncontent-length[ \t]*:", head, re.IGNORECASE)


def _is_done(state: h11.Connection) -> bool:
    """Whether another request may come on the same connection."""
    return state.our_state is h11.DONE and state.their_state is h11.DONE
