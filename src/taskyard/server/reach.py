"""How a request came here: under which name, from whom, and whose word about others is believed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import Scope

ANY = "*"
"""The allowed host that stands for all of them."""

UNIX = "unix"
"""The trusted proxy that stands for whoever may connect to a Unix socket of ours."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?", re.IGNORECASE)
"""A host as a request names it, perhaps with a port."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Reach:
    """What is let in.

    hosts are names in lower case; one that begins with a dot stands for all names below it. origins are
    those whose pages may call us from a browser, beside our own.
    """

    hosts: frozenset[str] = frozenset()
    proxies: tuple[Network, ...] = ()
    unix_proxies: bool = False
    origins: frozenset[str] = frozenset()

    def admits(self, name: str) -> bool:
        """Whether a request may call us by this name.

        Addresses are fine, and so is localhost: an attack that points a name of its own at us needs a name.
        """
        if ANY in self.hosts or name in self.hosts or is_local(name) or as_address(name):
            return True
        _, dot, parent = name.partition(".")
        while dot:
            if f".{parent}" in self.hosts:
                return True
            _, dot, parent = parent.partition(".")
        return False

    def trusts(self, peer: str | None) -> bool:
        """Whether the other end of a connection, null for a Unix socket, is a proxy of ours."""
        if peer is None:
            return self.unix_proxies
        if not self.proxies:
            return False
        address = as_address(peer)
        return address is not None and self._is_proxy(address)

    def believe(self, scope: Scope) -> None:
        """Puts into the scope what a proxy of ours says: client, scheme and host. Nobody else is listened to."""
        client = scope.get("client")
        if not self.trusts(client[0] if client else None):
            return
        headers = Headers(scope=scope)
        scope["client"] = self._client(_parts(headers.getlist("x-forwarded-for"))) or client
        scheme = _parts(headers.getlist("x-forwarded-proto"))[-1:]
        if scheme and scheme[0].lower() in ("http", "https"):
            kind = "http" if scope["type"] == "http" else "ws"
            scope["scheme"] = kind + scheme[0].lower().removeprefix("http")
        host = _parts(headers.getlist("x-forwarded-host"))[-1:]
        if host:
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope["headers"] = [*others, (b"host", host[0].encode("latin-1"))]

    def _client(self, hops: list[str]) -> tuple[str, int] | None:
        """The nearest hop that is no proxy of ours: what stands before it, anybody may have written."""
        found = None
        for hop in reversed(hops):
            address = as_address(_host_of(hop) or hop)
            if address is None:
                break
            found = (str(address), 0)
            if not self._is_proxy(address):
                break
        return found

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self.proxies)


def host_of(scope: Scope) -> str | None:
    """The name that a request calls us by, without port, in lower case; null when it names none.

    Raises ValueError where that is not one name.
    """
    named = Headers(scope=scope).getlist("host")
    if not named or named == [""]:
        return None
    name = _host_of(named[0])
    if len(named) > 1 or name is None:
        raise ValueError(named)
    return name


def as_address(text: str) -> Address | None:
    """The IP address that the text is; null for anything else. One of IPv4 in IPv6 is that of IPv4."""
    try:
        address = ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_local(name: str) -> bool:
    """Whether a name means this machine to every browser."""
    return name == "localhost" or name.endswith(".localhost")


def read_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks of addresses like 10.0.0.0/8 and 192.0.2.7; raises ValueError."""
    return tuple(ip_network(text) for text in texts if text != UNIX)


def _parts(values: Iterable[str]) -> list[str]:
    """The members of a header with commas, however often it was sent."""
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _host_of(text: str) -> str | None:
    found = _HOST.fullmatch(text)
    return None if found is None else found[1].lower().rstrip(".") or None
