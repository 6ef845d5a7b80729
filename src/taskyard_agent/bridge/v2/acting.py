"""What callers may do: prompts, answers, reports, keys. Source: agentapi 10."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from taskyard_agent.bridge.errors import Problem, plain_problem
from taskyard_agent.bridge.prompts import PromptOrder, PromptState
from taskyard_agent.bridge.served import Served
from taskyard_agent.bridge.session import Refused, Report, TerminalLike
from taskyard_agent.bridge.v2.follow import LogFeed
from taskyard_agent.bridge.v2.keys import typed
from taskyard_agent.bridge.v2.reading import invalid, json, number, read
from taskyard_agent.bridge.v2.shapes import (
    Done,
    HookRequest,
    InputRequest,
    PermissionAnswer,
    PermissionsResponse,
    PromptRequest,
    PromptResponse,
    PromptShape,
    ReportRequest,
    ResizeRequest,
)

ANSWERED_BY = "X-Taskyard-Answered-By"
"""Names the person who answers a permission request: the server knows it, the bridge does not."""

FROM_HEADER, END_HEADER = "X-Log-Offset", "X-Log-End"
"""The offset of the first byte of an answer with a terminal's log, and that behind the newest one."""

TRUE_WORDS = frozenset({"1", "true", "yes"})


class Acting:
    """Handlers that do something."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._session = served.session
        self._prompts = served.prompts
        self._body_bytes = served.options.limits.v2_body_bytes

    async def prompt(self, request: Request) -> Response:
        """Takes a prompt, at once or into the queue."""
        asked = await read(request, PromptRequest, self._body_bytes)
        with _refusals():
            answer = await self._prompts.add(self._order(asked))
        return json(PromptResponse(answer.id, answer.seq, answer.position), 202)

    def _order(self, asked: PromptRequest) -> PromptOrder:
        if (asked.text is None) == (asked.blocks is None):
            raise invalid("Send either text or blocks.", "body")
        blocks = asked.blocks
        text = asked.text or ""
        if blocks is not None and self._session.transport == "pty":
            text, blocks = _plain(blocks), None
        raw = None if blocks is None else [_block(block) for block in blocks]
        if raw == []:
            raise Refused("empty", "A prompt needs at least one block.")
        return PromptOrder(asked.id or str(uuid4()), text, raw, asked.when, asked.timeout)

    async def prompt_state(self, request: Request) -> Response:
        """What became of a prompt."""
        name = request.path_params["id"]
        found = self._prompts.state(name)
        if found is None:
            raise plain_problem(Refused("unknown", f"There is no prompt {name}."))
        return json(_shape(found))

    async def drop_prompt(self, request: Request) -> Response:
        """Takes a prompt out of the queue."""
        with _refusals():
            return json(_shape(await self._prompts.drop(request.path_params["id"])))

    async def cancel(self, request: Request) -> Response:
        """Asks the turn that runs to end; nothing when there is none, and a refusal when it is not the one named."""
        wanted = number(request.query_params.get("turn"), "query.turn", 0)
        with _refusals():
            running = self._session.turn
            if wanted and (running is None or running.id != wanted):
                raise Refused("nothing_runs", f"The turn {wanted} does not run, or not any more.")
            await self._session.cancel()
        return json(Done(), 202)

    async def permissions(self, _: Request) -> Response:
        """The requests that wait."""
        return json(PermissionsResponse(self._session.permissions()))

    async def answer(self, request: Request) -> Response:
        """Answers a request for permission."""
        self._check_answerer(request)
        asked = await read(request, PermissionAnswer, self._body_bytes)
        if (asked.option_id is None) != (asked.outcome == "cancelled"):
            raise invalid("Send an option_id, or the outcome cancelled.", "body")
        name = request.headers.get(ANSWERED_BY)
        with _refusals():
            self._session.answer_permission(request.path_params["id"], asked.option_id, name)
        return json(Done())

    def _check_answerer(self, request: Request) -> None:
        """Nothing when the caller may answer: under a server a coding agent must not permit itself anything."""
        known, client = self._served.options.answerers, request.client
        if known is not None and (client is None or client.port not in known):
            told = "A person answers this through the server; programs beside the coding agent may not."
            raise Problem(403, "not_through_server", told)

    async def report(self, request: Request) -> Response:
        """Stores what the coding agent says of its work."""
        asked = await read(request, ReportRequest, self._body_bytes)
        with _refusals():
            self._session.report(Report(asked.summary, asked.link, asked.outcome))
        return json(Done())

    # the terminal

    async def hook(self, request: Request) -> Response:
        """Hears an event of the coding agent's own."""
        terminal = self._terminal()
        asked = await read(request, HookRequest, self._body_bytes)
        terminal.hook(asked.event, asked.error)
        return json(Done())

    def _terminal(self) -> TerminalLike:
        if self._session.transport != "pty":
            told = "This coding agent has no terminal: it is talked to over ACP."
            raise Problem(409, "no_terminal", told)
        return cast(TerminalLike, self._session)  # what has a terminal is told by its transport

    async def type_keys(self, request: Request) -> Response:
        """Types into the terminal."""
        terminal = self._terminal()
        asked = await read(request, InputRequest, self._body_bytes)
        if (asked.data is None) == (asked.keys is None):
            raise invalid("Send either data or keys.", "body")
        data = asked.data if asked.data is not None else typed(asked.keys or [])
        with _refusals():
            await terminal.keys(data)
        return json(Done())

    async def resize(self, request: Request) -> Response:
        """Gives the terminal another size."""
        terminal = self._terminal()
        asked = await read(request, ResizeRequest, self._body_bytes)
        terminal.resize(asked.cols, asked.rows)
        return json(Done())

    async def log(self, request: Request) -> Response:
        """The bytes that the program wrote, from an offset on."""
        log = self._terminal().pty_log
        asked = request.query_params
        offset = number(asked.get("offset"), "query.offset", 0)
        start = min(max(offset, log.first), log.end)
        follow = asked.get("follow", "") in TRUE_WORDS
        feed = LogFeed(self._session.record, log, start, follow=follow)
        headers = {
            "content-type": "application/octet-stream",
            "cache-control": "no-store",
            FROM_HEADER: str(start),
            END_HEADER: str(log.end),
        }
        return self._served.streams.stream(headers, feed.feed)


@contextmanager
def _refusals() -> Iterator[None]:
    """Turns what the session refuses into problems."""
    try:
        yield
    except Refused as refused:
        raise plain_problem(refused) from refused


def _block(block: dict[str, object]) -> msgspec.Raw:
    """A content block as ACP has it. Raises Problem."""
    kind = block.get("type")
    if not isinstance(kind, str) or not kind:
        raise invalid("A block needs a type.", "body.blocks")
    if kind == "text" and not isinstance(block.get("text"), str):
        raise invalid("A block of type text needs a text.", "body.blocks")
    return msgspec.Raw(msgspec.json.encode(block))


def _plain(blocks: list[dict[str, object]]) -> str:
    """The text of blocks that are all text: a terminal takes nothing else. Raises Problem."""
    texts = [block.get("text") for block in blocks if block.get("type") == "text"]
    found = [text for text in texts if isinstance(text, str)]
    if len(found) != len(blocks):
        raise plain_problem(Refused("text_only", "A terminal takes text only."))
    return "\n".join(found)


def _shape(state: PromptState) -> PromptShape:
    return msgspec.convert(state, PromptShape, from_attributes=True)
