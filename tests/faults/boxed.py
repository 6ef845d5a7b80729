"""A server whose data directory is a small disk of its own, that a test can fill."""

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from taskyard.sdk.local import LocalServer

NEEDS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0,
    reason="only root can mount a small disk, in a mount namespace of its own (unshare)",
)

PIECE_BYTES = 1024 * 1024


class BoxedServer(LocalServer):
    """A server that runs in a mount namespace in which the folder above its data directory is a disk of so many bytes."""

    def __init__(
        self, box: Path, *, size: int, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(box / "data", log=log, environment=environment)
        self._box = box
        self._size = size

    def launcher(self) -> list[str]:
        """What becomes the server, with its own pid, once the disk is there."""
        mount = f'mount -t tmpfs -o size={self._size},mode=0711 tmpfs "$0" && exec "$@"'
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", mount, str(self._box)]

    @property
    def disk(self) -> Path:
        """The disk, as it is seen from out here."""
        return Path(f"/proc/{self.process.pid}/root{self._box}")

    def fill(self) -> None:
        """Nothing more can be written from now on."""
        handle = os.open(self.disk / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        size = PIECE_BYTES
        try:
            while size:
                try:
                    os.write(handle, bytes(size))
                except OSError:
                    size //= 2
        finally:
            os.close(handle)

    def keep_full(self, seconds: float) -> None:
        """Whatever comes free in that time is filled at once."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.fill()
            time.sleep(0.05)

    def free(self) -> None:
        """There is room again."""
        (self.disk / "filler").unlink()

    @property
    def database(self) -> str:
        """The address of the server's own Postgres, as it is seen from out here."""
        password = (self.disk / "data/postgres/cluster/password").read_text()
        folder = quote(str(self.disk / "data/postgres/socket"), safe="")
        return f"postgresql://taskyard:{password}@/taskyard?host={folder}&port=5432"
