"""Uploads a file in chunks so that what arrives is the file, whatever happens on the way.

The server appends each chunk that it gets, also one that is sent again because its reply was lost.
So a request is repeated only when it surely did not arrive, which `http` does; after anything
doubtful a new upload begins, from the bytes on disk. Publishing what was uploaded belongs to
`publish`.
"""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tableauserverclient.config import BYTES_PER_MB, config
from tableauserverclient.server import RequestFactory
from tableauserverclient.server.endpoint import Fileuploads

from mds_tableau.errors import ServerUnreachable, SessionEnded, TimedOut, TooLarge
from mds_tableau.tableau.session import Session

CHUNK_BYTES: Final = 16 * 1024**2
"""Bytes of a chunk at first; a chunk stands in memory, and is what a failure loses at least."""

SMALLEST_CHUNK_BYTES: Final = 64 * 1024
_TOLD_SECONDS: Final = 10.0
_log = logging.getLogger(__name__)


class Uploads(Fileuploads):
    """The client's endpoint for uploads, with a way to upload that survives.

    The client calls `upload` itself when it publishes a large file, and gets what was uploaded
    beforehand, if anything was.

    Args:
        session: The session; its client is given this endpoint in place of its own.
        pool: Runs the uploads that begin before somebody waits for them.
        chunk_bytes: Bytes of a chunk at first.
    """

    def __init__(self, session: Session, pool: Executor, chunk_bytes: int = CHUNK_BYTES) -> None:
        super().__init__(session.client)  # type: ignore[no-untyped-call]
        self._session = session
        self._pool = pool
        self._chunk_bytes = chunk_bytes
        self._begun: dict[Path, Future[str]] = {}

    def begin(self, path: Path) -> None:
        """Start to upload a file in the background, unless it goes in one request anyway."""
        # smaller ones the client reads into memory whole, and sends with the publish itself
        if path.stat().st_size >= config.FILESIZE_LIMIT_MB * BYTES_PER_MB:
            self._begun[path.absolute()] = self._pool.submit(self._persist, path)

    def prepare(self, path: Path) -> None:
        """Return when a large file is uploaded, so that only publishing it is left to do.

        Raises:
            MdsTableauError: As in `upload`.
        """
        if path.absolute() not in self._begun:
            self.begin(path)
        begun = self._begun.get(path.absolute())
        if begun is not None and begun.exception() is not None:
            del self._begun[path.absolute()]
            begun.result()

    def upload(self, file: Any) -> str:
        """Return the id of the upload session of a file, uploading it now if need be.

        Raises:
            MdsTableauError: It could not be sent; says how often it was tried.
        """
        path = Path(file)
        begun = self._begun.get(path.absolute())
        return begun.result() if begun is not None else self._persist(path)

    def has(self, path: Path) -> bool:
        """Whether a file is uploaded, or is being so, and was not published yet."""
        return path.absolute() in self._begun

    def forget(self, path: Path) -> None:
        """Upload a file anew when it is needed again: the server has used the upload up."""
        self._begun.pop(path.absolute(), None)

    def _persist(self, path: Path) -> str:
        chunk_bytes = self._chunk_bytes

        def once() -> str:
            nonlocal chunk_bytes
            token = self._session.token
            try:
                with self._session.translated(f"Uploading {path.name}"):
                    return self._send(path, chunk_bytes)
            except SessionEnded:
                self._session.renew(token)
                raise
            except (TooLarge, TimedOut) as error:
                if chunk_bytes <= SMALLEST_CHUNK_BYTES:
                    raise
                chunk_bytes = max(SMALLEST_CHUNK_BYTES, chunk_bytes // 4)
                raise ServerUnreachable(
                    f"{error} Smaller chunks follow, of {chunk_bytes:,} bytes."
                ) from error

        return self._session.patience.persist(once, _log.warning)

    def _send(self, path: Path, chunk_bytes: int) -> str:
        size, sent = path.stat().st_size, 0
        started = told = time.monotonic()
        upload_id = str(self.initiate())
        with path.open("rb") as file:
            while chunk := file.read(chunk_bytes):
                body, content_type = RequestFactory.Fileupload.chunk_req(chunk)
                self.append(upload_id, body, content_type)
                sent += len(chunk)
                now = time.monotonic()
                if now - told >= _TOLD_SECONDS or sent == size:
                    told = now
                    speed = sent / 1e6 / max(now - started, 1e-3)
                    _log.info(
                        "%s: %s of %s bytes uploaded, %.1f MB/s",
                        path.name,
                        f"{sent:,}",
                        f"{size:,}",
                        speed,
                    )
        return upload_id


@contextmanager
def uploading(
    session: Session, workers: int = 2, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[Uploads]:
    """Give a session uploads that survive, and end those that nobody published.

    Args:
        session: The session.
        workers: How many files are uploaded at the same time beforehand.
        chunk_bytes: Bytes of a chunk at first.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="upload") as pool:
        uploads = Uploads(session, pool, chunk_bytes)
        session.client.fileuploads = uploads
        try:
            yield uploads
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
