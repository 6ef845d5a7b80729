"""Which secrets a workspace gets, and which names secrets may have."""

import pytest

from taskyard.lifecycle.secret_names import (
    MAX_NAME_CHARS,
    MAX_VALUE_BYTES,
    SecretOwner,
    choose_secrets,
    missing_sentence,
    requirement_problem,
    secret_name_problem,
    secret_value_problem,
)

USER, ORGANIZATION, TEMPLATE = SecretOwner.USER, SecretOwner.ORGANIZATION, SecretOwner.TEMPLATE


def chosen(requires: list[str], *, provided: str = "", **owned: str) -> tuple[str, list[str]]:
    """What is given as `NAME=owner` by name, and what is missing."""
    sets = {SecretOwner(owner): set(names.split()) for owner, names in owned.items()}
    choice = choose_secrets(requires, set(provided.split()), sets)
    given = " ".join(f"{name}={owner}" for name, owner in sorted(choice.given.items()))
    return given, list(choice.missing)


def test_a_template_gets_no_more_of_a_person_than_it_names() -> None:
    """Of a user and an organization only what is asked for is given, of a template all."""
    owned = {"user": "KEY OTHER", "organization": "KEY SHARED", "template": "OWN KEY"}
    assert chosen([], **owned) == ("KEY=template OWN=template", [])
    assert chosen(["KEY"], **owned) == ("KEY=user OWN=template", [])


@pytest.mark.parametrize(
    ("owned", "given"),
    [
        ({"user": "A", "organization": "A", "template": "A"}, "A=user"),
        ({"organization": "A", "template": "A"}, "A=organization"),
        ({"template": "A"}, "A=template"),
        ({"user": "B", "organization": "A"}, "B=user"),
        ({"user": "A B"}, "A=user"),
        ({"user": "B", "template": "A"}, "B=user"),
        ({"template": "A B"}, "A=template"),
    ],
)
def test_an_entry_is_met_by_one_secret(owned: dict[str, str], given: str) -> None:
    """The user's goes first, then the organization's, then the template's; of one owner the first name."""
    assert chosen(["A|B"], **owned) == (given, [])


def test_what_nobody_has_is_missing() -> None:
    """An entry without a secret is told, unless it may stay without or the template's environment has it."""
    assert chosen(["A", "B|C", "D|"]) == ("", ["A", "B|C"])
    assert chosen(["A|B"], provided="B", user="A") == ("", [])
    sentence = missing_sentence(["B|C", "A"])
    assert "B or C, A" in sentence
    assert "taskyard secrets set B" in sentence


def test_who_pushes_comes_with_the_token() -> None:
    """GIT_USERNAME is taken from whoever the token is of, and from nobody else."""
    assert chosen(["GIT_TOKEN"], user="GIT_TOKEN", template="GIT_USERNAME") == (
        "GIT_TOKEN=user",
        [],
    )
    assert chosen([], template="GIT_TOKEN GIT_USERNAME", user="GIT_USERNAME") == (
        "GIT_TOKEN=template GIT_USERNAME=template",
        [],
    )
    assert requirement_problem("GIT_USERNAME") is not None


@pytest.mark.parametrize(
    "name",
    [
        *("", "1A", "A-B", "A B", "Ä", "A" * (MAX_NAME_CHARS + 1), "A\n"),
        *("TASKYARD_X", "HOME", "PATH", "LD_PRELOAD", "PYTHONPATH", "NODE_OPTIONS", "BASH_ENV"),
        *("GIT_SSH_COMMAND", "GIT_ASKPASS", "https_proxy", "HTTP_PROXY", "SSL_CERT_FILE", "IFS"),
    ],
)
def test_names_that_would_change_a_workspace_are_refused(name: str) -> None:
    """A secret is named like a variable, and never like one that decides how programs run."""
    assert secret_name_problem(name)


@pytest.mark.parametrize(
    "name",
    [
        *("ANTHROPIC_API_KEY", "GITHUB_TOKEN", "GIT_TOKEN", "GIT_USERNAME", "NODE_AUTH_TOKEN"),
        *("_x", "A" * MAX_NAME_CHARS, "PYTHON_KEYRING_PASSWORD"),
    ],
)
def test_names_that_programs_ask_for_are_taken(name: str) -> None:
    """What real programs look for can be set."""
    assert secret_name_problem(name) is None


def test_values_fit_into_an_environment() -> None:
    """A value is some text without NUL, up to the limit, to the byte."""
    assert secret_value_problem("ä" * (MAX_VALUE_BYTES // 2)) is None
    for value in ("", "ä" * (MAX_VALUE_BYTES // 2) + "a", "a\0b", "\ud800"):
        assert secret_value_problem(value)


@pytest.mark.parametrize("entry", ["", "|", "A|1", "A | PATH", "A,B"])
def test_entries_that_name_nothing_are_refused(entry: str) -> None:
    """An entry of requires_env has names of secrets with bars between."""
    assert requirement_problem(entry)
