"""Turns a run that was no success into problems that can be told.

What arrived and what did not is found by `report`; remembering and wording it belongs to
`mds_tableau.alerts`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Final, NamedTuple

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus

from mds_tableau.alerts.ledger import JOB, RUN
from mds_tableau.alerts.messages import Kind, Problem, signature_of
from mds_tableau.defs.report import Report
from mds_tableau.defs.stages import STAGES
from mds_tableau.extracts import Extract

_REFUSALS: Final = {
    "AppendedAlready",
    "EmptyExtract",
    "HeldBack",
    "RefusedValues",
    "RowsFell",
    "SchemaChanged",
    "UnsupportedColumn",
}
"""Errors that mean: the data are not as they have to be, and all worked."""


def label_of(extract: Extract) -> str:
    """Return how people call the datasource of an extract."""
    return f"{extract.datasource} ({extract.project})"


def key_of(extract: Extract) -> dg.AssetKey:
    """Return the last asset of an extract, which is there when analysts have it."""
    return dg.AssetKey(["tableau" if extract.publish else "hyper", extract.name])


def problems_of(
    instance: DagsterInstance,
    run: DagsterRun,
    ended: datetime,
    report: Report,
    extracts: Mapping[str, Extract],
    clean: Callable[[str], str],
) -> Iterator[Problem]:
    """Yield what is wrong after a run that was no success.

    Args:
        instance: The instance that it was on.
        run: The run.
        ended: When it ended.
        report: What it did with each extract.
        extracts: The extracts, by name.
        clean: Takes secrets out of what was said, as it is kept on disk.
    """
    failures, first = _failures(instance, run)
    kind: Kind = "canceled" if run.status == DagsterRunStatus.CANCELED else "failed"
    always = "The run was canceled." if kind == "canceled" else "" if failures else first

    def problem(
        key: str, kind: Kind, label: str, said: str, names: list[str], at: datetime
    ) -> Problem:
        reason = clean(said)
        return Problem(
            key=key,
            kind=kind,
            label=label,
            reason=reason,
            signature=signature_of(reason, names),
            since=at.isoformat(),
            ends_after=at.isoformat(),
            run_id=run.run_id,
        )

    for name, (reason, serves) in report.missing.items():
        extract = extracts[name]
        own = _first_of(extract, failures)
        # the rest of the run may go on for long, and somebody may have mended it meanwhile
        at = own.at if own is not None else ended
        last = instance.get_latest_materialization_event(key_of(extract))
        if last is not None and last.timestamp >= at.timestamp():
            continue
        is_refused = kind == "failed" and own is not None and own.error in _REFUSALS
        yield replace(
            problem(
                f"{RUN}:{name}",
                "refused" if is_refused else kind,
                label_of(extract),
                always or reason,
                _names(extract),
                at,
            ),
            serves=capitalized(serves),
        )
    # others may run something without a place in our code, which is not ours to tell
    if not report.missing and (report.arrived or run.remote_job_origin is not None):
        yield problem(f"{JOB}:{run.job_name}", kind, _run_label(run), always or first, [], ended)


class _Failure(NamedTuple):
    """The name of our error, or "", and when it was."""

    error: str
    at: datetime


def _failures(instance: DagsterInstance, run: DagsterRun) -> tuple[Mapping[str, _Failure], str]:
    """Return the failure of each step that failed, and what was said first."""
    kinds = {DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE}
    failures, said = {}, []
    for entry in instance.all_logs(run.run_id, of_type=kinds):
        event = entry.get_dagster_event()
        if event.event_type == DagsterEventType.RUN_FAILURE:
            # who only reports that a run failed gives no data of it
            error = getattr(event.event_specific_data, "error", None)
            said.append(error.message if error is not None else event.message or "")
            continue
        data = event.step_failure_data
        user = data.user_failure_data
        named = user.metadata.get("error") if user else None
        at = datetime.fromtimestamp(entry.timestamp, timezone.utc)
        failures[event.step_key or ""] = _Failure(str(named.value) if named else "", at)
        said.append(
            (user.description if user else None) or (data.error.message if data.error else "")
        )
    return failures, next(filter(None, said), "")


def _first_of(extract: Extract, failures: Mapping[str, _Failure]) -> _Failure | None:
    keys = (dg.AssetKey([stage, extract.name]) for stage in STAGES)
    found = (failures.get(key.to_python_identifier()) for key in keys)
    return next(filter(None, found), None)


def unreadable(run: DagsterRun, ended: datetime, error: Exception) -> Problem:
    """Return the problem of a run whose events cannot be read."""
    reason = f"What the run did cannot be read ({type(error).__name__}); look at it in the UI."
    return Problem(
        key=f"{JOB}:{run.job_name}",
        kind="failed",
        label=_run_label(run),
        reason=reason,
        signature=signature_of(reason, ()),
        since=ended.isoformat(),
        ends_after=ended.isoformat(),
        run_id=run.run_id,
    )


def capitalized(sentence: str) -> str:
    """Return a sentence with a capital at its beginning, and all others as they are."""
    return f"{sentence[:1].upper()}{sentence[1:]}"


def _names(extract: Extract) -> list[str]:
    files = [file for mart in extract.marts for file in (mart.file, mart.yaml)]
    return [*filter(None, files), extract.name, extract.datasource, extract.project]


def _run_label(run: DagsterRun) -> str:
    by_hand = run.job_name.startswith("__ASSET_JOB")
    return "run started by hand" if by_hand else f"run of {run.job_name}"
