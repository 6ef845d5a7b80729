#!/usr/bin/env python3
"""A demo of an AgentAPI server: every message is answered with what it said. Standard library only.

GET /status, GET /messages, POST /message. The conversation is kept in a file, so that it is still
there when the task is resumed.
"""

import json
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

ADDRESS = ("127.0.0.1", 3284)
"""Where the template's [[app]] says that this server listens."""

THINKING_S = 0.2
"""Seconds that an answer takes, so that one can see the status change."""

MAX_BODY_BYTES = 1024 * 1024
"""Largest request that is read."""


class Conversation:
    """Messages in order, kept in a file of one JSON object a line."""

    def __init__(self, file: Path, thinking_s: float = THINKING_S) -> None:
        self._file = file
        self._thinking_s = thinking_s
        self._lock = threading.Lock()
        self._busy = False
        # A line without its end was cut off when the server was killed; it goes.
        lines = file.read_text().split("\n")[:-1] if file.exists() else []
        file.write_text("".join(f"{line}\n" for line in lines))
        self._messages: list[dict[str, object]] = [json.loads(line) for line in lines]

    def status(self) -> str:
        """`running` while an answer is being made, else `stable`."""
        with self._lock:
            return "running" if self._busy else "stable"

    def messages(self) -> list[dict[str, object]]:
        """All messages so far, oldest first."""
        with self._lock:
            return list(self._messages)

    def ask(self, text: str) -> bool:
        """Takes a message and answers it in the background; False while another one is answered."""
        with self._lock:
            if self._busy:
                return False
            self._busy = True
            self._add("user", text)
        threading.Thread(target=self._answer, args=(text,), daemon=True).start()
        return True

    def _answer(self, text: str) -> None:
        time.sleep(self._thinking_s)
        with self._lock:
            self._add("agent", f"You said: {text}")
            self._busy = False

    def _add(self, role: str, content: str) -> None:
        now = datetime.now(UTC).isoformat()
        message = {"id": len(self._messages), "role": role, "content": content, "time": now}
        with self._file.open("a") as file:
            file.write(json.dumps(message) + "\n")
        self._messages.append(message)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    conversation: ClassVar[Conversation]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Status or messages."""
        match self.path:
            case "/status":
                status = self.conversation.status()
                self._send(200, {"status": status, "agent_type": "custom", "transport": "pty"})
            case "/messages":
                self._send(200, {"messages": self.conversation.messages()})
            case _:
                self._refuse(404, f"there is no {self.path} here")

    def do_POST(self) -> None:
        """A message of the user."""
        body = self._body()
        if self.path != "/message":
            self._refuse(404, f"there is no {self.path} here")
        elif not isinstance(body, dict) or body.get("type") != "user":
            self._refuse(422, 'send {"type": "user", "content": "…"}; this demo has no terminal')
        elif not isinstance(content := body.get("content"), str) or not content.strip():
            self._refuse(422, "content must be a string that is not blank")
        elif not self.conversation.ask(content.strip()):
            self._refuse(500, "the last message is still being answered; wait for status stable")
        else:
            self._send(200, {"ok": True})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Nothing: health checks come every second."""

    def _body(self) -> object:
        size_bytes = min(int(self.headers.get("Content-Length") or 0), MAX_BODY_BYTES)
        try:
            return json.loads(self.rfile.read(size_bytes))
        except ValueError:
            return None

    def _refuse(self, status: int, detail: str) -> None:
        self.close_connection = True
        self._send(status, {"status": status, "detail": detail})

    def _send(self, status: int, body: Mapping[str, object]) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


def main() -> None:
    """Serves until the workspace stops."""
    Handler.conversation = Conversation(Path.home() / ".echo-messages.jsonl")
    ThreadingHTTPServer(ADDRESS, Handler).serve_forever()


if __name__ == "__main__":
    main()
