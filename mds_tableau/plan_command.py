"""The `plan` command: what becomes of each column, before anything is exported.

What is planned is decided in `plan`; here it is read from the dbt project and shown.
"""

from collections.abc import Iterable
from shlex import quote

import duckdb
from dbt_common.events.event_manager_client import cleanup_event_logger
from dbt_common.exceptions import DbtBaseException
from rich.console import Console
from rich.text import Text

from mds_tableau.defs.configured import configured
from mds_tableau.defs.dbt import RUN_RESULTS, FolderTranslator
from mds_tableau.defs.project import Prepared, select
from mds_tableau.errors import ManifestError
from mds_tableau.extracts import Extract
from mds_tableau.plan import ExtractPlan, TypesPlan, plan_all
from mds_tableau.plan_view import show_columns
from mds_tableau.results import ResultStore
from mds_tableau.settings import Settings
from mds_tableau.warehouse import wait_until_free


def show_plan(settings: Settings | None, selection: str, console: Console) -> int:
    """Print the plan of the extracts and return the exit code: 1 when one is refused.

    A mart that is not built yet has no columns to refuse, so that it is told and is no failure.

    Args:
        settings: Where everything is; None to read it, so that what is wrong is told with the rest.
        selection: Which extracts, in dbt's selection syntax; "" for all.
        console: Where to print.

    Raises:
        ManifestError: The project cannot be read, or nothing is selected.
        ConfigurationError: Something else that is configured is not valid, as no run would begin.
        DatabaseLocked: Another process writes and does not let go in time.
    """
    found = configured(FolderTranslator(), settings)
    prepared, settings = found.valid(), found.settings
    extracts = _selected(prepared, found.extracts, selection)
    plans = _planned(prepared, extracts, settings, console)
    for plan in plans:
        _show(plan, settings.target, console)
    refused = [plan.extract.name for plan in plans if plan.refusal]
    if refused:
        told = f"{len(refused)} of {len(plans)} are refused: {', '.join(refused)}."
        console.print(Text(told), soft_wrap=True)
    unbuilt = [plan.extract for plan in plans if not plan.is_built]
    if unbuilt:
        names = ", ".join(extract.name for extract in unbuilt)
        told = (
            f"{len(unbuilt)} of {len(plans)} are not built yet: {names}. Build without exporting "
            f"or publishing anything:\n{_build_command(prepared, unbuilt)}"
        )
        console.print(Text(told), soft_wrap=True)
    return 1 if refused else 0


def _planned(
    prepared: Prepared, extracts: tuple[Extract, ...], settings: Settings, console: Console
) -> tuple[ExtractPlan, ...]:
    if not prepared.warehouse.is_file():
        return tuple(ExtractPlan(one, TypesPlan(()), is_built=False) for one in extracts)
    wait_until_free(prepared.warehouse, read_only=True, log=console.print)
    results = ResultStore(settings.mds_data_dir / "dbt_results.json")
    with duckdb.connect(
        str(prepared.warehouse),
        read_only=True,
        config={"file_search_path": str(prepared.project.project_dir)},
    ) as connection:
        return plan_all(connection, extracts, results.compiled, lambda: prepared.session)


def _build_command(prepared: Prepared, extracts: Iterable[Extract]) -> str:
    """Return what builds the marts of extracts, with what they are made of and nothing behind."""
    translator = FolderTranslator()
    keys = [
        translator.get_asset_spec(
            prepared.manifest.content, mart.unique_id, prepared.project
        ).key.to_user_string()
        for extract in extracts
        for mart in extract.marts
    ]
    marts = " or ".join(f'+key:"{key}"' for key in keys)
    # with its results, so that the run fails when a model or a test does
    wanted = f'(({marts}) and kind:dbt) or key:"{RUN_RESULTS.to_user_string()}"'
    return f"mds-tableau refresh --select {quote(wanted)}"


def _selected(
    prepared: Prepared, extracts: tuple[Extract, ...], selection: str
) -> tuple[Extract, ...]:
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
    if not plan.is_built:
        console.print(Text("not built yet, so that its columns are not known\n"), soft_wrap=True)
        return
    if plan.refusal:
        console.print(Text(f"{plan.refusal}\n", style="red"), soft_wrap=True)
        return
    show_columns(plan.types, console)
