"""Advisory locks: one number each, in one place, so that nobody waits for what is no concern of theirs."""

import re

from taskyard.db import locks
from tests.house.tree import ROOT

USED = re.compile(r"pg_(?:try_)?advisory_(?:xact_)?lock\((?:hashtextextended\([^;]*?, )?(\d+)\)")
"""A lock that is taken by a number, or by the hash of an id that a number is mixed with."""

SQL = sorted((ROOT / "src/taskyard/db").glob("sql/*.sql")) + sorted(
    (ROOT / "src/taskyard/db").glob("migrations/*.sql")
)


def test_every_lock_has_a_number_of_its_own() -> None:
    """No two are alike."""
    numbers = [number for name, number in vars(locks).items() if name.isupper()]
    assert len(numbers) == len(set(numbers)) > 5


def test_statements_take_the_locks_of_the_list() -> None:
    """A number that stands in a statement or a migration is one of the list."""
    known = {str(number) for name, number in vars(locks).items() if name.isupper()}
    used: dict[str, str] = {}
    for path in SQL:
        used |= dict.fromkeys(USED.findall(path.read_text(encoding="utf-8")), path.name)
    assert set(used) <= known, used
    assert {str(locks.EVENTS), str(locks.TOKENS), str(locks.SECRETS)} <= set(used)


def test_no_module_has_a_lock_of_its_own() -> None:
    """Numbers like those of the list stand nowhere else in the program."""
    found = [
        path.name
        for path in sorted((ROOT / "src").rglob("*.py"))
        if "7_245_0" in path.read_text(encoding="utf-8")
    ]
    assert found == ["locks.py"]
