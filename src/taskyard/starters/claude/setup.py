#!/usr/bin/env python3
"""Tells Claude Code what the parameters say, and answers what its screen would ask a person at the first start."""

import json
import os
from pathlib import Path

HOME = Path.home()
SHOWN_CHARS = 20
"""Characters of a key by which Claude Code remembers that it may be used."""


def change(path: Path, changes: dict[str, object]) -> None:
    """Sets these keys of a JSON file; tables are merged, None takes a key away, the rest stays as it is."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    merge(found, changes)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(found, indent=2), encoding="utf-8")
    new.replace(path)


def merge(into: dict[str, object], changes: dict[str, object]) -> None:
    """Puts the changes into a table."""
    for key, value in changes.items():
        inner = into.get(key)
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            if not isinstance(inner, dict):
                inner = into[key] = {}
            merge(inner, value)
        else:
            into[key] = value


def parameter(name: str) -> str | None:
    """What was answered; None for nothing."""
    return os.environ.get(f"TASKYARD_PARAMETER_{name}") or None


def main() -> None:
    """Writes both files."""
    settings: dict[str, object] = {
        "model": parameter("MODEL"),
        "env": {"ANTHROPIC_BASE_URL": parameter("BASE_URL")},
    }
    state: dict[str, object] = {
        "hasCompletedOnboarding": True,
        "projects": {str(HOME): {"hasTrustDialogAccepted": True}},
    }
    if key := os.environ.get("ANTHROPIC_API_KEY"):
        state["customApiKeyResponses"] = {"approved": [key[-SHOWN_CHARS:]], "rejected": []}
    change(HOME / ".claude" / "settings.json", settings)
    change(HOME / ".claude.json", state)


if __name__ == "__main__":
    main()
