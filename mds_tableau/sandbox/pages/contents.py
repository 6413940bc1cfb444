"""What is in a revision's extract: its tables with their columns, first rows and profiles.

Looking into a file, how much of it at a time, and remembering what was seen belong here; what is
asked about a column stands in `profile`, and how it is shown in `datasource`. A revision's file
never changes, so what was seen of one stays true.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from mds_tableau.sandbox.hyperfile import (
    Column,
    Extract,
    HyperFiles,
    Table,
    UnusableExtract,
    quoted_name,
    table_sql,
)
from mds_tableau.sandbox.pages.profile import Profile, Value, profile, to_value, value_sql

FIRST_ROWS = 20
MOST_TABLES = 20
MOST_COLUMNS = 300
# How long one look may take before it shows what it has, and the next one goes on from there: less
# than requests get to finish when the sandbox stops.
SECONDS = 4.0
REMEMBERED = 32


@dataclass(frozen=True)
class TableContent:
    """What was seen of a table.

    Attributes:
        table: Its name and all its columns.
        rows: Number of its rows.
        first_rows: Some rows as they lie in the file, with the columns that are shown.
        problem: Why there are no rows; "" when there are all that should be.
        profiles: The profiles of its first columns, as far as they are made.
    """

    table: Table
    rows: int
    first_rows: tuple[tuple[Value, ...], ...]
    problem: str = ""
    profiles: tuple[Profile, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that are shown."""
        return self.table.columns[:MOST_COLUMNS]

    @property
    def is_complete(self) -> bool:
        """Whether all columns that are shown have their profile."""
        return len(self.profiles) == len(self.columns)


@dataclass(frozen=True)
class Content:
    """What was seen of an extract.

    Attributes:
        tables: The tables that are shown.
        table_count: How many there are.
    """

    tables: tuple[TableContent, ...]
    table_count: int

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to be looked at."""
        return all(table.is_complete for table in self.tables)


class Contents:
    """What was seen of the extracts that were looked into last.

    Args:
        hyper: Opens the extracts.
        seconds: How long one look may take; one more profile is made even so.
    """

    def __init__(self, hyper: HyperFiles, seconds: float) -> None:
        self._hyper = hyper
        self._seconds = seconds
        self._seen: dict[str, Content] = {}

    def known(self, path: Path) -> Content | None:
        """Returns what was seen of an extract, where nothing is left to be looked at."""
        content = self._seen.get(path.name)
        return content if content and content.is_complete else None

    def look(self, path: Path) -> Content:
        """Returns what an extract holds, as far as it is seen in the time; one call at a time.

        Raises:
            UnusableExtract: Hyper cannot open the file.
            HyperUnavailable: There is no Hyper to ask.
        """
        content = self._seen.get(path.name)
        if content is None or not content.is_complete:
            end = time.monotonic() + self._seconds
            with self._hyper.reading(path) as extract:
                content = _with_profiles(extract, content or _survey(extract), end)
            self._seen[path.name] = content
            if len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]
        return content


def _survey(extract: Extract) -> Content:
    """Returns what is seen at once: rows and their number."""
    tables = [_table(extract, table) for table in extract.tables[:MOST_TABLES]]
    return Content(tuple(tables), len(extract.tables))


def _table(extract: Extract, table: Table) -> TableContent:
    source = table_sql(table)
    [(rows,)] = extract.query(f"SELECT count(*) FROM {source}")  # noqa: S608 - quoted names
    wanted = ", ".join(value_sql(quoted_name(name)) for name, _ in table.columns[:MOST_COLUMNS])
    try:
        found = extract.query(f"SELECT {wanted} FROM {source} LIMIT {FIRST_ROWS}") if wanted else []  # noqa: S608
    except UnusableExtract as error:
        extract.answers()
        return TableContent(table, rows, (), str(error))
    first_rows = tuple(
        tuple(to_value(*pair) for pair in zip(row[::2], row[1::2], strict=True)) for row in found
    )
    return TableContent(table, rows, first_rows)


def _with_profiles(extract: Extract, content: Content, end: float) -> Content:
    """Returns the content with more profiles than before: all of them, or those made by the end."""
    tables = list(content.tables)
    for at, one in enumerate(tables):
        while not tables[at].is_complete:
            column = one.columns[len(tables[at].profiles)]
            made = profile(extract, one.table, column, one.rows)
            tables[at] = replace(tables[at], profiles=(*tables[at].profiles, made))
            if time.monotonic() > end:
                return replace(content, tables=tuple(tables))
    return replace(content, tables=tuple(tables))
