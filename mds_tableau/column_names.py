"""Knows which names, and how many, the columns of an extract may have.

Only names are looked at here, so that the exporter and the reader of foreign Parquet refuse the
same ones; types belong to `column_rules`. Measured with Hyper API 0.0.26963; the tests repeat it.
"""

from collections.abc import Sequence
from typing import Final

MOST_COLUMNS: Final = 16_384
"""Columns that a table in Hyper can have."""

_SYSTEM_NAMES: Final = ("cmax", "cmin", "ctid", "tableoid", "xmax", "xmin")


def name_problems(names: Sequence[str]) -> list[str]:
    """Return what an extract cannot hold of the names, one sentence each with what to do.

    >>> name_problems(["day", "net", "Net"])
    ["columns 'net' and 'Net' differ only in case, which Tableau may not tell apart. Rename one."]
    """
    problems = []
    if not names:
        problems.append("there are no columns. Write at least one.")
    if len(names) > MOST_COLUMNS:
        problems.append(
            f"there are {len(names):,} columns, and an extract holds at most {MOST_COLUMNS:,}. "
            "Leave columns out, or make several extracts of them."
        )
    for number, name in enumerate(names, 1):
        if problem := _problem(name, number):
            problems.append(problem)
    return problems + _equal(names)


def _problem(name: str, number: int) -> str | None:
    if not name:
        return f"column number {number} has an empty name. Give it one."
    if "\0" in name:
        return f"column {name!r} has the character U+0000 in its name. Rename it without."
    if name in _SYSTEM_NAMES:
        return (
            f"column '{name}' is called like one of Hyper's own columns ("
            f"{', '.join(_SYSTEM_NAMES)}). Rename it; '{name.upper()}' is allowed."
        )
    return None


def _equal(names: Sequence[str]) -> list[str]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    problems = [
        f"{count} columns are called '{name}'. Rename all but one of them, or leave them out."
        for name, count in counts.items()
        if count > 1
    ]
    alike: dict[str, list[str]] = {}
    for name in counts:
        alike.setdefault(name.casefold(), []).append(name)
    for group in alike.values():
        if len(group) > 1:
            *others, last = (f"'{name}'" for name in group)
            rest = "one" if len(group) == 2 else "all but one"
            problems.append(
                f"columns {', '.join(others)} and {last} differ only in case, which Tableau may "
                f"not tell apart. Rename {rest}."
            )
    return problems
