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

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mds_tableau.dagster_home import home_of, prepare_home, refuse_wrong_config
from mds_tableau.exits import FAILED
from mds_tableau.settings import read_settings


@click.command("refresh")
@click.argument("extracts", nargs=-1)
@click.option(
    "--select",
    metavar="SELECTION",
    default="",
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
    select: str,
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
    if extracts and select:
        raise click.UsageError("EXTRACTS and --select cannot be used together.")
    if allow_row_fall and not (extracts or select):
        raise click.UsageError("--allow-row-fall is for what EXTRACTS or --select names.")
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

    with _all_else_to(None if details else log) as console:
        with _shown(console) as show:
            show("Loading the pipeline")
            chosen = Refresh(extracts, select)
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
        click.echo(f"Run {done.run_id} failed. All that it said: {log}", err=True)
        ctx.exit(FAILED)


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
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    try:
        with log.open("ab") as file:
            file.truncate(0)
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        with open(kept[0], "w", encoding="utf-8", closefd=False) as terminal:
            yield Console(file=terminal, width=None if terminal.isatty() else 200)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, stream in zip(kept, (1, 2), strict=True):
            os.dup2(descriptor, stream)
            os.close(descriptor)
