"""Handlers: files, templates and their versions."""

from starlette.websockets import WebSocket

from taskyard.control import files, template_versions, templates
from taskyard.control.archives import MAX_ARCHIVE_BYTES
from taskyard.control.template_list import list_templates as list_rows
from taskyard.control.templates_view import (
    parameter_view,
    preset_view,
    template_view,
    version_view,
)
from taskyard.errors import BodyInvalid, RequestRefused
from taskyard.server.call import Answer, Call, Handler, SocketHandler
from taskyard.server.deps import (
    organization_param,
    template_by_name_param,
    template_param,
    template_version_param,
)
from taskyard.server.following import follow_job_logs, job_logs
from taskyard.wire import templates as wire
from taskyard.wire.base import Response


async def upload_file(call: Call) -> object:
    """Stores an archive: 201, or 200 when this user had uploaded the same bytes before. Source: U9."""
    content_type = call.connection.headers.get("content-type", "")
    files.check_upload(call.actor, content_type)
    try:
        data = await call.raw(MAX_ARCHIVE_BYTES)
    except BodyInvalid as error:
        raise RequestRefused("file_too_large", "The file cannot be read.", str(error)) from error
    stored = await files.upload_file(call.services, call.actor, content_type, data, now=call.now)
    return Answer(wire.UploadResponse(hash=stored.id), status=201 if stored.is_new else 200)


async def get_file(call: Call) -> object:
    """An archive as it is stored, or as a zip."""
    file_id, as_format = call.uuid("file"), call.query("format") or ""
    file = await files.get_file(call.services, call.actor, file_id, as_format)
    return Answer(file.data, media_type=file.mimetype)


async def create_template(call: Call) -> object:
    """A new template around a version. Source: U10."""
    organization = await organization_param(call)
    body = await call.body(wire.CreateTemplateRequest)
    row = await templates.create_template(
        call.services, call.actor, organization.id, body, now=call.now
    )
    return template_view(row)


async def list_organization_templates(call: Call) -> object:
    """The templates of an organization."""
    organization = await organization_param(call)
    rows = await list_rows(
        call.services, call.actor, call.query("q") or "", organization_id=organization.id
    )
    return [template_view(row) for row in rows]


async def get_organization_template(call: Call) -> object:
    """One template by its name."""
    return template_view(await template_by_name_param(call))


async def get_organization_template_version(call: Call) -> object:
    """A version by the names of its template and its own."""
    template = await template_by_name_param(call)
    name = call.path("version")
    return version_view(await template_versions.find_version_by_name(call.services, template, name))


async def list_templates(call: Call) -> object:
    """The templates that the caller may see. Source: U13."""
    rows = await list_rows(call.services, call.actor, call.query("q") or "")
    return [template_view(row) for row in rows]


async def get_template(call: Call) -> object:
    """One template."""
    return template_view(await template_param(call))


async def list_template_versions(call: Call) -> object:
    """The versions of a template, oldest first."""
    template = await template_param(call)
    rows = await template_versions.list_versions(call.services, template, call.query_map())
    return [version_view(row) for row in rows]


async def get_template_version_by_name(call: Call) -> object:
    """One version of a template by its name: an object, not a list. Source: U25."""
    template = await template_param(call)
    name = call.path("name")
    return version_view(await template_versions.find_version_by_name(call.services, template, name))


async def promote_template_version(call: Call) -> object:
    """New workspaces are made of this version from now on."""
    template = await template_param(call)
    body = await call.body(wire.PromoteTemplateVersionRequest)
    await templates.promote_version(call.services, call.actor, template, body.id, now=call.now)
    return Response(message=f"The template {template.name} uses this version now.")


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


async def cancel_template_version(call: Call) -> object:
    """Ends an import."""
    version = await template_version_param(call)
    await template_versions.cancel_version(call.services, call.actor, version, call.now)
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
    """What a version asked for its import: templates of ours ask nothing."""
    template_versions.check_variables_known(await template_version_param(call))
    return []


async def list_external_auth(call: Call) -> object:
    """The foreign services a version wants a sign-in for: none."""
    await template_version_param(call)
    return []


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        upload_file,
        get_file,
        create_template,
        list_organization_templates,
        get_organization_template,
        get_organization_template_version,
        list_templates,
        get_template,
        list_template_versions,
        get_template_version_by_name,
        promote_template_version,
        create_template_version,
        get_template_version,
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
