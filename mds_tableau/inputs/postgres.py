"""Reads a table or query of PostgreSQL through ADBC, in one snapshot that cannot write.

What its columns become, and how they travel, is decided in `postgres_types`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import duckdb

from mds_tableau.errors import DatabaseUnreachable, InputError, MdsTableauError, UsageError
from mds_tableau.inputs import Loaded, Progress
from mds_tableau.inputs.casts import asked_types
from mds_tableau.inputs.database_reader import DatabaseInput, find_relation
from mds_tableau.inputs.database_url import place, scrubbed, shown, with_parameters
from mds_tableau.inputs.increasing import (
    Watermark,
    aggregates,
    as_cheap_watermark,
    as_watermark,
    one_aggregate,
    position_of,
    wanted_rows,
)
from mds_tableau.inputs.landing import land
from mds_tableau.inputs.postgres_types import Declared, sent_column
from mds_tableau.inputs.tables import TableName, check_names, find_table
from mds_tableau.installing import install

if TYPE_CHECKING:
    import pyarrow

_SESSION: Final = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    # what the server writes as text does not depend on whose server it is
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = 'postgres'",
    "SET LOCAL client_encoding = 'UTF8'",
    # else a large table begins wherever another reader of it is
    "SET LOCAL synchronize_seqscans = off",
)
# a connection that died behind a firewall is noticed within two minutes
_PATIENCE: Final = {
    "connect_timeout": "30",
    "keepalives_idle": "60",
    "keepalives_interval": "10",
    "keepalives_count": "6",
}
_TABLES: Final = (
    "SELECT nspname::text, relname::text, pg_table_is_visible(c.oid) FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'v', 'm', 'f', 'p') "
    "AND nspname NOT IN ('pg_catalog', 'information_schema') AND nspname !~ '^pg_(toast|temp)' "
    "ORDER BY 1, 2"
)
_TERMINAL: Final = re.compile(
    r"(?i)FATAL:|invalid|percent-encoded|missing|no password supplied|certificate|unsupported"
)
_BUSY: Final = re.compile(r"(?i)starting up|shutting down|too many|connection slots|recovery")


def load(
    connection: duckdb.DuckDBPyConnection,
    given: DatabaseInput,
    *,
    table: str,
    progress: Progress,
) -> Loaded:
    """Read a table or query into a table of DuckDB, as `Reader.load` says."""
    increasing = given.increasing
    with _session(given.url) as cursor:
        relation = find_relation(given, lambda: _tables(cursor))
        query, origin = relation.query, relation.origin
        described = _described(cursor, query)
        names = [column.name for column in described]
        check_names(names, origin=origin)
        asked = asked_types(connection, given.types, names, origin=origin)
        scale = _money_scale(cursor) if any(c.base == "money" for c in described) else 2
        columns = [
            sent_column(number, column, asked.get(column.name, ""), scale)
            for number, column in enumerate(described, 1)
        ]
        arrived = [part for column in columns for part in column.asked]
        wanted = f"(\n{query}\n) AS q({_numbered(len(columns))})"
        if increasing is not None:
            typed = [(column.column.name, column.column.duckdb_type) for column in columns]
            position = position_of(increasing, typed, origin=origin, moments=True)
            cursor.execute(f"SELECT {aggregates(names[position])} FROM (\n{query}\n) AS q")  # noqa: S608
            increasing.check(as_watermark(cursor.fetchall()[0]))
            wanted += wanted_rows(f"q.c{position + 1}", increasing)
        cursor.execute(f"SELECT {', '.join(arrived)} FROM {wanted}")  # noqa: S608
        land(
            connection,
            table,
            [column.column for column in columns],
            cursor.fetch_record_batch(),
            origin=origin,
            counted=lambda rows: progress(f"Reading {origin}", rows, None),
            increasing=increasing,
        )
    return Loaded(table, origin, tuple(c.column.note for c in columns if c.column.note))


def watermark(url: str, *, name: str, column: str) -> Watermark:
    """Return how far a table has come, as `Reader.watermark` says."""
    with _session(url) as cursor:
        found = find_table(name, _tables(cursor), place=place(url))
        cursor.execute(f"SELECT {one_aggregate(column)} FROM {found.quoted}")  # noqa: S608
        return as_cheap_watermark(cursor.fetchall()[0][0], column)


def tables(url: str) -> list[TableName]:
    """Return the tables and views that there are."""
    with _session(url) as cursor:
        return _tables(cursor)


@contextmanager
def _session(url: str) -> Iterator[Any]:
    """A cursor in a transaction that cannot write and sees one moment."""
    try:
        import adbc_driver_manager
        import adbc_driver_postgresql.dbapi as driver
        import pyarrow as pa
    except ImportError as error:
        raise UsageError(
            f"Reading PostgreSQL needs packages that are not installed ({error.name}). "
            f"{install('postgres')}"
        ) from None
    failures = (adbc_driver_manager.Error, pa.ArrowException, OSError)
    try:
        connection = driver.connect(with_parameters(url, _PATIENCE))
    except failures as error:
        raise _refused(error, url) from None
    cursor = connection.cursor()
    try:
        for statement in _SESSION:
            cursor.execute(statement)
        yield cursor
    except MdsTableauError:
        raise
    except failures as error:
        raise _failed(connection, error, url) from None
    finally:
        cursor.close()
        with suppress(*failures):  # it may be lost, which has been said
            connection.close()


def _refused(error: Exception, url: str) -> MdsTableauError:
    words = _words(error, url)
    if _TERMINAL.search(words) and not _BUSY.search(words):
        return UsageError(
            f"Cannot connect to {shown(url)}: {words} Correct the URL, or what it takes the "
            "password from: PGPASSWORD or ~/.pgpass."
        )
    return DatabaseUnreachable(
        f"Cannot reach {shown(url)}: {words} Check that the server runs and that this machine may "
        "reach it, then run again."
    )


def _failed(connection: Any, error: Exception, url: str) -> MdsTableauError:
    state = getattr(error, "sqlstate", None) or ""
    if _lost(connection) or state.startswith(("08", "57P", "53", "40")):
        return DatabaseUnreachable(
            f"The connection to {place(url)} was lost, or the server gave up: {_words(error, url)} "
            "Nothing of what had been read was kept; run again."
        )
    # what was asked for has no meaning there, or may not be done
    kind = UsageError if state.startswith(("42", "3F")) else InputError
    return kind(f"{place(url)} refuses: {_words(error, url)}")


def _lost(connection: Any) -> bool:
    """Return whether the connection is gone; a server that only refuses still answers."""
    try:
        connection.rollback()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchall()
    except Exception:  # noqa: BLE001  whatever the driver raises, there is no answer
        return True
    return False


def _words(error: Exception, url: str) -> str:
    """Return what the driver says, without the statement and its own names for errors."""
    text = re.split(
        r"\n+LINE \d|\n+Query was:|\. SQLSTATE:|\s+SQLSTATE:", scrubbed(str(error), url)
    )[0]
    text = re.sub(r"^([A-Z_]+: )?(\[libpq\] )?", "", text)
    text = re.sub(r"^ERROR:\s*|(?<=: )ERROR:\s*", "", text)
    text = re.sub(r"^Execution error \[\w+\]: ", "", text)
    text = re.sub(r"Failed to (prepare|execute) query[^:]*: (could not begin COPY: )?", "", text)
    text = scrubbed(" ".join(text.split()), url)
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _tables(cursor: Any) -> list[TableName]:
    cursor.execute(_TABLES)
    return [TableName(*row) for row in cursor.fetchall()]


def _described(cursor: Any, query: str) -> list[Declared]:
    """Return the columns of a query without running it."""
    schema: pyarrow.Schema = cursor.adbc_execute_schema(query)
    if not len(schema):
        return []
    numbered = _numbered(len(schema))
    kinds = ", ".join(
        f"pg_typeof({c})::text, (SELECT typtype = 'e' FROM pg_type WHERE oid = pg_typeof({c}))"  # noqa: S608
        for c in numbered.split(", ")
    )
    cursor.execute(
        f"SELECT {kinds} FROM (SELECT 1) AS one LEFT JOIN (\n{query}\n) AS q({numbered}) ON false"  # noqa: S608
    )
    [row] = cursor.fetchall()
    return [
        Declared(
            field.name,
            field.metadata[b"POSTGRESQL:type"].decode(),
            int(field.metadata.get(b"POSTGRESQL:typmod", b"-1")),
            row[2 * number],
            bool(row[2 * number + 1]),
        )
        for number, field in enumerate(schema)
    ]


def _money_scale(cursor: Any) -> int:
    cursor.execute("SELECT scale(0::money::numeric)")
    [[scale]] = cursor.fetchall()
    return int(scale)


def _numbered(count: int) -> str:
    return ", ".join(f"c{number}" for number in range(1, count + 1))
