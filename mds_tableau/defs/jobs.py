"""Jobs for a bad day: an earlier version again, and everything that is there once more.

What a rollback is belongs to `mds_tableau.rollback`; what runs without anybody asking belongs to
`automation`.
"""

import hashlib
from collections.abc import Sequence
from enum import Enum
from typing import Any

import dagster as dg
from pydantic import Field

from mds_tableau.defs.failing import told_plainly
from mds_tableau.defs.hearing import heard
from mds_tableau.defs.resources import TableauServer
from mds_tableau.defs.stages import FORCE, Folders
from mds_tableau.extracts import Extract
from mds_tableau.rollback import roll_back, told
from mds_tableau.version_choice import find_shelf


def jobs_of(extracts: Sequence[Extract], folders: Folders) -> list[Any]:
    """Return the jobs `rollback` and `publish_only`; none when nothing is published.

    Args:
        extracts: All extracts.
        folders: Where their versions are.
    """
    published = [extract.name for extract in extracts if extract.publish]
    if not published:
        return []
    publish_only = dg.define_asset_job(
        "publish_only",
        selection=dg.AssetSelection.assets(*(["tableau", name] for name in published)),
        description=(
            "Sends every extract to Tableau Server again, as it was built last, also where nothing "
            "has changed, which also ends a rollback. Builds nothing: for a server that has lost "
            "something, or a new one."
        ),
        # without it, what the server is known to hold would not be sent
        tags={FORCE: "true"},
    )
    return [_rollback(published, folders), publish_only]


def _rollback(names: Sequence[str], folders: Folders) -> dg.JobDefinition:
    # Dagster knows types by name, so another list has to have another one in the same process
    digest = hashlib.sha256("\0".join(names).encode()).hexdigest()[:8]
    choice = Enum(f"Extract_{digest}", {name: name for name in names})  # type: ignore[misc]

    class RollbackConfig(dg.Config):
        """Which extract, and to when."""

        extract: choice = Field(
            description="The extract whose earlier version analysts shall see again."
        )
        to: str = Field(
            "",
            description=(
                "Which version: when it was published, or the beginning of that, such as "
                "2026-11-25 or 20261125T063000Z. Empty: the one before the one that is published "
                "now. `mds-tableau versions NAME` lists them."
            ),
        )
        dry_run: bool = Field(False, description="Check everything and publish nothing.")

    @dg.op(
        # a job has a graph of its own name, and names of ops and graphs are unique
        name="publish_earlier_version",
        description="Publishes a version of an extract that was kept when it was published before.",
    )
    def publish_earlier_version(
        context: dg.OpExecutionContext, config: RollbackConfig, tableau: TableauServer
    ) -> None:
        with told_plainly(), heard(context.log):
            shelf = find_shelf(folders.data, config.extract.value)
            done = roll_back(
                tableau.session,
                folders.data,
                shelf,
                target=folders.target,
                to=config.to,
                keep=folders.limits.keep,
                run_id=context.run_id,
                is_dry=config.dry_run,
            )
        for warning in done.warnings:
            context.log.warning(warning)
        for line in told(done, shelf, folders.target):
            context.log.info(line)
        if done.published is not None:
            context.log_event(
                dg.AssetMaterialization(
                    ["tableau", shelf.extract],
                    description=f"Rolled back to {done.version.moment}.",
                    metadata={
                        "dagster/row_count": done.version.record["rows"],
                        "rolled_back_to": done.version.moment,
                        "url": dg.MetadataValue.url(done.published.url),
                        "datasource": done.published.datasource,
                        "project": done.published.project,
                        "mode": done.published.mode,
                    },
                    tags={"dagster/data_version": str(done.version.record["fingerprint"])},
                )
            )

    @dg.job(
        name="rollback",
        description=(
            "Shows analysts an earlier version of one extract again. In the launchpad, write "
            "`extract: ` below `config` and choose one from what Ctrl+Space offers; `to` is "
            "the version, if it is not the one before. Leave `resources` as they are. Until the "
            "mart is built and published again, that is what analysts see."
        ),
    )
    def rollback_job() -> None:
        publish_earlier_version()

    return rollback_job
