"""Jobs: what a server does after it answered, told step by step to whoever asks.

A job's states and when they change belong here; what a job does when it completes does not, and is
looked up by its kind. Attributes follow Tableau's reference for querying a job; that looking at a
job is what moves it on is the sandbox's own, so that tests need not wait.
"""

import json
import logging
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from starlette.responses import Response

from mds_tableau.sandbox import effects, job_plans, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.errors import ApiError, not_found
from mds_tableau.sandbox.store import Store

SUCCESS = 0
FAILED = 1
CANCELLED = 2

logger = logging.getLogger("mds_tableau.sandbox")


class JobFailure(Exception):
    """A job cannot do its work, and says why in its notes."""


# What completes a job of a kind, in the job's own transaction; returns files to discard after it.
Work = Callable[[sqlite3.Connection, Store, Mapping[str, Any]], list[Path]]


class Jobs:
    """The jobs of a sandbox, with the work that each kind of job does.

    Attributes:
        work: The work of each kind.
    """

    def __init__(self, work: Mapping[str, Work]) -> None:
        self.work = work

    def get(self, call: Call) -> Response:
        """Shows a job after moving it on: GET jobs/{id}."""
        store, job_id = call.store, call.path["job_id"].lower()
        with store.writing() as db:
            row = find(db, call.session.site_id, job_id)
            if row["completed_at"] is None:
                db.execute(
                    "UPDATE jobs SET polls = polls + 1, started_at = ?, updated_at = ?"
                    " WHERE id = ?",
                    (row["started_at"] or store.now(), store.now(), job_id),
                )
        if row["completed_at"] is None and job_plans.is_due(
            row, row["polls"] + 1, store.config.job_polls
        ):
            self._complete(store, job_id)
        with store.reading() as db:
            row = find(db, call.session.site_id, job_id)
        if job_plans.is_purged(row):
            raise not_found(404018, "Job", job_id)
        return call.reply(to_element(row))

    def settle(self, store: Store) -> None:
        """Completes the jobs that nobody looked at for long enough."""
        with store.reading() as db:
            due = db.execute(
                "SELECT id, request FROM jobs WHERE completed_at IS NULL AND created < ?",
                (store.time() - store.config.job_seconds,),
            ).fetchall()
        for row in due:
            if not job_plans.waits(row):
                self._complete(store, row["id"])

    def _complete(self, store: Store, job_id: str) -> None:
        """Does a job's work and records the outcome, unless another process was first."""
        discarded: list[Path] = []
        notes: str | None = None
        with store.writing() as db:
            row = db.execute(
                "SELECT * FROM jobs WHERE id = ? AND completed_at IS NULL", (job_id,)
            ).fetchone()
            if row is None:
                return
            db.execute("SAVEPOINT work")
            try:
                finish_code = job_plans.of(row).get("finish_code")
                if finish_code is None:
                    discarded = self.work[row["kind"]](db, store, _request(row))
                    finish_code = SUCCESS
                else:
                    discarded = files(store, row)
            except (ApiError, JobFailure) as error:
                db.execute("ROLLBACK TO work")
                # A real server's notes of a failed publish are often empty, and its schema has no
                # place for them; whoever runs the sandbox can read the reason here.
                logger.warning("Job %s failed: %s", job_id, error)
                finish_code = FAILED
                notes = _notes(store, error)
                discarded = files(store, row)
            db.execute("RELEASE work")
            now = store.now()
            db.execute(
                "UPDATE jobs SET completed_at = ?, updated_at = ?, finish_code = ?,"
                " notes = ?, started_at = coalesce(started_at, ?) WHERE id = ?",
                (now, now, finish_code, notes, now, job_id),
            )
        store.discard(discarded)


def add(
    db: sqlite3.Connection,
    store: Store,
    kind: str,
    request: Mapping[str, Any],
    *,
    file: Path | None = None,
    item_id: str | None = None,
    site_id: str,
    user_id: str,
) -> Mapping[str, Any]:
    """Returns a new job.

    Args:
        db: An open transaction.
        store: The sandbox's state.
        kind: What kind of job.
        request: What its work needs to know.
        file: A staged file, which is the job's from now on.
        item_id: The data source that the job names in replies.
        site_id: The site.
        user_id: Who asked for it.
    """
    job_id, now = str(uuid.uuid4()), store.now()
    if plan := effects.job_plan():
        request = {**request, job_plans.KEY: plan}
    db.execute(
        "INSERT INTO jobs (id, site_id, kind, request, file, item_id, user_id, created, created_at,"
        " updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            job_id,
            site_id,
            kind,
            json.dumps(request),
            file.name if file else "",
            item_id,
            user_id,
            store.time(),
            now,
            now,
        ),
    )
    return find(db, site_id, job_id)


def unfinished(db: sqlite3.Connection, kind: str, item_id: str) -> bool:
    """Returns whether a job of the kind is still to be done for an item."""
    row = db.execute(
        "SELECT 1 FROM jobs WHERE kind = ? AND item_id = ? AND completed_at IS NULL",
        (kind, item_id),
    ).fetchone()
    return row is not None


def to_element(row: Mapping[str, Any]) -> Element:
    """Returns a job as it stands in replies; finishCode only once it is complete."""
    running = 50 if row["started_at"] else 0
    notes = [] if row["notes"] is None else [xmlio.text_element("notes", row["notes"])]
    notes.extend(job_plans.notes(row))
    if row["item_id"]:
        name = json.loads(row["request"])["name"]
        item = xmlio.element("datasource", {"id": row["item_id"], "name": name})
        notes = [xmlio.element("extractRefreshJob", None, item, *notes)]
    return xmlio.element(
        "job",
        {
            "id": row["id"],
            "mode": "Asynchronous",
            "type": row["kind"],
            "progress": 100 if row["completed_at"] else running,
            "createdAt": row["created_at"],
            "startedAt": row["started_at"],
            "updatedAt": row["updated_at"],
            "completedAt": row["completed_at"],
            "finishCode": row["finish_code"],
        },
        *job_plans.status_notes(row),
        *notes,
    )


def files(store: Store, row: Mapping[str, Any] | sqlite3.Row) -> list[Path]:
    """Returns the files of a job that will not be done."""
    return [store.file(row["file"])] if row["file"] else []


def _notes(store: Store, error: ApiError | JobFailure) -> str | None:
    if isinstance(error, JobFailure):
        return str(error)
    return str(error) if store.config.choices.failed_job_notes else None


def _request(row: sqlite3.Row) -> dict[str, Any]:
    return {
        **json.loads(row["request"]),
        "site_id": row["site_id"],
        "user_id": row["user_id"],
        "file": row["file"],
    }


def find(db: sqlite3.Connection, site_id: str, job_id: str) -> dict[str, Any]:
    """Returns a job of the site.

    Raises:
        ApiError: 404018; there is none with this id.
    """
    row = db.execute(
        "SELECT * FROM jobs WHERE id = ? AND site_id = ?", (job_id, site_id)
    ).fetchone()
    if row is None:
        raise not_found(404018, "Job", job_id)
    return dict(row)
