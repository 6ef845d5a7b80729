"""Users, organizations, API keys, signing in, and what a server says of itself. Source: S14-S16."""

from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from taskyard.wire.base import Int64, PageNumber, Request, Time
from taskyard.wire.enums import LoginType, UserStatus


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may do: on the whole site, or in the organization that is named."""

    name: str
    display_name: str
    organization_id: UUID | UnsetType = UNSET


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person or a program with an account. Source: S14.

    max_running is ours: how many of their workspaces may run at once, where they have a limit of their own.
    """

    id: UUID
    username: str
    name: str | UnsetType = UNSET
    avatar_url: str | UnsetType = UNSET
    email: str
    created_at: Time
    updated_at: Time
    last_seen_at: Time
    status: UserStatus
    login_type: LoginType
    is_service_account: bool | UnsetType = UNSET
    theme_preference: str | UnsetType = UNSET
    organization_ids: list[UUID]
    roles: list[Role]
    has_ai_seat: bool
    max_running: int | UnsetType = UNSET


class UsersResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One page of users; count is the total before paging. Source: U7."""

    users: list[User]
    count: int


class ListUsersQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which users to list: a search, and a page of what it finds. after_id: those behind this user."""

    q: str = ""
    limit: PageNumber = 0
    offset: PageNumber = 0
    after_id: UUID | None = None


class CreateUserRequest(Request, frozen=True, kw_only=True):
    """A new user. Words and rules are checked after reading, as fields.

    No organization means the default one. github_com_user_id is ours: what U7 finds the user by.
    disable_login, or no login type and no password, means a user who signs in by tokens only.
    """

    email: str = ""
    username: str = ""
    name: str = ""
    password: str = ""
    login_type: str = ""
    disable_login: bool = False
    user_status: str = ""
    organization_ids: list[UUID] = msgspec.field(default_factory=list)
    github_com_user_id: Int64 | None = None


class UpdateProfileRequest(Request, frozen=True, kw_only=True):
    """How a user is called; the name is what people read and may be empty. Source: wire 12."""

    username: str = ""
    name: str = ""


class UpdateUserRequest(Request, frozen=True, kw_only=True):
    """What changes of a user; what is absent stays. Ours.

    github_com_user_id 0 takes the number away, max_running 0 the limit. They and the email are for those who
    administer users.
    """

    username: str | None = None
    name: str | None = None
    email: str | None = None
    github_com_user_id: Int64 | None = None
    max_running: Int64 | None = None


class UpdatePasswordRequest(Request, frozen=True, kw_only=True):
    """A new password; the old one is asked of those who change their own. Source: supporting-api 3 row 15."""

    old_password: str = ""
    password: str = ""


class UpdateRolesRequest(Request, frozen=True, kw_only=True):
    """All roles that somebody shall have, by their words. Source: supporting-api 3 row 16, supporting-api 5 row 34."""

    roles: list[str] = msgspec.field(default_factory=list)


class UserRoles(msgspec.Struct, frozen=True, kw_only=True):
    """The words of a user's roles on the site, and by the id of each organization they are in."""

    roles: list[str]
    organization_roles: dict[str, list[str]]


class GitSSHKey(msgspec.Struct, frozen=True, kw_only=True):
    """The public half of a user's SSH key, as a line of an authorized_keys file. Source: wire 12."""

    user_id: UUID
    created_at: Time
    updated_at: Time
    public_key: str


class CreateFirstUserRequest(Request, frozen=True, kw_only=True):
    """The first user of a server, its owner. Source: U2.

    The keys `trial`, `trial_info` and `onboarding_info` of other servers are ignored.
    """

    email: str = ""
    username: str = ""
    name: str = ""
    password: str = ""


class CreateFirstUserResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The first user and the default organization."""

    user_id: UUID
    organization_id: UUID


class LoginRequest(Request, frozen=True, kw_only=True):
    """Who signs in. Source: U3."""

    email: str = ""
    password: str = ""


class LoginResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The token of a new session, shown this once. Source: U4."""

    session_token: str


class PasswordMethod(msgspec.Struct, frozen=True, kw_only=True):
    """Whether passwords work."""

    enabled: bool


class GithubMethod(msgspec.Struct, frozen=True, kw_only=True):
    """Whether GitHub accounts work."""

    enabled: bool
    default_provider_configured: bool


class OidcMethod(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether a single sign-on works, and how its button looks."""

    enabled: bool
    sign_in_text: str
    icon_url: str


class AuthMethods(msgspec.Struct, frozen=True, kw_only=True):
    """How users may sign in."""

    terms_of_service_url: str | UnsetType = UNSET
    password: PasswordMethod
    github: GithubMethod
    oidc: OidcMethod


class BuildInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says of itself; version is the one that clients compare with theirs.

    confined is ours: false where the server runs workspaces without walls, absent everywhere else.
    """

    external_url: str
    version: str
    dashboard_url: str
    telemetry: bool
    workspace_proxy: bool
    agent_api_version: str
    provisioner_api_version: str
    upgrade_message: str
    deployment_id: str
    webpush_public_key: str | UnsetType = UNSET
    confined: bool | UnsetType = UNSET


class Organization(msgspec.Struct, frozen=True, kw_only=True):
    """What users, templates and workspaces belong to. Source: S15, U8.

    max_running is ours: how many of its workspaces may run at once, where it has a limit of its own.
    """

    id: UUID
    name: str
    display_name: str
    icon: str
    description: str
    created_at: Time
    updated_at: Time
    is_default: bool
    max_running: int | UnsetType = UNSET


class UpdateOrganizationRequest(Request, frozen=True, kw_only=True):
    """What changes of an organization; what is absent stays, max_running 0 takes the limit away."""

    display_name: str | None = None
    description: str | None = None
    icon: str | None = None
    max_running: Int64 | None = None


class CreateOrganizationRequest(Request, frozen=True, kw_only=True):
    """A new organization; the display name is its name when empty. Source: wire 11."""

    name: str = ""
    display_name: str = ""
    description: str = ""
    icon: str = ""


class ListMembersQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which members to list: a search as that for users, and a page of what it finds."""

    q: str = ""
    limit: PageNumber = 0
    offset: PageNumber = 0


class OrganizationMember(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody is in an organization. Source: S15."""

    user_id: UUID
    organization_id: UUID
    created_at: Time
    updated_at: Time
    roles: list[Role]


class MemberWithUserData(msgspec.Struct, frozen=True, kw_only=True):
    """A user in an organization; roles are those in it, global_roles those on the site. Source: S15."""

    user_id: UUID
    organization_id: UUID
    created_at: Time
    updated_at: Time
    roles: list[Role]
    username: str
    name: str | UnsetType = UNSET
    avatar_url: str | UnsetType = UNSET
    email: str
    status: UserStatus
    login_type: LoginType
    last_seen_at: Time
    user_created_at: Time
    user_updated_at: Time
    is_service_account: bool | UnsetType = UNSET
    global_roles: list[Role]
    has_ai_seat: bool


class PaginatedMembersResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One page of members; count is the total before paging. Source: supporting-api 5 row 30."""

    members: list[MemberWithUserData]
    count: int


class APIKey(msgspec.Struct, frozen=True, kw_only=True):
    """A session or a token, without its secret. Source: S16.

    username is there in lists only. token_name is empty for sessions.
    """

    id: str
    user_id: UUID
    last_used: Time
    expires_at: Time
    created_at: Time
    updated_at: Time
    login_type: LoginType
    scope: str
    scopes: list[str]
    token_name: str
    lifetime_seconds: int
    allow_list: list[str]
    username: str | UnsetType = UNSET


class CreateTokenRequest(Request, frozen=True, kw_only=True):
    """A new token; lifetime is in nanoseconds, 0 for the default. An empty name is made up."""

    lifetime: Int64 = 0
    token_name: str = ""
    scope: str = ""
    scopes: list[str] = msgspec.field(default_factory=list)
    allow_list: list[str] = msgspec.field(default_factory=list)


class CreateKeyResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A new key with its secret, shown this once. Source: U5."""

    key: str


class TokenConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What tokens may be; the longest lifetime is in nanoseconds."""

    max_token_lifetime: int


class ListTokensQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whose tokens to list, and whether those past their time too."""

    include_all: bool = False
    include_expired: bool = False
