"""Looks for values that would change on their way, in one pass over a relation.

What is looked for is part of a column's plan; what to do about a finding is decided by the caller.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from mds_tableau.columns import Check, ColumnPlan, quote_identifier

_EXAMPLE_LENGTH = 60


@dataclass(frozen=True)
class Finding:
    """Rows of a column that a check speaks of.

    Attributes:
        plan: The column.
        check: The check.
        rows: How many rows it speaks of.
        example: One of their values as text, cut to a readable length.
    """

    plan: ColumnPlan
    check: Check
    rows: int
    example: str

    def told(self, remedy: str) -> str:
        """Return what was found in one sentence, and the remedy behind it."""
        found = (
            f"column '{self.plan.name}' ({self.plan.duckdb_type}): {self.check.of(self.rows)}, "
            f"for example {self.example}."
        )
        return f"{found} {remedy}".rstrip()


def check_values(
    connection: duckdb.DuckDBPyConnection, relation: str, plans: Sequence[ColumnPlan]
) -> tuple[Finding, ...]:
    """Return what the checks of the plans find in a relation, in the order of its columns.

    Raises:
        duckdb.Error: The relation cannot be read.
    """
    checks = [(plan, check) for plan in plans for check in plan.checks]
    if not checks:
        return ()
    counts = _row(
        connection,
        relation,
        [f"count(*) FILTER (WHERE {check.condition})" for _, check in checks],
    )
    found = [
        (plan, check, int(rows)) for (plan, check), rows in zip(checks, counts, strict=True) if rows
    ]
    if not found:
        return ()
    # only now, as turning each value into text costs more than looking at it
    examples = _row(
        connection,
        relation,
        [
            f"left(any_value(CAST({quote_identifier(plan.name)} AS VARCHAR)) "
            f"FILTER (WHERE {check.condition}), {_EXAMPLE_LENGTH + 1})"
            for plan, check, _ in found
        ],
    )
    return tuple(
        Finding(plan, check, rows, shortened(str(example)))
        for (plan, check, rows), example in zip(found, examples, strict=True)
    )


def told_apart(
    findings: Sequence[Finding], tell: Callable[[Finding], str]
) -> tuple[str, list[str]]:
    """Return what stops the export, as the lines of a list, "" for nothing; and all warnings."""
    stopping = "".join(f"\n- {tell(finding)}" for finding in findings if finding.check.stops)
    return stopping, [tell(finding) for finding in findings if not finding.check.stops]


def _row(
    connection: duckdb.DuckDBPyConnection, relation: str, selected: Sequence[str]
) -> tuple[Any, ...]:
    select = f"SELECT {', '.join(selected)} FROM {relation}"  # noqa: S608
    row: tuple[Any, ...] | None = connection.execute(select).fetchone()
    return row or ()


def shortened(text: str) -> str:
    """Return an example value, cut to a readable length."""
    return text if len(text) <= _EXAMPLE_LENGTH else text[:_EXAMPLE_LENGTH] + "…"
