"""Where apps of workspaces are shown: a listener of their own, under host names that are not the server's."""

import re
import socket
from typing import Final
from urllib.parse import urlsplit

import structlog

from taskyard.config import Settings
from taskyard.daemon.listen import Place, listen_at, read_place
from taskyard.errors import StartupError

log = structlog.get_logger()

OFF: Final = "off"
"""What apps_listen says when apps are not to be shown."""

SHARED_PARTS: Final = 2
"""Parts at the end of two host names that, where they are the same, mostly make them one site to a browser."""

_URL: Final = re.compile(r"(https?)://\*((?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+)(?::([0-9]{1,5}))?")


def apps_url_of(settings: Settings) -> str | None:
    """The address under which apps are shown, from the settings; None where they give none. Raises StartupError."""
    if settings.apps_url is None:
        return None
    text = settings.apps_url.rstrip("/").lower()
    found = _URL.fullmatch(text)
    if found is None or not 0 < int(found[3] or 1) < 65536:
        raise StartupError(
            f"apps_url is {settings.apps_url!r}, but must be like https://*.apps.example.net, with a * for the name "
            "that each app gets"
        )
    ours = urlsplit(settings.access_url or "").hostname or ""
    if f".{ours}".endswith(found[2]):
        raise StartupError(
            f"apps_url is {settings.apps_url!r}, which covers the server's own name {ours}: what an app's page does "
            "there would be done with the session of whoever looks at it. Give apps a domain of their own"
        )
    if ours.split(".")[-SHARED_PARTS:] == found[2].split(".")[-SHARED_PARTS:]:
        log.warning(
            "server.apps_beside_sessions",
            apps_url=text,
            advice="a page of an app can set cookies for the whole domain: a domain of their own is safer",
        )
    return text


def listen_for_apps(settings: Settings, *, tls: bool) -> tuple[socket.socket | None, str]:
    """The socket for apps, null where they are not shown, and their address. Raises StartupError."""
    url = apps_url_of(settings)
    if settings.apps_listen == OFF:
        return None, ""
    if settings.apps_listen is None and not _is_at_home(settings) and url is None:
        return (
            None,
            "",
        )  # nobody who comes from elsewhere could open what is on this machine's loopback
    place = (
        Place(host="127.0.0.1", port=0)
        if settings.apps_listen is None
        else read_place(settings.apps_listen, "apps_listen")
    )
    if url is None and not (place.is_loopback and not place.path):
        raise StartupError(
            f"apps_listen is {settings.apps_listen!r}, but apps_url is not set: say under which names browsers find "
            "apps there, for example --apps-url https://*.apps.example.net"
        )
    sock = listen_at(place)
    if url is None:
        # Browsers take every name below localhost for this machine, and each for a site of its own.
        url = f"{'https' if tls else 'http'}://*.localhost:{sock.getsockname()[1]}"
    return sock, url


def _is_at_home(settings: Settings) -> bool:
    """Whether people come from this machine only, by TCP."""
    places = [read_place(text, "listen") for text in settings.listen]
    places = places or [Place(host=settings.host, port=settings.port)]
    return settings.access_url is None and all(p.is_loopback and not p.path for p in places)
