"""A whole server of one's own that nobody has used yet, what a bench puts into it, and waiting for it."""

import io
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from bench.bridged import ANSWER_S
from taskyard.sdk import Client
from taskyard.sdk.local import LocalServer
from taskyard.wire.enums import JobStatus
from taskyard.wire.identity import CreateFirstUserRequest, LoginRequest
from taskyard.wire.templates import CreateTemplateRequest, CreateTemplateVersionRequest

PASSWORD = "a throw-away password"

LOOK_S = 0.004
"""Seconds between two looks."""


@contextmanager
def fresh_server(*options: str) -> Iterator[LocalServer]:
    """A server with these flags on an empty folder, which is removed afterwards."""
    home = Path(tempfile.mkdtemp(prefix="taskyard-bench-"))
    home.chmod(0o711)
    try:
        with LocalServer(home, options=options) as server:
            yield server
    finally:
        shutil.rmtree(home)


def wait(look: Callable[[], bool], within_s: float = ANSWER_S) -> None:
    """Returns once the look says so."""
    deadline = time.monotonic() + within_s
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the server did not get there in {within_s:g} s")
        time.sleep(LOOK_S)


def first_token(url: str) -> str:
    """A token of the owner of a server that nobody has used yet."""
    with Client(url, "") as nobody:
        nobody.create_first_user(
            CreateFirstUserRequest(username="bench", email="bench@example.com", password=PASSWORD)
        )
        login = LoginRequest(email="bench@example.com", password=PASSWORD)
        return nobody.login(login).session_token


def first_client(url: str) -> Client:
    """A client of the owner of a server that nobody has used yet."""
    return Client(url, first_token(url))


def pushed_version(client: Client, name: str, files: Mapping[str, str]) -> UUID:
    """The version of a new template of these files, once it is imported."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content.encode())
            archive.addfile(entry, io.BytesIO(content.encode()))
    file_id = client.upload_file(packed.getvalue(), "application/x-tar").hash
    version = client.create_template_version(
        "default",
        CreateTemplateVersionRequest(file_id=file_id, storage_method="file", provisioner="echo"),
    )
    wait(lambda: _is_imported(client, version.id))
    client.create_template(
        "default", CreateTemplateRequest(name=name, template_version_id=version.id)
    )
    return version.id


def _is_imported(client: Client, version_id: UUID) -> bool:
    return client.get_template_version(version_id).job.status is JobStatus.SUCCEEDED


def shell_version(client: Client) -> UUID:
    """The version of the template of the shell agent that comes along, once it is imported."""
    found: list[UUID] = []

    def look() -> bool:
        templates = client.list_templates("has-ai-task:true")
        found.extend(one.active_version_id for one in templates if one.name == "shell")
        return bool(found) and _is_imported(client, found[0])

    wait(look)
    return found[0]
