"""Tables of figures: for the terminal, and docs/numbers.md, which is always generated."""

from pathlib import Path

from bench.goals import Judged, judge
from bench.measure import Result

NUMBERS = Path(__file__).parents[1] / "docs" / "numbers.md"

HEAD = """\
# Numbers

Made by `./yard bench` from `bench/results/`; not edited by hand. A floor is the least
that the same work can take, measured in the same run, in turns with the thing itself; the ratio is median over median.
These machines are shared and noisy: compare ratios, not days.
"""


def table(found: Result) -> str:
    """One row's figures as a Markdown table."""
    lines = [
        "| what | unit | n | median | p95 | p99 | min | max | floor | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for f in found.figures:
        ratio = "" if f.ratio is None else f"{f.ratio:g}"
        cells = [
            f.name,
            f.unit,
            f.n,
            f.median,
            f.p95,
            f.p99,
            f.min,
            f.max,
            f.floor or "",
            ratio,
        ]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def goals_table(judged: list[Judged]) -> str:
    """The goals of a row as a Markdown table, and below it why those that are missed are; empty without goals."""
    if not judged:
        return ""
    lines = ["| goal | of | value | |", "|---|---|---|---|"]
    for one in judged:
        met = "met" if one.is_met else "**missed**"
        lines.append(
            f"| {one.goal.of} {one.goal.bound} | {one.figure.name} | {one.value:g} | {met} |"
        )
    for one in judged:
        if not one.is_met:
            why = one.goal.cause or "Nobody has said why."
            lines += ["", f"- {one.goal.of} of {one.figure.name}: {why} {one.goal.would_take}"]
    return "\n".join(lines)


def write_numbers(results: list[Result]) -> None:
    """Writes docs/numbers.md from every saved result."""
    parts = [HEAD]
    for found in results:
        quick = ", a quick run: few samples" if found.quick else ""
        versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
        parts.append(
            f"## {found.row}\n\n{found.question} Measured {found.measured_at} at commit {found.commit} on "
            f"{found.machine}, {versions}{quick}.\n\n{table(found)}\n"
        )
        if goals := goals_table(judge(found)):
            parts.append(f"{goals}\n")
    NUMBERS.write_text("\n".join(parts), encoding="utf-8")
