"""Waits for a job of the server, which goes on whether or not it can be asked about.

What the job was for belongs to `publish`.
"""

import logging
import time
from typing import Final

import tableauserverclient as TSC  # noqa: N812
from tableauserverclient.server.endpoint.exceptions import ServerResponseError

from mds_tableau.errors import ExtractRefused, PublishError, TimedOut, Transient
from mds_tableau.tableau.session import Session

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 15.0
_PURGED: Final = "404018"
_RUNNING: Final = {"Pending", "InProgress"}

_log = logging.getLogger(__name__)


def wait_for_job(session: Session, job_id: str, doing: str) -> bool:
    """Return when a job is done, and whether the server says so.

    It says nothing of a job that it does not know any more, as finished ones are purged.

    A poll that fails says nothing about the job, so it is repeated while patience lasts.

    Raises:
        ExtractRefused: The job failed; has what the server noted of it.
        PublishError: Somebody cancelled the job.
        TimedOut: It was still running when patience ended.
        Transient: The server could not be asked any more.
    """
    patience = session.patience
    started, pause, failures = time.monotonic(), min(_FIRST_PAUSE, patience.first_pause), 0
    while True:
        try:
            job = session.ask(f"{doing}: asking about its job", lambda c: _job(c, job_id))
            failures = 0
        except Transient as error:
            failures += 1
            if failures >= patience.attempts:
                raise
            _log.info("%s The job goes on.", error)
        else:
            if job is None or job.completed_at is not None:
                _judge(job, doing, session.server)
                return job is not None
        if time.monotonic() - started > patience.publish_seconds:
            raise TimedOut(
                f"{doing}: its job {job_id} on {session.server} was still running after "
                f"{patience.publish_seconds:,.0f} seconds. The datasource stays as it was until it "
                "ends; look at the jobs there."
            )
        patience.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE, patience.longest_pause)


def is_publishing(session: Session) -> bool:
    """Whether a publish of this user may still be going on; False where jobs are not shown."""
    options = TSC.RequestOptions(pagesize=1000)
    # what still runs is among the newest of a list that may go back for weeks
    options.sort.add(TSC.Sort("createdAt", TSC.RequestOptions.Direction.Desc))
    try:
        jobs, _ = session.ask("Listing the jobs", lambda client: client.jobs.get(None, options))
    except (PublishError, Transient):
        return False
    return any(
        job.status in _RUNNING and "publish" in str(job.type).casefold().replace("_", "")
        for job in jobs
    )


def _job(client: TSC.Server, job_id: str) -> TSC.JobItem | None:
    try:
        return client.jobs.get_by_id(job_id)
    except ServerResponseError as error:
        if str(error.code) != _PURGED:
            raise
        return None


def _judge(job: TSC.JobItem | None, doing: str, server: str) -> None:
    if job is None:
        return
    notes = [str(note) for note in job.notes or ()]
    errors = [
        str(note.get("text") or note.get("value"))
        for note in job.status_notes or ()
        if str(note.get("type")).casefold() == "errorcode"
    ]
    if job.finish_code == TSC.JobItem.FinishCode.Cancelled:
        raise PublishError(f"{doing} failed: its job on {server} was cancelled there.")
    if job.finish_code == TSC.JobItem.FinishCode.Failed or errors:
        said = " ".join([*notes, *errors]).strip() or "the server noted no reason"
        raise ExtractRefused(
            f"{doing} failed: the job on {server} failed: {said}. The extract may be of a version "
            "that is too new for it."
        )
