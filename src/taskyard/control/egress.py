"""What a workspace connects to: whose token asks, what its template lists, and where a name leads."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread

from taskyard.control import keys
from taskyard.control.actors import AgentActor
from taskyard.control.services import Services
from taskyard.lifecycle.egress import (
    Address,
    Reason,
    Refusal,
    Target,
    closed_targets,
    judge_addresses,
    judge_bytes,
    judge_target,
    read_address,
)
from taskyard.lifecycle.template_model import Egress

RESOLVE_S = 5.0
"""Seconds for the name of a host: what resolvers give one server before they ask the next."""

MAX_ADDRESSES = 16
"""Addresses of one name that are looked at; more only serve to keep us busy."""

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Takes a name and a port, gives addresses as text; raises OSError, UnicodeError."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A workspace that connects, and what its template lists for it."""

    actor: AgentActor
    rules: tuple[Egress, ...]


async def grant_of(services: Services, token: str | None) -> Grant:
    """What the holder of this agent token may connect to; raises Unauthenticated."""
    actor, rules = await keys.authenticate_egress(services, token)
    return Grant(actor, rules)


async def resolve(host: str, port: int) -> list[str]:
    """The addresses that this machine's resolver knows of a name; raises OSError, UnicodeError.

    In a thread of its own: those that the loop shares out are few, and whoever names a server that never
    answers would hold them all. Who calls bounds how many there are.
    """
    found: Future[list[str]] = Future()
    found.set_running_or_notify_cancel()
    try:
        Thread(target=_ask, args=(host, port, found), name="name", daemon=True).start()
    except RuntimeError as error:
        raise OSError("the machine has no thread left") from error
    return await asyncio.wrap_future(found)


def _ask(host: str, port: int, found: Future[list[str]]) -> None:
    """Sets found; nobody may be there any more to read it."""
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        found.set_exception(error)
    except BaseException:
        found.set_exception(OSError("the resolver failed"))
        raise
    else:
        found.set_result([str(info[4][0]) for info in infos])


async def decide(
    grant: Grant, target: Target, resolve: Resolve = resolve, *, is_http: bool = False
) -> list[Address] | Refusal:
    """The addresses to connect to, each of them checked, or why not.

    is_http: whoever asks judges each request, so that rules about requests count.
    """
    refusal = judge_target(target, grant.rules)
    if refusal is None and not is_http:
        refusal = judge_bytes(target, grant.rules)
    if refusal is not None:
        return refusal
    found = [target.address] if target.address is not None else await _addresses(target, resolve)
    if isinstance(found, Refusal):
        return found
    return _judge_found(grant, target, found, is_http=is_http) or found


def _judge_found(
    grant: Grant, target: Target, found: list[Address], *, is_http: bool
) -> Refusal | None:
    """Why a name may not lead where it does: what is not on the internet is listed itself, for bytes too."""
    refusal = judge_addresses(target, found, grant.rules)
    if refusal is not None or is_http:
        return refusal
    closed = (judge_bytes(each, grant.rules) for each in closed_targets(target, found))
    return next(filter(None, closed), None)


async def _addresses(target: Target, resolve: Resolve) -> list[Address] | Refusal:
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await resolve(target.host, target.port)
    except TimeoutError:
        return Refusal(
            Reason.TIMEOUT,
            f"The server's resolver did not answer for {target.host} within {RESOLVE_S:g} s. Try again.",
        )
    except (OSError, UnicodeError):
        found = []
    addresses = list(dict.fromkeys(read_address(text.partition("%")[0]) for text in found))
    if not addresses:
        return Refusal(
            Reason.NAME_UNKNOWN, f"The server's resolver knows no address of {target.host}."
        )
    return addresses[:MAX_ADDRESSES]
