"""Schemathesis asks every operation of the OpenAPI document in thousands of ways; a real server answers as documented.

The server is a process of its own on a real Postgres and holds tasks, workspaces and templates in many states.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fuzz.fuzz_kit import Stock, stocked
from tests.house.tree import ROOT

CONFIG = ROOT / "tests" / "fuzz" / "schemathesis.toml"
HOOKS = ROOT / "tests" / "fuzz" / "hooks.py"
DOCUMENT = ROOT / "src" / "taskyard" / "server" / "openapi.json"

EXAMPLES = 6
"""Cases made at random for each operation, beside those that walk its limits one by one."""

BUDGETS_S = {"owner": 30, "member": 25, "sequences": 10}
"""Seconds for each run; what is left over when they are spent is not asked."""

PHASES = {
    "owner": "examples,coverage,fuzzing",
    "member": "coverage,fuzzing",
    "sequences": "stateful",
}
"""How each run asks. Sequences take what one answer gave for the next request."""

HOPELESS = {
    "agent_link": "a WebSocket",
    "logout": "it would end the token that all other requests show",
}
"""Operations that are not asked, with the reason."""

QUERIES = (
    "owner:me",
    "status:paused",
    "name:active",
    "has-ai-task:true",
    "deleted:false",
    "nonsense:",
    "template:well owner:ann",
)
"""Searches that get past the reading of the text."""

pytestmark = [pytest.mark.all_tier, pytest.mark.xdist_group("fuzz")]


@pytest.fixture(scope="module")
def stock(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stock]:
    """One server for all runs, which leave it in whatever state."""
    log = tmp_path_factory.mktemp("fuzz") / "server.log"
    with stocked(postgres_url, log) as found:
        yield found
    text = log.read_text(errors="replace")
    assert "request.crashed" not in text, text


@pytest.mark.parametrize("run", BUDGETS_S)
def test_every_operation_answers_as_documented(
    stock: Stock, run: str, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """Whoever asks, and with whatever: a documented status and shape, and no 5xx that the document does not name."""
    budget_s = BUDGETS_S[run]
    config, asked = tmp_path / "schemathesis.toml", tmp_path / "asked"
    asked.touch()  # on a slow machine nothing may have been asked in time
    first = f"hooks = {json.dumps(str(HOOKS))}\n"
    config.write_text(
        first + CONFIG.read_text() + extra(stock, stock.member if run == "member" else stock.owner)
    )
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"),
            *("--url", stock.url, "--max-time", str(budget_s), "--max-examples", str(EXAMPLES)),
            *("--phases", PHASES[run], "--warnings", "off", str(DOCUMENT)),
        ],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=2 * budget_s + 120,
        env={**os.environ, "ASKED": str(asked)},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    cases = re.search(r"\d+ generated", ended.stdout)
    count = len(set(asked.read_text().splitlines()))
    figure(
        f"schemathesis, {run}: {cases[0] if cases else 'no cases'} for {count} operations,"
        f" {budget_s} s at most"
    )


def extra(stock: Stock, token: str) -> str:
    """The part of the configuration that depends on the server: tokens, words, 5xx that the document names."""
    lines = [
        *("[auth.openapi.sessionHeader]", f"api_key = {json.dumps(token)}"),
        *("[auth.openapi.agentToken]", f"api_key = {json.dumps(stock.agent)}"),
    ]
    words = {**stock.words, "q": set(QUERIES)}
    for name, known in sorted(words.items()):
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(sorted(known))}"]
    lines.append("[parameters]")
    for name in sorted(words):
        places = [f"query.{name}"] if name == "q" else [f"path.{name}", f"body.{name}"]
        lines += [f'"{place}" = {{ dictionary = "{name}", probability = 0.7 }}' for place in places]
    for operation, expected in named_failures().items():
        lines += [
            *("[[operations]]", f'include-operation-id = "{operation}"'),
            f"checks.not_a_server_error.expected-statuses = {json.dumps(expected)}",
        ]
    names = [name + end for name in HOPELESS for end in ("", "_alias")]
    lines += ["[[operations]]", f"include-operation-id = {json.dumps(names)}", "enabled = false"]
    return "\n" + "\n".join(lines) + "\n"


def named_failures() -> dict[str, list[str]]:
    """For each operation whose 5xx the document names one by one: all that it may answer."""
    document = json.loads(DOCUMENT.read_text())
    found = {}
    for methods in document["paths"].values():
        for operation in methods.values():
            named = [c for c in operation["responses"] if c.startswith("5") and c != "5XX"]
            if named:
                found[operation["operationId"]] = ["2xx", "3xx", "4xx", *named]
    return found
