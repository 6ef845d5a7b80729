"""What a coding agent with a screen runs at its own events: `hook.py EVENT`, which tells the bridge.

The bridge is the one that TASKYARD_BRIDGE_URL names. Run as a file, without the site's packages and
with next to nothing imported: each prompt and each tool's call waits for one. It never fails and
never says anything: either would become part of the conversation.
"""

import os
import sys
from contextlib import suppress

TIMEOUT_S = 2.0
"""Seconds that the bridge may take: it answers from memory, and the coding agent waits."""

FAILURE = "StopFailure"
"""The one event of which more is told than its name."""

DETAIL_CHARS = 500
"""Characters of a reason that are told: what a person reads on a list of tasks."""


def main() -> None:
    """Tells the event; whatever goes wrong stays unsaid."""
    with suppress(Exception):  # a coding agent takes a failure for its user's wish
        tell(sys.argv[1])


def tell(event: str) -> None:
    """The bridge has heard of the event. Raises OSError, ValueError, IndexError."""
    # Imported here: what cannot be imported must not fail the coding agent either.
    import json

    # Imported here: as above.
    import socket

    body = json.dumps({"event": event, "error": reason() if event == FAILURE else None}).encode()
    host, port, *_ = os.environ["TASKYARD_BRIDGE_URL"].split("//")[1].rstrip("/").split(":")
    token = os.environ.get("TASKYARD_BRIDGE_TOKEN")
    lines = [
        "POST /v2/hook HTTP/1.1",
        f"Host: {host}:{port}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *([f"Authorization: Bearer {token}"] if token else []),
    ]
    head = "\r\n".join([*lines, "", ""]).encode()
    with socket.create_connection((host, int(port)), TIMEOUT_S) as line:
        line.sendall(head + body)
        line.recv(1)  # what it answers changes nothing, but it has heard by then


def reason() -> str:
    """Why the turn failed, as the coding agent tells it on standard input. Raises ValueError."""
    # Imported here: as above.
    import json

    told = json.load(sys.stdin.buffer)
    words = [told.get(name) for name in ("error", "error_details", "last_assistant_message")]
    return ": ".join(word for word in words if isinstance(word, str) and word)[:DETAIL_CHARS]


if __name__ == "__main__":
    main()
