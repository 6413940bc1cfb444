"""The content of data sources: who may replace it, and the transaction in which it changes.

What is published, the checks that need the sandbox's state, revisions and contentUrls belong here;
reading the request does not. At every instant a data source has either its old content or its new
one, because a revision's file is complete before the row that names it exists.
"""

import re
import sqlite3
import uuid
from dataclasses import dataclass
from pathlib import Path

from mds_tableau.sandbox import projects
from mds_tableau.sandbox.errors import ApiError
from mds_tableau.sandbox.store import Store

# Every file that Hyper writes begins so, in all its format versions.
HYPER_MAGIC = b"Hyper"


@dataclass(frozen=True)
class Item:
    """What a client asks to have published.

    Attributes:
        name: Name of the data source.
        project_id: The project; None means Default.
        description: None erases the one that there is.
        certified: None leaves it as it is.
        certification_note: None leaves it as it is.
        use_remote_query_agent: None leaves it as it is.
        overwrite: Whether an existing one may be replaced.
        label: What error messages call the file.
    """

    name: str
    project_id: str | None
    description: str | None
    certified: bool | None
    certification_note: str | None
    use_remote_query_agent: bool | None
    overwrite: bool
    label: str


def check(db: sqlite3.Connection, site_id: str, item: Item) -> tuple[str, str | None]:
    """Returns the ids of the project and of the data source that is already there.

    Raises:
        ApiError: 404005, no such project; 403007, exists and may not be overwritten.
    """
    project = (
        projects.find(db, site_id, item.project_id)
        if item.project_id
        else projects.default(db, site_id)
    )
    row = db.execute(
        "SELECT id FROM datasources WHERE site_id = ? AND project_id = ? AND name_key = ?",
        (site_id, project["id"], item.name.casefold()),
    ).fetchone()
    if row is not None and not item.overwrite:
        raise ApiError(
            403007,
            f"The datasource '{item.name}' already exists and may not be overwritten without the"
            " 'overwrite' flag set to 'true'.",
        )
    return project["id"], row and row["id"]


def check_content(item: Item, content: Path) -> None:
    """Refuses what is not a file of Hyper's.

    Raises:
        ApiError: 400011; the file begins with something else.
    """
    with content.open("rb") as file:
        if file.read(len(HYPER_MAGIC)) != HYPER_MAGIC:
            raise ApiError(400011, f"There was a problem publishing the file '{item.label}'.")


def commit(
    db: sqlite3.Connection, store: Store, item: Item, content: Path, *, site_id: str, user_id: str
) -> tuple[str, list[Path]]:
    """Makes the file the data source's newest revision; the data source itself where it is new.

    Args:
        db: An open transaction; nothing is visible before it ends.
        store: The sandbox's state.
        item: What is published.
        content: The staged file, which is the revision's from now on.
        site_id: The site.
        user_id: The publisher.

    Returns:
        The data source's id, and the files of revisions that are too old to keep.

    Raises:
        ApiError: See `check`.
    """
    project_id, datasource_id = check(db, site_id, item)
    now = store.now()
    if datasource_id is None:
        datasource_id = _insert(db, item, project_id, site_id=site_id, user_id=user_id, now=now)
    else:
        db.execute(
            "UPDATE datasources SET name = ?, description = ?, certified = coalesce(?, certified),"
            " certification_note = coalesce(?, certification_note),"
            " use_remote_query_agent = coalesce(?, use_remote_query_agent), updated_at = ?,"
            " revision = revision + 1 WHERE id = ?",
            (
                item.name,
                item.description,
                item.certified,
                item.certification_note,
                item.use_remote_query_agent,
                now,
                datasource_id,
            ),
        )
    db.execute(
        "INSERT INTO revisions SELECT id, revision, ?, ?, ?, ? FROM datasources WHERE id = ?",
        (now, user_id, content.stat().st_size, content.name, datasource_id),
    )
    return datasource_id, _prune(db, store, datasource_id)


def _insert(
    db: sqlite3.Connection, item: Item, project_id: str, *, site_id: str, user_id: str, now: str
) -> str:
    datasource_id = str(uuid.uuid4())
    db.execute("UPDATE sites SET last_number = last_number + 1 WHERE id = ?", (site_id,))
    content_url = _content_url(db, site_id, item.name)
    db.execute(
        "INSERT INTO datasources SELECT ?, id, last_number, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1"
        " FROM sites WHERE id = ?",
        (
            datasource_id,
            project_id,
            item.name,
            item.name.casefold(),
            content_url,
            content_url.casefold(),
            item.description,
            bool(item.certified),
            item.certification_note,
            bool(item.use_remote_query_agent),
            user_id,
            now,
            now,
            site_id,
        ),
    )
    return datasource_id


def _content_url(db: sqlite3.Connection, site_id: str, name: str) -> str:
    """Returns the name without what addresses cannot hold, numbered when the site has it."""
    stem = re.sub(r"[^\w-]", "", name) or "datasource"
    taken = {
        row["content_url_key"]
        for row in db.execute(
            "SELECT content_url_key FROM datasources WHERE site_id = ?", (site_id,)
        )
    }
    content_url, number = stem, 0
    while content_url.casefold() in taken:
        number += 1
        content_url = f"{stem}_{number}"
    return content_url


def _prune(db: sqlite3.Connection, store: Store, datasource_id: str) -> list[Path]:
    """Forgets the oldest revisions; returns their files, to be removed after the transaction."""
    rows = db.execute(
        "SELECT number, file FROM revisions WHERE datasource_id = ?"
        " ORDER BY number DESC LIMIT -1 OFFSET ?",
        (datasource_id, store.config.kept_revisions),
    ).fetchall()
    for row in rows:
        db.execute(
            "DELETE FROM revisions WHERE datasource_id = ? AND number = ?",
            (datasource_id, row["number"]),
        )
    return [store.file(row["file"]) for row in rows]
