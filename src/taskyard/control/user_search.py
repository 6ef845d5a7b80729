"""What the `q` of a list of users or members asks for."""

from taskyard.control.search import Search
from taskyard.db.users import UserFilter
from taskyard.lifecycle.permissions import Role
from taskyard.wire.enums import LoginType, UserStatus

KEYS = (
    *("search", "status", "role", "login_type", "github_com_user_id"),
    *("last_seen_before", "last_seen_after", "created_before", "created_after"),
)
"""What may be asked of users. A time has colons, so it stands in double quotes. Source: supporting-api 3."""

SITE_ROLES = tuple(role.value for role in Role if role is not Role.ORGANIZATION_ADMIN)

MAX_GITHUB_DIGITS = 18
"""Digits of an account's number that a bigint surely holds; theirs have nine."""


def user_filter(q: str) -> UserFilter:
    """What a search narrows users to. Raises QueryInvalid, which names every key that is wrong. Source: U7."""
    search = Search(q, KEYS, bare="search")
    roles = search.words("role", SITE_ROLES)
    only = UserFilter(
        text=search.text("search"),
        statuses=search.words("status", tuple(UserStatus)),
        # Everybody is a member, and nobody's row says so.
        roles=None if roles is None or Role.MEMBER in roles else roles,
        login_types=search.words("login_type", tuple(LoginType)),
        github_user_id=search.number("github_com_user_id", digits=MAX_GITHUB_DIGITS),
        last_seen_before=search.time("last_seen_before"),
        last_seen_after=search.time("last_seen_after"),
        created_before=search.time("created_before"),
        created_after=search.time("created_after"),
    )
    search.check()
    return only
