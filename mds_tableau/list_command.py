"""The `list` command: what is published. Asking the server belongs to `tableau.listing`."""

import json
from datetime import datetime, timezone
from typing import Any, Final

import click

from mds_tableau import grid
from mds_tableau.columns import counted
from mds_tableau.destination import Destination
from mds_tableau.exits import Scripted
from mds_tableau.published import rows_known
from mds_tableau.settings import load_settings
from mds_tableau.tableau.listing import Listed, list_datasources
from mds_tableau.tableau.projects import find_project

_NOT_TOLD: Final = "-"
_HEADER: Final = (
    "project",
    "datasource",
    "updated (UTC)",
    "revision",
    "MB",
    "rows",
    "owner",
    "url",
)


@click.command("list", cls=Scripted)
@click.option("--project", "-p", help="Path or LUID of the project.  [default: all projects]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, with the LUIDs.")
def list_command(project: str | None, as_json: bool) -> None:
    """List what is published, without a server in the local sandbox.

    Rows are known of what was published last from this machine's data folder; "-" is what is not
    told. A project's own datasources are listed, not those of the projects in it.

    \b
    Example:
      mds-tableau list --project Retail/Daily
    """  # noqa: D301  # click takes the escaped character itself
    settings = load_settings()
    settings.export()
    with Destination.of(settings).session() as session:
        found = find_project(session, project) if project else None
        listed = list_datasources(session, found)
    data = settings.mds_data_dir
    known = rows_known([data / "published", *(data / "one_shot").glob("*")])
    records = [_record(one, known.get((one.id, one.revision))) for one in listed]
    if as_json:
        click.echo(json.dumps(records, indent=2))
        return
    console = grid.console()
    if records:
        grid.show(_HEADER, [_cells(record) for record in records], console)
    where = f"in project '{found.path}' of {settings.target}" if found else f"on {settings.target}"
    grid.say(f"{counted(len(records), 'datasource')} {where}", console)


def _record(one: Listed, rows: int | None) -> dict[str, Any]:
    return {
        "project": one.project,
        "datasource": one.name,
        "updated": None if one.updated_at is None else _utc(one.updated_at),
        "revision": one.revision,
        "megabytes": one.megabytes,
        "rows": rows,
        "owner": one.owner,
        "url": one.url or None,
        "id": one.id,
    }


def _cells(record: dict[str, Any]) -> list[str]:
    shown = {**record, "rows": None if record["rows"] is None else f"{record['rows']:,}"}
    return [
        _NOT_TOLD if value is None else str(value) for name, value in shown.items() if name != "id"
    ]


def _utc(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
