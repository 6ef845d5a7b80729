"""The JSON objects of AgentAPI: what is encoded here is what the OpenAPI document describes. Source: agentapi 1.1."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from taskyard_agent.bridge.messages import Role
from taskyard_agent.bridge.record import Level, Status

MessageType = Literal["user", "raw"]

Url = Annotated[
    str, Meta(description="Where this object's schema is.", extra_json_schema={"format": "uri"})
]
Int64 = Annotated[int, Meta(extra_json_schema={"format": "int64"})]
Time = Annotated[datetime, Meta(tz=True)]
Yes = Annotated[bool, Meta(extra_json_schema={"enum": [True]})]
AgentType = Annotated[str, Meta(description="The type of the coding agent.")]
FreeOrBusy = Annotated[
    Status, Meta(description="running: it works or is not ready; stable: it takes a message.")
]
Number = Annotated[Int64, Meta(description="Rises from message to message.")]
SpokenAt = Annotated[
    Time, Meta(description="When sending began, or when the coding agent last changed it.")
]


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A closed object: it has no other keys than these."""


class StatusResponse(Shape, frozen=True):
    """Whether the coding agent takes a message."""

    schema: Url = msgspec.field(name="$schema")
    status: FreeOrBusy
    agent_type: AgentType
    transport: Literal["pty", "acp"]


class Message(Shape, frozen=True):
    """One message of the conversation."""

    id: Number
    content: str
    role: Role
    time: SpokenAt


class MessagesResponse(Shape, frozen=True):
    """The whole conversation, oldest message first."""

    schema: Url = msgspec.field(name="$schema")
    messages: list[Message]


class MessageRequest(Shape, frozen=True):
    """A message for the coding agent, or keys for its terminal."""

    content: str
    type: MessageType
    schema: Annotated[str, Meta(description="Not looked at.")] | UnsetType = msgspec.field(
        name="$schema", default=UNSET
    )


class MessageResponse(Shape, frozen=True):
    """The message was taken."""

    schema: Url = msgspec.field(name="$schema")
    ok: Yes


class UploadResponse(Shape, frozen=True):
    """The file was stored."""

    schema: Url = msgspec.field(name="$schema")
    ok: Yes
    file_path: Annotated[str, Meta(description="Its absolute path in the workspace.")] = (
        msgspec.field(name="filePath")
    )


class ErrorDetail(Shape, frozen=True):
    """One thing that is wrong with a request."""

    message: str
    location: Annotated[str, Meta(description="Such as body.type.")] | UnsetType = UNSET
    value: Annotated[object, Meta(extra_json_schema={"description": "What was found there."})] = (
        None
    )


class ErrorModel(Shape, frozen=True):
    """Why a request was refused. The header X-Agentapi-Code says it in one word."""

    schema: Url = msgspec.field(name="$schema")
    title: Annotated[str, Meta(description="The status in words.")]
    status: Int64
    detail: str
    errors: list[ErrorDetail] | UnsetType = UNSET


class V2Problem(Shape, frozen=True):
    """Why a request below `/v2` was refused."""

    title: Annotated[str, Meta(description="The status in words.")]
    status: Int64
    code: Annotated[str, Meta(description="The reason in one word, which does not change.")]
    detail: str
    errors: list[ErrorDetail] | UnsetType = UNSET


class MessageUpdate(Shape, frozen=True):
    """A message that is new, or has another text now."""

    id: Number
    role: Role
    message: str
    time: SpokenAt


class StatusChange(Shape, frozen=True):
    """The status is another one now."""

    status: FreeOrBusy
    agent_type: AgentType


class AgentError(Shape, frozen=True):
    """Something went wrong that the people who read the conversation should know."""

    message: str
    level: Level
    time: Time


class ScreenUpdate(Shape, frozen=True):
    """The screen; with a coding agent that has none, its answer so far."""

    screen: str
