"""The exit codes of the commands, which scripts tell apart.

Which error is which is decided here; wording belongs to where an error is raised.
"""

from collections.abc import Sequence
from typing import Final

import click

from mds_tableau.errors import (
    AppendedAlready,
    EmptyExtract,
    ExportError,
    InputError,
    MdsTableauError,
    RowsFell,
    SchemaChanged,
    UnsupportedColumn,
    UsageError,
)

FAILED: Final = 1
WRONG_USAGE: Final = 2
REFUSED: Final = 3

_DATA: Final = (
    InputError,
    UnsupportedColumn,
    ExportError,
    EmptyExtract,
    RowsFell,
    AppendedAlready,
    SchemaChanged,
)
"""Errors that are about the data."""


class Ended(click.ClickException):
    """The message that a command ends with, and its exit code."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it of the instance


def exit_code(errors: Sequence[MdsTableauError]) -> int:
    """Return the exit code for what went wrong: that of all, or 1 where they differ."""
    codes = {_exit_code(error) for error in errors}
    return codes.pop() if len(codes) == 1 else FAILED


def _exit_code(error: MdsTableauError) -> int:
    if isinstance(error, UsageError):
        return WRONG_USAGE
    return REFUSED if isinstance(error, _DATA) else FAILED
