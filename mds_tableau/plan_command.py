"""The `plan` command: what becomes of each column, before anything is exported.

What is planned is decided in `plan`; here it is read from the dbt project and shown.
"""

from typing import Final

import duckdb
from dbt_common.events.event_manager_client import cleanup_event_logger
from dbt_common.exceptions import DbtBaseException
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mds_tableau.defs.project import Prepared, find_project, prepare, select
from mds_tableau.errors import ManifestError
from mds_tableau.extracts import Extract, plan_extracts
from mds_tableau.plan import PLAN_HEADER, ExtractPlan, plan_all
from mds_tableau.results import ResultStore
from mds_tableau.settings import Settings
from mds_tableau.warehouse import wait_until_free

_WIDEST: Final = 1_000_000
_NARROWEST_NOTE: Final = 30
"""Characters that what is lost or checked has to have in a line of the table."""


def show_plan(settings: Settings, selection: str, console: Console) -> int:
    """Print the plan of the extracts and return the exit code: 1 when one is refused.

    Args:
        settings: Where everything is.
        selection: Which extracts, in dbt's selection syntax; "" for all.
        console: Where to print.

    Raises:
        ManifestError: The project cannot be read, nothing is selected, or nothing was built yet.
        MartConfigError: Some `meta.tableau` is not valid.
        DatabaseLocked: Another process writes and does not let go in time.
    """
    settings.export()
    prepared = prepare(find_project(settings), settings.mds_marts)
    extracts = _selected(prepared, settings, selection)
    if not prepared.warehouse.is_file():
        raise ManifestError(
            f"There is no {prepared.warehouse} yet, so the types of the marts are not known. Build "
            "them first: dagster asset materialize --select '*' -m mds_tableau.definitions"
        )
    wait_until_free(prepared.warehouse, read_only=True, log=console.print)
    results = ResultStore(settings.mds_data_dir / "dbt_results.json")
    with duckdb.connect(
        str(prepared.warehouse),
        read_only=True,
        config={"file_search_path": str(prepared.project.project_dir)},
    ) as connection:
        plans = plan_all(connection, extracts, results.compiled, lambda: prepared.session)
    for plan in plans:
        _show(plan, settings.target, console)
    refused = [plan.extract.name for plan in plans if plan.refusal]
    if refused:
        told = f"{len(refused)} of {len(plans)} are refused: {', '.join(refused)}."
        console.print(Text(told), soft_wrap=True)
    return 1 if refused else 0


def _selected(prepared: Prepared, settings: Settings, selection: str) -> tuple[Extract, ...]:
    extracts = plan_extracts(
        prepared.manifest,
        prepared.selected,
        selection=settings.mds_marts,
        project=settings.tableau_project,
    )
    if not selection:
        return extracts
    try:
        # dbt would print what it does not find; what is printed here is the plan
        cleanup_event_logger()
        wanted = select(prepared.manifest, selection)
    except DbtBaseException as error:
        said = " ".join(str(error).split()).removeprefix("Runtime Error ")
        raise ManifestError(f"The selection {selection!r} cannot be read: {said}.") from error
    chosen = tuple(e for e in extracts if any(mart.unique_id in wanted for mart in e.marts))
    if not chosen:
        raise ManifestError(
            f"The selection {selection!r} names no extract. There are: "
            f"{', '.join(extract.name for extract in extracts)}."
        )
    return chosen


def _show(plan: ExtractPlan, target: str, console: Console) -> None:
    extract = plan.extract
    where = (
        f"datasource '{extract.datasource}' in project '{extract.project}' on {target}"
        if extract.publish
        else "not published"
    )
    console.print(Text(f"{extract.name}: {where}", style="bold"), soft_wrap=True)
    if plan.refusal:
        console.print(Text(f"{plan.refusal}\n", style="red"), soft_wrap=True)
        return
    raised = f", raised by {', '.join(plan.raised_by)}" if plan.raised_by else ""
    console.print(
        Text(f"file version {plan.file_version}{raised}; opens in {plan.oldest_tableau} or later"),
        soft_wrap=True,
    )
    table = _table(plan)
    unbounded = console.options.update(max_width=_WIDEST)
    if console.measure(table, options=unbounded).minimum <= console.width:
        console.print(table)
    else:
        _list(plan, console)
    console.print()


def _table(plan: ExtractPlan) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for place, name in enumerate(PLAN_HEADER[:-1]):
        # a name or type in two lines is hard to read, and to find with grep; rich would crop it
        # between two words, as of these alone it makes the least width
        widest = max((cell_len(_one_line(row[place])) for row in plan.rows), default=0)
        table.add_column(name.replace("_", " "), no_wrap=True, min_width=widest)
    table.add_column(PLAN_HEADER[-1].replace("_", " "), min_width=_NARROWEST_NOTE)
    for row in plan.rows:
        # as text: rich would read [brackets] in a name as markup
        table.add_row(*(Text(_one_line(cell)) for cell in row))
    return table


def _list(plan: ExtractPlan, console: Console) -> None:
    """Print what has no place side by side, one column of the mart after the other."""
    console.print()
    for name, duckdb_type, cast, parquet, hyper_type, note in plan.rows:
        types = " -> ".join(filter(None, (duckdb_type, cast, parquet, hyper_type)))
        console.print(Text(_one_line(name), style="bold"), soft_wrap=True)
        console.print(Text(f"  {_one_line(types)}"), soft_wrap=True)
        if note:
            console.print(Padding(Text(note), (0, 0, 0, 2)))


def _one_line(text: str) -> str:
    return text if text.isprintable() else repr(text)
