"""What was decided about the connections of a task's workspace."""

from enum import StrEnum

import msgspec

from taskyard.wire.base import Time


class NetworkVerdict(StrEnum):
    """What became of an attempt. failed: it was allowed, but there was nobody at the other side."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    FAILED = "failed"


class NetworkDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts to reach the same place that came to the same end.

    host is the text that was asked for where that is no target, and port then null. method and path are null where
    nobody read requests; of an allowed one, path is the prefix that the template lists. reason is a code word.
    """

    verdict: NetworkVerdict
    host: str
    port: int | None
    method: str | None
    path: str | None
    reason: str
    count: int
    first_at: Time
    last_at: Time


class NetworkMore(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts to so many other places that each of them is not kept."""

    verdict: NetworkVerdict
    count: int
    first_at: Time
    last_at: Time


class TaskNetworkResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What a task's workspace tried to reach since it was made, the newest first, about a second late."""

    decisions: list[NetworkDecision]
    more: list[NetworkMore]
