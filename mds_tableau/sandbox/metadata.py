"""The Metadata API, for the two questions that programs around publishing ask it.

A workbook by its luid, as dagster-tableau asks, and a published data source by its luid belong
here; every other question is refused with 501. Answers are made of what was published at this
moment; a real server's index needs minutes. Reading the query stands in `selections`.
"""

import json
import logging
import sqlite3
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mds_tableau.sandbox import auth, datasources, workbooks, xmlio
from mds_tableau.sandbox.calls import Session
from mds_tableau.sandbox.config import MEGABYTE
from mds_tableau.sandbox.errors import ApiError
from mds_tableau.sandbox.filters import Row
from mds_tableau.sandbox.selections import NotUnderstood, Selection, read
from mds_tableau.sandbox.store import Store

PATH = "/api/metadata/graphql"
SCOPES = ("tableau:content:read",)

logger = logging.getLogger("mds_tableau.sandbox")


class Endpoint:
    """Answers questions to the Metadata API.

    Args:
        store: The sandbox's state.
        base_url: Base of every address in the answers.
    """

    def __init__(self, store: Store, base_url: str) -> None:
        self.store = store
        self.base_url = base_url

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request; an ASGI application."""
        request = Request(scope, receive)
        body = await _body(request)
        token = request.headers.get("x-tableau-auth")
        response = await run_in_threadpool(self._answer, token, body)
        await response(scope, receive, send)

    def _answer(self, token: str | None, body: bytes) -> Response:
        try:
            session = auth.find_session(self.store, token)
            auth.check_scopes(self.store, session, SCOPES)
            return JSONResponse({"data": self._data(session, *_question(body))})
        except ApiError as error:
            return xmlio.error_reply(error)
        except NotUnderstood as error:
            message = f"The sandbox answers two questions only, and this is none of them: {error}."
            return JSONResponse({"errors": [{"message": message}]}, 501)
        except Exception:
            logger.exception("POST %s failed", PATH)
            return xmlio.error_reply(ApiError(500000, "The sandbox failed; its log says why."))

    def _data(self, session: Session, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        root = read(query, variables)
        known = {"workbooks": self._workbooks, "publishedDatasources": self._datasources}
        if len(root.fields) != 1 or not set(root.fields) <= set(known):
            raise NotUnderstood(f"it asks for {', '.join(root.fields)}")
        [asked] = root.fields.values()
        luid = asked.arguments.get("filter", {}).get("luid")
        if set(asked.arguments) != {"filter"} or not isinstance(luid, str):
            raise NotUnderstood(f"{asked.name} without filter: {{luid: ...}}")
        with self.store.reading() as db:
            try:
                rows = [known[asked.name](db, session, luid)]
            except ApiError:
                rows = []
        return {asked.name: [_project(asked, row) for row in rows]}

    def _workbooks(self, db: sqlite3.Connection, session: Session, luid: str) -> dict[str, Any]:
        row = workbooks.find(db, session.site_id, luid)
        site = f"sites/{row['site_url']}/" if row["site_url"] else ""
        sources = [
            self._published(db, one)
            for one in datasources.of_site(db, session.site_id)
            if (one["name"], one["project_id"]) == (row["datasource_name"], row["project_id"])
        ][:1]
        embedded = [
            {
                "id": f"embedded-{row['id']}",
                "name": row["datasource_name"],
                "hasExtracts": False,
                "upstreamTables": [],
                "parentPublishedDatasources": sources,
            }
            for _ in sources
        ]
        views = [
            {
                "luid": view["id"],
                "id": f"view-{view['id']}",
                "name": view["name"],
                "path": view["content_url"].replace("/sheets/", "/"),
                "createdAt": row["created_at"],
                "updatedAt": row["updated_at"],
                "kind": view["kind"],
            }
            for view in workbooks.views_of(db, row["id"])
        ]
        sheets = [
            {**view, "parentEmbeddedDatasources": embedded}
            for view in views
            if view["kind"] == "sheet"
        ]
        return {
            "luid": row["id"],
            "id": f"workbook-{row['id']}",
            "name": row["name"],
            "createdAt": row["created_at"],
            "updatedAt": row["updated_at"],
            "uri": f"{site}workbooks/{row['number']}",
            "projectName": row["project_name"],
            "projectLuid": row["project_id"],
            "sheets": sheets,
            "dashboards": [
                {**view, "sheets": sheets} for view in views if view["kind"] == "dashboard"
            ],
        }

    def _datasources(self, db: sqlite3.Connection, session: Session, luid: str) -> dict[str, Any]:
        row = datasources.find(db, session.site_id, luid)
        return {**self._published(db, row), "fields": self._fields(row)}

    def _published(self, _db: sqlite3.Connection, row: Row) -> dict[str, Any]:
        site = f"sites/{row['site_url']}/" if row["site_url"] else ""
        return {
            "luid": row["id"],
            "id": f"datasource-{row['id']}",
            "name": row["name"],
            "description": row["description"] or "",
            "hasExtracts": True,
            "isCertified": bool(row["certified"]),
            "projectName": row["project_name"],
            "createdAt": row["created_at"],
            "updatedAt": row["updated_at"],
            "uri": f"{site}datasources/{row['number']}",
            "upstreamTables": [],
        }

    def _fields(self, row: Row) -> list[dict[str, Any]]:
        """Returns the columns of a data source's extract; where it is not opened, none."""
        if not self.store.config.open_extracts:
            return []
        copy = self.store.snapshot(row["file"])
        try:
            tables = self.store.hyper.tables(copy)
        finally:
            self.store.discard([copy])
        return [
            {"id": f"field-{row['id']}-{name}", "name": name, "description": None}
            for table in tables
            for name, _ in table.columns
        ]


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        if len(body) <= MEGABYTE:
            body += piece
    return bytes(body)


def _question(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        asked = json.loads(body)
        query, variables = asked["query"], asked.get("variables") or {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotUnderstood('the body is not {"query": ..., "variables": ...} in JSON') from error
    if not isinstance(query, str) or not isinstance(variables, dict):
        raise NotUnderstood("query is no text, or variables is no mapping")
    return query, variables


def _project(asked: Selection, value: Any) -> Any:
    """Returns those parts of a value that are asked for."""
    if isinstance(value, list):
        return [_project(asked, one) for one in value]
    if not isinstance(value, dict):
        return value
    if not asked.fields:
        raise NotUnderstood(f"'{asked.name}' without its fields")
    for name, field in asked.fields.items():
        if name not in value or (field.arguments and field is not asked):
            raise NotUnderstood(f"it asks for '{name}' of {asked.name}")
    return {name: _project(field, value[name]) for name, field in asked.fields.items()}
