"""Putting batches into a table: all of them or none, and few at a time."""

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest

from mds_tableau.errors import InputError
from mds_tableau.inputs.landing import ArrivingColumn, land

ROWS = 122_880


def _batches(count: int, held: list[int] | None = None) -> Iterator[pa.RecordBatch]:
    for number in range(count):
        yield pa.RecordBatch.from_arrays([pa.array([number] * ROWS)], names=["c1"])
        if held is not None:
            held.append(pa.total_allocated_bytes())


def test_few_batches_are_held(duck: duckdb.DuckDBPyConnection) -> None:
    """Batches are let go of as soon as they are in the table, not when the last one is."""
    held: list[int] = []
    rows = land(
        duck,
        '"t"',
        [ArrivingColumn("x", "BIGINT", "c1")],
        _batches(20, held),
        origin="table t",
        counted=lambda _: None,
    )
    assert rows == 20 * ROWS
    assert duck.execute("SELECT count(*), sum(x) FROM t").fetchone() == (rows, 190 * ROWS)
    assert max(held) - held[0] < 3 * ROWS * 8


def test_misfit_in_a_late_batch(duck: duckdb.DuckDBPyConnection) -> None:
    """The first value that does not fit is named by its row, in whichever column and batch."""
    columns = [
        ArrivingColumn("x", "BIGINT", "c1"),
        ArrivingColumn("y", "TINYINT", "c1", misfit="c1 = 3", shown="c1"),
        ArrivingColumn("z", "TINYINT", "c1", misfit="c1 >= 2", shown="'two'", declared="word"),
    ]
    with pytest.raises(InputError) as error:
        land(duck, '"t"', columns, _batches(5), origin="table t", counted=lambda _: None)
    assert f"Row {2 * ROWS + 1:,} of table t: column 'z' (word) holds two" in str(error.value)
    assert duck.execute("SHOW TABLES").fetchall() == []


def test_table_that_duckdb_cannot_make(duck: duckdb.DuckDBPyConnection) -> None:
    """What DuckDB refuses for reasons of its own is said in its words."""
    duck.execute("CREATE VIEW t AS SELECT 1 AS x")
    with pytest.raises(InputError, match="Cannot take in table t: "):
        land(
            duck,
            '"t"',
            [ArrivingColumn("x", "BIGINT", "c1")],
            _batches(1),
            origin="table t",
            counted=lambda _: None,
        )
    assert duck.execute("SELECT x FROM t").fetchall() == [(1,)]
