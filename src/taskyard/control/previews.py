"""Where browsers see the apps of workspaces: a host name for each app, none of which is the server's own."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

LABEL_CHARS: Final = 63
"""Characters of one part of a host name. A slug has 32 at most, an id 26."""

_SLUG: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9]){0,31}")
_ID_CHARS: Final = 26


@dataclass(frozen=True, slots=True)
class AppHost:
    """Which app a host name stands for."""

    workspace_id: UUID
    slug: str

    @property
    def label(self) -> str:
        """The first part of its host name: the slug, two hyphens, and the workspace's id in base 32."""
        text = base64.b32encode(self.workspace_id.bytes).decode().rstrip("=").lower()
        return f"{self.slug}--{text}"

    @classmethod
    def read(cls, label: str) -> "AppHost | None":
        """The app of a label; None for what is no label of ours."""
        slug, dashes, text = label.rpartition("--")
        if not dashes or len(label) > LABEL_CHARS or not _SLUG.fullmatch(slug):
            return None
        if len(text) != _ID_CHARS or not text.isascii():
            return None
        try:
            found = cls(UUID(bytes=base64.b32decode(text.upper() + "======")), slug)
        except (binascii.Error, ValueError):
            return None
        return (
            found if found.label == label else None
        )  # one app has one origin, however bits are padded


class Previews:
    """The address under which apps are served, told once the server listens; none: they are not.

    scheme is http or https. suffix is what follows an app's label: a dot, a host name, perhaps a colon and a port.
    """

    def __init__(self) -> None:
        self.scheme = ""
        self.suffix = ""

    def tell(self, url: str) -> None:
        """Apps are served there; url reads like https://*.apps.example.com:8443."""
        self.scheme, _, rest = url.partition("://")
        self.suffix = rest.removeprefix("*")

    @property
    def is_on(self) -> bool:
        """Whether apps are served at all."""
        return bool(self.suffix)

    @property
    def is_private_line(self) -> bool:
        """Whether browsers come by https."""
        return self.scheme == "https"

    def origin(self, host: AppHost) -> str:
        """The origin of an app, as browsers write it."""
        return f"{self.scheme}://{host.label}{self.suffix}"

    def find(self, name: str) -> AppHost | None:
        """The app that a host name, without port and in lower case, stands for; None for any other name."""
        parent = self.suffix.partition(":")[0]
        if not parent or not name.endswith(parent):
            return None
        label = name.removesuffix(parent)
        return None if "." in label else AppHost.read(label)
