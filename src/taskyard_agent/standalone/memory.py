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

from taskyard_agent.bridge.messages import AGENT, USER
from taskyard_agent.bridge.record import Record
from taskyard_agent.journal import Journal, SessionFile
from taskyard_agent.protocol import ItemKind
from taskyard_agent.standalone.command_line import BridgeCommand
from taskyard_agent.standalone.state_file import VERSION, State, StateMessage, save

BESIDE = ".d"
"""Behind the state file's name: the folder of its transcript."""

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
        _put_aside(folder)
    yield folder


def _put_aside(folder: Path) -> None:
    files = [path for path in folder.iterdir() if path.is_file()]
    if not files:
        return
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    aside = folder / f"{ASIDE}-{stamp}"
    aside.mkdir(mode=0o700)
    for path in files:
        path.rename(aside / path.name)


def take_over(state: State, journal: Journal) -> None:
    """The conversation of a state file becomes the beginning of a new transcript. Source: A43."""
    turn = 0
    for place, message in enumerate(state.messages, 1):
        if message.role == USER:
            turn += 1
            data: dict[str, object] = {"prompt_id": None, "text": message.message}
            journal.append(ItemKind.USER_MESSAGE, turn, data, message.time)
        else:
            data = {"message_id": place, "text": message.message}
            journal.append(ItemKind.AGENT_MESSAGE, turn, data, message.time)
    if turn:
        end = {"reason": "end_turn", "error": None}
        journal.append(ItemKind.TURN_END, turn, end, state.messages[-1].time)


async def remember_prompt(state: State, file: SessionFile) -> None:
    """A first prompt that was sent is not sent again. Source: A44."""
    if state.initial_prompt_sent and file.session.initial_prompt is None:
        sent = msgspec.structs.replace(file.session, initial_prompt=state.initial_prompt)
        await file.save(sent)


class StateKeeper:
    """Writes the state file, when there is one and anything changed. Source: A42, A48."""

    def __init__(self, path: Path | None, initial_prompt: str) -> None:
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
            self._saved = state

    def _state(self, record: Record, file: SessionFile) -> State:
        sent = file.session.initial_prompt
        messages = [
            StateMessage(m.id, m.content, AGENT if m.role == AGENT else USER, m.time)
            for m in record.conversation.messages
        ]
        return State(VERSION, messages, sent or self._initial_prompt, sent is not None)
