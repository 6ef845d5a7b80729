"""A program in the venv of a foreign client, asked and answering one line of JSON at a time."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clients.strict import Json
from tests.clients.venvs import python_with

PROGRAMS = Path(__file__).with_name("programs")

END_S = 30.0
"""Seconds a program may take to end once nobody asks any more."""


class Foreign:
    """The running program."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, **question: Json) -> Json:
        """The answer to one question."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self.read()

    def read(self) -> Json:
        """The next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the program ended with status {self._process.wait(END_S)}"
        return json.loads(line)


@contextmanager
def running(client: str, program: str, folder: Path, **environment: str) -> Iterator[Foreign]:
    """A program of ours in a foreign client's venv; the folder holds nothing but what it leaves there."""
    argv = [str(python_with(client)), "-I", str(PROGRAMS / program)]
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, **environment, "HOME": str(folder)},
    ) as process:
        try:
            yield Foreign(process)
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(END_S) == 0
        finally:
            process.kill()
