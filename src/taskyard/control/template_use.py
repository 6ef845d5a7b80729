"""Whether workspaces can be made of a template version, and with which parameter values."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.control.actors import Actor
from taskyard.control.viewers import viewer_for
from taskyard.db import workspaces as db
from taskyard.db.templates import hold_template_of
from taskyard.db.workspaces import VersionRow
from taskyard.errors import ParametersInvalid, RequestRefused
from taskyard.errors.templates import TemplateDeleted, VersionArchived, VersionImporting
from taskyard.lifecycle.job import is_active
from taskyard.lifecycle.parameter import check_change, validate_parameters
from taskyard.lifecycle.permissions import Verb
from taskyard.lifecycle.template_model import Template
from taskyard.wire.enums import JobStatus

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class _PresetValue(msgspec.Struct):
    name: str
    value: str


async def get_version(conn: "Connection", actor: Actor, version_id: UUID | None) -> VersionRow:
    """A version that the actor may use; raises RequestRefused when it is absent or not visible.

    Until the transaction ends nobody deletes its template or archives it.
    """
    version = None
    if version_id is not None:
        await hold_template_of(conn, version_id)
        viewer = viewer_for(actor, Verb.TEMPLATE_READ)
        version = await db.get_version(conn, viewer, version_id)
    if version is None:
        raise RequestRefused(
            "template_version_not_found",
            "This template version does not exist, or you may not see it.",
            "Give the active_version_id of a template in template_version_id.",
        )
    return version


def check_template(version: VersionRow) -> None:
    """Nothing when new workspaces may be made of the version's template. Source: tasks-api 8.2 rows 9-12.

    Raises TemplateDeleted, RequestRefused, VersionArchived.
    """
    if version.template_id is None or version.template_name is None:
        raise RequestRefused(
            "template_version_unattached",
            "This template version belongs to no template.",
            "Make a template of it first.",
        )
    if version.template_deleted:
        raise TemplateDeleted(version.template_name)
    if version.deprecation_message:
        raise RequestRefused(
            "template_deprecated",
            f"The template {version.template_name} is deprecated; nothing new is made of it.",
            version.deprecation_message,
        )
    if version.archived:
        raise VersionArchived


def check_import(version: VersionRow) -> Template:
    """The template that the version is; raises VersionImporting, RequestRefused when it has none."""
    if is_active(version.import_status):
        raise VersionImporting(version.import_status)
    if version.import_status is not JobStatus.SUCCEEDED or version.definition is None:
        raise RequestRefused(
            "template_version_broken",
            f"The import of this template version {_ended(version.import_status)}.",
            "See the log of the import, and choose another version.",
        )
    return msgspec.json.decode(version.definition, type=Template)


async def preset_parameters(
    conn: "Connection", version_id: UUID, preset_id: UUID | None
) -> dict[str, str]:
    """The values of a preset, none without one; raises RequestRefused for a preset of another version."""
    if preset_id is None:
        return {}
    preset = await db.get_preset(conn, version_id, preset_id)
    if preset is None:
        raise RequestRefused(
            "preset_not_found",
            "This template version has no such preset.",
            "List the presets of the version and give the ID of one of them.",
        )
    values = msgspec.json.decode(preset.parameters, type=list[_PresetValue])
    return {entry.name: entry.value for entry in values}


def parameter_values(
    template: Template, given: Mapping[str, str], before: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A value for each parameter of the template: given ones, else those of before, else defaults.

    before: the values of the build before, null for a first one; what the template no longer asks
    is left out, and what is asked anew each time starts from its default. Raises ParametersInvalid.
    """
    kept = before or {}
    known = {p.name: p for p in template.parameters}
    old = {
        name: value for name, value in kept.items() if name in known and not known[name].ephemeral
    }
    values = validate_parameters(template.parameters, {**old, **given})
    if isinstance(values, list):
        raise ParametersInvalid([(violation.name, violation.sentence) for violation in values])
    changes = [
        (name, violation.sentence)
        for name, value in values.items()
        if name in old and (violation := check_change(known[name], old[name], value))
    ]
    if changes:
        raise ParametersInvalid(changes)
    return values


def _ended(status: JobStatus) -> str:
    return "was canceled" if status is JobStatus.CANCELED else "failed"
