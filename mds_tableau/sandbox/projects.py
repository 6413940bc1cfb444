"""Projects: listing, creating, and finding the one that others name.

A site's tree of projects and its rules belong here; changing and deleting projects does not, nor
does what is published into one.
Attributes and codes follow Tableau's reference for querying and creating projects.
"""

import sqlite3
import uuid
from typing import Any
from xml.etree.ElementTree import Element

from starlette.responses import Response

from mds_tableau.sandbox import filters, rights, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.errors import ApiError, bad_request, not_found, not_implemented
from mds_tableau.sandbox.filters import CHOICE, EQUAL, RANGE, Field, Row

CONTENT_PERMISSIONS = ("LockedToProject", "LockedToProjectWithoutNested", "ManagedByOwner")
# Locking a project without the nested ones came with this version.
WITHOUT_NESTED_VERSION = (3, 8)
LONGEST_NAME = 255

FIELDS = {
    "createdAt": Field(RANGE, lambda row: row["created_at"], filters.to_time),
    "name": Field(CHOICE, lambda row: row["name"], wildcard=True),
    "ownerDomain": Field(CHOICE),
    "ownerEmail": Field(CHOICE),
    "ownerName": Field(CHOICE, lambda row: row["owner_name"]),
    "parentProjectId": Field(CHOICE, lambda row: row["parent_id"], str.lower),
    "topLevelProject": Field(EQUAL, lambda row: not row["parent_id"], filters.to_flag),
    "updatedAt": Field(RANGE, lambda row: row["updated_at"], filters.to_time),
}

SELECT = (
    "SELECT projects.*, users.name AS owner_name FROM projects"
    " JOIN users ON users.id = projects.owner_id"
)


def query(call: Call) -> Response:
    """Lists the site's projects: GET projects."""
    with call.store.reading() as db:
        rows = [
            {**row, "writeable": rights.may_write(db, call, row)}
            for row in db.execute(
                f"{SELECT} WHERE site_id = ? ORDER BY sequence", (call.session.site_id,)
            ).fetchall()
        ]
    page = call.select(rows, FIELDS)
    return call.reply(
        xmlio.pagination(page), xmlio.element("projects", None, *map(to_element, page.rows))
    )


def create(call: Call) -> Response:
    """Makes a project: POST projects."""
    node = xmlio.read_request(call.body, "project")
    xmlio.check_children(node, {"owner"})
    if call.flag("publishSamples"):
        raise not_implemented("publishing samples (publishSamples=true)")
    name = name_of(node)
    permissions = content_permissions(node, call)
    project_id, now = str(uuid.uuid4()), call.store.now()
    with call.store.writing() as db:
        parent_id = parent_of(db, call.session.site_id, node)
        if parent_id:
            above = find(db, call.session.site_id, parent_id)
            rights.check_project(db, call, above, 403045)
        else:
            rights.check_admin(db, call, 403045, "create projects here")
        try:
            db.execute(
                "INSERT INTO projects (id, site_id, parent_id, name, name_key, description,"
                " content_permissions, owner_id, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    project_id,
                    call.session.site_id,
                    parent_id,
                    name,
                    name.casefold(),
                    node.get("description", ""),
                    permissions,
                    _owner_id(db, node, call.session.user_id),
                    now,
                    now,
                ),
            )
        except sqlite3.IntegrityError as error:
            raise name_conflict(name) from error
        row = find(db, call.session.site_id, project_id)
    return call.reply(to_element(row), status=201)


def find(db: sqlite3.Connection, site_id: str, project_id: str) -> Row:
    """Returns a project of the site.

    Raises:
        ApiError: 404005; the site has no project with this id.
    """
    row = db.execute(
        f"{SELECT} WHERE site_id = ? AND projects.id = ?", (site_id, project_id.lower())
    ).fetchone()
    if row is None:
        raise not_found(404005, "Project", project_id)
    return dict(row)


def default(db: sqlite3.Connection, site_id: str) -> Row:
    """Returns the site's Default project, which always exists."""
    row = db.execute(
        f"{SELECT} WHERE site_id = ? AND parent_id = '' AND projects.name_key = 'default'",
        (site_id,),
    ).fetchone()
    return dict(row)


def to_element(row: Row) -> Element:
    """Returns a project as it stands in replies; a top-level one has no parentProjectId.

    Whether the caller may write into it is told where it was looked up, which is in lists.
    """
    attributes: dict[str, Any] = {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
        "contentPermissions": row["content_permissions"],
        "parentProjectId": row["parent_id"] or None,
        "writeable": row.get("writeable"),
    }
    return xmlio.element("project", attributes, xmlio.element("owner", {"id": row["owner_id"]}))


def name_conflict(name: str) -> ApiError:
    """Returns the error for a name that another project beside it has."""
    return ApiError(409006, f"A project already exists with the name '{name}'")


def name_of(node: Element) -> str:
    """Returns the name that a request gives a project.

    Raises:
        ApiError: 400000; it is empty or too long.
    """
    name = node.get("name", "")
    if not name.strip() or len(name) > LONGEST_NAME:
        raise bad_request(f"A project needs a name of 1 to {LONGEST_NAME} characters.")
    return name


def content_permissions(node: Element, call: Call) -> str:
    """Returns who sets permissions of a project's content, as a request says.

    Raises:
        ApiError: 400000, no such value; 400008, not in this version.
    """
    permissions = node.get("contentPermissions", "ManagedByOwner")
    if permissions not in CONTENT_PERMISSIONS:
        raise bad_request(
            f"Invalid value '{permissions}' of 'contentPermissions':"
            f" {', '.join(CONTENT_PERMISSIONS)} are allowed."
        )
    if permissions == "LockedToProjectWithoutNested" and call.version < WITHOUT_NESTED_VERSION:
        raise ApiError(400008, f"'{permissions}' needs API version 3.8 or later.")
    return permissions


def parent_of(db: sqlite3.Connection, site_id: str, node: Element) -> str:
    """Returns the id of the project that a request puts one into, "" for none.

    Raises:
        ApiError: 404005; there is no such project.
    """
    parent_id = node.get("parentProjectId", "")
    return str(find(db, site_id, parent_id)["id"]) if parent_id else ""


def _owner_id(db: sqlite3.Connection, node: Element, default_id: str) -> str:
    owner = node.find("owner")
    if owner is None:
        return default_id
    wanted = owner.get("id", "").lower()
    if db.execute("SELECT 1 FROM users WHERE id = ?", (wanted,)).fetchone() is None:
        raise not_found(404002, "User", wanted)
    return wanted
