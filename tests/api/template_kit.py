"""What tests of templates push, and a worker that imports it."""

import io
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from taskyard.control.services import Services
from taskyard.control.template_import import import_version
from taskyard.control.worker import Worker
from taskyard.db.jobs import JobKind
from tests.api.seed import Api, Json, Person
from tests.archives import tar_of
from tests.control.world_kit import background, eventually

TASK = b"""
[template]
display_name = "Shell"
description = "Runs it."
icon = "/icon.svg"

[task]
app = "agent"

[agent]
type = "shell"
"""
"""A template that runs tasks."""

PLAIN = b"[workspace]\n"
"""A template that runs none."""

ASKING = (
    TASK
    + b"""
[[parameter]]
name = "size"
display_name = "Size"
description = "How many."
type = "number"
default = 2
validation = { min = 0, max = 9, monotonic = "increasing" }
mutable = true

[[parameter]]
name = "region"
options = [{ name = "North", value = "n", description = "cold" }, { name = "South", value = "s" }]

[[preset]]
name = "Small"
default = true
parameters = { size = 1, region = "n" }

[[preset]]
name = "Large"
parameters = { size = 9, region = "s" }
"""
)
"""A template with parameters and presets."""

TAR = {"Content-Type": "application/x-tar"}
ZIP = {"Content-Type": "application/zip"}


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """A zip of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@asynccontextmanager
async def importing(services: Services) -> AsyncIterator[None]:
    """A worker that imports templates while the block runs."""
    worker = Worker(services, {}, {JobKind.IMPORT: import_version}, "test")
    async with background(services.doorbell.run(), worker.run()):
        yield


async def upload(api: Api, files: Mapping[str, bytes], *, by: Person | None = None) -> str:
    """The id of an uploaded tar."""
    response = await api.call("POST", "/api/v2/files", content=tar_of(files), headers=TAR, by=by)
    assert response.status_code in (200, 201), response.text
    return str(response.json()["hash"])


async def push(
    api: Api, files: Mapping[str, bytes] | bytes = TASK, *, by: Person | None = None, **body: Any
) -> Json:
    """A new version of these files, or of this taskyard.toml; its import is pending."""
    tree = {"taskyard.toml": files} if isinstance(files, bytes) else files
    file_id = await upload(api, tree, by=by)
    request = {"storage_method": "file", "provisioner": "echo", "file_id": file_id, **body}
    path = "/api/v2/organizations/default/templateversions"
    response = await api.call("POST", path, request, by=by)
    assert response.status_code == 201, response.text
    return response.json()


async def template_of(api: Api, version: Json, name: str = "shell", **body: Any) -> Json:
    """A new template around a version."""
    request = {"name": name, "template_version_id": version["id"], **body}
    response = await api.post("/api/v2/organizations/default/templates", request)
    assert response.status_code == 201, response.text
    return response.json()


async def version_of(api: Api, version_id: str | UUID) -> Json:
    """A version as it is now."""
    response = await api.get(f"/api/v2/templateversions/{version_id}")
    assert response.status_code == 200, response.text
    return response.json()


async def imported(api: Api, version: Json) -> Json:
    """A version once its import is over."""

    async def over() -> Json:
        found = await version_of(api, version["id"])
        return found if found["job"]["status"] in ("succeeded", "failed", "canceled") else None

    return await eventually(over)
