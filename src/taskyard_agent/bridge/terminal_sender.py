"""How a prompt is typed into a program, so that all of it arrives, once. Source: A30-A34, N32."""

import asyncio
import math
import re
from collections.abc import Callable

from taskyard_agent.bridge.session import Refused
from taskyard_agent.bridge.terminal_options import TerminalOptions
from taskyard_agent.terminal.child import PtyChild
from taskyard_agent.terminal.reply import Reply
from taskyard_agent.terminal.watch import Seen, Watch

PASTE = (b"\x1b[200~", b"\x1b[201~")
"""What marks pasted text for a program that wants that."""

ENTER = b"\r"
DIALOG_OPEN = "dialog_open"
BACKSPACE = b"\x7f"

CLEAR_LINES = 20
"""Further lines that are removed from a composer; a program puts back a prompt that was interrupted."""

_UNTYPABLE = re.compile("\x1b\\[20[01]~|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What would end a paste, and control characters but for tabs and line ends. Source: N32."""


def typable(text: str) -> str:
    """The text without anything that is a key rather than text; every line end is LF."""
    return _UNTYPABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


class Sender:
    """Types one prompt. check raises Refused when there is no sense in going on."""

    def __init__(
        self,
        child: PtyChild,
        watch: Watch,
        options: TerminalOptions,
        *,
        clear: str,
        check: Callable[[], None],
    ) -> None:
        """clear: keys that empty the composer."""
        self._child = child
        self._watch = watch
        self._options = options
        self._clear = clear.encode()
        self._check = check

    async def empty_composer(self) -> None:
        """Nothing stands where the prompt will be typed. Raises Refused: not_ready."""
        if not self._holds_text():
            return
        for keys in (self._clear, *(BACKSPACE + self._clear for _ in range(CLEAR_LINES))):
            await self._write(keys)
            await self._quiet()
            if not self._holds_text():
                return
        raise Refused(
            "not_ready",
            "Something is typed into the coding agent's composer, and cannot be removed. "
            "Remove it in the terminal.",
        )

    async def send(self, text: str, reply: Reply) -> None:
        """The program has taken the text. Raises Refused: timeout, agent_exited, and what check does."""
        try:
            await self._type(text)
            await self._quiet()
            reply.typed(self._watch.look())
            self._check_dialog()
            await self._submit()
        except Refused as refused:
            if refused.code != DIALOG_OPEN:
                self._take_back(typable(text).count("\n"))
            raise

    def _check_dialog(self) -> None:
        """Raises Refused when a question came up meanwhile, which Enter would answer. Source: N30."""
        if self._watch.seen.dialog is not None:
            raise Refused(
                DIALOG_OPEN,
                "The coding agent asked a question while the message was typed; Enter was not "
                "pressed. Answer the question with keys, and send the message again.",
            )

    async def _type(self, text: str) -> None:
        data = typable(text).encode(errors="replace")
        if self._watch.screen.bracketed_paste:
            data = PASTE[0] + data + PASTE[1]
        await self._write(data)

    async def _quiet(self) -> None:
        """Returns when the program has shown what was typed, or had time enough to. Source: A32, N32."""
        before = self._watch.seen.steady
        until = _now() + self._options.echo_s
        while (left := until - _now()) > 0:
            self._check()
            if self._watch.seen.steady != before:
                quiet_left = self._options.quiet_s - self._watch.quiet_s
                if quiet_left <= 0:
                    return
                left = min(left, quiet_left)
            await self._watch.looked(left)

    async def _submit(self) -> None:
        """Enter was pressed, and something came of it. Source: A33."""
        before, was_empty = self._watch.seen, self._watch.composer_empty
        await self._write(ENTER)
        until = _now() + self._options.reaction_s
        again = _now() + self._options.repeat_s
        while not self._taken(before, was_empty=was_empty):
            self._check()
            now = _now()
            if now >= until:
                raise Refused(
                    "timeout",
                    f"The coding agent did not react to the message for {self._options.reaction_s:g} s. "
                    "What was typed is removed again. Look at its terminal.",
                )
            if now >= again:
                # Only where it is plain that Enter was lost: else it would answer what comes next.
                if self._holds_text():
                    await self._write(ENTER)
                again = math.inf if self._options.repeat_s <= 0 else now + self._options.repeat_s
            await self._watch.looked(max(min(until, again) - now, 0))

    def _taken(self, before: Seen, *, was_empty: bool | None) -> bool:
        seen = self._watch.seen
        if self._watch.busy or seen.dialog is not None:
            return True
        if seen.steady == before.steady:
            return False
        return was_empty is not False or not self._holds_text()

    def _holds_text(self) -> bool:
        """Whether something is plainly seen to stand where prompts are typed."""
        return self._watch.composer_empty is False

    def _take_back(self, line_ends: int) -> None:
        """What was typed is not there any more, as far as the program obeys. Source: D8, N32."""
        self._child.forget_unwritten()
        self._child.reply(self._clear + (BACKSPACE + self._clear) * line_ends)

    async def _write(self, data: bytes) -> None:
        self._check()
        try:
            async with asyncio.timeout(self._options.reaction_s):
                await self._child.write(data)
        except TimeoutError:
            raise Refused(
                "timeout",
                f"The coding agent read none of its input for {self._options.reaction_s:g} s.",
            ) from None
        except BrokenPipeError:
            raise Refused("agent_exited", "The coding agent has closed its terminal.") from None


def _now() -> float:
    return asyncio.get_running_loop().time()
