"""Keeps with a table of the warehouse what it was read from, and finds what broken runs have left.

Nothing secret is kept: a comment and names of tables hold digests only. What is read, and when,
is decided in `ingest`.
"""

import hashlib
from typing import Final

from mds_tableau.database_sources import DatabaseSource
from mds_tableau.figures import ENGINE
from mds_tableau.inputs.database_url import location
from mds_tableau.warehouse_tables import Tables

_BESIDE: Final = "__mds_arriving_"
_COMMENT: Final = "Read by mds_tableau from "


class Record:
    """What is known of the table of a source.

    Args:
        tables: The tables of its schema.
        source: What it is read from.
        url: The URL of the database.
    """

    def __init__(self, tables: Tables, source: DatabaseSource, url: str) -> None:
        self._tables = tables
        self._table = source.identifier
        self._increasing = source.increasing
        types = sorted(source.types.items())
        self._identity = digest(location(url), source.table, source.query, repr(types))

    def content(self) -> int | None:
        """Return the hash of all rows of the table, if they were read from this source."""
        comment = self._tables.comment(self._table)
        if not comment.startswith(f"{_COMMENT}{self._identity}, "):
            return None
        if not comment.startswith(self._comment("")):
            return self._tables.row_hash(self._table)  # another version of DuckDB has hashed them
        return int(comment.rpartition(" ")[2])

    def keep(self, content: int) -> None:
        """Keep the hash of all rows, and that they were read from this source."""
        self._tables.say(self._table, self._comment(str(content)))

    def beside(self, before: str = "") -> str:
        """Return the name of the table in which rows from a value on arrive."""
        return f"{self._table}{_BESIDE}{digest(self._identity, self._increasing, before)}"

    def forget(self, but: str = "") -> None:
        """Drop what broken runs have left of rows that nobody waits for any more."""
        for name in self._tables.beginning_with(self._table + _BESIDE):
            if name != but:
                self._tables.drop(name)

    def _comment(self, content: str) -> str:
        return f"{_COMMENT}{self._identity}, {ENGINE}, content {content}"


def digest(*texts: str) -> str:
    """Return a short digest of some texts, which differs when one of them does."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
