"""What the `q` of a list asks for: the values of its keys, and everything that is wrong with them."""

from collections.abc import Collection
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import msgspec

from taskyard.control.actors import Actor
from taskyard.control.viewers import may_read_user, viewer_for
from taskyard.db import identity
from taskyard.errors import QueryInvalid
from taskyard.lifecycle.permissions import Verb
from taskyard.lifecycle.search import explain, parse_query
from taskyard.wire.base import Time, as_uuid
from taskyard.wire.reading import BOOLEANS

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

Word = TypeVar("Word", bound=StrEnum)


class Search:
    """The values of a query by their keys, in lower case; an absent key gives None.

    A wrong value gives None too and is kept in mind: `check`, when all is read, raises QueryInvalid with every one.
    """

    def __init__(self, q: str, keys: Collection[str], bare: str) -> None:
        # U+0000 is in no stored text, and the database takes none to compare with.
        found = parse_query(q.replace("\0", "\ufffd"), keys, bare)
        if isinstance(found, list):
            raise QueryInvalid([(violation.field, explain(violation, keys)) for violation in found])
        self.values = found
        self._wrong: list[tuple[str, str]] = []

    def check(self) -> None:
        """Nothing when every value that was read is right; else raises QueryInvalid."""
        if self._wrong:
            raise QueryInvalid(self._wrong)

    def text(self, key: str) -> str | None:
        """The value as it stands."""
        return self.values.get(key)

    def flag(self, key: str) -> bool | None:
        """Yes or no."""
        value = self.values.get(key)
        if value is not None and value not in BOOLEANS:
            self._refuse(key, f'"{value}" is neither true nor false')
        return None if value is None else BOOLEANS.get(value)

    def word(self, key: str, words: type[Word]) -> Word | None:
        """One of the words."""
        value = self.values.get(key)
        if value is None or value in set(words):
            return None if value is None else words(value)
        self._refuse(key, f'"{value}" is not known here; give one of {", ".join(words)}')
        return None

    def words(self, key: str, known: tuple[str, ...]) -> list[str] | None:
        """Known words, of which any will do, separated by commas."""
        value = self.values.get(key)
        if value is None:
            return None
        words = [word for word in value.split(",") if word]
        if words and set(words) <= set(known):
            return words
        self._refuse(key, f'"{value}" is not known here; give one of {", ".join(known)}')
        return None

    def number(self, key: str, *, digits: int) -> int | None:
        """A whole number of so many digits at most."""
        value = self.values.get(key)
        if value is None or (value.isascii() and value.isdigit() and len(value) <= digits):
            return None if value is None else int(value)
        self._refuse(key, f'"{value}" is no whole number of at most {digits} digits')
        return None

    def uuid(self, key: str) -> UUID | None:
        """An id."""
        value = self.values.get(key)
        if value is not None and as_uuid(value) is None:
            self._refuse(key, f'"{value}" is not a UUID')
        return None if value is None else as_uuid(value)

    def time(self, key: str) -> datetime | None:
        """A moment in UTC. It has colons, so it stands in double quotes."""
        value = self.values.get(key)
        if value is None:
            return None
        try:
            # Searches are read in lower case, and a time has its letters in upper case.
            return msgspec.convert(value.upper(), Time).astimezone(UTC)
        except (msgspec.ValidationError, OverflowError):
            sentence = f'"{value}" is no time such as "2026-01-31T08:00:00Z", in quotes'
            self._refuse(key, sentence)
            return None

    async def user(self, conn: "Connection", actor: Actor, key: str) -> UUID | None:
        """A user: `me`, a UUID that may match nobody, or a name that must be visible."""
        value = self.values.get(key)
        if not value or value == "me":
            return actor.user_id if value else None
        if (user_id := as_uuid(value)) is not None:
            return user_id
        user = await identity.get_user_by_username_as_system(conn, value)
        if user is not None and may_read_user(actor, user):
            return user.id
        self._refuse(key, f'there is no user "{value}", or you may not see them')
        return None

    async def organization(self, conn: "Connection", actor: Actor) -> UUID | None:
        """An organization: a UUID that may match none, or a name that must be visible."""
        value = self.values.get("organization")
        if value is None or (found := as_uuid(value)) is not None:
            return None if value is None else found
        for row in await identity.list_organizations(
            conn, viewer_for(actor, Verb.ORGANIZATION_READ)
        ):
            if row.name.lower() == value:
                return row.id
        self._refuse("organization", f'there is no organization "{value}", or you may not see it')
        return None

    def _refuse(self, key: str, sentence: str) -> None:
        self._wrong.append((key, sentence))
