"""What systemd is told about a service of `Type=notify`, over the socket that it names."""

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Tells the service manager, if one started us; nobody's server fails because it cannot be told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    name = f"\0{address[1:]}" if address.startswith("@") else address
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), name)
