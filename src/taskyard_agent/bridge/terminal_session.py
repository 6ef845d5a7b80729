"""A conversation with a program through its screen: types prompts, reads answers, knows when it is free."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from taskyard_agent.bridge.hooks import BUSY, TURN_FAILED, turn_failed
from taskyard_agent.bridge.life import CONTINUE
from taskyard_agent.bridge.overview import Turn
from taskyard_agent.bridge.parts import Parts
from taskyard_agent.bridge.record import SessionState
from taskyard_agent.bridge.recover import note_done
from taskyard_agent.bridge.session import TRIM, OpenPermission, Refused, Report, Transport
from taskyard_agent.bridge.terminal_inline import Inline
from taskyard_agent.bridge.terminal_options import TerminalOptions
from taskyard_agent.bridge.terminal_program import Ears, Program
from taskyard_agent.bridge.terminal_sender import Sender
from taskyard_agent.bridge.terminal_speech import Speech
from taskyard_agent.bridge.terminal_tidy import tidy
from taskyard_agent.process import Exit
from taskyard_agent.protocol import ItemKind, Waiting
from taskyard_agent.strays import CUT_OFF, Strays
from taskyard_agent.terminal.child import PtyChild
from taskyard_agent.terminal.ptylog import PtyLog
from taskyard_agent.terminal.reply import Reply
from taskyard_agent.terminal.rules import rules_of
from taskyard_agent.terminal.status import Phase
from taskyard_agent.terminal.watch import Watch

_LOST = "The terminal could not draw some output of the coding agent, and was cleared."


class _OpenTurn:
    """A prompt from its taking to the turn's end.

    began: when sending did. cancelled: somebody pressed the key for that, or will. error: why it
    failed, as the program told.
    """

    def __init__(self, shown: Turn) -> None:
        self.shown = shown
        self.prompt_id, self.began = shown.prompt_id, shown.started
        self.cancelled = False
        self.error: str | None = None
        self.over = asyncio.Event()

    @property
    def ending(self) -> tuple[str, str | None]:
        """How it ends when the program is free again: the reason, and the error if it is one."""
        if self.cancelled:
            return "cancelled", None
        return ("end_turn", None) if self.error is None else ("error", self.error)


class TerminalSession:
    """Prompts one at a time. All that is read off the screen goes through the record.

    While `_reply` is null the newest message stays as it is: what the program shows after a restart
    was said before. Source: A45, N17.
    """

    def __init__(self, parts: Parts, options: TerminalOptions, folder: Path) -> None:
        """folder: for what has to outlive the program. Raises RulesInvalid, OSError."""
        self.record = parts.record
        self.file = parts.file
        self.stopping = False
        self.pty_log = PtyLog(folder, options.log_bytes)
        self._size = (options.cols, options.rows)
        self.rules = rules_of(parts.launch.kind.name, options.rules, options.hide_tools)
        self._kind = parts.launch.kind
        self._log = parts.log
        self._options = options
        self._tasks = parts.tasks
        self.inline = Inline(folder, options.inline_max_bytes)
        self.strays = Strays()
        self._lock = asyncio.Lock()
        self._program: Program | None = None
        self._reply: Reply | None = None
        self._speech = Speech(self.record, self._read, self._spoke)
        self._turn: _OpenTurn | None = None
        self._sending = False
        self._given_up: str | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._starting_prompt = False
        self._ending: tuple[str | None, bool] = (None, False)
        self._exit: str | None = None
        self._initial = parts.first
        self._show_state()

    @property
    def transport(self) -> Transport:
        """How the coding agent is talked to."""
        return "pty"

    @property
    def turn(self) -> Turn | None:
        """The turn that runs, or the prompt of which is just being typed; None between turns."""
        return None if self._turn is None else self._turn.shown

    # prompts

    async def prompt(self, content: str, prompt_id: str | None) -> None:
        """Returns once the program has taken the prompt, at once when that id was taken before.

        Prompts wait for each other, and each is judged when its turn comes. Raises Refused: empty, busy,
        not_ready, dialog_open, agent_exited, timeout, shutting_down. Source: A30-A34, A35b, N18, N30, N32.
        """
        text = content.strip(TRIM)
        if not text:
            raise Refused("empty", "A message needs at least one character that is not blank.")
        async with self._lock:
            if prompt_id is not None and self.file.prompt_state(prompt_id) is not None:
                return
            await self._deliver(text, prompt_id, *self._free())

    def _free(self) -> tuple[PtyChild, Watch]:
        child, watch = self._running()
        watch.look_now()  # a dialog may have come up since the last look
        if watch.phase is Phase.AWAITING_INPUT:
            raise Refused(
                "dialog_open",
                "The coding agent asks a question on its screen; a message would answer it. "
                "Answer it with keys first.",
            )
        if self._initial or not watch.seen_ready:
            raise Refused("not_ready", "The coding agent is starting. Wait for status stable.")
        if watch.phase is not Phase.STABLE or self._turn is not None:
            raise Refused("busy", "The coding agent works on a message. Wait for status stable.")
        return child, watch

    def _running(self) -> tuple[PtyChild, Watch]:
        self._check()
        program = self._program
        if program is None or program.child is None:
            raise Refused("not_ready", "The coding agent is starting. Wait for status stable.")
        if not program.running:
            raise Refused("agent_exited", "The coding agent's program has ended.")
        return program.child, program.watch

    def _check(self) -> None:
        """Raises Refused when no prompt has a future."""
        if self.stopping:
            raise Refused("shutting_down", "The workspace is stopping. Resume the task first.")
        if self._given_up is not None:
            raise Refused("agent_exited", self._given_up)
        if self._sending and (self._program is None or not self._program.running):
            raise Refused("agent_exited", "The coding agent's program ended meanwhile.")

    async def _deliver(
        self, text: str, prompt_id: str | None, child: PtyChild, watch: Watch
    ) -> None:
        """Types the prompt; what is stored of it says so only when it is certain. Source: A34, N18."""
        self._speech.flush()
        self._ending = (None, False)
        watch.hook(busy=None)
        turn = self._turn = _OpenTurn(Turn(self.record.turn + 1, self.record.now(), prompt_id))
        with self._only_sending(watch):
            try:
                await self._note_taken(prompt_id)
                typed = await self.inline.typed(text, pasted=watch.screen.bracketed_paste)
                sender = Sender(
                    child, watch, self._options, clear=self._kind.clear, check=self._check
                )
                await sender.empty_composer()
                reply = Reply(self.rules, typed, watch.look())
                watch.replies = [*watch.replies, reply]
                self.strays.begin(child.pid)
                await sender.send(typed, reply)
                self.inline.context = None
                self._begin(turn, text, reply)
            except BaseException as error:
                await self._drop(turn, error)
                raise
        if watch.closed:  # it took the prompt, and ended of it
            self._finish(turn, "agent_exit", None if self.stopping else self._exit)
        elif turn.cancelled:
            await self.cancel()

    @contextmanager
    def _only_sending(self, watch: Watch) -> Iterator[None]:
        """The message before stays as it is, and the status is running. Source: A21, A34."""
        self._sending = True
        watch.machine.sending(going_on=True)
        self._show_state()
        try:
            yield
        finally:
            self._sending = False
            watch.machine.sending(going_on=False)
            watch.replies = [] if self._reply is None else [self._reply]
            if not watch.closed:
                watch.tell()

    async def _note_taken(self, prompt_id: str | None) -> None:
        try:
            if prompt_id is not None:
                await self.file.prompt_taken(prompt_id)
        except OSError as error:
            raise Refused("not_ready", f"The prompt cannot be stored: {error}") from error

    async def _drop(self, turn: _OpenTurn, error: BaseException) -> None:
        """The prompt did not reach the program."""
        self._turn = None
        turn.over.set()
        if turn.prompt_id is not None and isinstance(error, Refused):
            try:
                await self.file.prompt_dropped(turn.prompt_id)
            except OSError as problem:
                self.record.fault(f"A lost prompt cannot be noted: {problem}", level="warning")

    def _begin(self, turn: _OpenTurn, text: str, reply: Reply) -> None:
        self.record.turn += 1
        said = {"prompt_id": turn.prompt_id, "text": text}
        if not self.record.put(ItemKind.USER_MESSAGE, said, turn.began):
            self.record.turn -= 1
            raise Refused("not_ready", "The prompt cannot be stored. Is the disk full?")
        self._reply = reply
        self._speech.begin()
        self._expect_answer()

    # answers

    def _expect_answer(self) -> None:
        """The turn cannot end before something is said, unless that takes too long. Source: A21."""
        assert self._program is not None
        self._program.watch.machine.last_message(from_user=True)
        loop = asyncio.get_running_loop()
        self._silence = loop.call_later(self._options.reaction_s, self._expect_nothing)

    def _expect_nothing(self) -> None:
        self._forget_silence()
        if self._program is not None and self._program.running:
            self._program.watch.machine.last_message(from_user=False)
            self._program.watch.tell()

    def _forget_silence(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _read(self) -> str | None:
        if self._reply is None or self._sending or self._program is None:
            return None
        look = self._program.watch.seen.look
        return tidy(self._reply.text(look), self._reply.before, look)

    def _looked(self) -> None:
        """The screen was looked at, or stood still for long enough."""
        self.record.ring()
        if not self._sending:
            self._speech.changed()
        self._see_to_turn()
        self._show_state()

    def _spoke(self) -> None:
        if self._silence is not None and self._speech.said and self._program is not None:
            self._forget_silence()
            self._program.watch.machine.last_message(from_user=False)
            self._program.watch.arm()

    def _drew_nothing(self, lost: int) -> None:
        self.record.put(ItemKind.GAP, {"reason": _LOST, "bytes": lost})

    def _see_to_turn(self) -> None:
        assert self._program is not None
        if self._program.watch.phase is not Phase.STABLE or self._sending:
            return
        self._speech.flush()
        if self._turn is not None:
            self._finish(self._turn, *self._turn.ending)
        elif self._initial and not self._starting_prompt:
            self._starting_prompt = True
            self._tasks.create_task(self._send_initial(self._initial))

    async def _send_initial(self, prompt: str) -> None:
        """Sends it once, whatever happens: it is noted as sent before. Source: A40, A41, N18."""
        try:
            async with self._lock:
                if prompt != CONTINUE:
                    saved = self.file.session
                    await self.file.save(msgspec.structs.replace(saved, initial_prompt=prompt))
                await self._deliver(prompt, None, *self._running())
        except (Refused, OSError) as error:
            self.record.fault(f"The first prompt could not be sent. {error}")
        finally:
            self._initial = ""
            self._show_state()

    def _finish(self, turn: _OpenTurn, reason: str, error: str | None) -> None:
        """Stores the turn's end, once; then the session is free."""
        if self._turn is not turn:
            return
        self._speech.end()
        reason = "interrupted" if self.stopping and error is None else reason
        self.record.put(ItemKind.TURN_END, {"reason": reason, "error": error})
        if turn.prompt_id is not None:
            self._tasks.create_task(note_done(self.record, self.file, turn.prompt_id))
        if reason in CUT_OFF:
            self._tasks.create_task(self.strays.end())
        self._turn = None
        self._ending = (error or reason, error is not None)
        turn.over.set()
        self._show_state()

    # keys

    async def raw(self, keys: str) -> None:
        """The keys are with the program, at any status; a message that is being typed comes first.

        Raises Refused: agent_exited, timeout. Source: A35, A35b.
        """
        async with self._lock:
            await self.keys(keys)

    async def keys(self, data: str) -> None:
        """The bytes of these characters are with the program, as they are. Raises Refused: as raw()."""
        program = self._program
        if program is None or not program.running:
            raise Refused("agent_exited", self._given_up or "The coding agent's program has ended.")
        if self._turn is not None and data == self._kind.interrupt:
            self._turn.cancelled = True
        program.watch.hook(busy=None)  # no hook tells what keys end or begin
        await program.write(data)

    def hook(self, event: str, error: str | None) -> None:
        """The program told an event of its own. error: why its turn failed. Source: N29."""
        program, turn, busy = self._program, self._turn, BUSY.get(event)
        if program is None or not program.running or (busy and turn is not None and turn.cancelled):
            return  # begun before the key was pressed, told after it
        failed = turn_failed(error) if event == TURN_FAILED else None
        if turn is not None:
            turn.error = failed
        elif busy is not None:
            self._ending = (failed, failed is not None)
        if failed is not None:
            self.record.fault(failed)
        program.watch.hook(busy=busy)
        program.watch.tell()

    async def cancel(self) -> None:
        """The running turn was asked to end, or what runs without one; nothing when nothing does. Source: N13."""
        program, turn = self._program, self._turn
        is_busy = turn is not None or self._state()[0] is SessionState.RUNNING
        if turn is not None and self._sending:
            turn.cancelled = True  # its sender presses the key: now it would end nothing
        elif is_busy and program is not None and program.running:
            await self.keys(self._kind.interrupt)

    def screen_text(self) -> str:
        """The screen as it is now, or was at the program's end. Source: A15."""
        return "" if self._program is None else self._program.text()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the terminal."""
        return self._size if self._program is None else self._program.watch.screen.size

    def resize(self, cols: int, rows: int) -> None:
        """The terminal has that size, also the next program's."""
        self._size = (cols, rows)
        if self._program is not None and self._program.running:
            self._program.resize(cols, rows)

    # what a screen has none of

    def permissions(self) -> list[OpenPermission]:
        """None: a program asks on its screen."""
        return []

    def answer_permission(
        self, request_id: str, option_id: str | None, name: str | None = None
    ) -> None:
        """Raises Refused: unknown."""
        del option_id, name
        raise Refused("unknown", f"There is no request for permission {request_id!r}.")

    def report(self, report: Report) -> None:
        """What the coding agent said of itself is stored. Raises Refused: not_stored."""
        if not self.record.put(ItemKind.REPORT, report):
            raise Refused("not_stored", "The report cannot be stored. Is the disk full?")

    # the program's life, told by its keeper

    def new_program(self) -> Program:
        """A screen for a program that is about to be started."""
        ears = Ears(self._looked, self._is_late, self._drew_nothing)
        self._program = Program(self.rules, self._options, self.pty_log, ears, size=self._size)
        return self._program

    def agent_up(self, child: PtyChild) -> None:
        """The program runs."""
        assert self._program is not None
        self._program.started(child)
        self._reply = Reply(self.rules, self._unanswered, None) if self._fresh else None
        self._program.watch.replies = [] if self._reply is None else [self._reply]
        if self._reply is not None:
            self._speech.begin()
        self._show_state()

    @property
    def _fresh(self) -> bool:
        """Whether what the program shows first is a message of its own. Source: A24, A45."""
        messages = self.record.conversation.messages
        return not messages or (len(messages) > 1 and not messages[-1].content)

    @property
    def _unanswered(self) -> str:
        messages = self.record.conversation.messages
        return messages[-2].content if len(messages) > 1 else ""

    def _is_late(self, within_s: float) -> None:
        self.record.fault(
            f"The coding agent does not look ready after {within_s:g} s. Look at its terminal: "
            "it may ask something, or its type may be the wrong one."
        )
        self._show_state()

    def agent_gone(self, sentence: str, ended: Exit | None) -> str:
        """The program ended, or could not be started; a turn that it was in ends with it. The last screen."""
        screen = "" if self._program is None or ended is None else self._program.last_look()
        self._close_program()
        if ended is not None:
            data = {"exit_code": ended.code, "signal": ended.signal, "screen": screen}
            self.record.put(ItemKind.AGENT_EXIT, data)
        if not self.stopping:
            self.record.fault(sentence)
            self._exit = sentence
        if self._turn is not None and not self._sending:  # else its sender sees to it
            self._finish(self._turn, "agent_exit", None if self.stopping else sentence)
        self._show_state()
        return screen

    def _close_program(self) -> None:
        self._forget_silence()
        self._speech.flush()
        if self._program is not None:
            self._program.close()

    def give_up(self, sentence: str) -> None:
        """There will be no agent any more: prompts are refused with this sentence."""
        self._given_up = self._exit = sentence
        self._show_state()

    async def stop(self, grace_s: float) -> None:
        """Prompts are refused from now on, and the running turn is over. Source: N19, N20."""
        self.stopping = True
        self._show_state()
        if self._turn is not None:
            await self._end_turn(self._turn, grace_s)
        self._speech.flush()
        self._reply = None  # what a program says when it is ended answers nobody

    async def _end_turn(self, turn: _OpenTurn, grace_s: float) -> None:
        if self._program is not None:
            self._program.watch.wake()
        try:
            async with asyncio.timeout(grace_s):
                if not self._sending:
                    await self.cancel()
                await turn.over.wait()
        except (TimeoutError, Refused):
            self._finish(turn, "interrupted", None)

    def close(self) -> None:
        """Nothing is written any more."""
        self._close_program()
        self._speech.close()
        self.inline.close()
        self.pty_log.close()

    # states

    def _show_state(self) -> None:
        """Between turns the state tells how the last one ended; without a program, how that did."""
        state, waiting = self._state()
        reason, failed = self._ending if state is SessionState.IDLE else (None, False)
        if state in (SessionState.EXITED, SessionState.ERROR):
            reason = self._exit
        self.record.set_state(state, waiting=waiting, reason=reason, failed=failed)

    def _state(self) -> tuple[SessionState, Waiting | None]:
        if self.stopping:
            return SessionState.STOPPED, None
        if self._given_up is not None:
            return SessionState.ERROR, None
        program = self._program
        if program is None or program.child is None:
            return SessionState.STARTING, None
        return program.state(in_turn=self._turn is not None, first=bool(self._initial))
