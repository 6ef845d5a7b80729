"""`taskyard-agent`: the workspace agent as a driver starts it, and the bridge alone for people."""

import sys

from taskyard_agent.settings import SettingsInvalid

EXIT_USAGE = 2


def main() -> None:
    """Runs the command; exits with its code."""
    if sys.argv[1:] != ["run"]:
        # Imported here: a workspace agent needs none of it.
        from taskyard_agent.standalone.main import main as command

        sys.exit(command(sys.argv[1:]))
    # Imported here: a wrong command line is answered without loading all of it.
    from taskyard_agent.run import run

    try:
        sys.exit(run())
    except SettingsInvalid as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program's last words
        sys.exit(EXIT_USAGE)


if __name__ == "__main__":
    main()
