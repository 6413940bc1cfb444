"""One publish of one file, however often it has to be tried.

When an answer is lost, the server is asked what it has before anything is sent again, and it is
sent again with the same upload only, which the server uses up. Sending the bytes belongs to
`uploads`, what one request may do to `http`, and what to publish where to `publish`.
"""

import logging
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Final

import tableauserverclient as TSC  # noqa: N812

from mds_tableau.errors import (
    ExtractRefused,
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
from mds_tableau.tableau.lookup import Held, find_datasource
from mds_tableau.tableau.modes import Choice, Earlier, choose
from mds_tableau.tableau.session import Project, Session
from mds_tableau.tableau.uploads import Uploads

_NOT_WITHOUT_OVERWRITE: Final = "403007"
"""What a server says to a mode that it does not know, where the datasource is there."""

_log = logging.getLogger(__name__)


class Attempt:
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
        self._was_given_up = False
        self._dropped: frozenset[KeptCredentials] = frozenset()
        self._doing = f"Publishing '{name}' to '{project.path}'"
        self._item = TSC.DatasourceItem(project.id, name=name)
        self._mode = mode
        self._earlier = earlier
        self._before: Held | None = None
        self.choice = Choice("overwrite")
        if mode not in {"auto", "overwrite"}:
            # before anything is sent, as it may be known already that nothing may be
            self._look()

    def _look(self) -> None:
        """Look at what is there, and choose what is done with it."""
        self._before = find_datasource(self._session, self._name, self._project, is_new=False)
        self.choice = choose(self._mode, self._doing, self._before, self._earlier)
        # a server erases the description that it has when none comes
        kept = self._before.item.description if self._before is not None else None
        self._item.description = self._about.description or kept or None

    def persist(self) -> Held:
        """Publish, as often as it takes, and put right what stands beside the data.

        Raises:
            MdsTableauError: As `publish` says.
        """
        persist = partial(
            self._session.patience.persist,
            self._once,
            _log.warning,
            # what was tried often enough to be uploaded is not tried as often again
            can_pass=lambda error: isinstance(error, Transient) and not self._was_given_up,
        )
        try:
            after = persist()
        except Transient as error:
            self._refuse_to_append_twice(error)
            raise
        except PublishError as error:
            # a server from before it could replace refuses, as it does data that does not fit
            does_not_fit = isinstance(error, ExtractRefused) or error.code == _NOT_WITHOUT_OVERWRITE
            if not (self.choice.may_overwrite and does_not_fit):
                raise
            _log.warning("%s Its fields cannot be kept: overwriting it.", error)
            self._mode = "overwrite"
            after = persist()
        if self._dropped:
            self._tell_of_credentials(self._dropped - embedded_credentials(self._session, after))
        put_right(self._session, self._before, after, self._about)
        return after

    def is_next(self, after: Held) -> bool:
        """Return whether a state is the one right behind what was there before the publish.

        A revision in between is somebody else's, and then nobody can tell whose the newest is.
        """
        if after.revision is None:
            return False
        if self._before is None:
            return after.revision == 1
        return self._before.revision is not None and after.revision == self._before.revision + 1

    def _once(self) -> Held:
        """Publish, or find that it has arrived; raise a `Transient` to be called again."""
        self._prepare()
        token = self._session.token
        try:
            job = self._send()
        except SessionEnded:
            self._session.renew(token)
            raise
        except (PublishError, UploadLost) as error:
            after = self._after_refusal(error)
        except ServerUnreachable as error:
            after = self._after_silence(error)
        else:
            after = self._after_job(str(job.id))
        self._uploads.forget(self._path)
        return after

    def _prepare(self) -> None:
        """Have the file uploaded, and look once more at what is there."""
        try:
            self._uploads.prepare(self._path)
        except Transient:
            self._was_given_up = True
            raise
        if self._may_have_arrived:
            return
        # uploading takes its time, in which others change what is to be kept
        self._look()
        self._tell_of_others()
        overwrites = self.choice.mode == "overwrite"
        self._dropped = embedded_credentials(self._session, self._before if overwrites else None)

    def _after_refusal(self, error: PublishError | UploadLost) -> Held:
        """Return what is there: a publish uses its upload up, so one sent before was taken."""
        after = self._arrived() if self._may_have_arrived else None
        if after is not None:
            return after
        if isinstance(error, UploadLost):
            self._uploads.forget(self._path)
            self._refuse_to_append_twice(error)
        raise error

    def _after_silence(self, error: ServerUnreachable) -> Held:
        """Return what is there after a lost answer, which says nothing about the request."""
        self._may_have_arrived = True
        if self._uploads.has(self._path):
            # it is sent again with the same upload, which tells for certain
            self._wait_for_others()
            raise error
        after = self._arrived()
        if after is None:
            self._refuse_to_append_twice(error)
            raise error
        return after

    def _send(self) -> TSC.JobItem:
        with self._session.translated(self._doing):
            return self._session.client.datasources.publish(
                self._item, str(self._path), self.choice.sent, as_job=True
            )

    def _after_job(self, job_id: str) -> Held:
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
        after = self._as_the_job_left_it() if is_done else None
        after = after or self._arrived(seconds)
        if after is not None:
            return after
        told = f"{self._doing}: {self._session.server} shows nothing new"
        if is_done:
            raise MayHaveArrived(
                f"{told} {seconds:,.0f} seconds after it said that it was done. Look at the "
                "datasource there before you run it again."
            )
        raise ServerUnreachable(f"{told}, and does not know the job any more.")

    def _as_the_job_left_it(self) -> Held | None:
        """Return what is there where no revisions are told, by which else it is known for new."""
        now = self._now()
        is_told = now is None or now.revision is not None
        return None if is_told else now

    def _wait_for_others(self) -> None:
        """Wait, for a while, until nothing is being published that may be what was sent."""
        patience, started = self._session.patience, time.monotonic()
        while is_publishing(self._session):
            if time.monotonic() - started > patience.shown_seconds:
                return
            patience.sleep(patience.first_pause)

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
                if now is not None and now.is_newer_than(self._before) and self._is_ours(now):
                    return now
            # others may go on publishing for hours
            if is_last or time.monotonic() - started > max(seconds, patience.shown_seconds):
                return None
            patience.sleep(pause)
            pause = min(pause * 2, patience.longest_pause)

    def _is_ours(self, now: Held) -> bool:
        # where it is told, what somebody else published meanwhile is not taken for ours
        return now.publisher_id in {None, self._session.client.user_id}

    def _now(self) -> Held | None:
        return find_datasource(self._session, self._name, self._project, is_new=True)

    def _refuse_to_append_twice(self, error: MdsTableauError) -> None:
        if self.choice.mode == "append" and self._may_have_arrived:
            raise MayHaveArrived(
                f"{error} Whether the rows were appended cannot be told, and appending them again "
                "could double them. Look at the datasource before you run it again."
            ) from error

    def _tell_of_others(self) -> None:
        before, earlier = self._before, self._earlier
        is_ours = before is not None and earlier is not None and earlier.id == before.id
        if not (is_ours and before and earlier) or before.revision == earlier.revision:
            return
        if self.choice.mode == "append":
            _log.warning(
                "%s: revision %s was published last from here, and the server has %s. If somebody "
                "else appends too, that is well; after a backup was restored, rows may be there "
                "twice now: look at the datasource.",
                self._doing,
                earlier.revision,
                before.revision,
            )
        elif self.choice.mode == "replace":
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
