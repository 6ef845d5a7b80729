"""Which repository a workspace is given, and which addresses and branches are taken."""

import msgspec
import pytest

from taskyard.lifecycle.repository import (
    RepositoryPlan,
    branch_problem,
    folder_of,
    plan_repository,
    url_problem,
)
from taskyard.lifecycle.template import Template, TemplateInvalid, parse_template

URL = "https://example.com/team/project.git"


def parsed(workspace: str = "", task: str = "") -> Template:
    """A template with these lines."""
    toml = f'[task]\napp = "agent"\n{task}\n[agent]\ntype = "shell"\n[workspace]\n{workspace}\n'
    return parse_template({"taskyard.toml": toml.encode()})


def test_parameters_go_before_the_template() -> None:
    """Whoever makes the task says which repository and branch, where the template has parameters of those names."""
    template = parsed(f'repo = "{URL}"\nbranch = "main"')
    plan = plan_repository(template, {}, "fix-it")
    assert plan == RepositoryPlan(URL, "main", "taskyard/fix-it", "project")
    given = {"repo": "http://host:8080/other", "branch": "release/2", "colour": "red"}
    plan = plan_repository(template, given, "fix-it")
    assert plan == RepositoryPlan("http://host:8080/other", "release/2", "taskyard/fix-it", "other")
    assert plan_repository(template, {"repo": "", "branch": ""}, "w") == plan_repository(
        template, {}, "w"
    )
    assert plan_repository(parsed(), {}, "w") is None
    with pytest.raises(ValueError, match="https://"):
        plan_repository(template, {"repo": "file:///etc"}, "w")


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc", "ssh://host/x", "git@host:x", "ext::sh -c id", "/etc", "--upload-pack=x"),
        *(
            "https://user:s3cr3t@host/x",
            "https://token@host/x",
            "https:///x",
            "https://host",
            "http://host/",
        ),
        *("https://host:99999/x", "https://host/x?y", "https://host/x#y", "https://host/a b"),
        *("https://host/\n", f"https://host/{'a' * 3000}", "https://[host/x"),
    ],
)
def test_other_addresses_are_refused_at_import(url: str) -> None:
    """Only https and http are cloned, and nobody's password is in an address, nor repeated in an error."""
    assert url_problem(url)
    with pytest.raises(TemplateInvalid) as refused:
        parsed(f"repo = {msgspec.json.encode(url).decode()}")
    assert refused.value.problems[0].key == "workspace.repo"
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    "branch",
    [
        "-x",
        "a b",
        "a..b",
        "a//b",
        "/a",
        "a/",
        "a.lock",
        ".a",
        "x/.a",
        "@",
        "a@{b",
        "a~1",
        "a:b",
        "a\\b",
        "x" * 300,
        "a.",
    ],
)
def test_what_git_takes_for_something_else_is_no_branch(branch: str) -> None:
    """The name of a branch is never read as an option, a range or a path."""
    assert branch_problem(branch)


@pytest.mark.parametrize("branch", ["main", "release/1.2", "a", "fix_#12", "user@host"])
def test_branches_that_people_have(branch: str) -> None:
    """Usual names are taken."""
    assert branch_problem(branch) is None


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("https://h/a/b.git", "b"),
        ("https://h/a/b/", "b"),
        ("https://h/..", "repository"),
        ("https://h/.ssh", "repository"),
        ("https://h/-x", "repository"),
        ("https://h/a%20b", "repository"),
    ],
)
def test_the_folder_is_always_the_same_and_never_hidden(url: str, folder: str) -> None:
    """The folder follows from the address alone, stays in the home and hides nothing of it."""
    assert folder_of(url) == folder


def test_requires_env_is_read_and_checked() -> None:
    """Entries are kept in order; each bad one is a problem of that key."""
    assert parsed(task='requires_env = ["A|B", "GIT_TOKEN|"]').requires_env == ["A|B", "GIT_TOKEN|"]
    assert parsed(task="requires_env = []").requires_env == []
    with pytest.raises(TemplateInvalid) as refused:
        parsed(task='requires_env = ["PATH", "1"]')
    assert [problem.key for problem in refused.value.problems] == ["task.requires_env"] * 2


def test_documents_of_older_releases_still_load() -> None:
    """A stored template without the new keys has no repository and needs nothing."""
    document = msgspec.to_builtins(parsed(f'repo = "{URL}"', 'requires_env = ["A"]'))
    del document["requires_env"], document["workspace"]["repo"], document["workspace"]["branch"]
    old = msgspec.convert(document, Template)
    assert (old.requires_env, old.workspace.repo, old.workspace.branch) == ([], None, None)
