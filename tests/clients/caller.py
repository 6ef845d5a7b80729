"""Requests as they go over the wire, one connection each, and a list of what was sent."""

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import ClientConnection, connect

from tests.clients.strict import UUID, Json
from tests.compatibility import saw

ANSWER_S = 60.0
"""Seconds within which a server answers, on a busy machine too."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """What the server says the body is."""
        return self.headers.get("content-type", "")

    def json(self) -> Json:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass
class Caller:
    """A client of one server. headers go with every request; sent is what went out, as `METHOD target`."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)

    def call(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer to one request. The target goes out exactly as it is."""
        data = raw if body is None else json.dumps(body).encode()
        self.sent.append(f"{method} {target}")
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=ANSWER_S)
        try:
            connection.request(method, target, data, {**self.headers, **(headers or {})})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(response.status, names, response.read())
        finally:
            connection.close()
        saw(method, target, answer.status)
        return answer

    @contextmanager
    def socket(self, target: str) -> Iterator[ClientConnection]:
        """An open WebSocket, with the same headers."""
        self.sent.append(f"SOCKET {target}")
        address = self.url.replace("http", "ws", 1) + target
        with connect(
            address, additional_headers=self.headers, open_timeout=ANSWER_S, close_timeout=1
        ) as socket:
            saw("GET", target, 101)
            yield socket

    def messages(self, socket: ClientConnection) -> Iterator[str | bytes]:
        """What comes until the server closes as it should; anything else fails, and so does silence."""
        with suppress(ConnectionClosedOK):
            while True:
                yield socket.recv(ANSWER_S)

    @property
    def script(self) -> list[str]:
        """What was sent so far, with `<id>` for each id; the list begins anew."""
        sent, self.sent = self.sent, []
        return [re.sub(UUID, "<id>", line) for line in sent]
