"""Tags of data sources: adding and removing them.

How labels are read from a request belongs here; showing them does not. A label in double quotes is
one tag, one without is split at spaces and commas, as users of Tableau's Python client found out.
"""

import re

from starlette.responses import Response

from mds_tableau.sandbox import datasources, rights, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.errors import bad_request, not_found

LONGEST_LABEL = 200


def labels(text: str) -> list[str]:
    """Returns the tags that a label stands for.

    Example:
        >>> labels('"y z"'), labels("y, z")
        (['y z'], ['y', 'z'])
    """
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        return [text[1:-1]]
    return [piece for piece in re.split(r"[\s,]+", text) if piece]


def add(call: Call) -> Response:
    """Adds tags and tells all that there are then: PUT datasources/{id}/tags."""
    node = xmlio.read_request(call.body, "tags")
    xmlio.check_children(node, {"tag"})
    added = [label for tag in node for label in labels(tag.get("label", ""))]
    if any(not label.strip() or len(label) > LONGEST_LABEL for label in added):
        raise bad_request(f"A tag needs a label of 1 to {LONGEST_LABEL} characters.")
    with call.store.writing() as db:
        row = datasources.find(db, call.session.site_id, call.path["datasource_id"])
        rights.check_write(db, call, row, 403004)
        for label in added:
            db.execute(
                "INSERT OR IGNORE INTO tags VALUES (?, ?, ?)", (row["id"], label, label.casefold())
            )
        row = datasources.find(db, call.session.site_id, row["id"])
    return call.reply(
        xmlio.element(
            "tags", None, *(xmlio.element("tag", {"label": one}) for one in datasources.tags(row))
        )
    )


def remove(call: Call) -> Response:
    """Removes one tag: DELETE datasources/{id}/tags/{label}."""
    wanted = call.path["label"]
    names = {wanted.casefold(), wanted.strip('"').casefold()}
    with call.store.writing() as db:
        row = datasources.find(db, call.session.site_id, call.path["datasource_id"])
        rights.check_write(db, call, row, 403004)
        removed = sum(
            db.execute(
                "DELETE FROM tags WHERE item_id = ? AND label_key = ?", (row["id"], name)
            ).rowcount
            for name in names
        )
        if not removed:
            raise not_found(404007, "Tag", wanted)
    return Response(status_code=204)
