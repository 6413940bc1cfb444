"""How commands end when something went wrong: their exit codes, and what scripts read.

Which error is which is decided here; wording belongs to where an error is raised.
"""

import json
import os
import sqlite3
import sys
from collections.abc import Sequence
from typing import Any, Final

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
    """The message that a command ends with, its exit code, and the errors that it is of."""

    def __init__(
        self, message: str, exit_code: int = FAILED, errors: Sequence[MdsTableauError] = ()
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it of the instance
        self.errors = errors


class Scripted(click.Command):
    """A command with `--json`, which then prints what went wrong as an object for each error.

    It has the keys `error`, the class, and `message`. What is on stderr, and the exit code, are the
    same as without.
    """

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the arguments; what is wrong with them is known before `--json` is."""
        given = list(args)
        try:
            refuse_no_text(args)
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            if "--json" in given:
                _print(error)
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (Ended, click.UsageError, MdsTableauError, OSError, sqlite3.Error) as error:
            if ctx.params["as_json"]:
                for one in error.errors if isinstance(error, Ended) else (error,):
                    _print(one)
            raise


def refuse_no_text(args: Sequence[str]) -> None:
    """Return when every argument is text.

    Raises:
        click.UsageError: One holds bytes that are none in the encoding of this system.
    """
    for arg in args:
        if any("\udc80" <= character <= "\udcff" for character in arg):
            encoding = sys.getfilesystemencoding().upper()
            shown = os.fsencode(arg).decode(encoding, "backslashreplace")
            raise click.UsageError(
                f"The argument {shown} is no text in {encoding}. Write it so; a file of such a "
                "name has to be renamed."
            )


def _print(error: Exception) -> None:
    if isinstance(error, click.UsageError):
        # to who reads it, it is the same whether click has found it or we have
        name, message = UsageError.__name__, error.format_message()
    else:
        name, message = type(error).__name__, str(error)
    click.echo(json.dumps({"error": name, "message": message}))


def exit_code(errors: Sequence[MdsTableauError]) -> int:
    """Return the exit code for what went wrong: that of all, or 1 where they differ."""
    codes = {_exit_code(error) for error in errors}
    return codes.pop() if len(codes) == 1 else FAILED


def _exit_code(error: MdsTableauError) -> int:
    if isinstance(error, UsageError):
        return WRONG_USAGE
    return REFUSED if isinstance(error, _DATA) else FAILED
