"""Shows how far a publish is: bars on a terminal, plain lines elsewhere, nothing when asked.

What is being done is told by who does it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mds_tableau import inputs


@contextmanager
def watching(*, is_silent: bool) -> Iterator[inputs.Progress]:
    """Give what is to be told of progress, for as long as there is any."""
    if is_silent:
        yield inputs.silent
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        ) as bars:
            yield _Bars(bars)


class _Lines:
    """Prints a line when something else begins."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if what != self._last:
            self._last = what
            click.echo(f"{what} ...", err=True)


class _Bars:
    """Has a bar for each thing that is done, one after the other."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._what = ""
        self._task = self._bars.add_task("", total=None, visible=False)

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if what != self._what:
            self._what = what
            self._bars.update(self._task, visible=False)
            self._task = self._bars.add_task(what, total=total)
        self._bars.update(self._task, completed=done, total=total)
