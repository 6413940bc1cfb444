"""Compares what Hyper holds with the mart that it was made of, in DuckDB.

Hyper writes the table of an extract back as Parquet, and the figures of that are compared with the
figures of the mart: a value that changed anywhere in between changes the hash of its row. Asking
Hyper belongs to `conversion`, looking at a single relation to `figures` and `values`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import duckdb

from mds_tableau.column_types import plan_columns
from mds_tableau.columns import HyperType, counted
from mds_tableau.errors import ExtractError
from mds_tableau.figures import ENGINE, Figures, column_hashes, hashes_without, measure
from mds_tableau.parquet import ParquetVersion
from mds_tableau.parquet_sql import parts_relation
from mds_tableau.parts import describe_parts
from mds_tableau.scratch import scratch
from mds_tableau.values import Finding, check_values, told_apart
from mds_tableau.wording import MODEL

Level = Literal["exact", "rows"]
"""How much is compared: every value of every row, or rows and values of each column counted."""

Columns = Sequence[tuple[str, HyperType]]

_MOST_COLUMNS: Final = 100
"""Columns among which a single one that is out of place is looked for."""


@dataclass(frozen=True)
class Comparison:
    """The figures of a mart beside those of its extract.

    Attributes:
        columns: Names of the columns, in the order of the figures.
        wanted: Figures of the mart.
        seen: Figures of the extract, as Hyper holds it.
        differing: Columns whose values differ, or stand in other rows, where that was looked for.
        moved: Whether the values of each column are right, and only stand in other rows.
        parquet_changed: Whether the extract is what the Parquet holds, and that is not the mart.
    """

    columns: tuple[str, ...]
    wanted: Figures
    seen: Figures
    differing: tuple[str, ...] = ()
    moved: bool = False
    parquet_changed: bool = False

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return self.wanted == self.seen

    def __str__(self) -> str:
        if self.wanted.rows != self.seen.rows:
            return f"{counted(self.seen.rows, 'row')} for the {self.wanted.rows:,} of the mart"
        pairs = zip(self.columns, self.wanted.not_null, self.seen.not_null, strict=True)
        counts = [
            f"column '{name}' has {counted(seen, 'value')} for {wanted:,}"
            for name, wanted, seen in pairs
            if wanted != seen
        ]
        if counts:
            return ", ".join(counts)
        if self.parquet_changed:
            return "the Parquet no longer holds what was exported of it"
        names = ", ".join(f"'{name}'" for name in self.differing)
        if not self.moved:
            return f"values differ in {names}"
        return f"the values of {names or 'each column'} are right, but stand in other rows"


class VerificationFailed(ExtractError):
    """An extract differs from the mart that it was made of.

    Attributes:
        comparison: The figures of both.
    """

    def __init__(self, message: str, comparison: Comparison) -> None:
        super().__init__(message)
        self.comparison = comparison


_WRITTEN: Final = {
    "as: text": "the column as text, declared as TEXT in the manifest",
    "infinity: null": "NULL instead",
    "truncate: us": "whole microseconds",
}
"""What another engine can write, for each option that would help in a dbt project."""


def is_ours(version: ParquetVersion) -> bool:
    """Whether the figures of a version were taken from the mart by the DuckDB that runs here."""
    counted = all(column.not_null is not None for column in version.columns)
    return version.engine == ENGINE and version.row_hash is not None and counted


def check_foreign_values(version: ParquetVersion) -> tuple[str, ...]:
    """Look for values in the parts that Hyper would change; return what is only worth a warning.

    Our own export has looked at the mart itself, and told its warnings then.

    Raises:
        ExtractError: There are such values; names column, rows, an example and a remedy.
    """
    if is_ours(version):
        return ()
    with scratch() as connection:
        plans = plan_columns(describe_parts(version), mart=version.mart, file=str(version.folder))
        findings = check_values(connection, parts_relation(version.paths), plans)

    def tell(finding: Finding) -> str:
        if version.is_exported:
            return finding.told(MODEL.ask(finding.check.options))
        ways = " or ".join(_WRITTEN[option] for option in finding.check.options)
        return finding.told(f"Have {version.engine} write {ways}." if ways else "")

    stopping, warnings = told_apart(findings, tell)
    if stopping:
        raise ExtractError(f"Cannot convert mart '{version.mart}' from {version.folder}:{stopping}")
    return tuple(warnings)


def compare_counts(columns: Columns, wanted: Figures, seen: Figures) -> Comparison:
    """Compare rows and values of each column, as Hyper counted them, with those of the mart."""
    names = tuple(name for name, _ in columns)
    return Comparison(names, Figures(wanted.rows, wanted.not_null), seen)


def compare_values(
    version: ParquetVersion,
    columns: Columns,
    wanted: Figures,
    back: Path,
    *,
    converted: Path | None = None,
) -> Comparison:
    """Compare every value of an extract with the mart.

    Args:
        version: The Parquet that the extract was made of.
        columns: Name and type of each column.
        wanted: The figures of the mart.
        back: What Hyper wrote back of the extract.
        converted: What Hyper makes of the Parquet itself, when it converts values on its way:
            geographies have no other measure than Hyper's own reading of them.
    """
    made_of, seen_in = parts_relation(version.paths), parts_relation([back])
    with scratch() as connection:
        if converted is None:
            seen = measure(connection, seen_in, columns)
            return _told_apart(connection, columns, made_of, seen_in, wanted, seen)
        # what Hyper read itself is compared with the Parquet, so that has to be right first
        held = measure(connection, made_of, columns)
        if held != wanted:
            return _told_apart(connection, columns, made_of, made_of, wanted, held)
        kept = [column for column in columns if column[1].name != "GEOGRAPHY"]
        for source, compared in ((made_of, kept), (parts_relation([converted]), columns)):
            if not compared:
                continue
            right = measure(connection, source, compared)
            seen = measure(connection, seen_in, compared)
            comparison = _told_apart(connection, compared, source, seen_in, right, seen)
            if not comparison.is_equal:
                break
        return comparison


def figures_of_mart(version: ParquetVersion, columns: Columns) -> Figures:
    """Return the figures of the mart; where nobody took them, those of the Parquet."""
    if is_ours(version):
        counts = tuple(int(column.not_null or 0) for column in version.columns)
        return Figures(version.rows, counts, version.row_hash)
    with scratch() as connection:
        return measure(connection, parts_relation(version.paths), columns)


def _told_apart(
    connection: duckdb.DuckDBPyConnection,
    columns: Columns,
    source: str,
    seen_in: str,
    wanted: Figures,
    seen: Figures,
) -> Comparison:
    names = tuple(name for name, _ in columns)
    if wanted == seen:
        return Comparison(names, wanted, seen)
    # worth a look at each column now, so that the message can name it
    if source == seen_in or measure(connection, source, columns) == seen:
        return Comparison(names, wanted, seen, parquet_changed=True)
    right, found = (column_hashes(connection, of, columns) for of in (source, seen_in))
    differing = tuple(name for name in names if right[name] != found[name])
    if differing or not 1 < len(columns) <= _MOST_COLUMNS:
        return Comparison(names, wanted, seen, differing, moved=not differing)
    right, found = (hashes_without(connection, of, columns) for of in (source, seen_in))
    alone = tuple(name for name in names if right[name] == found[name])
    return Comparison(names, wanted, seen, alone, moved=True)
