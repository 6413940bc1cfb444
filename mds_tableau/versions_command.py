"""The `versions` command: what is kept of an extract. Keeping it belongs to `versions`."""

import json
from typing import Any, Final

import click

from mds_tableau import grid
from mds_tableau.amounts import shown
from mds_tableau.columns import counted
from mds_tableau.destination import Destination
from mds_tableau.errors import MdsTableauError
from mds_tableau.exits import Scripted
from mds_tableau.settings import Settings, load_settings
from mds_tableau.version_choice import find_shelf, held_version, known_name
from mds_tableau.versions import KeptVersion, total_bytes

_NOT_TOLD: Final = "-"
_HEADER: Final = ("version", "published (UTC)", "rows", "size", "revision", "")


@click.command("versions", cls=Scripted)
@click.argument("name")
@click.option("--project", "-p", help="Path of its project, where several have the name.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def versions_command(name: str, project: str | None, as_json: bool) -> None:
    """List the published versions that are kept of NAME, an extract or a datasource.

    The one that the server holds now is marked; where it holds none of them, it was published since
    from elsewhere, or under another spelling of the name.

    \b
    Example:
      mds-tableau versions fct_sales
    """  # noqa: D301  # click takes the escaped character itself
    settings = load_settings()
    settings.export()
    shelf = find_shelf(settings.mds_data_dir, name, project or "")
    kept = shelf.kept
    now, trouble = _held(settings, kept)
    records = [_record(one, None if trouble else one == now) for one in reversed(kept)]
    if trouble:
        click.echo(f"Warning: which one the server holds is not known: {trouble}", err=True)
    if as_json:
        click.echo(json.dumps(records, indent=2))
        return
    console = grid.console()
    if records:
        grid.show(_HEADER, [_cells(record) for record in records], console)
    grid.say(_summary(known_name(shelf), kept, now, is_known=not trouble), console)


def _held(settings: Settings, kept: list[KeptVersion]) -> tuple[KeptVersion | None, str]:
    """Return the version that the server holds, and why that is not known."""
    if not kept:
        return None, ""
    try:
        with Destination.of(settings).session() as session:
            return held_version(session, kept), ""
    except MdsTableauError as error:
        # on a bad day the list is worth more than the mark in it
        return None, str(error)


def _record(one: KeptVersion, is_held: bool | None) -> dict[str, Any]:
    names = ("published_at", "rows", "bytes", "revision", "datasource", "project", "server")
    return {
        "version": one.moment,
        "extract": one.extract,
        **{name: one.record[name] for name in names},
        "run_id": one.record.get("run_id") or None,
        "rolled_back_to": one.origin if one.is_rollback else None,
        "is_on_server": is_held,
        "file": str(one.path),
    }


def _cells(record: dict[str, Any]) -> list[str]:
    notes = [
        "on the server now" if record["is_on_server"] else "",
        f"rollback to {record['rolled_back_to']}" if record["rolled_back_to"] else "",
    ]
    return [
        record["version"],
        record["published_at"],
        f"{record['rows']:,}",
        shown(record["bytes"]),
        _NOT_TOLD if record["revision"] is None else str(record["revision"]),
        ", ".join(filter(None, notes)),
    ]


def _summary(name: str, kept: list[KeptVersion], now: KeptVersion | None, *, is_known: bool) -> str:
    if not kept:
        return (
            f"No version of '{name}' is kept. MDS_KEEP and keep under config.meta.tableau say "
            "how many are, from the next publish on."
        )
    told = f"{counted(len(kept), 'version')} of '{name}', {shown(total_bytes(kept))} on the disk"
    if now is None and is_known:
        told += "; the server holds none of them"
    return f"{told}."
