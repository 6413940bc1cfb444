"""Finds a datasource by name and project, and tells one state of it from the next.

A server lists what was published a moment ago only after a while, so what is known by its id is
asked for by it. Publishing belongs to `publish`.
"""

from dataclasses import dataclass
from typing import Final

import tableauserverclient as TSC  # noqa: N812
from tableauserverclient.server.endpoint.exceptions import ServerResponseError

from mds_tableau.tableau.session import Project, Session

_PAGE: Final = 1000
_NOT_FOUND: Final = "404004"


@dataclass(frozen=True)
class Held:
    """What a server holds of a datasource at one moment.

    Attributes:
        item: The datasource as the server tells it.
        revision: Its newest revision; None where the site keeps no history or does not show it.
        publisher_id: LUID of who published that; None where it is not told.
        revision_at: When that was, by the server's clock, ISO 8601; "" where it is not told.
    """

    item: TSC.DatasourceItem
    revision: int | None
    publisher_id: str | None = None
    revision_at: str = ""

    @property
    def id(self) -> str:
        """LUID of the datasource."""
        return str(self.item.id)

    def is_at(self, name: str, project: Project) -> bool:
        """Whether it has that name in that project."""
        return (
            self.item.project_id == project.id and str(self.item.name).casefold() == name.casefold()
        )

    def is_newer_than(self, other: "Held | None") -> bool:
        """Whether something was published between the other state and this one."""
        if other is None:
            return True
        if self.revision is not None and other.revision is not None:
            return self.revision > other.revision
        return bool(self.item.updated_at != other.item.updated_at)


def find_datasource(session: Session, name: str, project: Project, *, is_new: bool) -> Held | None:
    """Return the datasource of a name in a project, or None when there is none.

    Names are compared as the server does it, without regard to case; every page is looked at.

    Args:
        session: The session, which lists the site's datasources once.
        name: Name of the datasource.
        project: Its project.
        is_new: Whether it may have been made a moment ago, so that the list has to be a new one.

    Raises:
        MdsTableauError: The server cannot be asked.
    """
    key = (project.id, name.casefold())
    known = session.known_datasources.get(key)
    if known is not None:
        there = held(session, known)
        if there is not None and there.is_at(name, project):
            return there
        # somebody has moved, renamed or deleted it since
        session.known_datasources.pop(key, None)
        known, is_new = None, True
    if known is None and (is_new or not session.has_listed):
        # a filter cannot name a project's id, nor a name with a comma
        options = TSC.RequestOptions(pagesize=_PAGE)
        # a Pager raises what the server answers; iterating over a query set would swallow it
        items = session.ask(
            f"Looking for '{name}'", lambda client: list(TSC.Pager(client.datasources, options))
        )
        found = {(str(i.project_id), str(i.name).casefold()): str(i.id) for i in items}
        session.known_datasources.update(found)
        session.has_listed = True
        known = found.get(key)
    return held(session, known) if known is not None else None


def held(session: Session, datasource_id: str) -> Held | None:
    """Return the present state of a datasource, or None when it is gone.

    Raises:
        MdsTableauError: The server cannot be asked.
    """

    def ask(client: TSC.Server) -> Held | None:
        try:
            item = client.datasources.get_by_id(datasource_id)
        except ServerResponseError as error:
            if str(error.code) != _NOT_FOUND:
                raise
            return None
        newest = newest_revision(client, item)
        if newest is None:
            return Held(item, None)
        at = newest.created_at.isoformat() if newest.created_at is not None else ""
        return Held(item, int(newest.revision_number or 0), newest.user_id, at)

    return session.ask("Looking at the datasource", ask)


def newest_revision(client: TSC.Server, item: TSC.DatasourceItem) -> TSC.RevisionItem | None:
    """Return the newest revision of a datasource, or None where none is shown."""
    try:
        client.datasources.populate_revisions(item)
        revisions = [one for one in item.revisions if one.revision_number]
    except ServerResponseError:
        return None
    return max(revisions, key=lambda one: int(one.revision_number or 0), default=None)
