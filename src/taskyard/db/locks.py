"""The advisory locks of the database: each number once, so that nobody waits for what is no concern of theirs.

They are numbers and nothing else; what an earlier release takes turns on too keeps its number. A test compares them
with what statements and migrations use.
"""

from typing import Final

MIGRATIONS: Final = 7_245_001
"""Servers that start together take turns at the migrations."""

CLAIMS: Final = 7_245_002
"""Claims of jobs take turns, so that no limit is overrun."""

STARTERS: Final = 7_245_003
"""Servers take turns when they bring their starter templates."""

TOKENS: Final = 7_245_004
"""Mixed with the id of a user: whoever adds to what they have takes turns."""

EVENTS: Final = 7_245_005
"""Transactions with events of tasks end one after another, so that ids follow commits; in migration 0004."""

RETENTION: Final = 7_245_006
"""One transaction removes old rows at a time, on whichever server."""

SECRETS: Final = 3
"""Mixed with the id of an owner: changes to their secrets take turns."""
