"""What a scenario has done that no page can do: servers stopped and started, facts asked of the API."""

import http.server
import threading
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import msgspec

Deed = Callable[..., object]
"""Gets the fields that the scenario gives by their names; what it returns is told as JSON."""

POLL_S = 0.01
"""Seconds between looks whether it is over."""


class Backstage:
    """A door for the scenario to the test that plays it, for as long as the block runs; one deed at a time."""

    def __init__(self, deeds: Mapping[str, Deed]) -> None:
        self._server = http.server.HTTPServer(("127.0.0.1", 0), _handler(deeds))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_S,))

    @property
    def address(self) -> str:
        """Where deeds are asked for."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(deeds: Mapping[str, Deed]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            try:
                given = self.rfile.read(int(self.headers["Content-Length"]))
                result = deeds[self.path.lstrip("/")](**msgspec.json.decode(given))
                status, body = 200, msgspec.json.encode(result, enc_hook=str)
            except Exception:  # noqa: BLE001 - whatever it is, the scenario shows it
                status, body = 500, traceback.format_exc().encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            pass

    return Handler
