"""The jobs of a site as a list, and ending one before its time.

Listing and cancelling belong here; a job's states, and what a job does, stand in `jobs`. In lists
jobs have another form and other names than alone, as Tableau's schema has it.
"""

from typing import Any
from xml.etree.ElementTree import Element

from starlette.responses import Response

from mds_tableau.sandbox import filters, jobs, rights, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.errors import ApiError
from mds_tableau.sandbox.filters import CHOICE, EQUAL, RANGE, TEXT, Field, Row

PRIORITY = 50
STATUSES = {jobs.SUCCESS: "Success", jobs.FAILED: "Failed", jobs.CANCELLED: "Cancelled"}
# What lists call the kinds of jobs.
KINDS = {"PublishDatasource": "publish_datasource", "RefreshExtract": "refresh_extracts"}


def status(row: Row) -> str:
    """Returns a job's state in the words of lists."""
    if row["completed_at"]:
        return STATUSES[row["finish_code"]]
    return "InProgress" if row["started_at"] else "Pending"


FIELDS = {
    "args": Field(TEXT),
    "completedAt": Field(RANGE, lambda row: row["completed_at"] or "", filters.to_time),
    "createdAt": Field(RANGE, lambda row: row["created_at"], filters.to_time),
    "jobType": Field(CHOICE, lambda row: KINDS[row["kind"]]),
    "notes": Field(TEXT, lambda row: row["notes"] or ""),
    "priority": Field(RANGE, lambda row: PRIORITY, int),
    "progress": Field(RANGE),
    "startedAt": Field(RANGE, lambda row: row["started_at"] or "", filters.to_time),
    "status": Field(CHOICE, status),
    "subtitle": Field(TEXT),
    "title": Field(TEXT),
    "type": Field(EQUAL),
}


def query(call: Call) -> Response:
    """Lists the site's jobs without moving them on: GET jobs."""
    with call.store.reading() as db:
        rows: list[dict[str, Any]] = [
            dict(row)
            for row in db.execute(
                "SELECT * FROM jobs WHERE site_id = ? ORDER BY rowid", (call.session.site_id,)
            )
        ]
    page = call.select(rows, FIELDS)
    return call.reply(
        xmlio.pagination(page), xmlio.element("backgroundJobs", None, *map(_element, page.rows))
    )


def cancel(call: Call) -> Response:
    """Ends a job that is not complete: PUT jobs/{id}."""
    store, job_id = call.store, call.path["job_id"].lower()
    with store.writing() as db:
        row = jobs.find(db, call.session.site_id, job_id)
        if row["user_id"] != call.session.user_id:
            rights.check_admin(db, call, 403032, "cancel this job")
        if row["completed_at"]:
            raise ApiError(403091, f"Job '{job_id}' is already complete.")
        now = store.now()
        db.execute(
            "UPDATE jobs SET completed_at = ?, updated_at = ?, finish_code = ? WHERE id = ?",
            (now, now, jobs.CANCELLED, job_id),
        )
    store.discard(jobs.files(store, row))
    return Response(status_code=200)


def _element(row: Row) -> Element:
    return xmlio.element(
        "backgroundJob",
        {
            "id": row["id"],
            "status": status(row),
            "createdAt": row["created_at"],
            "startedAt": row["started_at"],
            "endedAt": row["completed_at"],
            "priority": PRIORITY,
            "jobType": KINDS[row["kind"]],
        },
    )
