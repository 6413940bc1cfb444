"""Knows a mart that is to be exported, what its columns become, and whether its values allow that.

How a single type is cast is decided in `column_rules`, what is looked for in values in `values`;
writing the mart belongs to `export`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import duckdb

from mds_tableau.column_options import ColumnOptions
from mds_tableau.column_types import plan_columns
from mds_tableau.columns import ColumnPlan
from mds_tableau.errors import ExportError, RefusedValues, first_line
from mds_tableau.renamed import numbered_columns, renamed_columns
from mds_tableau.values import Finding, check_values, told_apart
from mds_tableau.wording import MODEL, Wording


@dataclass(frozen=True)
class MartExport:
    """A mart to export.

    Attributes:
        name: Its name.
        relation: Quoted name of its relation.
        file: The model's SQL file, for messages.
        options: What is asked for single columns, by name.
        compiled: The SQL that dbt ran for it, or "" when it is not known.
        wording: How messages speak of it.
    """

    name: str
    relation: str
    file: str
    options: Mapping[str, ColumnOptions] = field(default_factory=dict)
    compiled: str = ""
    wording: Wording = MODEL

    def cannot(self, why: str, error: type[ExportError] = ExportError) -> ExportError:
        """Return the error that says why this mart cannot be exported."""
        space = "" if why.startswith("\n") else " "
        return error(f"Cannot export {self.wording.what} '{self.name}' ({self.file}):{space}{why}")


def describe(connection: duckdb.DuckDBPyConnection, relation: str) -> list[tuple[str, str]]:
    """Return name and DuckDB type of each column of a relation, in order."""
    rows = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()  # noqa: S608
    # where a view gives a column a name that differs in case alone, DuckDB describes the old one
    selected = connection.execute(f"SELECT * FROM {relation} LIMIT 0")  # noqa: S608
    names = [str(column[0]) for column in selected.description or ()]
    selected.fetchall()
    return [(name, row[1]) for name, row in zip(names, rows, strict=True)]


def plan_mart(connection: duckdb.DuckDBPyConnection, mart: MartExport) -> tuple[ColumnPlan, ...]:
    """Return the plan of each column of a mart, looking at its types and not at its values.

    Raises:
        UnsupportedColumn: As in `plan_columns`; also when DuckDB renamed one of two columns.
        ExportError: The relation is not there.
    """
    try:
        described = describe(connection, mart.relation)
    except duckdb.CatalogException as error:
        # of a view it may be something below that is missing, and DuckDB says what
        raise mart.cannot(
            f"{mart.relation} cannot be read: {first_line(error)} Build it first, for example "
            f"with --select '*parquet/{mart.name}*'."
        ) from error
    renamed = renamed_columns(connection, [name for name, _ in described], mart.compiled)
    twins = [
        f"the query selects '{first}' and '{second}', which DuckDB does not tell apart: it has "
        f"renamed the second to '{name}'. Give one of them another name."
        for first, second, name in renamed
    ]
    return plan_columns(
        described,
        mart=mart.name,
        file=mart.file,
        options=mart.options,
        problems=twins,
        wording=mart.wording,
    )


def check_mart(
    connection: duckdb.DuckDBPyConnection, mart: MartExport, plans: Sequence[ColumnPlan]
) -> list[str]:
    """Return warnings about the values of a mart.

    Raises:
        RefusedValues: Values would change on their way.
    """
    names = [plan.name for plan in plans]
    renamed = [
        f"column '{new}' is one of several that the query selects as '{old}', and DuckDB has "
        f"renamed it. Give it a name of its own, or leave it out: * EXCLUDE ({old})."
        for old, new in numbered_columns(connection, names, mart.compiled)
    ]

    def tell(finding: Finding) -> str:
        return finding.told(mart.wording.ask(finding.check.options))

    stopping, warnings = told_apart(check_values(connection, mart.relation, plans), tell)
    if stopping:
        raise mart.cannot(stopping, RefusedValues)
    return [*renamed, *warnings]
