"""Handlers: secrets of users, organizations and templates. Values come in and never go out."""

from taskyard.control import secrets
from taskyard.control.secrets import Owner
from taskyard.lifecycle.secret_names import SecretOwner
from taskyard.server.call import Call, Handler
from taskyard.server.deps import organization_param, template_param, user_param
from taskyard.wire import secrets as wire


async def list_user_secrets(call: Call) -> object:
    """The names of a user's secrets."""
    return await secrets.list_secrets(call.services, call.actor, await _user(call))


async def set_user_secret(call: Call) -> object:
    """A user's secret, with its new value."""
    return await _set(call, await _user(call))


async def delete_user_secret(call: Call) -> object:
    """Takes a user's secret away."""
    await _delete(call, await _user(call))
    return None


async def list_organization_secrets(call: Call) -> object:
    """The names of an organization's secrets."""
    return await secrets.list_secrets(call.services, call.actor, await _organization(call))


async def set_organization_secret(call: Call) -> object:
    """An organization's secret, with its new value."""
    return await _set(call, await _organization(call))


async def delete_organization_secret(call: Call) -> object:
    """Takes an organization's secret away."""
    await _delete(call, await _organization(call))
    return None


async def list_template_secrets(call: Call) -> object:
    """The names of a template's secrets."""
    return await secrets.list_secrets(call.services, call.actor, await _template(call))


async def set_template_secret(call: Call) -> object:
    """A template's secret, with its new value."""
    return await _set(call, await _template(call))


async def delete_template_secret(call: Call) -> object:
    """Takes a template's secret away."""
    await _delete(call, await _template(call))
    return None


async def _set(call: Call, owner: Owner) -> wire.Secret:
    name = call.path("secret")
    body = await call.body(wire.SetSecretRequest)
    return await secrets.set_secret(
        call.services, call.actor, owner, name, value=body.value, now=call.now
    )


async def _delete(call: Call, owner: Owner) -> None:
    name = call.path("secret")
    await secrets.delete_secret(call.services, call.actor, owner, name, now=call.now)


async def _user(call: Call) -> Owner:
    user = await user_param(call)
    return Owner(SecretOwner.USER, user.id, user.username, None)


async def _organization(call: Call) -> Owner:
    organization = await organization_param(call)
    return Owner(SecretOwner.ORGANIZATION, organization.id, organization.name, organization.id)


async def _template(call: Call) -> Owner:
    template = await template_param(call)
    return Owner(SecretOwner.TEMPLATE, template.id, template.name, template.organization_id)


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        list_user_secrets,
        set_user_secret,
        delete_user_secret,
        list_organization_secrets,
        set_organization_secret,
        delete_organization_secret,
        list_template_secrets,
        set_template_secret,
        delete_template_secret,
    )
}
