"""That ./yard begins well everywhere: the verbs, a machine without Python, nothing fetched twice."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT

VERBS = (
    "demo",
    "server",
    "page",
    "setup",
    "test",
    "check",
    "fmt",
    "build",
    "bench",
    "soak",
    "screenshots",
    "docs",
    "lock",
)

PROGRAMS = (
    "bash",
    "cat",
    "chmod",
    "dirname",
    "find",
    "flock",
    "readlink",
    "rm",
    "sha256sum",
    "sleep",
)
"""All that ./yard calls, beside Python, uv and just."""

FAKE_UV = """\
#!/bin/bash
# Stands in for uv: notes each call, and makes a .venv from links to this interpreter.
case $1 in
  --version) ;;
  venv) echo venv >>"$UV_CALLS"; mkdir -p .venv/bin .venv/lib/python3.11/site-packages; ln -s "$UV_PYTHON" .venv/bin/python ;;
  pip) echo "${@: -1}" >>"$UV_CALLS"; sleep "${UV_TAKES:-0}"; ln -sf "$UV_JUST" .venv/bin/just ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine that has only what ./yard may count on; no Python, no home."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).symlink_to(shutil.which(name) or name)
    return {"PATH": str(programs)}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what ./yard reads, in a folder with a space in its name."""
    folder = tmp_path / "a checkout"
    (folder / "src").mkdir(parents=True)
    for name in ("yard", "justfile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    (folder / "scripts").mkdir()
    (folder / "scripts" / "demo.py").write_text("import sys; print(sys.argv[1:])\n")
    return folder


@pytest.fixture
def with_uv(machine: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The same machine with Python, and a uv that needs no network."""
    programs = tmp_path / "bin"
    (programs / "uv").write_text(FAKE_UV)
    (programs / "uv").chmod(0o755)
    (programs / "python3").symlink_to(sys.executable)
    for name in ("mkdir", "ln", "touch"):
        (programs / name).symlink_to(shutil.which(name) or name)
    just = Path(sys.executable).with_name("just")
    calls = str(tmp_path / "calls")
    return machine | {"UV_CALLS": calls, "UV_PYTHON": sys.executable, "UV_JUST": str(just)}


def yard(
    folder: Path, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What one run of ./yard in a folder came to."""
    return subprocess.run(
        [folder / "yard", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=env,
        cwd=folder.parent,
    )


def calls(env: dict[str, str]) -> list[str]:
    """What uv was asked for so far."""
    path = Path(env["UV_CALLS"])
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",)])
def test_help_lists_the_verbs(arguments: tuple[str, ...]) -> None:
    """Without a verb, or asked for help, it lists every verb with a sentence, and installs nothing."""
    done = yard(ROOT, *arguments, env={"PATH": os.environ["PATH"]})
    rows = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line.startswith("  ")]
    assert (done.returncode, tuple(row[0] for row in rows)) == (0, VERBS)
    assert all(row[1].endswith(".") for row in rows)


@pytest.mark.parametrize("verb", ["tset", "--all", "te", "*"])
def test_unknown_verbs_are_named(verb: str) -> None:
    """A word that is no verb ends with 2, and the verbs are listed."""
    done = yard(ROOT, verb)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"'{verb}'" in done.stderr
    assert all(f"  {name} " in done.stderr for name in VERBS)


def test_no_python_is_one_sentence(checkout: Path, machine: dict[str, str]) -> None:
    """On a machine without Python it ends with 2 and one line that says what to install."""
    done = yard(checkout, "demo", env=machine)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "apt-get install python3" in done.stderr


def test_neither_pip_nor_venv_is_one_sentence(
    checkout: Path, machine: dict[str, str], tmp_path: Path
) -> None:
    """A Python that can get no uv ends it with 2, and the last line names the package to install."""
    bare = tmp_path / "bin" / "python3"
    bare.write_text(
        "#!/bin/bash\n"
        f"case $* in -m*) exit 1 ;; *executable*) echo {shlex.quote(str(bare))} ;; "
        f'*) exec {shlex.quote(sys.executable)} "$@" ;; esac\n'
    )
    bare.chmod(0o755)
    done = yard(checkout, "demo", env=machine)
    assert done.returncode == 2
    assert "-venv" in done.stderr.splitlines()[-1]
    assert not (checkout / ".venv-tools").exists()


def test_nothing_is_fetched_twice(checkout: Path, with_uv: dict[str, str]) -> None:
    """uv is called once; then not until a lock changes."""
    assert yard(checkout, "setup", env=with_uv).returncode == 0
    assert calls(with_uv) == ["venv", "requirements/dev.txt"]
    assert yard(checkout, "setup", env=with_uv).returncode == 0
    assert len(calls(with_uv)) == 2
    with (checkout / "requirements" / "dev.txt").open("a") as lock:
        lock.write("# changed\n")
    assert yard(checkout, "setup", env=with_uv).returncode == 0
    assert calls(with_uv)[2:] == ["requirements/dev.txt"]


def test_demo_installs_less(checkout: Path, with_uv: dict[str, str]) -> None:
    """The demo asks for the runtime lock only, and keeps an environment that holds more."""
    assert yard(checkout, "demo", "a b", env=with_uv).stdout == "['a b']\n"
    assert calls(with_uv) == ["venv", "requirements/runtime.txt"]
    yard(checkout, "setup", env=with_uv)
    yard(checkout, "demo", env=with_uv)
    assert calls(with_uv)[2:] == ["requirements/dev.txt"]


def test_the_command_line_is_at_hand(
    checkout: Path, with_uv: dict[str, str], tmp_path: Path
) -> None:
    """`taskyard` and `taskyard-agent` in `.venv/bin` are the checkout's, through a link from elsewhere too."""
    for module in ("taskyard/cli/main.py", "taskyard_agent/__main__.py"):
        file = checkout / "src" / module
        file.parent.mkdir(parents=True)
        file.write_text(f"import sys; print({module!r}, sys.argv[1:])\n")
    yard(checkout, "setup", env=with_uv)
    env = with_uv | {"PYTHONPATH": str(checkout / "src")}  # the fake .venv reads no .pth
    said = []
    for name in ("taskyard", "taskyard-agent"):
        (tmp_path / name).symlink_to(checkout / ".venv" / "bin" / name)
        call = [str(tmp_path / name), "a b"]
        said.append(
            subprocess.run(call, capture_output=True, text=True, check=True, env=env).stdout
        )
    assert said == ["taskyard/cli/main.py ['a b']\n", "taskyard_agent/__main__.py ['a b']\n"]


def test_a_moved_checkout_keeps_working(checkout: Path, with_uv: dict[str, str]) -> None:
    """Renaming the folder fetches nothing."""
    yard(checkout, "setup", env=with_uv)
    moved = checkout.rename(checkout.with_name("moved"))
    assert yard(moved, "setup", env=with_uv).returncode == 0
    assert len(calls(with_uv)) == 2


BUILDER = """\
import os, pathlib, sys
with open(os.environ["BUILDS"], "a") as notes:
    notes.write(f"{sys.argv[1:]}\\n")
node = pathlib.Path(__file__).parents[1] / ".venv-node"
sys.exit(0 if node.exists() else int(os.environ.get("BUILD_STATUS", 0)))
"""


@pytest.fixture
def builder(checkout: Path, with_uv: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The machine, with something in the place of the page's build that notes when it is called."""
    (checkout / "scripts" / "build_page.py").write_text(BUILDER)
    main = checkout / "src" / "taskyard" / "cli" / "main.py"
    main.parent.mkdir(parents=True)
    main.write_text("import sys; print(sys.argv[1:])\n")
    return with_uv | {
        "PYTHONPATH": str(checkout / "src"),  # the fake .venv reads no .pth
        "BUILDS": str(tmp_path / "builds"),
    }


def builds(env: dict[str, str]) -> list[str]:
    """How the build was called so far."""
    path = Path(env["BUILDS"])
    return path.read_text().splitlines() if path.exists() else []


def test_a_server_has_its_page_built(checkout: Path, builder: dict[str, str]) -> None:
    """`server` asks for the page first and starts whatever comes of it; demo and `--no-page` do not ask."""
    for words, env in (
        (("server", "--no-page"), {}),
        (("server", "create-admin"), {}),
        (("server",), {"TASKYARD_PAGE": "false"}),
        (("demo",), {}),
    ):
        assert yard(checkout, *words, env=builder | env).returncode == 0
    assert builds(builder) == []
    done = yard(checkout, "server", "--port", "0", env=builder)
    assert (done.stdout, done.stderr.count("page")) == ("['server', '--port', '0']\n", 0)
    for status in ("1", "3"):
        done = yard(checkout, "server", env=builder | {"BUILD_STATUS": status})
        assert (done.returncode, done.stdout) == (0, "['server']\n")
        assert "without" in done.stderr
    assert builds(builder) == ["[]"] * 3
    assert calls(builder) == ["venv", "requirements/runtime.txt"]


def test_the_page_is_built_with_a_node_of_our_own(
    checkout: Path, builder: dict[str, str], tmp_path: Path
) -> None:
    """`page` gets Node from its lock where there is none, and only then; a build that fails is its status."""
    assert yard(checkout, "page", "--again", env=builder).returncode == 0
    assert yard(checkout, "page", env=builder | {"BUILD_STATUS": "1"}).returncode == 1
    assert builds(builder) == ["['--again']", "[]"]
    uv = tmp_path / "bin" / "uv"
    uv.write_text(FAKE_UV + 'case $* in *--target*) mkdir "$NODE" ;; esac\n')
    env = builder | {"BUILD_STATUS": "3", "NODE": str(checkout / ".venv-node")}
    assert yard(checkout, "page", env=env).returncode == 0
    assert builds(builder)[2:] == ["[]", "[]"]
    assert [Path(name).name for name in calls(builder)] == ["venv", "runtime.txt", "node.txt"]


def test_two_at_once_install_once(checkout: Path, with_uv: dict[str, str]) -> None:
    """The second of two runs waits for the first, and then has nothing to do."""
    env = with_uv | {"UV_TAKES": "0.2"}  # long enough that both are there while uv works
    runs = [
        subprocess.Popen([checkout / "yard", "setup"], env=env, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [run.wait() for run in runs] == [0, 0]
    assert calls(with_uv) == ["venv", "requirements/dev.txt"]


def test_an_install_that_fails_is_tried_again(checkout: Path, with_uv: dict[str, str]) -> None:
    """When uv fails, it ends with 2 and the next run installs again."""
    uv = Path(with_uv["PATH"]) / "uv"
    uv.write_text(FAKE_UV.replace("sleep", "exit 1 #"))
    assert yard(checkout, "setup", env=with_uv).returncode == 2
    uv.write_text(FAKE_UV)
    assert yard(checkout, "setup", env=with_uv).returncode == 0
