"""Refreshing a data source's extract, which for a pushed one there is nothing to do it from.

Starting such a job and its outcome belong here. What a real server does is not known; that the job
fails by default is meant to keep anybody from believing that a pushed extract was brought up to
date.
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.responses import Response

from mds_tableau.sandbox import datasources, jobs, rights, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.errors import ApiError, not_implemented
from mds_tableau.sandbox.jobs import JobFailure
from mds_tableau.sandbox.store import Store

JOB_KIND = "RefreshExtract"


def refresh(call: Call) -> Response:
    """Starts a refresh: POST datasources/{id}/refresh."""
    node = xmlio.read_optional(call.body, "extractRefresh")
    if node is not None and xmlio.flag(node, "incremental"):
        raise not_implemented("incremental refreshes (incremental=true)")
    session = call.session
    with call.store.writing() as db:
        row = datasources.find(db, session.site_id, call.path["datasource_id"])
        rights.check_write(db, call, row, 403032)
        if jobs.unfinished(db, JOB_KIND, row["id"]):
            raise ApiError(409093, "Job for 'extract' is already queued. Not queuing a duplicate.")
        job = jobs.add(
            db,
            call.store,
            JOB_KIND,
            {"name": row["name"]},
            item_id=row["id"],
            site_id=session.site_id,
            user_id=session.user_id,
        )
    return call.reply(jobs.to_element(job), status=202)


def complete(_db: sqlite3.Connection, store: Store, request: Mapping[str, Any]) -> list[Path]:
    """Does the work of a refreshing job, which changes nothing.

    Raises:
        JobFailure: There is no source to refresh from, unless this was chosen to succeed.
    """
    if store.config.choices.refresh_outcome == "fail":
        raise JobFailure(
            f"The data source '{request['name']}' was published as an extract; it has no source"
            " that it could be refreshed from."
        )
    return []
