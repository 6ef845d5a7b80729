"""The templates that come with the server: as archives, and as examples that people may start from."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

import anyio.to_thread

from taskyard.control.archives import File, pack
from taskyard.lifecycle.template import Template, parse_template
from taskyard.wire.templates import TemplateExample


@dataclass(frozen=True, slots=True)
class Starter:
    """A template that comes along; archive is a tar, the same bytes each time."""

    name: str
    archive: bytes
    template: Template
    readme: str


@cache
def load_starters() -> dict[str, Starter]:
    """Each starter that this release ships, by its name. Work for a thread, the first time."""
    root = files("taskyard") / "starters"
    folders = sorted((each for each in root.iterdir() if each.is_dir()), key=lambda each: each.name)
    return {folder.name: _starter(folder) for folder in folders if folder.name[0] not in "._"}


async def starters() -> dict[str, Starter]:
    """Each starter by its name."""
    return await anyio.to_thread.run_sync(load_starters)


async def list_examples() -> list[TemplateExample]:
    """The starters as clients list them; the id is what `example_id` of a new version takes."""
    return [
        TemplateExample(
            id=starter.name,
            url="",
            name=starter.template.display_name or starter.name,
            description=starter.template.description,
            icon=starter.template.icon,
            tags=sorted(starter.template.tags),
            markdown=starter.readme,
        )
        for starter in (await starters()).values()
    ]


def _starter(folder: Traversable) -> Starter:
    found = list(_files(folder, ""))
    contents = {file.name: file.content for file in found}
    readme = contents.get("README.md", b"").decode()
    return Starter(folder.name, pack(found), parse_template(contents), readme)


def _files(folder: Traversable, path: str) -> Iterator[File]:
    """Every file below a folder; what begins with #! can be run, whatever an installer made of its mode."""
    for entry in folder.iterdir():
        name = f"{path}{entry.name}"
        if entry.name == "__pycache__":
            continue
        if entry.is_dir():
            yield from _files(entry, f"{name}/")
        else:
            content = entry.read_bytes()
            yield File(name, content, content.startswith(b"#!"))
