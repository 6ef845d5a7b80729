"""`taskyard audit` against a real server."""

import json

from tests.cli.conftest import Program
from tests.sdk.yard_kit import Yard


def test_who_did_what(owner: Program, yard: Yard) -> None:
    """A deed is listed with who, what and from where; a search and a time narrow it; wrong words are explained."""
    owner.good("tokens", "create", "--name", "audited")
    rows = owner.good(
        "audit", "list", "-q", "audited", "-c", "user,action,type,name,ip"
    ).splitlines()
    assert rows[1].split() == ["ada", "create", "api", "key", "ada/audited", "127.0.0.1"]
    assert len(rows) == 2
    assert "Nothing of the kind" in owner("audit", "list", "-q", "audited action:delete").err
    for since in ("1h", "2026-01-01", "2026-01-01T00:00:00Z"):
        assert "ada/audited" in owner.good("audit", "list", "-q", "audited", "--since", since)
    wrong = owner("audit", "list", "-q", "action:steal")
    assert (wrong.status, "action" in wrong.err) == (1, True)
    assert owner("audit", "list", "--since", "soon").status == 1


def test_an_export_is_a_file_of_lines(owner: Program, yard: Yard) -> None:
    """All of it goes to a file, or to standard output, a JSON object a line; nothing half-written is left."""
    owner.good("tokens", "create", "--name", "exported")
    said = owner.good("audit", "export", "-o", "audit.jsonl")
    lines = (owner.home / "audit.jsonl").read_text().splitlines()
    assert said == f"Wrote {len(lines)} deeds to audit.jsonl.\n"
    assert json.loads(lines[0])["resource_name"] == "ada/exported"
    printed = owner.good("audit", "export", "-o", "-", "-q", "exported").splitlines()
    assert [json.loads(line)["action"] for line in printed] == ["create"]
    assert not (owner.home / "audit.jsonl.part").exists()
    missing = owner("audit", "export", "-o", "nowhere/audit.jsonl")
    assert missing.status != 0
