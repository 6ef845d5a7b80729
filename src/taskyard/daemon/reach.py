"""Where a server is reached, as its settings say: the sockets it listens on, and whom it lets in there."""

import socket
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import structlog

from taskyard.config import Role, Settings
from taskyard.daemon.apps import apps_url_of, listen_for_apps
from taskyard.daemon.datadir import DataDir
from taskyard.daemon.listen import ANYWHERE, Place, listen_at, listen_unix, read_place
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
    peers: socket.socket
    peer_url: str
    metrics: socket.socket | None
    address: str
    apps: socket.socket | None = None
    apps_url: str = ""


def open_sockets(settings: Settings, data: DataDir, tls: Certificate | None) -> Sockets:
    """Every socket of a server that has its data directory to itself. Raises StartupError."""
    reach_of(settings)  # what cannot be read is said before anything is opened
    _peer_place(settings)
    apps_url_of(settings)
    if Role.API not in settings.roles:
        return _inner(settings, data, _Public([], [], "worker"))
    public = _listen(settings, tls)
    apps, apps_url = listen_for_apps(settings, tls=tls is not None)
    return replace(_inner(settings, data, public), apps=apps, apps_url=apps_url)


@dataclass(frozen=True, slots=True)
class _Public:
    """What people come by."""

    tcp: list[socket.socket]
    unix: list[socket.socket]
    address: str


def _listen(settings: Settings, tls: Certificate | None) -> _Public:
    places = [read_place(text, "listen") for text in settings.listen]
    places = places or [Place(host=settings.host, port=settings.port)]
    bound = [(place, listen_at(place)) for place in places]
    first, sock = bound[0]
    _warn(settings, places, tls)
    return _Public(
        tcp=[sock for place, sock in bound if not place.path],
        unix=[sock for place, sock in bound if place.path],
        address=first.url(0 if first.path else sock.getsockname()[1], tls=tls is not None),
    )


def _inner(settings: Settings, data: DataDir, public: _Public) -> Sockets:
    """The same with what only our own workspaces, other servers and who reads figures come by."""
    peers, peer_url = _listen_for_peers(settings, data)
    return Sockets(
        tcp=public.tcp,
        unix=public.unix,
        agents=listen_unix(data.link_socket),
        relay=listen_unix(data.relay_socket),
        peers=peers,
        peer_url=peer_url,
        metrics=_listen_for_metrics(settings),
        address=public.address,
    )


def _listen_for_peers(settings: Settings, data: DataDir) -> tuple[socket.socket, str]:
    """Where other servers of the database reach this one: by default those of this machine and this user only."""
    place = _peer_place(settings)
    if place is None:
        return listen_unix(data.peer_socket, mode=0o600), f"unix://{data.peer_socket}"
    sock = listen_at(place)
    port = 0 if place.path else sock.getsockname()[1]
    return sock, settings.peer_url or place.url(port, tls=False)


def _peer_place(settings: Settings) -> Place | None:
    """Where to listen for them; null for the socket in the data directory. Raises StartupError."""
    if settings.peer_listen is None:
        if settings.peer_url is not None:
            raise StartupError("peer_url needs peer_listen: say where to listen for other servers")
        return None
    place = read_place(settings.peer_listen, "peer_listen")
    if not place.path and place.host in ANYWHERE and settings.peer_url is None:
        raise StartupError(
            f"peer_listen is {settings.peer_listen!r}, which stands for all addresses of this machine: say by which "
            "one other servers reach it, for example --peer-url http://10.0.0.5:7082"
        )
    return place


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
