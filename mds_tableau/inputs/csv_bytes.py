"""Looks at every byte of a text file before it is read: NUL bytes, second marks, ends of lines.

What comes out is a file in UTF-8 that DuckDB can read as it is: the file itself where possible,
else a copy beside the database. Encodings belong to `text_encoding`, and what the text means to the
readers.
"""

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mds_tableau.errors import InputError
from mds_tableau.inputs import Progress
from mds_tableau.inputs.places import CHUNK, Place
from mds_tableau.inputs.text_encoding import as_utf8, codec_of, marked_encoding

_GZIP: Final = b"\x1f\x8b"
_MARK: Final = "\ufeff".encode()


@dataclass(frozen=True)
class TextFile:
    """A file of text, looked at byte by byte.

    Attributes:
        place: The file as it was given.
        path: Where the same text is in UTF-8.
        encoding: Encoding of the file as it was given; "utf-8" with or without a mark.
        newlines: Ends of lines that are LF, alone or after CR.
        returns: CR in all, and those before LF.
        blank: Whether a line may be blank, within quotes or not.
        ends_open: Whether the last line has no end.
        quoted: Whether the quote is in it.
        size: Bytes of `path`.
        stamp: Size and time of change of `path`, to see that it stays what it was.
    """

    place: Place
    path: Path
    encoding: str
    newlines: int
    returns: tuple[int, int]
    blank: bool
    ends_open: bool
    quoted: bool
    size: int
    stamp: tuple[int, int]

    @property
    def lines(self) -> int:
        """Lines, if each of them ends in the same way."""
        ends = self.newlines or self.returns[0]
        return ends + self.ends_open

    @property
    def mixed(self) -> bool:
        """Whether lines end in several ways, perhaps within quotes only."""
        carriage, paired = self.returns
        return (carriage > 0 and self.newlines > 0) and not carriage == paired == self.newlines

    def unchanged(self) -> None:
        """Check that nobody wrote to the file since.

        Raises:
            InputError: Somebody did.
        """
        if stamp(self.path) != self.stamp:
            raise InputError(f"{self.place.name} was changed while it was read; read it again.")


def stamp(path: Path) -> tuple[int, int]:
    """Return size and time of change of a file."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def open_text(
    place: Place, *, encoding: str, quote: str, spool: Path, progress: Progress
) -> TextFile:
    """Look at every byte of a file, and write it again in UTF-8 where it is anything else.

    Args:
        place: The file; gzip is found by its first bytes.
        encoding: Codec of Python, or "" to go by the mark and else by UTF-8.
        quote: Quote of the fields, or "".
        spool: Folder for a copy in UTF-8; the caller removes it with everything in it.
        progress: Told the bytes that were read.

    Raises:
        InputError: The bytes are no text in that encoding, the codec is not known, a NUL byte or a
            second mark is in it, or gzip is damaged.
    """
    before = stamp(place.path)
    packed, found = _look(place)
    codec = codec_of(place, encoding, found)
    tally = _Tally(quote.encode(), place)
    chunks = as_utf8(
        _unpacked(place, packed, progress),
        codec,
        place,
        lambda: tally.newlines,
        was_given=bool(encoding),
    )
    if not packed and codec in ("utf-8", "utf-8-sig"):
        for chunk in chunks:
            tally.add(chunk)
        return tally.text_file(place.path, "utf-8", before)
    with tempfile.NamedTemporaryFile(
        dir=spool, prefix="text-", suffix=".csv", delete=False
    ) as copy:
        for chunk in chunks:
            tally.add(chunk)
            copy.write(chunk)
    path = Path(copy.name)
    if stamp(place.path) != before:
        raise InputError(f"{place.name} was changed while it was read; read it again.")
    return tally.text_file(path, "utf-8" if codec == "utf-8-sig" else codec, stamp(path))


class _Tally:
    """Counts what matters in a stream of UTF-8, and refuses what cannot be read."""

    def __init__(self, quote: bytes, place: Place) -> None:
        self.newlines = self.carriages = self.pairs = 0
        self.quoted = self.blank = False
        self.place = place
        self._quote = quote
        self._end = b""

    def add(self, chunk: bytes) -> None:
        if not chunk:
            return
        self._refuse(chunk)
        self.newlines += chunk.count(b"\n")
        if carriages := chunk.count(b"\r"):
            self.carriages += carriages
            self.pairs += chunk.count(b"\r\n")
        self.pairs += self._end.endswith(b"\r") and chunk.startswith(b"\n")
        ends = self._end[-2:] + chunk[:2]
        self.blank = self.blank or any(
            two in chunk or two in ends for two in (b"\n\n", b"\n\r\n", b"\r\r")
        )
        self.quoted = self.quoted or bool(self._quote and self._quote in chunk)
        self._end = (self._end + chunk[-4:])[-4:]

    def _refuse(self, chunk: bytes) -> None:
        zero = chunk.find(b"\0")
        if zero >= 0:
            line = self.newlines + chunk.count(b"\n", 0, zero) + 1
            raise InputError(
                f"{self.place.name}, line {line}: a NUL byte, which text does not have. If the "
                "file is UTF-16 without a byte order mark, give --encoding utf-16-le; else it is "
                "damaged."
            )
        joined = self._end + chunk if chunk.startswith((_MARK[1:2], _MARK[2:])) else chunk
        start = joined.find(b"\n" + _MARK) if _MARK[:1] in joined else -1
        ahead = self._end.endswith(b"\n") and chunk.startswith(_MARK)
        if start >= 0 or ahead:
            line = self.newlines + joined.count(b"\n", len(self._end), max(start, 0)) + 2 - ahead
            raise InputError(
                f"{self.place.name}, line {line}: a byte order mark begins the line, so several "
                "files were put one after the other, perhaps with a header each. Give the files "
                "one by one, or take the mark and the second header out."
            )

    def text_file(self, path: Path, encoding: str, stamped: tuple[int, int]) -> "TextFile":
        ends_open = bool(self._end) and not self._end.endswith((b"\n", b"\r"))
        return TextFile(
            self.place,
            path,
            encoding,
            self.newlines,
            (self.carriages, self.pairs),
            self.blank,
            ends_open,
            self.quoted,
            stamped[0],
            stamped,
        )


@contextmanager
def open_lines(place: Place) -> Iterator[Iterator[bytes]]:
    """Give the lines of a file in bytes, unpacked if it is in gzip.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        with place.path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            yield iter(gzip.GzipFile(fileobj=file) if packed else file)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(place, error) from error


def _look(place: Place) -> tuple[bool, str]:
    """Return whether a file is in gzip, and the encoding that its mark tells, if there is one."""
    try:
        with place.path.open("rb") as file:
            start = file.read(4)
        packed = start[:2] == _GZIP
        if packed:
            with gzip.open(place.path) as unpacked:
                start = unpacked.read(4)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(place, error) from error
    return packed, marked_encoding(start)


def _unpacked(place: Place, packed: bool, progress: Progress) -> Iterator[bytes]:
    what, size = f"Checking {place.name}", place.path.stat().st_size
    progress(what, 0, size)
    try:
        with place.path.open("rb") as file:
            stream = gzip.GzipFile(fileobj=file) if packed else file
            while chunk := stream.read(CHUNK):
                yield chunk
                progress(what, file.tell(), size)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(place, error) from error
    progress(what, size, size)


def _unreadable(place: Place, error: Exception) -> InputError:
    if isinstance(error, (EOFError, zlib.error, gzip.BadGzipFile)):
        return InputError(
            f"{place.name} is damaged or not complete as a gzip file ({error}); get it again."
        )
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return InputError(f"{place.name} cannot be read: {reason}.")
