"""Upload sessions: a large file sent in pieces before it is published.

Opening a session, appending to it and putting its file together belong here; publishing that file
does not. Nothing recognizes a piece that is sent twice: as on a real server it is then in the file
twice.
"""

import secrets
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from starlette.responses import Response

from mds_tableau.sandbox import effects, xmlio
from mds_tableau.sandbox.calls import Call
from mds_tableau.sandbox.config import MEGABYTE
from mds_tableau.sandbox.errors import ApiError, bad_request, not_found
from mds_tableau.sandbox.store import Store

LARGEST_CHUNK = 64 * MEGABYTE
COPY_BLOCK = MEGABYTE


def chunk_too_large(limit: int = LARGEST_CHUNK) -> ApiError:
    """Returns the error for a piece above the limit, in bytes."""
    return ApiError(
        400016, f"The attached file exceeds the maximum size of {limit // MEGABYTE} MB."
    )


def initiate(call: Call) -> Response:
    """Opens an upload session: POST fileUploads."""
    upload_id = f"{secrets.randbelow(10_000)}:{secrets.token_hex(16)}-1:0"
    with call.store.writing() as db:
        db.execute(
            "INSERT INTO uploads VALUES (?, ?, ?)",
            (upload_id, call.session.site_id, call.store.time()),
        )
    return _reply(call, upload_id, 0, status=201)


def append(call: Call) -> Response:
    """Adds a piece to an upload session: PUT fileUploads/{id}."""
    parts = call.parts
    if parts is None:
        raise bad_request(xmlio.MALFORMED)
    if parts.payload and parts.payload.strip():
        raise ApiError(400019, "The XML content in the MIME multipart request is not empty.")
    if len(parts.files) != 1:
        raise ApiError(400020, "There is not exactly one attachment with file data.")
    [chunk] = parts.files
    effects.check_chunk(chunk.size)
    upload_id = call.path["upload_id"]
    with call.store.writing() as db:
        _check(db, call.session.site_id, upload_id)
        db.execute(
            "INSERT INTO upload_chunks (upload_id, file, size) VALUES (?, ?, ?)",
            (upload_id, chunk.path.name, chunk.size),
        )
        total = db.execute(
            "SELECT sum(size) FROM upload_chunks WHERE upload_id = ?", (upload_id,)
        ).fetchone()[0]
    parts.files.clear()  # the session's from now on, not the request's
    return _reply(call, upload_id, total, status=call.store.config.choices.upload_append_status)


def consume(db: sqlite3.Connection, store: Store, site_id: str, upload_id: str) -> list[Path]:
    """Ends an upload session and returns its pieces, in order; they are the caller's then.

    Raises:
        ApiError: 404015; the site has no such session.
    """
    _check(db, site_id, upload_id)
    rows = db.execute(
        "SELECT file FROM upload_chunks WHERE upload_id = ? ORDER BY sequence", (upload_id,)
    ).fetchall()
    db.execute("DELETE FROM upload_chunks WHERE upload_id = ?", (upload_id,))
    db.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))
    return [store.file(row["file"]) for row in rows]


def lose_all(store: Store) -> int:
    """Forgets all upload sessions with what was sent to them; returns how many there were."""
    with store.writing() as db:
        rows = db.execute("SELECT file FROM upload_chunks").fetchall()
        db.execute("DELETE FROM upload_chunks")
        lost = db.execute("DELETE FROM uploads").rowcount
    store.discard(store.file(row["file"]) for row in rows)
    return lost


def join(store: Store, chunks: Sequence[Path]) -> Path:
    """Returns a staged file of the pieces one after another; the pieces are gone then."""
    joined = store.stage()
    with joined.open("xb") as target:
        for chunk in chunks:
            with chunk.open("rb") as source:
                shutil.copyfileobj(source, target, COPY_BLOCK)
            store.discard([chunk])
    return joined


def _check(db: sqlite3.Connection, site_id: str, upload_id: str) -> None:
    found = db.execute(
        "SELECT 1 FROM uploads WHERE id = ? AND site_id = ?", (upload_id, site_id)
    ).fetchone()
    if found is None:
        raise not_found(404015, "File upload", upload_id)


def _reply(call: Call, upload_id: str, size: int, *, status: int) -> Response:
    # Whole MB: clients take a fraction for an error.
    attributes: dict[str, xmlio.Value] = {
        "uploadSessionId": upload_id,
        "fileSize": size // MEGABYTE,
    }
    return call.reply(xmlio.element("fileUpload", attributes), status=status)
