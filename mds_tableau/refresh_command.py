"""The `refresh` command: the pipeline once, now, in a few lines.

What is printed belongs here; running it to `defs.refresh`, and what is said of extracts that did
not arrive to `defs.report`. Everything else that Dagster and dbt say goes to a file.
"""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mds_tableau.dagster_home import home_of, prepare_home, refuse_wrong_config
from mds_tableau.errors import ServiceError
from mds_tableau.exits import FAILED
from mds_tableau.settings import read_settings
from mds_tableau.streams import unbreakable, unbroken_output


@click.command("refresh")
@click.argument("extracts", nargs=-1)
@click.option(
    "--select",
    metavar="SELECTION",
    help="Instead of EXTRACTS: assets, in Dagster's selection syntax.",
)
@click.option("--force", is_flag=True, help="Make and publish also what did not change.")
@click.option(
    "--allow-row-fall",
    is_flag=True,
    help="Publish what is named also with far fewer rows than before.",
)
@click.option("--details", is_flag=True, help="Print all that Dagster and dbt say.")
@click.option("--quiet", "-q", is_flag=True, help="Print only warnings and what failed.")
@click.pass_context
def refresh(
    ctx: click.Context,
    extracts: tuple[str, ...],
    select: str | None,
    force: bool,
    allow_row_fall: bool,
    details: bool,
    quiet: bool,
) -> None:
    """Bring EXTRACTS up to date with all that they need: build, verify, publish.

    Without EXTRACTS: everything. The run is kept in DAGSTER_HOME (by default dagster in the data
    folder), where the UI shows it. Ends with exit code 1 when something did not arrive; the last
    lines say what, why, and what to do.

    \b
    Examples:
      mds-tableau refresh
      mds-tableau refresh daily_sales --force
      mds-tableau refresh --select 'tableau/daily_sales'
    """  # noqa: D301  # click takes the escaped character itself
    _refuse_unclear(extracts, select, allow_row_fall)
    # what is wrong with them is told with all else that is configured
    settings, _ = read_settings()
    home = home_of(settings)
    prepare_home(home)
    refuse_wrong_config(home)
    settings.export(DAGSTER_HOME=str(home))
    log = settings.mds_data_dir / "refresh_details.log"
    # loading it takes seconds, most of them Dagster's
    from mds_tableau.defs.startup import spare_dbt

    spare_dbt()
    from mds_tableau.defs.refresh import Refresh, Step

    # the work is not to end where nobody reads of it; the report is printed behind this function
    ctx.with_resource(unbroken_output())
    with _all_else_to(None if details else log) as console:
        with _shown(console) as show:
            show("Loading the pipeline")
            chosen = Refresh(extracts, select or "")
            ended: Counter[str] = Counter()

            def tell(step: Step) -> None:
                if step.name.startswith("tableau/"):
                    ended[step.state] += 1
                if step.state == "begun":
                    show(f"{step.name}: {step.made}" if step.made else step.name)
                elif not quiet or step.state == "FAILED":
                    line = f"{step.state:6} {step.name:40} {step.seconds:7.1f} s  {step.note}"
                    console.print(line.rstrip(), highlight=False, markup=False, soft_wrap=True)

            done = chosen.run(home, tell, force=force, allow_row_fall=allow_row_fall)
        for said in (*(f"Warning: {warning}" for warning in done.warnings), *done.failures):
            console.print(said, highlight=False, markup=False, soft_wrap=True)
    if done.is_done and not quiet:
        click.echo(f"{ended['done']} published, {ended['same']} unchanged since the last time.")
    if not done.is_done:
        # before the report, which is said last
        how = "was stopped" if done.is_stopped else "failed"
        where = "" if details else f" All that it said: {log}"
        click.echo(f"Run {done.run_id} {how}.{where}", err=True)
        ctx.exit(FAILED)


def _refuse_unclear(extracts: tuple[str, ...], select: str | None, allow_row_fall: bool) -> None:
    empty = [name for name in extracts if not name.strip()]
    if empty or (select is not None and not select.strip()):
        # as of a variable of a script that is not set; everything would be done then
        what = "EXTRACTS has an empty name" if empty else "--select is empty"
        raise click.UsageError(f"{what}. Name what is wanted, or leave it out for everything.")
    if extracts and select:
        raise click.UsageError("EXTRACTS and --select cannot be used together.")
    if allow_row_fall and not (extracts or select):
        raise click.UsageError("--allow-row-fall is for what EXTRACTS or --select names.")


@contextmanager
def _shown(console: Console) -> Iterator[Callable[[str], None]]:
    """Show on a terminal what goes on, and for how long; yield how to say what."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        # what is printed meanwhile goes elsewhere, and would be shown above the line
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        task = progress.add_task("", total=None)

        def show(what: str) -> None:
            progress.reset(task, description=what)

        yield show


@contextmanager
def _all_else_to(log: Path | None) -> Iterator[Console]:
    """Send to a file what anybody prints, this process and its children, and yield a way around.

    Python's own streams are not enough for that: Dagster takes a step's output at the descriptors.
    """
    if log is None:
        yield Console()
        return
    written = _opened(log)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    try:
        with written as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        with unbreakable(kept[0]) as terminal:
            yield Console(file=terminal, width=None if terminal.isatty() else 200)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, stream in zip(kept, (1, 2), strict=True):
            os.dup2(descriptor, stream)
            os.close(descriptor)


def _opened(log: Path) -> BinaryIO:
    wrong = ""
    if log.exists() and not log.is_file():
        # a pipe would be waited for, until somebody reads it
        wrong = "is no file"
    else:
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            file = log.open("ab")
            file.truncate(0)
            return file
        except OSError as error:
            wrong = f"cannot be written: {error.strerror}"
    raise ServiceError(
        f"{log}, where all goes that Dagster and dbt say, {wrong}. Move it away and see that this "
        "user may write there, or have all of it printed instead, with --details."
    )
