"""What imports find in the archives of versions: row types and one function a statement of sql/template_imports.sql."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.statements import NoRow, statement
from taskyard.wire.enums import ParameterType
from taskyard.wire.templates import Monotonic

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class PresetRow(msgspec.Struct, frozen=True, kw_only=True):
    """A preset; parameters is a JSON array of objects with name and value."""

    id: UUID
    name: str
    description: str
    icon: str
    is_default: bool
    parameters: bytes


class ParameterRow(msgspec.Struct, frozen=True, kw_only=True):
    """A question of a version; options is a JSON array of objects."""

    name: str
    display_name: str
    description: str
    type: ParameterType
    form_type: str
    mutable: bool
    default_value: str
    icon: str
    options: bytes
    validation_error: str | None
    validation_regex: str | None
    validation_min: int | None
    validation_max: int | None
    validation_monotonic: Monotonic | None
    required: bool
    ephemeral: bool


class ImportedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What an import found; definition is the parsed template as JSON."""

    definition: bytes
    has_ai_task: bool
    readme: str
    display_name: str
    description: str
    icon: str
    parameters: list[ParameterRow]
    presets: list[PresetRow]


_PRESETS = statement("template_imports", "list_presets", PresetRow)
_PARAMETERS = statement("template_imports", "list_parameters", ParameterRow)
_RECORD_IMPORT = statement("template_imports", "record_import", NoRow)
_FILL_TEMPLATE = statement("template_imports", "fill_template", NoRow)
_INSERT_PARAMETER = statement("template_imports", "insert_parameter", NoRow)
_INSERT_PRESET = statement("template_imports", "insert_preset", NoRow)


async def list_presets(conn: "Connection", version_id: UUID) -> list[PresetRow]:
    """The presets of a version, in the template's order."""
    return await _PRESETS.many(conn, version_id=version_id)


async def list_parameters(conn: "Connection", version_id: UUID) -> list[ParameterRow]:
    """What a version asks of a workspace, in the template's order."""
    return await _PARAMETERS.many(conn, version_id=version_id)


async def record_import(
    conn: "Connection", version_id: UUID, found: ImportedVersion, now: datetime
) -> None:
    """Writes all that an import found; the template that waits for it gets its texts."""
    await _RECORD_IMPORT.execute(
        conn,
        version_id=version_id,
        definition=found.definition,
        has_ai_task=found.has_ai_task,
        readme=found.readme,
        now=now,
    )
    await _FILL_TEMPLATE.execute(
        conn,
        version_id=version_id,
        display_name=found.display_name,
        description=found.description,
        icon=found.icon,
        now=now,
    )
    await _INSERT_PARAMETER.execute_many(conn, _placed(version_id, found.parameters))
    await _INSERT_PRESET.execute_many(conn, _placed(version_id, found.presets))


def _placed(
    version_id: UUID, rows: "list[ParameterRow] | list[PresetRow]"
) -> list[Mapping[str, object]]:
    return [
        {"version_id": version_id, "ordinal": place, **msgspec.structs.asdict(row)}
        for place, row in enumerate(rows)
    ]
