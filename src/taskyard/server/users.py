"""Handlers: users, their roles and SSH keys."""

from taskyard.control import identity, password_change, roles, ssh_keys, users
from taskyard.control.identity_view import ssh_key_view, user_view
from taskyard.server.call import Call, Handler
from taskyard.server.deps import user_param
from taskyard.wire import identity as wire
from taskyard.wire.base import Response


async def list_users(call: Call) -> object:
    """Users that the caller may read. Source: U7."""
    query = call.query(wire.ListUsersQuery)
    found, total = await users.list_users(call.services, call.actor, query)
    return wire.UsersResponse(users=[user_view(row) for row in found], count=total)


async def create_user(call: Call) -> object:
    """A new member."""
    body = await call.body(wire.CreateUserRequest)
    return user_view(await identity.create_user(call.services, call.actor, body, call.now))


async def get_user(call: Call) -> object:
    """One user."""
    return user_view(await user_param(call))


async def update_user(call: Call) -> object:
    """A user with what is given changed."""
    user = await user_param(call)
    body = await call.body(wire.UpdateUserRequest)
    row = await users.update_user(call.services, call.actor, user.id, body, now=call.now)
    return user_view(row)


async def update_user_profile(call: Call) -> object:
    """A user under another name."""
    user = await user_param(call)
    body = await call.body(wire.UpdateProfileRequest)
    row = await users.update_profile(call.services, call.actor, user.id, body, now=call.now)
    return user_view(row)


async def delete_user(call: Call) -> object:
    """A user is gone."""
    user = await user_param(call)
    await users.delete_user(call.services, call.actor, user.id, call.now)
    return Response(message=f"The user {user.username} is deleted.")


async def suspend_user(call: Call) -> object:
    """A user is kept out."""
    user = await user_param(call)
    row = await users.set_suspended(call.services, call.actor, user.id, call.now, suspended=True)
    return user_view(row)


async def activate_user(call: Call) -> object:
    """A user is let in again."""
    user = await user_param(call)
    row = await users.set_suspended(call.services, call.actor, user.id, call.now, suspended=False)
    return user_view(row)


async def update_user_password(call: Call) -> object:
    """Another password."""
    user = await user_param(call)
    body = await call.body(wire.UpdatePasswordRequest)
    await password_change.change_password(call.services, call.actor, user, body, now=call.now)
    return None


async def get_user_roles(call: Call) -> object:
    """The roles of a user."""
    return await roles.get_roles(call.services, await user_param(call))


async def update_user_roles(call: Call) -> object:
    """Other roles of the site."""
    user = await user_param(call)
    body = await call.body(wire.UpdateRolesRequest)
    row = await roles.set_roles(call.services, call.actor, user.id, body.roles, now=call.now)
    return user_view(row)


async def get_git_ssh_key(call: Call) -> object:
    """The public half of a user's SSH key."""
    user = await user_param(call)
    return ssh_key_view(await ssh_keys.get_ssh_key(call.services, call.actor, user, call.now))


async def regenerate_git_ssh_key(call: Call) -> object:
    """Another SSH key."""
    user = await user_param(call)
    row = await ssh_keys.regenerate_ssh_key(call.services, call.actor, user, call.now)
    return ssh_key_view(row)


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        list_users,
        create_user,
        get_user,
        update_user,
        update_user_profile,
        delete_user,
        suspend_user,
        activate_user,
        update_user_password,
        get_user_roles,
        update_user_roles,
        get_git_ssh_key,
        regenerate_git_ssh_key,
    )
}
