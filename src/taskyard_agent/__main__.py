"""`python -m taskyard_agent run`: the workspace agent, as a driver starts it."""

import sys

from taskyard_agent.settings import SettingsInvalid

USAGE = "usage: python -m taskyard_agent run"

EXIT_USAGE = 2


def main() -> None:
    """Runs the command; exits with its code."""
    if sys.argv[1:] != ["run"]:
        sys.exit(
            f"{USAGE}\nIt is started by a driver, which tells it by its environment what to do."
        )
    # Imported here: a wrong command line is answered without loading all of it.
    from taskyard_agent.run import run

    try:
        sys.exit(run())
    except SettingsInvalid as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program's last words
        sys.exit(EXIT_USAGE)


if __name__ == "__main__":
    main()
