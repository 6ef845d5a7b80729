"""`taskyard task create`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure, as_failure
from taskyard.cli.find import find_organization, finding, full_name, input_of
from taskyard.cli.output import at, note, plain
from taskyard.cli.parameters import parameter_option, parameter_values
from taskyard.cli.task_phases import follow_start
from taskyard.cli.unconfined import warn_if_unconfined
from taskyard.sdk import ApiError, Client
from taskyard.wire.tasks import CreateTaskRequest
from taskyard.wire.templates import Template

NO_PRESET = "none"
"""The word for --preset that means: none at all."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which template a task is made from; None means: find out."""

    template: str | None
    version: str | None
    preset: str | None
    organization: str | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a task is made from; no preset_id means no preset."""

    template: str
    version_id: UUID
    preset_id: UUID | None


@click.command()
@click.argument("text", metavar="[INPUT]", required=False)
@click.option("--stdin", is_flag=True, help="Read the input from stdin.")
@click.option("--name", default="", help="Default: made from the input.")
@click.option("--owner", default="me", help="Whose task it shall be. Default: yours.")
@click.option(
    "--template",
    envvar=["TASKYARD_TASK_TEMPLATE_NAME", "CODER_TASK_TEMPLATE_NAME"],
    help="What it runs in. Not needed where there is only one.",
)
@click.option(
    "--template-version",
    "version",
    envvar=["TASKYARD_TASK_TEMPLATE_VERSION", "CODER_TASK_TEMPLATE_VERSION"],
    help="Default: the active version.",
)
@click.option(
    "--preset",
    envvar=["TASKYARD_TASK_PRESET_NAME", "CODER_TASK_PRESET_NAME"],
    help="Named parameter values of the template; `none` for none. Default: its default one.",
)
@parameter_option
@click.option(
    "-O",
    "--org",
    "organization",
    envvar=["TASKYARD_ORGANIZATION", "CODER_ORGANIZATION"],
    help="Name or id. Default: your default one.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only the id of the task, at once.")
@click.option("--no-wait", is_flag=True, help="Return as soon as the task was made.")
@signed_in
def create(
    client: Client,
    *,
    text: str | None,
    stdin: bool,
    name: str,
    owner: str,
    parameters: tuple[str, ...],
    quiet: bool,
    no_wait: bool,
    **rest: str | None,
) -> Status:
    """Give a coding agent INPUT to work on, in a workspace of its own.

    Shows how its start goes until it is usable; Ctrl-C leaves it starting. A task that has to wait in the queue
    is not waited for.
    """
    given = input_of(text, stdin=stdin)
    values = parameter_values(parameters)
    chosen = choose(client, Wanted(**rest))
    request = CreateTaskRequest(
        template_version_id=chosen.version_id,
        template_version_preset_id=chosen.preset_id,
        input=given,
        name=name,
        rich_parameter_values=values,
    )
    with _refused(chosen), finding("user", owner, "To see whom there is: taskyard users list"):
        task = client.create_task(owner, request)
    if quiet:
        print(task.id)
        return None
    warn_if_unconfined(client)
    print(f"Task {full_name(task)} was made at {at(task.created_at)}.", flush=True)
    if not no_wait and not follow_start(client, task):
        note(
            f"It waits in the queue and starts by itself. To see how: taskyard task phases {full_name(task)}"
        )
    note(f"\nTo see what it does: taskyard task logs -f {plain(task.name)}")
    return None


@contextmanager
def _refused(chosen: Chosen) -> Iterator[None]:
    """Says of refused parameter values where a task takes them from. Raises Failure."""
    try:
        yield
    except ApiError as error:
        if error.reason != "invalid_parameters":
            raise
        hint = (
            "A task takes them from --parameter NAME=VALUE, else from a --preset:"
            f" taskyard templates presets {plain(chosen.template)}"
        )
        refusal = as_failure(error)
        raise Failure(refusal.message, hint=hint, lines=refusal.lines) from error


def choose(client: Client, wanted: Wanted) -> Chosen:
    """The version and preset that are meant. Raises Failure, which names what there is."""
    organization = find_organization(client, wanted.organization)
    template: Template | None = None
    name = wanted.template
    if not name:
        template = _only_template(client, organization.id)
        name = template.name
    try:
        if wanted.version:
            version_id = client.get_organization_template_version(
                organization.id, name, wanted.version
            ).id
        else:
            template = template or client.get_organization_template(organization.id, name)
            version_id = template.active_version_id
    except ApiError as error:
        if error.status != 404:
            raise
        what = f"version {wanted.version!r} of template" if wanted.version else "template"
        shown = f"versions {plain(name)}" if wanted.version else "list"
        hint = f"To see what there is: taskyard templates {shown}"
        raise Failure(f"there is no {what} {name!r} that you may use.", hint=hint) from error
    return Chosen(name, version_id, _preset(client, version_id, wanted.preset))


def _only_template(client: Client, organization_id: UUID) -> Template:
    """The one template that runs tasks. Raises Failure when there is none, or a choice."""
    found = client.list_templates(f'organization:"{organization_id}" has-ai-task:true')
    match found:
        case [template]:
            return template
        case []:
            raise Failure(
                "this server has no template that runs tasks yet.",
                hint="Write and push one: taskyard templates init my-template",
            )
        case _:
            names = ", ".join(sorted(plain(template.name) for template in found))
            raise Failure(f"say which template to use with --template; there are: {names}.")


def _preset(client: Client, version_id: UUID, name: str | None) -> UUID | None:
    """The preset of that name; without a name the default one, if there is one. Raises Failure."""
    if name == NO_PRESET:
        return None
    presets = client.list_presets(version_id)
    if not name:
        return next((preset.id for preset in presets if preset.default), None)
    for preset in presets:
        if preset.name == name:
            return preset.id
    names = ", ".join(plain(preset.name) for preset in presets)
    has = f"it has: {names}" if names else "it has no presets"
    raise Failure(f"the template has no preset {name!r}; {has}.")
