"""What every method of the blocking client goes through: one request, or one followed log."""

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from taskyard.sdk.calls import (
    DEFAULT_TIMEOUT_S,
    PathPart,
    Query,
    Raw,
    Reply,
    Request,
    check,
    parse_address,
    prepare,
    understand,
)
from taskyard.sdk.transport import Transport

if TYPE_CHECKING:
    import ssl

    from websockets.sync.client import ClientConnection

T = TypeVar("T")


class Caller:
    """A connection to one server with one token; may be used by several threads at once.

    url is http, https or `unix:///path/of/socket`. timeout_s is how long to wait for a byte of an
    answer. tls replaces the system's trust. Raises ValueError for a URL that is none.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        tls: "ssl.SSLContext | None" = None,
    ) -> None:
        self._address = parse_address(url)
        self._token = token
        self._tls = tls
        self._transport = Transport(self._address, timeout_s, tls)

    @property
    def url(self) -> str:
        """The server's address."""
        return self._address.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections that are kept for the next call; the client can go on being used."""
        self._transport.close()

    def request(
        self,
        wanted: type[T],
        operation: str,
        *path: PathPart,
        query: Query | None = None,
        body: msgspec.Struct | Raw | None = None,
    ) -> T:
        """The answer to any operation as the wanted type; path parts in the order of its path.

        Raises ApiError, Unreachable, AnswerInvalid.
        """
        request = self._prepared(operation, path, query, body)
        return understand(wanted, request, self._transport.exchange(request), self.url)

    def exchange(
        self,
        operation: str,
        *path: PathPart,
        query: Query | None = None,
        body: msgspec.Struct | Raw | None = None,
    ) -> Reply:
        """The good answer to any operation as it came. Raises ApiError, Unreachable."""
        request = self._prepared(operation, path, query, body)
        reply = self._transport.exchange(request)
        check(request, reply, self.url)
        return reply

    def follow(
        self, wanted: type[T], operation: str, *path: PathPart, after: int | None = None
    ) -> Iterator[T]:
        """Messages of an operation's WebSocket, those with ids after the given one, until it ends.

        A connection that breaks is taken up again after the last message that came, so that none is
        missed and none comes twice. Raises ApiError, Unreachable, AnswerInvalid.
        """
        # Imported on use: websockets takes a tenth of a second, which most programs never need.
        from taskyard.sdk.sockets import follow

        return follow(
            self._address,
            lambda query: self._prepared(operation, path, query, None),
            wanted,
            after,
            tls=self._tls,
        )

    def open_socket(
        self, operation: str, *path: PathPart, query: Query | None = None
    ) -> "ClientConnection":
        """An operation's WebSocket, open. Raises ApiError, Unreachable."""
        # Imported on use, for the same reason as in follow.
        from taskyard.sdk.sockets import open_socket

        return open_socket(self._address, self._prepared(operation, path, query, None), self._tls)

    def _prepared(
        self,
        operation: str,
        path: tuple[PathPart, ...],
        query: Query | None,
        body: msgspec.Struct | Raw | None,
    ) -> Request:
        prefix, token = self._address.prefix, self._token
        return prepare(operation, path, token=token, prefix=prefix, query=query, body=body)
