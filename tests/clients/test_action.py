"""The GitHub action, with its strict reading of every body it gets. Source: clients 3."""

import pytest

from tests.clients.action import Action, ActionFailed, Inputs
from tests.clients.served import Served
from tests.clients.strict import Json
from tests.clients.test_go_cli_tasks import once
from tests.waiting import until

pytestmark = pytest.mark.client("GitHub action")

LIST = "GET /api/experimental/tasks?q=owner%3Aada"
BEGIN = [
    "GET /api/v2/organizations/default/templates/sized",
    "GET /api/v2/templateversions/<id>/presets",
    LIST,
]


@pytest.fixture
def action(served: Served) -> Action:
    """A run of the action with the first user's token."""
    return Action(served.url, token=served.token)


def inputs(**changed: Json) -> Inputs:
    """What a workflow sets."""
    known: Json = {
        "template": "sized",
        "prompt": "echo from an issue",
        "issue": 7,
        "username": "ada",
    }
    return Inputs(**(known | changed))


def test_a_new_issue_makes_a_task(action: Action, served: Served) -> None:
    """Template, presets, list, create: the task is named by prefix and issue, with the default preset."""
    result = action.run(inputs())
    assert (result.how, result.username) == ("created", "ada")
    assert action.script == [*BEGIN, "POST /api/experimental/tasks/ada"]
    task = served.idle(result.task_id)
    assert (task["name"], task["initial_prompt"]) == ("gh-7", "echo from an issue")
    assert chosen_preset(served, task) == "Large"


def test_a_preset_is_chosen_by_name(action: Action, served: Served) -> None:
    """A named preset is looked up by its exact name; an absent one fails the run before it makes a task."""
    result = action.run(inputs(preset="Small"))
    assert chosen_preset(served, served.cli().task_by_id(result.task_id)) == "Small"
    with pytest.raises(ActionFailed):
        action.run(inputs(preset="small", issue=8))
    assert len(served.cli().task_list()) == 1


def test_a_template_without_presets(action: Action) -> None:
    """An empty list of presets is a list, and the key of the preset stays away."""
    assert action.run(inputs(template="bare")).how == "created"


def test_a_known_issue_is_sent_to(action: Action, served: Served) -> None:
    """The task of the same name is watched until it was idle for a while, then it gets the prompt."""
    first = action.run(inputs())
    action.sent.clear()
    second = action.run(inputs(prompt="echo a second comment"))
    assert (second.how, second.task_id) == ("sent", first.task_id)
    watched = "GET /api/experimental/tasks/ada/<id>"
    assert once(action.script) == [*BEGIN, watched, "POST /api/experimental/tasks/ada/<id>/send"]
    served.when(
        first.task_id,
        "the answer",
        lambda _: "a second comment" in str(served.cli().task_logs("me", first.task_id)),
    )


def test_idle_is_stable(action: Action, served: Served) -> None:
    """Once idle, a task that nobody talks to stays idle, and its state is not null while it is active."""
    result = action.run(inputs())
    served.idle(result.task_id)
    action.run(inputs(prompt="echo again"))
    assert all(task["current_state"]["state"] == "idle" for task in action.seen)


def test_a_task_that_went_away_is_made_anew(action: Action, served: Served) -> None:
    """Two 404s in a row, or one on send, mean that the task is gone; a conflict of states is never one."""
    gone = served.task("echo soon gone", name="gh-9")
    served.idle(gone["id"])
    served.cli().task_delete("gh-9")
    assert not action.is_sent(gone, "ada", "echo too late")
    # Until the workspace is gone too, its name is taken. Source: T134.
    until("the name to be free", lambda: True if not served.cli().workspaces("gh-9") else None)
    assert action.run(inputs(issue=9)).how == "created"


def test_a_user_is_found_by_github_number(action: Action, served: Served) -> None:
    """One user with the number, an address that is one, and ids of organizations; nobody fails the run."""
    served.member("octo", github_com_user_id=4711)
    result = action.run(inputs(username="", github_user_id=4711))
    assert result.username == "octo"
    assert action.script[0] == "GET /api/v2/users?q=github_com_user_id%3A4711"
    with pytest.raises(ActionFailed, match="0 users"):
        action.run(inputs(username="", github_user_id=4712))


def test_a_bad_prefix_shows_as_the_create_of_it(action: Action) -> None:
    """The name is built without cleaning, so the server refuses it with 400."""
    with pytest.raises(ActionFailed) as refused:
        action.run(inputs(prefix="Not_A_Prefix"))
    assert refused.value.status == 400


def test_a_list_with_tasks_in_all_states_is_valid(action: Action, served: Served) -> None:
    """One bad task fails the run for all: pending, active, pausing and paused ones are read side by side."""
    paused = served.task("echo 1", name="one")
    pausing = served.task("echo 2", name="two", template="sized")
    for task in (paused, pausing):
        served.idle(task["id"])
    served.paused(paused["id"])
    build = served.pausing(pausing["id"])
    served.task("echo 3", name="three")
    assert action.task_named("ada", "one")["status"] == "paused"
    assert action.task_named("ada", "absent") is None
    served.goes_on(pausing["id"])
    served.cli().watch_build(build["id"])


def chosen_preset(served: Served, task: Json) -> str:
    """The name of the preset that a task's workspace was built with."""
    cli = served.cli()
    preset_id = cli.workspace(task["workspace_id"])["latest_build"]["template_version_preset_id"]
    presets = cli.presets(task["template_version_id"])
    return next(str(p["Name"]) for p in presets if p["ID"] == preset_id)
