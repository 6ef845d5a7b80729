"""Cuts a multipart/form-data body into parts while it arrives, holding no more than a boundary of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import Message as Headers

HEAD_BYTES = 16 * 1024
"""Bytes of the longest head of a part."""


class BadForm(Exception):
    """The body is not what it should be; str() is a sentence."""


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part; file_name null: a plain field."""

    name: str
    file_name: str | None


@dataclass(frozen=True, slots=True)
class PartData:
    """Bytes of the part that began last."""

    data: bytes


def boundary_of(content_type: str) -> bytes:
    """What separates the parts. Raises BadForm."""
    headers = Headers()
    headers["content-type"] = content_type
    boundary = headers.get_param("boundary")
    if headers.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise BadForm("The body must be multipart/form-data with a boundary.")
    return boundary.encode("latin-1", "replace")


async def parts(
    body: AsyncIterator[bytes], boundary: bytes
) -> AsyncIterator[PartBegins | PartData]:
    """Beginnings and bytes of all parts, in order. Raises BadForm."""
    reader = _Reader(body)
    mark = b"\r\n--" + boundary
    reader.held = b"\r\n"  # the first boundary may stand at the very start
    async for _ in reader.until(mark):
        pass
    while not await reader.at_end():
        yield _part(await reader.head())
        async for data in reader.until(mark):
            yield PartData(data)


class _Reader:
    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self.held = b""
        self._body = body

    async def _more(self) -> None:
        async for chunk in self._body:
            if chunk:
                self.held += chunk
                return
        raise BadForm("The body ends in the middle of a part.")

    async def until(self, mark: bytes) -> AsyncIterator[bytes]:
        """The bytes up to a mark, which is taken too."""
        while (at := self.held.find(mark)) < 0:
            sure = max(0, len(self.held) - len(mark) + 1)
            data, self.held = self.held[:sure], self.held[sure:]
            if data:
                yield data
            await self._more()
        data, self.held = self.held[:at], self.held[at + len(mark) :]
        if data:
            yield data

    async def at_end(self) -> bool:
        """Whether the boundary just taken was the last one."""
        while len(self.held) < 2:
            await self._more()
        return self.held.startswith(b"--")

    async def head(self) -> bytes:
        """The lines before a part's bytes."""
        while (at := self.held.find(b"\r\n\r\n")) < 0:
            if len(self.held) > HEAD_BYTES:
                raise BadForm("The head of a part is too long.")
            await self._more()
        head, self.held = self.held[:at], self.held[at + 4 :]
        return head


def _part(head: bytes) -> PartBegins:
    headers = Headers()
    for line in head.decode(errors="replace").split("\r\n"):
        field, _, value = line.partition(":")
        if field.strip():
            headers[field.strip()] = value.strip()
    name = headers.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        raise BadForm("A part has no name.")
    return PartBegins(name, headers.get_filename())
