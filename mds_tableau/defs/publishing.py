"""Makes the asset `tableau/*`: the datasource on the server that one extract becomes.

Publishing itself belongs to `mds_tableau.tableau`; what may not take the place of what is there is
decided in `mds_tableau.losses`.
"""

from typing import Any, Final

import dagster as dg
from pydantic import Field

from mds_tableau.columns import counted
from mds_tableau.defs.deadlines import freshness_policy
from mds_tableau.defs.failing import told_plainly
from mds_tableau.defs.hearing import heard
from mds_tableau.defs.metadata import described_columns, published_metadata
from mds_tableau.defs.resources import TableauServer
from mds_tableau.defs.stages import Folders, Upstream
from mds_tableau.errors import ExtractError
from mds_tableau.extract_file import ExtractFile, read_extract
from mds_tableau.extracts import Extract
from mds_tableau.files import sha256, sole_writer
from mds_tableau.losses import appended, appending, limits_of, refuse_loss
from mds_tableau.published import (
    changed_columns,
    confirm_published,
    earlier_publish,
    left_behind,
    record_published,
    unchanged_publish,
)
from mds_tableau.retention import keep_published
from mds_tableau.tableau import About, Published

_AFTER_CONVERSIONS: Final = {"dagster/priority": "-50"}
"""So that what is uploaded in the background has the time of the conversions that follow."""


class PublishConfig(dg.Config):
    """What may be asked of one publish, in the launchpad or as the config of a run."""

    allow_row_fall: bool = Field(
        False, description="Publish although more rows were lost than may be lost in one publish."
    )


def tableau_asset(extract: Extract, upstream: Upstream, folders: Folders) -> dg.AssetsDefinition:
    """Return the asset `tableau/*` of an extract."""
    [mart] = extract.marts

    @dg.asset(
        key=["tableau", extract.name],
        deps=[["hyper", extract.name]],
        group_name="tableau",
        kinds={"tableau"},
        owners=upstream.owners,
        description=(
            f"The datasource `{extract.datasource}` in the project `{extract.project}` on Tableau "
            f"Server.\n\n{extract.description}"
        ).strip(),
        metadata={
            "datasource": extract.datasource,
            "project": extract.project,
            **described_columns(mart),
        },
        op_tags=_AFTER_CONVERSIONS,
        freshness_policy=freshness_policy(extract.deadline),
    )
    def tableau(
        context: dg.AssetExecutionContext, config: PublishConfig, tableau: TableauServer
    ) -> dg.MaterializeResult[Any]:
        place = folders.place_of(extract)
        with (
            told_plainly(),
            heard(context.log),
            # who converts it anew, or publishes it too, has to wait
            sole_writer(folders.hyper / f"{extract.name}.hyper"),
        ):
            made = read_extract(folders.hyper, extract.name)
            if sha256(made.path) != made.sha256:
                raise ExtractError(
                    f"{made.path} has changed since it was verified. It is not published; build it "
                    f"again, for example with --select 'hyper/{extract.name}*'."
                )
            if not folders.is_forced(context):
                last = unchanged_publish_of(extract, made, folders)
                if last is not None and tableau.still_holds(
                    last,
                    datasource=extract.datasource,
                    project=extract.project,
                    about=_about(extract),
                ):
                    return _unchanged(context, last, made, extract, folders)
            limits = limits_of(
                extract,
                max_row_fall=folders.max_row_fall,
                allow_row_fall=config.allow_row_fall,
            )
            refuse_loss(folders.published, made, limits, target=place)
            with appending(folders.published, made, limits, target=place):
                published = tableau.publish(
                    made.path,
                    datasource=extract.datasource,
                    project=extract.project,
                    about=_about(extract),
                    mode=extract.mode,
                    earlier=earlier_publish(folders.published, made, target=place),
                )
            changes = changed_columns(folders.published, made, target=place)
            left = left_behind(folders.published, made, published)
            record = record_published(
                folders.published,
                made,
                published,
                about=_about(extract),
                target=place,
                run_id=context.run.run_id,
            )
            appended(folders.published, made.extract, limits)
            not_kept = keep_published(
                folders.data, folders.versions, made, record, folders.limits, keep=extract.keep
            )
        for warning in filter(None, (*changes, left, *not_kept)):
            context.log.warning(warning)
        context.log.info(
            f"Published {counted(made.rows, 'row')} as '{published.datasource}' to "
            f"'{published.project}' on {published.server} in "
            f"{published.seconds:.2f} seconds ({published.mode}): {published.url}"
        )
        return dg.MaterializeResult(
            metadata={**published_metadata(published, made, mart), "changed_columns": changes},
            data_version=dg.DataVersion(made.fingerprint),
        )

    return tableau


def unchanged_publish_of(extract: Extract, made: ExtractFile, folders: Folders) -> Published | None:
    """Return the last publish of an extract if nothing of it is other now, else None."""
    place = folders.place_of(extract)
    return unchanged_publish(
        folders.published, made, _about(extract), target=place, mode=extract.mode
    )


def _unchanged(
    context: dg.AssetExecutionContext,
    last: Published,
    made: ExtractFile,
    extract: Extract,
    folders: Folders,
) -> dg.MaterializeResult[Any]:
    [mart] = extract.marts
    confirm_published(folders.published, made.extract)
    context.log.info(
        f"Unchanged: '{last.datasource}' in '{last.project}' on {last.server} holds these "
        f"{counted(made.rows, 'row')} since {last.published_at}: {last.url}"
    )
    return dg.MaterializeResult(
        metadata={
            **published_metadata(last, made, mart, is_unchanged=True),
            "changed_columns": [],
        },
        data_version=dg.DataVersion(made.fingerprint),
    )


def _about(extract: Extract) -> About:
    return About(extract.description, extract.tags, extract.owner, extract.requires_owner)
