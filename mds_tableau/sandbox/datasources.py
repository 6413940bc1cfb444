"""Published data sources, the side that reads: list, get, download; and deleting.

What a data source looks like in replies and how one is found belongs here; how its content changes
stands in `publishing`, and other changes in `updating`. Attributes, filters and codes follow
Tableau's reference for data sources and the replies recorded with its Python client.
"""

import contextlib
import json
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote
from xml.etree.ElementTree import Element

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from mds_tableau.sandbox import filters, packaging, rights, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.config import MEGABYTE
from mds_tableau.sandbox.errors import not_found
from mds_tableau.sandbox.filters import CHOICE, EQUAL, RANGE, Field, Row
from mds_tableau.sandbox.store import Store

ATTEMPTS = 5
# Where rows of a data source are, with the column that names it.
OWN_ROWS = (
    ("revisions", "datasource_id"),
    ("connections", "datasource_id"),
    ("tags", "item_id"),
    ("permissions", "item_id"),
    ("datasources", "id"),
)

SELECT = """SELECT datasources.*, sites.content_url AS site_url, projects.name AS project_name,
    users.name AS owner_name, revisions.size, revisions.file, revisions.package,
    (SELECT json_group_array(label) FROM tags WHERE item_id = datasources.id) AS tags
    FROM datasources
    JOIN sites ON sites.id = datasources.site_id
    JOIN projects ON projects.id = datasources.project_id
    JOIN users ON users.id = datasources.owner_id
    JOIN revisions ON revisions.datasource_id = datasources.id
        AND revisions.number = datasources.revision"""


def tags(row: Row) -> list[str]:
    """Returns a data source's tags, in alphabetical order."""
    labels: list[str] = json.loads(row["tags"])
    return sorted(labels, key=str.casefold)


def megabytes(row: Row) -> int:
    """Returns a data source's size as the API tells it: whole MB, rounded up."""
    return math.ceil(int(row["size"]) / MEGABYTE)


# The documented fields with their operators; those without a getter are documented and not kept.
FIELDS = {
    "authenticationType": Field(CHOICE),
    "connectedWorkbookType": Field(RANGE),
    "connectionTo": Field(CHOICE),
    "connectionType": Field(CHOICE),
    "contentUrl": Field(CHOICE, lambda row: row["content_url"]),
    "createdAt": Field(RANGE, lambda row: row["created_at"], filters.to_time),
    "databaseName": Field(CHOICE),
    "databaseUserName": Field(CHOICE),
    "description": Field(CHOICE, lambda row: row["description"] or ""),
    "favoritesTotal": Field(RANGE),
    "hasAlert": Field(EQUAL),
    "hasEmbeddedPassword": Field(EQUAL),
    "hasExtracts": Field(EQUAL, lambda row: True, filters.to_flag),
    "isCertified": Field(EQUAL, lambda row: bool(row["certified"]), filters.to_flag),
    "isConnectable": Field(EQUAL),
    "isDefaultPort": Field(EQUAL),
    "isHierarchical": Field(EQUAL),
    "isPublished": Field(EQUAL, lambda row: True, filters.to_flag),
    "name": Field(CHOICE, lambda row: row["name"], wildcard=True),
    "ownerDomain": Field(CHOICE),
    "ownerEmail": Field(EQUAL),
    "ownerName": Field(CHOICE, lambda row: row["owner_name"]),
    "projectName": Field(CHOICE, lambda row: row["project_name"], wildcard=True),
    "serverName": Field(CHOICE),
    "serverPort": Field(EQUAL),
    "size": Field(RANGE, megabytes, int),
    "tableName": Field(CHOICE),
    "tags": Field(CHOICE, tags, many=True),
    "type": Field(EQUAL, lambda row: row["type"]),
    "updatedAt": Field(RANGE, lambda row: row["updated_at"], filters.to_time),
}


def query(call: Call) -> Response:
    """Lists the site's data sources: GET datasources."""
    with call.store.reading() as db:
        rows = of_site(db, call.session.site_id)
    kind = call.store.config.choices.datasource_type
    page = call.select([{**row, "type": kind} for row in rows], FIELDS)
    return call.reply(
        xmlio.pagination(page),
        xmlio.element("datasources", None, *(to_element(call, row) for row in page.rows)),
    )


def get(call: Call) -> Response:
    """Shows one data source: GET datasources/{id}."""
    with call.store.reading() as db:
        row = find(db, call.session.site_id, call.path["datasource_id"])
    return call.reply(to_element(call, row))


def download(call: Call) -> Response:
    """Sends the current content, packaged: GET datasources/{id}/content."""
    return packaged(call, lambda db: find(db, call.session.site_id, call.path["datasource_id"]))


def packaged(call: Call, look: Callable[[sqlite3.Connection], Row]) -> Response:
    """Returns a response that sends a revision's content as a `.tdsx`, with or without its extract.

    Args:
        call: The request.
        look: Finds the revision's files and its data source's name.
    """
    with_extract = call.flag("includeExtract", default=True)
    store = call.store
    row, content = snapshot(store, look, lambda row: row["package"] or row["file"])
    target = store.stage()
    try:
        if row["package"]:
            packaging.copy_tdsx(target, content, with_extract=with_extract)
        else:
            packaging.write_tdsx(target, row["name"], content if with_extract else None)
    finally:
        store.discard([content])
    return file_response(store, target, f"{row['name']}.tdsx", 'name="tableau_datasource"')


def delete(call: Call) -> Response:
    """Removes a data source with all its revisions: DELETE datasources/{id}."""
    with call.store.writing() as db:
        row = find(db, call.session.site_id, call.path["datasource_id"])
        rights.check_write(db, call, row, 403004)
        files = forget(db, call.store, row["id"])
    call.store.discard(files)
    return Response(status_code=204)


def forget(db: sqlite3.Connection, store: Store, datasource_id: str) -> list[Path]:
    """Deletes a data source's rows; returns its files, to be removed after the transaction."""
    key = (datasource_id,)
    rows = db.execute("SELECT file, package FROM revisions WHERE datasource_id = ?", key).fetchall()
    for table, column in OWN_ROWS:
        db.execute(f"DELETE FROM {table} WHERE {column} = ?", key)  # noqa: S608 - our own names
    return [store.file(name) for row in rows for name in row if name]


def of_site(db: sqlite3.Connection, site_id: str) -> list[Row]:
    """Returns all data sources of a site, in the order in which they were first published."""
    rows = db.execute(f"{SELECT} WHERE datasources.site_id = ? ORDER BY number", (site_id,))
    return [dict(row) for row in rows]


def find(db: sqlite3.Connection, site_id: str | None, datasource_id: str) -> Row:
    """Returns a data source, of one site or of any.

    Raises:
        ApiError: 404004; there is none with this id.
    """
    row = db.execute(f"{SELECT} WHERE datasources.id = ?", (datasource_id.lower(),)).fetchone()
    if row is None or site_id not in {None, row["site_id"]}:
        raise not_found(404004, "Datasource", datasource_id)
    return dict(row)


def current_content(
    store: Store, datasource_id: str, *, site_id: str | None = None
) -> tuple[Row, Path]:
    """Returns a data source and a file of its own with its current content; discard that later.

    Raises:
        ApiError: 404004; there is none with this id.
    """
    return snapshot(
        store, lambda db: find(db, site_id, datasource_id), lambda row: str(row["file"])
    )


def snapshot(
    store: Store, look: Callable[[sqlite3.Connection], Row], name_of: Callable[[Row], str]
) -> tuple[Row, Path]:
    """Returns a row and a second name for the file that it names; discard that later.

    Args:
        store: The sandbox's state.
        look: Finds the row.
        name_of: Takes the file's name out of it.

    Raises:
        FileNotFoundError: The file is gone, and the row is not.
    """
    for _ in range(ATTEMPTS):
        with store.reading() as db:
            row = look(db)
        # It may be deleted, or overwritten very often, between these two lines.
        with contextlib.suppress(FileNotFoundError):
            return row, store.snapshot(name_of(row))
    raise FileNotFoundError(f"The file {name_of(row)} is missing.")


def file_response(store: Store, path: Path, filename: str, disposition: str) -> Response:
    """Returns a response that streams a staged file and then removes it."""
    safe = filename.isascii() and filename.isprintable() and not set(filename) & set('"\\')
    named = f'filename="{filename}"' if safe else f"filename*=UTF-8''{quote(filename, safe='')}"
    return FileResponse(
        path,
        media_type="application/octet-stream",
        headers={"content-disposition": f"{disposition}; {named}"},
        background=BackgroundTask(store.discard, [path]),
    )


def webpage_path(row: Row) -> str:
    """Returns a data source's place on the web page, as its webpageUrl's fragment says it."""
    site = f"/site/{row['site_url']}" if row["site_url"] else ""
    return f"{site}/datasources/{row['number']}"


def to_element(call: Call, row: Row) -> Element:
    """Returns a data source as it stands in replies."""
    return xmlio.element(
        "datasource",
        {
            "id": row["id"],
            "name": row["name"],
            "contentUrl": row["content_url"],
            "type": call.store.config.choices.datasource_type,
            "size": megabytes(row),
            "description": row["description"],
            "createdAt": row["created_at"],
            "updatedAt": row["updated_at"],
            "encryptExtracts": False,
            "hasExtracts": True,
            "isCertified": bool(row["certified"]),
            "certificationNote": row["certification_note"],
            "useRemoteQueryAgent": bool(row["use_remote_query_agent"]),
            "webpageUrl": f"{call.base_url}/#{webpage_path(row)}",
        },
        xmlio.element("project", {"id": row["project_id"], "name": row["project_name"]}),
        xmlio.element("owner", {"id": row["owner_id"]}),
        xmlio.element("tags", None, *(xmlio.element("tag", {"label": tag}) for tag in tags(row))),
    )
