"""The `backup` and `restore` commands: one file out of an instance and its data, and back.

What is in it belongs to `backup` and `restore`.
"""

from importlib.metadata import version
from pathlib import Path

import click

from mds_tableau.backup import make_backup
from mds_tableau.columns import counted
from mds_tableau.dagster_home import home_of
from mds_tableau.restore import restore_backup
from mds_tableau.settings import load_settings, variable


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--with-warehouse",
    is_flag=True,
    help="Also the DuckDB file of the data folder, which a run builds again otherwise.",
)
def backup(file: Path, with_warehouse: bool) -> None:
    """Write history and memory of the pipeline to FILE, also while it runs.

    In it are Dagster's instance, and of the data folder what was published, local versions and
    dbt's results. Not in it: secrets, the raw files, and what the next run builds again.

    \b
    Example:
      mds-tableau backup /backups/mds-2026-11-25.tar.gz
    """  # noqa: D301  # click takes the escaped character itself
    settings = load_settings()
    home = home_of(settings)
    made = make_backup(
        file.absolute(), home=home, data=settings.mds_data_dir, with_warehouse=with_warehouse
    )
    click.echo(f"{made.path}: {counted(made.files, 'file')}, {made.bytes / 1e6:.1f} MB.")
    if "storage:" in _config(home):
        click.echo(
            "Runs and their events are in a database, which is not in it: back that up as well "
            "(pg_dump)."
        )


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--force",
    is_flag=True,
    help="Where something is there already, move it into a folder beside and go on.",
)
def restore(file: Path, force: bool) -> None:
    """Put a backup back into the folders that the settings name.

    All of FILE is looked through before anything changes.

    \b
    Example:
      mds-tableau restore /backups/mds-2026-11-25.tar.gz
    """  # noqa: D301  # click takes the escaped character itself
    settings = load_settings()
    home = home_of(settings)
    put = restore_backup(file, home=home, data=settings.mds_data_dir, force=force)
    click.echo(f"{counted(put.files, 'file')} of {put.made_at} put back into {home} and")
    click.echo(f"{settings.mds_data_dir}.")
    for folder in put.aside:
        click.echo(f"What was there before is in {folder}.")
    if put.dagster != version("dagster"):
        click.echo(
            f"It was made with Dagster {put.dagster}, and {version('dagster')} is installed: run "
            "`dagster instance migrate` before anything else."
        )
    if not variable("DAGSTER_HOME"):
        click.echo(f"Plain `dagster` commands need DAGSTER_HOME={home}.")


def _config(home: Path) -> str:
    config = home / "dagster.yaml"
    lines = config.read_text(encoding="utf-8").splitlines() if config.is_file() else []
    return "\n".join(line for line in lines if line.startswith("storage:"))
