"""The caller's site and session: showing them.

Reading them belongs here; signing in and switching sites stand in `auth`, and sites are added by
the configuration only.
"""

from xml.etree.ElementTree import Element

from starlette.responses import Response

from mds_tableau.sandbox import people, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.errors import not_implemented


def get(call: Call) -> Response:
    """Shows the session's site: GET sites/{id}."""
    if call.query.get("key", "luid") != "luid":
        raise not_implemented("asking for a site by other than its id (key)")
    return call.reply(_element(call, everything=True))


def session(call: Call) -> Response:
    """Shows the session: GET sessions/current."""
    with call.store.reading() as db:
        user = people.find(db, call.session.user_id)
    return call.reply(
        xmlio.element("session", None, _element(call), people.user_element(call, user))
    )


def _element(call: Call, *, everything: bool = False) -> Element:
    with call.store.reading() as db:
        row = db.execute("SELECT * FROM sites WHERE id = ?", (call.session.site_id,)).fetchone()
    state: dict[str, xmlio.Value] = {
        "adminMode": "ContentAndUsers",
        "state": "Active",
        "revisionHistoryEnabled": True,
        "revisionLimit": call.store.config.kept_revisions,
    }
    return xmlio.element(
        "site",
        {
            "id": row["id"],
            "name": row["name"],
            "contentUrl": row["content_url"],
            **(state if everything else {}),
        },
    )
