"""The `prune` command: makes room. What can go is decided in `retention`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click

from mds_tableau import grid
from mds_tableau.amounts import shown
from mds_tableau.columns import counted
from mds_tableau.errors import MdsTableauError
from mds_tableau.exits import Scripted
from mds_tableau.retention import (
    Limits,
    Old,
    debris,
    gone,
    let_go,
    old_dbt_runs,
    old_logs,
    old_versions,
)
from mds_tableau.room import free_bytes
from mds_tableau.settings import Settings, load_settings, variable

_KINDS: Final = {
    "version": "published versions beyond the limits",
    "dbt run": "compiled SQL and logs of past dbt runs",
    "log": "output of past Dagster runs",
    "debris": "debris of runs that were killed",
    "gone": "files of extracts that are not in the project",
}


@click.command("prune", cls=Scripted)
@click.option("--dry-run", is_flag=True, help="Tell what would go, and remove nothing.")
@click.option(
    "--gone",
    "with_gone",
    is_flag=True,
    help="Also remove Parquet, extracts and versions of what the dbt project does not have any "
    "more. They cannot be rolled back to afterwards.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of kind, path, bytes.")
@click.pass_context
def prune_command(ctx: click.Context, dry_run: bool, with_gone: bool, as_json: bool) -> None:
    """Remove what is beyond the limits: old versions, logs and debris.

    MDS_KEEP, MDS_KEEP_SIZE and MDS_KEEP_DAYS are the limits. Nothing that is published changes.
    Exit code 1 when something could not be removed.

    \b
    Example:
      mds-tableau prune --dry-run
    """  # noqa: D301  # click takes the escaped character itself
    settings = load_settings()
    settings.export()
    old = _found(settings)
    forgotten = _gone(settings, is_wanted=with_gone)
    going = [*old, *(forgotten if with_gone else ())]
    done, left = (going, []) if dry_run else let_go(going)
    if as_json:
        click.echo(json.dumps([{**vars(one), "path": str(one.path)} for one in done], indent=2))
    else:
        _tell(done, forgotten if not with_gone else [], settings, dry_run=dry_run)
    for one in left:
        click.echo(f"Warning: {one.path} could not be removed.", err=True)
    ctx.exit(1 if left else 0)


def _found(settings: Settings) -> list[Old]:
    limits, data = Limits.of(settings), settings.mds_data_dir
    home = variable("DAGSTER_HOME")
    return [
        *old_versions(data, limits),
        *old_dbt_runs(settings.mds_dbt_project / "target", limits),
        *(old_logs(Path(home) / "storage", limits) if home else ()),
        *debris(data),
    ]


def _gone(settings: Settings, *, is_wanted: bool) -> list[Old]:
    # loads dbt; only this needs it
    from mds_tableau.defs.project import find_project, prepare
    from mds_tableau.project_extracts import plan_extracts

    try:
        prepared = prepare(find_project(settings), settings.mds_marts)
        extracts = plan_extracts(
            prepared.manifest,
            prepared.selected,
            selection=settings.mds_marts,
            project=settings.tableau_project,
        ).valid()
    except MdsTableauError:
        # without a project nothing is known to be gone from it
        if is_wanted:
            raise
        return []
    return gone(settings.mds_data_dir, [extract.name for extract in extracts])


def _tell(done: list[Old], forgotten: list[Old], settings: Settings, *, dry_run: bool) -> None:
    console = grid.console()
    rows = [[text, *_sum(one for one in done if one.kind == kind)] for kind, text in _KINDS.items()]
    grid.show(("what", "number", "size"), [row for row in rows if row[1] != "0"], console)
    size = shown(sum(one.bytes for one in done))
    free = shown(free_bytes(settings.mds_data_dir))
    verb = "would be removed" if dry_run else "removed"
    grid.say(f"{counted(len(done), 'item')} of {size} {verb}; {free} are free.", console)
    if dry_run:
        for one in done:
            grid.say(f"  {one.path} ({shown(one.bytes)})", console)
    if forgotten:
        names = sorted({one.path.stem for one in forgotten})
        grid.say(
            f"{shown(sum(one.bytes for one in forgotten))} belong to extracts that are not in the "
            f"dbt project any more: {', '.join(names)}. They stay unless you say --gone.",
            console,
        )


def _sum(some: Iterable[Old]) -> list[str]:
    items = list(some)
    return [f"{len(items):,}", shown(sum(one.bytes for one in items))]
