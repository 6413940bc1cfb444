"""Workbooks and their views, as far as the configuration names some.

Showing them belongs here; publishing, rendering and changing them does not. They exist so that
programs which read a site's workbooks have something to read.
"""

import sqlite3
from xml.etree.ElementTree import Element

from starlette.responses import Response

from mds_tableau.sandbox import filters, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.errors import not_found, not_implemented
from mds_tableau.sandbox.filters import CHOICE, EQUAL, RANGE, Field, Row

SELECT = """SELECT workbooks.*, projects.name AS project_name, users.name AS owner_name,
    sites.content_url AS site_url
    FROM workbooks
    JOIN projects ON projects.id = workbooks.project_id
    JOIN sites ON sites.id = workbooks.site_id
    JOIN users ON users.id = workbooks.owner_id"""

FIELDS = {
    "contentUrl": Field(CHOICE, lambda row: row["content_url"]),
    "createdAt": Field(RANGE, lambda row: row["created_at"], filters.to_time),
    "displayTabs": Field(EQUAL),
    "favoritesTotal": Field(RANGE),
    "hasAlerts": Field(EQUAL),
    "hasExtracts": Field(EQUAL),
    "name": Field(CHOICE, lambda row: row["name"], wildcard=True),
    "ownerDomain": Field(CHOICE),
    "ownerEmail": Field(EQUAL),
    "ownerName": Field(CHOICE, lambda row: row["owner_name"]),
    "projectName": Field(CHOICE, lambda row: row["project_name"], wildcard=True),
    "sheetCount": Field(RANGE),
    "size": Field(RANGE),
    "subscriptionsTotal": Field(RANGE),
    "tags": Field(CHOICE),
    "updatedAt": Field(RANGE, lambda row: row["updated_at"], filters.to_time),
}


def query(call: Call) -> Response:
    """Lists the site's workbooks: GET workbooks."""
    with call.store.reading() as db:
        page = call.select(of_site(db, call.session.site_id), FIELDS)
    return call.reply(
        xmlio.pagination(page),
        xmlio.element("workbooks", None, *(_element(call, row) for row in page.rows)),
    )


def get(call: Call) -> Response:
    """Shows one workbook with its views: GET workbooks/{id}."""
    with call.store.reading() as db:
        row = find(db, call.session.site_id, call.path["workbook_id"])
        shown = [_view(view) for view in views_of(db, row["id"])]
    return call.reply(_element(call, row, xmlio.element("views", None, *shown)))


def query_views(call: Call) -> Response:
    """Lists a workbook's views: GET workbooks/{id}/views."""
    if call.flag("includeUsageStatistics"):
        raise not_implemented("usage statistics (includeUsageStatistics=true)")
    with call.store.reading() as db:
        row = find(db, call.session.site_id, call.path["workbook_id"])
        shown = [_view(view, row) for view in views_of(db, row["id"])]
    return call.reply(xmlio.element("views", None, *shown))


def get_view(call: Call) -> Response:
    """Shows one view: GET views/{id}."""
    wanted = call.path["view_id"]
    with call.store.reading() as db:
        view = db.execute("SELECT * FROM views WHERE id = ?", (wanted.lower(),)).fetchone()
        if view is None:
            raise not_found(404006, "View", wanted)
        row = find(db, call.session.site_id, view["workbook_id"])
    return call.reply(_view(dict(view), row))


def of_site(db: sqlite3.Connection, site_id: str) -> list[Row]:
    """Returns all workbooks of a site."""
    rows = db.execute(f"{SELECT} WHERE workbooks.site_id = ? ORDER BY number", (site_id,))
    return [dict(row) for row in rows]


def find(db: sqlite3.Connection, site_id: str, workbook_id: str) -> Row:
    """Returns a workbook of the site.

    Raises:
        ApiError: 404006; there is none with this id.
    """
    row = db.execute(
        f"{SELECT} WHERE workbooks.site_id = ? AND workbooks.id = ?", (site_id, workbook_id.lower())
    ).fetchone()
    if row is None:
        raise not_found(404006, "Workbook", workbook_id)
    return dict(row)


def views_of(db: sqlite3.Connection, workbook_id: str) -> list[Row]:
    """Returns a workbook's views, sheets first."""
    rows = db.execute("SELECT * FROM views WHERE workbook_id = ? ORDER BY position", (workbook_id,))
    return [dict(row) for row in rows]


def _element(call: Call, row: Row, *views: Element) -> Element:
    site = f"/site/{row['site_url']}" if row["site_url"] else ""
    return xmlio.element(
        "workbook",
        {
            "id": row["id"],
            "name": row["name"],
            "contentUrl": row["content_url"],
            "webpageUrl": f"{call.base_url}/#{site}/workbooks/{row['number']}",
            "showTabs": False,
            "size": 1,
            "createdAt": row["created_at"],
            "updatedAt": row["updated_at"],
        },
        xmlio.element("project", {"id": row["project_id"], "name": row["project_name"]}),
        xmlio.element("owner", {"id": row["owner_id"]}),
        xmlio.element("tags"),
        *views,
    )


def _view(view: Row, workbook: Row | None = None) -> Element:
    above: list[Element] = []
    if workbook is not None:
        above = [
            xmlio.element("workbook", {"id": workbook["id"]}),
            xmlio.element("owner", {"id": workbook["owner_id"]}),
            xmlio.element("project", {"id": workbook["project_id"]}),
        ]
    return xmlio.element(
        "view",
        {
            "id": view["id"],
            "name": view["name"],
            "contentUrl": view["content_url"],
            "viewUrlName": view["content_url"].rpartition("/")[2],
            "sheetType": view["kind"] if view["kind"] == "dashboard" else "worksheet",
        },
        *above,
        xmlio.element("tags"),
    )
