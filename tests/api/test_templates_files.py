"""Uploaded archives over the real edge."""

import io
import tarfile
import zipfile
from uuid import uuid4

import pytest

from tests.api.seed import Api, reason
from tests.api.template_kit import TAR, TASK, ZIP, upload, zip_of
from tests.archives import tar_of

pytestmark = pytest.mark.anyio

FILES = "/api/v2/files"


async def test_a_file_comes_back_as_it_was(api: Api) -> None:
    """The bytes and the media type of the upload."""
    data = tar_of({"taskyard.toml": TASK})
    file_id = await upload(api, {"taskyard.toml": TASK})
    response = await api.get(f"{FILES}/{file_id}")
    assert response.status_code == 200
    assert response.content == data
    assert response.headers["content-type"] == "application/x-tar"


@pytest.mark.parametrize("kind", ["application/zip", "application/x-zip-compressed"])
async def test_a_zip_becomes_a_tar(api: Api, kind: str) -> None:
    """Stored as tar and hashed after that: the same files zipped otherwise are the same file."""
    files = {"taskyard.toml": TASK, "words/fog.txt": b"fog" * 1000}
    flat = io.BytesIO()
    with zipfile.ZipFile(flat, "w") as archive:
        for name, content in reversed(files.items()):
            archive.writestr(name, content)
    first = await api.call("POST", FILES, content=zip_of(files), headers={"Content-Type": kind})
    again = await api.call("POST", FILES, content=flat.getvalue(), headers={"Content-Type": kind})
    assert (first.status_code, again.status_code) == (201, 200)
    stored = await api.get(f"{FILES}/{first.json()['hash']}")
    with tarfile.open(fileobj=io.BytesIO(stored.content)) as tar:
        assert sorted(tar.getnames()) == sorted(files)


async def test_a_file_can_be_had_as_a_zip(api: Api) -> None:
    """?format=zip converts, and says so in the media type."""
    file_id = await upload(api, {"taskyard.toml": TASK, "a/b.sh": b"#!/bin/sh\n"})
    response = await api.get(f"{FILES}/{file_id}?format=zip")
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.read("taskyard.toml") == TASK
        assert sorted(archive.namelist()) == ["a/b.sh", "taskyard.toml"]


async def test_bad_requests_for_a_file_say_what_is_wrong(api: Api) -> None:
    """No UUID 400, another format 400, an unknown id 404."""
    file_id = await upload(api, {"taskyard.toml": TASK})
    assert reason(await api.get(f"{FILES}/x")) == (400, "invalid_uuid")
    assert reason(await api.get(f"{FILES}/{file_id}?format=rar")) == (400, "unsupported_format")
    assert reason(await api.get(f"{FILES}/{uuid4()}")) == (404, "not_found")


@pytest.mark.parametrize("kind", ["", "application/gzip", "application/x-tar; charset=utf-8"])
async def test_other_types_are_refused(api: Api, kind: str) -> None:
    """The media type must be exactly one of the three."""
    response = await api.call("POST", FILES, content=b"x", headers={"Content-Type": kind})
    assert reason(response) == (400, "unsupported_content_type")


async def test_a_broken_zip_is_refused(api: Api) -> None:
    """A zip that was cut off, and one that is none."""
    cut = zip_of({"taskyard.toml": TASK})[:-30]
    for data in (cut, b"PK\x03\x04 and then nothing", b""):
        response = await api.call("POST", FILES, content=data, headers=ZIP)
        assert reason(response) == (400, "archive_invalid")


async def test_a_zip_that_grows_too_large_is_refused(api: Api) -> None:
    """A small zip of more than 100 MiB, or of too many entries, is 413."""
    bomb = zip_of({f"{place}.bin": bytes(36 << 20) for place in range(3)})
    crowd = zip_of({f"{place}": b"" for place in range(10_001)})
    for data in (bomb, crowd):
        response = await api.call("POST", FILES, content=data, headers=ZIP)
        assert reason(response) == (413, "archive_too_large")


async def test_a_file_over_the_limit_is_refused(api: Api) -> None:
    """One byte more than 100 MiB."""
    response = await api.call("POST", FILES, content=bytes((100 << 20) + 1), headers=TAR)
    assert reason(response) == (400, "file_too_large")


async def test_files_are_for_those_who_make_templates(api: Api) -> None:
    """A member uploads nothing and sees nobody's file; a template admin sees every file."""
    member = await api.person("ann")
    admin = await api.person("tom", "template-admin")
    data = tar_of({"taskyard.toml": TASK})
    refused = await api.call("POST", FILES, content=data, headers=TAR, by=member)
    assert reason(refused) == (403, "forbidden")
    file_id = await upload(api, {"taskyard.toml": TASK})
    assert (await api.get(f"{FILES}/{file_id}", by=member)).status_code == 404
    assert (await api.get(f"{FILES}/{file_id}", by=admin)).status_code == 200
