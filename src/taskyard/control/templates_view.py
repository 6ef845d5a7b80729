"""Templates and their versions as the wire shows them: pure functions of rows."""

import msgspec
from msgspec import UNSET

from taskyard.control.build_view import job_view
from taskyard.db.template_imports import ParameterRow, PresetRow
from taskyard.db.templates import TemplateRow, VersionRow
from taskyard.wire import templates as wire
from taskyard.wire.base import NIL_UUID, unless_empty
from taskyard.wire.enums import Transition
from taskyard.wire.workspaces import JobMetadata, MatchedProvisioners


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
    """A template. Source: S10."""
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
        build_time_stats=_build_times(row),
        description=row.description,
        deprecated=bool(row.deprecation_message),
        deprecation_message=row.deprecation_message,
        deleted=row.deleted,
        icon=row.icon,
        default_ttl_ms=row.default_ttl_ms,
        activity_bump_ms=row.activity_bump_ms,
        autostop_requirement=wire.AutostopRequirement(
            days_of_week=row.autostop_days, weeks=row.autostop_weeks
        ),
        autostart_requirement=wire.AutostartRequirement(days_of_week=row.autostart_days),
        created_by_id=row.created_by,
        created_by_name=row.created_by_name,
        allow_user_autostart=row.allow_user_autostart,
        allow_user_autostop=row.allow_user_autostop,
        allow_user_cancel_workspace_jobs=row.allow_user_cancel_workspace_jobs,
        failure_ttl_ms=row.failure_ttl_ms,
        time_til_dormant_ms=row.dormant_ttl_ms,
        time_til_dormant_autodelete_ms=row.delete_ttl_ms,
        require_active_version=row.require_active_version,
        max_port_share_level=row.max_port_share_level,
        cors_behavior=row.cors_behavior,
        use_classic_parameter_flow=row.use_classic_parameter_flow,
        disable_module_cache=row.disable_module_cache,
    )


def _build_times(row: TemplateRow) -> wire.BuildTimeStats:
    """How long builds took; null for a transition that none succeeded of."""
    known = msgspec.json.decode(row.build_times, type=dict[Transition, tuple[int, int]])

    def stats(transition: Transition) -> wire.TransitionStats:
        p50, p95 = known.get(transition, (None, None))
        return wire.TransitionStats(p50=p50, p95=p95)

    return wire.BuildTimeStats(
        start=stats(Transition.START),
        stop=stats(Transition.STOP),
        delete=stats(Transition.DELETE),
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
        warnings=unless_empty(_warnings(row)),
        matched_provisioners=MatchedProvisioners(
            count=row.workers_count,
            available=row.workers_available,
            most_recently_seen=row.workers_seen_at,
        ),
        has_external_agent=False,
        requires_env=unless_empty(msgspec.json.decode(row.requires_env or b"[]", type=list[str])),
    )


def _warnings(row: VersionRow) -> list[str]:
    found = msgspec.json.decode(row.warnings, type=list[str])
    if row.variable_names:
        names = ", ".join(row.variable_names)
        found.append(f"user_variable_values are not used: no template asks for {names} here.")
    return found


def variable_views(row: VersionRow) -> list[wire.TemplateVersionVariable]:
    """What a version's author gave values for; templates of ours ask nothing, so the values are not kept."""
    return [
        wire.TemplateVersionVariable(
            name=name,
            description="",
            type="string",
            value="",
            default_value="",
            required=False,
            sensitive=True,
        )
        for name in row.variable_names
    ]


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
