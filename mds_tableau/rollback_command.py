"""The `rollback` command: an earlier version again. What that means is decided in `rollback`."""

import json
from dataclasses import asdict

import click

from mds_tableau.destination import Destination
from mds_tableau.exits import Scripted
from mds_tableau.rollback import RolledBack, roll_back, told
from mds_tableau.settings import load_settings
from mds_tableau.version_choice import find_shelf


@click.command("rollback", cls=Scripted)
@click.argument("name")
@click.option(
    "--to",
    metavar="WHEN",
    default="",
    help="The version, or the beginning of it: 20261125T063000Z, 2026-11-25.  [default: the one "
    "before the one that is published now]",
)
@click.option("--project", "-p", help="Path of its project, where several have the name.")
@click.option("--dry-run", is_flag=True, help="Check everything and publish nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print an object for scripts.")
def rollback_command(name: str, to: str, project: str | None, dry_run: bool, as_json: bool) -> None:
    """Publish an earlier version of NAME again, an extract or a datasource.

    It goes to where NAME was published last, once it is found to be what was published then. Fewer
    rows do not stop it. The next run that publishes the mart takes its place.

    \b
    Examples:
      mds-tableau rollback fct_sales
      mds-tableau rollback fct_sales --to 2026-11-25 --dry-run
    """  # noqa: D301  # click takes the escaped character itself
    settings = load_settings()
    settings.export()
    shelf = find_shelf(settings.mds_data_dir, name, project or "")
    with Destination.of(settings).session() as session:
        done = roll_back(
            session,
            settings.mds_data_dir,
            shelf,
            target=settings.target,
            to=to,
            keep=settings.mds_keep,
            is_dry=dry_run,
        )
    for warning in done.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if as_json:
        click.echo(json.dumps(_as_json(done)))
        return
    for line in told(done, shelf, settings.target):
        click.echo(line)


def _as_json(done: RolledBack) -> dict[str, object]:
    last = done.instead_of
    return {
        "extract": done.version.extract,
        "version": done.version.moment,
        "rows": done.version.record["rows"],
        "rows_before": None if last is None else last["rows"],
        "published": asdict(done.published) if done.published else None,
        "kept_as": done.kept.moment if done.kept else None,
        "warnings": list(done.warnings),
    }
