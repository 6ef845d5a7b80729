"""Templates, their versions, parameters and presets, and the files they come from. Source: S10-S13."""

from enum import StrEnum
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from taskyard.wire.base import Int64, PageNumber, Request, Time
from taskyard.wire.enums import ParameterType
from taskyard.wire.workspaces import MatchedProvisioners, ProvisionerJob, SharingLevel

ACTIVITY_BUMP_MS = 3_600_000
"""How much activity moves a deadline unless the template says so, in milliseconds: one hour (T161)."""


class Provisioner(StrEnum):
    """What a version's author says its archive is made for; the archive itself decides."""

    TERRAFORM = "terraform"
    ECHO = "echo"


class CorsBehavior(StrEnum):
    """Who answers cross-origin questions to an app: the server or the app."""

    SIMPLE = "simple"
    PASSTHRU = "passthru"


class Monotonic(StrEnum):
    """The only direction in which a number parameter may change."""

    INCREASING = "increasing"
    DECREASING = "decreasing"


class TransitionStats(msgspec.Struct, frozen=True, kw_only=True, rename="upper"):
    """How long builds took, in milliseconds: median and 95th percentile, null while unknown."""

    p50: int | None
    p95: int | None


class BuildTimeStats(msgspec.Struct, frozen=True, kw_only=True):
    """How long a template's builds took, by transition."""

    start: TransitionStats
    stop: TransitionStats
    delete: TransitionStats


class AutostopRequirement(msgspec.Struct, frozen=True, kw_only=True):
    """On which days, each how many weeks (at least 1), a workspace must stop."""

    days_of_week: list[str]
    weeks: int


class AutostartRequirement(msgspec.Struct, frozen=True, kw_only=True):
    """On which days a workspace may start by itself; lower-case English names."""

    days_of_week: list[str]


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """What workspaces are made from. Times to live are milliseconds, 0 for none. Source: S10, U10.

    active_user_count is -1 while unknown.
    """

    id: UUID
    created_at: Time
    updated_at: Time
    organization_id: UUID
    organization_name: str
    organization_display_name: str
    organization_icon: str
    name: str
    display_name: str
    provisioner: Provisioner
    active_version_id: UUID
    active_user_count: int
    build_time_stats: BuildTimeStats
    description: str
    deprecated: bool
    deprecation_message: str
    deleted: bool
    icon: str
    default_ttl_ms: int
    activity_bump_ms: int
    autostop_requirement: AutostopRequirement
    autostart_requirement: AutostartRequirement
    created_by_id: UUID
    created_by_name: str
    allow_user_autostart: bool
    allow_user_autostop: bool
    allow_user_cancel_workspace_jobs: bool
    failure_ttl_ms: int
    time_til_dormant_ms: int
    time_til_dormant_autodelete_ms: int
    require_active_version: bool
    max_port_share_level: SharingLevel
    cors_behavior: CorsBehavior
    use_classic_parameter_flow: bool
    disable_module_cache: bool


class MinimalUser(msgspec.Struct, frozen=True, kw_only=True):
    """Who made a version."""

    id: UUID
    username: str
    name: str | UnsetType = UNSET
    avatar_url: str | UnsetType = UNSET


class TemplateVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One archive of a template and the job that reads it. Source: S11, U25.

    template_id is the nil UUID while the version belongs to no template. requires_env is ours: names of secrets that a
    start needs, absent where it needs none; "A|B" where one of them is enough, "A|" where none will do too.
    """

    id: UUID
    template_id: UUID | UnsetType = UNSET
    organization_id: UUID | UnsetType = UNSET
    created_at: Time
    updated_at: Time
    name: str
    message: str
    job: ProvisionerJob
    readme: str
    created_by: MinimalUser
    archived: bool
    warnings: list[str] | UnsetType = UNSET
    matched_provisioners: MatchedProvisioners | UnsetType = UNSET
    has_external_agent: bool
    requires_env: list[str] | UnsetType = UNSET


class ParameterOption(msgspec.Struct, frozen=True, kw_only=True):
    """One value that a parameter may take."""

    name: str
    description: str
    value: str
    icon: str


class TemplateVersionParameter(msgspec.Struct, frozen=True, kw_only=True):
    """Something a template asks when a workspace is made. Source: S12."""

    name: str
    display_name: str | UnsetType = UNSET
    description: str
    description_plaintext: str
    type: ParameterType
    form_type: str
    mutable: bool
    default_value: str
    icon: str
    options: list[ParameterOption]
    validation_error: str | UnsetType = UNSET
    validation_regex: str | UnsetType = UNSET
    validation_min: int | UnsetType = UNSET
    validation_max: int | UnsetType = UNSET
    validation_monotonic: Monotonic | UnsetType = UNSET
    required: bool
    ephemeral: bool


class TemplateVersionVariable(msgspec.Struct, frozen=True, kw_only=True):
    """Something a template asks when it is imported; a sensitive value is shown empty."""

    name: str
    description: str
    type: str
    value: str
    default_value: str
    required: bool
    sensitive: bool


class TemplateVersionExternalAuth(msgspec.Struct, frozen=True, kw_only=True):
    """A foreign service a template wants its user to be signed in to."""

    id: str
    type: str
    display_name: str
    display_icon: str
    authenticate_url: str
    authenticated: bool
    optional: bool | UnsetType = UNSET


class PresetParameter(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A parameter's value in a preset."""

    name: str
    value: str


class Preset(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Parameter values that belong together, under one name. Keys are capitalised. Source: S13, U11.

    desired_prebuild_instances is null where none are wanted.
    """

    id: UUID = msgspec.field(name="ID")
    name: str
    parameters: list[PresetParameter]
    default: bool
    desired_prebuild_instances: int | None
    description: str
    icon: str


class UploadResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The id of a stored file, under the key `hash`. Source: U9."""

    hash: UUID


class TemplateExample(msgspec.Struct, frozen=True, kw_only=True):
    """A template that comes with the server, to start from; markdown is its README."""

    id: str
    url: str
    name: str
    description: str
    icon: str
    tags: list[str]
    markdown: str


class ArchiveVersionsResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions of a template were archived just now."""

    template_id: UUID
    archived_ids: list[UUID]


class GetFileQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How to get an archive: empty for the tar as it is stored, or `zip`."""

    format: str = ""


class ListTemplateVersionsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which page of a template's versions; limit 0 means all of them."""

    include_archived: bool = False
    limit: PageNumber = 0
    offset: PageNumber = 0
    after_id: UUID | None = None


class ListTemplatesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which templates to list. Source: U13."""

    q: str = ""


class AutostopRequest(Request, frozen=True, kw_only=True):
    """On which days workspaces must stop; weeks 0 means 1."""

    days_of_week: list[str] = msgspec.field(default_factory=list)
    weeks: Int64 = 0


class AutostartRequest(Request, frozen=True, kw_only=True):
    """On which days workspaces may start by themselves; none named means never."""

    days_of_week: list[str] = msgspec.field(default_factory=list)


class CreateTemplateRequest(Request, frozen=True, kw_only=True):
    """A new template around a version that has none yet; times to live are in milliseconds."""

    name: str = ""
    template_version_id: UUID | None = None
    display_name: str = ""
    description: str = ""
    icon: str = ""
    default_ttl_ms: Int64 = 0
    activity_bump_ms: Int64 = ACTIVITY_BUMP_MS
    autostop_requirement: AutostopRequest | None = None
    autostart_requirement: AutostartRequest | None = None
    allow_user_cancel_workspace_jobs: bool = False
    allow_user_autostart: bool = True
    allow_user_autostop: bool = True
    failure_ttl_ms: Int64 = 0
    dormant_ttl_ms: Int64 = 0
    delete_ttl_ms: Int64 = 0
    require_active_version: bool = False
    max_port_share_level: str = ""
    disable_everyone_group_access: bool = False
    template_use_classic_parameter_flow: bool = False
    cors_behavior: str = ""


class UpdateTemplateRequest(Request, frozen=True, kw_only=True):
    """What to change of a template; what is absent stays as it is. Times to live are in milliseconds.

    An empty deprecation_message takes the deprecation back.
    """

    name: str | UnsetType = UNSET
    display_name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    icon: str | UnsetType = UNSET
    default_ttl_ms: Int64 | UnsetType = UNSET
    activity_bump_ms: Int64 | UnsetType = UNSET
    autostop_requirement: AutostopRequest | UnsetType = UNSET
    autostart_requirement: AutostartRequest | UnsetType = UNSET
    allow_user_cancel_workspace_jobs: bool | UnsetType = UNSET
    allow_user_autostart: bool | UnsetType = UNSET
    allow_user_autostop: bool | UnsetType = UNSET
    failure_ttl_ms: Int64 | UnsetType = UNSET
    time_til_dormant_ms: Int64 | UnsetType = UNSET
    time_til_dormant_autodelete_ms: Int64 | UnsetType = UNSET
    update_workspace_last_used_at: bool | UnsetType = UNSET
    update_workspace_dormant_at: bool | UnsetType = UNSET
    require_active_version: bool | UnsetType = UNSET
    deprecation_message: str | UnsetType = UNSET
    disable_everyone_group_access: bool | UnsetType = UNSET
    max_port_share_level: str | UnsetType = UNSET
    use_classic_parameter_flow: bool | UnsetType = UNSET
    cors_behavior: str | UnsetType = UNSET
    disable_module_cache: bool | UnsetType = UNSET


class VariableValue(Request, frozen=True, kw_only=True):
    """A value for something a template asks when it is imported."""

    name: str = ""
    value: str = ""


class CreateTemplateVersionRequest(Request, frozen=True, kw_only=True):
    """A new version from an uploaded file or an example; an empty name is made up. Source: U10, U12.

    Words are checked after reading, as fields: storage_method is `file`. tags are kept and shown with the
    import. Templates of ours ask nothing when they are imported: of user_variable_values the names are kept.
    """

    name: str = ""
    message: str = ""
    template_id: UUID | None = None
    storage_method: str = ""
    file_id: UUID | None = None
    example_id: str = ""
    provisioner: str = ""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    user_variable_values: list[VariableValue] = msgspec.field(default_factory=list)


class PromoteTemplateVersionRequest(Request, frozen=True, kw_only=True):
    """The version that new workspaces shall be made from."""

    id: UUID | None = None


class UpdateTemplateVersionRequest(Request, frozen=True, kw_only=True):
    """Another name or message of a version; an empty name, or what is absent, stays as it is."""

    name: str = ""
    message: str | UnsetType = UNSET


class ArchiveVersionsRequest(Request, frozen=True, kw_only=True):
    """Which versions to archive of those that nothing uses: all, or only those whose import failed."""

    all: bool = False
