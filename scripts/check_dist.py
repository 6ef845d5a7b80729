"""Checks what a build left in a folder: one wheel and one source archive, with all that belongs in them.

Prints a line for each; exits 1 with what is missing or too much.
"""

import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("taskyard", "taskyard_agent")
BESIDE = ("LICENSE", "NOTICE", "entry_points.txt")
"""Files that the wheel has about itself."""
PAGE = ("taskyard/static/index.html", "taskyard/static/built-from")
"""Two files without which there is no page, or nobody knows of what."""
SOURCES = (
    "yard",
    "justfile",
    "LICENSE",
    "pyproject.toml",
    "hatch_build.py",
    "requirements/dev.txt",
    "scripts/build_page.py",
    "ui/package-lock.json",
)
"""Some files without which the source archive could not be built from or worked on."""


def main(folder: Path) -> int:
    """The exit status of a check of this folder."""
    faults = [*wheel_faults(one(folder, "*.whl")), *sdist_faults(one(folder, "*.tar.gz"))]
    for fault in faults:
        print(f"check_dist: {fault}", file=sys.stderr)
    return 1 if faults else 0


def one(folder: Path, pattern: str) -> Path:
    """The only file of this pattern; ends the program when there is not exactly one."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"check_dist: {folder} has {len(found)} files {pattern}, not one: ./yard build")
    return found[0]


def package_files() -> set[str]:
    """Every file of the two packages, by its path in a wheel; SQL, templates, py.typed and the page with them."""
    found = {
        path.relative_to(ROOT / "src").as_posix()
        for package in PACKAGES
        for path in (ROOT / "src" / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return found | set(PAGE)


def wheel_faults(wheel: Path) -> list[str]:
    """What the wheel lacks, and what it should not have."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.endswith("/")}
    about = {name for name in held if ".dist-info/" in name}
    wanted = package_files()
    print(f"{wheel.name}: {len(held)} files, {wheel.stat().st_size // 1024} KiB")
    faults = [f"the wheel lacks {name}" for name in sorted(wanted - held)]
    faults += [f"the wheel has {name}" for name in sorted(held - about - wanted)]
    ends = {name.rpartition("/")[2] for name in about}
    return faults + [f"the wheel's metadata lacks {name}" for name in BESIDE if name not in ends]


def sdist_faults(sdist: Path) -> list[str]:
    """What the source archive lacks."""
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    print(f"{sdist.name}: {len(held)} files, {sdist.stat().st_size // 1024} KiB")
    wanted = {f"src/{name}" for name in package_files()} | set(SOURCES)
    return [f"the source archive lacks {name}" for name in sorted(wanted - held)]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "dist")))
