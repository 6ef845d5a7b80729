"""Runs inside the venv of coder-api: one call of its classes for each line of stdin.

A line is `{"call": "User.get", "arguments": …}`; what comes back is `{"status": …, "body": …}`, `{"value": …}` or `{"error": …}`.
"""

import contextlib
import importlib
import json
import os
import sys


def main() -> None:
    """Answers until stdin ends."""
    coder = importlib.import_module("coder")
    vars(coder).update(token=os.environ["CODER_TOKEN"], api_domain=os.environ["API_DOMAIN"])
    for line in sys.stdin:
        asked = json.loads(line)
        kind, _, name = asked["call"].partition(".")
        try:
            with contextlib.redirect_stdout(sys.stderr):  # it prints what it gets
                found = getattr(getattr(coder, kind), name)(**asked["arguments"])
        except Exception as error:  # noqa: BLE001 - whatever a foreign client raises is its answer
            say({"error": repr(error)})
        else:
            say(told(found))


def told(found: object) -> dict[str, object]:
    """An answer with its status, or what the client made of it."""
    status, text = getattr(found, "status_code", None), getattr(found, "text", "")
    if status is None:
        return {"value": found}
    try:
        return {"status": status, "body": json.loads(text)}
    except ValueError:
        return {"status": status, "body": text}


def say(value: object) -> None:
    """One line of JSON."""
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
