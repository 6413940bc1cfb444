"""Remembers what was published last: what analysts still see, and what they will miss of it.

Publishing belongs to `tableau`, and what may take its place is decided in `losses`; old extracts
are kept by `versions`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mds_tableau.columns import HyperType, counted
from mds_tableau.errors import NotWrittenDown
from mds_tableau.extract_file import ExtractFile
from mds_tableau.extracts import PublishMode
from mds_tableau.files import write_json
from mds_tableau.records import read_record
from mds_tableau.tableau import About, Earlier, Published


def record_published(
    folder: Path,
    made: ExtractFile,
    published: Published,
    *,
    about: About,
    target: str,
    run_id: str,
) -> dict[str, Any]:
    """Write down what the server holds of an extract now: where, how many rows, since when.

    Returns:
        What was written.

    Raises:
        NotWrittenDown: It could not be written.
    """
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
    record: dict[str, Any] = {
        **asdict(published),
        "extract": made.extract,
        "target": target,
        "rows": rows,
        "columns": [[name, str(of_type)] for name, of_type in made.columns],
        "sha256": made.sha256,
        "fingerprint": made.fingerprint,
        "row_hash": _row_hash(made),
        "about": _told(about),
        "run_id": run_id,
        "confirmed_at": published.published_at,
    }
    note = appending_note(folder, made.extract)
    what_then = (
        "publish it again, which replaces it by the same"
        if published.mode != "append"
        else "do not append the same rows again: that is refused until the datasource was looked "
        f"at and {note} is deleted"
    )
    _write(
        folder / f"{made.extract}.json",
        record,
        f"{counted(made.rows, 'row')} were published ({published.mode})",
        f"Until it is, rows and columns are compared with those of the publish before. Then "
        f"{what_then}.",
    )
    return record


def appending_note(folder: Path, extract: str) -> Path:
    """Return the file that is there while rows of an extract are appended and not written down."""
    return folder / f"{extract}.appending"


def _write(path: Path, record: Mapping[str, Any], done: str, then: str) -> None:
    try:
        write_json(path, record)
    except OSError as error:
        revision = f", revision {record['revision']}" if record.get("revision") else ""
        raise NotWrittenDown(
            f"The server has it, but that is not written down: {done} as '{record['datasource']}' "
            f"in '{record['project']}' on {record['server']}{revision} ({record['url']}), and "
            f"{path} could not be written: {error}. Make room there, or let this user write to it. "
            f"{then}"
        ) from error


def unchanged_publish(
    folder: Path, made: ExtractFile, about: About, *, target: str, mode: PublishMode = "auto"
) -> Published | None:
    """Return the last publish if what it sent is what would be sent now, else None.

    What the server has made of it since is not looked at. Rows that are appended, and what is to be
    created, are never taken for the same.

    Args:
        folder: Where what was published is written down.
        made: What is to be published now.
        about: What is said of it now.
        target: The server and site that are published to now.
        mode: What is asked to be done with a datasource that is there.
    """
    last = last_published_to(folder, made.extract, target)
    is_same = (
        last is not None
        and mode not in {"append", "create"}
        and last["mode"] != "append"
        and last["revision"] is not None
        and last.get("revision_at")
        and made.row_hash is not None
        and last.get("row_hash") == _row_hash(made)
        and last["fingerprint"] == made.fingerprint
        and last.get("about") == _told(about)
    )
    if last is None or not is_same:
        return None
    return Published(
        **{name: last[name] for name in Published.__dataclass_fields__ if name in last}
    )


def confirm_published(folder: Path, extract: str) -> None:
    """Write down that the server still holds now what was published last of an extract.

    Raises:
        NotWrittenDown: It could not be written.
    """
    last = last_published(folder, extract)
    if last is not None:
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        _write(
            folder / f"{extract}.json",
            {**last, "confirmed_at": now},
            f"what was published {last['published_at']} is still there",
            "Nothing else has to be done.",
        )


def _row_hash(made: ExtractFile) -> str | None:
    # more digits than other readers of JSON keep of a number
    return None if made.row_hash is None else str(made.row_hash)


def _told(about: About) -> list[object]:
    return [about.description, sorted(about.tags), about.owner]


def about_of(record: Mapping[str, Any]) -> About:
    """Return what was said of a datasource when it was published, as its record has it."""
    description, tags, owner = record["about"]
    # whether the owner has to be there is a matter of the model, and he may have left since
    return About(description, tuple(tags), owner, requires_owner=False)


def last_published(folder: Path, extract: str) -> dict[str, Any] | None:
    """Return what was published last of an extract, or None if nothing whole is known of it."""
    return read_record(folder / f"{extract}.json")


def last_published_to(folder: Path, extract: str, target: str) -> dict[str, Any] | None:
    """Return what was published last of an extract if that went to a place, else None."""
    last = last_published(folder, extract)
    return last if last is not None and is_same_place(last["target"], target) else None


def is_same_place(one: str, other: str) -> bool:
    """Return whether two targets are one server and site, or one datasource there."""
    return one.casefold() == other.casefold()


def rows_known(folders: Iterable[Path]) -> dict[tuple[str, int | None], int]:
    """Return how many rows were published from here, by LUID of the datasource and revision.

    Args:
        folders: Where what was published is written down.
    """
    records = (read_record(path) for folder in folders for path in folder.glob("*.json"))
    return {
        (record["id"], record["revision"]): record["rows"]
        for record in records
        if record is not None and record.get("rows") is not None
    }


def earlier_publish(folder: Path, made: ExtractFile, *, target: str) -> Earlier | None:
    """Return what is remembered of the last publish of an extract to a server, if anything is.

    Args:
        folder: Where what was published is written down.
        made: What is to be published now.
        target: The server and site that are published to now.
    """
    return earlier_publish_of(folder, made.extract, made.columns, target=target)


def earlier_publish_of(
    folder: Path, extract: str, now: Iterable[tuple[str, HyperType]], *, target: str
) -> Earlier | None:
    """Return what `earlier_publish` does, also before there is an extract.

    Args:
        folder: Where what was published is written down.
        extract: Name of the extract.
        now: Name and type of each column that it has, or would have.
        target: The server and site that are published to now.
    """
    last = last_published_to(folder, extract, target)
    if last is None or "columns" not in last:
        return None
    columns = {name: str(of_type) for name, of_type in now}
    return Earlier(last["id"], last["revision"], dict(last["columns"]) == columns)


def changed_columns(folder: Path, made: ExtractFile, *, target: str) -> list[str]:
    """Return what workbooks will miss of the columns that were published last, in sentences.

    A column that is only new breaks nothing, so it is no change here.

    Args:
        folder: Where what was published is written down.
        made: What takes its place.
        target: The server and site that are published to now.
    """
    last = last_published_to(folder, made.extract, target)
    if last is None:
        return []
    # what was published by an older version has no columns written down
    before = dict(last.get("columns") or ())
    now = {name: str(hyper_type) for name, hyper_type in made.columns}
    new = ", ".join(f"'{name}'" for name in now if name not in before)
    instead = f" New since then: {new}." if new else ""
    return [
        f"Column '{name}' of extract '{made.extract}' "
        + (
            f"is {now[name]} now, and was {old} when it was published last"
            if name in now
            else f"is gone; it was {old} when it was published last"
        )
        + ". Workbooks that use it may break."
        + ("" if name in now else instead)
        for name, old in before.items()
        if now.get(name) != old
    ]


def left_behind(folder: Path, made: ExtractFile, published: Published) -> str:
    """Return in sentences what an extract was elsewhere on the server, "" if it was nothing.

    To be asked before the publish is written down.

    Args:
        folder: Where what was published is written down.
        made: The extract.
        published: Where it is now.
    """
    last, now = last_published(folder, made.extract), asdict(published)
    # one that was moved or renamed on the server is the same, and is not left
    if last is None or last["id"] == published.id:
        return ""
    is_same_site = all(last[word] == now[word] for word in ("server", "site"))
    is_elsewhere = any(
        last[word].casefold() != now[word].casefold() for word in ("project", "datasource")
    )
    if not (is_same_site and is_elsewhere):
        return ""
    return (
        f"Extract '{made.extract}' was '{last['datasource']}' in '{last['project']}' until now "
        f"({last['url']}), and is '{published.datasource}' in '{published.project}' from now on. "
        "What was published there stays as it is and is not refreshed any more: connect its "
        "workbooks to the new one, then delete it on the server. Or set meta.tableau back, and "
        "delete the new one."
    )


def still_serves(folder: Path, extract: str, *, target: str) -> str:
    """Return in one sentence what a server holds of an extract since its last publish.

    Args:
        folder: Where what was published is written down.
        extract: Name of the extract.
        target: The server and site that are published to now.
    """
    last = last_published_to(folder, extract, target)
    if last is None:
        return "nothing is known to have been published there"
    revision = f", revision {last['revision']}" if last.get("revision") else ""
    rows = "the rows" if last["rows"] is None else counted(last["rows"], "row")
    return (
        f"the server still has {rows} published {last['published_at']}{revision} "
        f"as '{last['datasource']}' in '{last['project']}'"
    )
