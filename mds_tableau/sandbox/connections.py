"""A data source's connections, of which a published extract has one.

Showing and changing it belongs here. Nothing ever connects anywhere: what is set is shown again and
has no other effect, and passwords are refused, because they would be believed to be kept.
"""

import sqlite3
import uuid
from xml.etree.ElementTree import Element

from starlette.responses import Response

from mds_tableau.sandbox import datasources, rights, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.errors import ApiError, bad_request, not_found
from mds_tableau.sandbox.filters import Row

ATTRIBUTES = {"serverAddress", "serverPort", "userName", "embedPassword"}


def query(call: Call) -> Response:
    """Lists a data source's connections: GET datasources/{id}/connections."""
    with call.store.reading() as db:
        try:
            row = datasources.find(db, call.session.site_id, call.path["datasource_id"])
        except ApiError as error:
            raise ApiError(404011, error.detail) from error
        shown = _element(call, db, row)
    return call.reply(xmlio.element("connections", None, shown))


def update(call: Call) -> Response:
    """Changes a connection: PUT datasources/{id}/connections/{id}."""
    node = xmlio.read_request(call.body, "connection")
    xmlio.check_children(node, ())
    xmlio.check_attributes(node, ATTRIBUTES)
    embed, port = xmlio.flag(node, "embedPassword"), node.get("serverPort")
    if port and not (port.isascii() and port.isdigit()):
        raise bad_request(f"Invalid value '{port}' of 'serverPort': a number expected.")
    with call.store.writing() as db:
        row = datasources.find(db, call.session.site_id, call.path["datasource_id"])
        rights.check_write(db, call, row, 403023)
        if call.path["connection_id"].lower() != connection_id(row):
            raise not_found(404004, "Connection", call.path["connection_id"])
        db.execute("INSERT OR IGNORE INTO connections (datasource_id) VALUES (?)", (row["id"],))
        db.execute(
            "UPDATE connections SET server_address = coalesce(?, server_address),"
            " server_port = coalesce(?, server_port), user_name = coalesce(?, user_name),"
            " embed_password = coalesce(?, embed_password) WHERE datasource_id = ?",
            (node.get("serverAddress"), port, node.get("userName"), embed, row["id"]),
        )
        shown = _element(call, db, row)
    return call.reply(shown)


def connection_id(row: Row) -> str:
    """Returns the id of a data source's connection, which is the same at each time."""
    return str(uuid.uuid5(uuid.UUID(row["id"]), "connection"))


def _element(call: Call, db: sqlite3.Connection, row: Row) -> Element:
    kept = db.execute("SELECT * FROM connections WHERE datasource_id = ?", (row["id"],)).fetchone()
    return xmlio.element(
        "connection",
        {
            "id": connection_id(row),
            "type": call.store.config.choices.connection_type,
            "serverAddress": (kept and kept["server_address"]) or "",
            "serverPort": (kept and kept["server_port"]) or None,
            "userName": (kept and kept["user_name"]) or "",
            "embedPassword": bool(kept and kept["embed_password"]),
        },
    )
