"""The JSON objects of `/v2`: what is encoded here is what `/v2/openapi.json` describes. Source: agentapi 10."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from taskyard_agent.bridge.options import Limits
from taskyard_agent.bridge.prompts import State, When
from taskyard_agent.bridge.record import SessionState
from taskyard_agent.bridge.session import OpenPermission, Outcome, Transport

PROMPT_ID_CHARS = 128
"""Characters of the longest prompt id: a thousand of them are kept, and a UUID has 36."""

SUMMARY_CHARS = 160
"""Characters of the longest summary of a report: what fits on a line of a list of tasks."""

LINK_CHARS = 2_000
"""Characters of the longest link of a report: what browsers and proxies take."""

EVENT_CHARS = 64
ERROR_CHARS = 2_000
"""Characters of the longest name of an event, and of what is told of a failure."""

NAMED_KEYS = 1_000
"""Names of keys in one request: nobody types more at once."""

MAX_COLS = 1_000
MAX_ROWS = 5_000
"""Largest terminal: its grid is held in memory, and 1,000 rows are usual. Source: A15."""

Time = Annotated[datetime, Meta(tz=True)]
Seq = Annotated[int, Meta(description="Number of an item, which rises by one.")]


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A closed object: it has no other keys than these."""


class AgentShape(Shape, frozen=True):
    """The coding agent's program. pid is null while none runs, or when nobody knows it."""

    type: str
    name: str | None
    version: str | None
    pid: int | None


class AcpShape(Shape, frozen=True):
    """What was agreed with a coding agent over ACP; null is what it did not say."""

    protocol: int | None
    session_id: str | None
    capabilities: object
    modes: object
    mode: str | None


class TerminalShape(Shape, frozen=True):
    """The size of a terminal in characters."""

    cols: int
    rows: int


class TurnShape(Shape, frozen=True):
    """The turn that runs."""

    id: int
    started: Time
    prompt_id: str | None


class LimitsShape(Shape, frozen=True):
    """How much the bridge takes, in bytes and counts."""

    body_bytes: int
    v2_body_bytes: int
    upload_bytes: int
    uploads_bytes: int
    streams: int
    queued_prompts: int
    tool_bytes: int
    transcript_bytes: int

    @classmethod
    def of(cls, limits: Limits) -> "LimitsShape":
        """The limits as they are set."""
        return cls(**asdict(limits))


class SessionResponse(Shape, frozen=True):
    """The session as it is. acp is null with a terminal, terminal over ACP, turn between turns, plan before there is one."""

    state: SessionState
    since: Time
    transport: Transport
    agent: AgentShape
    acp: AcpShape | None
    terminal: TerminalShape | None
    turn: TurnShape | None
    plan: object
    usage: object
    title: str | None
    last_seq: Seq
    queue_length: int
    limits: LimitsShape


class ItemShape(Shape, frozen=True):
    """One item of the transcript; what `data` holds depends on its kind."""

    seq: Seq
    time: Time
    turn: int
    kind: str
    data: dict[str, object]


class TranscriptResponse(Shape, frozen=True):
    """Items in order. When there are any, there may be more after the last one."""

    items: list[ItemShape]
    last_seq: Seq
    first_seq: Annotated[int, Meta(description="Number of the oldest item that is kept.")]


class Gap(Shape, frozen=True):
    """Data of the event `gap`: items after `after` are not here, reading goes on with first_seq."""

    after: Seq
    first_seq: Seq


class PromptRequest(Shape, frozen=True):
    """A prompt, as text or as content blocks of ACP. Without an id it gets one."""

    id: Annotated[str, Meta(min_length=1, max_length=PROMPT_ID_CHARS)] | None = None
    text: str | None = None
    blocks: list[dict[str, object]] | None = None
    when: Annotated[
        When, Meta(description="What to do while the coding agent works on something else.")
    ] = "reject"
    timeout: (
        Annotated[float, Meta(gt=0, description="Seconds after which it is not sent any more.")]
        | None
    ) = None


class PromptResponse(Shape, frozen=True):
    """The prompt was taken."""

    id: str
    seq: Annotated[int, Meta(description="All that comes of it has higher numbers.")]
    position: Annotated[int, Meta(description="Its place in the queue; 0: the agent has it.")]


class PromptShape(Shape, frozen=True):
    """What became of a prompt. reason: how its turn ended; code and error: why it failed."""

    id: str
    state: State
    position: int | None
    seq: int | None
    reason: str | None
    code: str | None
    error: str | None


class PermissionsResponse(Shape, frozen=True):
    """Requests for permission that wait, oldest first."""

    permissions: list[OpenPermission]


class PermissionAnswer(Shape, frozen=True):
    """One of the offered options, or the outcome cancelled."""

    option_id: str | None = None
    outcome: Literal["selected", "cancelled"] | None = None


class InputRequest(Shape, frozen=True):
    """What to type: characters as they are, or names of keys such as Enter, Up and C-c."""

    data: str | None = None
    keys: Annotated[list[str], Meta(max_length=NAMED_KEYS)] | None = None


class ResizeRequest(Shape, frozen=True):
    """A size in characters."""

    cols: Annotated[int, Meta(ge=10, le=MAX_COLS)]
    rows: Annotated[int, Meta(ge=10, le=MAX_ROWS)]


class ReportRequest(Shape, frozen=True):
    """What the coding agent says of its own work."""

    summary: Annotated[str, Meta(min_length=1, max_length=SUMMARY_CHARS)]
    outcome: Outcome
    link: Annotated[str, Meta(max_length=LINK_CHARS)] | None = None


class HookRequest(Shape, frozen=True):
    """An event of the coding agent's own. error: why its turn failed, null when it did not."""

    event: Annotated[str, Meta(min_length=1, max_length=EVENT_CHARS)]
    error: Annotated[str, Meta(max_length=ERROR_CHARS)] | None = None


class CheckpointResponse(Shape, frozen=True):
    """All items up to last_seq are on stable storage."""

    last_seq: Seq


class Done(Shape, frozen=True):
    """It was done."""

    ok: Literal[True] = True
