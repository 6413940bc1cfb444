"""A process that publishes: reads its order from stdin as JSON, waits for a word, and then works.

What it is told by the publisher goes to stderr. The tests of load start several of these at once.
"""

import json
import logging
import sys
from pathlib import Path

from mds_tableau.tableau import About, Password, Patience, Token, publish, sign_in, uploading

CHUNK = 24 * 1024
PATIENCE = Patience(first_pause=0.01, longest_pause=0.1, connect_seconds=30, read_seconds=60)


def main() -> None:
    """Publish each of the order's files under its name, with its description."""
    order = json.loads(sys.stdin.readline())
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    who = (Token if order["kind"] == "token" else Password)(order["name"], order["secret"])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    with (
        sign_in(order["url"], "", who, PATIENCE) as session,
        uploading(session, chunk_bytes=CHUNK) as uploads,
    ):
        for path, _, _ in order["files"]:
            uploads.begin(Path(path))
        for path, name, description in order["files"]:
            publish(
                session,
                Path(path),
                datasource=name,
                project="Default",
                about=About(description),
                uploads=uploads,
            )


if __name__ == "__main__":
    main()
