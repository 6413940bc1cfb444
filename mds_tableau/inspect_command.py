"""The `inspect` command: what is in a `.hyper`. Reading it belongs to `hyper_contents`."""

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from mds_tableau import grid
from mds_tableau.columns import counted
from mds_tableau.exits import Scripted
from mds_tableau.hyper import Hyper
from mds_tableau.hyper_contents import Contents, TableContents, Value, contents_of


@click.command("inspect", cls=Scripted)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--rows",
    default=5,
    show_default=True,
    type=click.IntRange(0, 10_000),
    help="How many rows of each table to show.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect_command(file: Path, rows: int, as_json: bool) -> None:
    """Show tables, columns, types and the first rows of an extract.

    FILE is a .hyper, whatever made it; it is not changed.

    \b
    Example:
      mds-tableau inspect data/hyper/fct_sales.hyper --rows 10
    """  # noqa: D301  # click takes the escaped character itself
    with Hyper() as hyper:
        contents = contents_of(hyper, file, rows=rows)
    if as_json:
        click.echo(json.dumps(_record(contents), indent=2))
        return
    console = grid.console()
    opens = f", opens in {contents.oldest_tableau} or later" if contents.oldest_tableau else ""
    grid.say(
        f"{file}: {counted(contents.bytes, 'byte')}, file version {contents.file_version}{opens}, "
        f"{counted(len(contents.tables), 'table')}",
        console,
        "bold",
    )
    for table in contents.tables:
        _show(table, console)


def _show(table: TableContents, console: Console) -> None:
    size = f"{counted(table.rows, 'row')}, {counted(len(table.columns), 'column')}"
    grid.say(f"\n{table.schema}.{table.name}: {size}", console, "bold")
    grid.show(("column", "type"), table.columns, console)
    if table.first:
        grid.say(f"\nfirst {counted(len(table.first), 'row')} of {table.name}:", console, "bold")
        header = [name for name, _ in table.columns]
        grid.show(header, [[_shown(value) for value in row] for row in table.first], console)


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "NULL" if value is None else str(value)


def _record(contents: Contents) -> dict[str, object]:
    return {
        "file": str(contents.path),
        "bytes": contents.bytes,
        "file_version": contents.file_version,
        "oldest_tableau": contents.oldest_tableau or None,
        "tables": [
            {
                **asdict(table),
                "columns": [{"name": name, "type": of_type} for name, of_type in table.columns],
            }
            for table in contents.tables
        ],
    }
