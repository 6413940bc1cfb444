"""Publishes an extract: one file becomes one datasource in one project, once, or nothing changes.

Whether the file is a good one was decided before; which project it goes to is looked up in
`projects`, sending the bytes belongs to `uploads`, and what one request may do to `http`.
"""

import logging
import time
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import tableauserverclient as TSC  # noqa: N812

from mds_tableau.errors import (
    Conflict,
    MayHaveArrived,
    MdsTableauError,
    PublishError,
    ServerUnreachable,
    SessionEnded,
    Transient,
    UploadLost,
)
from mds_tableau.extracts import PublishMode
from mds_tableau.tableau.jobs import is_publishing, wait_for_job
from mds_tableau.tableau.keeping import About, KeptCredentials, embedded_credentials, put_right
from mds_tableau.tableau.lookup import Held, find_datasource, held
from mds_tableau.tableau.modes import Choice, Earlier, choose
from mds_tableau.tableau.projects import find_project
from mds_tableau.tableau.session import Project, Session
from mds_tableau.tableau.uploads import Uploads, uploading

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """What the server holds after a publish, as it told it.

    Attributes:
        server: URL of the server.
        site: Content URL of the site, "" for the default one.
        project: Path of the project, as the server spells it.
        datasource: Name of the datasource.
        id: LUID of the datasource; stays the same when it is overwritten.
        url: Its page on the server.
        mode: What was done with the one that was there; `overwrite` also where none was.
        revision: Its revision, or None when the server keeps or shows none.
        bytes: Bytes that were sent.
        seconds: Wall time of the publish.
        published_at: When the server had it, UTC, ISO 8601.
    """

    server: str
    site: str
    project: str
    datasource: str
    id: str
    url: str
    mode: PublishMode
    revision: int | None
    bytes: int
    seconds: float
    published_at: str


def publish(
    session: Session,
    path: Path,
    *,
    datasource: str,
    project: str,
    about: About | None = None,
    mode: PublishMode = "auto",
    earlier: Earlier | None = None,
    uploads: Uploads | None = None,
    create_project: bool = False,
) -> Published:
    """Publish a `.hyper` as a datasource, where one of that name in that project may be already.

    The server has the old datasource until it has the whole new one. When an answer is lost, the
    server is asked what it has before anything is sent again.

    Args:
        session: A signed-in session.
        path: The `.hyper`.
        datasource: Name of the datasource.
        project: Path or LUID of the project.
        about: What is said of it beside its data; what it has is kept where this says nothing.
        mode: What to do with a datasource that is there.
        earlier: What is remembered of the last publish there.
        uploads: The session's uploads, which may have begun with the file already; none: it is
            uploaded now.
        create_project: Whether to create the project where it is missing.

    Raises:
        ProjectNotFound: The project is not there, or the path is ambiguous.
        DatasourceNotFound: Rows are to be appended to what is not there.
        SchemaChanged: Its columns are not those whose data alone was to be changed.
        PublishError: The server refuses the extract, or says that it holds something else.
        SignInError: The session has ended, and cannot be begun again.
        Transient: The server does not answer, or not as it should; says how often it was tried.
    """
    with ExitStack() as stack:
        if uploads is None:
            uploads = stack.enter_context(uploading(session))
        started = time.perf_counter()
        target = find_project(session, project, create=create_project)
        attempt = _Attempt(
            session, path, datasource, target, about or About(), mode, earlier, uploads
        )
        after = attempt.persist()
    item = after.item
    if item.project_id != target.id or str(item.name).casefold() != datasource.casefold():
        raise PublishError(
            f"{session.server} says that the datasource {item.id} it published is '{item.name}' in "
            f"the project {item.project_id}, not '{datasource}' in {target.id}. Look at it there."
        )
    return Published(
        server=session.server,
        site=session.site,
        project=target.path,
        datasource=str(item.name),
        id=after.id,
        url=item.webpage_url or session.server,
        mode=attempt.choice.mode,
        revision=after.revision,
        bytes=path.stat().st_size,
        seconds=round(time.perf_counter() - started, 3),
        published_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


class _Attempt:
    """One publish, however often it has to be tried."""

    def __init__(
        self,
        session: Session,
        path: Path,
        name: str,
        project: Project,
        about: About,
        mode: PublishMode,
        earlier: Earlier | None,
        uploads: Uploads,
    ) -> None:
        self._session = session
        self._path = path
        self._name = name
        self._project = project
        self._about = about
        self._uploads = uploads
        self._may_have_arrived = False
        self._doing = f"Publishing '{name}' to '{project.path}'"
        self._before = find_datasource(session, name, project)
        self.choice = choose(mode, self._doing, self._before, earlier)
        if self._before is not None and earlier is not None and earlier.id == self._before.id:
            self._tell_of_others(self._before, earlier)
        self._item = TSC.DatasourceItem(project.id, name=name)
        # a server erases the description that it has when none comes
        kept = self._before.item.description if self._before is not None else None
        self._item.description = about.description or kept or None

    def persist(self) -> Held:
        """Publish, as often as it takes, and put right what stands beside the data.

        Raises:
            MdsTableauError: As `publish` says.
        """
        before = self._before if self.choice.mode == "overwrite" else None
        dropped = embedded_credentials(self._session, before)
        persist = self._session.patience.persist
        try:
            after = persist(self._once, _log.warning)
        except PublishError as error:
            if not self.choice.may_overwrite or isinstance(error, Conflict):
                raise
            # a server from before it could replace refuses, as it does data that does not fit
            _log.warning("%s Its fields cannot be kept: overwriting it.", error)
            self.choice = Choice("overwrite")
            after = persist(self._once, _log.warning)
        if dropped:
            self._tell_of_credentials(dropped - embedded_credentials(self._session, after))
        put_right(self._session, self._before, after, self._about)
        return after

    def _once(self) -> Held:
        """Publish, or find that it has arrived; raise a `Transient` to be called again."""
        self._uploads.prepare(self._path)
        token = self._session.token
        try:
            job = self._send()
        except SessionEnded:
            self._session.renew(token)
            raise
        except (PublishError, UploadLost) as error:
            # a publish uses its upload up, and so is refused after one whose answer was lost
            after = self._arrived() if self._may_have_arrived else None
            if after is None:
                if isinstance(error, UploadLost):
                    self._uploads.forget(self._path)
                self._refuse_to_append_twice(error)
                raise
        except ServerUnreachable as error:
            # the answer is lost, which says nothing about the request
            self._may_have_arrived = True
            after = self._arrived()
            if after is None:
                if not self._uploads.has(self._path):
                    self._refuse_to_append_twice(error)
                raise
        else:
            after = self._after(str(job.id))
        self._uploads.forget(self._path)
        return after

    def _send(self) -> TSC.JobItem:
        with self._session.translated(self._doing):
            return self._session.client.datasources.publish(
                self._item, str(self._path), self.choice.sent, as_job=True
            )

    def _after(self, job_id: str) -> Held:
        """Return what is there when a job is done."""
        # whatever becomes of asking about the job, it goes on
        self._may_have_arrived = True
        try:
            is_done = wait_for_job(self._session, job_id, self._doing)
        except PublishError:
            # it has failed, and so has changed nothing
            self._may_have_arrived = False
            self._uploads.forget(self._path)
            raise
        seconds = self._session.patience.shown_seconds if is_done else 0.0
        after = self._arrived(seconds)
        if after is not None:
            return after
        told = f"{self._doing}: {self._session.server} shows nothing new"
        if is_done:
            raise MayHaveArrived(
                f"{told} {seconds:,.0f} seconds after it said that it was done. Look at the "
                "datasource there before you run it again."
            )
        raise ServerUnreachable(f"{told}, and does not know the job any more.")

    def _arrived(self, seconds: float = 0.0) -> Held | None:
        """Look, as often as it takes, whether something newer is there than before the publish.

        Args:
            seconds: How long to look at least, where it is known to have arrived.
        """
        patience = self._session.patience
        pause, looks = patience.first_pause, 0
        started = time.monotonic()
        while True:
            looks += 1
            # asked before looking: what ended in between would be seen by neither
            is_last = (
                looks >= patience.attempts
                and time.monotonic() - started >= seconds
                and not is_publishing(self._session)
            )
            try:
                now = self._now()
            except Transient as error:
                # not being able to look says nothing about what is there
                _log.info("%s", error)
            else:
                if now is not None and now.is_newer_than(self._before):
                    return now
            if is_last or time.monotonic() - started > patience.publish_seconds:
                return None
            patience.sleep(pause)
            pause = min(pause * 2, patience.longest_pause)

    def _now(self) -> Held | None:
        if self._before is not None:
            return held(self._session, self._before.id)
        return find_datasource(self._session, self._name, self._project)

    def _refuse_to_append_twice(self, error: MdsTableauError) -> None:
        if self.choice.mode == "append" and self._may_have_arrived:
            raise MayHaveArrived(
                f"{error} Whether the rows were appended cannot be told, and appending them again "
                "could double them. Look at the datasource before you run it again."
            ) from error

    def _tell_of_others(self, before: Held, earlier: Earlier) -> None:
        if self.choice.mode == "replace" and before.revision != earlier.revision:
            _log.warning(
                "%s: somebody has published revision %s since %s was published from here. Its "
                "fields are kept and its data is replaced; if its columns are others, publish it "
                "once with the mode overwrite.",
                self._doing,
                before.revision,
                earlier.revision,
            )

    def _tell_of_credentials(self, gone: Collection[KeptCredentials]) -> None:
        if gone:
            _log.warning(
                "%s: the datasource that was there kept credentials, which this one has not: %s. "
                "A server never tells passwords, so that they cannot be put back; enter them there "
                "if they are still needed.",
                self._doing,
                ", ".join(sorted(map(str, gone))),
            )
