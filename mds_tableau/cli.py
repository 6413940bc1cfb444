"""The command line `mds-tableau`: thin shells over the library, one for each command.

An error of ours ends as its message and exit code 1, wrong usage as exit code 2; what the commands
do, and exit codes of their own, belong to the modules that they call.
"""

import sqlite3
import sys
from importlib import import_module
from typing import Any, Final

import click
from rich.console import Console

from mds_tableau import __version__
from mds_tableau.errors import MdsTableauError, UsageError
from mds_tableau.exits import FAILED, WRONG_USAGE, Ended, Scripted, refuse_no_text
from mds_tableau.sandbox.command import sandbox
from mds_tableau.settings import load_settings
from mds_tableau.streams import open_missing

_LATE: Final = {
    "backup": ("mds_tableau.backup_command", "backup"),
    "doctor": ("mds_tableau.doctor_command", "doctor"),
    "inspect": ("mds_tableau.inspect_command", "inspect_command"),
    "list": ("mds_tableau.list_command", "list_command"),
    "notify": ("mds_tableau.notify_command", "notify"),
    "prune": ("mds_tableau.prune_command", "prune_command"),
    "publish": ("mds_tableau.publish_command", "publish"),
    "pull": ("mds_tableau.pull_command", "pull_command"),
    "refresh": ("mds_tableau.refresh_command", "refresh"),
    "restore": ("mds_tableau.backup_command", "restore"),
    "rollback": ("mds_tableau.rollback_command", "rollback_command"),
    "up": ("mds_tableau.up_command", "up"),
    "versions": ("mds_tableau.versions_command", "versions_command"),
}
"""Commands by name: where they are, as loading them takes longer than all others need."""


class _Plain(click.Group):
    """A group that shows our errors as their message, with a traceback only when asked for.

    Commands that need more than this module to be imported are looked up when they are asked for.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_LATE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _LATE:
            module, name = _LATE[cmd_name]
            command = getattr(import_module(module), name)
            assert isinstance(command, click.Command)  # noqa: S101  # the table below says so
            return command
        return super().get_command(ctx, cmd_name)

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command, also where stdout or another stream was closed."""
        open_missing()
        return super().main(*args, **options)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; what is no text cannot be told from other text by any."""
        name, command, rest = super().resolve_command(ctx, args)
        if not isinstance(command, Scripted):  # which prints it for scripts too
            refuse_no_text(rest)
        return name, command, rest

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (MdsTableauError, OSError, sqlite3.Error) as error:
            if ctx.params.get("verbose"):
                raise
            code = WRONG_USAGE if isinstance(error, UsageError) else FAILED
            raise Ended(str(error), code) from error


@click.group(cls=_Plain, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mds-tableau")
@click.option("--verbose", is_flag=True, help="Show where in the code an error happened.")
@click.pass_context
def main(ctx: click.Context, verbose: bool) -> None:
    """Keep dbt marts, files and tables live in Tableau Server as Hyper extracts.

    Settings come from the environment and from .env; .env.example lists them all.
    """
    ctx.obj = {
        "sandbox_dir": lambda: load_settings().mds_data_dir / "sandbox",
        "sandbox_projects": lambda: load_settings().sandbox_projects,
    }


@main.command()
@click.pass_context
def demo(ctx: click.Context) -> None:
    """Run the main job on a real retailer's year, into the local sandbox.

    \b
    Example:
      mds-tableau demo
    """  # noqa: D301  # click takes the escaped character itself
    # only this command needs DuckDB and rich tables; the others start faster without
    from mds_tableau.demo import run_demo

    ctx.exit(run_demo(load_settings(), Console(width=None if sys.stdout.isatty() else 100)))


@main.command()
@click.option(
    "--select", metavar="SELECTION", default="", help="Only these, in dbt's selection syntax."
)
@click.pass_context
def plan(ctx: click.Context, select: str) -> None:
    """Show what becomes of each column of each extract, and where it goes.

    Reads the types of the marts as they were built last, and says which are not built yet. Ends
    with exit code 1 when an extract would be refused.

    \b
    Example:
      mds-tableau plan --select fct_sales
    """  # noqa: D301  # click takes the escaped character itself
    # as above: this loads dbt and DuckDB
    from mds_tableau.plan_command import show_plan

    ctx.exit(show_plan(None, select, Console(width=None if sys.stdout.isatty() else 160)))


main.add_command(sandbox)
