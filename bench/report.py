"""Tables of figures: for the terminal, and docs/numbers.md, which is always generated."""

from pathlib import Path

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


def write_numbers(results: list[Result]) -> None:
    """Writes docs/numbers.md from every saved result."""
    parts = [HEAD]
    for found in results:
        quick = ", a quick run: few samples" if found.quick else ""
        parts.append(
            f"## {found.row}\n\n{found.question} Measured {found.measured_at} at commit {found.commit} on "
            f"{found.machine}, Python {found.python}{quick}.\n\n{table(found)}\n"
        )
    NUMBERS.write_text("\n".join(parts), encoding="utf-8")
