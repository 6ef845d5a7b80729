"""A coding agent without a model: `python -m taskyard_agent.shell` speaks ACP and runs each prompt in bash.

One thread around poll(): idle it sleeps in the kernel, and it imports as little as it can, because
one of it runs in every workspace of the shell template. What happened in a session is kept in
TASKYARD_SHELL_DIR, else ~/.taskyard-shell, as one JSON line each, so that a session can be loaded
after a crash. The working folder is kept from prompt to prompt; variables are not.
"""

import json
import os
import select
import signal
import time
from collections.abc import Callable

from taskyard_agent.shell_session import (
    PIPE_BYTES,
    Json,
    Session,
    Turn,
    chunk,
    encode,
    read_now,
    spawn,
    started_at,
    text_of,
)

FLUSH_S = 0.03
"""Seconds that output waits for more of it: below what the eye sees, above a burst of small writes."""

FLUSH_CHARS = 8 * 1024
"""Characters of output in one update."""

KEEP_CHARS = 256 * 1024
"""Characters of one command's output kept for a later load; the client keeps all of it itself."""

TERM_GRACE_S = 2.0
"""Seconds that a cancelled command has between SIGTERM and SIGKILL."""

TITLE_CHARS = 200
"""Characters of a command's first line shown as its title."""

ASK_PREFIX = "!perm "
"""A prompt that begins so asks for permission before it runs."""

METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
NOT_FOUND = -32002


class Refused(Exception):
    """A request that is answered with an error; str() is its message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Shell:
    """The agent: requests from one pipe, updates and answers to another."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._sessions: dict[str, Session] = {}
        self._asked: dict[str, Turn] = {}
        self._poll = select.poll()
        self._ready: dict[int, Callable[[], None]] = {}
        self._input = b""
        self._methods: dict[str, Callable[[object, Json], Json | None]] = {
            "initialize": self._initialize,
            "session/new": self._new,
            "session/load": self._load,
            "session/prompt": self._prompt,
            "session/cancel": self._cancel,
        }

    def run(self) -> None:
        """Serves until the input ends or a signal comes; then kills what runs."""
        self._watch(0, self._on_input)
        try:
            while True:
                for fd, _ in self._poll.poll(self._timeout_ms()):
                    if fd in self._ready:  # an earlier one of this round may have closed it
                        self._ready[fd]()
                self._on_time()
        finally:
            for turn in self._turns():
                turn.kill(signal.SIGKILL)

    def _turns(self) -> list[Turn]:
        return [session.turn for session in self._sessions.values() if session.turn is not None]

    def _watch(self, fd: int, ready: Callable[[], None]) -> None:
        self._ready[fd] = ready
        self._poll.register(fd, select.POLLIN)

    def _close(self, fd: int) -> None:
        if self._ready.pop(fd, None) is not None:
            self._poll.unregister(fd)
        os.close(fd)

    def _timeout_ms(self) -> int | None:
        times = [
            at for turn in self._turns() for at in (turn.flush_at, turn.kill_at) if at is not None
        ]
        return max(0, int((min(times) - time.monotonic()) * 1000) + 1) if times else None

    def _on_time(self) -> None:
        now = time.monotonic()
        for turn in self._turns():
            if turn.flush_at is not None and turn.flush_at <= now:
                self._flush(turn)
            if turn.kill_at is not None and turn.kill_at <= now:
                turn.kill_at = None
                turn.kill(signal.SIGKILL)

    # messages

    def _send(self, message: Json) -> None:
        rest = encode({"jsonrpc": "2.0"} | message)
        while rest:
            rest = rest[os.write(1, rest) :]

    def _update(self, session: Session, update: Json, *, keep: bool = True) -> None:
        if keep:
            session.keep(update)
        params: Json = {"sessionId": session.name, "update": update}
        self._send({"method": "session/update", "params": params})

    def _on_input(self) -> None:
        data = os.read(0, PIPE_BYTES)
        if not data:
            raise SystemExit
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                self._on_message(message)

    def _on_message(self, message: Json) -> None:
        number, method = message.get("id"), message.get("method")
        params = message.get("params")
        if not isinstance(method, str):
            self._on_permission(self._asked.pop(str(number), None), message.get("result"))
            return
        try:
            result = self._call(method, number, params if isinstance(params, dict) else {})
        except Refused as error:
            answer: Json = {"error": {"code": error.code, "message": str(error)}}
        else:
            if result is None:
                return
            answer = {"result": result}
        if number is not None:
            self._send({"id": number} | answer)

    def _call(self, method: str, number: object, params: Json) -> Json | None:
        if method not in self._methods:
            raise Refused(METHOD_NOT_FOUND, f"The shell agent does not know {method}.")
        return self._methods[method](number, params)

    # requests

    def _initialize(self, _number: object, _params: Json) -> Json:
        return {
            "protocolVersion": 1,
            "agentCapabilities": {"loadSession": True},
            "agentInfo": {"name": "shell", "title": "Shell (no AI)", "version": "1"},
            "authMethods": [],
        }

    def _open(self, name: str, params: Json) -> Session:
        folder = text_of(params, "cwd")
        if not os.path.isabs(folder) or not os.path.isdir(folder):  # noqa: PTH112, PTH117 - pathlib costs 1 MB
            raise Refused(
                INVALID_PARAMS, f"cwd must be an absolute path of a folder, not {folder!r}."
            )
        session = self._sessions[name] = Session(name, folder, f"{self._folder}/{name}.jsonl")
        return session

    def _new(self, _number: object, params: Json) -> Json:
        name = os.urandom(16).hex()
        self._open(name, params)
        return {"sessionId": name}

    def _session(self, params: Json) -> Session:
        name = text_of(params, "sessionId")
        if name not in self._sessions:
            raise Refused(NOT_FOUND, f"There is no open session {name!r}. Make or load one first.")
        return self._sessions[name]

    def _load(self, _number: object, params: Json) -> Json:
        name = text_of(params, "sessionId")
        known = name.isalnum() and os.path.exists(f"{self._folder}/{name}.jsonl")  # noqa: PTH110 - pathlib costs 1 MB
        if not known:
            raise Refused(NOT_FOUND, f"There is no session {name!r} to load. Make a new one.")
        if name in self._sessions:
            raise Refused(INVALID_PARAMS, f"Session {name!r} is open already.")
        self._replay(self._open(name, params))
        return {}

    def _replay(self, session: Session) -> None:
        """Sends what is on file; a command that a crash cut off is ended here, and in the file."""
        cut_off, running = "", ""
        for record in session.records():
            session.folder = text_of(record, "folder") or session.folder
            running = text_of(record, "running") or running
            if "sessionUpdate" in record:
                self._update(session, record, keep=False)
                if text_of(record, "toolCallId"):
                    over = record.get("status") in {"completed", "failed"}
                    cut_off = "" if over else text_of(record, "toolCallId")
        if cut_off:
            pid, _, start = running.partition(" ")
            if start and started_at(int(pid)) == start:
                os.killpg(int(pid), signal.SIGKILL)  # it outlived the agent that started it
            self._end_tool(session, cut_off, {"interrupted": True}, ok=False)
            self._update(session, chunk("interrupted"))

    def _prompt(self, number: object, params: Json) -> None:
        session = self._session(params)
        if session.turn is not None:
            raise Refused(INVALID_PARAMS, f"Session {session.name!r} is working on a prompt.")
        blocks = params.get("prompt")
        texts = [text_of(block, "text") for block in blocks] if isinstance(blocks, list) else []
        prompt = "\n".join(texts).replace("\0", "").strip()
        session.keep(chunk(prompt, "user_message_chunk"))
        command = prompt.removeprefix(ASK_PREFIX).strip()
        turn = session.turn = Turn(session, number, command)
        if not command:
            self._update(session, chunk("The prompt is empty: there is nothing to run."))
            self._end(turn, "end_turn")
            return
        ask = prompt.startswith(ASK_PREFIX)
        title = command.splitlines()[0][:TITLE_CHARS]
        tool: Json = {"toolCallId": turn.tool, "title": title, "kind": "execute"}
        state: Json = {
            "status": "pending" if ask else "in_progress",
            "rawInput": {"command": command},
        }
        self._update(session, {"sessionUpdate": "tool_call"} | tool | state)
        if ask:
            self._ask(turn, tool)
        else:
            self._start(turn)

    def _ask(self, turn: Turn, tool: Json) -> None:
        self._asked[turn.tool] = turn
        options = [
            {"optionId": "run", "name": "Run it", "kind": "allow_once"},
            {"optionId": "skip", "name": "Do not run it", "kind": "reject_once"},
        ]
        params: Json = {"sessionId": turn.session.name, "toolCall": tool, "options": options}
        self._send({"id": turn.tool, "method": "session/request_permission", "params": params})

    def _on_permission(self, turn: Turn | None, result: object) -> None:
        if turn is None or turn.session.turn is not turn:
            return  # cancelled meanwhile
        outcome = result.get("outcome") if isinstance(result, dict) else None
        if text_of(outcome, "optionId") == "run":
            state: Json = {"toolCallId": turn.tool, "status": "in_progress"}
            self._update(turn.session, {"sessionUpdate": "tool_call_update"} | state)
            self._start(turn)
            return
        self._end_tool(turn.session, turn.tool, {"exitCode": None}, ok=False)
        refused = text_of(outcome, "outcome") == "selected"
        if refused:
            self._update(turn.session, chunk("Not run: permission was not given."))
        self._end(turn, "end_turn" if refused else "cancelled")

    def _cancel(self, _number: object, params: Json) -> None:
        turn = self._session(params).turn
        if turn is None or turn.cancelled:
            return
        turn.cancelled = True
        if turn.pid:
            turn.kill(signal.SIGTERM)
            turn.kill_at = time.monotonic() + TERM_GRACE_S
        else:
            self._on_permission(self._asked.pop(turn.tool, None), None)

    # commands

    def _start(self, turn: Turn) -> None:
        session = turn.session
        output, to_output = os.pipe()
        ended_in, to_ended_in = os.pipe()
        for fd in (output, ended_in):
            os.set_blocking(fd, False)
        folder = session.folder if os.path.isdir(session.folder) else session.base  # noqa: PTH112 - pathlib costs 1 MB
        stops = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        signal.pthread_sigmask(signal.SIG_BLOCK, stops)  # a stop now would not know whom to kill
        turn.pid = spawn(turn.command.encode(errors="replace"), folder, to_output, to_ended_in)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)
        os.close(to_output)
        os.close(to_ended_in)
        session.keep({"running": f"{turn.pid} {started_at(turn.pid)}"})
        exited = os.pidfd_open(turn.pid)
        turn.fds = [exited, ended_in, output]
        self._watch(output, lambda: self._on_output(turn, output))
        self._watch(exited, lambda: self._on_exit(turn))

    def _on_output(self, turn: Turn, output: int) -> None:
        data = os.read(output, FLUSH_CHARS)
        if not data:
            self._poll.unregister(output)  # all closed it; the turn ends when bash does
            del self._ready[output]
            return
        self._add(turn, turn.decoder.decode(data))

    def _add(self, turn: Turn, text: str) -> None:
        turn.pending += text
        if len(turn.pending) >= FLUSH_CHARS:
            self._flush(turn)
        elif turn.flush_at is None and turn.pending:
            turn.flush_at = time.monotonic() + FLUSH_S

    def _flush(self, turn: Turn) -> None:
        text, turn.pending, turn.flush_at = turn.pending, "", None
        if text:
            turn.at_line_start = text.endswith("\n")
            turn.kept += len(text)
            self._update(turn.session, chunk(text), keep=turn.kept <= KEEP_CHARS)

    def _on_exit(self, turn: Turn) -> None:
        """Ends the turn with bash, whatever it left running in the background."""
        if turn.cancelled:
            turn.kill(signal.SIGKILL)
        exited, ended_in, output = turn.fds
        rest = b""
        if output in self._ready:
            rest = read_now(output)
            self._watch(output, lambda: self._discard(output))
        else:
            os.close(output)
        self._add(turn, turn.decoder.decode(rest, final=True))
        self._flush(turn)
        code = os.waitstatus_to_exitcode(os.waitpid(turn.pid, 0)[1])
        self._note_folder(turn.session, ended_in)
        self._close(exited)
        os.close(ended_in)
        self._report(turn, code)

    def _discard(self, output: int) -> None:
        """Reads what a background process says after its turn: it would die of a closed pipe."""
        try:
            said = os.read(output, PIPE_BYTES)
        except BlockingIOError:
            return  # the turn's end took it, in the same round of poll()
        if not said:
            self._close(output)

    def _note_folder(self, session: Session, ended_in: int) -> None:
        """Where bash ended; it does not say so when it was killed, or replaced by `exec`."""
        folder = read_now(ended_in).decode(errors="replace").removesuffix("\n")
        if folder and folder != session.folder:
            session.folder = folder
            session.keep({"folder": folder})

    def _end_tool(self, session: Session, tool: str, output: Json, *, ok: bool) -> None:
        status = "completed" if ok else "failed"
        state: Json = {"toolCallId": tool, "status": status, "rawOutput": output}
        self._update(session, {"sessionUpdate": "tool_call_update"} | state)

    def _report(self, turn: Turn, code: int) -> None:
        if turn.kept > KEEP_CHARS:
            turn.session.keep(chunk("\n[the rest of the output was not kept]\n"))
        code = code if code >= 0 else 128 - code
        self._end_tool(turn.session, turn.tool, {"exitCode": code}, ok=code == 0)
        if code:
            said = f"exit {code}"
            self._update(turn.session, chunk(said if turn.at_line_start else "\n" + said))
        self._end(turn, "cancelled" if turn.cancelled else "end_turn")

    def _end(self, turn: Turn, reason: str) -> None:
        turn.session.turn = None
        self._send({"id": turn.request, "result": {"stopReason": reason}})


def stop(_number: int, _frame: object) -> None:
    """Ends the program from a signal, by way of every `finally`."""
    raise SystemExit


def main() -> None:
    """Serves one client on standard input and output."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    folder = os.environ.get("TASKYARD_SHELL_DIR") or os.path.expanduser("~/.taskyard-shell")  # noqa: PTH111 - pathlib costs 1 MB
    os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103 - pathlib costs 1 MB
    try:
        Shell(folder).run()
    except BrokenPipeError:
        return  # the client has gone


if __name__ == "__main__":
    main()
