"""Puts batches of rows that arrive from a database into a table of DuckDB, all of them or none.

What is asked of the database, and as what it arrives, belongs to the readers; SQL of casts to
`casts`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import duckdb

from mds_tableau.columns import quote_identifier
from mds_tableau.errors import InputError, first_line
from mds_tableau.inputs.increasing import Increasing, require_columns

if TYPE_CHECKING:
    import pyarrow

Place = Callable[[int, str], str]
"""Says where the value of a row, counted from 1, and a column is."""

_BATCH: Final = "mds_tableau_arriving"
_CHUNK_BYTES: Final = 32 * 1024**2
"""What is gathered before it is inserted: enough to make an insert worth it, little in memory."""
_CHUNK_ROWS: Final = 122_880
"""Rows of a row group of DuckDB."""
_SHOWN: Final = 80
_TEXT: Final = ("VARCHAR",)
_INSTEAD: Final = {"VARCHAR": ("BLOB",), "TIMESTAMP": ("TIMESTAMPTZ", "VARCHAR")}
"""Types that may hold what another does not."""


@dataclass(frozen=True)
class ArrivingColumn:
    """A column on its way from a batch into the table.

    Attributes:
        name: Its name in the table.
        duckdb_type: Its type there.
        value: SQL of its value, over the columns of the batch.
        misfit: SQL that is true where that is not what the database holds; "" for never.
        shown: SQL of what the database holds, for messages.
        declared: Its type in the database, for messages.
        note: What was decided about it, "" for nothing.
    """

    name: str
    duckdb_type: str
    value: str
    misfit: str = ""
    shown: str = "NULL"
    declared: str = ""
    note: str = ""

    @property
    def selected(self) -> str:
        """SQL of its value, which stops at a misfit."""
        if not self.misfit:
            return f"CAST({self.value} AS {self.duckdb_type})"
        return f"CASE WHEN {self.misfit} THEN error('misfit') ELSE {self.value} END"


def land(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[ArrivingColumn],
    batches: "Iterable[pyarrow.RecordBatch]",
    *,
    origin: str,
    counted: Callable[[int], None],
    place: Place | None = None,
    increasing: Increasing | None = None,
) -> int:
    """Make the table of the batches and return the number of rows that arrived.

    When anything fails, whatever the table was before is as it was; but rows of an increasing table
    are added to those that are there, and what has arrived of them stays, to be gone on with.

    Args:
        connection: Has no open transaction; the table is made in it.
        table: Quoted name of the table.
        columns: Its columns, in order.
        batches: The rows; not more than a few of them are held at a time.
        origin: What messages call the data.
        counted: Told how many rows have arrived.
        place: Says where a value is; by default by row and column.
        increasing: What was asked for, when the rows come in the order of a column.

    Raises:
        InputError: A value would change; names row, column and value.
        CannotContinueError: The columns are not those that are expected.
    """
    declared = ", ".join(f"{quote_identifier(c.name)} {c.duckdb_type}" for c in columns)
    selected = ", ".join(column.selected for column in columns)
    rows = 0
    done = False
    connection.begin()
    try:
        if increasing is None:
            connection.execute(f"CREATE OR REPLACE TABLE {table} ({declared})")
        else:
            types = [(column.name, column.duckdb_type) for column in columns]
            require_columns(connection, types, increasing, origin=origin)
            if increasing.start:
                # rows are counted from there
                origin += f", from {increasing.column} {increasing.start} on"
            connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({declared})")
        for arriving in _chunks(batches):
            # found by DuckDB as a variable: one that is registered stays until the transaction ends
            try:
                connection.execute(f"INSERT INTO {table} SELECT {selected} FROM arriving")  # noqa: S608
            except duckdb.Error as error:
                connection.rollback()
                connection.register(_BATCH, arriving)
                raise first_misfit(
                    connection, _BATCH, columns, rows, origin, error, place
                ) from None
            rows += arriving.num_rows
            if increasing is not None:
                connection.commit()
                connection.begin()
            counted(rows)
        connection.commit()
        done = True
    except duckdb.Error as error:
        raise InputError(f"Cannot take in {origin}: {first_line(error)}") from None
    finally:
        if not done:
            _rolled_back(connection)
    return rows


def require_text(
    batch: "pyarrow.RecordBatch", names: Sequence[str], *, before: int, origin: str
) -> None:
    """Raise an error when a text of a batch is not valid UTF-8.

    Args:
        batch: Its columns come in the order of `names`; there may be more.
        names: What messages call them.
        before: Rows that came before it.
        origin: What messages call the data.

    Raises:
        InputError: Names row, column and bytes.
    """
    import pyarrow as pa

    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        for name, column in zip(names, batch.columns, strict=False):
            if not pa.types.is_string(column.type):
                continue
            for number, value in enumerate(column.cast(pa.binary()).to_pylist(), before + 1):
                if value is not None and not _is_text(value):
                    raise InputError(
                        f"Row {number:,} of {origin}: column '{name}' holds {_short(value)}, which "
                        "is not text in UTF-8. Correct it there, or read it by a query as bytes: "
                        f"CAST({quote_identifier(name)} AS BLOB)."
                    ) from None
        raise


def _chunks(batches: "Iterable[pyarrow.RecordBatch]") -> "Iterator[pyarrow.Table]":
    """Yield the batches gathered, so that many small ones do not cost an insert each."""
    import pyarrow as pa

    gathered: list[Any] = []
    size = rows = 0
    for batch in batches:
        gathered.append(batch)
        size += batch.nbytes
        rows += batch.num_rows
        if size >= _CHUNK_BYTES or rows >= _CHUNK_ROWS:
            yield pa.Table.from_batches(gathered)
            gathered, size, rows = [], 0, 0
    if rows:
        yield pa.Table.from_batches(gathered)


def first_misfit(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    columns: Sequence[ArrivingColumn],
    before: int,
    origin: str,
    error: duckdb.Error,
    place: Place | None = None,
) -> InputError:
    """Return the error that names the first value that would change, or says what else it was.

    Args:
        connection: Reads the relation.
        relation: Where the values are, in SQL.
        columns: What was to become of them.
        before: Rows that came before those.
        origin: What messages call the data.
        error: What DuckDB said.
        place: Says where a value is; by default by row and column.
    """
    found: tuple[int, ArrivingColumn, str | None] | None = None
    for column in columns:
        if not column.misfit:
            continue
        row = connection.execute(
            f"SELECT number, CAST({column.shown} AS VARCHAR) FROM (SELECT row_number() OVER () AS "  # noqa: S608
            f"number, * FROM {relation}) WHERE {column.misfit} ORDER BY number LIMIT 1"
        ).fetchone()
        if row and (found is None or row[0] < found[0]):
            found = (row[0], column, row[1])
    if found is None:
        return InputError(f"Cannot take in {origin}: {first_line(error)}")
    number, column, value = found
    others = " or ".join(f"{column.name}={t}" for t in _INSTEAD.get(column.duckdb_type, _TEXT))
    declared = f" ({column.declared})" if column.declared else ""
    where, elsewhere = f"Row {before + number:,} of {origin}:", ", or read by a query that does"
    if place is not None:
        where, elsewhere = f"{place(before + number, column.name)},", ""
    return InputError(
        f"{where} column '{column.name}'{declared} holds {_short(value)}, which cannot be "
        f"{column.duckdb_type} without a change. Ask for another type of the column, such as "
        f"{others}, or correct or leave out the value{elsewhere}."
    )


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _rolled_back(connection: duckdb.DuckDBPyConnection) -> None:
    with suppress(duckdb.TransactionException):  # there may be none any more
        connection.rollback()
    connection.unregister(_BATCH)
