"""Remembers what was published last: what analysts still see, and what may take its place.

Publishing belongs to `tableau`; keeping old extracts to publish them again does not belong here.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from mds_tableau.errors import AppendedAlready, EmptyExtract, RowsFell
from mds_tableau.extract_file import ExtractFile
from mds_tableau.extracts import Extract, step_name
from mds_tableau.files import read_json, write_json
from mds_tableau.tableau import Earlier, Published


def record_published(
    folder: Path, made: ExtractFile, published: Published, *, target: str, run_id: str
) -> None:
    """Write down what the server holds of an extract now: where, how many rows, since when."""
    rows: int | None = made.rows
    if published.mode == "append":
        last = last_published(folder, made.extract)
        is_next = (
            last is not None
            and last.get("id") == published.id
            and last.get("revision") is not None
            and published.revision == last["revision"] + 1
        )
        rows = last["rows"] + made.rows if is_next and last and last["rows"] else None
    write_json(
        folder / f"{made.extract}.json",
        {
            **asdict(published),
            "extract": made.extract,
            "target": target,
            "rows": rows,
            "columns": [[name, str(of_type)] for name, of_type in made.columns],
            "sha256": made.sha256,
            "fingerprint": made.fingerprint,
            "run_id": run_id,
        },
    )


def last_published(folder: Path, extract: str) -> dict[str, Any] | None:
    """Return what was published last of an extract, or None if it never was."""
    return read_json(folder / f"{extract}.json")


def earlier_publish(folder: Path, made: ExtractFile, *, target: str) -> Earlier | None:
    """Return what is remembered of the last publish of an extract to a server, if anything is.

    Args:
        folder: Where what was published is written down.
        made: What is to be published now.
        target: The server and site that are published to now.
    """
    last = last_published(folder, made.extract)
    if last is None or last.get("target") != target or "columns" not in last:
        return None
    columns = {name: str(of_type) for name, of_type in made.columns}
    return Earlier(last["id"], last["revision"], dict(last["columns"]) == columns)


def refuse_repetition(folder: Path, extract: Extract, made: ExtractFile, *, target: str) -> None:
    """Stop rows that were appended already from being appended once more.

    Args:
        folder: Where what was published is written down.
        extract: What would be published.
        made: Its file.
        target: The server and site that are published to now.

    Raises:
        AppendedAlready: The rows are those of the last publish.
    """
    last = last_published(folder, extract.name)
    if extract.mode != "append" or last is None or last.get("target") != target:
        return
    if last["fingerprint"] == made.fingerprint:
        raise AppendedAlready(
            f"Extract '{extract.name}' is not appended, because it holds the same "
            f"{made.rows:,} rows that were published {last['published_at']}. Build it with new "
            f"rows first, for example with --select '*tableau/{extract.name}'."
        )


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
    rows = "the rows" if last["rows"] is None else f"{last['rows']:,} rows"
    return (
        f"the server still has {rows} published {last['published_at']}{revision} "
        f"as '{last['datasource']}' in '{last['project']}'"
    )


def refuse_loss(
    folder: Path,
    extract: Extract,
    rows: int,
    *,
    target: str,
    max_row_fall: float,
    allow_row_fall: bool = False,
) -> None:
    """Stop an extract that lost its rows, or too many of them, from being published.

    What is appended to a datasource takes nothing away from it, whatever number of rows it has.

    Args:
        folder: Where what was published is written down.
        extract: What would be published.
        rows: How many rows it has now.
        target: The server and site that are published to now.
        max_row_fall: Largest share of its rows that it may lose, when its model says nothing.
        allow_row_fall: Let a fall through, whatever the limit is; an empty extract never is.

    Raises:
        EmptyExtract: It has no rows, and its model does not say that it may be empty.
        RowsFell: It lost more of the rows that were published last than it may.
    """
    if extract.mode == "append":
        return
    [mart] = extract.marts
    place = f"under config.meta.tableau of the model ({mart.yaml or mart.file})"
    if rows == 0:
        # also when nothing is known to be there: another machine may have published it
        if not extract.allow_empty:
            raise EmptyExtract(
                f"Extract '{extract.name}' is not published, because mart '{mart.name}' "
                f"({mart.file}) has no rows. Correct the data or the model; if a datasource "
                f"without rows is right, set allow_empty: true {place}."
            )
        return
    last = last_published(folder, extract.name)
    if allow_row_fall or last is None or last.get("target") != target or not last["rows"]:
        return
    limit = max_row_fall if extract.max_row_fall is None else extract.max_row_fall
    fall = (last["rows"] - rows) / last["rows"]
    if fall <= limit:
        return
    source = "MDS_MAX_ROW_FALL" if extract.max_row_fall is None else f"max_row_fall {place}"
    step = step_name("tableau", extract.name)
    # quoted so that sh and cmd.exe read the same
    config = f'{{\\"ops\\": {{\\"{step}\\": {{\\"config\\": {{\\"allow_row_fall\\": true}}}}}}}}'
    raise RowsFell(
        f"Extract '{extract.name}' is not published, because it has {rows:,} rows, "
        f"{fall:.1%} fewer than the {last['rows']:,} that the server has since "
        f"{last['published_at']}. At most {100 * limit:.4g}% may be lost in one publish: that is "
        f"{limit:g} from {source}. Correct the data or the model; or, if so few rows are right, "
        f"let them through once: materialize tableau/{extract.name} with the run config "
        f"`ops: {{{step}: {{config: {{allow_row_fall: true}}}}}}` in the UI (Open launchpad), or "
        f"on the command line: dagster asset materialize --select tableau/{extract.name} "
        f'-m mds_tableau.definitions --config-json "{config}"'
    )
