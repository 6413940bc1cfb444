"""Users and groups: showing those that the configuration names.

Reading them belongs here; adding or changing people does not, because the sandbox takes them from
its configuration. Codes follow Tableau's reference for users and groups.
"""

import sqlite3
from xml.etree.ElementTree import Element

from starlette.responses import Response

from mds_tableau.sandbox import filters, rights, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.errors import not_found
from mds_tableau.sandbox.filters import CHOICE, EQUAL, RANGE, Field, Row

ADMINISTRATOR = "ServerAdministrator"
PUBLISHER = "Creator"

USER_FIELDS = {
    "friendlyName": Field(CHOICE),
    "isLocal": Field(EQUAL),
    "lastLogin": Field(RANGE),
    "luid": Field(CHOICE, lambda row: row["id"]),
    "name": Field(CHOICE, lambda row: row["name"]),
    "siteRole": Field(CHOICE, lambda row: row["role"]),
}
GROUP_FIELDS = {
    "domainName": Field(CHOICE),
    "domainNickname": Field(CHOICE),
    "isLocal": Field(EQUAL),
    "minimumSiteRole": Field(CHOICE),
    "name": Field(CHOICE, lambda row: row["name"]),
    "userCount": Field(RANGE, lambda row: row["count"], int),
}


def query_users(call: Call) -> Response:
    """Lists the users: GET users."""
    with call.store.reading() as db:
        rows = [
            {**row, "role": site_role(call, row)}
            for row in db.execute("SELECT id, name FROM users ORDER BY rowid")
        ]
    page = call.select(rows, USER_FIELDS)
    return call.reply(
        xmlio.pagination(page),
        xmlio.element("users", None, *(user_element(call, row) for row in page.rows)),
    )


def get_user(call: Call) -> Response:
    """Shows one user: GET users/{id}."""
    with call.store.reading() as db:
        row = find(db, call.path["user_id"])
        if row["id"] != call.session.user_id:
            rights.check_admin(db, call, 403133, "query other users")
    return call.reply(user_element(call, row))


def query_groups(call: Call) -> Response:
    """Lists the groups, which are All Users: GET groups."""
    with call.store.reading() as db:
        count = db.execute("SELECT count(*) FROM users").fetchone()[0]
        rows = [
            {**row, "count": count}
            for row in db.execute(
                "SELECT id, name FROM groups WHERE site_id = ?", (call.session.site_id,)
            )
        ]
    page = call.select(rows, GROUP_FIELDS)
    return call.reply(
        xmlio.pagination(page), xmlio.element("groups", None, *map(_group_element, page.rows))
    )


def query_members(call: Call) -> Response:
    """Lists the users of a group: GET groups/{id}/users."""
    with call.store.reading() as db:
        find_group(db, call.session.site_id, call.path["group_id"])
        rows = [dict(row) for row in db.execute("SELECT id, name FROM users ORDER BY rowid")]
    page = filters.paginate(rows, call.query)
    return call.reply(
        xmlio.pagination(page),
        xmlio.element("users", None, *(user_element(call, row) for row in page.rows)),
    )


def find(db: sqlite3.Connection, user_id: str) -> Row:
    """Returns a user.

    Raises:
        ApiError: 404002; there is none with this id.
    """
    row = db.execute("SELECT id, name FROM users WHERE id = ?", (user_id.lower(),)).fetchone()
    if row is None:
        raise not_found(404002, "User", user_id)
    return dict(row)


def find_group(db: sqlite3.Connection, site_id: str, group_id: str) -> Row:
    """Returns a group of the site.

    Raises:
        ApiError: 404012; there is none with this id.
    """
    row = db.execute(
        "SELECT id, name FROM groups WHERE id = ? AND site_id = ?", (group_id.lower(), site_id)
    ).fetchone()
    if row is None:
        raise not_found(404012, "Group", group_id)
    return dict(row)


def site_role(call: Call, row: sqlite3.Row | Row) -> str:
    """Returns a user's site role."""
    return PUBLISHER if row["name"] in call.store.config.publishers else ADMINISTRATOR


def user_element(call: Call, row: Row) -> Element:
    """Returns a user as it stands in replies."""
    return xmlio.element(
        "user",
        {
            "id": row["id"],
            "name": row["name"],
            "siteRole": site_role(call, row),
            "fullName": row["name"],
            "authSetting": "ServerDefault",
        },
    )


def _group_element(row: Row) -> Element:
    return xmlio.element(
        "group",
        {"id": row["id"], "name": row["name"]},
        xmlio.element("domain", {"name": "local"}),
    )
