"""Whether a state file and the transcript beside it are the same conversation. Source: A43, N15.

The transcript may know more: a bridge that was killed did not write the state file any more.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from taskyard_agent.bridge.messages import AGENT, USER, Conversation, Message
from taskyard_agent.bridge.recover import PAGE_ITEMS
from taskyard_agent.journal import Journal
from taskyard_agent.protocol import Item, ItemKind
from taskyard_agent.standalone.state_file import State

NOTE = "state-file"
"""In the folder of a transcript: the digest of the state file that it was written to, or came from."""

Said = tuple[ItemKind, int, dict[str, object], datetime]
"""An item without a number: kind, turn, data, time."""


def said(state: State) -> Iterator[Said]:
    """The items of a transcript that begins with this conversation."""
    turn = 0
    for place, message in enumerate(state.messages, 1):
        if message.role == USER:
            turn += 1
            data: dict[str, object] = {"prompt_id": None, "text": message.message}
            yield ItemKind.USER_MESSAGE, turn, data, message.time
        else:
            data = {"message_id": place, "text": message.message}
            yield ItemKind.AGENT_MESSAGE, turn, data, message.time
    if turn:
        end: dict[str, object] = {"reason": "end_turn", "error": None}
        yield ItemKind.TURN_END, turn, end, state.messages[-1].time


def note(folder: Path, file: Path) -> None:
    """The transcript in the folder and the file are the same conversation by now. Raises OSError."""
    (folder / NOTE).write_text(_digest(file))


def agrees(folder: Path, journal: Journal, file: Path, state: State | None) -> bool:
    """Whether the transcript is what the state file says, or its continuation. state null: there is no file.

    A file that was there and is gone does not agree with anything; one that was never written does.
    Raises OSError.
    """
    try:
        noted = (folder / NOTE).read_text()
    except FileNotFoundError:
        noted = None
    if state is None:
        return noted is None
    return noted == _digest(file) or _goes_on(_theirs(state), _ours(journal))


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _theirs(state: State) -> list[Message]:
    """The messages as they become in a transcript; their ids go on from the first one's."""
    conversation = Conversation()
    for seq, (kind, turn, data, time) in enumerate(said(state), 1):
        raw = msgspec.Raw(msgspec.json.encode(data))
        conversation.apply(Item(seq, time, turn, kind, raw))
    first = state.messages[0].id if state.messages else 0
    for message in conversation.messages:
        message.id += first
    return conversation.messages


def _ours(journal: Journal) -> dict[int, Message]:
    """The messages by their ids; the oldest may be gone."""
    conversation = Conversation()
    after = 0
    while items := journal.read(after, PAGE_ITEMS):
        for item in items:
            conversation.apply(item)
        after = items[-1].seq
    return {message.id: message for message in conversation.messages}


def _goes_on(theirs: Sequence[Message], ours: dict[int, Message]) -> bool:
    """Whether ours begins with theirs, as far as it still knows that; an answer may have grown since."""
    if not theirs or not ours:
        return not theirs
    *before, last = theirs
    mine = ours.get(last.id)
    if mine is None or mine.role != last.role:
        return False
    grown = last.role == AGENT and (bool(before) or mine.content.startswith(last.content))
    same = [_same(message, ours.get(message.id)) for message in before]
    return all(same) and (grown or mine.content == last.content)


def _same(theirs: Message, ours: Message | None) -> bool:
    """Whether they say the same; one that is gone from ours says nothing against it."""
    return ours is None or (theirs.role, theirs.content) == (ours.role, ours.content)
