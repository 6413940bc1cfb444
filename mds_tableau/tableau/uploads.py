"""Uploads a file in chunks so that what arrives is the file, whatever happens on the way.

The server appends each chunk that it gets, also one that is sent again because its reply was lost.
So a request is repeated in place only when it surely was not carried out: it was refused, or it
was not sent to its end. After anything doubtful a new upload begins, from the bytes on disk, and
its chunks are of another size. What a chunk is made of belongs to `chunks`, publishing what was
uploaded to `publish`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tableauserverclient.config import BYTES_PER_MB, config
from tableauserverclient.server.endpoint import Fileuploads

from mds_tableau.errors import (
    RateLimited,
    ServerUnreachable,
    SessionEnded,
    TimedOut,
    TooLarge,
    UploadsEnded,
)
from mds_tableau.tableau.chunks import Chunk
from mds_tableau.tableau.session import Session

CHUNK_BYTES: Final = 16 * 1024**2
"""Bytes of a chunk at first: what is sent again at least when something fails."""

SMALLEST_CHUNK_BYTES: Final = 64 * 1024
LARGEST_CHUNK_BYTES: Final = 60 * 1024**2
"""The server takes 64 MB at once, whichever million it counts in, and with the envelope or not."""

Told = Callable[[Path, int, int], None]
Identity = tuple[int, int, int]

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
        told: Told of each chunk that has arrived: the file, bytes of it, and its size.
    """

    def __init__(
        self,
        session: Session,
        pool: Executor,
        chunk_bytes: int = CHUNK_BYTES,
        told: Told | None = None,
    ) -> None:
        super().__init__(session.client)  # type: ignore[no-untyped-call]
        self._session = session
        self._pool = pool
        self._chunk_bytes = chunk_bytes
        self.told = told
        self._begun: dict[Path, tuple[Identity, Future[str]]] = {}
        self._ended = threading.Event()

    def end(self) -> None:
        """End what is still on its way: nobody is going to publish it."""
        self._ended.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def check(self) -> None:
        """Raise when it has ended.

        Raises:
            UploadsEnded: It has.
        """
        if self._ended.is_set():
            raise UploadsEnded("The upload was given up, because the run has ended.")

    def pause(self, seconds: float) -> None:
        """Wait, unless it ends meanwhile.

        Raises:
            UploadsEnded: It has.
        """
        self._ended.wait(seconds)
        self.check()

    def begin(self, path: Path) -> None:
        """Start to upload a file in the background, unless it goes in one request anyway."""
        # smaller ones the client reads into memory whole, and sends with the publish itself
        if path.stat().st_size >= config.FILESIZE_LIMIT_MB * BYTES_PER_MB:
            begun = _identity(path), self._pool.submit(self._persist, path)
            self._begun[path.absolute()] = begun

    def prepare(self, path: Path) -> None:
        """Return when a large file is uploaded, so that only publishing it is left to do.

        Raises:
            MdsTableauError: As in `upload`.
        """
        if self._upload_of(path) is None:
            self.begin(path)
        begun = self._upload_of(path)
        if begun is not None and begun.exception() is not None:
            self.forget(path)
            begun.result()

    def upload(self, file: Any) -> str:
        """Return the id of the upload session of a file, uploading it now if need be.

        Raises:
            MdsTableauError: It could not be sent; says how often it was tried.
        """
        path = Path(file)
        begun = self._upload_of(path)
        return begun.result() if begun is not None else self._persist(path)

    def _upload_of(self, path: Path) -> Future[str] | None:
        """Return the upload of a file as it is now; one of a file that was there before is not."""
        identity, begun = self._begun.get(path.absolute(), (None, None))
        return begun if identity == _identity(path) else None

    def has(self, path: Path) -> bool:
        """Whether a file is uploaded, or is being so, and was not published yet."""
        return self._upload_of(path) is not None

    def forget(self, path: Path) -> None:
        """Upload a file anew when it is needed again: the server has used the upload up."""
        self._begun.pop(path.absolute(), None)

    def _persist(self, path: Path) -> str:
        upload = _Upload(self, self._session, path, self._chunk_bytes)
        return upload.patience.persist(upload.once, _log.warning, reached=lambda: upload.furthest)


def _identity(path: Path) -> Identity:
    """Return what is another for a file that takes the place of one of the same name."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


class _Upload:
    """One file on its way, however often it has to be begun.

    Every request may fail, so fewer of them fail less often: chunks grow after a failure that their
    size is not to blame for, and shrink after one that it may be. Attempts are counted from the one
    that came furthest, because the next may get through where that one did not.

    Attributes:
        furthest: Bytes that the server had of the file in the best attempt so far.
        patience: That of the session, but a pause ends when the uploads do.
    """

    def __init__(self, uploads: Uploads, session: Session, path: Path, chunk_bytes: int) -> None:
        self._uploads = uploads
        self._session = session
        self._path = path
        self._doing = f"Uploading {path.name}"
        self._chunk_bytes = chunk_bytes
        self._largest = max(chunk_bytes, LARGEST_CHUNK_BYTES)
        self.furthest = 0
        self.patience = replace(session.patience, sleep=uploads.pause)

    def once(self) -> str:
        """Upload the file; raise a `Transient` to be called again."""
        token = self._session.token
        try:
            with self._session.translated(self._doing):
                upload_id = str(self._uploads.initiate())
            self._send(upload_id)
        except SessionEnded:
            self._session.renew(token)
            raise
        return upload_id

    def _send(self, upload_id: str) -> None:
        size, sent = self._path.stat().st_size, 0
        started = told = time.monotonic()
        with self._path.open("rb") as file:
            while sent < size:
                self._uploads.check()
                chunk = Chunk(file, sent, min(self._chunk_bytes, size - sent))
                try:
                    self._append(upload_id, chunk)
                except (TooLarge, ServerUnreachable) as error:
                    raise self._resized(error, sent) from error
                sent += chunk.size
                self.furthest = max(self.furthest, sent)
                if self._uploads.told is not None:
                    self._uploads.told(self._path, sent, size)
                now = time.monotonic()
                if now - told >= _TOLD_SECONDS or sent == size:
                    told = now
                    speed = sent / 1e6 / max(now - started, 1e-3)
                    _log.info(
                        "%s: %s of %s bytes uploaded, %.1f MB/s",
                        self._path.name,
                        f"{sent:,}",
                        f"{size:,}",
                        speed,
                    )

    def _append(self, upload_id: str, chunk: Chunk) -> None:
        """Append a chunk, sending it again as long as it surely was not appended."""

        def once() -> None:
            with self._session.translated(self._doing):
                self._uploads.append(upload_id, chunk, chunk.content_type)

        def did_not_arrive(error: BaseException) -> bool:
            if isinstance(error, RateLimited):
                return True
            return isinstance(error, ServerUnreachable) and not chunk.is_sent

        self.patience.repeat(once, _log.warning, can_pass=did_not_arrive)

    def _resized(self, error: TooLarge | ServerUnreachable, sent: int) -> Exception:
        """Choose the size of the chunks after a failure; return what says so."""
        before = self._chunk_bytes
        if isinstance(error, TooLarge | TimedOut) or not sent:
            # the server may be silent about a size that it, or what stands before it, cannot take
            self._chunk_bytes = max(SMALLEST_CHUNK_BYTES, before // 4)
        else:
            self._chunk_bytes = min(self._largest, before * 2)
        if isinstance(error, TooLarge):
            self._largest = self._chunk_bytes
            if self._chunk_bytes == before:
                return error
        how = "Larger" if self._chunk_bytes > before else "Smaller"
        change = f" {how} chunks follow, of {self._chunk_bytes:,} bytes."
        kind = ServerUnreachable if isinstance(error, TooLarge) else type(error)
        return kind(f"{error}{change if self._chunk_bytes != before else ''}")


@contextmanager
def uploading(
    session: Session,
    workers: int = 2,
    chunk_bytes: int = CHUNK_BYTES,
    told: Told | None = None,
) -> Iterator[Uploads]:
    """Give a session uploads that survive, and end those that nobody published.

    Args:
        session: The session.
        workers: How many files are uploaded at the same time beforehand.
        chunk_bytes: Bytes of a chunk at first.
        told: Told of each chunk that has arrived: the file, bytes of it, and its size.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="upload") as pool:
        uploads = Uploads(session, pool, chunk_bytes, told)
        session.client.fileuploads = uploads
        try:
            yield uploads
        finally:
            uploads.end()
