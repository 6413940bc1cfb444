"""Decides whether an extract may take the place of what was published last.

Rows that are gone, and rows that would be there twice, stop it. What was published is remembered in
`published`; comparing an extract with its mart is done before, in `verify`.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from mds_tableau.columns import counted
from mds_tableau.errors import AppendedAlready, EmptyExtract, MayHaveArrived, NoRoom, RowsFell
from mds_tableau.extract_file import ExtractFile
from mds_tableau.extracts import Extract, PublishMode, step_name
from mds_tableau.files import read_json, write_json
from mds_tableau.published import appending_note, is_same_place, last_published_to

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What may be published, and how messages tell what to do about what may not.

    Attributes:
        origin: What the extract is made of, such as `mart 'sales' (models/sales.sql)`.
        correct: What to put right, such as `the data or the model`.
        mode: What happens to the datasource that is there; what is appended takes nothing away.
        allow_empty: Whether it may be published without rows.
        to_allow_empty: How to say so.
        max_row_fall: Largest share of its rows that it may lose in one publish.
        limit_from: Where that share is from.
        allow_row_fall: Whether this once any fall is let through; an empty extract never is.
        to_allow_row_fall: How to say so.
        to_build: How to build it with other rows.
    """

    origin: str
    correct: str
    mode: PublishMode
    allow_empty: bool
    to_allow_empty: str
    max_row_fall: float
    limit_from: str
    allow_row_fall: bool
    to_allow_row_fall: str
    to_build: str


def limits_of(extract: Extract, *, max_row_fall: float, allow_row_fall: bool = False) -> Limits:
    """Return the limits of an extract of the dbt project.

    Args:
        extract: The extract.
        max_row_fall: Largest share of its rows that it may lose, when its model says nothing.
        allow_row_fall: Whether the run lets any fall through.
    """
    [mart] = extract.marts
    place = f"under config.meta.tableau of the model ({mart.yaml or mart.file})"
    step = step_name("tableau", extract.name)
    own = extract.max_row_fall
    return Limits(
        origin=f"mart '{mart.name}' ({mart.file})",
        correct="the data or the model",
        mode=extract.mode,
        allow_empty=extract.allow_empty,
        to_allow_empty=f"set allow_empty: true {place}",
        max_row_fall=max_row_fall if own is None else own,
        limit_from="MDS_MAX_ROW_FALL" if own is None else f"max_row_fall {place}",
        allow_row_fall=allow_row_fall,
        to_allow_row_fall=(
            f"materialize tableau/{extract.name} with the run config "
            f"`ops: {{{step}: {{config: {{allow_row_fall: true}}}}}}` in the UI (Open launchpad), "
            f"or on the command line: mds-tableau refresh --select tableau/{extract.name} "
            "--allow-row-fall"
        ),
        to_build=f"--select '*tableau/{extract.name}'",
    )


@contextmanager
def appending(folder: Path, made: ExtractFile, limits: Limits, *, target: str) -> Iterator[None]:
    """Note that rows are being appended, so that nobody appends them again after a sudden end.

    An error within means that nothing has arrived. What follows when it has does not belong there:
    the note stays until `appended` is told that it is written down.

    Args:
        folder: Where what was published is written down.
        made: What is appended.
        limits: Whether it is.
        target: Where to.

    Raises:
        AppendedAlready: These rows were being appended before, and how that ended is not known.
        NoRoom: The note cannot be written; nothing was appended.
    """
    note = appending_note(folder, made.extract)
    if limits.mode != "append":
        yield
        return
    begun = read_json(note)
    if (
        begun is not None
        and is_same_place(str(begun.get("target")), target)
        and begun.get("rows") == made.fingerprint
    ):
        raise AppendedAlready(
            f"Extract '{made.extract}' is not appended, because its rows were being appended "
            f"{begun.get('at')}, and how that ended is not known. Look at the datasource: if they "
            f"are not there, delete {note} and run it again; if they are, delete it too, and go on "
            "with new rows."
        )
    if begun is not None:
        _log.warning(
            "Rows of extract '%s' were being appended to %s %s, and how that ended is not known. "
            "Other rows are appended now; look at the datasource whether those are there.",
            made.extract,
            begun.get("target"),
            begun.get("at"),
        )
    at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    try:
        write_json(note, {"target": target, "rows": made.fingerprint, "at": at})
    except OSError as error:
        raise NoRoom(
            f"Extract '{made.extract}' is not appended, because that it is cannot be noted in "
            f"{note}: {error}. Make room there, or let this user write to it."
        ) from error
    try:
        yield
    except (MayHaveArrived, KeyboardInterrupt):
        raise
    except Exception:
        # it is known that nothing has arrived
        note.unlink(missing_ok=True)
        raise


def appended(folder: Path, extract: str, limits: Limits) -> None:
    """Remove the note of `appending`, when what was appended is written down.

    Args:
        folder: Where it is written down.
        extract: Name of the extract.
        limits: Whether it was appended.
    """
    if limits.mode == "append":
        # the record tells those rows from now on, so that a note that stays does no harm
        with suppress(OSError):
            appending_note(folder, extract).unlink(missing_ok=True)


def refuse_loss(folder: Path, made: ExtractFile, limits: Limits, *, target: str) -> None:
    """Stop an extract that would take away rows that have to stay, or add rows once more.

    Args:
        folder: Where what was published is written down.
        made: What is to be published.
        limits: What may be.
        target: The server and site that are published to.

    Raises:
        EmptyExtract: It has no rows, and it is not said that it may be empty.
        RowsFell: It lost more of the rows that were published last than it may.
        AppendedAlready: It is to be appended, and its rows are those of the last publish.
    """
    if limits.mode != "append":
        refuse_fall(folder, made.extract, made.rows, limits, target=target)
        return
    last = last_published_to(folder, made.extract, target)
    if last is not None and last["fingerprint"] == made.fingerprint:
        raise AppendedAlready(
            f"Extract '{made.extract}' is not appended, because it holds the same "
            f"{counted(made.rows, 'row')} that were published {last['published_at']}. Build it "
            f"with new rows first, for example with {limits.to_build}."
        )


def refuse_fall(folder: Path, extract: str, rows: int, limits: Limits, *, target: str) -> None:
    """Stop what would take away rows that have to stay, also before there is an extract.

    Args:
        folder: Where what was published is written down.
        extract: Name of the extract.
        rows: How many rows it has, or would have.
        limits: What may be; rows that are appended take none away.
        target: The server and site that are published to.

    Raises:
        EmptyExtract: It has no rows, and it is not said that it may be empty.
        RowsFell: It lost more of the rows that were published last than it may.
    """
    if limits.mode == "append":
        return
    last = last_published_to(folder, extract, target)
    if rows == 0:
        # also when nothing is known to be there: another machine may have published it
        if not limits.allow_empty:
            raise EmptyExtract(
                f"Extract '{extract}' is not published, because {limits.origin} has no rows. "
                f"Correct {limits.correct}; if a datasource without rows is right, "
                f"{limits.to_allow_empty}."
            )
        return
    if limits.allow_row_fall or last is None or not last.get("rows"):
        return
    fall = (last["rows"] - rows) / last["rows"]
    if fall <= limits.max_row_fall:
        return
    raise RowsFell(
        f"Extract '{extract}' is not published, because it has {counted(rows, 'row')}, "
        f"{fall:.1%} fewer than the {last['rows']:,} that the server has since "
        f"{last['published_at']}. At most {100 * limits.max_row_fall:.4g}% may be lost in one "
        f"publish: that is {limits.max_row_fall:g} from {limits.limit_from}. Correct "
        f"{limits.correct}; or, if so few rows are right, let them through once: "
        f"{limits.to_allow_row_fall}"
    )
