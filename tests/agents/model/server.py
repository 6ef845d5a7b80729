"""A model server without a model: its answers stand in the prompts. One serves any number of programs at once."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from tests.agents.model import anthropic, chat, responses
from tests.agents.model.binding import bound
from tests.agents.model.script import DONE, Step, script_of
from tests.agents.model.talk import Reply, Talk
from tests.waiting import DEADLINE_S, until


class Api(Protocol):
    """How to speak with a program."""

    def read(self, body: bytes) -> Talk:
        """The conversation of a request; raises msgspec.DecodeError."""

    def whole(self, reply: Reply, model: str) -> dict[str, object]:
        """The answer to a request that wants it at once."""

    def stream(self, reply: Reply, model: str) -> Iterator[bytes]:
        """The answer as events."""

    def failure(self, status: int) -> dict[str, object]:
        """The body of an error."""


APIS: dict[str, Api] = {
    "/v1/messages": anthropic,
    "/v1/responses": responses,
    "/v1/chat/completions": chat,
}
"""Which module speaks what is asked for at a path."""

TITLE = "A title"
"""The answer to a request without tools in a scripted turn: a program asks so for a name or a summary."""

MODELS = ("scripted",)
"""What the list of models holds."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it was answered: by step `step` of `steps` of the prompt's script, counted from 0.

    conversation: all that persons have said in it. results: what the calls so far gave. tools: names of those
    offered. status: of the answer.
    """

    path: str
    model: str
    stream: bool
    prompt: str
    conversation: str
    results: Sequence[str]
    tools: Sequence[str]
    step: int
    steps: int
    status: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: the status, and the reply when that is 200."""

    status: int
    reply: Reply


class Model:
    """What the server knows: its journal, its gates, and which errors it has given how often."""

    def __init__(self) -> None:
        self.journal: list[Request] = []
        self.unknown: list[str] = []
        self.url = ""
        self._failed: Counter[str] = Counter()
        self._gates: dict[str, threading.Event] = {}
        self._held: set[str] = set()
        self._lock = threading.Lock()
        self._ended = False

    @property
    def address(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    def open(self, gate: str) -> None:
        """What waits at this gate goes on, now and later."""
        self._gate(gate).set()

    def holds(self, gate: str) -> bool:
        """Whether an answer waits at this gate, or has waited."""
        return gate in self._held

    def held(self, gate: str) -> None:
        """Returns once an answer waits at this gate."""
        until(f"an answer at gate {gate!r}", lambda: self.holds(gate) or None)

    def asked(self, words: str) -> list[Request]:
        """The requests so far whose prompt has these words, but for questions about a conversation."""
        return [request for request in self.journal if words in request.prompt and request.tools]

    def conversation(self, words: str) -> str:
        """All that persons said up to the prompt with these words."""
        return max((request.conversation for request in self.asked(words)), key=len, default="")

    def results(self, words: str) -> list[str]:
        """What the calls gave in the conversation whose newest prompt has these words, as far as it came.

        Programs ask about a conversation in between, without what happened in it.
        """
        return max((list(request.results) for request in self.asked(words)), key=len, default=[])

    def answer(self, path: str, talk: Talk) -> Answer:
        """What the script says to this request; waits where that says so."""
        steps = script_of(talk.prompt)
        at = min(talk.calls, len(steps) - 1)
        step = steps[at]
        if not talk.tools and not all(each.plain for each in steps):
            step = Step(TITLE)
        status = self._status(talk.prompt, at, step)
        self.journal.append(
            Request(
                path=path,
                model=talk.model,
                stream=talk.stream,
                prompt=talk.prompt,
                conversation=talk.conversation,
                results=talk.results,
                tools=[tool.name for tool in talk.tools],
                step=at,
                steps=len(steps),
                status=status,
            )
        )
        if status == HTTPStatus.OK:
            self._wait(step)
        return Answer(status, _reply(step, talk))

    def let_go(self) -> None:
        """Every gate is open, also those that nobody has come to yet."""
        with self._lock:
            self._ended = True
            for gate in self._gates.values():
                gate.set()

    def _status(self, prompt: str, at: int, step: Step) -> int:
        if step.failure is None:
            return HTTPStatus.OK
        with self._lock:
            key = f"{at} {prompt}"
            self._failed[key] += 1
            return step.failure.status if self._failed[key] <= step.failure.times else HTTPStatus.OK

    def _wait(self, step: Step) -> None:
        if step.delay_s:
            threading.Event().wait(step.delay_s)
        if step.gate is not None:
            gate = self._gate(step.gate)
            self._held.add(step.gate)
            gate.wait()

    def _gate(self, name: str) -> threading.Event:
        with self._lock:
            gate = self._gates.setdefault(name, threading.Event())
            if self._ended:
                gate.set()
            return gate


def _reply(step: Step, talk: Talk) -> Reply:
    text = step.text or ("" if step.call else DONE)
    if step.call is None:
        return Reply(text, None)
    use = bound(step.call, talk.tools)
    if use is None:
        names = ", ".join(tool.name for tool in talk.tools)
        return Reply(f"There is no tool for {step.call}; there are: {names}", None)
    return Reply(text, use)


class Server(ThreadingHTTPServer):
    """The sockets of a model."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, model: Model) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.model = model
        self.model.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Nothing: the journal has it."""

    def do_HEAD(self) -> None:
        """Claude Code looks so whether anybody is there."""
        self._send(HTTPStatus.OK, b"")

    def do_GET(self) -> None:
        """The list of models, which some programs read first."""
        if urlsplit(self.path).path.rstrip("/").endswith("/models"):
            models = [{"id": name, "object": "model", "type": "model"} for name in MODELS]
            # "models" is for Codex, which has a list of its own shape and takes an empty one.
            listed = {"object": "list", "data": models, "has_more": False, "models": []}
            self._send(HTTPStatus.OK, msgspec.json.encode(listed))
        else:
            self._unknown()

    def do_POST(self) -> None:
        """A turn of the model, or a count of its tokens."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        api = next((each for end, each in APIS.items() if path.endswith(end)), None)
        try:
            if path.endswith("/count_tokens"):
                self._send(HTTPStatus.OK, msgspec.json.encode({"input_tokens": len(body) // 4}))
            elif api is None:
                self._unknown()
            else:
                self._turn(api, api.read(body), path)
        except msgspec.DecodeError as error:
            self.server.model.unknown.append(f"{path}: {error}")
            self._send(HTTPStatus.BAD_REQUEST, msgspec.json.encode({"error": str(error)}))
        except ConnectionError:
            self.close_connection = True  # the program was ended, or has cancelled the turn

    def _turn(self, api: Api, talk: Talk, path: str) -> None:
        answer = self.server.model.answer(path, talk)
        if answer.status != HTTPStatus.OK:
            self._send(answer.status, msgspec.json.encode(api.failure(answer.status)))
        elif talk.stream:
            self._stream(api.stream(answer.reply, talk.model))
        else:
            self._send(HTTPStatus.OK, msgspec.json.encode(api.whole(answer.reply, talk.model)))

    def _unknown(self) -> None:
        self.server.model.unknown.append(f"{self.command} {self.path}")
        self._send(HTTPStatus.NOT_FOUND, b'{"error": {"message": "there is nothing here"}}')

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status >= HTTPStatus.BAD_REQUEST:
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, events: Iterator[bytes]) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in (*events, b""):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))


@contextmanager
def serving_model() -> Iterator[Model]:
    """A model on a free port of the loopback; at the end every gate opens."""
    model = Model()
    with Server(model) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield model
        finally:
            model.let_go()
            server.shutdown()
            thread.join(DEADLINE_S)
