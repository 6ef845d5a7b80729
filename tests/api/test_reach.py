"""Whose word counts: hops, networks and names, without a socket."""

import pytest
from starlette.types import Scope

from taskyard.server.reach import Reach, read_networks

NEAR = Reach(proxies=read_networks(["10.0.0.0/8", "2001:db8::/32"]))


def heard(reach: Reach, peer: str | None, *forwarded: str, **others: str) -> Scope:
    """A request's scope after a proxy was listened to, or not."""
    names = {"proto": b"x-forwarded-proto", "host": b"x-forwarded-host"}
    headers = [(b"host", b"inside"), *((b"x-forwarded-for", f.encode()) for f in forwarded)]
    headers += [(names[name], text.encode()) for name, text in others.items()]
    scope: Scope = {
        "type": "http",
        "scheme": "http",
        "client": (peer, 1) if peer else None,
        "headers": headers,
    }
    reach.believe(scope)
    return scope


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", ("198.51.100.1",), "192.0.2.1"),
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("203.0.113.1, 198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("203.0.113.1, 198.51.100.1, 10.9.9.9",), "198.51.100.1"),
        ("10.0.0.1", ("203.0.113.1", "198.51.100.1", "10.9.9.9"), "198.51.100.1"),
        ("10.0.0.1", ("10.1.1.1, 10.2.2.2",), "10.1.1.1"),
        ("10.0.0.1", ("hunter2",), "10.0.0.1"),
        ("10.0.0.1", ("hunter2, 10.2.2.2",), "10.2.2.2"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("::ffff:10.0.0.1", ("[2001:db8::5]:99, [2001:db9::5]:77",), "2001:db9::5"),
        ("10.0.0.1", ("198.51.100.1:4711",), "198.51.100.1"),
    ],
)
def test_the_client_is_the_nearest_stranger(
    peer: str, forwarded: tuple[str, ...], client: str
) -> None:
    """What a client wrote itself stands further left, and is not looked at."""
    assert heard(NEAR, peer, *forwarded)["client"][0] == client


def test_a_proxy_at_a_unix_socket() -> None:
    """It has no address, and is believed when `unix` is among the proxies."""
    assert heard(NEAR, None, "198.51.100.1")["client"] is None
    found = heard(Reach(unix_proxies=True), None, "198.51.100.1", proto="https", host="yard.test")
    assert found["client"] == ("198.51.100.1", 0)
    assert found["scheme"] == "https"
    assert [value for name, value in found["headers"] if name == b"host"] == [b"yard.test"]


def test_the_last_word_counts() -> None:
    """Of several schemes and hosts the nearest proxy's is the last; what is no scheme is left alone."""
    found = heard(NEAR, "10.0.0.1", proto="https, http", host="evil.test, yard.test")
    assert found["scheme"] == "http"
    assert (b"host", b"yard.test") in found["headers"]
    assert heard(NEAR, "10.0.0.1", proto="gopher")["scheme"] == "http"


def test_networks() -> None:
    """A network whose address has bits beyond its mask is refused, as it is a slip."""
    assert read_networks(["192.0.2.7", "unix"])[0].num_addresses == 1
    with pytest.raises(ValueError, match="host bits"):
        read_networks(["10.0.0.1/8"])
