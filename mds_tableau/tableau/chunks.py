"""A chunk of a file as a request: read from the disk while it is sent, whatever its size.

It knows whether all of it was sent, which decides what an error of the request means. Which chunk
is sent when, and what follows an error, belong to `uploads`.
"""

from collections.abc import Iterator
from typing import BinaryIO, Final

from tableauserverclient.server import RequestFactory

from mds_tableau.errors import ExtractError

_BLOCK_BYTES: Final = 256 * 1024
_PLACE: Final = b"--the chunk--"


class Chunk:
    """The body of the request that appends a part of a file to an upload.

    The client would join file and envelope in memory, three times over; this lends its envelope and
    is what requests iterates over, from the beginning again when a request is repeated.

    Args:
        file: The file; its position is changed.
        start: Where the chunk begins, in bytes.
        size: Bytes of the chunk.

    Attributes:
        size: Bytes of the chunk.
        content_type: What the request calls its content.
        is_sent: Whether the last request handed all of it over. If not, it was not carried out: a
            server has to take a request that ends before its Content-Length for an incomplete one
            (RFC 9112, section 6.3), and the chunk's own end is missing in it too.
    """

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file = file
        self._start = start
        self.size = size
        envelope, content_type = RequestFactory.Fileupload.chunk_req(_PLACE)
        self.content_type = str(content_type)
        self._head, _, self._tail = bytes(envelope).partition(_PLACE)
        self.is_sent = False

    def __len__(self) -> int:
        return len(self._head) + self.size + len(self._tail)

    def __getitem__(self, part: slice) -> bytes:
        # the client looks at how a body begins before it sends it
        return self._head[part]

    def __iter__(self) -> Iterator[bytes]:
        self.is_sent = False
        yield self._head
        self._file.seek(self._start)
        left = self.size
        while left:
            block = self._file.read(min(_BLOCK_BYTES, left))
            if not block:
                raise ExtractError(
                    f"'{self._file.name}' became shorter while it was uploaded. Nothing else may "
                    "write there; make the extract again."
                )
            left -= len(block)
            yield block
        yield self._tail
        # who iterates comes back here only when the last piece is sent
        self.is_sent = True
