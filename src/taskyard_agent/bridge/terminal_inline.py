"""What is typed for a prompt: one that is too long is put into a file, of which the program is told. Source: N33."""

import asyncio
import shutil
from pathlib import Path
from uuid import uuid4

FOLDER = "prompts"
"""Where such files lie, within the folder of the session."""

KEPT = 10
"""Files that are kept, newest ones: a coding agent may read its prompt again."""


class Inline:
    """Decides what is typed for a prompt. context: comes before the next one, null for nothing."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder / FOLDER
        self._max_bytes = max_bytes
        self._files: list[Path] = []
        self.context: str | None = None

    async def typed(self, text: str, *, pasted: bool) -> str:
        """The prompt itself, or a sentence that names the file with it. Raises OSError.

        pasted: the program knows a paste from keys. Another one takes the lines of a context for prompts.
        """
        in_file = self.context is not None and not pasted
        if self.context is not None:
            text = f"{self.context}\n\n{text}"
        data = text.encode(errors="replace")
        if len(data) <= self._max_bytes and not in_file:
            return text
        path = self._folder / f"prompt-{uuid4().hex[:12]}.md"
        await asyncio.get_running_loop().run_in_executor(None, _write, path, data)
        self._files.append(path)
        while len(self._files) > KEPT:
            self._files.pop(0).unlink(missing_ok=True)
        return f"My message is too long to be typed. Read the file {path} and do what it says."

    def close(self) -> None:
        """The files are gone."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(data)
