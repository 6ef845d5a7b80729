"""Telling git who signs in, and to one host only: no file, no variable and no argument holds the token."""

import asyncio
import base64
import contextlib
import fcntl
import os
import re
import shlex
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

from taskyard_agent.protocol import GitCredentials
from taskyard_agent.repository import askpass

MASK = "***"
"""What stands in the place of a token in what git says."""

MIN_MASKED_CHARS = 4
"""A token shorter than this is in every sentence by chance; nobody guards anything by such a one."""

_QUESTION = re.compile(r"(Username|Password) for '([^']*)': ?")
_PROGRAM = Path(askpass.__file__)


class Askpass:
    """Answers git's questions while it is entered. env and fds go to git and to what git starts."""

    def __init__(self, url: str, credentials: GitCredentials) -> None:
        parts = urlsplit(url)
        self._place = (parts.scheme, parts.netloc.lower())
        self._credentials = credentials
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)
        self._script = _sealed_script()
        self.fds = (self._theirs.fileno(), self._script)
        self.env = {
            "GIT_ASKPASS": f"/proc/self/fd/{self._script}",
            askpass.FD: str(self._theirs.fileno()),
        }

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._ours, self._on_question)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._ours)
        self._ours.close()
        self._theirs.close()
        os.close(self._script)

    def mask(self, text: str) -> str:
        """The text without the token, in every form in which it may appear."""
        return mask(text, self._credentials)

    def _on_question(self) -> None:
        with contextlib.suppress(OSError):
            question = self._ours.recv(8192).decode(errors="replace")
            self._ours.send(self._answer(question))

    def _answer(self, question: str) -> bytes:
        """What goes back for a question of git's: nothing, unless it is about our address."""
        asked = _QUESTION.fullmatch(question)
        if asked is None:
            return b"-"
        parts = urlsplit(asked[2])
        if (parts.scheme, parts.netloc.rpartition("@")[2].lower()) != self._place:
            return b"-"
        known = self._credentials
        return askpass.YES + (known.username if asked[1] == "Username" else known.token).encode()


@contextlib.contextmanager
def signing_in(url: str, credentials: GitCredentials | None) -> Iterator[Askpass | None]:
    """What answers git's questions, None where nobody signs in."""
    if credentials is None:
        yield None
        return
    with Askpass(url, credentials) as askpass:
        yield askpass


def mask(text: str, credentials: GitCredentials | None) -> str:
    """The text without the token of these credentials, in every form in which it may appear."""
    if credentials is None or len(credentials.token) < MIN_MASKED_CHARS:
        return text
    token, both = credentials.token, f"{credentials.username}:{credentials.token}"
    forms = (base64.b64encode(both.encode()).decode(), quote(token, safe=""), token)
    for form in forms:
        text = text.replace(form, MASK)
    return text


def _sealed_script() -> int:
    """A file that is on no disk and cannot be changed: what git runs to ask. It holds no secret."""
    python, program = shlex.quote(sys.executable), shlex.quote(str(_PROGRAM))
    script = f'#!/bin/sh\nexec {python} -I -S {program} "$1"\n'.encode()
    handle = os.memfd_create("askpass", os.MFD_ALLOW_SEALING)
    os.write(handle, script)
    os.fchmod(handle, 0o500)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(handle, fcntl.F_ADD_SEALS, seals)
    return handle
