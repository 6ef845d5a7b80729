"""The schema for readers."""

from scripts.write_schema import SCHEMA, dumped


async def test_schema_file_is_what_the_migrations_make(database_url: str) -> None:
    """schema.sql shows the tables as they are; `./yard docs` writes it anew."""
    assert dumped(database_url) == SCHEMA.read_text(encoding="utf-8")
