"""Writes a CSV file again with one kind of line end, where DuckDB refuses a mixture.

Line ends within quotes are values and stay as they are. Nothing else of the file is changed.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

from mds_tableau.inputs.csv_bytes import TextFile, stamp


def one_line_end(text: TextFile, *, delimiter: str, quote: str, spool: Path) -> TextFile:
    """Return the same text with LF at the end of each line, as a file in `spool`."""
    walker = _Walker(delimiter.encode(), quote.encode())
    newlines = 0
    with (
        text.path.open("rb") as file,
        tempfile.NamedTemporaryFile(dir=spool, prefix="lines-", suffix=".csv", delete=False) as out,
    ):
        for line in file:
            written = walker.line(line)
            newlines += written.count(b"\n")
            out.write(written)
    path = Path(out.name)
    stamped = stamp(path)
    return replace(
        text, path=path, newlines=newlines, returns=(0, 0), size=stamped[0], stamp=stamped
    )


class _Walker:
    """Knows from line to line whether it is within quotes."""

    def __init__(self, delimiter: bytes, quote: bytes) -> None:
        self._delimiter = delimiter
        self._quote = quote
        self._within = False

    def line(self, line: bytes) -> bytes:
        """Return a line, up to LF, with the ends outside of quotes as LF."""
        if not self._within and (not self._quote or self._quote not in line):
            return _plain(line)
        out, before = [], b""
        for index, part in enumerate(line.split(self._quote)):
            if index:
                out.append(self._quote)
                self._turn(before)
            out.append(part if self._within else _plain(part))
            before = part
        return b"".join(out)

    def _turn(self, before: bytes) -> None:
        """Go through a quote that has `before` between it and the last one.

        A doubled quote closes and opens again, with nothing between.
        """
        ahead = before.rstrip(b" ")
        opens = not ahead or ahead.endswith((self._delimiter, b"\n", b"\r"))
        self._within = not self._within and opens


def _plain(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
