"""Methods of the asyncio client: the server itself, signing in, users, keys, organizations."""

from uuid import UUID

from taskyard.sdk.aio.caller import AsyncCaller
from taskyard.sdk.calls import PathPart
from taskyard.wire import identity
from taskyard.wire.base import Response
from taskyard.wire.health import Health


class AsyncIdentityCalls(AsyncCaller):
    """See wire/routes.py for the order of path parts and what each call takes and gives."""

    async def health(self) -> bytes:
        """Say that the server is up."""
        return (await self.exchange("health")).body

    async def api_root(self) -> Response:
        """Greet whoever looks for the API."""
        return await self.request(Response, "api_root")

    async def get_build_info(self) -> identity.BuildInfo:
        """Say which version the server speaks."""
        return await self.request(identity.BuildInfo, "get_build_info")

    async def get_health(self) -> Health:
        """Say how the server and all that it works with are."""
        return await self.request(Health, "get_health")

    async def get_openapi(self) -> dict[str, object]:
        """Describe this API as an OpenAPI document."""
        return await self.request(dict[str, object], "get_openapi")

    async def get_api_docs(self) -> bytes:
        """Show this API as a page for people."""
        return (await self.exchange("get_api_docs")).body

    async def list_experiments(self) -> list[str]:
        """List the experiments that are on."""
        return await self.request(list[str], "list_experiments")

    async def get_first_user(self) -> Response:
        """Say whether the first user exists."""
        return await self.request(Response, "get_first_user")

    async def create_first_user(
        self, request: identity.CreateFirstUserRequest
    ) -> identity.CreateFirstUserResponse:
        """Create the first user, who owns the server."""
        return await self.request(
            identity.CreateFirstUserResponse, "create_first_user", body=request
        )

    async def login(self, request: identity.LoginRequest) -> identity.LoginResponse:
        """Sign in with a password."""
        return await self.request(identity.LoginResponse, "login", body=request)

    async def logout(self) -> Response:
        """End the session that asks."""
        return await self.request(Response, "logout")

    async def get_auth_methods(self) -> identity.AuthMethods:
        """Say how users may sign in."""
        return await self.request(identity.AuthMethods, "get_auth_methods")

    async def list_users(
        self,
        q: str = "",
        *,
        limit: int | None = None,
        offset: int | None = None,
        after_id: UUID | None = None,
    ) -> identity.UsersResponse:
        """List the users that the caller may see."""
        return await self.request(
            identity.UsersResponse,
            "list_users",
            query={
                "q": q or None,
                "limit": limit,
                "offset": offset,
                "after_id": None if after_id is None else str(after_id),
            },
        )

    async def create_user(self, request: identity.CreateUserRequest) -> identity.User:
        """Create a user."""
        return await self.request(identity.User, "create_user", body=request)

    async def get_user(self, user: PathPart) -> identity.User:
        """Get one user."""
        return await self.request(identity.User, "get_user", user)

    async def update_user(
        self, user: PathPart, request: identity.UpdateUserRequest
    ) -> identity.User:
        """Change what is given of a user."""
        return await self.request(identity.User, "update_user", user, body=request)

    async def delete_user(self, user: PathPart) -> Response:
        """Delete a user who has no workspaces."""
        return await self.request(Response, "delete_user", user)

    async def update_user_profile(
        self, user: PathPart, request: identity.UpdateProfileRequest
    ) -> identity.User:
        """Change how a user is called."""
        return await self.request(identity.User, "update_user_profile", user, body=request)

    async def suspend_user(self, user: PathPart) -> identity.User:
        """Keep a user out; their keys are dead at once."""
        return await self.request(identity.User, "suspend_user", user)

    async def activate_user(self, user: PathPart) -> identity.User:
        """Let a user in again."""
        return await self.request(identity.User, "activate_user", user)

    async def update_user_password(
        self, user: PathPart, request: identity.UpdatePasswordRequest
    ) -> None:
        """Change a password and end all other sessions."""
        await self.exchange("update_user_password", user, body=request)

    async def get_user_roles(self, user: PathPart) -> identity.UserRoles:
        """Get the roles of a user."""
        return await self.request(identity.UserRoles, "get_user_roles", user)

    async def update_user_roles(
        self, user: PathPart, request: identity.UpdateRolesRequest
    ) -> identity.User:
        """Set the roles that a user has on the whole site."""
        return await self.request(identity.User, "update_user_roles", user, body=request)

    async def get_git_ssh_key(self, user: PathPart) -> identity.GitSSHKey:
        """Get the public half of a user's SSH key."""
        return await self.request(identity.GitSSHKey, "get_git_ssh_key", user)

    async def regenerate_git_ssh_key(self, user: PathPart) -> identity.GitSSHKey:
        """Make a user a new SSH key."""
        return await self.request(identity.GitSSHKey, "regenerate_git_ssh_key", user)

    async def list_user_organizations(self, user: PathPart) -> list[identity.Organization]:
        """List the organizations of a user."""
        return await self.request(list[identity.Organization], "list_user_organizations", user)

    async def get_user_organization(
        self, user: PathPart, organizationname: PathPart
    ) -> identity.Organization:
        """Get one organization of a user."""
        return await self.request(
            identity.Organization, "get_user_organization", user, organizationname
        )

    async def create_session_key(self, user: PathPart) -> identity.CreateKeyResponse:
        """Make a session key."""
        return await self.request(identity.CreateKeyResponse, "create_session_key", user)

    async def create_token(
        self, user: PathPart, request: identity.CreateTokenRequest
    ) -> identity.CreateKeyResponse:
        """Make a named token."""
        return await self.request(identity.CreateKeyResponse, "create_token", user, body=request)

    async def list_tokens(
        self, user: PathPart, *, include_all: bool = False, include_expired: bool = False
    ) -> list[identity.APIKey]:
        """List tokens, without their secrets."""
        return await self.request(
            list[identity.APIKey],
            "list_tokens",
            user,
            query={"include_all": include_all or None, "include_expired": include_expired or None},
        )

    async def get_token_config(self, user: PathPart) -> identity.TokenConfig:
        """Say how long tokens may live."""
        return await self.request(identity.TokenConfig, "get_token_config", user)

    async def get_token(self, user: PathPart, keyname: PathPart) -> identity.APIKey:
        """Get one token by its name."""
        return await self.request(identity.APIKey, "get_token", user, keyname)

    async def get_key(self, user: PathPart, keyid: PathPart) -> identity.APIKey:
        """Get one key by its id."""
        return await self.request(identity.APIKey, "get_key", user, keyid)

    async def delete_key(self, user: PathPart, keyid: PathPart) -> None:
        """Delete a key; it is dead at once."""
        await self.exchange("delete_key", user, keyid)

    async def expire_key(self, user: PathPart, keyid: PathPart) -> None:
        """End a key at once and keep it in the lists of expired ones."""
        await self.exchange("expire_key", user, keyid)

    async def create_organization(
        self, request: identity.CreateOrganizationRequest
    ) -> identity.Organization:
        """Make an organization."""
        return await self.request(identity.Organization, "create_organization", body=request)

    async def update_organization(
        self, organization: PathPart, request: identity.UpdateOrganizationRequest
    ) -> identity.Organization:
        """Change what is given of an organization."""
        return await self.request(
            identity.Organization, "update_organization", organization, body=request
        )

    async def list_organizations(self) -> list[identity.Organization]:
        """List the organizations that the caller may see."""
        return await self.request(list[identity.Organization], "list_organizations")

    async def get_organization(self, organization: PathPart) -> identity.Organization:
        """Get one organization by id or name."""
        return await self.request(identity.Organization, "get_organization", organization)

    async def list_members(self, organization: PathPart) -> list[identity.MemberWithUserData]:
        """List the members of an organization."""
        return await self.request(list[identity.MemberWithUserData], "list_members", organization)

    async def list_paginated_members(
        self,
        organization: PathPart,
        *,
        q: str = "",
        limit: int | None = None,
        offset: int | None = None,
    ) -> identity.PaginatedMembersResponse:
        """Search the members of an organization page by page."""
        return await self.request(
            identity.PaginatedMembersResponse,
            "list_paginated_members",
            organization,
            query={"q": q or None, "limit": limit, "offset": offset},
        )

    async def get_member(
        self, organization: PathPart, user: PathPart
    ) -> identity.MemberWithUserData:
        """Get one member of an organization."""
        return await self.request(identity.MemberWithUserData, "get_member", organization, user)

    async def add_member(
        self, organization: PathPart, user: PathPart
    ) -> identity.OrganizationMember:
        """Put a user into an organization."""
        return await self.request(identity.OrganizationMember, "add_member", organization, user)

    async def remove_member(self, organization: PathPart, user: PathPart) -> None:
        """Take a user out of an organization."""
        await self.exchange("remove_member", organization, user)

    async def update_member_roles(
        self, organization: PathPart, user: PathPart, request: identity.UpdateRolesRequest
    ) -> identity.OrganizationMember:
        """Set the roles that a user has in an organization."""
        return await self.request(
            identity.OrganizationMember, "update_member_roles", organization, user, body=request
        )
