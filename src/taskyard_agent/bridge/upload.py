"""Files that clients leave for the coding agent. Source: A49, N41."""

import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from starlette.requests import ClientDisconnect, Request

from taskyard_agent.bridge.body import arriving
from taskyard_agent.bridge.errors import Problem
from taskyard_agent.bridge.multipart import BadForm, PartBegins, PartData, boundary_of, parts
from taskyard_agent.bridge.options import Limits
from taskyard_agent.bridge.shapes import ErrorDetail

BESIDE_BYTES = 64 * 1024
"""Bytes of all other parts of a form: they are of no use, and nobody may send them without an end."""

FIELD = "file"

_INVALID = "The request is not valid."


class Uploads:
    """A folder of its own in the system's temporary one; it goes with close()."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._folder: Path | None = None
        self._total = 0

    async def store(self, request: Request) -> Path:
        """Where the one file of the request lies now; the same file again lies there already.

        Raises Problem.
        """
        if self._total >= self._limits.uploads_bytes:
            raise self._full()
        folder = self._open()
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".new-") as file:
            try:
                boundary = boundary_of(request.headers.get("content-type", ""))
                form = parts(arriving(request), boundary)
                name, digest = await _receive(form, file, self._limits.upload_bytes)
            except BadForm as error:
                raise Problem(422, "invalid", _INVALID, ErrorDetail(str(error), "body")) from error
            except ClientDisconnect as error:
                raise Problem(400, "invalid", "The caller hung up too early.") from error
            target = folder / digest[:16] / name
            if not target.exists():
                if self._total + file.tell() > self._limits.uploads_bytes:
                    raise self._full()
                target.parent.mkdir(mode=0o755, exist_ok=True)
                self._total += file.tell()
                shutil.copyfile(file.name, target)
                target.chmod(0o644)
        return target

    def _full(self) -> Problem:
        limit = self._limits.uploads_bytes
        return Problem(507, "too_large", f"All uploads together may have {limit} bytes at most.")

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self._total

    def close(self) -> None:
        """All files are gone."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _open(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="agentapi-uploads-"))
            self._folder.chmod(0o755)
        return self._folder


async def _receive(
    form: AsyncIterator[PartBegins | PartData], file: IO[bytes], limit: int
) -> tuple[str, str]:
    """Name and digest of the one file, whose bytes are in `file` then. Raises Problem, BadForm."""
    name: str | None = None
    inside = False
    beside = 0
    digest = hashlib.sha256()
    async for event in form:
        if isinstance(event, PartBegins):
            inside = event.name == FIELD
            if inside and name is not None:
                raise Problem(422, "invalid", _INVALID, ErrorDetail("Send one file only.", FIELD))
            if inside:
                name = base_name(event.file_name)
            continue
        if not inside:
            beside += len(event.data)
            if beside > BESIDE_BYTES:
                raise BadForm("There is too much beside the file.")
            continue
        if file.tell() + len(event.data) > limit:
            raise Problem(400, "too_large", f"A file may have {limit} bytes at most.")
        digest.update(event.data)
        file.write(event.data)
    if name is None:
        raise Problem(422, "invalid", _INVALID, ErrorDetail("Send a part named file.", FIELD))
    file.flush()
    return name, digest.hexdigest()


def base_name(file_name: str | None) -> str:
    """The last part of a path, so that no name leads elsewhere. Raises Problem when nothing is left."""
    name = (file_name or "").replace("\0", "").rpartition("/")[2]
    if name in {"", ".", ".."} or len(name.encode(errors="replace")) > 255:
        error = ErrorDetail("The part file needs a file name of 1 to 255 bytes.", FIELD)
        raise Problem(422, "invalid", _INVALID, error)
    return name
