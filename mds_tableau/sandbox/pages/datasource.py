"""A data source's page: what is known of it, what its extract holds, and its revisions.

What stands on the page, and what it says when the extract cannot be read, belong here; looking into
extracts stands in `contents`.
"""

import asyncio
import logging
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mds_tableau.sandbox import datasources, revisions
from mds_tableau.sandbox.errors import ApiError
from mds_tableau.sandbox.filters import Row
from mds_tableau.sandbox.hyperfile import HyperUnavailable, UnusableExtract
from mds_tableau.sandbox.pages import overview, rendering
from mds_tableau.sandbox.pages.contents import SECONDS, Content, Contents
from mds_tableau.sandbox.store import Store

logger = logging.getLogger("mds_tableau.sandbox")


@dataclass(frozen=True)
class Facts:
    """What the sandbox's database knows of a data source.

    Attributes:
        row: The data source.
        project: Path of its project.
        site: Name of its site.
        revisions: Its kept revisions, newest first.
    """

    row: Row
    project: str
    site: str
    revisions: list[Row]


class Pages:
    """The pages of all data sources.

    Args:
        store: The sandbox's state.
        seconds: How long one page may take to look into an extract.
    """

    def __init__(self, store: Store, seconds: float = SECONDS) -> None:
        self._store = store
        self._contents = Contents(store.hyper, seconds)
        # Extracts are looked into one after the other: Hyper uses the whole machine for each, and
        # pages that wait for their turn take no threads away from the API.
        self._turn = asyncio.Lock()

    async def show(self, request: Request) -> Response:
        """Shows one data source: GET /datasources/{datasource_id}."""
        try:
            facts = await run_in_threadpool(self._facts, request.path_params["datasource_id"])
        except ApiError as error:
            return rendering.page("missing.html", error.status, what=error.detail)
        content, problem = await self._content(facts)
        return await run_in_threadpool(
            rendering.page, "datasource.html", facts=facts, content=content, problem=problem
        )

    def _facts(self, datasource_id: str) -> Facts:
        with self._store.reading() as db:
            row = datasources.find(db, None, datasource_id)
            kept = revisions.of_datasource(db, row["id"])
            site = db.execute("SELECT name FROM sites WHERE id = ?", (row["site_id"],)).fetchone()
            path = overview.project_paths(db, row["site_id"])[row["project_id"]]
        row = {**row, "labels": datasources.tags(row)}
        return Facts(row, path, site["name"], kept[::-1])

    async def _content(self, facts: Facts) -> tuple[Content | None, str]:
        """Returns what the current extract holds, or why that is not known."""
        if not self._store.config.open_extracts:
            return None, "This sandbox does not open extracts (open_extracts=False)."
        path = self._store.file(facts.row["file"])
        content = self._contents.known(path)
        if content:
            return content, ""
        try:
            async with self._turn:
                return await run_in_threadpool(self._contents.look, path), ""
        except UnusableExtract as error:
            logger.warning("The page of data source %s: %s", facts.row["id"], error)
            return None, (
                f"Hyper cannot read this extract: {_reason(error)}. The file is kept as it was"
                " published; if another process uses it, load this page again."
            )
        except HyperUnavailable as error:
            logger.warning("The page of data source %s: %s", facts.row["id"], error)
            return None, (
                "Hyper does not start on this machine, so that extracts are not opened:"
                f" {_reason(error)}."
            )


def _reason(error: Exception) -> str:
    """Returns what Hyper says without the file's path, which tells a reader nothing."""
    return str(error).partition(": DatabaseId")[0].rstrip(". ")
