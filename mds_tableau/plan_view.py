"""Shows what becomes of columns, as a table or, where that has no place, one after the other.

What is planned is decided in `plan` and in `column_types`; what it is for is told by who shows it.
"""

from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mds_tableau.plan import PLAN_HEADER, TypesPlan

_WIDEST: Final = 1_000_000
_NARROWEST_NOTE: Final = 30
"""Characters that what is lost or checked has to have in a line of the table."""


def show_columns(plan: TypesPlan, console: Console) -> None:
    """Print what becomes of each column, and what the extract of them needs."""
    raised = f", raised by {', '.join(plan.raised_by)}" if plan.raised_by else ""
    console.print(
        Text(f"file version {plan.file_version}{raised}; opens in {plan.oldest_tableau} or later"),
        soft_wrap=True,
    )
    rows = plan.rows
    table = _table(rows)
    unbounded = console.options.update(max_width=_WIDEST)
    if console.measure(table, options=unbounded).minimum <= console.width:
        console.print(table)
    else:
        _list(rows, console)
    console.print()


def _table(rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for place, name in enumerate(PLAN_HEADER[:-1]):
        # a name or type in two lines is hard to read, and to find with grep; rich would crop it
        # between two words, as of these alone it makes the least width
        widest = max((cell_len(_one_line(row[place])) for row in rows), default=0)
        table.add_column(name.replace("_", " "), no_wrap=True, min_width=widest)
    table.add_column(PLAN_HEADER[-1].replace("_", " "), min_width=_NARROWEST_NOTE)
    for row in rows:
        # as text: rich would read [brackets] in a name as markup
        table.add_row(*(Text(_one_line(cell)) for cell in row))
    return table


def _list(rows: Sequence[tuple[str, ...]], console: Console) -> None:
    """Print what has no place side by side, one column of the mart after the other."""
    console.print()
    for name, duckdb_type, cast, parquet, hyper_type, note in rows:
        types = " -> ".join(filter(None, (duckdb_type, cast, parquet, hyper_type)))
        console.print(Text(_one_line(name), style="bold"), soft_wrap=True)
        console.print(Text(f"  {_one_line(types)}"), soft_wrap=True)
        if note:
            console.print(Padding(Text(note), (0, 0, 0, 2)))


def _one_line(text: str) -> str:
    return text if text.isprintable() else repr(text)
