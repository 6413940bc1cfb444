"""The content of data sources: who may replace it, and the transaction in which it changes.

What is published, the checks that need the sandbox's state, revisions and contentUrls belong here;
reading the request does not, nor does looking into the files. At every instant a data source has
either its old content or its new one, because a revision's file is complete before the row that
names it exists.
"""

import re
import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mds_tableau.sandbox import inspection, projects
from mds_tableau.sandbox.errors import ApiError, not_found, not_implemented
from mds_tableau.sandbox.filters import Row
from mds_tableau.sandbox.inspection import Content
from mds_tableau.sandbox.store import Store

MODES = ("createnew", "overwrite", "append", "replace")


@dataclass(frozen=True)
class Item:
    """What a client asks to have published.

    Attributes:
        name: Name of the data source.
        project_id: The project; None means Default.
        description: None erases the one that there is, where the content is overwritten.
        certified: None leaves it as it is.
        certification_note: None leaves it as it is.
        use_remote_query_agent: None leaves it as it is.
        mode: What becomes of an existing one, of `MODES`.
        file_type: hyper or tdsx.
        label: What error messages call the file.
    """

    name: str
    project_id: str | None
    description: str | None
    certified: bool | None
    certification_note: str | None
    use_remote_query_agent: bool | None
    mode: str
    file_type: str
    label: str


def check(db: sqlite3.Connection, store: Store, site_id: str, item: Item) -> tuple[str, Row | None]:
    """Returns the id of the project and the row of the data source that is already there.

    Raises:
        ApiError: 404005, no such project; 403007, exists and may not be overwritten; 404004, there
            is nothing to append to.
    """
    project = (
        projects.find(db, site_id, item.project_id)
        if item.project_id
        else projects.default(db, site_id)
    )
    row = db.execute(
        "SELECT datasources.id, revisions.file, revisions.package FROM datasources JOIN revisions"
        " ON revisions.datasource_id = datasources.id AND revisions.number = datasources.revision"
        " WHERE site_id = ? AND project_id = ? AND name_key = ?",
        (site_id, project["id"], item.name.casefold()),
    ).fetchone()
    if row is None:
        creates = store.config.choices.replace_creates
        if item.mode == "append" or (item.mode == "replace" and not creates):
            raise not_found(404004, "Datasource", item.name)
    elif item.mode == "createnew":
        raise ApiError(
            403007,
            f"The datasource '{item.name}' already exists and may not be overwritten without the"
            " 'overwrite' flag set to 'true'.",
        )
    elif item.mode != "overwrite" and (row["package"] or item.file_type != "hyper"):
        # The package's description of the data would have to be fitted to the new extract.
        raise not_implemented(f"publishing with {item.mode}=true to or from a .tdsx")
    return project["id"], row and dict(row)


def commit(
    db: sqlite3.Connection,
    store: Store,
    item: Item,
    content: Content,
    *,
    site_id: str,
    user_id: str,
) -> tuple[str, list[Path]]:
    """Makes the content the data source's newest revision; the data source itself where it is new.

    Args:
        db: An open transaction; nothing is visible before it ends.
        store: The sandbox's state.
        item: What is published.
        content: The staged files, which are the revision's from now on.
        site_id: The site.
        user_id: The publisher.

    Returns:
        The data source's id, and files that nobody needs any more.

    Raises:
        ApiError: See `check`; 400011, the rows do not fit those that they are appended to.
    """
    project_id, there = check(db, store, site_id, item)
    now, discarded = store.now(), list[Path]()
    if there is None:
        datasource_id = _insert(
            db, store, item, project_id, site_id=site_id, user_id=user_id, now=now
        )
    else:
        datasource_id = there["id"]
        if item.mode == "append":
            discarded.append(content.extract)
            content = inspection.appended(store, item.label, store.file(there["file"]), content)
        if item.mode == "overwrite":
            _overwrite(db, store, item, datasource_id, user_id)
        db.execute(
            "UPDATE datasources SET updated_at = ?, revision = revision + 1 WHERE id = ?",
            (now, datasource_id),
        )
    package = content.package
    db.execute(
        "INSERT INTO revisions SELECT id, revision, ?, ?, ?, ?, ? FROM datasources WHERE id = ?",
        (
            now,
            user_id,
            (package or content.extract).stat().st_size,
            content.extract.name,
            package and package.name,
            datasource_id,
        ),
    )
    return datasource_id, [*discarded, *_prune(db, store, datasource_id)]


def _overwrite(
    db: sqlite3.Connection, store: Store, item: Item, datasource_id: str, user_id: str
) -> None:
    """Changes what overwriting changes beside the content."""
    choices = store.config.choices
    if "tags" in choices.overwrite_resets:
        db.execute("DELETE FROM tags WHERE item_id = ?", (datasource_id,))
    if "certification" in choices.overwrite_resets:
        db.execute(
            "UPDATE datasources SET certified = 0, certification_note = NULL WHERE id = ?",
            (datasource_id,),
        )
    if "owner" in choices.overwrite_resets:
        db.execute("UPDATE datasources SET owner_id = ? WHERE id = ?", (user_id, datasource_id))
    if "connections" in choices.overwrite_resets:
        db.execute("DELETE FROM connections WHERE datasource_id = ?", (datasource_id,))
    if item.description is not None or choices.overwrite_erases_description:
        db.execute(
            "UPDATE datasources SET description = ? WHERE id = ?", (item.description, datasource_id)
        )
    db.execute(
        "UPDATE datasources SET name = ?, certified = coalesce(?, certified),"
        " certification_note = coalesce(?, certification_note),"
        " use_remote_query_agent = coalesce(?, use_remote_query_agent) WHERE id = ?",
        (
            item.name,
            item.certified,
            item.certification_note,
            item.use_remote_query_agent,
            datasource_id,
        ),
    )


def _insert(
    db: sqlite3.Connection,
    store: Store,
    item: Item,
    project_id: str,
    *,
    site_id: str,
    user_id: str,
    now: str,
) -> str:
    datasource_id = str(uuid.uuid4())
    db.execute("UPDATE sites SET last_number = last_number + 1 WHERE id = ?", (site_id,))
    content_url = _content_url(db, store, site_id, item.name)
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


def _content_url(db: sqlite3.Connection, store: Store, site_id: str, name: str) -> str:
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
        content_url = stem + store.config.choices.content_url_suffix.format(number=number)
    return content_url


def _prune(db: sqlite3.Connection, store: Store, datasource_id: str) -> list[Path]:
    """Forgets the oldest revisions; returns their files, to be removed after the transaction."""
    rows = db.execute(
        "SELECT number, file, package FROM revisions WHERE datasource_id = ?"
        " ORDER BY number DESC LIMIT -1 OFFSET ?",
        (datasource_id, store.config.kept_revisions),
    ).fetchall()
    for row in rows:
        db.execute(
            "DELETE FROM revisions WHERE datasource_id = ? AND number = ?",
            (datasource_id, row["number"]),
        )
    return files(store, rows)


def files(store: Store, revisions: Iterable[Mapping[str, Any]]) -> list[Path]:
    """Returns all files of some revisions, given as rows with `file` and `package`."""
    named = [name for row in revisions for name in (row["file"], row["package"]) if name]
    return [store.file(name) for name in named]
