"""Remembers what was published last, so that a failed run can say what analysts still see.

Publishing belongs to `tableau`; keeping old extracts to publish them again does not belong here.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from mds_tableau.files import read_json, write_json
from mds_tableau.hyper import ExtractFile
from mds_tableau.tableau import Published


def record_published(
    folder: Path, made: ExtractFile, published: Published, *, target: str, run_id: str
) -> None:
    """Write down what the server holds of an extract now: where, how many rows, since when."""
    write_json(
        folder / f"{made.extract}.json",
        {
            **asdict(published),
            "extract": made.extract,
            "target": target,
            "rows": made.rows,
            "sha256": made.sha256,
            "fingerprint": made.fingerprint,
            "run_id": run_id,
        },
    )


def last_published(folder: Path, extract: str) -> dict[str, Any] | None:
    """Return what was published last of an extract, or None if it never was."""
    return read_json(folder / f"{extract}.json")


def still_serves(folder: Path, extract: str, *, target: str) -> str:
    """Return in one sentence what a server holds of an extract since its last publish.

    Args:
        folder: Where what was published is written down.
        extract: Name of the extract.
        target: The server and site that are published to now.
    """
    last = last_published(folder, extract)
    if last is None or last.get("target") != target:
        return "nothing is known to have been published there"
    revision = f", revision {last['revision']}" if last.get("revision") else ""
    return (
        f"the server still has {last['rows']:,} rows published {last['published_at']}{revision} "
        f"as '{last['datasource']}' in '{last['project']}'"
    )
