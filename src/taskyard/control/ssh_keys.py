"""The SSH keys of users, which some clients ask for.

Only the public half is kept. Nothing here signs in anywhere by SSH, so the private half is forgotten where it is
made: what is not stored cannot leak. Source: wire 12.
"""

import base64
import hashlib
import secrets
from datetime import datetime

from taskyard.control.actors import Actor
from taskyard.control.audit import Deed, record
from taskyard.control.services import Services
from taskyard.control.tokens import check_keys_of
from taskyard.db import users as db
from taskyard.db.identity import UserRow
from taskyard.lifecycle.permissions import Verb
from taskyard.wire.enums import AuditAction, AuditResource

# The curve of RFC 8032: its field, its one constant, and the point that keys are multiples of.
_FIELD = 2**255 - 19
_D = -121665 * pow(121666, -1, _FIELD) % _FIELD
_BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)

_ALGORITHM = b"ssh-ed25519"

Point = tuple[int, int]


async def get_ssh_key(
    services: Services, actor: Actor, user: UserRow, now: datetime
) -> db.GitSSHKeyRow:
    """The user's key, made when it is asked for first; raises Forbidden."""
    await check_keys_of(services, actor, user, Verb.TOKEN_READ)
    async with services.db.connection() as conn:
        row = await db.get_git_ssh_key(conn, user.id)
    return row or await _make(services, actor, user, AuditAction.CREATE, now=now)


async def regenerate_ssh_key(
    services: Services, actor: Actor, user: UserRow, now: datetime
) -> db.GitSSHKeyRow:
    """Another key in the place of the user's; raises Forbidden."""
    await check_keys_of(services, actor, user, Verb.TOKEN_WRITE)
    return await _make(services, actor, user, AuditAction.WRITE, now=now)


def public_line(seed: bytes, comment: str) -> str:
    """The public half that belongs to a private half of 32 bytes, as a line of an authorized_keys file."""
    parts = (_ALGORITHM, public_half(seed))
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"{_ALGORITHM.decode()} {base64.b64encode(blob).decode()} {comment}"


def public_half(seed: bytes) -> bytes:
    """The 32 bytes of an Ed25519 public key, as RFC 8032 section 5.1.5 makes them."""
    scalar = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    scalar = scalar & ((1 << 254) - 8) | (1 << 254)
    x, y = _times(scalar, _BASE)
    return (y | (x & 1) << 255).to_bytes(32, "little")


async def _make(
    services: Services, actor: Actor, user: UserRow, action: AuditAction, *, now: datetime
) -> db.GitSSHKeyRow:
    line = public_line(secrets.token_bytes(32), user.email)
    deed = Deed(
        action=action,
        resource_type=AuditResource.GIT_SSH_KEY,
        resource_id=user.id,
        resource_name=user.username,
    )
    async with services.db.transaction() as conn:
        is_first = action is AuditAction.CREATE
        keep = db.first_git_ssh_key if is_first else db.put_git_ssh_key
        row = await keep(conn, user.id, line, now)
        await record(conn, actor, deed, now)
    return row


def _times(scalar: int, point: Point) -> Point:
    """A point added to itself so many times, by doubling. Not in constant time: the scalar is used this once."""
    result: Point = (0, 1)
    while scalar:
        if scalar & 1:
            result = _plus(result, point)
        point = _plus(point, point)
        scalar >>= 1
    return result


def _plus(first: Point, second: Point) -> Point:
    (x1, y1), (x2, y2) = first, second
    cross = _D * x1 * x2 * y1 * y2 % _FIELD
    x = (x1 * y2 + x2 * y1) * pow(1 + cross, -1, _FIELD) % _FIELD
    y = (y1 * y2 + x1 * x2) * pow(1 - cross, -1, _FIELD) % _FIELD
    return x, y
