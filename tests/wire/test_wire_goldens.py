"""Bodies as they stand on the wire, each in its own file, read and written again to the byte."""

import json
import types
import typing
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from taskyard.wire import (
    apps,
    audit,
    base,
    identity,
    network,
    phases,
    repository,
    secrets,
    tasks,
    templates,
    transcript,
    workspaces,
)
from taskyard.wire import workspace_details as details
from tests.contract import shapes

GOLDENS = Path(__file__).parent / "goldens"


@dataclass(frozen=True, slots=True)
class Golden:
    """A file of goldens/, the type it holds, and the facts of the contract that it shows."""

    name: str
    kind: object
    source: str


ALL = [
    Golden("response", base.Response, "S1, T9"),
    Golden("response_invalid", base.Response, "S1"),
    Golden("task_active", tasks.Task, "T10, T11, T12"),
    Golden("task_without_workspace", tasks.Task, "T10, T11, T12"),
    Golden("task_list", tasks.TasksListResponse, "T10, T13"),
    Golden("task_list_empty", tasks.TasksListResponse, "T13"),
    Golden("task_list_queued", tasks.TasksListResponse, "ours"),
    Golden("task_logs_live", tasks.TaskLogsResponse, "T100"),
    Golden("task_logs_no_snapshot", tasks.TaskLogsResponse, "T101"),
    Golden("task_logs_snapshot", tasks.TaskLogsResponse, "T102"),
    Golden("queued_prompt", tasks.QueuedPrompt, "ours"),
    Golden("queued_prompt_paused", tasks.QueuedPrompt, "ours"),
    Golden("task_prompt", tasks.TaskPrompt, "ours"),
    Golden("task_prompts", tasks.TaskPromptsResponse, "ours"),
    Golden("task_in_error", tasks.Task, "ours"),
    Golden("task_phases", phases.TaskPhasesResponse, "ours"),
    Golden("task_network", network.TaskNetworkResponse, "ours"),
    Golden("task_transcript", transcript.TaskTranscript, "ours"),
    Golden("task_permissions", tasks.TaskPermissionsResponse, "N11"),
    Golden("pause_response", tasks.PauseTaskResponse, "T110, T119, S2"),
    Golden("resume_response", tasks.ResumeTaskResponse, "T113, T119, S2"),
    Golden("retry_response", tasks.RetryTaskResponse, "ours"),
    Golden("build_pausing", workspaces.WorkspaceBuild, "S2, T110"),
    Golden("build_running", workspaces.WorkspaceBuild, "S2, S3, S5, S6, S7, C2"),
    Golden("build_plain", workspaces.WorkspaceBuild, "S2, C3"),
    Golden("build_parameter", workspaces.WorkspaceBuildParameter, "S2"),
    Golden("job_pending", workspaces.ProvisionerJob, "S3"),
    Golden("job_failed_import", workspaces.ProvisionerJob, "S3"),
    Golden("job_log", workspaces.ProvisionerJobLog, "S4, U24"),
    Golden("resource", workspaces.WorkspaceResource, "S5"),
    Golden("resource_without_agents", workspaces.WorkspaceResource, "S5"),
    Golden("agent_lost", workspaces.WorkspaceAgent, "S6"),
    Golden("agent_well", workspaces.WorkspaceAgent, "S6, C2"),
    Golden("agent_log", workspaces.WorkspaceAgentLog, "S6, U24"),
    Golden("app_reporting", workspaces.WorkspaceApp, "S7, S8, T81"),
    Golden("app_unprobed", workspaces.WorkspaceApp, "S7, T77"),
    Golden("workspace", workspaces.Workspace, "S9, T22"),
    Golden("workspaces_page", workspaces.WorkspacesResponse, "S9"),
    Golden("build_timings", details.WorkspaceBuildTimings, "supporting-api 10 row 75"),
    Golden("listening_ports", details.ListeningPorts, "supporting-api 11 row 79"),
    Golden("watch_ping", details.WatchEvent, "U23"),
    Golden("watch_data", details.WatchEvent, "U23"),
    Golden("template", templates.Template, "S10, U10"),
    Golden("version_attached", templates.TemplateVersion, "S11, U25"),
    Golden("version_bare", templates.TemplateVersion, "S11"),
    Golden("parameters", list[templates.TemplateVersionParameter], "S12"),
    Golden("presets", list[templates.Preset], "S13"),
    Golden("presets_none", list[templates.Preset], "S13, U11"),
    Golden("template_examples", list[templates.TemplateExample], "wire 12"),
    Golden("versions_archived", templates.ArchiveVersionsResponse, "supporting-api 8"),
    Golden("variables", list[templates.TemplateVersionVariable], "S11"),
    Golden("external_auth", list[templates.TemplateVersionExternalAuth], "S11"),
    Golden("uploaded", templates.UploadResponse, "U9"),
    Golden("user", identity.User, "S14"),
    Golden("audit_page", audit.AuditLogsResponse, "ours"),
    Golden("users_page", identity.UsersResponse, "S14, U7"),
    Golden("organization", identity.Organization, "S15"),
    Golden("organization_limited", identity.Organization, "S15"),
    Golden("members", list[identity.MemberWithUserData], "S15"),
    Golden("member", identity.OrganizationMember, "S15"),
    Golden("members_page", identity.PaginatedMembersResponse, "supporting-api 5 row 30"),
    Golden("user_roles", identity.UserRoles, "supporting-api 3 row 16"),
    Golden("git_ssh_key", identity.GitSSHKey, "wire 12"),
    Golden("api_key", identity.APIKey, "S16"),
    Golden("api_keys", list[identity.APIKey], "S16"),
    Golden("key_made", identity.CreateKeyResponse, "U5"),
    Golden("session_made", identity.LoginResponse, "U4"),
    Golden("first_user_made", identity.CreateFirstUserResponse, "U2"),
    Golden("token_config", identity.TokenConfig, "S16"),
    Golden("auth_methods", identity.AuthMethods, "U4"),
    Golden("auth_methods_with_terms", identity.AuthMethods, "U4"),
    Golden("secrets", list[secrets.Secret], "ours"),
    Golden("task_diff", repository.TaskDiff, "ours"),
    Golden("task_pushed", repository.TaskPushed, "ours"),
    Golden("app_ticket", apps.AppTicket, "ours"),
    Golden("build_info", identity.BuildInfo, "U1"),
    Golden("build_info_webpush", identity.BuildInfo, "U1"),
    Golden("build_info_unconfined", identity.BuildInfo, "U1"),
]


def read(golden: Golden) -> object:
    """The body in a golden's file."""
    return msgspec.json.decode(text(golden), type=golden.kind)


def text(golden: Golden) -> bytes:
    """The golden's file, without the line break at its end."""
    return (GOLDENS / f"{golden.name}.json").read_bytes().removesuffix(b"\n")


def shape_of(kind: object) -> str:
    """The name of a type in the tables of the contract."""
    if typing.get_origin(kind) is list:
        return f"[{shape_of(typing.get_args(kind)[0])}]"
    assert isinstance(kind, type)
    return kind.__name__


def structs(value: object) -> list[msgspec.Struct]:
    """Every struct inside a value, itself included."""
    if isinstance(value, msgspec.Struct):
        inner = [getattr(value, name) for name in value.__struct_fields__]
        return [value, *(found for item in inner for found in structs(item))]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for item in items for found in structs(item)]


def output_models(module: types.ModuleType) -> list[type[msgspec.Struct]]:
    """The structs that a module defines for response bodies."""
    return [
        found
        for name, found in vars(module).items()
        if isinstance(found, type)
        and issubclass(found, msgspec.Struct)
        and not issubclass(found, base.Request)
        and found.__module__ == module.__name__
        and not name.endswith("Query")
    ]


MODELS = [m for module in (base, tasks, workspaces, details, templates, identity, secrets, repository) for m in output_models(module)]  # fmt: skip


@pytest.mark.parametrize("golden", ALL, ids=lambda golden: golden.name)
def test_golden_round_trip(golden: Golden) -> None:
    """A golden, read as its type and written again, is the same to the byte: names, order, nulls, left-out keys."""
    assert msgspec.json.format(base.encode(read(golden)), indent=2) == text(golden)


@pytest.mark.parametrize("golden", ALL, ids=lambda golden: golden.name)
def test_golden_has_its_shape(golden: Golden) -> None:
    """A golden has exactly the keys and types that the contract's tables give it. Source: S1-S16, tasks-api 4."""
    shapes.check(json.loads(text(golden)), shape_of(golden.kind))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_output_models_have_the_keys_of_the_tables(model: type[msgspec.Struct]) -> None:
    """A response's type and the contract's table of it name the same keys, and let the same ones be left out."""
    table = shapes.shapes()[model.__name__]
    fields = msgspec.structs.fields(model)
    assert {f.encode_name: not f.required for f in fields} == {
        key.name: key.optional for key in table.values()
    }


def test_every_golden_is_listed() -> None:
    """Each file of goldens/ is read by exactly one test, and names its sources."""
    assert sorted(golden.name for golden in ALL) == sorted(p.stem for p in GOLDENS.glob("*.json"))
    assert all(golden.source for golden in ALL)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_goldens_show_every_key(model: type[msgspec.Struct]) -> None:
    """Some golden has each key of each output model, and some golden goes without each key that may be left out."""
    seen = [found for golden in ALL for found in structs(read(golden)) if type(found) is model]
    for field in msgspec.structs.fields(model):
        values = [getattr(found, field.name) for found in seen]
        assert any(value is not msgspec.UNSET for value in values), f"no golden has {field.name}"
        if not field.required:
            assert any(value is msgspec.UNSET for value in values), f"each has {field.name}"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_output_models_have_no_defaults(model: type[msgspec.Struct]) -> None:
    """Every field of a response must be given on purpose; only a key that may be left out starts as such."""
    for field in msgspec.structs.fields(model):
        assert field.default in (msgspec.NODEFAULT, msgspec.UNSET), field.name
        assert field.default_factory is msgspec.NODEFAULT, field.name
