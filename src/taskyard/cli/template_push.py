"""`taskyard templates init` and `taskyard templates push`."""

import importlib.resources
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import click

from taskyard.cli.archive import pack
from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import find_organization
from taskyard.cli.output import confirm, note, plain
from taskyard.cli.unconfined import warn_if_unconfined
from taskyard.cli.watch import watch_import
from taskyard.lifecycle.names import name_violation
from taskyard.sdk import ApiError, Client
from taskyard.wire.templates import (
    CreateTemplateRequest,
    CreateTemplateVersionRequest,
    PromoteTemplateVersionRequest,
    Provisioner,
    Template,
    TemplateVersion,
)

MANIFEST: Final = "taskyard.toml"

STARTERS: Final = (
    *("shell", "claude", "codex", "opencode", "gemini", "copilot", "aider"),
    "custom",
)
"""The templates that come along, to start from: the folders below taskyard/starters."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "starter",
    type=click.Choice(STARTERS),
    default=STARTERS[0],
    help="shell runs every message in bash; custom runs a server of yours; the others run the coding agent "
    "of that name. Default: shell.",
)
def init(folder: Path, starter: str) -> Status:
    """Write a template to start from into a new FOLDER, whose name becomes its name."""
    _check_name(folder.resolve().name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Failure(
            f"{folder} is there already; nothing was written.",
            hint="Name a folder that does not exist yet.",
        )
    with importlib.resources.as_file(importlib.resources.files("taskyard") / "starters") as kept:
        shutil.copytree(
            kept / starter,
            folder,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    print(f"Wrote the template {starter} into {folder}.")
    note(f"\nEdit {folder / MANIFEST}, then: taskyard templates push {folder}")
    return None


@dataclass(frozen=True, slots=True)
class Push:
    """What is pushed where; template is None when it is new."""

    organization_id: UUID
    name: str
    template: Template | None
    version: str
    message: str


@click.command()
@click.argument(
    "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path()
)
@click.option("--name", help="The template. Default: the folder's name.")
@click.option("--version", "version", default="", help="The version's name. Default: made up.")
@click.option("-m", "--message", default="", help="What changed.")
@click.option(
    "--activate/--no-activate",
    default=True,
    help="Whether new tasks use the version at once. Default: they do.",
)
@click.option(
    "-O",
    "--org",
    "organization",
    envvar=["TASKYARD_ORGANIZATION", "CODER_ORGANIZATION"],
    help="Name or id. Default: your default one.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@signed_in
def push(
    client: Client,
    *,
    folder: Path,
    name: str | None,
    version: str,
    message: str,
    activate: bool,
    organization: str | None,
    yes: bool,
) -> Status:
    """Import FOLDER as a new version of a template; a template that is not there yet is made."""
    if not (folder / MANIFEST).is_file():
        hint = f"Write one to start from: taskyard templates init {name or 'my-template'}"
        raise Failure(f"{folder} has no {MANIFEST}, so it is no template.", hint=hint)
    name = name or folder.resolve().name
    _check_name(name)
    organization_id = find_organization(client, organization).id
    plan = Push(organization_id, name, _existing(client, organization_id, name), version, message)
    warn_if_unconfined(client)
    what = "a new version of" if plan.template else "the new template"
    confirm(f"Push {folder} as {what} {name}?", yes=yes)
    made = _import(client, plan, pack(folder))
    print(_use(client, plan, made, activate=activate))
    if plan.template is None or activate:
        note(f'\nTo use it: taskyard task create --template {name} "..."')
    return None


def _check_name(name: str) -> None:
    """Nothing for a name that templates may have; raises UsageError."""
    if name_violation(name) is not None:
        raise click.UsageError(
            f"{name!r} cannot be a template's name: letters, digits and single hyphens, "
            "at most 32, and not new or create."
        )


def _existing(client: Client, organization_id: UUID, name: str) -> Template | None:
    try:
        return client.get_organization_template(organization_id, name)
    except ApiError as error:
        if error.status != 404:
            raise
        return None


def _import(client: Client, plan: Push, archive: bytes) -> TemplateVersion:
    """The imported version. Raises Failure with what the import found wrong."""
    file_id = client.upload_file(archive).hash
    version = client.create_template_version(
        plan.organization_id,
        CreateTemplateVersionRequest(
            name=plan.version,
            message=plan.message,
            template_id=plan.template.id if plan.template else None,
            storage_method="file",
            file_id=file_id,
            provisioner=Provisioner.TERRAFORM,
        ),
    )
    watch_import(client, version, f"importing {plan.name} ({plain(version.name)})")
    for warning in client.get_template_version(version.id).warnings or []:
        note(f"warning: {warning}")
    return version


def _use(client: Client, plan: Push, version: TemplateVersion, *, activate: bool) -> str:
    """Makes the template, or its new tasks use the version; what was done, in a sentence."""
    label = plain(version.name)
    if plan.template is None:
        client.create_template(
            plan.organization_id,
            CreateTemplateRequest(name=plan.name, template_version_id=version.id),
        )
        return f"Template {plan.name} was made with version {label}."
    if not activate:
        return f"Template {plan.name} has the new version {label}; new tasks do not use it yet."
    client.promote_template_version(plan.template.id, PromoteTemplateVersionRequest(id=version.id))
    return f"Template {plan.name} uses version {label} now."
