"""Shows rows as a table or, where that has no place, one after the other; nothing is ever cropped.

What is in the rows belongs to who shows them.
"""

import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDEST: Final = 1_000_000


def console() -> Console:
    """Return what to print on: of the terminal's width, and else of any, a line for each row."""
    return Console(width=None if sys.stdout.isatty() else _WIDEST, highlight=False)


def show(header: Sequence[str], rows: Sequence[Sequence[str]], on: Console) -> None:
    """Print rows under a header."""
    cells = [[_one_line(cell) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in header:
        table.add_column(_one_line(name), no_wrap=True)
    for row in cells:
        # as text: rich would read [brackets] as markup
        table.add_row(*map(Text, row))
    needed = on.measure(table, options=on.options.update(max_width=_WIDEST)).minimum
    if needed <= on.width:
        on.print(table)
        return
    for row in cells:
        for name, cell in zip(header, row, strict=True):
            on.print(Text(f"{_one_line(name)}: {cell}"), soft_wrap=True)
        on.print()


def say(text: str, on: Console, style: str = "") -> None:
    """Print a line as it is, however long."""
    on.print(Text(text, style=style), soft_wrap=True)


def _one_line(text: str) -> str:
    return text if text.isprintable() else repr(text)
