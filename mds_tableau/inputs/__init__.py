"""Brings data from where an analyst has it into a DuckDB connection, ready to be exported.

Finding out what a file or table holds, loading it without changing a value, and saying what was
decided on the way belong here; planning columns for an extract, exporting and publishing do not.
"""

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[str, int, int | None], None]
"""Told what is being done, how much of it is done, and how much there is, if that is known; in
bytes for files and in rows for tables."""


def silent(what: str, done: int, total: int | None) -> None:
    """Tell nobody of progress."""


@dataclass(frozen=True)
class Loaded:
    """Rows that are ready to be exported.

    Attributes:
        relation: Quoted name of a table or view in the connection, with the columns as they were
            found, in their order.
        origin: What messages call it, such as `sales.csv` or `table orders of shop.sqlite`.
        notes: What was decided for the analyst, such as a delimiter or a type; one sentence each.
    """

    relation: str
    origin: str
    notes: tuple[str, ...] = ()
