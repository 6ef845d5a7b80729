"""Handlers: files, templates, and versions as parts of a template."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from taskyard.control import files, template_archive, template_versions, templates
from taskyard.control.archives import MAX_ARCHIVE_BYTES
from taskyard.control.template_examples import list_examples
from taskyard.control.template_list import list_templates as list_rows
from taskyard.control.templates_view import template_view, version_view
from taskyard.errors import BodyInvalid, RequestRefused
from taskyard.server.call import Answer, Call, Handler
from taskyard.server.deps import (
    organization_param,
    template_by_name_param,
    template_param,
)
from taskyard.server.streamed import Parts
from taskyard.wire import templates as wire
from taskyard.wire.base import Response, encode


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
    file_id, query = call.uuid("file"), call.query(wire.GetFileQuery)
    file = await files.get_file(call.services, call.actor, file_id, query.format)
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
    q = call.query(wire.ListTemplatesQuery).q
    rows = await list_rows(call.services, call.actor, q, organization_id=organization.id)
    return [template_view(row) for row in rows]


async def get_organization_template(call: Call) -> object:
    """One template by its name."""
    return template_view(await template_by_name_param(call))


async def get_organization_template_version(call: Call) -> object:
    """A version by the names of its template and its own."""
    template = await template_by_name_param(call)
    name = call.path("version")
    return version_view(await template_versions.find_version_by_name(call.services, template, name))


async def get_previous_template_version(call: Call) -> object:
    """The version made before the one of this name; 204 for the first."""
    template = await template_by_name_param(call)
    name = call.path("version")
    version = await template_versions.find_version_by_name(call.services, template, name)
    row = await template_versions.find_previous_version(call.services, template, version)
    return Answer(None, status=204) if row is None else version_view(row)


async def list_template_examples(call: Call) -> object:
    """The templates that come with the server."""
    await organization_param(call)
    return await list_examples()


async def list_templates(call: Call) -> object:
    """The templates that the caller may see. Source: U13."""
    rows = await list_rows(call.services, call.actor, call.query(wire.ListTemplatesQuery).q)
    return [template_view(row) for row in rows]


async def get_template(call: Call) -> object:
    """One template."""
    return template_view(await template_param(call))


async def update_template(call: Call) -> object:
    """A template with other settings; what the body leaves out stays."""
    template = await template_param(call)
    body = await call.body(wire.UpdateTemplateRequest)
    row = await templates.update_template(call.services, call.actor, template, body, now=call.now)
    return template_view(row)


async def delete_template(call: Call) -> object:
    """Deletes a template that no workspace is of."""
    template = await template_param(call)
    await templates.delete_template(call.services, call.actor, template, call.now)
    return Response(message=f"The template {template.name} is deleted.")


async def archive_template_versions(call: Call) -> object:
    """Archives what nothing uses: failed imports, or with `all` every version."""
    template = await template_param(call)
    body = await call.body(wire.ArchiveVersionsRequest)
    rows = await template_archive.archive_unused(
        call.services, call.actor, template, every_version=body.all, now=call.now
    )
    return wire.ArchiveVersionsResponse(
        template_id=template.id, archived_ids=[row.id for row in rows]
    )


async def list_template_versions(call: Call) -> object:
    """The versions of a template, oldest first."""
    template = await template_param(call)
    query = call.query(wire.ListTemplateVersionsQuery)
    batches = template_versions.list_versions(call.services, template, query)
    first = await anext(batches)
    if len(first) < template_versions.BATCH:
        return first
    return Answer(Parts(_parts(first, batches)))


async def _parts(
    first: list[wire.TemplateVersion], rest: AsyncGenerator[list[wire.TemplateVersion], None]
) -> AsyncGenerator[bytes, None]:
    """The JSON of a list of versions that is never in memory as a whole."""
    async with aclosing(rest):
        yield encode(first)[:-1]
        async for more in rest:
            if more:
                yield b"," + encode(more)[1:-1]
    yield b"]"


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


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        upload_file,
        get_file,
        create_template,
        list_organization_templates,
        get_organization_template,
        get_organization_template_version,
        get_previous_template_version,
        list_template_examples,
        list_templates,
        update_template,
        delete_template,
        archive_template_versions,
        get_template,
        list_template_versions,
        get_template_version_by_name,
        promote_template_version,
    )
}
