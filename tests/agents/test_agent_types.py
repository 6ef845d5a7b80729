"""What is known of each coding agent: words, commands, resume words, modes."""

import pytest

from taskyard_agent.agent_types import (
    TYPES,
    canonical,
    guess,
    how_to_get,
    kind_of,
)
from taskyard_agent.settings import CONFINED

UPSTREAM = (
    "claude",
    "goose",
    "aider",
    "codex",
    "gemini",
    "copilot",
    "amp",
    "auggie",
    "cursor",
    "opencode",
    "custom",
)


@pytest.mark.parametrize("word", UPSTREAM)
def test_words_of_the_same_name(word: str) -> None:
    """Every upstream type is called by its own name, as `--type` and as first word."""
    assert canonical(word) == word
    assert guess([word, "--flag"]) == word


@pytest.mark.parametrize(
    ("word", "name"), [("cursor-agent", "cursor"), ("q", "amazonq"), ("amazonq", "amazonq")]
)
def test_other_spellings(word: str, name: str) -> None:
    """Cursor and Amazon Q have second spellings."""
    assert canonical(word) == name
    assert guess([word]) == name


@pytest.mark.parametrize("word", ["", "Claude", "claude ", "/usr/bin/claude", "vim"])
def test_a_word_is_meant_exactly(word: str) -> None:
    """A word that is none of them means no type: the caller refuses it."""
    assert canonical(word) is None


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["/usr/bin/claude"], "claude"),
        (["/opt/x/codex", "--model", "y"], "codex"),
        (["/opt/x/q", "chat"], "amazonq"),
        (["claude-agent-acp"], "claude"),
        (["/n/bin/codex-acp"], "codex"),
        (["bash", "-c", "claude"], "custom"),
        (["python", "-m", "x"], "custom"),
        ([], "custom"),
    ],
)
def test_D12_a_full_path_is_known_by_its_base_name(argv: list[str], name: str) -> None:
    """`/usr/bin/claude` is claude; any other program is custom."""
    assert guess(argv) == name


def test_N1_known_acp_commands() -> None:
    """The types that have an ACP command, and those that have a screen only."""
    assert TYPES["claude"].acp == ("claude-agent-acp",)
    assert TYPES["codex"].acp == ("codex-acp",)
    assert TYPES["gemini"].acp_commands() == (
        ("gemini", "--acp"),
        ("gemini", "--experimental-acp"),
    )
    assert TYPES["opencode"].acp == ("opencode", "acp")
    assert {name for name, kind in TYPES.items() if kind.acp is None} == {
        "aider",
        "amp",
        "amazonq",
        "custom",
    }
    assert all(kind.pty for name, kind in TYPES.items() if name != "custom")


@pytest.mark.parametrize(
    ("name", "first", "resumed", "newest"),
    [
        ("claude", ("--session-id", "U"), ("--resume", "S"), ("--continue",)),
        ("codex", (), ("resume", "S"), ("resume", "--last")),
        ("opencode", (), ("--session", "S"), ("--continue",)),
        ("gemini", (), ("--resume", "S"), ("--resume", "latest")),
        ("goose", (), ("--resume",), ("--resume",)),
        ("aider", (), ("--restore-chat-history",), ("--restore-chat-history",)),
        ("amp", (), (), ()),
    ],
)
def test_N17_words_that_resume(
    name: str, first: tuple[str, ...], resumed: tuple[str, ...], newest: tuple[str, ...]
) -> None:
    """A session on a screen goes on by the words of its type, with an id or without one."""
    kind = TYPES[name]
    assert kind.first_pty("U") == first
    assert kind.resume_pty("S") == resumed
    assert kind.resume_pty(None) == newest
    assert kind.restores == bool(newest)


def test_a_sandbox_is_off_only_where_ours_confines() -> None:
    """Codex gets full access with everything allowed in a confined workspace, and nowhere else."""
    codex = TYPES["codex"]
    inside = {CONFINED: "1"}
    assert codex.modes("allow", inside)[0] == "agent-full-access"
    assert codex.start_env("allow", inside) == {"INITIAL_AGENT_MODE": "agent-full-access"}
    for permissions, env in [("ask", inside), ("deny", inside), ("allow", {}), ("ask", {})]:
        assert codex.modes(permissions, env) == ("workspace-write",)
        assert codex.start_env(permissions, env) == {"INITIAL_AGENT_MODE": "workspace-write"}


def test_a_template_names_a_mode() -> None:
    """A mode that the template names is taken, unless it opens what must stay shut."""
    codex = TYPES["codex"]
    env = {"INITIAL_AGENT_MODE": "read-only"}
    assert codex.modes("ask", env)[0] == "read-only"
    for word in ("agent-full-access", "full-access"):
        env = {"INITIAL_AGENT_MODE": word}
        assert codex.modes("allow", env) == ("workspace-write",)
        assert codex.modes("allow", env | {CONFINED: "1"})[0] == word


def test_nobody_else_is_given_more_than_asking() -> None:
    """Claude's mode without questions is never asked for: our policy answers them."""
    for name in set(TYPES) - {"codex"}:
        assert TYPES[name].free == ()
    assert TYPES["claude"].modes("allow", {CONFINED: "1"}) == ("default",)


def test_keys_and_how_to_get_it() -> None:
    """Each says how to get it, and which of several variables it needs."""
    assert all(kind.install for kind in TYPES.values())
    assert how_to_get("/x/codex-acp") == TYPES["codex"].install
    assert "npm install" in TYPES["claude"].install
    assert how_to_get("python") is None
    assert how_to_get("vim") is None
    assert not TYPES["codex"].has_key({})
    assert TYPES["codex"].has_key({"OPENAI_API_KEY": "x"})
    assert not TYPES["codex"].has_key({"OPENAI_API_KEY": ""})
    assert TYPES["shell"].has_key({})


def test_a_name_that_is_not_known() -> None:
    """An unknown name is treated as a program of the user's own."""
    assert kind_of("from-the-future") is TYPES["custom"]
    assert kind_of("codex") is TYPES["codex"]


def test_N1_how_to_get_the_program_that_was_looked_for() -> None:
    """A program with a screen is named with its own package, that which speaks ACP with that one."""
    for program, package in (("claude", "@anthropic-ai/claude-code"), ("codex", "@openai/codex")):
        assert how_to_get(program) == f"`{program}` not found: npm install -g {package}"
    assert (how_to_get("claude-agent-acp") or "").startswith("`claude-agent-acp` not found")
