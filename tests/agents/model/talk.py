"""A request to a model and its answer, whichever API they came by."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec


class Schema(msgspec.Struct, frozen=True):
    """What a tool wants to be given, as far as it matters here."""

    properties: dict[str, msgspec.Raw] = {}
    required: list[str] = []


class Property(msgspec.Struct, frozen=True):
    """One argument of a tool."""

    type: str | list[str] = "string"
    enum: list[object] = []


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool that the program offers; namespace: the word that has to be given back with a call."""

    name: str
    schema: Schema
    namespace: str | None = None

    def property(self, name: str) -> Property:
        """An argument; one of text where the schema says something that is not looked at here."""
        try:
            return msgspec.json.decode(self.schema.properties.get(name, b"{}"), type=Property)
        except msgspec.DecodeError:
            return Property()


class Part(StrEnum):
    """What a piece of the conversation is."""

    HUMAN = "human"
    ANSWER = "answer"
    CALL = "call"
    RESULT = "result"


@dataclass(frozen=True, slots=True)
class Said:
    """One piece; the text of answers and calls is left away."""

    part: Part
    text: str = ""


@dataclass(frozen=True, slots=True)
class Talk:
    """A request: the conversation so far, oldest first, and the tools of the program."""

    model: str
    stream: bool
    said: Sequence[Said]
    tools: Sequence[Offered]

    @property
    def prompt(self) -> str:
        """The newest words of a person."""
        return next((one.text for one in reversed(self.said) if one.part is Part.HUMAN), "")

    @property
    def conversation(self) -> str:
        """All that persons have said."""
        return "\n".join(one.text for one in self.said if one.part is Part.HUMAN)

    @property
    def calls(self) -> int:
        """How many calls there were since."""
        newest = max((n for n, one in enumerate(self.said) if one.part is Part.HUMAN), default=-1)
        return sum(one.part is Part.CALL for one in self.said[newest + 1 :])

    @property
    def results(self) -> list[str]:
        """What all calls gave, oldest first."""
        return [one.text for one in self.said if one.part is Part.RESULT]


@dataclass(frozen=True, slots=True)
class Use:
    """A call as the API names it."""

    tool: Offered
    arguments: dict[str, object]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: words, then a call."""

    text: str
    use: Use | None

    def pieces(self) -> list[str]:
        """The words one by one, each with the blank before it."""
        first, *others = self.text.split(" ")
        return [first, *(f" {word}" for word in others)] if self.text else []


def number(prefix: str) -> str:
    """An id of ours that nothing else has."""
    return f"{prefix}_{secrets.token_hex(12)}"


def event(data: object, name: str | None = None) -> bytes:
    """A server-sent event."""
    head = b"" if name is None else f"event: {name}\n".encode()
    return head + b"data: " + msgspec.json.encode(data) + b"\n\n"
