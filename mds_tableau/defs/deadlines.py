"""Deadlines in Dagster: the freshness policy of an extract, and the sensor `deadlines`.

What runs did is read here from the instance; whether it is enough is decided in `alerts.judging`.
Dagster's own policy shows in the UI whether the last deadline was met. It knows none that is to
come, so it warns of nothing: that is what the sensor is for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Final

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus

from mds_tableau.alerts.judging import Attempt, History, Verdict, judge
from mds_tableau.alerts.ledger import DEADLINE, Ledger
from mds_tableau.alerts.messages import Problem, Words
from mds_tableau.alerts.services import services_of
from mds_tableau.columns import counted
from mds_tableau.deadlines import Deadline
from mds_tableau.defs.alerts import ledger_of, now_utc, words_of
from mds_tableau.defs.problems import capitalized, key_of, label_of
from mds_tableau.defs.stages import Folders
from mds_tableau.extracts import Extract
from mds_tableau.published import still_serves
from mds_tableau.settings import Settings

_RUNS: Final = 20
"""Publishes of an extract that tell how long one takes."""

_GOING_ON: Final = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
]
_ENDED: Final = [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
_LONGEST_WINDOW: Final = timedelta(hours=24)
_MOST_KNOWN: Final = 1000


def freshness_policy(deadline: Deadline | None) -> dg.FreshnessPolicy | None:
    """Return the policy that shows a deadline in the UI."""
    if deadline is None:
        return None
    return dg.FreshnessPolicy.cron(
        deadline_cron=deadline.cron, lower_bound_delta=deadline.within, timezone=deadline.zone
    )


@dataclass(frozen=True)
class Reading:
    """Reads from the instance what runs did with extracts.

    Attributes:
        extracts: The extracts.
    """

    extracts: Sequence[Extract]
    _planned: dict[str, frozenset[str]] = field(default_factory=dict)
    _took: dict[str, tuple[int, tuple[timedelta, ...]]] = field(default_factory=dict)

    def history(self, instance: DagsterInstance, now: datetime) -> Mapping[str, History]:
        """Return what is known of the publishes of each extract."""
        by_key = {key_of(extract): extract.name for extract in self.extracts}
        last = {}
        for record in instance.get_asset_records(list(by_key)):
            made = record.asset_entry.last_materialization_record
            if made is not None:
                last[by_key[record.asset_entry.asset_key]] = made
        running = self._running(instance)
        failed = self._failed(instance, now)
        known = {}
        for key, name in by_key.items():
            made = last.get(name)
            run_id = made.run_id if made else ""
            known[name] = History(
                published=_moment(made.timestamp) if made else None,
                took=self._durations(instance, key, made.storage_id) if made else (),
                running=tuple(
                    attempt
                    for attempt, names in running
                    if name in names and attempt.run_id != run_id
                ),
                failed=next(((at, run) for at, run, names in failed if name in names), None),
                published_by=run_id,
            )
        return known

    def _running(self, instance: DagsterInstance) -> list[tuple[Attempt, frozenset[str]]]:
        records = instance.get_run_records(filters=dg.RunsFilter(statuses=_GOING_ON))
        return [
            (
                Attempt(
                    one.dagster_run.run_id, _moment(one.start_time) if one.start_time else None
                ),
                self._names(instance, one.dagster_run.run_id),
            )
            for one in sorted(records, key=lambda one: one.create_timestamp)
        ]

    def _failed(
        self, instance: DagsterInstance, now: datetime
    ) -> list[tuple[datetime, str, frozenset[str]]]:
        """Return runs that failed of late, the last one first."""
        records = instance.get_run_records(
            filters=dg.RunsFilter(statuses=_ENDED, updated_after=now - _LONGEST_WINDOW), limit=200
        )
        ended = [(_moment(one.end_time), one.dagster_run.run_id) for one in records if one.end_time]
        return [(at, run, self._names(instance, run)) for at, run in sorted(ended, reverse=True)]

    def _names(self, instance: DagsterInstance, run_id: str) -> frozenset[str]:
        """Return the extracts that a run is to bring to where analysts have them."""
        if run_id not in self._planned:
            if len(self._planned) > _MOST_KNOWN:
                self._planned.clear()
            by_key = {key_of(extract): extract.name for extract in self.extracts}
            logs = instance.all_logs(run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
            keys = (entry.get_dagster_event().asset_key for entry in logs)
            self._planned[run_id] = frozenset(by_key[key] for key in keys if key in by_key)
        return self._planned[run_id]

    def _durations(
        self, instance: DagsterInstance, key: dg.AssetKey, storage_id: int
    ) -> tuple[timedelta, ...]:
        text = key.to_user_string()
        if self._took.get(text, (None,))[0] != storage_id:
            made = instance.fetch_materializations(key, limit=_RUNS).records
            # those that somebody reported by hand have no run
            run_ids = [one.run_id for one in made if one.run_id]
            started = (
                {
                    record.dagster_run.run_id: record.start_time
                    for record in instance.get_run_records(filters=dg.RunsFilter(run_ids=run_ids))
                }
                if run_ids
                else {}
            )
            took = [
                timedelta(seconds=one.timestamp - start)
                for one in made
                if (start := started.get(one.run_id)) is not None and one.timestamp >= start
            ]
            self._took[text] = (storage_id, tuple(took))
        return self._took[text][1]


@dataclass(frozen=True)
class Watch:
    """Looks whether deadlines were met, or are going to be.

    Attributes:
        extracts: Those that have a deadline.
        folders: Where the stages left their files.
        ledger: What is remembered.
        words: What messages are made with.
        services: Names of those who are told.
        clock: Tells the moment.
    """

    extracts: Sequence[Extract]
    folders: Folders
    ledger: Ledger
    words: Words
    services: Sequence[str]
    clock: Callable[[], datetime] = now_utc

    def tick(self, instance: DagsterInstance, reading: Reading) -> str:
        """Look once, and return in a sentence what is wrong."""
        now = self.clock()
        named = {extract.name: extract for extract in self.extracts}
        deadlines = {name: one.deadline for name, one in named.items() if one.deadline}
        history = reading.history(instance, now)
        with self.ledger.opened() as state:
            watched = {
                name: state.watched_since(name, f"{deadline} {deadline.within}", now)
                for name, deadline in deadlines.items()
            }
            for name, known in history.items():
                if known.published is not None:
                    state.over(name, at=known.published, run_id=known.published_by)
            verdicts = judge(deadlines, history, now, watched)
            for verdict in verdicts:
                state.report(self._problem(named[verdict.extract], verdict))
            state.forget_others(named, [DEADLINE])
            if self.services:
                # sent by the sensor `alerts`
                state.compose(self.words, self.services, now)
        if not verdicts:
            return f"No deadline of {counted(len(deadlines), 'extract')} is missed or at risk."
        return "; ".join(
            f"{named[one.extract].name} {'is at risk' if one.kind == 'at_risk' else 'was missed'}, "
            f"due {self.words.moment(one.due.isoformat())}: {one.reason}"
            for one in verdicts[:5]
        ) + (f"; and {len(verdicts) - 5} more" if len(verdicts) > 5 else "")

    def _problem(self, extract: Extract, verdict: Verdict) -> Problem:
        assert extract.deadline is not None  # noqa: S101  # it was judged by it
        serves = still_serves(
            self.folders.published, extract.name, target=self.folders.place_of(extract)
        )
        return Problem(
            key=f"{DEADLINE}:{extract.name}",
            kind=verdict.kind,
            label=label_of(extract),
            reason=verdict.reason,
            signature=verdict.due.isoformat(),
            since=verdict.since.isoformat(),
            ends_after=(verdict.due - extract.deadline.within).isoformat(),
            serves=capitalized(serves),
            run_id=verdict.run_id,
            due=verdict.due.isoformat(),
            deadline=extract.deadline.clock,
        )


def deadline_sensor(
    settings: Settings, extracts: Sequence[Extract], folders: Folders
) -> dg.SensorDefinition | None:
    """Return the sensor, which is on from the start; None when no extract has a deadline."""
    promised = [extract for extract in extracts if extract.deadline is not None]
    if not promised:
        return None
    urls = settings.mds_notify.get_secret_value()
    watch = Watch(
        extracts=promised,
        folders=folders,
        ledger=ledger_of(settings),
        words=words_of(settings),
        services=[service.name for service in services_of(urls)] if urls.strip() else [],
    )
    reading = Reading(promised)

    @dg.sensor(
        name="deadlines",
        minimum_interval_seconds=min(60, settings.mds_sensor_seconds),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Notices which extracts are not fresh in time, or are not going to be.",
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        return dg.SkipReason(watch.tick(context.instance, reading))

    return look


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, timezone.utc)
