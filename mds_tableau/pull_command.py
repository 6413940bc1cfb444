"""The `pull` command: options become a download. Carrying it out belongs to `pull`."""

import json
from pathlib import Path

import click

from mds_tableau import grid
from mds_tableau.columns import counted
from mds_tableau.destination import Destination
from mds_tableau.exits import Scripted
from mds_tableau.pull import FORMS, Form, Pulled, default_output, pull
from mds_tableau.settings import load_settings


@click.command("pull", cls=Scripted)
@click.argument("name")
@click.option(
    "--project", "-p", help="Path or LUID of its project.  [default: wherever it is, if once]"
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="The file to write.  [default: NAME with the suffix of its form]",
)
@click.option(
    "--to",
    "form",
    type=click.Choice(FORMS),
    default="hyper",
    show_default=True,
    help="What to make of it.",
)
@click.option("--revision", type=click.IntRange(1), help="Which revision.  [default: the newest]")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pull_command(
    name: str,
    project: str | None,
    output: Path | None,
    form: Form,
    revision: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Download the extract of a datasource, and make Parquet or CSV of it.

    NAME is the datasource's name, in any case. Nothing is left behind when it fails.

    \b
    Examples:
      mds-tableau pull fct_sales --project Retail/Daily
      mds-tableau pull fct_sales --to csv --output sales.csv --revision 3
    """  # noqa: D301  # click takes the escaped character itself
    settings = load_settings()
    settings.export()
    pulled = pull(
        Destination.of(settings),
        name,
        output or default_output(name, form),
        project=project,
        form=form,
        revision=revision,
        is_forced=force,
    )
    if as_json:
        click.echo(json.dumps(_record(pulled), indent=2))
        return
    console = grid.console()
    grid.say(
        f"{pulled.path}: {counted(pulled.rows, 'row')}, {counted(pulled.bytes, 'byte')} of "
        f"'{pulled.datasource}' in '{pulled.project}' on {settings.target}",
        console,
    )
    if pulled.as_text:
        listed = ", ".join(map(repr, pulled.as_text))
        grid.say(f"Text in the file, as Parquet has no such type: {listed}.", console)


def _record(pulled: Pulled) -> dict[str, object]:
    return {
        "file": str(pulled.path),
        "datasource": pulled.datasource,
        "project": pulled.project,
        "rows": pulled.rows,
        "bytes": pulled.bytes,
        "as_text": list(pulled.as_text),
    }
