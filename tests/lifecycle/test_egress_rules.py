"""What templates may list, what workspaces may ask for, and where names may lead."""

import pytest

from taskyard.lifecycle.egress import (
    Reason,
    Refusal,
    is_public,
    judge_addresses,
    judge_target,
    read_address,
    read_rule,
    read_target,
    rule_text,
)

RULES = [
    read_rule(text)
    for text in (
        *("api.example.org:443", "api.example.org:8443", "*.cdn.example:443", "localhost:4020"),
        *("10.0.0.5:5432", "[2001:DB8::1]:443", "intranet.example:5432"),
    )
]


def reason(text: str) -> str | None:
    """Why a target is refused; None when it is not."""
    refusal = judge_target(read_target(text), RULES)
    return None if refusal is None else str(refusal.reason)


@pytest.mark.parametrize(
    "text",
    [
        "api.example.org:443",
        "API.Example.ORG:8443",
        "api.example.org.:443",
        "a.cdn.example:443",
        "a.b.cdn.example.:443",
        "127.0.0.1:4020",
        "localhost:4020",
        "LOCALHOST.:4020",
        "[::ffff:127.0.0.1]:4020",
        "[::ffff:7f00:1]:4020",
        "10.0.0.5:5432",
        "[2001:db8:0:0::1]:443",
    ],
)
def test_what_is_listed_is_fine(text: str) -> None:
    """Case, a dot at the end and spellings of the same address make no difference."""
    assert reason(text) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("api.example.org:80", Reason.PORT_NOT_LISTED),
        ("127.0.0.1:4021", Reason.PORT_NOT_LISTED),
        ("example.org:443", Reason.HOST_NOT_LISTED),
        ("evil-api.example.org:443", Reason.HOST_NOT_LISTED),
        ("api.example.org.evil.test:443", Reason.HOST_NOT_LISTED),
        ("cdn.example:443", Reason.HOST_NOT_LISTED),
        ("evilcdn.example:443", Reason.HOST_NOT_LISTED),
        ("a.cdn.example:80", Reason.PORT_NOT_LISTED),
        ("127.0.0.2:4020", Reason.HOST_NOT_LISTED),
        ("[::1]:4020", Reason.HOST_NOT_LISTED),
        ("0.0.0.0:4020", Reason.HOST_NOT_LISTED),
        ("x.localhost:4020", Reason.HOST_NOT_LISTED),
        ("169.254.169.254:80", Reason.HOST_NOT_LISTED),
    ],
)
def test_what_is_not_listed_is_refused(text: str, wanted: Reason) -> None:
    """A name covers itself alone, a wildcard whole names below it, an address itself, each with its port."""
    assert reason(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", ":443", "host", "host:", "host:0", "host:65536", "host:-1", "host:4 43", "h:٤"),
        *("127.1:4020", "2130706433:4020", "0x7f.1:4020", "0x7f000001:4020", "017700000001:4020"),
        *("127.0.0.01:4020", "127.0.0.1.:x", "1.2.3.4.5:80", "256.1.1.1:80", "a.b.0x7f:80"),
        *("[::1%lo]:80", "[127.0.0.1]:80", "[::1:80", "::1:80", "[]:80", "[::g]:80"),
        *("bücher.example:443", "a..b:80", ".a:80", "a:80:80", "-a.b:80", "a b:80", "a/b:80"),
        *("user@host:80", "host\r\nX: y:80", "host\x00:80", "*.cdn.example:443", "*:443"),
        *("x" * 64 + ".example:80", ".".join(["abc"] * 70) + ":80"),
    ],
)
def test_what_is_no_target_is_not_guessed_at(text: str) -> None:
    """Old spellings of addresses, names of other scripts, ports that are none, pieces of requests."""
    with pytest.raises(ValueError):
        read_target(text)


@pytest.mark.parametrize(
    "text", ["*.10.0.0.1:80", "*.:80", "*.*.a:80", "a.*.b:80", "*.localhost:80", "*.[::1]:80"]
)
def test_wildcards_stand_before_names_only(text: str) -> None:
    """A wildcard is the first part of a name, and of nothing else."""
    with pytest.raises(ValueError):
        read_rule(text)


def test_rules_are_written_as_they_are_read() -> None:
    """A rule's text leads to the same rule."""
    for rule in RULES:
        assert read_rule(rule_text(rule)) == rule
    assert [rule_text(rule) for rule in RULES[3:6]] == [
        "127.0.0.1:4020",
        "10.0.0.5:5432",
        "[2001:db8::1]:443",
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255"),
        *("192.168.1.1", "100.64.0.1", "100.127.255.255", "169.254.169.254", "192.0.0.192"),
        *("168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::a83f:8110", "100.100.100.200"),
        *("fd20:ce::254", "fd00:42::42", "fe80::a9fe:a9fe"),
        *("198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
        *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "2001::1"),
        *("2002:7f00:1::", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "5f00::1", "fec0::1"),
    ],
)
def test_addresses_that_are_not_the_internet_s(text: str) -> None:
    """Loopback, private, carriers', link-local and metadata, reserved: in IPv4, in IPv6, and one in the other."""
    assert not is_public(read_address(text))


@pytest.mark.parametrize(
    "text",
    [
        *("1.1.1.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "192.0.1.1", "223.255.255.255"),
        *("2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:1.1.1.1", "64:ff9b::101:101"),
    ],
)
def test_addresses_of_the_internet(text: str) -> None:
    """Everything else."""
    assert is_public(read_address(text))


@pytest.mark.parametrize(
    ("name", "addresses", "is_fine"),
    [
        ("api.example.org:443", ["93.184.216.34"], True),
        ("api.example.org:443", ["93.184.216.34", "2606:4700::1"], True),
        ("api.example.org:443", ["127.0.0.1"], False),
        ("api.example.org:443", ["169.254.169.254"], False),
        ("api.example.org:443", ["93.184.216.34", "10.0.0.5"], False),
        ("api.example.org:443", ["::ffff:10.0.0.5"], False),
        ("intranet.example:5432", ["10.0.0.5"], True),
        ("intranet.example:5432", ["10.0.0.6"], False),
    ],
)
def test_a_name_does_not_open_what_is_not_the_internet_s(
    name: str, addresses: list[str], *, is_fine: bool
) -> None:
    """One such address among several is enough, unless it is listed itself with the port."""
    found = judge_addresses(read_target(name), map(read_address, addresses), RULES)
    assert (found is None) == is_fine
    if isinstance(found, Refusal):
        assert found.reason is Reason.ADDRESS_CLOSED
