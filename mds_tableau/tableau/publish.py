"""Publishes an extract: one file becomes one datasource in one project, or stays unpublished.

Whether the file is a good one was decided before; which project it goes to is looked up in
`projects`. Retries and other modes than overwriting do not belong here.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import tableauserverclient as TSC  # noqa: N812
from tableauserverclient.server.endpoint.exceptions import ServerResponseError

from mds_tableau.errors import PublishError
from mds_tableau.tableau.failures import translated
from mds_tableau.tableau.projects import find_project
from mds_tableau.tableau.session import Session


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
    session: Session, path: Path, *, datasource: str, project: str, description: str
) -> Published:
    """Publish a `.hyper` as a datasource, in place of the one of that name in that project.

    The client sends it in one request, or in chunks when it is large; the server has the old
    datasource until it has the whole new one.

    Args:
        session: A signed-in session.
        path: The `.hyper`.
        datasource: Name of the datasource.
        project: Path of the project.
        description: Description of the datasource; a server erases the one it has when none comes.

    Raises:
        ProjectNotFound: The project is not there, or the path is ambiguous.
        PublishError: The server refuses the extract, or says that it holds something else.
        SignInError: The session has ended.
        ServerUnreachable: The server does not answer.
    """
    started = time.perf_counter()
    target = find_project(session, project)
    item = TSC.DatasourceItem(target.id, name=datasource)
    item.description = description or None
    size = path.stat().st_size
    with translated(f"Publishing '{datasource}' to '{target.path}'", session.server):
        sent = session.client.datasources.publish(
            item, str(path), mode=TSC.Server.PublishMode.Overwrite
        )
        held = session.client.datasources.get_by_id(str(sent.id))
    if held.project_id != target.id or str(held.name).casefold() != datasource.casefold():
        raise PublishError(
            f"{session.server} says that the datasource {held.id} it published is '{held.name}' in "
            f"the project {held.project_id}, not '{datasource}' in {target.id}. Look at it there."
        )
    return Published(
        server=session.server,
        site=session.site,
        project=target.path,
        datasource=str(held.name),
        id=str(held.id),
        url=held.webpage_url or session.server,
        revision=_revision(session, held),
        bytes=size,
        seconds=round(time.perf_counter() - started, 3),
        published_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def _revision(session: Session, held: TSC.DatasourceItem) -> int | None:
    with translated("Asking for the revision", session.server):
        try:
            session.client.datasources.populate_revisions(held)
            numbers = [int(r.revision_number) for r in held.revisions if r.revision_number]
        except ServerResponseError:
            return None  # the site keeps no history, or does not show it to this user
    return max(numbers, default=None)
