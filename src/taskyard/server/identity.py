"""Handlers: signing in, users, organizations, keys."""

from datetime import timedelta
from uuid import UUID

from taskyard.control import identity
from taskyard.control.identity_view import key_view, member_view, organization_view, user_view
from taskyard.errors import Forbidden, NotFound
from taskyard.server.call import Answer, Call, Handler
from taskyard.server.deps import COOKIE, organization_param, user_param
from taskyard.server.errors import problem_body
from taskyard.wire import identity as wire
from taskyard.wire.base import Response


async def get_first_user(call: Call) -> object:
    """Whether there is a first user: 200 or 404, both with a sentence. Source: U1."""
    if await identity.has_first_user(call.services):
        return Response(message="This server has its first user.")
    return Answer(problem_body("This server has no user yet. Create the first one."), status=404)


async def create_first_user(call: Call) -> object:
    """Creates the owner and the default organization."""
    body = await call.body(wire.CreateFirstUserRequest)
    return await identity.create_first_user(call.services, body, call.now)


async def login(call: Call) -> object:
    """A session for an email and a password."""
    body = await call.body(wire.LoginRequest)
    key = await identity.login(call.services, body, call.now)
    secure = "; Secure" if (call.services.settings.access_url or "").startswith("https:") else ""
    cookie = f"{COOKIE}={key}; Path=/; HttpOnly; SameSite=Lax{secure}"
    return Answer(wire.LoginResponse(session_token=key), headers={"Set-Cookie": cookie})


async def logout(call: Call) -> object:
    """Ends the session in use."""
    await identity.delete_key(call.services, call.actor.user_id, call.actor.key_id)
    cookie = f"{COOKIE}=; Path=/; Max-Age=0"
    return Answer(Response(message="You are logged out."), headers={"Set-Cookie": cookie})


async def get_auth_methods(_call: Call) -> object:
    """Passwords are the only way in."""
    return wire.AuthMethods(
        password=wire.PasswordMethod(enabled=True),
        github=wire.GithubMethod(enabled=False, default_provider_configured=False),
        oidc=wire.OidcMethod(enabled=False, sign_in_text="", icon_url=""),
    )


async def list_users(call: Call) -> object:
    """Users that the caller may read."""
    users, total = await identity.list_users(call.services, call.actor, call.query_map())
    return wire.UsersResponse(users=[user_view(u) for u in users], count=total)


async def create_user(call: Call) -> object:
    """A new member."""
    body = await call.body(wire.CreateUserRequest)
    return user_view(await identity.create_user(call.services, call.actor, body, call.now))


async def get_user(call: Call) -> object:
    """One user."""
    return user_view(await user_param(call))


async def list_user_organizations(call: Call) -> object:
    """The organizations of a user."""
    user = await user_param(call)
    rows = await identity.list_user_organizations(call.services, call.actor, user.id)
    return [organization_view(row) for row in rows]


async def get_user_organization(call: Call) -> object:
    """One organization of a user, by name."""
    user = await user_param(call)
    rows = await identity.list_user_organizations(call.services, call.actor, user.id)
    name = call.path("organizationname").lower()
    for row in rows:
        if row.name.lower() == name:
            return organization_view(row)
    raise NotFound


async def list_organizations(call: Call) -> object:
    """Organizations that the caller sees."""
    rows = await identity.list_organizations(call.services, call.actor)
    return [organization_view(row) for row in rows]


async def get_organization(call: Call) -> object:
    """One organization."""
    return organization_view(await organization_param(call))


async def list_members(call: Call) -> object:
    """Members of an organization."""
    organization = await organization_param(call)
    rows = await identity.list_members(call.services, call.actor, organization.id)
    return [member_view(row) for row in rows]


async def create_session_key(call: Call) -> object:
    """A key like that of a login, without a cookie. Source: U5."""
    user_id = await _key_owner(call)
    key = await identity.create_session_key(call.services, user_id, call.now)
    return wire.CreateKeyResponse(key=key)


async def create_token(call: Call) -> object:
    """A named token."""
    user_id = await _key_owner(call)
    body = await call.body(wire.CreateTokenRequest)
    key = await identity.create_token(call.services, user_id, body, call.now)
    return wire.CreateKeyResponse(key=key)


async def list_tokens(call: Call) -> object:
    """Tokens of a user; of everybody for an owner that asks for all."""
    user_id = await _key_owner(call)
    everybody = call.query("include_all") in ("true", "1")
    expired = call.query("include_expired") in ("true", "1")
    rows = await identity.list_tokens(
        call.services, call.actor, None if everybody else user_id, expired=expired, now=call.now
    )
    return [key_view(row) for row in rows]


async def get_token_config(call: Call) -> object:
    """How long tokens may live."""
    await _key_owner(call)
    longest = identity.MAX_TOKEN_LIFETIME // timedelta(microseconds=1) * 1000
    return wire.TokenConfig(max_token_lifetime=longest)


async def get_token(call: Call) -> object:
    """A token by name."""
    user_id = await _key_owner(call)
    return key_view(await identity.get_token(call.services, user_id, call.path("keyname")))


async def get_key(call: Call) -> object:
    """A key by id."""
    user_id = await _key_owner(call)
    return key_view(await identity.get_key(call.services, user_id, call.path("keyid")))


async def delete_key(call: Call) -> object:
    """Ends a key at once. Source: U6."""
    user_id = await _key_owner(call)
    await identity.delete_key(call.services, user_id, call.path("keyid"))
    return None


async def _key_owner(call: Call) -> UUID:
    user = await user_param(call)
    if not identity.may_use_keys_of(call.actor, user.id):
        raise Forbidden("use another user's keys")
    return user.id


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        get_first_user,
        create_first_user,
        login,
        logout,
        get_auth_methods,
        list_users,
        create_user,
        get_user,
        list_user_organizations,
        get_user_organization,
        list_organizations,
        get_organization,
        list_members,
        create_session_key,
        create_token,
        list_tokens,
        get_token_config,
        get_token,
        get_key,
        delete_key,
    )
}
