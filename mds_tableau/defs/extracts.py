"""Makes the assets `parquet/*` and `hyper/*` of each extract, and has `tableau/*` made.

One op for each asset, so that what fails stops itself, what stands behind it, and nothing else.
The work is done by `mds_tableau.export` and `conversion`; what is exported is decided in
`mds_tableau.project_extracts`.
"""

from collections.abc import Iterator
from typing import Any, Final

import dagster as dg

from mds_tableau.columns import counted
from mds_tableau.defs.dbt import POOL
from mds_tableau.defs.failing import told_plainly
from mds_tableau.defs.hearing import heard
from mds_tableau.defs.metadata import (
    comparison_in_words,
    comparison_metadata,
    described_columns,
    hyper_metadata,
    parquet_metadata,
)
from mds_tableau.defs.publishing import tableau_asset, unchanged_publish_of
from mds_tableau.defs.resources import HyperResource, TableauServer
from mds_tableau.defs.stages import DUCKDB, Folders, Gate, Upstream, reading
from mds_tableau.errors import ExtractError, HeldBack
from mds_tableau.export import export_mart
from mds_tableau.export_plan import MartExport
from mds_tableau.extract_file import same_extract
from mds_tableau.extracts import Extract
from mds_tableau.parquet import newest_version
from mds_tableau.verify import VerificationFailed

EQUALS_MART: Final = "equals_mart"
"""Name of the check of each extract."""


def extract_assets(
    extract: Extract, *, upstream: Upstream, gate: Gate, folders: Folders
) -> list[dg.AssetsDefinition]:
    """Return the assets of one extract, in order; without `tableau/*` if it is not published."""
    assets = [
        _parquet_asset(extract, upstream, gate, folders),
        _hyper_asset(extract, upstream, folders),
    ]
    if extract.publish:
        assets.append(tableau_asset(extract, upstream, folders))
    return assets


def _parquet_asset(
    extract: Extract, upstream: Upstream, gate: Gate, folders: Folders
) -> dg.AssetsDefinition:
    [mart] = extract.marts

    @dg.asset(
        key=["parquet", mart.name],
        deps=[upstream.key, *upstream.after],
        group_name="parquet",
        kinds={"duckdb", "parquet"},
        owners=upstream.owners,
        pool=POOL,
        description=(
            f"The mart `{mart.name}` as Parquet files, from which its extract is made. They are "
            "compared with the mart: rows, values of each column and a hash of all rows.\n\n"
            f"{extract.description}"
        ).strip(),
        metadata={"model": mart.file, **described_columns(mart)},
        required_resource_keys={DUCKDB},
    )
    def parquet(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        with told_plainly(), gate(context, mart) as refusals:
            if refusals:
                reasons = "".join(f"\n- {reason}" for reason in refusals)
                raise HeldBack(
                    f"Mart '{mart.name}' ({mart.file}) is held back, because what it holds is not "
                    f"known to be right:{reasons}\nCorrect the data, the model or the test, then "
                    f"build it again, for example with --select '*parquet/{mart.name}*'."
                )
            with reading(getattr(context.resources, DUCKDB), context, mart, upstream) as session:
                source = MartExport(
                    mart.name, mart.relation, mart.file, extract.options, upstream.compiled()
                )
                version = export_mart(
                    session,
                    source,
                    folders.parquet / mart.name,
                    may_reuse=not folders.is_forced(context),
                )
        for warning in version.warnings:
            context.log.warning(f"Mart '{mart.name}': {warning}")
        done = (
            f"Unchanged: mart '{mart.name}' holds the {counted(version.rows, 'row')} that were "
            f"exported {version.created_at}, as was found in"
            if version.is_reused
            else f"Exported {counted(version.rows, 'row')} of '{mart.name}' in"
        )
        context.log.info(
            f"{done} {version.seconds:.2f} seconds, {version.bytes:,} bytes in "
            f"{counted(len(version.parts), 'part')} at {version.folder}."
        )
        return dg.MaterializeResult(
            metadata=parquet_metadata(version, mart),
            data_version=dg.DataVersion(version.fingerprint),
        )

    return parquet


def _hyper_asset(extract: Extract, upstream: Upstream, folders: Folders) -> dg.AssetsDefinition:
    [mart] = extract.marts
    key = dg.AssetKey(["hyper", extract.name])
    check = dg.AssetCheckSpec(
        EQUALS_MART,
        asset=key,
        blocking=True,
        description=(
            f"The extract `{extract.name}` holds what the mart `{mart.name}` held when it was "
            "exported: the same rows with the same values. An extract that does not is thrown away."
        ),
    )

    @dg.asset(
        key=key,
        deps=[["parquet", mart.name]],
        group_name="hyper",
        kinds={"hyper"},
        owners=upstream.owners,
        description=(
            f"The mart `{mart.name}` as the file `{extract.name}.hyper`, which Tableau opens. It "
            "is made from Parquet, and compared with the mart before it takes the place of the "
            f"last one.\n\n{extract.description}"
        ).strip(),
        metadata=described_columns(mart),
        check_specs=[check],
    )
    def hyper(
        context: dg.AssetExecutionContext, hyper: HyperResource, tableau: TableauServer
    ) -> Iterator[Any]:
        # what was begun before is uploaded meanwhile
        with told_plainly(), heard(context.log):
            version = newest_version(folders.parquet / mart.name)
            if version is None:
                raise ExtractError(
                    f"There is no Parquet of mart '{mart.name}' in {folders.parquet}. Export it "
                    f"first, for example with --select '*parquet/{mart.name}*'."
                )
            if version.mart != mart.name:
                raise ExtractError(
                    f"{version.folder} holds mart '{version.mart}', as its manifest says, and not "
                    f"'{mart.name}'. Export the mart again, for example with "
                    f"--select '*parquet/{mart.name}*'."
                )
            if not _is_selected(context, dg.AssetKey(["parquet", mart.name])):
                context.log.warning(
                    f"This run does not export '{mart.name}': the extract is made of the Parquet "
                    f"of {version.created_at}."
                )
            made, forced = None, folders.is_forced(context)
            if not forced:
                exact = hyper.verify == "exact"
                made = same_extract(folders.hyper, extract.name, version, exact=exact)
            try:
                made = made or hyper.convert(version, extract=extract.name, folder=folders.hyper)
            except VerificationFailed as error:
                yield dg.AssetCheckResult(
                    asset_key=key,
                    check_name=EQUALS_MART,
                    passed=False,
                    description=str(error),
                    metadata=comparison_metadata(error.comparison),
                )
                raise
        is_next = extract.publish and _is_selected(context, dg.AssetKey(["tableau", extract.name]))
        if is_next and (forced or unchanged_publish_of(extract, made, folders) is None):
            # while the next extract is converted; the publish waits for its own, and commits
            tableau.begin(made.path)
        for warning in made.warnings:
            context.log.warning(f"Mart '{mart.name}': {warning}")
        raised = (
            f", raised from 2 by NUMERIC of more than 18 digits in {', '.join(made.raised_by)}"
            if made.raised_by
            else ""
        )
        done = (
            f"Unchanged: extract '{extract.name}' holds the {counted(made.rows, 'row')} of the "
            f"mart since {made.created_at}, as was found in"
            if made.is_reused
            else f"Converted {counted(made.rows, 'row')} of '{extract.name}' in"
        )
        context.log.info(
            f"{done} {made.seconds:.2f} seconds, {made.bytes:,} bytes; file version "
            f"{made.file_version}{raised}."
        )
        yield dg.MaterializeResult(
            metadata=hyper_metadata(made, version, mart),
            data_version=dg.DataVersion(made.fingerprint),
            check_results=[
                dg.AssetCheckResult(
                    asset_key=key,
                    check_name=EQUALS_MART,
                    passed=True,
                    description=comparison_in_words(made.comparison),
                    metadata=comparison_metadata(made.comparison),
                )
            ],
        )

    return hyper


def _is_selected(context: dg.AssetExecutionContext, key: dg.AssetKey) -> bool:
    selected = context.run.asset_selection
    return not selected or key in selected
