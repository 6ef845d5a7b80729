"""Handlers: the first user, signing in and out, keys."""

from datetime import timedelta

from taskyard.control import identity, sign_in, tokens
from taskyard.control.identity_view import key_view
from taskyard.errors import NoUserYet
from taskyard.lifecycle.permissions import Verb
from taskyard.server.call import Answer, Call, Handler
from taskyard.server.deps import COOKIE, is_private_line, key_owner_param, origin_of
from taskyard.wire import identity as wire
from taskyard.wire.base import Response


async def get_first_user(call: Call) -> object:
    """That there is a first user; raises NoUserYet. Source: U1."""
    if not await identity.has_first_user(call.services):
        raise NoUserYet
    return Response(message="This server has its first user.")


async def create_first_user(call: Call) -> object:
    """Creates the owner and the default organization."""
    body = await call.body(wire.CreateFirstUserRequest)
    origin = origin_of(call.connection)
    return await identity.create_first_user(call.services, body, call.now, origin=origin)


async def login(call: Call) -> object:
    """A session for an email and a password."""
    body = await call.body(wire.LoginRequest)
    key = await sign_in.login(call.services, body, origin_of(call.connection), call.now)
    secure = "; Secure" if is_private_line(call.connection, call.services.settings) else ""
    cookie = f"{COOKIE}={key}; Path=/; HttpOnly; SameSite=Lax{secure}"
    return Answer(wire.LoginResponse(session_token=key), headers={"Set-Cookie": cookie})


async def logout(call: Call) -> object:
    """Ends the session in use."""
    await sign_in.logout(call.services, call.actor, call.now)
    cookie = f"{COOKIE}=; Path=/; Max-Age=0"
    return Answer(Response(message="You are logged out."), headers={"Set-Cookie": cookie})


async def get_auth_methods(_call: Call) -> object:
    """Passwords are the only way in."""
    return wire.AuthMethods(
        password=wire.PasswordMethod(enabled=True),
        github=wire.GithubMethod(enabled=False, default_provider_configured=False),
        oidc=wire.OidcMethod(enabled=False, sign_in_text="", icon_url=""),
    )


async def create_session_key(call: Call) -> object:
    """A key like that of a login, without a cookie. Source: U5."""
    user = await key_owner_param(call, Verb.TOKEN_WRITE)
    key = await tokens.create_session_key(call.services, call.actor, user, call.now)
    return wire.CreateKeyResponse(key=key)


async def create_token(call: Call) -> object:
    """A named token."""
    user = await key_owner_param(call, Verb.TOKEN_WRITE)
    body = await call.body(wire.CreateTokenRequest)
    key = await tokens.create_token(call.services, call.actor, user, body, now=call.now)
    return wire.CreateKeyResponse(key=key)


async def list_tokens(call: Call) -> object:
    """Tokens of a user; of everybody for an owner that asks for all."""
    user = await key_owner_param(call, Verb.TOKEN_READ)
    query = call.query(wire.ListTokensQuery)
    rows = await tokens.list_tokens(call.services, call.actor, user, query, now=call.now)
    return [key_view(row) for row in rows]


async def get_token_config(call: Call) -> object:
    """How long tokens may live."""
    await key_owner_param(call, Verb.TOKEN_READ)
    longest = tokens.MAX_TOKEN_LIFETIME // timedelta(microseconds=1) * 1000
    return wire.TokenConfig(max_token_lifetime=longest)


async def get_token(call: Call) -> object:
    """A token by name."""
    user = await key_owner_param(call, Verb.TOKEN_READ)
    return key_view(await tokens.get_token(call.services, user, call.path("keyname")))


async def get_key(call: Call) -> object:
    """A key by id."""
    user = await key_owner_param(call, Verb.TOKEN_READ)
    return key_view(await tokens.get_key(call.services, user, call.path("keyid")))


async def delete_key(call: Call) -> object:
    """Ends a key at once. Source: U6."""
    user = await key_owner_param(call, Verb.TOKEN_WRITE)
    await tokens.delete_key(call.services, call.actor, user, call.path("keyid"), now=call.now)
    return None


async def expire_key(call: Call) -> object:
    """Ends a key at once and keeps it to be listed."""
    user = await key_owner_param(call, Verb.TOKEN_WRITE)
    await tokens.expire_key(call.services, call.actor, user, call.path("keyid"), now=call.now)
    return None


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        get_first_user,
        create_first_user,
        login,
        logout,
        get_auth_methods,
        create_session_key,
        create_token,
        list_tokens,
        get_token_config,
        get_token,
        get_key,
        delete_key,
        expire_key,
    )
}
