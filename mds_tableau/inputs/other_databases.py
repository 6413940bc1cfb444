"""Reads a table or query of any database that SQLAlchemy reaches, as a stream of its rows.

Slower than the readers of PostgreSQL and SQLite, as every value is a Python object on its way.
Types are those that SQLAlchemy finds declared for a table, and those of the first rows for a query,
as drivers do not agree on how to tell them; what a column becomes is decided in `sqlalchemy_types`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import duckdb

from mds_tableau.errors import DatabaseUnreachable, InputError, MdsTableauError, UsageError
from mds_tableau.inputs import Loaded, Progress
from mds_tableau.inputs.casts import asked_types
from mds_tableau.inputs.database_reader import DatabaseInput, find_relation
from mds_tableau.inputs.database_url import place, scrubbed, shown
from mds_tableau.inputs.increasing import (
    Watermark,
    as_cheap_watermark,
    as_watermark,
    position_of,
)
from mds_tableau.inputs.landing import land
from mds_tableau.inputs.sqlalchemy_types import (
    SentColumn,
    arriving,
    declared_column,
    described_column,
    settled_column,
)
from mds_tableau.inputs.tables import TableName, check_names, find_table
from mds_tableau.installing import install

if TYPE_CHECKING:
    import pyarrow

_FIRST_ROWS: Final = 1_000
_MOST_ROWS: Final = 50_000
_BATCH_BYTES: Final = 8 * 1024**2
_INSTALL: Final = (
    "Install the driver of the database, such as pymysql, oracledb or pyodbc, beside SQLAlchemy. "
    f"{install('sql')}"
)
_TERMINAL: Final = re.compile(
    r"(?i)denied|authenticat|password|login failed|unknown database|does not exist|invalid"
)


def load(
    connection: duckdb.DuckDBPyConnection,
    given: DatabaseInput,
    *,
    table: str,
    progress: Progress,
) -> Loaded:
    """Read a table or query into a table of DuckDB, as `Reader.load` says."""
    with _session(given.url) as remote, ExitStack() as reading:
        relation = find_relation(given, lambda: _tables(remote))
        origin = relation.origin
        if relation.table:
            result, columns = _table_rows(remote, relation.table, connection, given, origin)
        else:
            result, columns = _query_rows(remote, relation.query)
        reading.callback(result.close)
        names = [column.name for column in columns]
        check_names(names, origin=origin)
        asked = asked_types(connection, given.types, names, origin=origin)
        first = result.fetchmany(_FIRST_ROWS)
        columns = [settled_column(column, number, first) for number, column in enumerate(columns)]
        land(
            connection,
            table,
            [arriving(n, column, asked.get(column.name)) for n, column in enumerate(columns, 1)],
            _batches(result, first, columns, origin),
            origin=origin,
            counted=lambda rows: progress(f"Reading {origin}", rows, None),
            increasing=given.increasing,
        )
    return Loaded(table, origin, tuple(column.note for column in columns if column.note))


def watermark(url: str, *, name: str, column: str) -> Watermark:
    """Return how far a table has come, as `Reader.watermark` says."""
    import sqlalchemy as sa

    with _session(url) as remote:
        found = find_table(name, _tables(remote), place=place(url))
        high: Any = sa.func.max(sa.column(_quoted(column)))
        asked = sa.select(high if column else sa.func.count()).select_from(_source(found))
        return as_cheap_watermark(remote.execute(asked).scalar_one(), column)


def tables(url: str) -> list[TableName]:
    """Return the tables and views that there are."""
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
    given: DatabaseInput,
    origin: str,
) -> tuple[Any, list[SentColumn]]:
    import sqlalchemy as sa

    inspector = sa.inspect(remote)
    declared = inspector.get_columns(found.name, schema=found.schema)
    names = [column["name"] for column in declared]
    asked = asked_types(connection, given.types, names, origin=origin)
    columns = [
        declared_column(each["name"], each["type"], asked.get(each["name"], ""))
        for each in declared
    ]
    selected: list[Any] = []
    for column, each in zip(columns, declared, strict=True):
        source = sa.column(_quoted(column.name), each["type"])
        text = sa.cast(source, sa.Text).label(column.name)
        selected.append(text if column.as_text else source)
    rows_of = _source(found)
    statement = sa.select(*selected).select_from(rows_of)
    if (increasing := given.increasing) is not None:
        arrivals = [arriving(n, c, asked.get(c.name)) for n, c in enumerate(columns, 1)]
        typed = [(arrival.name, arrival.duckdb_type) for arrival in arrivals]
        position = position_of(increasing, typed, origin=origin, moments=False)
        ordered = sa.column(_quoted(columns[position].name), sa.BigInteger)
        asks = sa.select(sa.func.count(), sa.func.count(ordered), sa.func.max(ordered))
        rows, values, high = remote.execute(asks.select_from(rows_of)).one()
        increasing.check(as_watermark((rows, values, None if high is None else int(high))))
        if increasing.start:
            statement = statement.where(ordered >= int(increasing.start))
        statement = statement.order_by(ordered)
    return _streamed(remote).execute(statement), columns


def _query_rows(remote: Any, query: str) -> tuple[Any, list[SentColumn]]:
    # without parameters a driver leaves the percent signs of a query alone
    streamed = _streamed(remote).execution_options(no_parameters=True)
    result = streamed.exec_driver_sql(query)
    return result, [described_column(row) for row in result.cursor.description]


def _source(table: TableName) -> Any:
    import sqlalchemy as sa

    return sa.table(_quoted(table.name), schema=_quoted(table.schema))


def _quoted(name: str) -> Any:
    import sqlalchemy as sa

    return sa.quoted_name(name, quote=True)


def _streamed(remote: Any) -> Any:
    return remote.execution_options(stream_results=True, max_row_buffer=_FIRST_ROWS)


def _batches(
    result: Any, first: Sequence[Sequence[Any]], columns: Sequence[SentColumn], origin: str
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
