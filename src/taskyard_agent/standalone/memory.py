"""What a bridge alone remembers from one run to the next: its folder, and the state file of AgentAPI.

The transcript in the folder is the whole truth and is written as things happen. The state file is the
form in which other programs of this kind give a conversation away, and take one over. Source: N15.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from taskyard_agent.bridge.bridge import open_journal
from taskyard_agent.bridge.messages import AGENT, USER
from taskyard_agent.bridge.record import Record
from taskyard_agent.journal import TRANSCRIPT_BYTES, Journal, SessionFile
from taskyard_agent.standalone.agreement import agrees, note, said
from taskyard_agent.standalone.command_line import BridgeCommand
from taskyard_agent.standalone.state_file import VERSION, State, StateMessage, save

BESIDE = ".d"
"""Behind the state file's name: the folder of its transcript."""

TRANSCRIPT = "transcript.jsonl"
"""In the folder."""

ASIDE = "before"
"""First part of the name of a folder whose conversation is not to be gone on with."""


@contextlib.contextmanager
def folder_of(command: BridgeCommand) -> Iterator[Path]:
    """The folder meanwhile; one that nobody named is gone afterwards. Raises OSError.

    What lies in it from a conversation that is not to be loaded is put aside, never deleted.
    """
    folder = command.path("state-dir")
    if folder is None and command.state_file is not None:
        folder = command.state_file.with_name(command.state_file.name + BESIDE)
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="taskyard-bridge-") as name:
            yield Path(name)
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if command.state_file is not None and not command.loads_state:
        put_aside(folder)
    yield folder


def put_aside(folder: Path) -> None:
    """Nothing is in the folder but folders, each with a conversation from before. Raises OSError."""
    files = [path for path in folder.iterdir() if path.is_file()]
    if not files:
        return
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    aside = folder / f"{ASIDE}-{stamp}"
    aside.mkdir(mode=0o700)
    for path in files:
        path.rename(aside / path.name)


async def part(folder: Path, file: Path, state: State | None, *, unreadable: bool) -> None:
    """The folder's transcript, if it has one, is the conversation of the file; another one is put aside.

    state null: there is no file, or an unreadable one. Raises JournalBusy, OSError. Source: A43.
    """
    transcript = folder / TRANSCRIPT
    if transcript.exists():
        journal = await open_journal(
            transcript, TRANSCRIPT_BYTES
        )  # nobody else writes it meanwhile
        try:
            if unreadable or not agrees(folder, journal, file, state):
                put_aside(folder)
        finally:
            await journal.close()
    if state is not None:
        note(folder, file)


def take_over(state: State, journal: Journal) -> None:
    """The conversation of a state file becomes the beginning of a new transcript. Source: A43."""
    for item in said(state):
        journal.append(*item)


async def remember_prompt(state: State, file: SessionFile) -> None:
    """A first prompt that was sent is not sent again. Source: A44."""
    if state.initial_prompt_sent and file.session.initial_prompt is None:
        sent = msgspec.structs.replace(file.session, initial_prompt=state.initial_prompt)
        await file.save(sent)


class StateKeeper:
    """Writes the state file, when there is one and anything changed. Source: A42, A48."""

    def __init__(self, folder: Path, path: Path | None, initial_prompt: str) -> None:
        """folder: of the transcript. path: null for no file."""
        self._folder = folder
        self._path = path
        self._initial_prompt = initial_prompt
        self._saved: State | None = None

    def save(self, record: Record, file: SessionFile) -> None:
        """The state is on stable storage. Raises OSError."""
        if self._path is None:
            return
        state = self._state(record, file)
        if state != self._saved:
            save(self._path, state)
            note(self._folder, self._path)
            self._saved = state

    def _state(self, record: Record, file: SessionFile) -> State:
        sent = file.session.initial_prompt
        messages = [
            StateMessage(m.id, m.content, AGENT if m.role == AGENT else USER, m.time)
            for m in record.conversation.messages
        ]
        return State(VERSION, messages, sent or self._initial_prompt, sent is not None)
