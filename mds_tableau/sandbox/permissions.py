"""Permission rules of data sources and projects: showing, adding and removing them.

Keeping the rules belongs here; of what they allow the sandbox knows little, and that stands in
`rights`. Capabilities and codes follow Tableau's reference for permissions.
"""

import sqlite3
from collections.abc import Iterator
from itertools import groupby
from xml.etree.ElementTree import Element

from starlette.responses import Response

from mds_tableau.sandbox import datasources, people, projects, rights, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.errors import ApiError, bad_request, not_found
from mds_tableau.sandbox.filters import Row

FOR_DATASOURCES = frozenset(
    {
        "ChangeHierarchy",
        "ChangePermissions",
        "Connect",
        "Delete",
        "ExportXml",
        "ExtractRefresh",
        "Read",
        "SaveAs",
        "VizqlDataApiAccess",
        "Write",
    }
)
# What other kinds of items have; a data source does not.
OTHERS = frozenset(
    {
        "AddComment",
        "AiAccess",
        "Execute",
        "ExportData",
        "ExportImage",
        "Filter",
        "Overwrite",
        "ProjectLeader",
        "PulseMetricDefine",
        "RunExplainData",
        "ShareView",
        "ViewComments",
        "ViewUnderlyingData",
        "WebAuthoring",
        "WebAuthoringForFlows",
    }
)
FOR_PROJECTS = frozenset({"Read", "Write", "ProjectLeader"})
MODES = frozenset({"Allow", "Deny"})

Rule = tuple[str, str, str, str]  # kind and id of the grantee, capability, mode


def of_datasource(call: Call) -> Response:
    """Shows a data source's rules: GET datasources/{id}/permissions."""
    with call.store.reading() as db:
        return _shown(db, call, "datasource", _datasource(db, call))


def of_project(call: Call) -> Response:
    """Shows a project's rules: GET projects/{id}/permissions."""
    with call.store.reading() as db:
        return _shown(db, call, "project", _project(db, call))


def default_of_project(call: Call) -> Response:
    """Shows the rules for a project's new data sources, of which there are none.

    GET projects/{id}/default-permissions/datasources.
    """
    with call.store.reading() as db:
        return call.reply(xmlio.element("permissions", None, _head("project", _project(db, call))))


def add_to_datasource(call: Call) -> Response:
    """Adds rules to those that a data source has: PUT datasources/{id}/permissions."""
    node = xmlio.read_request(call.body, "permissions")
    with call.store.writing() as db:
        row = _datasource(db, call)
        rights.check_write(db, call, row, 403004)
        locked = projects.find(db, call.session.site_id, row["project_id"])
        if locked["content_permissions"] != "ManagedByOwner":
            raise ApiError(
                call.store.config.choices.locked_permissions_code,
                "The permissions of the project's content are locked to the project.",
            )
        _add(db, call, row["id"], list(_rules(node, FOR_DATASOURCES, row)))
        return _shown(db, call, "datasource", row)


def add_to_project(call: Call) -> Response:
    """Adds rules to those that a project has: PUT projects/{id}/permissions."""
    node = xmlio.read_request(call.body, "permissions")
    with call.store.writing() as db:
        row = _project(db, call)
        rights.check_project(db, call, row, 403004)
        _add(db, call, row["id"], list(_rules(node, FOR_PROJECTS, row)))
        return _shown(db, call, "project", row)


def remove_from_datasource(call: Call) -> Response:
    """Removes one rule: DELETE datasources/{id}/permissions/{kind}/{id}/{capability}/{mode}."""
    with call.store.writing() as db:
        row = _datasource(db, call)
        rights.check_write(db, call, row, 403004)
        _remove(db, call, row["id"], FOR_DATASOURCES)
    return Response(status_code=204)


def remove_from_project(call: Call) -> Response:
    """Removes one rule: DELETE projects/{id}/permissions/{kind}/{id}/{capability}/{mode}."""
    with call.store.writing() as db:
        row = _project(db, call)
        rights.check_project(db, call, row, 403004)
        _remove(db, call, row["id"], FOR_PROJECTS)
    return Response(status_code=204)


def _datasource(db: sqlite3.Connection, call: Call) -> Row:
    return datasources.find(db, call.session.site_id, call.path["datasource_id"])


def _project(db: sqlite3.Connection, call: Call) -> Row:
    return projects.find(db, call.session.site_id, call.path["project_id"])


def _rules(node: Element, allowed: frozenset[str], row: Row) -> Iterator[Rule]:
    """Yields the rules of a request's body.

    Raises:
        ApiError: 400000, malformed; 404009, for another item; 400009, a capability of other items;
            404013, one that does not exist, or a mode that does not.
    """
    xmlio.check_children(node, {"datasource", "project", "granteeCapabilities"})
    for item in (*node.findall("datasource"), *node.findall("project")):
        if item.get("id", str(row["id"])).lower() != row["id"]:
            raise not_found(404009, "Item", item.get("id", ""))
    for grantee in node.findall("granteeCapabilities"):
        xmlio.check_children(grantee, {"group", "user", "capabilities"})
        grantees = [one for one in grantee if one.tag != "capabilities"]
        capabilities = grantee.find("capabilities")
        if len(grantees) != 1 or capabilities is None or not len(capabilities):
            raise bad_request(xmlio.MALFORMED)
        for one in capabilities:
            name, mode = one.get("name", ""), one.get("mode", "")
            _check(name, mode, allowed)
            yield grantees[0].tag, grantees[0].get("id", "").lower(), name, mode


def _check(name: str, mode: str, allowed: frozenset[str]) -> None:
    if name not in allowed | FOR_DATASOURCES | OTHERS:
        raise not_found(404013, "Capability", name)
    if mode not in MODES:
        raise not_found(404013, "Capability mode", mode)
    if name not in allowed:
        raise ApiError(400009, f"The capability '{name}' is not valid for this kind of item.")


def _check_grantee(db: sqlite3.Connection, call: Call, kind: str, grantee_id: str) -> None:
    if kind == "user":
        people.find(db, grantee_id)
    else:
        people.find_group(db, call.session.site_id, grantee_id)


def _add(db: sqlite3.Connection, call: Call, item_id: str, rules: list[Rule]) -> None:
    for kind, grantee_id, name, mode in rules:
        _check_grantee(db, call, kind, grantee_id)
        key = (item_id, kind, grantee_id, name)
        there = db.execute(
            "SELECT mode FROM permissions WHERE item_id = ? AND grantee_kind = ?"
            " AND grantee_id = ? AND capability = ?",
            key,
        ).fetchone()
        refuses = call.store.config.choices.opposite_permission == "refuse"
        if there is not None and there["mode"] != mode and refuses:
            raise ApiError(
                400009,
                f"The capability '{name}' is set to {there['mode']}; delete that rule first.",
            )
        db.execute("INSERT OR REPLACE INTO permissions VALUES (?, ?, ?, ?, ?)", (*key, mode))


def _remove(db: sqlite3.Connection, call: Call, item_id: str, allowed: frozenset[str]) -> None:
    path = call.path
    kind = {"users": "user", "groups": "group"}.get(path["kind"])
    if kind is None:
        raise not_found(404013, "Grantee kind", path["kind"])
    _check(path["capability"], path["mode"], allowed)
    _check_grantee(db, call, kind, path["grantee_id"])
    removed = db.execute(
        "DELETE FROM permissions WHERE item_id = ? AND grantee_kind = ? AND grantee_id = ?"
        " AND capability = ? AND mode = ?",
        (item_id, kind, path["grantee_id"].lower(), path["capability"], path["mode"]),
    )
    if not removed.rowcount:
        raise not_found(404013, "Capability", f"{path['capability']} {path['mode']}")


def _shown(db: sqlite3.Connection, call: Call, kind: str, row: Row) -> Response:
    rules = db.execute(
        "SELECT * FROM permissions WHERE item_id = ? ORDER BY grantee_kind, grantee_id, capability",
        (row["id"],),
    ).fetchall()
    by_grantee = groupby(rules, lambda rule: (str(rule["grantee_kind"]), str(rule["grantee_id"])))
    elements = [
        xmlio.element(
            "granteeCapabilities",
            None,
            xmlio.element(grantee_kind, {"id": grantee_id}),
            xmlio.element(
                "capabilities",
                None,
                *(
                    xmlio.element("capability", {"name": rule["capability"], "mode": rule["mode"]})
                    for rule in theirs
                ),
            ),
        )
        for (grantee_kind, grantee_id), theirs in by_grantee
    ]
    return call.reply(xmlio.element("permissions", None, _head(kind, row), *elements))


def _head(kind: str, row: Row) -> Element:
    owner = xmlio.element("owner", {"id": row["owner_id"]})
    return xmlio.element(kind, {"id": row["id"], "name": row["name"]}, owner)
