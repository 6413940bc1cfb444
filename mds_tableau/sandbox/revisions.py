"""A data source's revisions: listing, downloading and removing them.

What is done with single revisions belongs here; making one is publishing, and keeping not too many
of them as well. Codes follow Tableau's reference, of which the one for a data source that is not
there (404006 when removing) is as documented.
"""

import sqlite3
from pathlib import Path

from starlette.responses import Response

from mds_tableau.sandbox import contents, datasources, filters, rights, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.errors import ApiError, not_found
from mds_tableau.sandbox.filters import Row
from mds_tableau.sandbox.store import Store


def query(call: Call) -> Response:
    """Lists a data source's kept revisions, oldest first: GET datasources/{id}/revisions."""
    with call.store.reading() as db:
        row = datasources.find(db, call.session.site_id, call.path["datasource_id"])
        rows = of_datasource(db, row["id"])
    page = filters.paginate(rows, call.query)
    elements = [
        xmlio.element(
            "revision",
            {
                "revisionNumber": revision["number"],
                "publishedAt": revision["published_at"],
                "deleted": False,
                "current": revision["number"] == row["revision"],
                "sizeInBytes": revision["size"],
            },
            xmlio.element(
                "publisher", {"id": revision["publisher_id"], "name": revision["publisher_name"]}
            ),
        )
        for revision in page.rows
    ]
    return call.reply(xmlio.pagination(page), xmlio.element("revisions", None, *elements))


def download(call: Call) -> Response:
    """Sends a revision's content: GET datasources/{id}/revisions/{number}/content."""

    def look(db: sqlite3.Connection) -> Row:
        row = datasources.find(db, call.session.site_id, call.path["datasource_id"])
        return {**row, **_find(db, row["id"], call.path["number"])}

    return datasources.packaged(call, look)


def remove(call: Call) -> Response:
    """Removes an old revision: DELETE datasources/{id}/revisions/{number}."""
    store = call.store
    with store.writing() as db:
        try:
            row = datasources.find(db, call.session.site_id, call.path["datasource_id"])
        except ApiError as error:
            raise ApiError(404006, error.detail) from error
        rights.check_write(db, call, row, 403004)
        revision = _find(db, row["id"], call.path["number"])
        if revision["number"] == row["revision"]:
            raise ApiError(
                403055, "The current revision cannot be deleted. Delete the datasource instead."
            )
        db.execute(
            "DELETE FROM revisions WHERE datasource_id = ? AND number = ?",
            (row["id"], revision["number"]),
        )
    store.discard(contents.files(store, [revision]))
    return Response(status_code=204)


def of_datasource(db: sqlite3.Connection, datasource_id: str) -> list[Row]:
    """Returns a data source's kept revisions with their publishers' names, oldest first."""
    rows = db.execute(
        "SELECT revisions.*, users.name AS publisher_name FROM revisions"
        " JOIN users ON users.id = revisions.publisher_id WHERE datasource_id = ? ORDER BY number",
        (datasource_id,),
    )
    return [dict(row) for row in rows]


def content(store: Store, datasource_id: str, number: str) -> tuple[Row, Path]:
    """Returns a revision and a file of its own with the extract; discard that later.

    Raises:
        ApiError: 404004 or 404024; there is no such data source or revision.
    """

    def look(db: sqlite3.Connection) -> Row:
        row = datasources.find(db, None, datasource_id)
        return {**row, **_find(db, row["id"], number)}

    return datasources.snapshot(store, look, lambda row: str(row["file"]))


def _find(db: sqlite3.Connection, datasource_id: str, number: str) -> Row:
    known = number.isascii() and number.isdigit() and len(number) < 10
    row = (
        known
        and db.execute(
            "SELECT number, file, package FROM revisions WHERE datasource_id = ? AND number = ?",
            (datasource_id, int(number)),
        ).fetchone()
    )
    if not row:
        raise not_found(404024, "Revision", number)
    return dict(row)
