"""Publishes an extract: one file becomes one datasource in one project, once, or nothing changes.

Whether the file is a good one was decided before; which project it goes to is looked up in
`projects`, sending the bytes belongs to `uploads`, and what one request may do to `http`.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import tableauserverclient as TSC  # noqa: N812

from mds_tableau.errors import PublishError, ServerUnreachable, SessionEnded, Transient
from mds_tableau.tableau.jobs import is_publishing, wait_for_job
from mds_tableau.tableau.lookup import Held, find_datasource, held
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
    description: str,
    uploads: Uploads | None = None,
    create_project: bool = False,
) -> Published:
    """Publish a `.hyper` as a datasource, in place of the one of that name in that project.

    The server has the old datasource until it has the whole new one. When an answer is lost, the
    server is asked what it has before anything is sent again.

    Args:
        session: A signed-in session.
        path: The `.hyper`.
        datasource: Name of the datasource.
        project: Path or LUID of the project.
        description: Description of the datasource; "" leaves the one that it has.
        uploads: The session's uploads, which may have begun with the file already; none: it is
            uploaded now.
        create_project: Whether to create the project where it is missing.

    Raises:
        ProjectNotFound: The project is not there, or the path is ambiguous.
        PublishError: The server refuses the extract, or says that it holds something else.
        SignInError: The session has ended, and cannot be begun again.
        Transient: The server does not answer, or not as it should; says how often it was tried.
    """
    if uploads is None:
        with uploading(session) as own:
            return publish(
                session,
                path,
                datasource=datasource,
                project=project,
                description=description,
                uploads=own,
                create_project=create_project,
            )
    started = time.perf_counter()
    target = find_project(session, project, create=create_project)
    attempt = _Attempt(session, path, datasource, target, description, uploads)
    after = session.patience.persist(attempt.once, _log.warning)
    after = _restore(session, attempt.before, after)
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
        description: str,
        uploads: Uploads,
    ) -> None:
        self._session = session
        self._path = path
        self._name = name
        self._project = project
        self._uploads = uploads
        self.before = find_datasource(session, name, project)
        self._item = TSC.DatasourceItem(project.id, name=name)
        # a server erases the description that it has when none comes
        kept = self.before.item.description if self.before is not None else None
        self._item.description = description or kept or None
        self._doing = f"Publishing '{name}' to '{project.path}'"

    def once(self) -> Held:
        """Publish, or find that it has arrived; raise a `Transient` to be called again."""
        self._uploads.prepare(self._path)
        token = self._session.token
        try:
            with self._session.translated(self._doing):
                job = self._session.client.datasources.publish(
                    self._item, str(self._path), TSC.Server.PublishMode.Overwrite, as_job=True
                )
        except SessionEnded:
            self._session.renew(token)
            raise
        except ServerUnreachable:
            # the answer is lost, which says nothing about the request
            after = self._arrived()
            if after is None:
                raise
            return after
        wait_for_job(self._session, str(job.id), self._doing)
        after = self._arrived()
        if after is None:
            raise ServerUnreachable(
                f"{self._doing}: {self._session.server} says that it is done, and shows nothing "
                "new."
            )
        return after

    def _arrived(self) -> Held | None:
        """Look, for a while, whether something newer is there than before the publish."""
        patience = self._session.patience
        pause, looks = patience.first_pause, 0
        started = time.monotonic()
        while True:
            looks += 1
            # asked before looking: what ended in between would be seen by neither
            is_last = looks >= patience.attempts and not is_publishing(self._session)
            try:
                now = self._now()
            except Transient as error:
                # not being able to look says nothing about what is there
                _log.info("%s", error)
            else:
                if now is not None and now.is_newer_than(self.before):
                    return now
            if is_last or time.monotonic() - started > patience.publish_seconds:
                return None
            patience.sleep(pause)
            pause = min(pause * 2, patience.longest_pause)

    def _now(self) -> Held | None:
        if self.before is not None:
            return held(self._session, self.before.id)
        return find_datasource(self._session, self._name, self._project)


def _restore(session: Session, before: Held | None, after: Held) -> Held:
    """Put back what a server may drop when a datasource is overwritten."""
    if before is None:
        return after
    old, new = before.item, after.item
    lost = [
        name
        for name, was, now in (
            ("tags", set(old.tags), set(new.tags)),
            ("certification", bool(old.certified), bool(new.certified)),
            ("certification note", old.certification_note or "", new.certification_note or ""),
            ("owner", old.owner_id, new.owner_id),
        )
        if was and was != now
    ]
    if not lost:
        return after
    new.tags = set(old.tags) | set(new.tags)
    new.certified, new.certification_note = old.certified, old.certification_note
    new.owner_id = old.owner_id
    try:
        session.ask(f"Putting back {', '.join(lost)}", lambda c: c.datasources.update(new))
    except PublishError as error:
        # the data has arrived, which is what matters most
        _log.warning("%s of '%s' could not be put back: %s", ", ".join(lost), old.name, error)
    return after
