"""The first page: all sites, their projects and their data sources.

What stands on it belongs here; one data source's own page does not. A webpageUrl ends here, at the
data source's place in the list.
"""

import sqlite3
from typing import Any

from starlette.responses import Response

from mds_tableau.sandbox import datasources
from mds_tableau.sandbox.pages import rendering
from mds_tableau.sandbox.store import Store

SEPARATOR = " / "


def show(store: Store) -> Response:
    """Returns the page with all sites, their projects and their data sources."""
    with store.reading() as db:
        sites = [
            _site(db, site)
            for site in db.execute("SELECT * FROM sites ORDER BY content_url_key").fetchall()
        ]
    return rendering.page("overview.html", sites=sites)


def project_paths(db: sqlite3.Connection, site_id: str) -> dict[str, str]:
    """Returns each project's names from the top down, by its id."""
    rows = {
        row["id"]: row for row in db.execute("SELECT * FROM projects WHERE site_id = ?", (site_id,))
    }

    def path(row: sqlite3.Row) -> str:
        above = rows.get(row["parent_id"])
        return (path(above) + SEPARATOR if above else "") + str(row["name"])

    return {project_id: path(row) for project_id, row in rows.items()}


def _site(db: sqlite3.Connection, site: sqlite3.Row) -> dict[str, Any]:
    kept = dict(
        db.execute(
            "SELECT datasource_id, count(*) FROM revisions GROUP BY datasource_id"
        ).fetchall()
    )
    inside: dict[str, list[dict[str, Any]]] = {}
    for row in datasources.of_site(db, site["id"]):
        shown = {
            **row,
            "anchor": datasources.webpage_path(row),
            "labels": datasources.tags(row),
            "kept": kept[row["id"]],
        }
        inside.setdefault(row["project_id"], []).append(shown)
    paths = sorted(
        project_paths(db, site["id"]).items(), key=lambda one: (one[1].casefold(), one[0])
    )
    return {
        "name": site["name"],
        "projects": [
            {"path": path, "datasources": sorted(inside[project_id], key=_order)}
            for project_id, path in paths
            if project_id in inside
        ],
        "empty": [path for project_id, path in paths if project_id not in inside],
    }


def _order(row: dict[str, Any]) -> str:
    return str(row["name"]).casefold()
