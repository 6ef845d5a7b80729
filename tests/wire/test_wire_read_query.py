"""Queries as they are read, the same for every route."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
import pytest

from taskyard.errors import QueryInvalid
from taskyard.wire.base import PageNumber, Time
from taskyard.wire.reading import read_query

ID = UUID("11111111-2222-4333-8444-555555555555")


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A key of each kind."""

    q: str = "all"
    flag: bool = False
    limit: PageNumber = 0
    size: Annotated[int, msgspec.Meta(ge=1, le=9)] | None = None
    since: Time | None = None
    after_id: UUID | None = None


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, Query()),
        ({"q": "", "flag": "", "limit": "", "since": "", "after_id": ""}, Query()),
        ({"q": "null", "other": "x"}, Query(q="null")),
        ({"flag": "1"}, Query(flag=True)),
        ({"flag": "T"}, Query(flag=True)),
        ({"flag": "True"}, Query(flag=True)),
        ({"flag": "f"}, Query()),
        ({"limit": "007", "size": "9"}, Query(limit=7, size=9)),
        (
            {"since": "2026-01-31T10:00:00+02:00"},
            Query(since=datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ),
        ({"after_id": str(ID)}, Query(after_id=ID)),
        ({"after_id": str(UUID(int=0))}, Query()),
    ],
)
def test_a_query_is_read(given: dict[str, str], wanted: Query) -> None:
    """Empty values and the nil UUID are as absent, foreign keys are ignored, times come in UTC."""
    assert read_query(given, Query) == wanted


@pytest.mark.parametrize(
    "given",
    [
        {"flag": "yes"},
        {"flag": "null"},
        {"limit": "-1"},
        {"limit": "1.0"},
        {"limit": " 1"},
        {"limit": "null"},
        {"limit": "4294967296"},
        {"limit": "9" * 5000},
        {"limit": "٣"},
        {"size": "null"},
        {"size": "0"},
        {"since": "1700000000"},
        {"since": "2026-01-31T10:00:00"},
        {"since": "0001-01-01T00:00:00+23:00"},
        {"after_id": "x"},
        {"limit": "x", "after_id": "x"},
    ],
)
def test_what_makes_no_sense_is_named(given: dict[str, str]) -> None:
    """Every wrong key is named, whatever else is right."""
    with pytest.raises(QueryInvalid) as refused:
        read_query({**given, "q": "fine"}, Query)
    assert {field for field, _ in refused.value.violations} == set(given)
