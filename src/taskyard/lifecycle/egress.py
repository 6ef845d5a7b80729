"""Where a workspace may connect to: hosts and ports as templates list them, and addresses that need listing.

A rule is `host:port`. The host is a name, `*.name` for all names below one, or an address. Names are
judged before they are resolved, and what they resolve to is judged again: a name cannot lead to a place
that is not on the internet unless that very address and port are listed. A rule with methods or paths is
about requests of plain HTTP, which egress_http.py judges, and opens nothing else.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

from taskyard.lifecycle.template_model import Egress

Address = IPv4Address | IPv6Address

MAX_NAME_CHARS = 253
"""Longest host name that DNS can carry."""

HTTPS_PORT = 443
"""Where everybody speaks TLS."""

LOCALHOST = "localhost"
"""The name that stands for the server's own 127.0.0.1, without being resolved."""

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LAST_IS_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
"""127.1, 2130706433, 0x7f.1: C libraries read these as addresses, so they are no names."""
_PLACE = re.compile(r"(?:\[(?P<v6>[^\[\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")

_CLOSED_V4 = [
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "127.0.0.0/8"),  # this machine
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),  # private, carriers'
        "169.254.0.0/16",  # link-local, with the metadata of clouds
        "168.63.129.16/32",  # the metadata and names of Azure, in the midst of the internet
        *("192.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),  # special, examples
        *("192.88.99.0/24", "198.18.0.0/15"),  # relays of old, benchmarks
        *("224.0.0.0/4", "240.0.0.0/4"),  # many at once, reserved, everybody
    )
]
"""IPv4 that is not the internet's. Written out: Python's own answer changed between its releases."""
_OPEN_V6 = IPv6Network("2000::/3")
"""The only part of IPv6 that is given to the internet."""
_CLOSED_V6 = [
    IPv6Network(text)
    # Special uses and Teredo, examples, 6to4: the last and the first wrap IPv4 addresses.
    for text in ("2001::/23", "2001:db8::/32", "3fff::/20", "2002::/16")
]
_NAT64 = IPv6Network("64:ff9b::/96")
"""IPv6 that stands for an IPv4 address, where a network has nothing else to offer."""


class Reason(StrEnum):
    """Why a connection was or was not made, a request was or was not sent on."""

    LISTED = "listed"
    TARGET_INVALID = "target_invalid"
    HOST_NOT_LISTED = "host_not_listed"
    PORT_NOT_LISTED = "port_not_listed"
    ADDRESS_CLOSED = "address_not_public"
    NAME_UNKNOWN = "name_unknown"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TOO_MANY = "too_many_connections"
    NOT_TCP = "not_tcp"
    HTTP_ONLY = "http_only"
    METHOD_NOT_LISTED = "method_not_listed"
    PATH_NOT_LISTED = "path_not_listed"
    PATH_UNCLEAR = "path_unclear"
    HOST_DIFFERS = "host_differs"
    REQUEST_INVALID = "request_invalid"
    ANSWER_INVALID = "answer_invalid"
    SNI_DIFFERS = "sni_differs"
    SNI_MISSING = "sni_missing"
    HELLO_UNREADABLE = "hello_unreadable"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not, as a code and as a sentence for whoever runs the program that asked."""

    reason: Reason
    sentence: str


ONLY_TCP = Refusal(
    Reason.NOT_TCP,
    "Only TCP leaves a workspace: what is sent by UDP and others ends in its own network.",
)
"""For all that is no TCP, wherever it goes."""


@dataclass(frozen=True, slots=True)
class Target:
    """A host and a TCP port that a workspace asks for; address is null when the host is a name."""

    host: str
    port: int
    address: Address | None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_target(text: str) -> Target:
    """The target of `host:port`; raises ValueError, which says what is wrong with it.

    Letters become small, one dot at the end is dropped, IPv6 that wraps IPv4 becomes that, localhost
    127.0.0.1. Numbers in spellings of old (127.1, 0x7f.1, 010.0.0.1) are refused, not guessed at.
    """
    found = _PLACE.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise ValueError("give host:port with a port from 1 to 65535")
    port = int(found["port"])
    if found["v6"] is not None:
        return _numbered(_read_v6(found["v6"]), port)
    host = found["host"].lower().removesuffix(".")
    if host == LOCALHOST:
        return _numbered(IPv4Address("127.0.0.1"), port)
    if _LAST_IS_NUMBER.fullmatch(host):
        try:
            return _numbered(IPv4Address(host), port)
        except AddressValueError as error:
            raise ValueError(
                "an IPv4 address is four numbers from 0 to 255, without zeros in front"
            ) from error
    if len(host) > MAX_NAME_CHARS or not _NAME.fullmatch(host):
        raise ValueError("the host is no name; write names of other scripts as xn--...")
    return Target(host, port, None)


def read_rule(text: str) -> Egress:
    """The rule that a template's entry is; raises ValueError, which says what is wrong with it."""
    if text.startswith("*."):
        below = read_target(text[2:])
        if below.address is not None:
            raise ValueError("only names have names below them")
        return Egress(f"*.{below.host}", below.port)
    target = read_target(text)
    return Egress(target.host, target.port)


def rule_text(rule: Egress) -> str:
    """The rule as a template writes it."""
    return f"[{rule.host}]:{rule.port}" if ":" in rule.host else f"{rule.host}:{rule.port}"


def warnings_of(rules: Iterable[Egress]) -> list[str]:
    """A sentence for each rule that should be on purpose: what is not on the internet, HTTP where TLS is usual."""
    listed = list(rules)
    targets = [read_target(rule_text(r)) for r in listed if not r.host.startswith("*.")]
    opened = [
        f"workspace.network.egress opens {target}, {_whose(target.address)}, to every workspace of this template."
        for target in targets
        if target.address is not None and not is_public(target.address)
    ]
    blind = [
        f"workspace.network.egress lists {rule_text(rule)} with methods or paths. These are for plain HTTP: "
        "by this entry TLS is refused there, as nobody can look into it."
        for rule in listed
        if rule.port == HTTPS_PORT and is_limited(rule)
    ]
    return opened + blind


def judge_target(target: Target, rules: Sequence[Egress]) -> Refusal | None:
    """Why a workspace with these rules may not ask for the target; None when it may."""
    ports = sorted({rule.port for rule in rules if _covers(rule, target)})
    if target.port in ports:
        return None
    if ports:
        return Refusal(
            Reason.PORT_NOT_LISTED,
            f"The template lists {target.host} with port {', '.join(map(str, ports))} only. "
            f'Add "{target}" to workspace.network.egress.',
        )
    return Refusal(
        Reason.HOST_NOT_LISTED,
        f'The template does not list this host. Add "{target}" to workspace.network.egress.',
    )


def judge_name(name: str, rules: Sequence[Egress]) -> Refusal | None:
    """Why a name does not exist for a workspace with these rules; None when it is listed with some port."""
    try:
        target = read_target(f"{name}:{HTTPS_PORT}")
    except ValueError:
        target = None
    if target is not None and any(_covers(rule, target) for rule in rules):
        return None
    said = "The template does not list this name. Add it with its port to workspace.network.egress."
    return Refusal(Reason.HOST_NOT_LISTED, said)


def judge_bytes(target: Target, rules: Sequence[Egress]) -> Refusal | None:
    """Why a listed target may not be sent just any bytes: all that lists it is about requests. None when it may."""
    if any(not is_limited(rule) for rule in rules_for(target, rules)):
        return None
    return only_http(target)


def only_http(target: Target) -> Refusal:
    """That a place takes requests of plain HTTP and nothing else."""
    return Refusal(
        Reason.HTTP_ONLY,
        f"The template lists {target} with methods or paths, which cannot be seen in a tunnel or in TLS. "
        "Send plain HTTP requests, or list it without methods and paths.",
    )


def rules_for(target: Target, rules: Iterable[Egress]) -> list[Egress]:
    """The rules that are about this host and port."""
    return [rule for rule in rules if rule.port == target.port and _covers(rule, target)]


def is_limited(rule: Egress) -> bool:
    """Whether a rule allows certain requests of plain HTTP only."""
    return rule.methods is not None or rule.paths is not None


def closed_targets(target: Target, addresses: Iterable[Address]) -> list[Target]:
    """The addresses off the internet that a name leads to, which have to be listed themselves."""
    if target.address is not None:
        return []
    return [_numbered(address, target.port) for address in addresses if not is_public(address)]


def judge_addresses(
    target: Target, addresses: Iterable[Address], rules: Sequence[Egress]
) -> Refusal | None:
    """Why a listed target may not be reached at these addresses; None when all of them are fine.

    Fine is what belongs to the internet, and an address that is listed itself with this port.
    """
    for address in addresses:
        if not is_public(address) and judge_target(_numbered(address, target.port), rules):
            return Refusal(
                Reason.ADDRESS_CLOSED,
                f"{target.host} leads to {address}, which is not on the internet. To allow that, list the address "
                "itself with this port in workspace.network.egress.",
            )
    return None


def is_public(address: Address) -> bool:
    """Whether the address belongs to the internet, and not to a machine, a house, a cloud or nobody."""
    plain = _plain(address)
    if isinstance(plain, IPv4Address):
        return not any(plain in network for network in _CLOSED_V4)
    if plain in _NAT64:
        return is_public(IPv4Address(int(plain) & 0xFFFFFFFF))
    return plain in _OPEN_V6 and not any(plain in network for network in _CLOSED_V6)


def read_address(text: str) -> Address:
    """The address; IPv6 that wraps IPv4 becomes that. Raises ValueError."""
    return _plain(ip_address(text))


def _whose(address: Address) -> str:
    return (
        "a port of the server's own machine"
        if address.is_loopback
        else "which is not on the internet"
    )


def _covers(rule: Egress, target: Target) -> bool:
    """Whether the rule is about the target's host, whatever the port."""
    if rule.host.startswith("*."):
        return target.address is None and target.host.endswith(rule.host[1:])
    # Rules of older versions of a template may be spelled otherwise: read again.
    try:
        return read_target(rule_text(rule)).host == target.host
    except ValueError:
        return False


def _numbered(address: Address, port: int) -> Target:
    plain = _plain(address)
    return Target(str(plain), port, plain)


def _read_v6(text: str) -> IPv6Address:
    problem = "in brackets stands an IPv6 address without a zone"
    if "%" in text:
        raise ValueError(problem)
    try:
        return IPv6Address(text)
    except ValueError as error:
        raise ValueError(problem) from error


def _plain(address: Address) -> Address:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
