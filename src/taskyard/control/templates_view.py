"""Templates and their versions as the wire shows them: pure functions of rows."""

import msgspec
from msgspec import UNSET

from taskyard.control.build_view import job_view, matched_provisioners
from taskyard.db.templates import ParameterRow, PresetRow, TemplateRow, VersionRow
from taskyard.wire import templates as wire
from taskyard.wire.base import NIL_UUID, unless_empty
from taskyard.wire.workspaces import JobMetadata, SharingLevel

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
"""The days on which a workspace may start by itself: all of them. Source: S10."""


class PresetValue(msgspec.Struct, frozen=True):
    """A parameter's value as presets store it."""

    name: str
    value: str


class StoredOption(msgspec.Struct, frozen=True):
    """One value that a parameter may take, as parameters store it."""

    name: str
    description: str
    value: str
    icon: str


def template_view(row: TemplateRow) -> wire.Template:
    """A template; what this server does not vary is what clients take for the usual. Source: S10."""
    unknown = wire.TransitionStats(p50=None, p95=None)
    return wire.Template(
        id=row.id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        organization_id=row.organization_id,
        organization_name=row.organization_name,
        organization_display_name=row.organization_display_name,
        organization_icon=row.organization_icon,
        name=row.name,
        display_name=row.display_name,
        provisioner=row.provisioner,
        active_version_id=row.active_version_id,
        active_user_count=row.active_user_count,
        build_time_stats=wire.BuildTimeStats(start=unknown, stop=unknown, delete=unknown),
        description=row.description,
        deprecated=bool(row.deprecation_message),
        deprecation_message=row.deprecation_message,
        deleted=row.deleted,
        icon=row.icon,
        default_ttl_ms=row.default_ttl_ms,
        activity_bump_ms=row.activity_bump_ms,
        autostop_requirement=wire.AutostopRequirement(days_of_week=[], weeks=1),
        autostart_requirement=wire.AutostartRequirement(days_of_week=list(WEEKDAYS)),
        created_by_id=row.created_by,
        created_by_name=row.created_by_name,
        allow_user_autostart=row.allow_user_autostart,
        allow_user_autostop=row.allow_user_autostop,
        allow_user_cancel_workspace_jobs=row.allow_user_cancel_workspace_jobs,
        failure_ttl_ms=row.failure_ttl_ms,
        time_til_dormant_ms=row.dormant_ttl_ms,
        time_til_dormant_autodelete_ms=row.delete_ttl_ms,
        require_active_version=row.require_active_version,
        max_port_share_level=SharingLevel.OWNER,
        cors_behavior=wire.CorsBehavior.SIMPLE,
        use_classic_parameter_flow=False,
        disable_module_cache=False,
    )


def version_view(row: VersionRow) -> wire.TemplateVersion:
    """A version with its import job. Source: S11."""
    job = row.job
    metadata = JobMetadata(
        template_version_name=row.name,
        template_id=row.template_id or NIL_UUID,
        template_name=row.template_name or "",
        template_display_name=row.template_display_name or "",
        template_icon=row.template_icon or "",
    )
    return wire.TemplateVersion(
        id=row.id,
        template_id=row.template_id or NIL_UUID,
        organization_id=row.organization_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        name=row.name,
        message=row.message,
        job=job_view(job, metadata),
        readme=row.readme,
        created_by=wire.MinimalUser(
            id=row.created_by,
            username=row.created_by_username,
            name=unless_empty(row.created_by_name),
            avatar_url=unless_empty(row.created_by_avatar_url),
        ),
        archived=row.archived,
        warnings=unless_empty(msgspec.json.decode(row.warnings, type=list[str])),
        matched_provisioners=matched_provisioners(job),
        has_external_agent=False,
    )


def preset_view(row: PresetRow) -> wire.Preset:
    """A preset. Source: S13, U11."""
    values = msgspec.json.decode(row.parameters, type=list[PresetValue])
    return wire.Preset(
        id=row.id,
        name=row.name,
        parameters=[wire.PresetParameter(name=each.name, value=each.value) for each in values],
        default=row.is_default,
        desired_prebuild_instances=None,
        description=row.description,
        icon=row.icon,
    )


def parameter_view(row: ParameterRow) -> wire.TemplateVersionParameter:
    """What a version asks. Source: S12."""
    options = msgspec.json.decode(row.options, type=list[StoredOption])
    return wire.TemplateVersionParameter(
        name=row.name,
        display_name=unless_empty(row.display_name),
        description=row.description,
        description_plaintext=row.description,
        type=row.type,
        form_type=row.form_type,
        mutable=row.mutable,
        default_value=row.default_value,
        icon=row.icon,
        options=[
            wire.ParameterOption(
                name=each.name, description=each.description, value=each.value, icon=each.icon
            )
            for each in options
        ],
        validation_error=unless_empty(row.validation_error),
        validation_regex=unless_empty(row.validation_regex),
        # 0 is a limit like any other.
        validation_min=UNSET if row.validation_min is None else row.validation_min,
        validation_max=UNSET if row.validation_max is None else row.validation_max,
        validation_monotonic=unless_empty(row.validation_monotonic),
        required=row.required,
        ephemeral=row.ephemeral,
    )
