"""Publishing a data source: at once or as a job, in one request or from an upload session.

Parameters, the payload and the attachment, and the order of checks belong here; the transaction in
which the content changes does not, nor does looking into the file. Parameters and codes follow
Tableau's reference for publishing.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.responses import Response

from mds_tableau.sandbox import contents, datasources, inspection, jobs, rights, uploads, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.contents import Item
from mds_tableau.sandbox.errors import ApiError, bad_request, not_implemented
from mds_tableau.sandbox.multipart import FilePart, Parts, malformed
from mds_tableau.sandbox.store import Store

PARAMETERS = frozenset(
    {"uploadSessionId", "datasourceType", "overwrite", "append", "replace", "createnew", "asJob"}
)
JOB_KIND = "PublishDatasource"
# What a real server takes, and what the sandbox takes of these.
FILE_TYPES = ("hyper", "tds", "tdsx", "tde", "parquet")
TAKEN = frozenset({"hyper", "tdsx"})
LONGEST_NAME = 255


def publish(call: Call) -> Response:
    """Publishes a data source: POST datasources."""
    mode = _mode(call)
    as_job = call.flag("asJob")
    parts = call.parts
    if parts is None:
        raise malformed()
    file, file_type = _file(call, parts)
    label = file.filename if file else _upload_id(call)
    item = _item(parts, mode=mode, file_type=file_type, label=label)
    store, session = call.store, call.session
    with store.writing() as db:
        project_id, there = contents.check(db, store, session.site_id, item)
        rights.check_publish(db, call, project_id, there["id"] if there else None)
        chunks = (
            []
            if file
            else uploads.consume(db, store, session.site_id, call.query["uploadSessionId"])
        )
    content = file.path if file else uploads.join(store, chunks)
    parts.files.clear()  # no longer the request's to tidy up
    return (_publish_later if as_job else _publish_now)(call, item, content)


def complete(db: sqlite3.Connection, store: Store, request: Mapping[str, Any]) -> list[Path]:
    """Does the work of a publishing job; returns files that are no longer needed.

    Raises:
        ApiError: The content or a conflict that came up since; the job fails.
    """
    fields = {name: request[name] for name in Item.__dataclass_fields__}
    item = Item(**fields)
    content = inspection.receive(store, item.file_type, item.label, store.file(request["file"]))
    try:
        _, discarded = contents.commit(
            db, store, item, content, site_id=request["site_id"], user_id=request["user_id"]
        )
    except BaseException:
        store.discard(content.files)
        raise
    return discarded


def _publish_now(call: Call, item: Item, file: Path) -> Response:
    store, session = call.store, call.session
    content = None
    try:
        content = inspection.receive(store, item.file_type, item.label, file)
        with store.writing() as db:
            datasource_id, discarded = contents.commit(
                db, store, item, content, site_id=session.site_id, user_id=session.user_id
            )
            row = datasources.find(db, session.site_id, datasource_id)
    except BaseException:
        store.discard([file, *(content.files if content else ())])
        raise
    store.discard(discarded)
    return call.reply(datasources.to_element(call, row), status=201)


def _publish_later(call: Call, item: Item, content: Path) -> Response:
    with call.store.writing() as db:
        row = jobs.add(
            db,
            call.store,
            JOB_KIND,
            asdict(item),
            file=content,
            site_id=call.session.site_id,
            user_id=call.session.user_id,
        )
    return call.reply(jobs.to_element(row), status=202)


def _mode(call: Call) -> str:
    """Returns what becomes of an existing data source."""
    # `createnew` is TSC's word for none of the others; it must be a boolean all the same.
    unknown = (
        {"createnew"} if call.store.config.choices.offers_replace else {"createnew", "replace"}
    )
    given = [mode for mode in contents.MODES if call.flag(mode)]
    modes = [mode for mode in given if mode not in unknown]
    if len(modes) > 1:
        raise ApiError(
            400055, f"The {modes[0]} and {modes[1]} parameters cannot both be set to true."
        )
    return modes[0] if modes else "createnew"


def _upload_id(call: Call) -> str:
    return call.query.get("uploadSessionId", "")


def _file(call: Call, parts: Parts) -> tuple[FilePart | None, str]:
    """Returns the attached file, None when an upload session holds it instead, and its type."""
    if len(parts.files) > (0 if _upload_id(call) else 1):
        raise ApiError(400010, "The request has more attachments than expected.")
    given_type = call.query.get("datasourceType", "").lower()
    if _upload_id(call):
        _check_type(given_type)
        return None, given_type
    if not parts.files:
        raise bad_request("There is no attachment in the request for the data source.")
    [file] = parts.files
    suffix = file.filename.rpartition(".")[2].lower()
    _check_type(suffix)
    if given_type not in {"", suffix}:
        raise ApiError(400010, f"The file '{file.filename}' is not of the type '{given_type}'.")
    return file, suffix


def _check_type(file_type: str) -> None:
    if file_type not in FILE_TYPES:
        raise ApiError(400010, f"The file type '{file_type}' is none of {', '.join(FILE_TYPES)}.")
    if file_type not in TAKEN:
        raise not_implemented(f"publishing a .{file_type} file")


def _item(parts: Parts, *, mode: str, file_type: str, label: str) -> Item:
    if not parts.payload:
        raise bad_request(xmlio.MALFORMED)
    node = xmlio.read_request(parts.payload, "datasource")
    xmlio.check_children(node, {"project", "askData", "connectionCredentials", "connections"})
    for name in ("connectionCredentials", "connections"):
        if node.find(name) is not None:
            raise not_implemented(f"publishing with <{name}>")
    name = node.get("name", "")
    if not name.strip() or len(name) > LONGEST_NAME:
        raise bad_request(f"A data source needs a name of 1 to {LONGEST_NAME} characters.")
    project = node.find("project")
    if project is not None and not project.get("id"):
        raise bad_request(xmlio.MALFORMED)
    return Item(
        name=name,
        project_id=None if project is None else project.get("id"),
        description=node.get("description"),
        certified=xmlio.flag(node, "isCertified"),
        certification_note=node.get("certificationNote"),
        use_remote_query_agent=xmlio.flag(node, "useRemoteQueryAgent"),
        mode=mode,
        file_type=file_type,
        label=label,
    )
