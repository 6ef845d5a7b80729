"""How text that may change becomes items, and how messages come of those. Source: A28, N5, N34."""

import asyncio
import random
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from taskyard_agent.bridge.messages import Conversation
from taskyard_agent.bridge.record import Record
from taskyard_agent.bridge.recover import rebuild
from taskyard_agent.bridge.terminal_speech import GROWN_S, REDRAWN_S, Speech
from taskyard_agent.bridge.updates import PIECE_CHARS
from taskyard_agent.journal import Journal
from taskyard_agent.protocol import Item, ItemKind
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


def item(kind: ItemKind, seq: int = 1, **data: object) -> Item:
    return Item(seq, NOW, 1, kind, msgspec.Raw(msgspec.json.encode(data)))


class Screen:
    """Text that is read; spoken counts what was stored of it."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "transcript.jsonl")
        self.record = Record(self.journal, lambda: NOW)
        self.text: str | None = ""
        self.spoken = 0
        self.times: list[float] = []
        self.speech = Speech(self.record, lambda: self.text, self.count)

    def count(self) -> None:
        self.spoken += 1
        self.times.append(asyncio.get_running_loop().time())

    @property
    def pieces(self) -> list[dict[str, object]]:
        return [
            msgspec.json.decode(one.data)
            for one in self.journal.read(0, 1000)
            if one.kind is ItemKind.AGENT_TEXT
        ]

    @property
    def message(self) -> str:
        return self.record.conversation.messages[-1].content


def test_A28_a_piece_may_take_the_place_of_what_was_said() -> None:
    """`keep` says how much of its segment stays; earlier segments and messages are never touched."""
    made = Conversation()
    made.apply(item(ItemKind.USER_MESSAGE, text="hello"))
    made.apply(item(ItemKind.AGENT_TEXT, message_id=1, text="first"))
    made.apply(item(ItemKind.AGENT_TEXT, message_id=2, text="one two"))
    made.apply(item(ItemKind.AGENT_TEXT, message_id=2, text="three", keep=4))
    assert made.messages[-1].content == "first\\n\\none three".replace("\\n", "\n")
    made.apply(item(ItemKind.AGENT_TEXT, message_id=2, text="", keep=0))
    made.apply(item(ItemKind.AGENT_TEXT, message_id=2, text="new"))
    assert [message.content for message in made.messages] == ["hello", "first\n\nnew"]


def test_A55_a_tool_call_is_told_by_what_it_does() -> None:
    """A call whose input is still on its way has no line yet; one that names no input has it at once."""
    made = Conversation()
    made.apply(item(ItemKind.USER_MESSAGE, text="hello"))

    def begins(call: str, title: str, given: object) -> bool:
        state = {"status": "pending", "raw_input": given}
        return made.apply(item(ItemKind.TOOL_CALL, 1, tool_call_id=call, title=title, **state))

    assert not begins("t", "Terminal", {})
    assert begins("t", "ls", {"command": "ls"})
    assert begins("u", "Search", None)
    assert made.messages[-1].content == "[Tool: other] ls\n[Tool: other] Search\n"


async def test_A28_items_say_only_what_changed(tmp_path: Path) -> None:
    """A text that grows is stored as its ends; one that is drawn anew from where it differs."""
    shown = Screen(tmp_path)
    shown.speech.begin()
    for text in ("one", "one two", "one three", "one three"):
        shown.text = text
        shown.speech.flush()
    assert [(piece.get("keep"), piece["text"]) for piece in shown.pieces] == [
        (None, ""),
        (None, "one"),
        (None, " two"),
        (5, "hree"),
    ]
    assert (shown.message, shown.spoken) == ("one three", 3)


async def test_A45_text_that_is_frozen_stays(tmp_path: Path) -> None:
    """As long as there is nothing to be read, nothing is stored."""
    shown = Screen(tmp_path)
    shown.text = None
    shown.speech.flush()
    shown.speech.end()
    assert shown.pieces == []


async def test_N5_any_history_of_a_text_comes_back_from_disk(tmp_path: Path) -> None:
    """However a text changed, the messages made of the file are those that were shown."""
    chance = random.Random(7)
    shown = Screen(tmp_path)
    for _ in range(5):
        shown.record.put(ItemKind.USER_MESSAGE, {"prompt_id": None, "text": "go"})
        shown.speech.begin()
        text = ""
        for _ in range(20):
            text = text[: chance.randrange(len(text) + 1)] + chance.choice("ab\n ✓") * 3
            shown.text = text
            shown.speech.flush()
        shown.speech.end()
        assert shown.message == text
    again = Record(shown.journal, lambda: NOW)
    rebuild(again)
    assert [message.content for message in again.conversation.messages] == [
        message.content for message in shown.record.conversation.messages
    ]


async def test_N19_a_text_that_was_cut_off_is_whole_in_the_end(tmp_path: Path) -> None:
    """What a turn without an end had said, changes included, is stored as a whole when it is closed."""
    shown = Screen(tmp_path)
    shown.record.put(ItemKind.USER_MESSAGE, {"prompt_id": None, "text": "go"})
    shown.speech.begin()
    for text in ("one two", "one three"):
        shown.text = text
        shown.speech.flush()
    rebuild(Record(shown.journal, lambda: NOW))
    [whole] = [one for one in shown.journal.read(0, 99) if one.kind is ItemKind.AGENT_MESSAGE]
    assert msgspec.json.decode(whole.data)["text"] == "one three"


async def test_A28_long_texts_are_pieces_that_fit_anywhere(tmp_path: Path) -> None:
    """A text of megabytes is stored in pieces, and read again seldom enough to leave time for the rest."""
    shown = Screen(tmp_path)
    shown.speech.begin()
    shown.text = "x" * (3 * PIECE_CHARS + 1)
    shown.speech.flush()
    assert [len(str(piece["text"])) for piece in shown.pieces] == [0, *[PIECE_CHARS] * 3, 1]
    assert shown.message == shown.text


async def test_N39_changes_are_stored_now_and_then(tmp_path: Path) -> None:
    """The first change is stored at once, further ones after a moment, redrawn ones after a longer one."""
    shown = Screen(tmp_path)
    shown.speech.begin()
    shown.text = "a"
    shown.speech.changed()
    assert shown.spoken == 1
    for text, least in (("ab", GROWN_S), ("xy", GROWN_S), ("xyz", REDRAWN_S)):
        before, shown.text = shown.spoken, text
        shown.speech.changed()
        async with asyncio.timeout(DEADLINE_S):
            while shown.spoken == before:
                shown.speech.changed()
                await asyncio.sleep(0.005)
        assert shown.times[-1] - shown.times[-2] >= least * 0.99
    shown.speech.close()
