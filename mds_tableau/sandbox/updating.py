"""Changing what is said about a data source: name, description, certification, owner and project.

The one operation that changes these without new content belongs here; publishing changes some of
them too, and stands in `publishing`. Codes follow Tableau's reference for updating a data source.
"""

import sqlite3
from xml.etree.ElementTree import Element

from starlette.responses import Response

from mds_tableau.sandbox import datasources, people, projects, rights, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.errors import ApiError, bad_request, not_implemented
from mds_tableau.sandbox.filters import Row

ATTRIBUTES = {
    "id",
    "name",
    "description",
    "isCertified",
    "certificationNote",
    "useRemoteQueryAgent",
    "encryptExtracts",
}
LONGEST_NAME = 255


def update(call: Call) -> Response:
    """Changes what a data source is called and to whom it belongs: PUT datasources/{id}."""
    node = xmlio.read_request(call.body, "datasource")
    xmlio.check_children(node, {"project", "owner", "site"})
    xmlio.check_attributes(node, ATTRIBUTES)
    certified = xmlio.flag(node, "isCertified")
    agent = xmlio.flag(node, "useRemoteQueryAgent")
    if xmlio.flag(node, "encryptExtracts"):
        raise not_implemented("encrypted extracts (encryptExtracts=true)")
    name = node.get("name")
    if name is not None and (not name.strip() or len(name) > LONGEST_NAME):
        raise bad_request(f"A data source needs a name of 1 to {LONGEST_NAME} characters.")
    with call.store.writing() as db:
        row = datasources.find(db, call.session.site_id, call.path["datasource_id"])
        rights.check_write(db, call, row, 403032)
        project_id = _project_id(db, call, node, row)
        owner_id = _owner_id(db, call, node, row)
        name = row["name"] if name is None else name
        try:
            db.execute(
                "UPDATE datasources SET name = ?, name_key = ?, project_id = ?, owner_id = ?,"
                " description = coalesce(?, description), certified = coalesce(?, certified),"
                " certification_note = coalesce(?, certification_note),"
                " use_remote_query_agent = coalesce(?, use_remote_query_agent), updated_at = ?"
                " WHERE id = ?",
                (
                    name,
                    name.casefold(),
                    project_id,
                    owner_id,
                    node.get("description"),
                    certified,
                    node.get("certificationNote"),
                    agent,
                    call.store.now(),
                    row["id"],
                ),
            )
        except sqlite3.IntegrityError as error:
            raise ApiError(
                409015, f"A datasource already exists with the name '{name}' in the project."
            ) from error
        row = datasources.find(db, call.session.site_id, row["id"])
    return call.reply(datasources.to_element(call, row))


def _project_id(db: sqlite3.Connection, call: Call, node: Element, row: Row) -> str:
    project = node.find("project")
    wanted = row["project_id"] if project is None else project.get("id", "")
    found = projects.find(db, call.session.site_id, wanted)
    if found["id"] != row["project_id"]:
        rights.check_project(db, call, found, 403030)
    return str(found["id"])


def _owner_id(db: sqlite3.Connection, call: Call, node: Element, row: Row) -> str:
    owner = node.find("owner")
    wanted = row["owner_id"] if owner is None else owner.get("id", "")
    found = people.find(db, wanted)
    if found["id"] != row["owner_id"]:
        rights.check_admin(db, call, 403027, "change the datasource's owner")
    return str(found["id"])
