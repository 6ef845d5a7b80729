"""The rules of each type on its recorded screens, and files of rules that are given by hand."""

import re
import tomllib
from pathlib import Path

import pytest

from taskyard_agent.agent_types import TYPES
from taskyard_agent.bridge.terminal_tidy import TITLE_CHARS, question
from taskyard_agent.terminal.rule_file import FOLDER, patterns_of, shipped
from taskyard_agent.terminal.rules import RulesInvalid, rules_of
from tests.agents.recorded import TYPES as RECORDED
from tests.agents.recorded import named, recorded

UNRECORDED = ("goose", "amp", "auggie", "cursor", "amazonq")
"""Types that nobody could record: they have the rules of every client, and no others."""

DIALOGS = named("dialog", "tool-dialog", "trust")

QUESTIONS = {
    ("aider", "trust"): "Add .aider* to .gitignore (recommended)?",
    ("claude", "dialog"): "Do you want to create hello.py?",
    ("claude", "trust"): "Quick safety check: Is this a project you created or one you trust?",
    ("codex", "dialog"): "Would you like to run the following command?",
    ("codex", "tool-dialog"): 'Allow the Coder MCP server to run tool "coder_report_task"?',
    ("copilot", "dialog"): "Do you want to run this command?",
    ("copilot", "trust"): "Do you trust the files in this folder?",
    ("gemini", "dialog"): "Allow execution of [Shell]?",
    ("gemini", "trust"): "Do you trust the files in this folder?",
    ("opencode", "dialog"): "Permission required",
}
"""What each recorded dialog asks; nothing that was said or typed before it."""

WAITING = named("ready", "answer", "answer-after-busy", "report", "after-refusal")

PROMPT = "Draw me the map of this place, please."

MOVES = {
    "aider": ("█░ ", "░█ "),
    "claude": ("✶ Musing…", "✢ Pondering… (4s · 8 tokens)"),
    "codex": (r"• Working \(2s", "◦ Working (3s"),
    "copilot": ("○ Working", "◉ Working"),
    "gemini": (r"⠦ Thinking... \(esc to cancel, 2s", "⠏ Thinking... (esc to cancel, 3s"),
    "opencode": ("■⬝", "■■"),
}
"""What ticks on the screen of each type while it works, and what it looks like a moment later."""


@pytest.mark.parametrize(("kind", "name"), [*WAITING, *named("filled", "busy")])
def test_A36_ready_screens(kind: str, name: str) -> None:
    """A program that shows its input box has been seen ready."""
    assert rules_of(kind).ready(recorded(kind, name).text)


@pytest.mark.parametrize(("kind", "name"), DIALOGS)
def test_A36_N30_a_question_is_not_ready(kind: str, name: str) -> None:
    """While a question is open, keys would answer it: no prompt may be typed."""
    assert not rules_of(kind).ready(recorded(kind, name).text)


@pytest.mark.parametrize("kind", [*RECORDED, *UNRECORDED, "custom"])
@pytest.mark.parametrize("screen", ["", "\n\n", "$ ", "Loading the program\n\n  one moment"])
def test_A36_not_ready(kind: str, screen: str) -> None:
    """An empty screen, a plain one and a shell's prompt are no input box."""
    assert not rules_of(kind).ready(screen)


def test_A36_ready_is_what_the_box_rule_cuts() -> None:
    """Any prompt near the end of the screen will do for a program that nobody wrote rules for."""
    for kind in ("custom", "goose", "shell", "never heard of"):
        assert rules_of(kind).ready("Hello.\n> ")
        assert not rules_of(kind).ready("Hello.\n" + "> \n" + "x\n" * 6)


def test_N31_only_custom_programs_are_ready_by_standing_still() -> None:
    """A program with a known box waits for it; one without is ready when it stands still."""
    assert rules_of("custom").ready_when_still
    assert rules_of("shell").ready_when_still
    assert not any(rules_of(kind).ready_when_still for kind in (*RECORDED, *UNRECORDED))


def test_N31_a_pattern_makes_ready(tmp_path: Path) -> None:
    """A pattern of the file is enough, wherever it is on the screen."""
    path = tmp_path / "mine.toml"
    path.write_text("[ready]\npattern = '^type here:'\n")
    rules = rules_of("custom", path)
    assert rules.ready("Welcome\ntype here: \n\nfooter")
    assert not rules.ready("Welcome, do not type here: yet")


@pytest.mark.parametrize(("kind", "name"), named("busy"))
def test_N29_busy_screens(kind: str, name: str) -> None:
    """A sign of work is found on the screen of every recorded type, and in the title where it has one."""
    screen, rules = recorded(kind, name), rules_of(kind)
    assert rules.busy_marker(screen.text) is True
    assert rules.busy(screen.text, screen.title) is True
    assert rules.busy_title(screen.title) is (
        True if kind in {"claude", "codex", "gemini"} else None
    )


@pytest.mark.parametrize(("kind", "name"), WAITING)
def test_N29_waiting_screens(kind: str, name: str) -> None:
    """A composer and no sign of work is evidence of rest."""
    screen, rules = recorded(kind, name), rules_of(kind)
    assert rules.busy_marker(screen.text) is False
    assert rules.busy(screen.text, screen.title) is False
    assert rules.busy_title(screen.title) is (False if kind in {"claude", "gemini"} else None)


@pytest.mark.parametrize("kind", ["custom", *UNRECORDED])
def test_N29_types_without_signs_say_nothing(kind: str) -> None:
    """Where no sign is known there is no evidence, either way: two still seconds decide."""
    assert rules_of(kind).busy("Working (esc to interrupt)\n> ", "⠋ working") is None


@pytest.mark.parametrize("kind", RECORDED)
def test_N29_words_in_an_answer_are_no_sign_of_work(kind: str) -> None:
    """What the agent writes about its own signs does not hold the status."""
    screen, rules = recorded(kind, "answer").text, rules_of(kind)
    said = screen.replace("Here is the map:", "Press esc to interrupt, (esc to cancel) Working")
    assert said != screen
    assert rules.busy_marker(said) is False


@pytest.mark.parametrize("kind", RECORDED)
def test_N29_what_moves_while_it_works_is_not_counted(kind: str) -> None:
    """A spinner or a clock that ticks is no change of the screen; an answer is."""
    rules = rules_of(kind)
    screen = recorded(kind, "busy").text
    later, times = re.subn(*MOVES[kind], screen)
    assert times == 1
    assert later != screen
    assert rules.steady(later) == rules.steady(screen) != ""
    assert rules.steady(recorded(kind, "answer-after-busy").text) != rules.steady(screen)


@pytest.mark.parametrize(("kind", "name"), DIALOGS)
def test_N30_questions_are_seen(kind: str, name: str) -> None:
    """A question is recognised from the screen alone, and its excerpt has what can be chosen."""
    screen, rules = recorded(kind, name), rules_of(kind)
    excerpt = rules.dialog(screen.text)
    assert excerpt is not None
    assert any(
        word in excerpt for word in ("1. Yes", "1. Allow", "1. Trust", "Allow once", "(Y)es")
    )
    assert rules.busy_marker(screen.text) is None
    assert rules.composer_empty(screen.text, screen.cursor) is None
    assert rules.composer_text(screen.text) is None


@pytest.mark.parametrize(("kind", "name"), DIALOGS)
def test_N30_a_question_is_named_by_what_it_asks(kind: str, name: str) -> None:
    """Its title is the question itself, without a sign, a frame, or what stands above it."""
    screen = recorded(kind, name)
    assert question(str(rules_of(kind).dialog(screen.text, screen.title))) == QUESTIONS[kind, name]


@pytest.mark.parametrize(
    ("excerpt", "title"),
    [
        ("Hello! I am ready.\n> edit\n\nEdit x.py?\n> 1. Yes\n  2. No", "Edit x.py?"),
        ("\u203a Is it done?\n\n  Choose a model\n\n\u203a 1. Big\n  2. Small", "Choose a model"),
        ("1. First do this?\n2. Then that.\n\nPick one:\n  1. A\n\u276f 2. B", "Pick one:"),
        ("Run this?\n$ ls what?\n\u276f 1. Yes", "Run this?"),
        ("\u2026\n\u2500\u2500", "The coding agent asks something."),
        ("", "The coding agent asks something."),
        ("1. Yes\n2. No", "The coding agent asks something."),
        ("one\ntwo", "one"),
        ("x" * 300, "x" * TITLE_CHARS),
    ],
)
def test_N30_titles_of_other_questions(excerpt: str, title: str) -> None:
    """The nearest question above the choices, else the nearest text; without choices the first text."""
    assert question(excerpt) == title


@pytest.mark.parametrize(("kind", "name"), [*WAITING, *named("filled", "busy")])
def test_N30_no_question(kind: str, name: str) -> None:
    """Screens without a question have none, whatever their title."""
    screen = recorded(kind, name)
    assert rules_of(kind).dialog(screen.text, screen.title) is None


@pytest.mark.parametrize("kind", RECORDED)
def test_N30_a_list_that_was_said_or_typed_is_no_question(kind: str) -> None:
    """Numbered choices in an answer or in the composer do not stop the next prompt."""
    rules = rules_of(kind)
    answer = recorded(kind, "answer").text
    listed = answer.replace("Here is the map:", "\u276f 1. Yes").replace("a -> b", "  2. No")
    assert rules.dialog(listed) is None
    typed = recorded(kind, "filled").text.replace(PROMPT, "1. Yes, do it")
    assert rules.dialog(typed) is None
    assert rules.composer_text(typed) == "1. Yes, do it"


@pytest.mark.parametrize("kind", ["codex", "gemini"])
def test_N30_a_title_asks_too(kind: str) -> None:
    """Where the window's title says that an answer is wanted, the last rows are the excerpt."""
    title = recorded(kind, "dialog").title
    assert rules_of(kind).dialog("one\ntwo\n\n", title) == "one\ntwo"


@pytest.mark.parametrize(("kind", "name"), [*WAITING, *named("busy")])
def test_N32_an_empty_composer_is_seen(kind: str, name: str) -> None:
    """Nothing is typed, a hint does not count; aider has no composer while it works."""
    screen, rules = recorded(kind, name), rules_of(kind)
    expected = None if (kind, name) == ("aider", "busy") else True
    assert rules.composer_empty(screen.text, screen.cursor) is expected
    assert rules.composer_empty(screen.text) is expected


@pytest.mark.parametrize("kind", RECORDED)
def test_N32_what_was_typed_is_seen(kind: str) -> None:
    """The composer holds the prompt until Enter, and says so."""
    screen, rules = recorded(kind, "filled"), rules_of(kind)
    assert rules.composer_empty(screen.text, screen.cursor) is False
    assert rules.composer_text(screen.text) == PROMPT


def test_N32_a_hint_is_told_by_the_cursor() -> None:
    """A hint that no pattern knows is told from typed text by the cursor before it."""
    rules = rules_of("codex")
    screen = recorded("codex", "ready")
    other = screen.text.replace("Ask Codex to do anything", "Explain this folder")
    assert rules.composer_empty(other, screen.cursor) is True
    assert rules.composer_empty(other) is False


@pytest.mark.parametrize("kind", RECORDED)
def test_N32_a_prompt_of_several_lines_is_seen(kind: str) -> None:
    """All lines of a prompt belong to the composer, so an empty last one is not taken for all of it."""
    rules, screen = rules_of(kind), recorded(kind, "filled").text
    row = next(row for row in screen.split("\n") if PROMPT in row)
    lead = {"opencode": row[: row.index(PROMPT)], "gemini": "   ", "aider": ""}.get(kind, "  ")
    typed = screen.replace(row, f"{row}\n{lead}and of that one")
    assert rules.composer_text(typed) is not None
    assert "and of that one" in str(rules.composer_text(typed))
    assert rules.composer_empty(typed) is False


def test_N35_every_type_has_a_file_or_the_fallback() -> None:
    """Each known type but the shell has its own file, every file belongs to a type, and all can be read."""
    files = {path.stem for path in FOLDER.glob("*.toml")}
    assert files == set(TYPES) - {"shell"}
    for kind in files:
        assert shipped(kind) == shipped(kind)
    assert shipped("shell") == shipped("custom")


@pytest.mark.parametrize("kind", UNRECORDED)
def test_N35_what_nobody_recorded_is_not_made_up(kind: str) -> None:
    """These have a box rule and the frame of an echo, and not one pattern."""
    assert patterns_of(shipped(kind)) == []
    assert set(tomllib.loads((FOLDER / f"{kind}.toml").read_text())) <= {"box", "echo"}


def test_N35_a_file_replaces_ours(tmp_path: Path) -> None:
    """With a file of one's own, none of ours is left for that type."""
    path = tmp_path / "mine.toml"
    path.write_text("[busy]\nabove = ['^BUSY$']\n[screen]\nvolatile = ['clock .*']\n")
    rules = rules_of("claude", path)
    assert rules.busy_marker("BUSY") is True
    assert rules.busy_marker(recorded("claude", "busy").text) is None
    assert rules.clean("a\nclock 12:30\nb", "") == "a\nb"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[busy]\nabvoe = ['x']", "`busy.abvoe`"),
        ("[noise]\nx = 1", "`noise`"),
        ("[busy]\nabove = 'x'", "`busy.above`"),
        ("[busy]\nabove = [1]", "`busy.above[0]`"),
        ("[echo]\nmore = 'x'", "`echo.more`"),
        ("[dialog]\npatterns = ['a', '(']", "`dialog.patterns[1]`"),
        ("[composer]\npattern = '> .*'", "`text`"),
        ("[box]\nrule = 'round'", "`box.rule` is `round`"),
        ("[[tools]]\nend = ['x']", "`start`"),
        ("[[tools]]\nstart = ['[']", "`tools[0].start[0]`"),
        ("[hide]\nstart = '{name}('", "`hide.start`"),
        ("busy", "not TOML"),
    ],
)
def test_N35_a_wrong_file_is_told_by_its_key(tmp_path: Path, text: str, key: str) -> None:
    """What is wrong with a file of rules is one sentence that names the file and the key."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(RulesInvalid) as told:
        rules_of("custom", path)
    assert key in str(told.value)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def test_N35_a_missing_file_is_told(tmp_path: Path) -> None:
    """So is a file that is not there."""
    with pytest.raises(RulesInvalid, match="cannot be read"):
        rules_of("custom", tmp_path / "none.toml")
