"""The coding agents that tests run, as they are installed, and what each needs to talk to our model."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from taskyard_agent.agent_types import CONFINED
from tests.agents.model.server import Model
from tests.agents.programs.installed import programs

KEY = "sk-scripted-0123456789abcdef"
"""What programs send as their key; the model takes any."""

MODULES = "node_modules"
SCREEN = "@anthropic-ai/claude-agent-sdk-linux-x64/claude"
"""Claude Code itself, as it comes with its adapter."""

CODEX_CONFIG = """\
model = "scripted"
model_provider = "scripted"
approval_policy = "{approval}"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
[analytics]
enabled = false
[features]
daemon_auto_start = false
[model_providers.scripted]
name = "scripted"
base_url = "{url}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
[projects."{home}"]
trust_level = "trusted"
"""
"""How Codex is set up: its own sandbox is off, as it is in a workspace of ours."""

ESCALATE = (
    'tool: exec_command {"cmd": "COMMAND", "sandbox_permissions": "require_escalated", '
    '"justification": "the test wants it"}'
)
"""How the model makes Codex ask, where a command alone does not."""


@dataclass(frozen=True, slots=True)
class Program:
    """A coding agent.

    title: as people know it. package: that of the lock, whose version counts. type: as a template names it. asks_by: the line of a
    script that runs COMMAND and makes the program ask first. goes_on: the turn goes on after a refusal.
    process: a word of its own process's command line. vendor: the host that its template lists. base: behind the model's address. command_line: what its
    template needs in [agent] beside the type. setup: words of its start script, and what stands there instead. transport: as a template
    names it.
    """

    name: str
    title: str
    package: str
    type: str
    argv: Callable[[Path], list[str]]
    prepare: Callable[[Path, Model], dict[str, str]]
    asks_by: str
    goes_on: bool
    process: str
    vendor: str
    base: str = ""
    command_line: str = ""
    setup: tuple[str, str] = ("set -eu", "set -eu")
    transport: str = "acp"

    @property
    def has_screen(self) -> bool:
        """Whether it is talked to through its screen, where people answer what it asks by keys."""
        return self.transport == "pty"

    def command(self) -> list[str]:
        """How it is started."""
        return self.argv(programs() / MODULES)

    def version(self) -> str:
        """That which is installed."""
        manifest = programs() / MODULES / self.package / "package.json"
        return str(json.loads(manifest.read_text(encoding="utf-8"))["version"])

    def asking(self, command: str) -> str:
        """A line of a script that runs a command for which the program asks."""
        return self.asks_by.replace("COMMAND", command)


def _claude_env(home: Path, model: Model) -> dict[str, str]:
    return {
        "ANTHROPIC_BASE_URL": model.url,
        "ANTHROPIC_API_KEY": KEY,
        "CLAUDE_CONFIG_DIR": str(home / ".claude"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "IS_SANDBOX": "1",
    }


def _claude_screen_env(home: Path, model: Model) -> dict[str, str]:
    """Its screen asks for nothing that the starter's script has answered."""
    starter = Path(str(files("taskyard") / "starters" / "claude" / "setup.py"))
    said = {"HOME": str(home), "PATH": os.environ["PATH"], "ANTHROPIC_API_KEY": KEY}
    subprocess.run([sys.executable, str(starter)], env=said, check=True)
    return {
        "ANTHROPIC_BASE_URL": model.url,
        "ANTHROPIC_API_KEY": KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def _codex_env(approval: str) -> Callable[[Path, Model], dict[str, str]]:
    def prepare(home: Path, model: Model) -> dict[str, str]:
        folder = home / ".codex"
        folder.mkdir(exist_ok=True)
        config = CODEX_CONFIG.format(approval=approval, url=model.url, home=home)
        (folder / "config.toml").write_text(config, encoding="utf-8")
        return {"CODEX_HOME": str(folder), "OPENAI_API_KEY": KEY, "NO_BROWSER": "1"}

    return prepare


CLAUDE = Program(
    name="claude-agent-acp",
    title="Claude Code",
    package="@agentclientprotocol/claude-agent-acp",
    type="claude",
    argv=lambda modules: [str(modules / ".bin" / "claude-agent-acp")],
    prepare=_claude_env,
    asks_by="shell: COMMAND",
    goes_on=True,
    process="claude-agent-acp",
    vendor="api.anthropic.com",
)
CODEX = Program(
    name="codex-acp",
    title="Codex",
    package="@agentclientprotocol/codex-acp",
    type="codex",
    argv=lambda modules: ["node", str(modules / "@agentclientprotocol/codex-acp/dist/index.js")],
    prepare=_codex_env("on-request"),
    asks_by=ESCALATE,
    goes_on=False,
    process="bin/codex-acp",
    vendor="api.openai.com",
    base="/v1",
)
CODEX_RUST = Program(
    name="codex-acp (Rust)",
    title="Codex, older adapter",
    package="@zed-industries/codex-acp",
    type="codex",
    argv=lambda modules: [str(modules / "@zed-industries/codex-acp-linux-x64/bin/codex-acp")],
    prepare=_codex_env("untrusted"),
    asks_by="shell: COMMAND",
    goes_on=False,
    process="codex-acp-linux-x64",
    vendor="api.openai.com",
    base="/v1",
    command_line='transport = "acp"\ncommand = ["codex-acp-linux-x64"]',
    # This one asks about nothing else, where no sandbox of its own is in the way; the other refuses the word.
    setup=('approval_policy = "on-request"', 'approval_policy = "untrusted"'),
)
CLAUDE_SCREEN = replace(
    CLAUDE,
    name="claude (screen)",
    title="Claude Code, its screen",
    package="@anthropic-ai/claude-agent-sdk-linux-x64",
    argv=lambda modules: [str(modules / SCREEN)],
    prepare=_claude_screen_env,
    process="claude-agent-sdk-linux-x64/claude",
    command_line=f'transport = "pty"\ncommand = ["/opt/programs/1/{MODULES}/{SCREEN}"]',
    transport="pty",
)
ACP = (CLAUDE, CODEX, CODEX_RUST)
ALL = (*ACP, CLAUDE_SCREEN)


def environment(program: Program, home: Path, model: Model, *, confined: bool) -> Mapping[str, str]:
    """The whole environment of a program: nothing of the person who runs the tests.

    confined: it is told that it needs no sandbox of its own.
    """
    said = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    return said | ({CONFINED: "1"} if confined else {}) | program.prepare(home, model)
