"""A coding agent with a screen, played by a script: run it as a program.

The script is JSON: {"steps": [{"expect", "think_s", "reply", ...}], ...}; a step whose `expect` is empty is
said unprompted. It clears the screen on each change, prints the whole history (`> ` before what the user
said), a spinner while it thinks, and a `> ` prompt when it is idle. Source: agentapi 5.2.

Of a step: `think_s` seconds of spinner, or `until` a file is there; `busy` is shown beside it, `blank` seconds nothing moves before
the reply; `begins` and `ends` are events that it runs the hook for, with what it says of them behind the
name, the latter `works_s` seconds after it said the reply; `dialog` is shown, and any key goes on; `die` ends it with that code. Of the script: `paste` asks for
marked pastes; `box` draws the composer as Claude Code does; `echo` false never shows what is typed; `deaf` reads nothing at all; `mute` never reacts; `swallow` as many presses of Enter do nothing; `ambush` is a
dialog that comes up while somebody types;
`plain` prints like a line program instead of drawing; `log` is a file that gets every byte read, in hex.
"""

import json
import os
import re
import select
import subprocess
import sys
import termios
import time
import tty
from pathlib import Path
from typing import Any

Script = dict[str, Any]

PLAIN = re.compile("[^\x00-\x1f\x7f]+")
BOX_EDGE, BOX_MARK = "\u2500" * 40, "\u276f "
FRAMES = "|/-\\"
FRAME_S = 0.02
HOOK = str(Path(__file__).parents[2] / "src" / "taskyard_agent" / "hook.py")


class Agent:
    """Plays the script."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.steps = list(script["steps"])
        self.history: list[str] = list(script.get("history", []))
        self.typed = ""
        self.status = ""
        self.pasting = False
        self.swallow = script.get("swallow", 0)

    def draw(self) -> None:
        rows = [*self.history]
        if self.status:
            rows.append(self.status)
        elif self.script.get("prompt", True):
            shown = self.typed if self.script.get("echo", True) else ""
            edge = [BOX_EDGE] if self.script.get("box") else []
            mark = BOX_MARK if edge else "> "
            rows += [*edge, mark + shown.replace("\n", "\r\n"), *edge]
        self.write("\x1b[2J\x1b[3J\x1b[H" + "\r\n".join(rows))

    def write(self, text: str) -> None:
        data = text.encode()
        while data:
            data = data[os.write(1, data) :]

    def read(self, within_s: float | None = None) -> str:
        if within_s is not None and not select.select([0], [], [], within_s)[0]:
            return ""
        data = os.read(0, 65536)
        if not data:
            sys.exit(0)
        if "log" in self.script:
            with Path(self.script["log"]).open("a") as log:
                log.write(data.hex() + "\n")
        return data.decode(errors="replace")

    def line(self) -> str:
        """What the user typed up to Enter, as a full-screen program reads it."""
        self.typed, self.pasting, rest, entered = "", False, "", False
        self.draw()
        while not entered:
            rest, entered = self.eat(rest + self.read())
            self.draw()
            if self.typed and "ambush" in self.script:
                self.status = self.script.pop("ambush")
                self.draw()
                self.read()
                self.status = ""
                self.draw()
        return self.typed

    def eat(self, rest: str) -> tuple[str, bool]:
        """What is left of the keys, and whether Enter was one of them."""
        while rest:
            if rest.startswith(("\x1b[200~", "\x1b[201~")):
                self.pasting, rest = rest[4] == "0", rest[6:]
            elif rest[0] == "\x1b" and "\x1b[200~".startswith(rest):
                break
            elif rest[0] == "\r" and not self.pasting:
                rest = rest[1:]
                if self.swallow <= 0:
                    return rest, True
                self.swallow -= 1
            elif rest[0] in "\x08\x7f":
                self.typed, rest = self.typed[:-1], rest[1:]
            elif rest[0] == "\x15":
                self.typed, rest = "", rest[1:]
            else:
                plain = PLAIN.match(rest)
                size = plain.end() if plain else 1
                self.typed, rest = self.typed + rest[:size], rest[size:]
        return rest, False

    def think(self, step: Script) -> None:
        until = time.monotonic() + step.get("think_s", 0)
        frame = 0
        while time.monotonic() < until or not Path(step.get("until", "/")).exists():
            self.status = f"{FRAMES[frame % 4]} {step.get('busy', 'Thinking')}"
            frame += 1
            self.draw()
            time.sleep(FRAME_S)
        if step.get("blank"):
            self.status = step.get("busy", "")
            self.draw()
            time.sleep(step["blank"])
        self.status = ""

    def play(self) -> None:
        if self.script.get("paste"):
            self.write("\x1b[?2004h")
        if self.script.get("alternate"):
            self.write("\x1b[?1049h")
        while self.script.get("mute") or self.script.get("deaf"):
            self.draw()
            while True:
                time.sleep(60) if self.script.get("deaf") else self.read()
        for step in self.steps:
            self.take(step)
            self.think(step)
            self.answer(step)
        while True:
            said = self.line()
            self.history += [f"> {said}", f"nothing to say to {said!r}"]

    def take(self, step: Script) -> None:
        if step.get("expect"):
            said = self.line()
            self.history += [
                f"> {row}" if not at else row for at, row in enumerate(said.split("\n"))
            ]
            if said != step["expect"] and step["expect"] != "*":
                self.history.append(f"unexpected: {said[:100]!r}")
        self.typed = ""
        self.tell(step.get("begins", ""))

    def tell(self, event: str) -> None:
        """Runs the hook of that event, as a coding agent does; it is heard when this returns."""
        name, _, error = event.partition(" ")
        if name:
            told = json.dumps({"error": error}).encode()
            subprocess.run([sys.executable, "-S", HOOK, name], input=told, check=True)

    def answer(self, step: Script) -> None:
        if "dialog" in step:
            self.status = step["dialog"].replace("\n", "\r\n")
            self.draw()
            self.history.append("answered " + repr(self.read()))
            self.status = ""
        if "die" in step:
            self.write("last words")
            sys.exit(step["die"])
        self.history += step["reply"].split("\n")
        if step.get("ends"):
            self.draw()
            time.sleep(step.get("works_s", 0))
        self.tell(step.get("ends", ""))


def plain(script: Script) -> None:
    """Prints and reads lines, as the simplest programs do."""
    for step in script["steps"]:
        if step.get("expect"):
            sys.stdout.write(script.get("prompt", "> "))
            sys.stdout.flush()
            if not sys.stdin.readline():
                return
        time.sleep(step.get("think_s", 0))
        if "die" in step:
            sys.exit(step["die"])
        print(step["reply"], flush=True)
    sys.stdout.write(script.get("prompt", "> "))
    sys.stdout.flush()
    while sys.stdin.readline():
        print("nothing to say", flush=True)


def main() -> None:
    """The script is the file named first; further words are ignored, but shown when it says so."""
    script = json.loads(Path(sys.argv[1]).read_text())
    if script.get("args"):
        with Path(script["args"]).open("a") as words:
            words.write(json.dumps(sys.argv[2:]) + "\n")
    if "resume_code" in script and "--resume" in sys.argv:
        sys.exit(script["resume_code"])
    if script.get("plain"):
        plain(script)
        return
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        Agent(script).play()
    finally:
        termios.tcsetattr(0, termios.TCSANOW, before)


if __name__ == "__main__":
    main()
