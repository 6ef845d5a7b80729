"""The editor extension, a JavaScript client that falls back on 404. Source: clients 5."""

import pytest

from tests.clients.editor import Editor, EditorError
from tests.clients.served import Served

pytestmark = pytest.mark.client("Editor extension")


def test_templates_with_their_presets(editor: Editor) -> None:
    """Only templates that run tasks, each with its presets."""
    names = {template["name"]: len(presets) for template, presets in editor.templates()}
    assert names["sized"] == 2
    assert (names["shell"], names["bare"]) == (1, 0)


def test_a_task_from_the_editor(editor: Editor, served: Served) -> None:
    """Create with a preset, list, follow the build and the agent, read, send, pause, resume."""
    template, presets = next(t for t in editor.templates() if t[0]["name"] == "sized")
    task = editor.create(template["active_version_id"], "echo shown", presets[0]["ID"])
    source = editor.log_source(task)
    assert source is not None
    assert "/workspacebuilds/" in source
    lines = editor.follow(source)
    assert all(isinstance(line["id"], int) for line in lines)
    task = served.idle(task["id"])
    source = editor.log_source(task)
    assert source == f"/api/v2/workspaceagents/{task['workspace_agent_id']}/logs?follow=true"
    assert [t["id"] for t in editor.tasks() or []] == [task["id"]]
    assert [e["content"] for e in editor.logs(task["id"])][:1] == ["echo shown"]
    editor.send(task, "echo more")
    served.idle(task["id"])
    served.cli().watch_build(editor.pause(task)["id"])
    paused = editor.task(task["id"])
    with pytest.raises(EditorError, match="paused"):
        editor.send(paused, "echo nobody hears")
    editor.resume(paused)
    assert editor.has_pause


def test_agent_logs_come_in_lists(editor: Editor, served: Served) -> None:
    """Each message of an agent's log is a list of lines."""
    task = served.idle(served.task("echo shown", template="sized")["id"])
    source = editor.log_source(task) or ""
    messages = editor.follow(source, until="getting ready")
    assert messages
    assert all(isinstance(message, list) for message in messages)


def test_filters_with_a_comma(editor: Editor, served: Served) -> None:
    """Two filters come joined by a comma and a blank; the comma is not part of the owner's name."""
    task = served.idle(served.task("echo shown")["id"])
    assert [t["id"] for t in editor.tasks(owner="me", status="active") or []] == [task["id"]]
    assert editor.tasks(owner="me", status="paused") == []


def test_not_ready_is_told_from_failure(editor: Editor, served: Served) -> None:
    """A task that is being built, or paused and still sent to, is `not ready` or `later`, never a failure."""
    task = served.task("echo shown", template="sized")
    served.idle(task["id"])
    build = served.pausing(task["id"])
    with pytest.raises(EditorError, match="not ready"):
        editor.send({**task, "status": "active"}, "echo too late")
    served.goes_on(task["id"])
    served.cli().watch_build(build["id"])
    assert editor.logs(task["id"])


def test_the_older_way_works_too(editor: Editor, served: Served) -> None:
    """A window that once saw a 404 pauses and resumes by builds; the task follows."""
    task = served.idle(served.task("echo shown")["id"])
    editor.has_pause = False
    cli = served.cli()
    cli.watch_build(editor.pause(task)["id"])
    assert editor.task(task["id"])["status"] == "paused"
    cli.watch_build(editor.resume(task)["id"])
    served.idle(task["id"])
