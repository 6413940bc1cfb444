"""Reads a table or query of any database that SQLAlchemy reaches, as a stream of its rows.

Slower than the readers of PostgreSQL and SQLite, as every value is a Python object on its way.
Types are those that SQLAlchemy finds declared for a table, and those of the first rows for a query,
as drivers do not agree on how to tell them.
"""

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import duckdb

from mds_tableau.errors import DatabaseUnreachable, InputError, MdsTableauError, UsageError
from mds_tableau.inputs import Progress
from mds_tableau.inputs.casts import asked_types, cast
from mds_tableau.inputs.database_url import place, scrubbed, shown
from mds_tableau.inputs.increasing import (
    Increasing,
    Watermark,
    as_cheap_watermark,
    as_watermark,
    position_of,
)
from mds_tableau.inputs.landing import ArrivingColumn, land
from mds_tableau.inputs.tables import TableName, check_names, checked_query, find_table

if TYPE_CHECKING:
    import pyarrow

    from mds_tableau.inputs.arrow_values import Kind

_FIRST_ROWS: Final = 1_000
_MOST_ROWS: Final = 50_000
_BATCH_BYTES: Final = 8 * 1024**2
_INSTALL: Final = (
    "Install SQLAlchemy with pip install 'mds_tableau[sql]', and the driver of the database beside "
    "it, such as pymysql, oracledb or pyodbc."
)
_TERMINAL: Final = re.compile(
    r"(?i)denied|authenticat|password|login failed|unknown database|does not exist|invalid"
)


@dataclass(frozen=True)
class _Column:
    """A column as the database declares it.

    Attributes:
        name: Its name.
        kind: How its values travel; None when the first rows say so.
        words: Its declared type, for messages.
        note: What was decided about it.
        digits: Precision and scale that the driver told, if it did.
    """

    name: str
    kind: "Kind | None"
    words: str = ""
    note: str = ""
    digits: tuple[int, int] | None = None


def load(
    connection: duckdb.DuckDBPyConnection,
    url: str,
    *,
    name: str,
    query: str,
    types: Mapping[str, str],
    table: str,
    progress: Progress,
    increasing: Increasing | None = None,
) -> tuple[str, tuple[str, ...]]:
    """Read a table or query into a table of DuckDB; return what it is called, and notes.

    Args:
        connection: Has no open transaction.
        url: A URL that SQLAlchemy knows.
        name: The table to read, "" for the query.
        query: The query to read, "" for the table.
        types: DuckDB type for single columns.
        table: Quoted name of the table to make.
        progress: Told of the rows that have arrived.
        increasing: Which rows of the table are wanted and added, in which order; None to make the
            table of all rows.

    Raises:
        InputError: The table is not there, the query is none, a value does not fit, or the server
            refuses.
        DatabaseUnreachable: The database does not answer, or the connection was lost.
    """
    with _session(url) as remote, ExitStack() as reading:
        if name:
            found = find_table(name, _tables(remote), place=place(url))
            origin = f"table {found} of {place(url)}"
            result, columns = _table_rows(remote, found, connection, types, origin, increasing)
        else:
            origin = f"query over {place(url)}"
            result, columns = _query_rows(remote, checked_query(query))
        reading.callback(result.close)
        names = [column.name for column in columns]
        check_names(names, origin=origin)
        asked = asked_types(connection, types, names, origin=origin)
        first = result.fetchmany(_FIRST_ROWS)
        columns = [_settled(column, number, first) for number, column in enumerate(columns)]
        land(
            connection,
            table,
            [_arriving(n, column, asked.get(column.name)) for n, column in enumerate(columns, 1)],
            _batches(result, first, columns, origin),
            origin=origin,
            counted=lambda rows: progress(f"Reading {origin}", rows, None),
            increasing=increasing,
        )
    return origin, tuple(column.note for column in columns if column.note)


def watermark(url: str, *, name: str, column: str) -> Watermark:
    """Return the largest value of a column, or the number of rows when none is named.

    Raises:
        InputError: The table or the column is not there, or the database refuses.
        DatabaseUnreachable: The database does not answer.
    """
    import sqlalchemy as sa

    with _session(url) as remote:
        found = find_table(name, _tables(remote), place=place(url))
        source = sa.table(
            sa.quoted_name(found.name, quote=True), schema=sa.quoted_name(found.schema, quote=True)
        )
        high: Any = sa.func.max(sa.column(sa.quoted_name(column, quote=True)))
        asked = sa.select(high if column else sa.func.count()).select_from(source)
        return as_cheap_watermark(remote.execute(asked).scalar_one(), column)


def tables(url: str) -> list[TableName]:
    """Return the tables and views that there are.

    Raises:
        InputError: The database refuses, or a package is not installed.
        DatabaseUnreachable: The database does not answer.
    """
    with _session(url) as remote:
        return _tables(remote)


@contextmanager
def _session(url: str) -> Iterator[Any]:
    """A connection whose changes, if a query makes any, are rolled back."""
    try:
        import pyarrow as pa  # noqa: F401
        import sqlalchemy as sa
    except ImportError as error:
        raise UsageError(
            f"Reading {shown(url)} needs packages that are not installed ({error.name}). {_INSTALL}"
        ) from None
    try:
        engine = sa.create_engine(str(url), poolclass=sa.NullPool, hide_parameters=True)
    except (sa.exc.SQLAlchemyError, ImportError, ValueError) as error:
        raise UsageError(
            f"Cannot read {shown(url)}: {scrubbed(str(error), url)} {_INSTALL}"
        ) from None
    connected = False
    try:
        with engine.connect() as remote:
            connected = True
            if engine.dialect.name == "postgresql":
                remote.exec_driver_sql("SET TRANSACTION READ ONLY")
            yield remote
    except MdsTableauError:
        raise
    except sa.exc.SQLAlchemyError as error:
        raise _failed(error, url, connected=connected) from None
    finally:
        engine.dispose()


def _failed(error: Any, url: str, *, connected: bool) -> MdsTableauError:
    said = scrubbed(str(getattr(error, "orig", None) or error), url)
    words = scrubbed(" ".join(said.split()), url)
    if getattr(error, "connection_invalidated", False):
        return DatabaseUnreachable(
            f"The connection to {place(url)} was lost: {words}. Nothing of what had been read was "
            "kept; run again."
        )
    if connected:
        return InputError(f"{place(url)} refuses: {words}.")
    if _TERMINAL.search(words):
        return UsageError(f"Cannot connect to {shown(url)}: {words}. Correct the URL.")
    return DatabaseUnreachable(
        f"Cannot reach {shown(url)}: {words}. Check that the server runs and that this machine may "
        "reach it, then run again."
    )


def _tables(remote: Any) -> list[TableName]:
    import sqlalchemy as sa

    inspector = sa.inspect(remote)
    default = inspector.default_schema_name
    found = []
    for schema in inspector.get_schema_names():
        if schema.lower() in {"information_schema", "sys", "mysql", "performance_schema"}:
            continue
        names = [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
        found += [TableName(schema, name, schema == default) for name in names]
    return found


def _table_rows(
    remote: Any,
    found: TableName,
    connection: duckdb.DuckDBPyConnection,
    types: Mapping[str, str],
    origin: str,
    increasing: Increasing | None,
) -> tuple[Any, list[_Column]]:
    import sqlalchemy as sa

    inspector = sa.inspect(remote)
    declared = inspector.get_columns(found.name, schema=found.schema)
    asked = asked_types(connection, types, [column["name"] for column in declared], origin=origin)
    columns = []
    selected: list[Any] = []
    for each in declared:
        column = sa.column(sa.quoted_name(each["name"], quote=True), each["type"])
        made = _declared(each["name"], each["type"], asked.get(each["name"], ""))
        columns.append(made)
        if made.words == "text":
            selected.append(sa.cast(column, sa.Text).label(each["name"]))
        else:
            selected.append(column)
    columns = [
        replace(column, words=str(each["type"]))
        for column, each in zip(columns, declared, strict=True)
    ]
    source = sa.table(
        sa.quoted_name(found.name, quote=True), schema=sa.quoted_name(found.schema, quote=True)
    )
    statement = sa.select(*selected).select_from(source)
    if increasing is not None:
        arrivals = [_arriving(n, c, asked.get(c.name)) for n, c in enumerate(columns, 1)]
        typed = [(arrival.name, arrival.duckdb_type) for arrival in arrivals]
        position = position_of(increasing, typed, origin=origin, moments=False)
        column = sa.column(sa.quoted_name(columns[position].name, quote=True), sa.BigInteger)
        asks = sa.select(sa.func.count(), sa.func.count(column), sa.func.max(column))
        rows, values, high = remote.execute(asks.select_from(source)).one()
        increasing.check(as_watermark((rows, values, None if high is None else int(high))))
        if increasing.start:
            statement = statement.where(column >= int(increasing.start))
        statement = statement.order_by(column)
    return _streamed(remote).execute(statement), columns


def _query_rows(remote: Any, query: str) -> tuple[Any, list[_Column]]:
    # without parameters a driver leaves the percent signs of a query alone
    streamed = _streamed(remote).execution_options(no_parameters=True)
    result = streamed.exec_driver_sql(query)
    return result, [_Column(row[0], None, digits=_digits(row)) for row in result.cursor.description]


def _streamed(remote: Any) -> Any:
    return remote.execution_options(stream_results=True, max_row_buffer=_FIRST_ROWS)


def _digits(described: Sequence[Any]) -> tuple[int, int] | None:
    precision, scale = described[4], described[5]
    if isinstance(precision, int) and isinstance(scale, int) and 0 <= scale <= precision <= 38:
        return (precision, scale) if precision else None
    return None


def _declared(name: str, declared: Any, asked: str) -> _Column:
    """Decide how a column of a table travels; `words` is "text" where the server has to cast it."""
    import sqlalchemy as sa

    from mds_tableau.inputs import arrow_values as kinds

    as_text = _Column(name, kinds.TEXT, "text")
    if asked == "VARCHAR" and not isinstance(declared, sa.String):
        return as_text
    if isinstance(declared, sa.Numeric) and not isinstance(declared, sa.Float):
        return _numeric(name, declared, asked)
    if isinstance(declared, sa.Integer):
        large = isinstance(declared, sa.BigInteger) and getattr(declared, "unsigned", False)
        return _Column(name, kinds.UBIGINT if large else kinds.BIGINT)
    if isinstance(declared, sa.DateTime):
        return _Column(name, kinds.TIMESTAMPTZ if declared.timezone else kinds.TIMESTAMP)
    if isinstance(declared, (sa.JSON, sa.Enum)):
        return as_text
    plain = (
        (sa.Boolean, kinds.BOOLEAN),
        (sa.Float, kinds.DOUBLE),
        (sa.Date, kinds.DATE),
        (sa.Time, kinds.TIME),
        (sa.Uuid, kinds.UUID),
        (sa.LargeBinary, kinds.BLOB),
        (sa.String, kinds.TEXT),
    )
    for sqlalchemy_type, kind in plain:
        if isinstance(declared, sqlalchemy_type):
            return _Column(name, kind)
    if _is_interval(declared):
        return _Column(name, kinds.INTERVAL)
    note = (
        f"Column '{name}' is {declared!r}, which has no counterpart, and arrived as the text that "
        "the database makes of it."
    )
    return _Column(name, kinds.TEXT, "text", note)


def _is_interval(declared: Any) -> bool:
    # a database's own kind of interval shares no public class with the general one
    try:
        return bool(declared.python_type is dt.timedelta)
    except NotImplementedError:
        return False


def _numeric(name: str, declared: Any, asked: str) -> _Column:
    from mds_tableau.inputs import arrow_values as kinds

    precision, scale = declared.precision, declared.scale
    if precision is not None and 0 <= (scale or 0) <= precision <= 38:
        return _Column(name, kinds.decimal(precision, scale or 0))
    if asked:
        return _Column(name, kinds.NUMBER_TEXT)
    note = (
        f"Column '{name}' is {declared} and became DECIMAL(38,9); ask for other digits where they "
        f"are known: {name}=DECIMAL(18,2)."
    )
    return _Column(name, kinds.decimal(38, 9), note=note)


def _settled(column: _Column, number: int, first: Sequence[Sequence[Any]]) -> _Column:
    """Return the column with its kind, by its first values where nothing else tells."""
    if column.kind is not None:
        return column
    from mds_tableau.inputs import arrow_values as kinds

    values = [row[number] for row in first]
    kind = kinds.kind_of(values, column.digits) or kinds.TEXT
    empty = all(value is None for value in values)
    note = (
        f"Column '{column.name}' is NULL in the first rows of the query and became VARCHAR; ask "
        f"for another type where it is known: {column.name}=DOUBLE."
    )
    return replace(column, kind=kind, note=note if empty else "")


def _arriving(number: int, column: _Column, asked: str | None) -> ArrivingColumn:
    from mds_tableau.inputs import arrow_values as kinds

    assert column.kind is not None  # noqa: S101  settled before
    arrives = column.kind.duckdb_type
    target = asked or ("UUID" if column.kind is kinds.UUID else arrives)
    value, misfit = cast(f"c{number}", arrives, target)
    return ArrivingColumn(
        column.name, target, value, misfit, shown=f"c{number}", declared=column.words
    )


def _batches(
    result: Any, first: Sequence[Sequence[Any]], columns: Sequence[_Column], origin: str
) -> "Iterator[pyarrow.RecordBatch]":
    """Yield the rows as batches of about the same size in memory."""
    import pyarrow as pa

    from mds_tableau.inputs import arrow_values as kinds

    rows = first
    before = 0
    while rows:
        arrays = []
        for column, values in zip(columns, zip(*rows, strict=True), strict=True):
            assert column.kind is not None  # noqa: S101  settled before
            try:
                arrays.append(kinds.array(values, column.kind))
            except kinds.MisfitError as misfit:
                raise InputError(
                    f"Row {before + misfit.position + 1:,} of {origin}: column '{column.name}' "
                    f"holds {str(values[misfit.position])[:80]!r}, which cannot be "
                    f"{column.kind.duckdb_type} without a change. Read by a query that converts "
                    "it, such as CAST(... AS ...), or leaves it out."
                ) from None
        batch = pa.RecordBatch.from_arrays(
            arrays, names=[f"c{number}" for number in range(1, len(columns) + 1)]
        )
        yield batch
        before += len(rows)
        each = max(1, batch.nbytes // len(rows))
        rows = result.fetchmany(max(1, min(_MOST_ROWS, _BATCH_BYTES // each)))
