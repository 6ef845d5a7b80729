"""What `q` and a page of a list of users or members ask for."""

from datetime import UTC, datetime

import msgspec

from taskyard.db.users import Page, UserFilter
from taskyard.errors import QueryInvalid
from taskyard.lifecycle import search
from taskyard.lifecycle.permissions import Role
from taskyard.wire.base import Time
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
    found = search.parse_query(q.replace("\0", "\ufffd"), KEYS, "search")
    if isinstance(found, list):
        raise QueryInvalid([(v.field, search.explain(v, KEYS)) for v in found])
    wrong: list[tuple[str, str]] = []
    roles = _words(found, "role", SITE_ROLES, wrong)
    only = UserFilter(
        text=found.get("search"),
        statuses=_words(found, "status", tuple(UserStatus), wrong),
        # Everybody is a member, and nobody's row says so.
        roles=None if roles is None or Role.MEMBER in roles else roles,
        login_types=_words(found, "login_type", tuple(LoginType), wrong),
        github_user_id=_number(found, "github_com_user_id", wrong),
        last_seen_before=_time(found, "last_seen_before", wrong),
        last_seen_after=_time(found, "last_seen_after", wrong),
        created_before=_time(found, "created_before", wrong),
        created_after=_time(found, "created_after", wrong),
    )
    if wrong:
        raise QueryInvalid(wrong)
    return only


def page_of(limit: int, offset: int) -> Page:
    """The rows that a page has; a limit of 0 means all."""
    return Page(limit=limit or None, offset=offset)


def _words(
    found: dict[str, str], key: str, known: tuple[str, ...], wrong: list[tuple[str, str]]
) -> list[str] | None:
    """The words behind a key, of which any will do, separated by commas; None where it is absent."""
    if key not in found:
        return None
    words = [word for word in found[key].split(",") if word]
    if not words or not set(words) <= set(known):
        wrong.append((key, f'"{found[key]}" is none of {", ".join(known)}'))
    return words


def _number(found: dict[str, str], key: str, wrong: list[tuple[str, str]]) -> int | None:
    text = found.get(key)
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= MAX_GITHUB_DIGITS:
        return int(text)
    wrong.append((key, f'"{text}" is not the number of a GitHub account'))
    return None


def _time(found: dict[str, str], key: str, wrong: list[tuple[str, str]]) -> datetime | None:
    text = found.get(key)
    if text is None:
        return None
    try:
        # Searches are read in lower case, and a time has its letters in upper case.
        return msgspec.convert(text.upper(), Time).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        wrong.append((key, f'"{text}" is no time such as "2026-01-31T08:00:00Z", in quotes'))
        return None
