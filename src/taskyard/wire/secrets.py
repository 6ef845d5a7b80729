"""Secrets as people see them: names and times. A value goes in and never comes out."""

from uuid import UUID

import msgspec

from taskyard.wire.base import Request, Time


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret without its value; updated_at is when it last got one."""

    id: UUID
    name: str
    created_at: Time
    updated_at: Time


class SetSecretRequest(Request, frozen=True, kw_only=True):
    """The value that a secret is to have."""

    value: str = ""
