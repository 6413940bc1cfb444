"""Reads a table or query of PostgreSQL through ADBC, in one snapshot that cannot write.

The server itself casts what the driver cannot bring exactly, by the declared type: what the driver
sees are only types that it was measured to bring without a change. Measured with ADBC 1.13 and
PostgreSQL 18: it flattens arrays of several dimensions, has no ranges, lets infinity and late
moments overflow, and reads an oid as signed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import duckdb

from mds_tableau.columns import quote_identifier
from mds_tableau.errors import DatabaseUnreachable, InputError, MdsTableauError
from mds_tableau.inputs import Progress
from mds_tableau.inputs.casts import asked_types, cast
from mds_tableau.inputs.database_url import place, scrubbed, shown, with_parameters
from mds_tableau.inputs.landing import ArrivingColumn, land
from mds_tableau.inputs.tables import TableName, check_names, checked_query, find_table

if TYPE_CHECKING:
    import pyarrow

_SESSION: Final = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    # what the server writes as text does not depend on whose server it is
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = 'postgres'",
    "SET LOCAL client_encoding = 'UTF8'",
)
# a connection that died behind a firewall is noticed within two minutes
_PATIENCE: Final = {
    "connect_timeout": "30",
    "keepalives_idle": "60",
    "keepalives_interval": "10",
    "keepalives_count": "6",
}
_AS_IT_IS: Final = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "text": "VARCHAR",
    "varchar": "VARCHAR",
    "bpchar": "VARCHAR",  # with its blanks, as the server prints it
    "name": "VARCHAR",
    "bytea": "BLOB",
    "time": "TIME",
}
_THROUGH_TEXT: Final = {
    "json": "JSON",
    "jsonb": "JSON",
    "uuid": "UUID",
    "timetz": "TIME WITH TIME ZONE",
    "interval": "INTERVAL",
}
_MOMENTS: Final = {
    "date": ("DATE", "isfinite({})"),
    # DuckDB's moments end before those of PostgreSQL
    "timestamp": ("TIMESTAMP", "isfinite({}) AND {} < '294247-01-01'"),
    "timestamptz": ("TIMESTAMP WITH TIME ZONE", "isfinite({}) AND {} < '294247-01-01+00'"),
}
_LISTS: Final = {
    name: _AS_IT_IS[name]
    for name in ("bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "name")
}
_PLAIN_TEXT: Final = {"citext", "xml", "char"}
_FREE_NUMERIC: Final = "DECIMAL(38,9)"
"""What numeric without digits becomes: enough for money and rates; what does not fit is refused."""
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


@dataclass(frozen=True)
class _Declared:
    """A column as the server declares it.

    Attributes:
        name: Its name.
        base: Name of its type; of a domain, of the type below; of an array, `_` and the element's.
        modifier: Modifier of a numeric, -1 for none.
        words: Its type as the server writes it.
        enum: Whether its values are those of an enum.
    """

    name: str
    base: str
    modifier: int
    words: str
    enum: bool


@dataclass(frozen=True)
class _Column:
    """SQL for the server, in order, and what becomes of it."""

    asked: tuple[str, ...]
    column: ArrivingColumn


def load(
    connection: duckdb.DuckDBPyConnection,
    url: str,
    *,
    name: str,
    query: str,
    types: Mapping[str, str],
    table: str,
    progress: Progress,
) -> tuple[str, tuple[str, ...]]:
    """Read a table or query into a table of DuckDB; return what it is called, and notes.

    Args:
        connection: Has no open transaction.
        url: Where the server is.
        name: The table to read, "" for the query.
        query: The query to read, "" for the table.
        types: DuckDB type for single columns.
        table: Quoted name of the table to make.
        progress: Told of the rows that have arrived.

    Raises:
        InputError: The table is not there, the query is none, a value does not fit, or the server
            refuses.
        DatabaseUnreachable: The server does not answer, or the connection was lost.
    """
    with _session(url) as cursor:
        if name:
            found = find_table(name, _tables(cursor), place=place(url))
            query, origin = f"SELECT * FROM {found.quoted}", f"table {found} of {place(url)}"
        else:
            query, origin = checked_query(query), f"query over {place(url)}"
        described = _described(cursor, query)
        names = [column.name for column in described]
        check_names(names, origin=origin)
        asked = asked_types(connection, types, names, origin=origin)
        scale = _money_scale(cursor) if any(c.base == "money" for c in described) else 2
        columns = [
            _column(number, column, asked.get(column.name, ""), scale)
            for number, column in enumerate(described, 1)
        ]
        arrived = [part for column in columns for part in column.asked]
        cursor.execute(
            f"SELECT {', '.join(arrived)} FROM (\n{query}\n) AS q({_numbered(len(columns))})"  # noqa: S608
        )
        land(
            connection,
            table,
            [column.column for column in columns],
            cursor.fetch_record_batch(),
            origin=origin,
            counted=lambda rows: progress(f"Reading {origin}", rows, None),
        )
    return origin, tuple(c.column.note for c in columns if c.column.note)


def tables(url: str) -> list[TableName]:
    """Return the tables and views that there are.

    Raises:
        InputError: The server refuses.
        DatabaseUnreachable: The server does not answer.
    """
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
        raise InputError(
            f"Reading PostgreSQL needs packages that are not installed ({error.name}). Install "
            "them: pip install 'mds_tableau[postgres]'"
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
        raise _failed(cursor, error, url) from None
    finally:
        cursor.close()
        try:
            connection.close()
        except failures:
            pass  # it was lost, which has been said


def _refused(error: Exception, url: str) -> MdsTableauError:
    words = _words(error, url)
    if _TERMINAL.search(words) and not _BUSY.search(words):
        return InputError(
            f"Cannot connect to {shown(url)}: {words} Correct the URL, or what it takes the "
            "password from: PGPASSWORD or ~/.pgpass."
        )
    return DatabaseUnreachable(
        f"Cannot reach {shown(url)}: {words} Check that the server runs and that this machine may "
        "reach it, then run again."
    )


def _failed(cursor: Any, error: Exception, url: str) -> MdsTableauError:
    state = getattr(error, "sqlstate", None) or ""
    if _lost(cursor) or state.startswith(("08", "57P", "53", "40")):
        return DatabaseUnreachable(
            f"The connection to {place(url)} was lost, or the server gave up: {_words(error, url)} "
            "Nothing of what had been read was kept; run again."
        )
    return InputError(f"{place(url)} refuses: {_words(error, url)}")


def _lost(cursor: Any) -> bool:
    """Return whether the connection is gone; a server that refuses still answers."""
    try:
        cursor.execute("SELECT 1")
    except Exception as error:  # noqa: BLE001
        # 25P02: the transaction has failed, and the server says so
        return not getattr(error, "sqlstate", None)
    return False


def _words(error: Exception, url: str) -> str:
    """Return what the driver says, without the statement and its own names for errors."""
    text = re.split(r"\n+LINE \d|\n+Query was:|\. SQLSTATE:|\s+SQLSTATE:", str(error))[0]
    text = re.sub(r"^([A-Z_]+: )?(\[libpq\] )?", "", text)
    text = re.sub(r"Failed to (prepare|execute) query[^:]*: (could not begin COPY: )?", "", text)
    text = scrubbed(" ".join(text.split()), url)
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _tables(cursor: Any) -> list[TableName]:
    cursor.execute(_TABLES)
    return [TableName(*row) for row in cursor.fetchall()]


def _described(cursor: Any, query: str) -> list[_Declared]:
    """Return the columns of a query without running it."""
    schema: pyarrow.Schema = cursor.adbc_execute_schema(query)
    if not len(schema):
        return []
    numbered = _numbered(len(schema))
    kinds = ", ".join(
        f"pg_typeof({c})::text, (SELECT typtype = 'e' FROM pg_type WHERE oid = pg_typeof({c}))"
        for c in numbered.split(", ")
    )
    cursor.execute(
        f"SELECT {kinds} FROM (SELECT 1) AS one LEFT JOIN (\n{query}\n) AS q({numbered}) ON false"  # noqa: S608
    )
    [row] = cursor.fetchall()
    return [
        _Declared(
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


def _column(number: int, declared: _Declared, asked: str, money_scale: int) -> _Column:
    """Decide how a column travels and what it becomes."""
    source = f"c{number}"
    base = declared.base
    if asked:
        return _asked(source, declared, asked)
    if base in _AS_IT_IS:
        return _made([source], declared, _AS_IT_IS[base], source)
    if base in _MOMENTS:
        duckdb_type, whole = _MOMENTS[base]
        whole = whole.replace("{}", source)
        return _with_odd(source, source, whole, declared, duckdb_type)
    if base == "oid":
        return _made([f"{source}::int8 AS {source}"], declared, "BIGINT", source)
    if base == "money":
        digits = f"DECIMAL({17 + money_scale},{money_scale})"
        return _through_text(f"{source}::numeric", source, declared, digits)
    if base == "numeric":
        return _numeric(source, declared)
    if base in _THROUGH_TEXT:
        return _through_text(source, source, declared, _THROUGH_TEXT[base])
    if base.startswith("_"):
        return _array(source, declared)
    note = "" if base in _PLAIN_TEXT or declared.enum else _note(declared)
    column = _made([f"{source}::text AS {source}"], declared, "VARCHAR", source)
    return _Column(column.asked, _noted(column.column, note))


def _made(asked: Sequence[str], declared: _Declared, duckdb_type: str, value: str) -> _Column:
    column = ArrivingColumn(declared.name, duckdb_type, value, declared=declared.words)
    return _Column(tuple(asked), column)


def _noted(column: ArrivingColumn, note: str) -> ArrivingColumn:
    return ArrivingColumn(**{**vars(column), "note": note})


def _note(declared: _Declared) -> str:
    return (
        f"Column '{declared.name}' is {declared.words}, which has no counterpart, and arrived as "
        "the text that PostgreSQL writes of it."
    )


def _through_text(travels: str, source: str, declared: _Declared, duckdb_type: str) -> _Column:
    value, misfit = cast(source, "VARCHAR", duckdb_type)
    if duckdb_type in {"TIME WITH TIME ZONE", "INTERVAL", "JSON", "UUID"}:
        misfit = f"{source} IS NOT NULL AND TRY_CAST({source} AS {duckdb_type}) IS NULL"
    column = ArrivingColumn(
        declared.name, duckdb_type, value, misfit, shown=source, declared=declared.words
    )
    return _Column((f"{travels}::text AS {source}",), column)


def _with_odd(
    source: str, travels: str, whole: str, declared: _Declared, duckdb_type: str
) -> _Column:
    """Send a value as it is where the driver brings it, else as text beside it."""
    odd = f"{source}_odd"
    column = ArrivingColumn(
        declared.name,
        duckdb_type,
        f"CASE WHEN {odd} IS NULL THEN {source} ELSE CAST({odd} AS {duckdb_type}) END",
        f"{odd} IS NOT NULL AND TRY_CAST({odd} AS {duckdb_type}) IS NULL",
        shown=odd,
        declared=declared.words,
    )
    asked = (
        f"CASE WHEN {whole} THEN {travels} END AS {source}",
        f"CASE WHEN NOT ({whole}) THEN {source}::text END AS {odd}",
    )
    return _Column(asked, column)


def _numeric(source: str, declared: _Declared) -> _Column:
    if declared.modifier < 0:
        column = _through_text(source, source, declared, _FREE_NUMERIC)
        note = (
            f"Column '{declared.name}' is numeric without digits and became {_FREE_NUMERIC}; ask "
            f"for other digits where they are known: {declared.name}=DECIMAL(18,2)."
        )
        return _Column(column.asked, _noted(column.column, note))
    precision, scale = _digits(declared.modifier)
    if precision <= 38:
        return _through_text(source, source, declared, f"DECIMAL({precision},{scale})")
    column = _made([f"{source}::text AS {source}"], declared, "VARCHAR", source)
    note = (
        f"Column '{declared.name}' is {declared.words}({precision},{scale}), more digits than the "
        "38 that there can be, and arrived as text."
    )
    return _Column(column.asked, _noted(column.column, note))


def _digits(modifier: int) -> tuple[int, int]:
    """Return precision and scale that hold every value of a numeric with that modifier.

    >>> _digits((10 << 16 | 2) + 4), _digits((5 << 16 | (-2 & 0x7FF)) + 4)
    ((10, 2), (7, 0))
    """
    precision = (modifier - 4 >> 16) & 0xFFFF
    scale = ((modifier - 4 & 0x7FF) ^ 1024) - 1024
    if scale < 0:
        return precision - scale, 0
    return max(precision, scale), scale


def _array(source: str, declared: _Declared) -> _Column:
    """An array of one dimension becomes a list; how many there are is not declared."""
    element = declared.base[1:]
    flat = f"{source} IS NULL OR coalesce(array_ndims({source}), 1) = 1"
    listed = _LISTS.get(element)
    travels = source if listed else f"{source}::text[]"
    made = _with_odd(source, travels, flat, declared, f"{listed or 'VARCHAR'}[]")
    # DuckDB would read '{{1},{2}}' as something
    column = ArrivingColumn(
        **{**vars(made.column), "value": source, "misfit": f"{source}_odd IS NOT NULL"}
    )
    texts = element in {*_PLAIN_TEXT, "bpchar"} or declared.enum
    return _Column(made.asked, column if listed or texts else _noted(column, _note(declared)))


def _asked(source: str, declared: _Declared, asked: str) -> _Column:
    if declared.base == "bytea" and asked != "VARCHAR":
        arrives, travels = "BLOB", source
    elif declared.base in _AS_IT_IS and declared.base != "bytea":
        arrives, travels = _AS_IT_IS[declared.base], source
    else:
        arrives, travels = "VARCHAR", f"{source}::text AS {source}"
    if asked == "VARCHAR" and arrives != "VARCHAR":
        # as the server writes it
        arrives, travels = "VARCHAR", f"{source}::text AS {source}"
    value, misfit = cast(source, arrives, asked)
    column = ArrivingColumn(
        declared.name, asked, value, misfit, shown=source, declared=declared.words
    )
    return _Column((travels,), column)
