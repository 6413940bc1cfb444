"""Publishes an extract: one file becomes one datasource in one project, once, or nothing changes.

Whether the file is a good one was decided before; which project it goes to is looked up in
`projects`, and how it gets there whatever happens on the way belongs to `attempt`.
"""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from mds_tableau.errors import DatasourceNotFound, MayHaveArrived, ProjectNotFound
from mds_tableau.extracts import PublishMode
from mds_tableau.tableau.attempt import Attempt
from mds_tableau.tableau.keeping import About
from mds_tableau.tableau.lookup import held
from mds_tableau.tableau.modes import Earlier
from mds_tableau.tableau.projects import find_project, is_missing
from mds_tableau.tableau.session import Session
from mds_tableau.tableau.turns import datasource_turn
from mds_tableau.tableau.uploads import Uploads, uploading


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
        revision_at: When that revision was made, by the server's clock; "" where the server does
            not tell, or where somebody else may have published in the same moment.
        project_id: LUID of the project; "" where an older version wrote it down.
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
    revision_at: str = ""
    project_id: str = ""


def still_holds(
    session: Session, published: Published, *, datasource: str, project: str, about: About
) -> bool:
    """Return whether a server holds what was published last, and nobody has published since.

    A number alone does not tell a revision: a server that was restored from a backup counts again.

    Args:
        session: A signed-in session.
        published: That publish.
        datasource: Name that the datasource is to have.
        project: Path or LUID of the project that it is to be in.
        about: What is said of it, which it still has to have.

    Raises:
        MdsTableauError: The server cannot be asked.
    """
    try:
        target = find_project(session, project)
    except ProjectNotFound:
        return False  # who publishes may create it, or tells more
    now = held(session, published.id)
    return (
        now is not None
        and now.is_at(datasource, target)
        and now.revision is not None
        and now.revision == published.revision
        and bool(published.revision_at)
        and now.revision_at == published.revision_at
        and about.description in {"", now.item.description}
        and set(about.tags) <= set(now.item.tags)
    )


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
        if mode == "append" and create_project and is_missing(session, project):
            # a project is only made for what can be published to it
            raise DatasourceNotFound(
                f"Publishing '{datasource}' to '{project}' failed: there is no such project yet, "
                "and so no datasource that rows could be appended to. Publish it once with the "
                "mode overwrite."
            )
        target = find_project(session, project, create=create_project)
        doing = f"Publishing '{datasource}' to '{target.path}'"
        place = (session.server, session.site, target.id, datasource.casefold())
        stack.enter_context(datasource_turn(place, doing, session.patience.publish_seconds))
        attempt = Attempt(
            session, path, datasource, target, about or About(), mode, earlier, uploads
        )
        after = attempt.persist()
    item = after.item
    if not after.is_at(datasource, target):
        # it has taken the rows, wherever they are
        raise MayHaveArrived(
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
        revision_at=after.revision_at if attempt.is_next(after) else "",
        project_id=target.id,
    )
