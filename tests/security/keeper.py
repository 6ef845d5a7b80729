"""A sandbox driver in a process of its own, for an account of its own. Its one argument is the folder of a yard.

Each request and each answer is a pickle behind its length. Both sides are ours and of one clone.
"""

import asyncio
import os
import pickle
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskyard.drivers.sandbox.driver import SandboxDriver
from taskyard.wire.enums import LogLevel

LENGTH = struct.Struct(">I")
AGENT = ("/opt/template/program",)
"""What runs in each workspace: a file of its template."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A verb of the driver, or a property's name."""

    verb: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it: a value, or the class and words of an error; and the lines for the build log."""

    value: Any
    error: str
    words: str
    log: list[tuple[LogLevel, str]]


def packed(thing: object) -> bytes:
    """A message as it goes through the pipe."""
    body = pickle.dumps(thing)
    return LENGTH.pack(len(body)) + body


async def serve(driver: SandboxDriver, reader: asyncio.StreamReader) -> None:
    """Returns when nobody asks any more."""
    while head := await reader.read(LENGTH.size):
        asked = pickle.loads(await reader.readexactly(*LENGTH.unpack(head)))
        os.write(sys.stdout.fileno(), packed(await answered(driver, asked)))


async def answered(driver: SandboxDriver, asked: Asked) -> Answer:
    """What the driver says."""
    log: list[tuple[LogLevel, str]] = []
    found = getattr(driver, asked.verb)
    arguments = asked.arguments
    if asked.verb == "ensure":
        arguments += (lambda level, line: log.append((level, line)),)
    try:
        value = await found(*arguments, **asked.options) if callable(found) else found
    except Exception as error:  # noqa: BLE001 - told to the other side
        return Answer(None, type(error).__name__, str(error), log)
    return Answer(value, "", "", log)


async def main(folder: Path) -> None:
    """Serves stdin until its end."""
    link = folder / "data" / "run" / "link"
    driver = SandboxDriver(
        folder / "data" / "workspaces", link, allow_unconfined=False, agent_argv=AGENT
    )
    reader = asyncio.StreamReader(limit=2**28)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await serve(driver, reader)


def begin() -> None:
    """The whole program."""
    asyncio.run(main(Path(sys.argv[1])))
