"""The sandbox's web page: what is published, for a person with a browser.

One page rendered here and a download of each data source's current content belong here; the API
does not. Everything shown is escaped, and the page's policy forbids scripts and foreign assets,
because names come from whoever publishes.
"""

import base64
import hashlib
import sqlite3
from html import escape

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from mds_tableau.sandbox import datasources
from mds_tableau.sandbox.errors import ApiError
from mds_tableau.sandbox.filters import Row
from mds_tableau.sandbox.store import Store

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "section{border-top:1px solid #bbb;padding:.5rem 0}"
    "section:target{background:#ffd}dt{float:left;clear:left;width:8rem}"
    "dd{margin-left:8rem;overflow-wrap:anywhere}"
)
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def show(store: Store) -> Response:
    """Returns the page with all sites, their projects and their data sources."""
    with store.reading() as db:
        sites = db.execute("SELECT * FROM sites ORDER BY content_url_key").fetchall()
        body = "".join(_site(db, site) for site in sites)
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Sandbox</title><style>{STYLE}</style></head>"
        "<body><h1>Sandbox</h1><p>A local stand-in for Tableau Server.</p>"
        f"{body}</body></html>"
    )
    return HTMLResponse(page, headers=HEADERS)


def download(store: Store, datasource_id: str) -> Response:
    """Returns the current `.hyper` of a data source."""
    try:
        row, extract = datasources.current_content(store, datasource_id)
    except ApiError as error:
        return PlainTextResponse(error.detail, error.status, HEADERS)
    return datasources.file_response(store, extract, f"{row['name']}.hyper", "attachment")


def _site(db: sqlite3.Connection, site: sqlite3.Row) -> str:
    paths = _project_paths(db, site["id"])
    rows = datasources.of_site(db, site["id"])
    shown = [f"<h2>Site {escape(site['name'])}</h2>"]
    for project_id, path in sorted(paths.items(), key=lambda pair: pair[1].casefold()):
        shown.append(f"<h3>{escape(path)}</h3>")
        inside = [row for row in rows if row["project_id"] == project_id]
        shown.extend(_datasource(db, row, path) for row in inside)
        if not inside:
            shown.append("<p>No data sources.</p>")
    return "".join(shown)


def _project_paths(db: sqlite3.Connection, site_id: str) -> dict[str, str]:
    """Returns each project's names from the top down; parents are made before their children."""
    paths: dict[str, str] = {}
    for row in db.execute("SELECT * FROM projects WHERE site_id = ? ORDER BY sequence", (site_id,)):
        above = f"{paths[row['parent_id']]} / " if row["parent_id"] else ""
        paths[row["id"]] = above + row["name"]
    return paths


def _datasource(db: sqlite3.Connection, row: Row, path: str) -> str:
    revisions = db.execute(
        "SELECT count(*) FROM revisions WHERE datasource_id = ?", (row["id"],)
    ).fetchone()[0]
    facts = {
        "Project": path,
        "Size": f"{row['size']:,} bytes",
        "Updated": row["updated_at"],
        "Revisions": f"{revisions} kept, number {row['revision']} is current",
        "Id": row["id"],
        "Description": row["description"] or "",
    }
    listed = "".join(
        f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value
    )
    return (
        f'<section id="{escape(datasources.webpage_path(row))}"><h4>{escape(row["name"])}</h4>'
        f'<dl>{listed}</dl><p><a href="/download/{escape(row["id"])}">Download the .hyper</a></p>'
        "</section>"
    )
