"""Records the screens of a real coding agent, so that the rules for its type can be tested without it.

    scripts/record_screens.py TYPE --program FILE --model URL --work FOLDER --out tests/agents/screens/TYPE

The program runs in a terminal of 100 columns and 30 rows, with an empty home under --work, and talks
to the model server at --model, which answers three prompts: one at once with lines that look like
prompts and boxes, one when `POST /_ctl/open/hold` lets it, one with a wish to write a file.
"""

import argparse
import fcntl
import http.client
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from taskyard_agent.terminal.screen import Screen

COLS, ROWS = 100, 30
QUIET_S = 1.5
"""Seconds without output that count as settled here; animations are cut off by PATIENCE_S."""
PATIENCE_S = 6.0
START_S = 25.0
"""Seconds for a program to show its first composer; the slowest needs 5 on an idle machine."""


@dataclass
class Terminal:
    """One program in a terminal."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path
    pid: int = 0
    fd: int = -1
    screen: Screen = field(default_factory=lambda: Screen(COLS, ROWS))

    def start(self) -> None:
        """The program runs, as the leader of a session of its own."""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(self.cwd)
            os.execvpe(self.argv[0], self.argv, self.env)  # noqa: S606 - a child that becomes the program
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLS, 0, 0))

    def pump(self, seconds: float) -> bool:
        """Takes what comes within that time; whether anything came."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        replies = self.screen.feed(data).replies
        if replies:
            os.write(self.fd, replies)
        return bool(data)

    def settle(self, quiet_s: float = QUIET_S, patience_s: float = PATIENCE_S) -> None:
        """Returns when nothing came for a while, or that never happens."""
        end = time.monotonic() + patience_s
        while self.pump(quiet_s) and time.monotonic() < end:
            pass

    def until(self, seen: Callable[[str], bool], seconds: float, what: str) -> None:
        """Returns when the screen fulfils a wish; ends the recording when it does not in time."""
        end = time.monotonic() + seconds
        while not seen(self.text()):
            self.pump(0.1)
            if time.monotonic() > end:
                print(self.text(), file=sys.stderr)
                sys.exit(f"never seen: {what}")

    def text(self) -> str:
        """The rows, right-trimmed."""
        return "\n".join(self.screen.rows())

    def keys(self, data: str) -> None:
        """Types it as it is."""
        os.write(self.fd, data.encode())

    def paste(self, data: str) -> None:
        """Pastes it, and waits for its echo."""
        self.keys(f"\x1b[200~{data}\x1b[201~")
        self.settle(0.5, 3)

    def stop(self) -> None:
        """The program and all of its session are gone."""
        os.killpg(self.pid, signal.SIGTERM)
        self.settle(0.3, 2)
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def save(terminal: Terminal, out: Path, name: str) -> None:
    """One screen as a file: facts, a line of dashes, the rows."""
    col, row, visible = terminal.screen.cursor()
    shown = "shown" if visible else "hidden"
    title = terminal.screen.title
    head = f"title: {title.rstrip()}\ncursor: {col} {row} {shown}\nsize: {COLS} {ROWS}\n"
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.txt").write_text(f"{head}---\n{terminal.text()}\n")
    print(f"{name}: {title!r}")


MAP_PROMPT = "Draw me the map of this place, please."
SLOW_PROMPT = "Take your time with this one."
FILE_PROMPT = "Please create hello.py for me."
REPORT_PROMPT = "Report that you are half way."


def hold_open(model: str) -> None:
    """Lets the slow answer go."""
    opened = http.client.HTTPConnection(urlsplit(model).netloc, timeout=5)
    opened.request("POST", "/_ctl/open/hold")
    opened.getresponse().read()


def claude(home: Path, cwd: Path, model: str, *, trusted: bool) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of Claude Code."""
    key = "sk-made-up-key-of-a-recording-0000"
    seed = {
        "hasCompletedOnboarding": True,
        "customApiKeyResponses": {"approved": [key[-20:]], "rejected": []},
        "projects": {str(cwd): {"hasTrustDialogAccepted": trusted}},
    }
    config = home / "claude"
    config.mkdir()
    (config / ".claude.json").write_text(json.dumps(seed))
    report = home / "report.py"
    servers = {"coder": {"command": sys.executable, "args": [str(report)]}}
    (home / "mcp.json").write_text(json.dumps({"mcpServers": servers}))
    report.write_text(REPORT_SERVER)
    env = {
        "ANTHROPIC_BASE_URL": model,
        "ANTHROPIC_API_KEY": key,
        "CLAUDE_CONFIG_DIR": str(config),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",
    }
    allowed = "mcp__coder__coder_report_task"
    return ["--mcp-config", str(home / "mcp.json"), "--allowedTools", allowed], env


def codex(home: Path, cwd: Path, model: str, *, trusted: bool) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of Codex."""
    config = home / "codex"
    config.mkdir()
    report = home / "report.py"
    report.write_text(REPORT_SERVER)
    trust = f'[projects."{cwd}"]\ntrust_level = "trusted"\n' if trusted else ""
    (config / "config.toml").write_text(
        f'model = "mock-model"\nmodel_provider = "mock"\napproval_policy = "on-request"\n'
        f'sandbox_mode = "read-only"\ncheck_for_update_on_startup = false\n'
        f"[analytics]\nenabled = false\n[features]\ndaemon_auto_start = false\n"
        f'[model_providers.mock]\nname = "mock"\nbase_url = "{model}/v1"\n'
        f'env_key = "MOCK_API_KEY"\nwire_api = "responses"\n'
        f'[mcp_servers.Coder]\ncommand = "{sys.executable}"\nargs = ["{report}"]\n{trust}'
    )
    return [], {"CODEX_HOME": str(config), "MOCK_API_KEY": "x"}


def gemini(
    home: Path, _cwd: Path, model: str, *, trusted: bool
) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of Gemini CLI."""
    config = home / ".gemini"
    config.mkdir()
    settings = {
        "security": {
            "auth": {"selectedType": "gemini-api-key"},
            "folderTrust": {"enabled": not trusted},
        },
        "general": {"enableAutoUpdate": False, "disableAutoUpdate": True},
        "privacy": {"usageStatisticsEnabled": False},
    }
    (config / "settings.json").write_text(json.dumps(settings))
    env = {
        "GEMINI_API_KEY": "made-up",
        "GOOGLE_GEMINI_BASE_URL": model,
        "GEMINI_MODEL": "gemini-2.5-pro",
    }
    return [], env


def opencode(
    home: Path, _cwd: Path, model: str, *, trusted: bool
) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of OpenCode, which asks nobody for trust."""
    del trusted
    config = home / ".config/opencode"
    config.mkdir(parents=True)
    limits = {"context": 128000, "output": 8192}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Mock",
        "options": {"baseURL": f"{model}/v1", "apiKey": "x"},
        "models": {"mock-model": {"name": "Mock", "limit": limits, "tool_call": True}},
    }
    settings = {
        "autoupdate": False,
        "share": "disabled",
        "model": "mock/mock-model",
        "small_model": "mock/mock-model",
        "provider": {"mock": provider},
        "permission": {"edit": "ask", "bash": "ask"},
    }
    (config / "opencode.json").write_text(json.dumps(settings))
    off = ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS")
    return [], {f"OPENCODE_DISABLE_{word}": "1" for word in off}


def copilot(
    _home: Path, _cwd: Path, model: str, *, trusted: bool
) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of GitHub Copilot CLI."""
    del trusted
    env = {
        "COPILOT_PROVIDER_BASE_URL": f"{model}/v1",
        "COPILOT_PROVIDER_API_KEY": "x",
        "COPILOT_MODEL": "mock-model",
        "COPILOT_OFFLINE": "true",
        "COPILOT_AUTO_UPDATE": "false",
    }
    return [], env


def aider(home: Path, cwd: Path, model: str, *, trusted: bool) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of Aider, which asks about a folder only when that is a repository."""
    prices = home / ".aider/caches/model_prices_and_context_window.json"
    prices.parent.mkdir(parents=True)
    prices.write_text("{}")
    words = "--model openai/mock-model --no-check-update --no-show-model-warnings --no-analytics"
    words += " --no-show-release-notes --no-auto-commits"
    if trusted:
        words += " --no-git"
    else:
        subprocess.run(["git", "init", "-q", str(cwd)], check=True)
    env = {"OPENAI_API_BASE": f"{model}/v1", "OPENAI_API_KEY": "x"}
    return words.split(), env | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}


SETUPS = {
    "claude": claude,
    "codex": codex,
    "gemini": gemini,
    "opencode": opencode,
    "copilot": copilot,
    "aider": aider,
}

REPORT_SERVER = """
import json, sys
TOOL = {"name": "coder_report_task", "description": "Report progress.", "inputSchema": {
    "type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]}}
for line in sys.stdin:
    m = json.loads(line)
    if "id" not in m:
        continue
    r = {"initialize": {"protocolVersion": "2025-03-26", "capabilities": {"tools": {}},
                        "serverInfo": {"name": "coder", "version": "1"}},
         "tools/list": {"tools": [TOOL]},
         "tools/call": {"content": [{"type": "text",
                                     "text": json.dumps({"message": "Thanks for reporting!"})}]},
         }.get(m["method"], {})
    print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": r}), flush=True)
"""


def reported(terminal: Terminal, out: Path) -> None:
    """The screens around a call of the report tool, which some ask about first."""
    terminal.paste(REPORT_PROMPT)
    terminal.keys("\r")
    terminal.settle(2, 4)
    if "Allow" in terminal.text():
        save(terminal, out, "tool-dialog")
        terminal.keys("\r")
    terminal.until(lambda text: "It is half done" in text, 20, "the report")
    terminal.settle(2, 8)
    save(terminal, out, "report")


def scenes(terminal: Terminal, model: str, out: Path, *, ready: str, reports: bool) -> None:
    """The screens of one session, in the order in which they happen."""
    terminal.until(lambda text: re.search(ready, text) is not None, START_S, "the composer")
    terminal.settle(3, 8)
    if "Do you trust the files" in terminal.text():
        save(terminal, out, "trust")
        terminal.keys("\r")
        terminal.settle(3, 8)
    save(terminal, out, "ready")
    terminal.paste(MAP_PROMPT)
    save(terminal, out, "filled")
    terminal.keys("\r")
    terminal.until(lambda text: "c holds 3 > 2" in text, 20, "the map")
    terminal.settle(2, 8)
    save(terminal, out, "answer")
    terminal.paste(SLOW_PROMPT)
    terminal.keys("\r")
    terminal.settle(1.5, 3)
    save(terminal, out, "busy")
    hold_open(model)
    terminal.until(lambda text: "That took a while" in text, 20, "the slow answer")
    terminal.settle(2, 8)
    save(terminal, out, "answer-after-busy")
    if reports:
        reported(terminal, out)
    terminal.paste(FILE_PROMPT)
    terminal.keys("\r")
    terminal.settle(2.5, 8)
    save(terminal, out, "dialog")
    terminal.keys("\x1b")
    terminal.settle(2, 6)
    save(terminal, out, "after-refusal")


def main() -> None:
    """Records one type."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("type", choices=sorted(SETUPS))
    parser.add_argument(
        "--program", required=True, help="the program, and words before its own arguments"
    )
    parser.add_argument("--model", required=True)
    parser.add_argument(
        "--work", required=True, type=Path, help="an empty folder that may be filled"
    )
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--ready", required=True, help="what is on the screen once input is taken")
    parser.add_argument(
        "--untrusted", action="store_true", help="only the question about the folder"
    )
    given = parser.parse_args()
    cwd = given.work / "place"
    cwd.mkdir(parents=True)
    words, env = SETUPS[given.type](given.work, cwd, given.model, trusted=not given.untrusted)
    base = {
        "PATH": os.environ["PATH"],
        "HOME": str(given.work),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
    }
    terminal = Terminal([*given.program.split(), *words], base | env, cwd)
    terminal.start()
    try:
        if given.untrusted:
            terminal.settle(4, 15)
            save(terminal, given.out, "trust")
        else:
            reports = given.type in {"claude", "codex"}
            scenes(terminal, given.model, given.out, ready=given.ready, reports=reports)
    finally:
        terminal.stop()


if __name__ == "__main__":
    main()
