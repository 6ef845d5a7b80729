"""What is known of a session and its prompts, made from transcript items alone. Source: agentapi 10."""

from datetime import datetime

import msgspec

from taskyard_agent.protocol import Item, ItemKind

MAX_PROMPTS = 1_000
"""Prompts whose fate is known, newest ones; as many ids are kept to recognise repeated ones."""

CANCELLED = "cancelled"
"""How a turn ended that somebody interrupted: a stop reason of ACP."""


class PromptFate(msgspec.Struct):
    """A prompt that the coding agent got. seq: of its message. reason null: its turn still runs.

    error null: it did not end in one.
    """

    seq: int
    turn: int
    sent_at: datetime
    reason: str | None = None
    error: str | None = None


class Turn(msgspec.Struct, frozen=True):
    """The turn that runs. prompt_id null: its prompt had none."""

    id: int
    started: datetime
    prompt_id: str | None


class Overview:
    """The newest of everything that `/v2/session` shows; information of many items is merged."""

    def __init__(self) -> None:
        self.turn: Turn | None = None
        self.info: dict[str, msgspec.Raw] = {}
        self.plan: msgspec.Raw | None = None
        self.usage: dict[str, msgspec.Raw] = {}
        self.prompts: dict[str, PromptFate] = {}

    def apply(self, item: Item) -> None:
        """Learns from an item; the order must be that of their numbers."""
        match item.kind:
            case ItemKind.USER_MESSAGE:
                self._begin(item, msgspec.json.decode(item.data, type=_Prompt).prompt_id)
            case ItemKind.TURN_END:
                self._end(msgspec.json.decode(item.data, type=_End))
            case ItemKind.SESSION_INFO:
                self.info |= _fields(item.data)
            case ItemKind.USAGE:
                self.usage |= _fields(item.data)
            case ItemKind.PLAN:
                self.plan = item.data.copy()
            case ItemKind.AGENT_EXIT:
                self.info.pop("pid", None)
            case _:
                pass

    def _begin(self, item: Item, prompt_id: str | None) -> None:
        self.turn = Turn(item.turn, item.time, prompt_id)
        if prompt_id is not None:
            self.prompts[prompt_id] = PromptFate(item.seq, item.turn, item.time)
            for old in list(self.prompts)[:-MAX_PROMPTS]:
                del self.prompts[old]

    def _end(self, end: "_End") -> None:
        turn, self.turn = self.turn, None
        fate = self.prompts.get(turn.prompt_id) if turn and turn.prompt_id is not None else None
        if fate is not None:
            fate.reason, fate.error = end.reason, end.error


class _Prompt(msgspec.Struct):
    prompt_id: str | None = None


class _End(msgspec.Struct):
    reason: str = ""
    error: str | None = None


def _fields(data: msgspec.Raw) -> dict[str, msgspec.Raw]:
    """The fields of an object, each in memory of its own."""
    try:
        found = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return {}
    return {name: value.copy() for name, value in found.items()}
