"""What stands beside the data of a datasource: read before a publish, put right after it.

A server may drop tags, certification, description or owner when a datasource is overwritten, and
what the dbt project says of it is to be seen there too. The data has arrived by then, which matters
most: what cannot be put right is told, with what it was.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import tableauserverclient as TSC  # noqa: N812

from mds_tableau.errors import MdsTableauError
from mds_tableau.tableau.lookup import Held
from mds_tableau.tableau.session import Session

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class About:
    """What is said of a datasource beside its data; what is empty is left as it is.

    Attributes:
        description: Its description.
        tags: Tags that it has, beside those that others gave it.
        owner: Name of the user who owns it, as the server's page of users has it.
        requires_owner: Whether a user of that name is expected to be there.
    """

    description: str = ""
    tags: Collection[str] = field(default=())
    owner: str = ""
    requires_owner: bool = True


@dataclass(frozen=True)
class KeptCredentials:
    """Those that a datasource keeps for one connection; the server never tells the password."""

    type: str
    server: str
    user: str

    def __str__(self) -> str:
        where = f" to {self.server}" if self.server else ""
        return f"those of '{self.user}' for the {self.type} connection{where}"


def embedded_credentials(session: Session, held: Held | None) -> frozenset[KeptCredentials]:
    """Return the credentials that a datasource keeps; none where they may not be seen."""
    if held is None:
        return frozenset()
    item = held.item

    def ask(client: TSC.Server) -> list[TSC.ConnectionItem]:
        client.datasources.populate_connections(item)
        return list(item.connections)

    try:
        connections = session.ask("Looking at the connections", ask)
    except MdsTableauError as error:
        _log.info("%s", error)
        return frozenset()
    return frozenset(
        KeptCredentials(str(one.connection_type), str(one.server_address or ""), str(one.username))
        for one in connections
        if one.username
    )


def put_right(session: Session, before: Held | None, after: Held, about: About) -> None:
    """Give a datasource what it had before and what is said of it, where it has not.

    Args:
        session: The session.
        before: The datasource before the publish; None when it is new.
        after: The datasource now.
        about: What is said of it.
    """
    old, new = (before or after).item, after.item
    tags = {*old.tags, *new.tags, *about.tags}
    owner_id = _user_id(session, about) or old.owner_id
    states: dict[str, tuple[object, object]] = {
        "tags": (sorted(tags), sorted(new.tags)),
        "certified": (bool(old.certified), bool(new.certified)),
        "certification note": (old.certification_note, new.certification_note),
        "description": (about.description or old.description, new.description),
        "owner": (owner_id, new.owner_id),
    }
    # what had nothing in it has nothing to be put right
    missing = {name: was for name, (was, now) in states.items() if was and was != now}
    # one by one, so that a right that is missing for one does not cost the others
    if "tags" in missing:
        untagged = set(new.tags)
        new.tags = tags
        if not _is_set(
            session, new, {"tags": missing["tags"]}, lambda c, i: c.datasources.update_tags(i)
        ):
            new.tags = untagged
    facts = {name: was for name, was in missing.items() if name not in {"tags", "owner"}}
    new.certified = bool(old.certified or new.certified)
    new.certification_note = old.certification_note or new.certification_note
    new.description = about.description or old.description or new.description
    if facts:
        _is_set(session, new, facts)
    if "owner" in missing:
        new.owner_id = owner_id
        _is_set(session, new, {"owner": about.owner or missing["owner"]})


def _update(client: TSC.Server, item: TSC.DatasourceItem) -> object:
    return client.datasources.update(item)


def _is_set(
    session: Session,
    item: TSC.DatasourceItem,
    wanted: Mapping[str, object],
    update: Callable[[TSC.Server, TSC.DatasourceItem], object] = _update,
) -> bool:
    """Set something of a datasource; when that fails, tell what it was, and return False."""
    told = ", ".join(f"{name} {value!r}" for name, value in wanted.items())
    try:
        session.ask(f"Setting {told}", lambda client: update(client, item))
    except MdsTableauError as error:
        _log.warning(
            "The data of '%s' has arrived, but what stands beside it could not be set: %s. Set it "
            "on the server. %s",
            item.name,
            told,
            error,
        )
        return False
    return True


def _user_id(session: Session, about: About) -> str | None:
    """Return the LUID of the user who is to own a datasource, or None when none is found."""
    if not about.owner:
        return None
    name = about.owner.casefold()
    options = TSC.RequestOptions(pagesize=1000)
    try:
        if not session.known_users:
            # a filter is case-sensitive, and cannot name everything that a name may have in it
            users = session.ask("Listing the users", lambda c: list(TSC.Pager(c.users, options)))
            session.known_users.update({str(user.name).casefold(): str(user.id) for user in users})
    except MdsTableauError as error:
        _log.warning("The owner '%s' could not be looked up: %s", about.owner, error)
        return None
    found = session.known_users.get(name)
    if found is None:
        level = logging.WARNING if about.requires_owner else logging.INFO
        _log.log(
            level,
            "There is no user '%s' on %s, %s, so the datasource keeps its owner. Write the name "
            "as the server's page of users has it.",
            about.owner,
            session.server,
            session.site_name,
        )
    return found
