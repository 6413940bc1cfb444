"""Says at the end of a run what did not arrive, why, and what analysts still see instead.

It reads what the run left in Dagster's event log and in the stages' records. Stopping things is
each step's own business; nothing is stopped here.
"""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
import dagster as dg
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun
from dagster_shared.error import SerializableErrorInfo

from mds_tableau.defs.dbt import node_name
from mds_tableau.defs.ending import Ending
from mds_tableau.defs.stages import STAGES, Folders
from mds_tableau.errors import NotWrittenDown
from mds_tableau.extracts import Extract
from mds_tableau.manifest import Manifest
from mds_tableau.published import still_serves
from mds_tableau.results import NodeResult, why_not_built


@dataclass(frozen=True)
class Report:
    """What one run did with the extracts that it selected.

    Attributes:
        arrived: Extracts whose last selected stage is done.
        missing: Of each other one, the reason, and what the server has.
        unrecorded: Those of them that arrived, and only that is not written down.
    """

    arrived: tuple[str, ...]
    missing: Mapping[str, tuple[str, str]]
    unrecorded: Collection[str] = ()

    def lines(self) -> list[str]:
        """Return the report as lines, the missing ones last."""
        total = len(self.arrived) + len(self.missing)
        arrived = len(self.arrived) + len(self.unrecorded)
        lines = [f"{arrived} of {total} extracts arrived."]
        for name, (reason, serves) in self.missing.items():
            is_there = name in self.unrecorded
            head = "PUBLISHED, BUT NOT WRITTEN DOWN" if is_there else "NOT PUBLISHED"
            lines.append(f"{head} {name}: {reason}".replace("\n", "\n    "))
            if not is_there:
                lines.append(f"    Until then, {serves}.")
        return lines


@dataclass(frozen=True)
class Reporter:
    """Makes the report of a run.

    Attributes:
        extracts: All extracts.
        manifest: The dbt manifest.
        results: Returns dbt's latest results, by unique id.
        folders: Where the stages left their files.
    """

    extracts: Sequence[Extract]
    manifest: Manifest
    results: Callable[[], Mapping[str, NodeResult]]
    folders: Folders

    def report(self, instance: DagsterInstance, run: DagsterRun) -> Report:
        """Return the report of a run that has ended."""
        done: set[str] = set()
        unwritten: set[str] = set()
        failures: dict[str, str] = {}
        planned: set[str] = set()
        kinds = {
            DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
            DagsterEventType.ASSET_MATERIALIZATION,
            DagsterEventType.STEP_FAILURE,
        }
        for entry in instance.all_logs(run.run_id, of_type=kinds):
            event = entry.get_dagster_event()
            key = event.asset_key.to_user_string() if event.asset_key else ""
            if event.event_type == DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
                planned.add(key)
            elif event.event_type == DagsterEventType.ASSET_MATERIALIZATION:
                done.add(key)
            elif event.step_key:
                failures[event.step_key] = failure_message(event)
                if _error_of(event) == NotWrittenDown.__name__:
                    unwritten.add(event.step_key)
        arrived, missing, unrecorded = [], {}, []
        for extract in self.extracts:
            stages = [f"{s}/{extract.name}" for s in STAGES if f"{s}/{extract.name}" in planned]
            if not stages:
                continue
            if stages[-1] in done:
                arrived.append(extract.name)
                continue
            reason = self._reason(extract, stages, failures)
            if dg.AssetKey.from_user_string(stages[-1]).to_python_identifier() in unwritten:
                unrecorded.append(extract.name)
                missing[extract.name] = (reason, "the server has what this run published")
            else:
                missing[extract.name] = (
                    reason,
                    still_serves(
                        self.folders.published,
                        extract.name,
                        target=self.folders.place_of(extract),
                    ),
                )
        return Report(tuple(arrived), missing, tuple(unrecorded))

    def _reason(self, extract: Extract, stages: Sequence[str], failures: Mapping[str, str]) -> str:
        for stage in stages:
            message = failures.get(dg.AssetKey.from_user_string(stage).to_python_identifier())
            if message:
                return message
        results = self.results()
        broken = [b for mart in extract.marts for b in why_not_built(mart, self.manifest, results)]
        if broken:
            return "; ".join(f"{node_name(b.unique_id)} failed: {b.reason}" for b in broken)
        first = next(iter(failures.values()), "the run was stopped before its turn came")
        return f"not reached: {first}"


def reporting(reporter: Reporter) -> Ending:
    """Return what logs the report of a run when its steps have ended."""

    def end(context: Any) -> None:
        report = reporter.report(context.instance, context.dagster_run)
        if not report.missing:
            if report.arrived:
                context.log.info(report.lines()[0])
            return
        text = "\n".join(report.lines())
        context.log.error(text)
        command = click.get_current_context(silent=True)
        if command is not None:
            # behind Dagster's own account of the failure, so that it is read first
            command.call_on_close(lambda: print(f"\n{text}", file=sys.stderr))  # noqa: T201

    return end


def _error_of(event: DagsterEvent) -> str:
    """Return the name of our error that a step failed with, or ""."""
    user = event.step_failure_data.user_failure_data
    named = user.metadata.get("error") if user else None
    return str(named.value) if named else ""


def failure_message(event: DagsterEvent) -> str:
    """Return why a step failed: our own words, or those of the first cause."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    if error is not None and _is_of_a_stop(error):
        return "It was stopped while it worked."
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else "failed without a message"


def _is_of_a_stop(error: SerializableErrorInfo) -> bool:
    """Return whether a stop is behind an error; what else fails on the way says nothing of why."""
    behind: SerializableErrorInfo | None = error
    while behind is not None:
        if behind.cls_name == dg.DagsterExecutionInterruptedError.__name__:
            return True
        behind = behind.cause or behind.context
    return False
