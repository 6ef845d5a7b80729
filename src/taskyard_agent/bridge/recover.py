"""What the last run of a bridge left on disk: the conversation, and a turn that was cut off."""

import msgspec

from taskyard_agent.bridge.record import Record
from taskyard_agent.bridge.tools import OVER, ToolState
from taskyard_agent.journal import SessionFile
from taskyard_agent.protocol import Item, ItemKind

INTERRUPTED = "interrupted"
"""How a turn ends that a stop or a crash cut off."""

PAGE_ITEMS = 1_000
"""Items looked at between two chances for others to run."""


class _Prompt(msgspec.Struct):
    prompt_id: str | None = None


class _Text(msgspec.Struct):
    text: str = ""
    message_id: int = 0
    keep: int | None = None


class _End(msgspec.Struct):
    reason: str = ""


class _Asked(msgspec.Struct):
    id: str = ""


class _CutOff:
    """What is open at the end of the items seen so far."""

    def __init__(self) -> None:
        self.turn = 0
        self.in_turn = False
        self.interrupted = False
        self.prompts: set[str] = set()
        self.tools: dict[str, ToolState] = {}
        self.segment: tuple[int, list[str]] | None = None
        self.asked: dict[str, None] = {}

    def see(self, item: Item) -> None:
        self.turn = max(self.turn, item.turn)
        match item.kind:
            case ItemKind.USER_MESSAGE:
                self.in_turn = True
                self.tools.clear()
                prompt_id = msgspec.json.decode(item.data, type=_Prompt).prompt_id
                if prompt_id is not None:
                    self.prompts.add(prompt_id)
            case ItemKind.TURN_END:
                self.in_turn = False
                self.interrupted = msgspec.json.decode(item.data, type=_End).reason == INTERRUPTED
                self.tools.clear()
                self.asked.clear()
            case ItemKind.PERMISSION_REQUEST | ItemKind.PERMISSION_RESPONSE:
                self._see_permission(item)
            case ItemKind.TOOL_CALL:
                self.segment = None
                state = msgspec.json.decode(item.data, type=ToolState)
                self.tools[state.tool_call_id] = state
            case ItemKind.AGENT_TEXT:
                piece = msgspec.json.decode(item.data, type=_Text)
                if self.segment is None or self.segment[0] != piece.message_id:
                    self.segment = (piece.message_id, [])
                if piece.keep is not None:
                    self.segment[1][:] = ["".join(self.segment[1])[: piece.keep]]
                self.segment[1].append(piece.text)
            case ItemKind.AGENT_MESSAGE:
                self.segment = None
            case _:
                pass

    def _see_permission(self, item: Item) -> None:
        request_id = msgspec.json.decode(item.data, type=_Asked).id
        if item.kind is ItemKind.PERMISSION_REQUEST:
            self.asked[request_id] = None
        else:
            self.asked.pop(request_id, None)


class Rebuilt(msgspec.Struct, frozen=True):
    """What was on disk: the prompt ids of all messages, and whether the last turn was cut off.

    A stop in order cuts one off as well as a crash does. Source: N19.
    """

    prompts: set[str]
    cut_off: bool


def rebuild(record: Record) -> Rebuilt:
    """What was on disk; the record shows the conversation, and no turn is open.

    A turn that was cut off is closed as interrupted, with its tool calls. Source: N15, N19.
    """
    cut_off = _CutOff()
    after = 0
    while items := record.journal.read(after, PAGE_ITEMS):
        for item in items:
            cut_off.see(item)
            record.learn(item)
        after = items[-1].seq
    record.turn = cut_off.turn
    if record.journal.dropped_bytes:
        reason = "The end of the transcript was damaged, most likely by a power cut."
        data = {"reason": reason, "bytes": record.journal.dropped_bytes}
        record.put(ItemKind.GAP, data)
    if cut_off.in_turn:
        _close(record, cut_off)
    return Rebuilt(cut_off.prompts, cut_off.in_turn or cut_off.interrupted)


def _close(record: Record, cut_off: _CutOff) -> None:
    if cut_off.segment is not None:
        number, pieces = cut_off.segment
        record.put(ItemKind.AGENT_MESSAGE, {"message_id": number, "text": "".join(pieces)})
    for state in cut_off.tools.values():
        if state.status not in OVER:
            state.status = "failed"
            record.put(ItemKind.TOOL_CALL, state)
    for request_id in cut_off.asked:
        data = {"id": request_id, "option_id": None, "outcome": "cancelled", "by": "cancel"}
        record.put(ItemKind.PERMISSION_RESPONSE, data | {"name": None})
    record.put(ItemKind.TURN_END, {"reason": INTERRUPTED, "error": None})


async def settle_prompts(record: Record, file: SessionFile, on_disk: set[str]) -> None:
    """No prompt is unfinished any more. Source: N18.

    One that never reached the transcript is free to be sent again where it is certain that the coding agent did
    not get it; else it is lost, and reported.
    """
    for prompt_id in file.unfinished():
        if prompt_id in on_disk:
            await file.prompt_done(prompt_id)
        elif _certainly_unsent(record, file):
            await file.prompt_dropped(prompt_id)
        else:
            record.fault(
                f"The prompt {prompt_id} was taken, and lost before the coding agent got it. "
                "Send it again.",
                level="warning",
            )
            await file.prompt_lost(prompt_id)


def _certainly_unsent(record: Record, file: SessionFile) -> bool:
    """Whether a prompt that the transcript does not have was given to nobody.

    Over ACP it is written down before it is sent, into a terminal after it. What was written is there as long as
    the machine stays up and the file is whole.
    """
    is_whole = record.journal.dropped_bytes == 0 and not file.damaged
    return file.session.transport == "acp" and file.same_boot and is_whole


async def note_done(record: Record, file: SessionFile, prompt_id: str) -> None:
    """The prompt's turn has ended, and a restart will know; where it cannot be stored, that is told."""
    try:
        await file.prompt_done(prompt_id)
    except OSError as error:
        record.fault(f"The end of a prompt cannot be stored: {error}", level="warning")
