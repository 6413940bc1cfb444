"""Multipart requests, read as a stream: small parts into memory, files to disk.

Splitting a request into its parts belongs here; what the parts mean does not. The form (a part
`request_payload` with XML and a part with the file, file names as raw UTF-8) is what Tableau's
Python client sends; the splitting itself is python-multipart's.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from mds_tableau.sandbox.config import MEGABYTE
from mds_tableau.sandbox.errors import ApiError, bad_request

PAYLOAD = "request_payload"
LARGEST_PAYLOAD = MEGABYTE
# Parsing and writing run in a thread; handing over much at a time makes that cheap.
BLOCK = MEGABYTE


@dataclass
class FilePart:
    """A file of a multipart request.

    Attributes:
        name: Name of the part.
        filename: Name of the file, as the client gave it; never a path here.
        path: Where its bytes are.
        size: How many bytes.
    """

    name: str
    filename: str
    path: Path
    size: int = 0


@dataclass
class Parts:
    """A multipart request, split.

    Attributes:
        payload: The XML; None when there was no such part.
        files: The other parts.
    """

    payload: bytes | None = None
    files: list[FilePart] = field(default_factory=list)


def malformed() -> ApiError:
    """Returns the error for a request that is not well-formed multipart."""
    return ApiError(400019, "The multipart request is malformed or incomplete.")


async def read_parts(
    stream: AsyncIterator[bytes],
    content_type: str,
    stage: Callable[[], Path],
    largest_file: int,
    too_large: Exception,
) -> Parts:
    """Returns the parts of a multipart request; its files are then on disk.

    Args:
        stream: The request's body.
        content_type: The request's content type, with the boundary.
        stage: Gives a path for each file.
        largest_file: How many bytes one file may have.
        too_large: What to raise when it has more.

    Raises:
        ApiError: 400019; not multipart, or not well-formed. No files remain then.
    """
    splitter = _Splitter(_boundary(content_type), stage, largest_file, too_large)
    try:
        block = bytearray()
        async for piece in stream:
            block += piece
            if len(block) >= BLOCK:
                await run_in_threadpool(splitter.feed, bytes(block))
                block.clear()
        await run_in_threadpool(splitter.feed, bytes(block))
        return splitter.finish()
    except BaseException:
        splitter.abandon()
        raise


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not kind.startswith(b"multipart/") or not boundary:
        raise malformed()
    return boundary


class _Splitter:
    def __init__(
        self,
        boundary: bytes,
        stage: Callable[[], Path],
        largest_file: int,
        too_large: Exception,
    ) -> None:
        self._stage = stage
        self._largest_file = largest_file
        self._too_large = too_large
        self._parts = Parts()
        self._header = (bytearray(), bytearray())
        self._disposition = b""
        self._file: BinaryIO | None = None
        self._complete = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise malformed() from error

    def feed(self, block: bytes) -> None:
        try:
            self._parser.write(block)
        except FormParserError as error:
            raise malformed() from error

    def finish(self) -> Parts:
        if not self._complete:
            raise malformed()
        return self._parts

    def abandon(self) -> None:
        if self._file is not None:
            self._file.close()
        for file in self._parts.files:
            with contextlib.suppress(OSError):
                file.path.unlink()

    def _on_part_begin(self) -> None:
        self._disposition = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _on_header_end(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = bytes(value)
        name.clear()
        value.clear()

    def _on_headers_finished(self) -> None:
        # Tableau's own examples begin the header with the name, where a kind should stand.
        _, options = parse_options_header(b"form-data; " + self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if not name:
            raise malformed()
        if name == PAYLOAD:
            if self._parts.payload is not None:
                raise malformed()
            self._parts.payload = b""
            return
        filename = options.get(b"filename", b"").decode("utf-8", "replace")
        part = FilePart(name, filename, self._stage())
        self._parts.files.append(part)
        self._file = part.path.open("xb")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is None:
            self._parts.payload = (self._parts.payload or b"") + data[start:end]
            if len(self._parts.payload) > LARGEST_PAYLOAD:
                raise bad_request(f"The request payload is larger than {LARGEST_PAYLOAD} bytes.")
            return
        part = self._parts.files[-1]
        part.size += end - start
        if part.size > self._largest_file:
            raise self._too_large
        self._file.write(memoryview(data)[start:end])

    def _on_part_end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _on_end(self) -> None:
        self._complete = True
