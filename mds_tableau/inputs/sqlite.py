"""Reads a table or query of a SQLite file through ADBC, in one snapshot and without writing.

SQLite lets any value into any column, and the driver takes a column's type from the rows that come
first. So the query itself gives each column one storage class, by its declared type, and tells of
every value that is of another; where nothing is declared, one look at all values decides. Measured
with ADBC 1.13.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import duckdb

from mds_tableau.columns import quote_identifier, quote_text
from mds_tableau.errors import DatabaseUnreachable, InputError, MdsTableauError, UsageError
from mds_tableau.inputs import Loaded, Progress
from mds_tableau.inputs.casts import asked_types
from mds_tableau.inputs.database_reader import DatabaseInput, Relation, find_relation
from mds_tableau.inputs.database_url import file_of, place
from mds_tableau.inputs.increasing import (
    Increasing,
    Watermark,
    aggregates,
    as_cheap_watermark,
    as_watermark,
    one_aggregate,
    position_of,
    wanted_rows,
)
from mds_tableau.inputs.landing import land, require_text
from mds_tableau.inputs.sqlite_types import (
    EXACT,
    KINDS,
    SentColumn,
    arriving,
    by_declaration,
    sent_column,
)
from mds_tableau.inputs.tables import TableName, check_names, find_table
from mds_tableau.installing import install

if TYPE_CHECKING:
    import pyarrow

_BATCH_ROWS: Final = 8192
_PATIENCE_MS: Final = 30_000
_VIEW: Final = "mds_tableau_read"
_TABLES: Final = (
    "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' "
    "ESCAPE '\\' ORDER BY name"
)


def load(
    connection: duckdb.DuckDBPyConnection,
    given: DatabaseInput,
    *,
    table: str,
    progress: Progress,
) -> Loaded:
    """Read a table or query into a table of DuckDB, as `Reader.load` says."""
    increasing = given.increasing
    with _session(file_of(given.url)) as cursor:
        relation = find_relation(given, lambda: _tables(cursor))
        origin = relation.origin
        total = _count(cursor, relation.table) if relation.table else None
        described = _described(cursor, relation)
        check_names([_plain(c, described) for c in described], origin=origin)
        asked = asked_types(connection, given.types, list(described), origin=origin)
        undecided = [
            name
            for name, declared in described.items()
            if name not in asked and by_declaration(name, declared) is None
        ]
        found_kinds = _kinds(cursor, undecided)
        columns = [
            sent_column(name, declared, asked.get(name, ""), found_kinds.get(name))
            for name, declared in described.items()
        ]
        arrivals = [arriving(number, column) for number, column in enumerate(columns, 1)]
        rows_of = f"temp.{_VIEW}"
        if increasing is not None:
            typed = [(column.name, column.duckdb_type) for column in arrivals]
            position = position_of(increasing, typed, origin=origin, moments=False)
            cursor.execute(f"SELECT {aggregates(columns[position].name)} FROM temp.{_VIEW}")  # noqa: S608
            increasing.check(as_watermark(cursor.fetchall()[0]))
            rows_of = f"({_in_order(columns[position].name, increasing)})"
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(_BATCH_ROWS)})
        cursor.execute(_select(columns, rows_of))
        land(
            connection,
            table,
            arrivals,
            _rows(cursor.fetch_record_batch(), list(described), origin),
            origin=origin,
            counted=lambda rows: progress(f"Reading {origin}", rows, total),
            increasing=increasing,
        )
    return Loaded(table, origin, tuple(column.note for column in columns if column.note))


def watermark(url: str, *, name: str, column: str) -> Watermark:
    """Return how far a table has come, as `Reader.watermark` says."""
    with _session(file_of(url)) as cursor:
        found = find_table(name, _tables(cursor), place=place(url))
        cursor.execute(f"SELECT {one_aggregate(column)} FROM {found.quoted}")  # noqa: S608
        return as_cheap_watermark(cursor.fetchall()[0][0], column)


def tables(url: str) -> list[TableName]:
    """Return the tables and views that there are."""
    with _session(file_of(url)) as cursor:
        return _tables(cursor)


@contextmanager
def _session(path: Path) -> Iterator[Any]:
    """A cursor on a file that cannot be written through it."""
    try:
        import adbc_driver_manager
        import adbc_driver_sqlite.dbapi as driver
        import pyarrow as pa
    except ImportError as error:
        raise UsageError(
            f"Reading SQLite needs packages that are not installed ({error.name}). "
            f"{install('sqlite')}"
        ) from None
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    failures = (adbc_driver_manager.Error, pa.ArrowException, OSError)
    connection = None
    try:
        connection = driver.connect(f"file:{quote(path.absolute().as_posix())}?mode=ro")
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
            cursor.fetchall()
            yield cursor
    except MdsTableauError:
        raise
    except failures as error:
        raise _failed(error, path) from None
    finally:
        if connection is not None:
            connection.close()


def _failed(error: Exception, path: Path) -> MdsTableauError:
    text = re.split(r"\n+query:", str(error))[0]
    text = re.sub(r"^([A-Z_]+: )?(\[SQLite\] )?(Failed to \w+ query: )?", "", text)
    if "locked" in text or "busy" in text:
        return DatabaseUnreachable(
            f"{path} stayed locked by another program for {_PATIENCE_MS // 1000} seconds ({text}). "
            "Let it finish, or close it, and run again."
        )
    return InputError(f"Cannot read {path}: {text}.")


def _tables(cursor: Any) -> list[TableName]:
    cursor.execute(_TABLES)
    return [TableName("", row[0]) for row in cursor.fetchall()]


def _count(cursor: Any, table: TableName) -> int:
    cursor.execute(f"SELECT count(*) FROM {table.quoted}")  # noqa: S608
    return int(cursor.fetchall()[0][0])


def _described(cursor: Any, relation: Relation) -> dict[str, str]:
    """Make its query a temporary view, and return name and declared type of its columns.

    A table says itself what is declared. A view calls columns BLOB and NUM that have no type.
    """
    cursor.execute(f"CREATE TEMP VIEW {_VIEW} AS {relation.query}\n")
    cursor.fetchall()
    cursor.execute(f"PRAGMA temp.table_xinfo({_VIEW})")
    view = {row[1]: row[2] or "" for row in cursor.fetchall()}
    table = quote_text(relation.table.name if relation.table else "")
    cursor.execute(f"PRAGMA main.table_xinfo({table})")
    declared = {row[1]: row[2] or "" for row in cursor.fetchall()}
    cursor.execute(f"SELECT type FROM sqlite_schema WHERE name = {table}")  # noqa: S608
    if cursor.fetchall() == [("table",)]:
        return {name: declared.get(name, "") for name in view}
    return {name: "" if words in {"BLOB", "NUM"} else words for name, words in view.items()}


def _plain(name: str, described: Mapping[str, str]) -> str:
    """Return the name that the query gave a column which SQLite renamed, as it was a second one."""
    head, _, number = name.rpartition(":")
    known = {other.lower() for other in described}
    return head if number.isdigit() and head.lower() in known else name


def _kinds(cursor: Any, names: Sequence[str]) -> dict[str, set[str]]:
    """Return the storage classes of all values of each column, with `large` for large integers."""
    if not names:
        return {}
    asked = []
    for name in names:
        column = quote_identifier(name)
        asked += [f"max(typeof({column}) = '{kind}')" for kind in KINDS]
        asked.append(
            f"max(typeof({column}) = 'integer' AND {column} NOT BETWEEN -{EXACT} AND {EXACT})"
        )
    cursor.execute(f"SELECT {', '.join(asked)} FROM temp.{_VIEW}")  # noqa: S608
    [row] = cursor.fetchall()
    wide = len(KINDS) + 1
    marks = [*KINDS, "large"]
    return {
        name: {mark for mark, is_there in zip(marks, row[n * wide :], strict=False) if is_there}
        for n, name in enumerate(names)
    }


def _in_order(column: str, increasing: Increasing) -> str:
    """Return a query of the wanted rows."""
    start = replace(increasing, start="")
    where = (
        f" WHERE {quote_identifier(column)} >= {int(increasing.start)}" if increasing.start else ""
    )
    # a subquery without a limit may lose its order
    order = wanted_rows(quote_identifier(column), start)
    return f"SELECT * FROM temp.{_VIEW}{where}{order} LIMIT -1"  # noqa: S608


def _select(columns: Sequence[SentColumn], rows_of: str) -> str:
    travelling = ", ".join(
        f"{column.travels.replace('{0}', quote_identifier(column.name))} AS c{number}"
        for number, column in enumerate(columns, 1)
    )
    odd = " ".join(
        f"WHEN {source} IS NOT NULL AND ({column.travels.replace('{0}', source)}) IS NULL "
        f"THEN '{number}:' || quote({source})"
        for number, column in enumerate(columns, 1)
        for source in [quote_identifier(column.name)]
    )
    first = ", ".join(f"{KINDS[column.kind]} AS c{n}" for n, column in enumerate(columns, 1))
    return (
        f"SELECT {first}, '' AS odd UNION ALL SELECT {travelling}, CASE {odd} END AS odd "  # noqa: S608
        f"FROM {rows_of}"
    )


def _rows(
    reader: "pyarrow.RecordBatchReader", names: Sequence[str], origin: str
) -> "Iterator[pyarrow.RecordBatch]":
    """Yield the batches without the row that came before all rows."""
    before = 0
    for number, batch in enumerate(reader):
        rows = batch.slice(0 if number else 1)
        require_text(rows, names, before=before, origin=origin)
        before += rows.num_rows
        yield rows
