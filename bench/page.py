"""How soon somebody who opens the page sees the tasks, in a real browser."""

import json
import tempfile
from pathlib import Path

import pytest

from bench.crowd import FEW, crowded
from bench.measure import Figure, amount
from tests.ui.page_kit import build_page, open_browser

QUESTION = (
    "How much does a browser load that was never there until the list of 10,000 tasks is shown, how long until the "
    "page answers, and how long from asking for the tasks to the first row? Goals: 200 KB, 1,000 ms, 300 ms."
)

TASKS = 10_000
ROUNDS = 20
WARM = 2

FLOOR = "a visit to /healthz"


def measure(*, quick: bool) -> list[Figure]:
    """Figures of visits, each in turn with one to a document that shows nothing."""
    try:
        build_page()
        browser = open_browser()
    except pytest.skip.Exception as missing:
        raise SystemExit(f"bench page: {missing}") from None
    rounds, warm = (1, 0) if quick else (ROUNDS, WARM)
    with (
        crowded(FEW if quick else TASKS) as (port, owner, _),
        tempfile.TemporaryDirectory() as folder,
    ):
        status, said = browser.run(
            Path(__file__).with_name("page.mjs"),
            folder=folder,
            address=f"http://127.0.0.1:{port}",
            token=owner,
            rounds=warm + rounds,
        )
    if status:
        raise RuntimeError(said)
    visits = json.loads(said)[warm:]
    floor = (FLOOR, [visit["floor"] for visit in visits])
    return [
        amount("loaded, packed", "KB", [visit["bytes"] / 1000 for visit in visits]),
        amount(FLOOR, "ms", floor[1]),
        amount("visit to a page that answers", "ms", [v["interactive"] for v in visits], floor),
        amount("asking for tasks to the first row", "ms", [visit["row"] for visit in visits]),
    ]
