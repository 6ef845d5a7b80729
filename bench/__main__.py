"""`./yard bench [ROW...] [--quick]`: measures rows, saves them, and writes docs/numbers.md."""

import argparse
from collections.abc import Callable

from bench import (
    agents,
    attack,
    bridge,
    burst,
    cli,
    cold,
    confined,
    create,
    density,
    egress,
    ingest,
    lists,
    page,
    queue,
    read,
    send,
    stream,
    walls,
)
from bench.measure import Figure, load_all, result, save
from bench.report import table, write_numbers

ROWS: dict[str, tuple[str, Callable[..., list[Figure]]]] = {
    "agents": (agents.QUESTION, agents.measure),
    "attack": (attack.QUESTION, attack.measure),
    "bridge": (bridge.QUESTION, bridge.measure),
    "burst": (burst.QUESTION, burst.measure),
    "cli": (cli.QUESTION, cli.measure),
    "cold": (cold.QUESTION, cold.measure),
    "confined": (confined.QUESTION, confined.measure),
    "create": (create.QUESTION, create.measure),
    "density": (density.QUESTION, density.measure),
    "egress": (egress.QUESTION, egress.measure),
    "filter": (lists.QUESTION, lists.measure),
    "ingest": (ingest.QUESTION, ingest.measure),
    "page": (page.QUESTION, page.measure),
    "queue": (queue.QUESTION, queue.measure),
    "read": (read.QUESTION, read.measure),
    "stream": (stream.QUESTION, stream.measure),
    "send": (send.QUESTION, send.measure),
    "walls": (walls.QUESTION, walls.measure),
}


def main() -> None:
    """Measures the rows asked for, all without a name."""
    parser = argparse.ArgumentParser(prog="./yard bench", description=__doc__)
    parser.add_argument(
        "row", nargs="*", choices=[*ROWS, []], help="what to measure; all without one"
    )
    parser.add_argument("--quick", action="store_true", help="few samples, nothing is saved")
    arguments = parser.parse_args()
    for name in arguments.row or ROWS:
        question, measure = ROWS[name]
        print(f"\n## {name}\n\n{question}\n", flush=True)
        found = result(name, question, measure(quick=arguments.quick), quick=arguments.quick)
        print(table(found), flush=True)
        if not arguments.quick:
            save(found)
    if not arguments.quick:
        write_numbers(load_all())


if __name__ == "__main__":
    main()
