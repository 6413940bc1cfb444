"""Changing and deleting projects.

What an existing project becomes belongs here; listing and making them stand in `projects`. A
project is deleted with everything in it, as Tableau documents. Codes follow Tableau's reference.
"""

import sqlite3
from xml.etree.ElementTree import Element

from starlette.responses import Response

from mds_tableau.sandbox import datasources, people, projects, rights, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.errors import ApiError, bad_request, not_found, not_implemented
from mds_tableau.sandbox.filters import Row

ATTRIBUTES = {"id", "name", "description", "contentPermissions", "parentProjectId"}


def update(call: Call) -> Response:
    """Changes what its body names of a project: PUT projects/{id}."""
    node = xmlio.read_request(call.body, "project")
    xmlio.check_children(node, {"owner"})
    xmlio.check_attributes(node, ATTRIBUTES)
    if call.flag("publishSamples"):
        raise not_implemented("publishing samples (publishSamples=true)")
    project_id = call.path["project_id"]
    if node.get("id", project_id).lower() != project_id.lower():
        raise not_found(404009, "Project", node.get("id", ""))
    with call.store.writing() as db:
        row = projects.find(db, call.session.site_id, project_id)
        if len(node.attrib) or len(node):
            rights.check_project(db, call, row, 403004)
            _change(db, call, node, row)
        row = projects.find(db, call.session.site_id, project_id)
    return call.reply(projects.to_element(row))


def delete(call: Call) -> Response:
    """Removes a project with all that is in it: DELETE projects/{id}."""
    store, site_id = call.store, call.session.site_id
    with store.writing() as db:
        row = projects.find(db, site_id, call.path["project_id"])
        rights.check_project(db, call, row, 403004)
        if _is_default(row):
            raise ApiError(403003, "The default project cannot be deleted.")
        files = []
        for project_id in _with_nested(db, row["id"]):
            key = (project_id,)
            inside = db.execute("SELECT id FROM datasources WHERE project_id = ?", key).fetchall()
            for one in inside:
                files += datasources.forget(db, store, one["id"])
            db.execute(
                "DELETE FROM views WHERE workbook_id IN"
                " (SELECT id FROM workbooks WHERE project_id = ?)",
                key,
            )
            db.execute("DELETE FROM workbooks WHERE project_id = ?", key)
            db.execute("DELETE FROM permissions WHERE item_id = ?", key)
            db.execute("DELETE FROM projects WHERE id = ?", key)
    store.discard(files)
    return Response(status_code=204)


def _change(db: sqlite3.Connection, call: Call, node: Element, row: Row) -> None:
    name = projects.name_of(node) if "name" in node.attrib else row["name"]
    if _is_default(row) and name.casefold() != row["name_key"]:
        raise ApiError(403005, "The default project cannot be renamed.")
    parent_id = row["parent_id"]
    if "parentProjectId" in node.attrib:
        parent_id = projects.parent_of(db, call.session.site_id, node)
    if parent_id in _with_nested(db, row["id"]):
        raise bad_request("A project cannot be moved into itself.")
    owner = node.find("owner")
    owner_id = row["owner_id"] if owner is None else people.find(db, owner.get("id", ""))["id"]
    permissions = row["content_permissions"]
    if "contentPermissions" in node.attrib:
        permissions = projects.content_permissions(node, call)
    try:
        db.execute(
            "UPDATE projects SET name = ?, name_key = ?, description = coalesce(?, description),"
            " content_permissions = ?, parent_id = ?, owner_id = ?, updated_at = ? WHERE id = ?",
            (
                name,
                name.casefold(),
                node.get("description"),
                permissions,
                parent_id,
                owner_id,
                call.store.now(),
                row["id"],
            ),
        )
    except sqlite3.IntegrityError as error:
        raise projects.name_conflict(name) from error


def _is_default(row: Row) -> bool:
    return row["name_key"] == "default" and not row["parent_id"]


def _with_nested(db: sqlite3.Connection, project_id: str) -> list[str]:
    """Returns the ids of a project and of all projects below it, parents first."""
    rows = db.execute(
        "WITH RECURSIVE below (id) AS (SELECT ? UNION SELECT projects.id FROM projects"
        " JOIN below ON projects.parent_id = below.id) SELECT id FROM below",
        (project_id,),
    )
    return [str(row["id"]) for row in rows]
