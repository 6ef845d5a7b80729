"""Handlers: template versions by their ids."""

from starlette.websockets import WebSocket

from taskyard.control import template_archive, template_versions
from taskyard.control.templates_view import (
    parameter_view,
    preset_view,
    variable_views,
    version_view,
)
from taskyard.server.call import Call, Handler, SocketHandler
from taskyard.server.deps import organization_param, template_version_param
from taskyard.server.following import expected_status, follow_job_logs, job_logs
from taskyard.wire import templates as wire
from taskyard.wire.base import Response


async def create_template_version(call: Call) -> object:
    """A new version, its import pending. Source: U10."""
    organization = await organization_param(call)
    body = await call.body(wire.CreateTemplateVersionRequest)
    row = await template_versions.create_version(
        call.services, call.actor, organization.id, body, now=call.now
    )
    return version_view(row)


async def get_template_version(call: Call) -> object:
    """One version."""
    return version_view(await template_version_param(call))


async def update_template_version(call: Call) -> object:
    """A version with another name or message."""
    version = await template_version_param(call)
    body = await call.body(wire.UpdateTemplateVersionRequest)
    row = await template_archive.update_version(
        call.services, call.actor, version, body, now=call.now
    )
    return version_view(row)


async def archive_template_version(call: Call) -> object:
    """Nothing new is made of this version from now on."""
    version = await template_version_param(call)
    is_new = await template_archive.archive_version(call.services, call.actor, version, call.now)
    done = "archived" if is_new else "archived already"
    return Response(message=f"The version {version.name} is {done}.")


async def unarchive_template_version(call: Call) -> object:
    """The version can be used again."""
    version = await template_version_param(call)
    is_new = await template_archive.unarchive_version(call.services, call.actor, version, call.now)
    done = "taken out of the archive" if is_new else "not archived"
    return Response(message=f"The version {version.name} is {done}.")


async def cancel_template_version(call: Call) -> object:
    """Ends an import."""
    version = await template_version_param(call)
    await template_archive.cancel_version(
        call.services, call.actor, version, expected_status(call), now=call.now
    )
    return Response(message=f"The import of {version.name} is canceled.")


async def list_presets(call: Call) -> object:
    """The presets of a version; always an array. Source: U11."""
    version = await template_version_param(call)
    rows = await template_versions.list_presets(call.services, version)
    return [preset_view(row) for row in rows]


async def list_rich_parameters(call: Call) -> object:
    """What a version asks of a workspace. Source: U12."""
    version = await template_version_param(call)
    rows = await template_versions.list_parameters(call.services, version)
    return [parameter_view(row) for row in rows]


async def get_template_version_logs(call: Call) -> object:
    """The log of an import as JSON or text."""
    version = await template_version_param(call)
    return await job_logs(call, version.job_id)


async def follow_template_version_logs(call: Call, socket: WebSocket) -> None:
    """The log of an import as it grows, a line a message."""
    version = await template_version_param(call)
    await follow_job_logs(call, socket, version.job_id)


async def list_template_version_resources(call: Call) -> object:
    """What a version makes: known to drivers only, so nothing."""
    template_versions.check_resources_known(await template_version_param(call))
    return []


async def list_template_variables(call: Call) -> object:
    """What values were given for when the version was made: templates of ours ask nothing."""
    version = await template_version_param(call)
    template_versions.check_variables_known(version)
    return variable_views(version)


async def list_external_auth(call: Call) -> object:
    """The foreign services a version wants a sign-in for: none."""
    await template_version_param(call)
    return []


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        create_template_version,
        get_template_version,
        update_template_version,
        archive_template_version,
        unarchive_template_version,
        cancel_template_version,
        list_presets,
        list_rich_parameters,
        get_template_version_logs,
        list_template_version_resources,
        list_template_variables,
        list_external_auth,
    )
}

SOCKETS: dict[str, SocketHandler] = {"get_template_version_logs": follow_template_version_logs}
