"""Where a server is reached, as its settings say: the sockets it listens on, and whom it lets in there."""

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog

from taskyard.config import Settings
from taskyard.daemon.datadir import DataDir
from taskyard.daemon.listen import Place, listen_at, listen_unix, read_place
from taskyard.daemon.tls import Certificate
from taskyard.errors import StartupError
from taskyard.server.reach import UNIX, Reach, read_networks

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Sockets:
    """What an api server listens on, bound before anything slow, and the address it prints."""

    tcp: list[socket.socket]
    unix: list[socket.socket]
    agents: socket.socket
    relay: socket.socket
    metrics: socket.socket | None
    address: str


def open_sockets(settings: Settings, data: DataDir, tls: Certificate | None) -> Sockets:
    """Every socket of an api server. Raises StartupError."""
    reach_of(settings)  # what cannot be read is said before anything is opened
    places = [read_place(text, "listen") for text in settings.listen]
    places = places or [Place(host=settings.host, port=settings.port)]
    bound = [(place, listen_at(place)) for place in places]
    first, sock = bound[0]
    _warn(settings, places, tls)
    return Sockets(
        tcp=[sock for place, sock in bound if not place.path],
        unix=[sock for place, sock in bound if place.path],
        agents=listen_unix(data.link_socket),
        relay=listen_unix(data.relay_socket),
        metrics=_listen_for_metrics(settings),
        address=first.url(0 if first.path else sock.getsockname()[1], tls=tls is not None),
    )


def reach_of(settings: Settings) -> Reach:
    """Whom the server lets in. Raises StartupError."""
    public = urlsplit(settings.access_url or "").hostname
    hosts = {host.lower().rstrip(".").removeprefix("*") or "*" for host in settings.allowed_hosts}
    for host in settings.allowed_hosts:
        if "/" in host or ":" in host or "*" in host.removeprefix("*"):
            raise StartupError(
                f"allowed_hosts has {host!r}, but takes names like yard.example.com, *.example.com for "
                "all names below one, or * for any"
            )
    try:
        proxies = read_networks(settings.trusted_proxies)
    except ValueError as error:
        raise StartupError(
            f"trusted_proxies cannot be read: {error}. Give addresses or networks like 10.0.0.0/8, or unix "
            "for those that come by a Unix socket"
        ) from error
    return Reach(
        hosts=frozenset(hosts | ({public} if public else set()) | _listened(settings)),
        proxies=proxies,
        unix_proxies=UNIX in settings.trusted_proxies,
        origins=frozenset(_origin(text) for text in settings.cors_origins),
    )


def _listened(settings: Settings) -> set[str]:
    """The names that the server was told to listen on."""
    places = [read_place(text, "listen") for text in settings.listen]
    return {place.host.lower() for place in places if place.host} or {settings.host.lower()}


def _origin(text: str) -> str:
    """An origin as browsers write it. Raises StartupError."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or text != f"{parts.scheme}://{parts.netloc}".lower():
        raise StartupError(
            f"cors_origins has {text!r}, but takes origins as browsers write them, in lower case and without "
            "a slash at the end, like https://page.example.com"
        )
    return text


def _listen_for_metrics(settings: Settings) -> socket.socket | None:
    if settings.metrics_listen is None:
        return None
    return listen_at(read_place(settings.metrics_listen, "metrics_listen"))


def _warn(settings: Settings, places: list[Place], tls: Certificate | None) -> None:
    """Tokens in clear text on a network are worth a line of log, unless a proxy is known to come in between."""
    is_private = tls is not None or (settings.access_url or "").startswith("https:")
    open_places = [place for place in places if not place.is_loopback]
    if open_places and not is_private:
        log.warning(
            "server.plain_http",
            listen=[f"{place.host}:{place.port}" for place in open_places],
            advice="anybody on the way can read tokens: give --tls-cert and --tls-key, or put a proxy in front",
        )
