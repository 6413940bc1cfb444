"""Lists the datasources of a site or a project, with what a server tells of each.

Finding the one datasource to publish over belongs to `lookup`.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import tableauserverclient as TSC  # noqa: N812

from mds_tableau.errors import MdsTableauError
from mds_tableau.tableau.lookup import newest_revision
from mds_tableau.tableau.projects import all_projects
from mds_tableau.tableau.session import Project, Session

_PAGE: Final = 1000
_AT_ONCE: Final = 4
"""Revisions are asked for one datasource at a time, so that many are asked for side by side."""

_log = logging.getLogger(__name__)


class Named(NamedTuple):
    """Which datasource it is: its LUID, its name as the server spells it, its project's path."""

    id: str
    name: str
    project: str


@dataclass(frozen=True)
class Listed:
    """A datasource, as its server tells it.

    Attributes:
        id: Its LUID.
        name: Its name.
        project: Path of its project; the name alone where the user may not see the project.
        megabytes: Its size in whole MB, as the server rounds it; None where it is not told.
        updated_at: When it was changed last.
        revision: Its newest revision; None where no history is kept or shown.
        owner: Name of its owner; None where users may not be looked up.
        url: Its page on the server; "" where it is not told.
    """

    id: str
    name: str
    project: str
    megabytes: int | None
    updated_at: datetime | None
    revision: int | None
    owner: str | None
    url: str


def list_datasources(session: Session, project: Project | None = None) -> list[Listed]:
    """Return the datasources of a project, or of all, by path of the project and name.

    Raises:
        MdsTableauError: The server cannot be asked.
    """
    paths = {one.id: one.path for one in all_projects(session)}
    items = _items(session, project)
    owners = _owners(session) if any(_owner(item) is None for item in items) else {}

    def revision(item: TSC.DatasourceItem) -> int | None:
        newest = session.ask("Looking at revisions", lambda client: newest_revision(client, item))
        return None if newest is None else int(newest.revision_number or 0)

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="list") as pool:
        revisions = list(pool.map(revision, items))
    listed = [
        Listed(
            id=str(item.id),
            name=str(item.name),
            project=paths.get(str(item.project_id), item.project_name or ""),
            megabytes=item.size,
            updated_at=item.updated_at,
            revision=number,
            owner=_owner(item) or owners.get(str(item.owner_id)),
            url=item.webpage_url or "",
        )
        for item, number in zip(items, revisions, strict=True)
    ]
    return sorted(listed, key=lambda one: (one.project.casefold(), one.name.casefold()))


def named(session: Session, name: str, project: Project | None = None) -> list[Named]:
    """Return the datasources of a name, whatever its case.

    Args:
        session: The session.
        name: The name.
        project: Where to look; None for everywhere.

    Raises:
        MdsTableauError: The server cannot be asked.
    """
    wanted = name.casefold()
    found = [one for one in _items(session, project) if str(one.name).casefold() == wanted]
    paths = {one.id: one.path for one in all_projects(session)} if found else {}
    return [
        Named(str(one.id), str(one.name), paths.get(str(one.project_id), one.project_name or ""))
        for one in found
    ]


def names(session: Session, project: Project | None = None) -> list[str]:
    """Return the names of all datasources of a project, or of all.

    Raises:
        MdsTableauError: The server cannot be asked.
    """
    return sorted({str(one.name) for one in _items(session, project)})


def _items(session: Session, project: Project | None) -> list[TSC.DatasourceItem]:
    # a filter knows projects by name only, and names are not unique
    options = TSC.RequestOptions(pagesize=_PAGE)
    # a Pager raises what the server answers; iterating over a query set would swallow it
    items = session.ask(
        "Listing the datasources", lambda client: list(TSC.Pager(client.datasources, options))
    )
    return [one for one in items if project is None or str(one.project_id) == project.id]


def _owner(item: TSC.DatasourceItem) -> str | None:
    return item.owner.name if item.owner is not None else None


def _owners(session: Session) -> dict[str, str]:
    options = TSC.RequestOptions(pagesize=_PAGE)
    try:
        users = session.ask(
            "Listing the users", lambda client: list(TSC.Pager(client.users, options))
        )
    except MdsTableauError as error:
        # a list without owners is better than none
        _log.info("%s", error)
        return {}
    return {str(user.id): str(user.name) for user in users}
