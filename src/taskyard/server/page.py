"""The page for people: the files that were built from ui/, at every address that is not the API's.

All files are read once, when the server starts. So a page that is built anew below a running server cannot
come half old and half new, and no path that somebody asks for ever gets near the file system.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Scope

import taskyard
from taskyard.control.services import Services
from taskyard.server.meta import front_page

STATIC: Final = Path(taskyard.__file__).parent / "static"
"""Where the build puts the page."""

INDEX: Final = "/index.html"
"""The one document, by the path of its file; at which it is not served, as its addresses have no ending."""

ASSETS: Final = "/assets/"
"""Below it are files whose names change with what is in them."""

TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json; charset=utf-8",
}
"""The type of each kind of file that is served; others are not."""

ENCODINGS: Final[Mapping[str, str]] = {"br": ".br", "gzip": ".gz"}
"""What a file may be packed by, the smallest first, and how its packed copy ends."""

LASTING: Final = "public, max-age=31536000, immutable"
"""A year, the longest that caches count: another content has another name."""

ASKED_AGAIN: Final = "no-cache"
"""May be kept, but is asked for each time: so an upgrade is seen at the next visit."""

PAGES: Final = frozenset({"account", "admin", "login", "setup", "start", "tasks", "templates"})
"""First parts of addresses that are the page's, whoever asks. Clients put /tasks/{user}/{task} into issues."""

OTHERS: Final = frozenset({"api", "assets", "healthz", "metrics"})
"""First parts that never are: who asks for them is a program, and must not mistake a page for an answer."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'none'; frame-src {frames}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may do: run and show its own files, ask its own server, and frame apps of workspaces, which have
host names of their own. decisions/0038-page.md has the reasons."""

PERMISSIONS: Final = ", ".join(
    f"{feature}=()"
    for feature in (
        "camera",
        "display-capture",
        "geolocation",
        "microphone",
        "midi",
        "payment",
        "publickey-credentials-get",
        "serial",
        "usb",
    )
)
"""What neither the page nor an app in a frame of it may ask the browser for."""

_UNQUALIFIED: Final = re.compile(r"\s*q\s*=\s*0(?:\.0*)?\s*")
_HTML: Final = re.compile(r"(?:^|,)\s*text/html\b", re.IGNORECASE)

NOT_BUILT: Final = """\
<p>The page for people has not been built here. In a clone, <code>./yard page</code> builds it; then start the server
again. Everything else works without it.
"""


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is sent; bodies has it by encoding, unpacked under the empty name."""

    type: str
    etag: str
    bodies: Mapping[str, bytes]
    is_lasting: bool

    def answer(self, request: Headers, extra: Mapping[str, str]) -> Response:
        """The file, packed as the client takes it; 304 when the client has it already."""
        encoding = _encoding(request.get("accept-encoding", ""), self.bodies)
        etag = f'"{self.etag}{"-" if encoding else ""}{encoding}"'
        headers = {
            "Cache-Control": LASTING if self.is_lasting else ASKED_AGAIN,
            "ETag": etag,
            "Vary": "Accept-Encoding",
            **extra,
        }
        if _is_known(request.get("if-none-match", ""), etag):
            return Response(None, 304, headers)
        if encoding:
            headers["Content-Encoding"] = encoding
        return Response(self.bodies[encoding], 200, {**headers, "Content-Type": self.type})


@dataclass(frozen=True, slots=True)
class _Label:
    """What the log and the figures call an address of the page."""

    path: str


class Site:
    """What people find at the addresses of a server that are not its API's. files None: nothing was built."""

    def __init__(self, services: Services, files: Mapping[str, File] | None) -> None:
        self._services = services
        self._files = files
        self._plain = front_page(services, "" if files else NOT_BUILT)

    async def front(self, request: Request) -> Response:
        """What `/` shows. Where nothing was built it is 200 all the same: what stands there is an answer."""
        return await self._plain(request) if self._files is None else self._page(request.headers)

    async def find(self, scope: Scope) -> Response | None:
        """The answer at an address that no route has; None where this is not the page's either."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return None
        path, headers = scope["path"], Headers(scope=scope)
        if self._files is not None and path in self._files and path != INDEX:
            scope["route"] = _Label("/assets/{file}")
            return self._files[path].answer(headers, {})
        if not is_page(path, headers.get("accept", "")):
            return None
        scope["route"] = _Label("/{page}")
        if self._files is None:
            return await self._missing(Request(scope))
        return self._page(headers)

    async def _missing(self, request: Request) -> HTMLResponse:
        """503: there is such a page, but not here, and not for a cache or a watcher to take for one."""
        page = await self._plain(request)
        page.status_code = 503
        return page

    def _page(self, headers: Headers) -> Response:
        """The one document, which finds out by itself what is to be seen at its address."""
        assert self._files is not None
        previews = self._services.previews
        frames = f"{previews.scheme}://*{previews.suffix}" if previews.scheme else "'none'"
        told = {
            "Content-Security-Policy": POLICY.format(frames=frames),
            "Permissions-Policy": PERMISSIONS,
            "Referrer-Policy": "same-origin",
        }
        return self._files[INDEX].answer(headers, told)


def load_files(folder: Path = STATIC) -> dict[str, File] | None:
    """Every file of a built page by the path at which it is served, hidden ones left out; None where no page was built."""
    if not (folder / INDEX[1:]).is_file():
        return None
    found: dict[str, File] = {}
    for file in sorted(folder.rglob("*")):
        kind = TYPES.get(file.suffix)
        path = "/" + file.relative_to(folder).as_posix()
        if kind is not None and file.is_file() and "/." not in path:
            found[path] = _read(file, kind, is_lasting=path.startswith(ASSETS))
    return found


def is_page(path: str, accept: str) -> bool:
    """Whether an address is one that the page shows something at.

    Known ones are, and others where a browser asks: the page says there that it knows no such address. A program
    that came to a wrong address asks for no HTML, and is better told so by a 404 than by a page.
    """
    parts = PurePosixPath(path).parts[1:]
    first = parts[0] if parts else ""
    if first in OTHERS or first.startswith("@") or any(part.startswith(".") for part in parts):
        return False
    if parts and "." in parts[-1]:
        return False  # a file, and all files there are were looked at
    return first in PAGES or _HTML.search(accept) is not None


def _read(file: Path, kind: str, *, is_lasting: bool) -> File:
    body = file.read_bytes()
    packed = {name: file.with_name(file.name + end) for name, end in ENCODINGS.items()}
    bodies = {name: copy.read_bytes() for name, copy in packed.items() if copy.is_file()}
    etag = hashlib.sha256(body).hexdigest()[:20]
    return File(kind, etag, {"": body, **bodies}, is_lasting)


def _encoding(accepted: str, held: Mapping[str, bytes]) -> str:
    """The smallest of the encodings that are held and taken; empty for none."""
    taken = set()
    for part in accepted.split(","):
        name, _, quality = part.partition(";")
        if not _UNQUALIFIED.fullmatch(quality):
            taken.add(name.strip().lower())
    return next((name for name in ENCODINGS if name in taken and name in held), "")


def _is_known(sent: str, etag: str) -> bool:
    """Whether If-None-Match names this version."""
    known = {part.strip().removeprefix("W/") for part in sent.split(",")}
    return etag in known or "*" in known
