"""How much one user may keep, so that nobody fills the disk for all."""

from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.config import Settings
from taskyard.db.files import sum_files_as_system
from taskyard.db.identity import count_tokens_as_system, take_turn_as_system
from taskyard.errors import QuotaReached

if TYPE_CHECKING:
    from datetime import datetime

    from taskyard.db.pool import Connection

MIB = 1024 * 1024


async def check_file_room(conn: "Connection", settings: Settings, user_id: UUID) -> None:
    """Nothing when the user may keep what they have, with what the transaction adds; else raises QuotaReached.

    Until the transaction ends, the user adds nothing elsewhere.
    """
    await take_turn_as_system(conn, user_id)
    have, most = await sum_files_as_system(conn, user_id), settings.max_files_bytes_per_user
    if have > most:
        raise QuotaReached(
            f"With this one your archives have {have // MIB + 1} MiB, and one user may keep {most // MIB} MiB. Delete templates that "
            "nobody needs; archives that no version uses go by themselves after a while. Whoever runs the server can "
            "raise max_files_bytes_per_user."
        )


async def check_token_room(
    conn: "Connection", settings: Settings, user_id: UUID, username: str, *, now: "datetime"
) -> None:
    """Nothing when the user may have a token more; else raises QuotaReached.

    Until the transaction ends, the user adds nothing elsewhere.
    """
    await take_turn_as_system(conn, user_id)
    have, most = await count_tokens_as_system(conn, user_id, now), settings.max_tokens_per_user
    if have >= most:
        raise QuotaReached(
            f"{username} has {have} tokens, and one user may have {most}. Remove some that are not in use: "
            "taskyard tokens list. Whoever runs the server can raise max_tokens_per_user."
        )
