"""`mds-tableau` and `python -m mds_tableau`: the command line, from before it is loaded.

Loading it takes part of a second, in which the process can be interrupted too; what the commands
do belongs to `cli`.
"""

import sys

from mds_tableau.streams import open_missing


def run() -> None:
    """Run the command that this process was started with, and exit."""
    open_missing()
    try:
        from mds_tableau.cli import main

        main(prog_name="mds-tableau")
    except KeyboardInterrupt:
        # in the words of click, which says so of all that comes later
        print("\nAborted!", file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    run()
