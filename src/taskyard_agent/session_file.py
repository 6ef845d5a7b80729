"""What a bridge must remember of its session from one start to the next."""

import asyncio
import os
from enum import StrEnum
from pathlib import Path

import msgspec

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Another text after each start of the machine."""

MAX_PROMPTS = 1_000
"""Prompt ids kept, newest last: a sender repeats one within seconds, not a thousand prompts later."""


class PromptState(StrEnum):
    """TAKEN: may or may not have reached the agent. DONE: its turn has ended. LOST: nobody can tell any more."""

    TAKEN = "taken"
    DONE = "done"
    LOST = "lost"


class Session(msgspec.Struct, frozen=True):
    """What a restart needs. Change it with msgspec.structs.replace. Source: N15.

    acp_session_id, native_session_id null: none was opened yet, none whose id we know; the latter is for
    a program with a screen. initial_prompt null: there is none. acp_first_turn, native_first_turn: the
    first turn that each of them knows of. mark: what the program's environment has, null for nothing.
    """

    agent: str = ""
    argv: list[str] = []
    cwd: str = ""
    transport: str = "acp"
    acp_session_id: str | None = None
    acp_first_turn: int = 1
    protocol_version: int | None = None
    last_turn: int = 0
    initial_prompt: str | None = None
    native_session_id: str | None = None
    native_first_turn: int = 1
    mark: str | None = None


class _Stored(msgspec.Struct):
    session: Session = Session()
    prompts: dict[str, PromptState] = {}  # in the order in which they were taken
    boot: str = ""  # of the machine, when this was written


class SessionFile:
    """session.json: replaced as a whole, and on stable storage before a call returns.

    damaged: an unreadable file was set aside under the same name plus `.damaged`; this is a new one.
    same_boot: the machine has been up ever since the last run, so that the kernel has lost nothing of what it wrote.
    """

    def __init__(self, path: Path) -> None:
        """Reads the file; without one, everything is empty. Raises OSError."""
        self.damaged = False
        self._path = path
        self._lock = asyncio.Lock()
        self._writing: asyncio.Future[None] | None = None
        self._stored = self._load()
        self._boot = _boot_id()
        self.same_boot = self._boot != "" and self._stored.boot == self._boot

    def _load(self) -> _Stored:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Stored)
        except FileNotFoundError:
            return _Stored()
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._path.replace(f"{self._path}.damaged")
            self.damaged = True
            return _Stored()

    @property
    def session(self) -> Session:
        """What was stored last."""
        return self._stored.session

    async def save(self, session: Session) -> None:
        """Stores the session. Raises OSError, and then the old one is still there."""
        async with self._lock:
            await self._store(_Stored(session, self._stored.prompts, self._boot))

    async def prompt_taken(self, prompt_id: str) -> bool:
        """Whether this prompt is new, and now stored as taken. Call it before the agent gets it.

        False: it was taken before, and must not be sent again. Source: N18.
        """
        async with self._lock:
            if prompt_id in self._stored.prompts:
                return False
            prompts = self._stored.prompts | {prompt_id: PromptState.TAKEN}
            for old in list(prompts)[:-MAX_PROMPTS]:
                del prompts[old]
            await self._store(_Stored(self._stored.session, prompts, self._boot))
            return True

    async def prompt_done(self, prompt_id: str) -> None:
        """Stores that the turn of a prompt has ended; one that was forgotten stays so."""
        async with self._lock:
            if self._stored.prompts.get(prompt_id) is PromptState.TAKEN:
                prompts = self._stored.prompts | {prompt_id: PromptState.DONE}
                await self._store(_Stored(self._stored.session, prompts, self._boot))

    async def prompt_lost(self, prompt_id: str) -> None:
        """Stores that nobody can tell whether the agent got a prompt; it is not to be sent again."""
        async with self._lock:
            if prompt_id in self._stored.prompts:
                prompts = self._stored.prompts | {prompt_id: PromptState.LOST}
                await self._store(_Stored(self._stored.session, prompts, self._boot))

    async def prompt_dropped(self, prompt_id: str) -> None:
        """Forgets a prompt that the agent has certainly not got: it may be sent again.

        Raises OSError where the file cannot be written; until the next start it is forgotten even then.
        """
        async with self._lock:
            if prompt_id in self._stored.prompts:
                prompts = {k: v for k, v in self._stored.prompts.items() if k != prompt_id}
                stored = _Stored(self._stored.session, prompts, self._boot)
                try:
                    await self._store(stored)
                except OSError:
                    self._stored = (
                        stored  # else the same prompt, sent again, would count as held already
                    )
                    raise

    def prompt_state(self, prompt_id: str) -> PromptState | None:
        """What is known of a prompt; None: never taken, or not among the newest MAX_PROMPTS."""
        return self._stored.prompts.get(prompt_id)

    def unfinished(self) -> list[str]:
        """Prompts taken and not done, oldest first: after a crash, those to report, not to repeat."""
        return [name for name, state in self._stored.prompts.items() if state is PromptState.TAKEN]

    async def _store(self, stored: _Stored) -> None:
        """Replaces the file, in a thread; what a cancelled call began is finished all the same."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(None, replace_file, self._path, msgspec.json.encode(stored))
        self._writing = writing

        def keep(done: asyncio.Future[None]) -> None:
            self._writing = None
            if not done.cancelled() and done.exception() is None:
                self._stored = stored

        writing.add_done_callback(keep)
        await asyncio.wait([writing])
        writing.result()


def _boot_id() -> str:
    """Which start of the machine this is; empty where nobody tells."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def replace_file(path: Path, content: bytes) -> None:
    """The file has that content, on stable storage; after a crash it has the old one or the new one."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """The names in a folder are on stable storage afterwards. Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
