"""The sensor `alerts`: looks at runs that have ended, and sends what there is to tell.

It asks the instance for runs instead of being called for each one, as Dagster's sensors of a run's
status are: those take one run a tick, forget a run whose evaluation failed, and pass over runs of
`dagster asset materialize`, which belong to no code location. What is told, and how, is decided in
`mds_tableau.alerts`; what a run did is found by `report` and `problems`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from logging import Logger
from typing import Any, Final

import dagster as dg
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus

from mds_tableau.alerts.ledger import RUN, Ledger, State
from mds_tableau.alerts.messages import Tone, Words
from mds_tableau.alerts.services import Sender, Service, services_of
from mds_tableau.columns import counted
from mds_tableau.deadlines import Deadline, parse_deadline
from mds_tableau.defs.problems import key_of, label_of, problems_of, unreadable
from mds_tableau.defs.report import Reporter
from mds_tableau.settings import Settings

_ENDED: Final = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
_LOOK_BACK: Final = timedelta(minutes=10)
"""How far before the last run is looked again: runs do not appear in the order of their ends."""

_REMIND: Final = timedelta(hours=1)
_SUMMARY_AFTER: Final = timedelta(hours=12)
"""How late a summary may be, where nothing ran at its time."""


def now_utc() -> datetime:
    """Return the moment."""
    return datetime.now(timezone.utc)


def ledger_of(settings: Settings) -> Ledger:
    """Return where problems are remembered."""
    return Ledger(settings.mds_data_dir / "alerts")


def words_of(settings: Settings) -> Words:
    """Return what messages are made with."""
    return Words(settings.mds_timezone, settings.mds_ui_url, settings.secrets())


@dataclass(frozen=True)
class Alerts:
    """Looks at runs and sends messages.

    Attributes:
        reporter: Tells what a run did with each extract.
        ledger: What is remembered.
        words: What messages are made with.
        services: Who is told.
        summary: When a summary is sent, or None.
        sender: Sends.
        clock: Tells the moment.
    """

    reporter: Reporter
    ledger: Ledger
    words: Words
    services: list[Service]
    summary: Deadline | None = None
    sender: Sender = field(default_factory=Sender)
    clock: Callable[[], datetime] = now_utc

    def tick(self, instance: DagsterInstance, location: str | None, log: Logger) -> str:
        """Look once, send once, and return in a sentence what came of it."""
        now, names = self.clock(), [service.name for service in self.services]
        with self.ledger.opened() as state:
            for run, ended in _new_runs(instance, state, now):
                if _is_ours(run, location):
                    try:
                        self._look(instance, state, run, ended)
                    except Exception as error:
                        # one run that cannot be read must not keep all others from being told
                        log.exception(f"What run {run.run_id} did cannot be read")
                        state.report(unreadable(run, ended, error))
            state.forget_others([extract.name for extract in self.reporter.extracts], [RUN])
            self._summarize(instance, state, names, now)
            state.compose(self.words, names, now)
            if dropped := state.drop_old(names, now):
                log.warning(f"{counted(dropped, 'message')} waited too long and will not be sent.")
            waiting: dict[str, list[tuple[str, str, str, Tone]]] = {}
            for one in state.waiting:
                for name in one.left:
                    waiting.setdefault(name, []).append(
                        (one.id, one.title, one.body, one.tone)  # type: ignore[arg-type]
                    )
            silent = dict(state.silent)
        if not waiting and not silent:
            return "Nothing to tell."
        # nobody else has to wait for a service that is slow
        sent = self.sender.send(waiting, self.services)
        with self.ledger.opened() as state:
            state.arrived({name: ids for name, (ids, _) in sent.items()})
            return _told(state, sent, waiting, now, log)

    def _look(
        self, instance: DagsterInstance, state: State, run: DagsterRun, ended: datetime
    ) -> None:
        report = self.reporter.report(instance, run)
        extracts = {extract.name: extract for extract in self.reporter.extracts}
        for name in report.arrived:
            last = instance.get_latest_materialization_event(key_of(extracts[name]))
            if last is not None and last.run_id == run.run_id:
                at = datetime.fromtimestamp(last.timestamp, timezone.utc)
                state.over(name, at=at, run_id=run.run_id)
        if run.status == DagsterRunStatus.SUCCESS:
            state.over(run.job_name, at=ended, run_id=run.run_id)
        # another run is going to try it again
        elif run.tags.get("dagster/will_retry") != "true":
            clean = self.words.clean
            for problem in problems_of(instance, run, ended, report, extracts, clean):
                state.report(problem)

    def _summarize(
        self, instance: DagsterInstance, state: State, names: list[str], now: datetime
    ) -> None:
        if self.summary is None:
            state.summary = ""
            return
        moment = self.summary.last(now)
        is_new = bool(state.summary) and datetime.fromisoformat(state.summary) < moment
        state.summary = moment.isoformat()
        if not is_new or now - moment > _SUMMARY_AFTER:
            return
        published = [extract for extract in self.reporter.extracts if extract.publish]
        fresh = []
        for extract in published:
            last = instance.get_latest_materialization_event(key_of(extract))
            if last is not None and now.timestamp() - last.timestamp <= 24 * 3600:
                at = datetime.fromtimestamp(last.timestamp, timezone.utc).isoformat()
                fresh.append((label_of(extract), at))
        message = self.words.summary(list(state.problems.values()), fresh, len(published))
        state.queue(message, names, now)


def alert_sensor(settings: Settings, reporter: Reporter) -> dg.SensorDefinition | None:
    """Return the sensor, which is on from the start; None when nobody is to be told."""
    urls = settings.mds_notify.get_secret_value()
    if not urls.strip():
        return None
    summary = settings.mds_notify_summary
    alerts = Alerts(
        reporter=reporter,
        ledger=ledger_of(settings),
        words=words_of(settings),
        services=services_of(urls),
        summary=parse_deadline(summary, settings.mds_timezone) if summary else None,
    )

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=min(30, settings.mds_sensor_seconds),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tells the services of MDS_NOTIFY what failed, what will be late, and when it is over."
        ),
    )
    def look_and_tell(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        return dg.SkipReason(alerts.tick(context.instance, _location(context), context.log))

    return look_and_tell


def _new_runs(
    instance: DagsterInstance, state: State, now: datetime
) -> Iterator[tuple[DagsterRun, datetime]]:
    """Give runs that have ended since the last look, and when, each once."""
    if not state.cursor:
        # what was before anybody wanted to be told is not told
        state.cursor = now.isoformat()
    cursor = datetime.fromisoformat(state.cursor)
    records = instance.get_run_records(
        filters=dg.RunsFilter(statuses=_ENDED, updated_after=cursor - _LOOK_BACK),
        order_by="update_timestamp",
        ascending=True,
    )
    for record in records:
        run, updated = record.dagster_run, record.update_timestamp.astimezone(timezone.utc)
        at = record.end_time
        ended = datetime.fromtimestamp(at, timezone.utc) if at is not None else updated
        # one that ended long ago was only given a tag now
        is_old = ended < cursor - (_LOOK_BACK if state.handled else timedelta(0))
        if run.run_id not in state.handled and not is_old:
            yield run, ended
        state.handled[run.run_id] = updated.isoformat()
        state.cursor = max(datetime.fromisoformat(state.cursor), updated).isoformat()
    oldest = datetime.fromisoformat(state.cursor) - 2 * _LOOK_BACK
    state.handled = {
        run: at for run, at in state.handled.items() if datetime.fromisoformat(at) > oldest
    }


def _is_ours(run: DagsterRun, location: str | None) -> bool:
    origin = run.remote_job_origin
    # those of the command line have none
    return (
        origin is None
        or location is None
        or origin.repository_origin.code_location_origin.location_name == location
    )


def _location(context: dg.SensorEvaluationContext) -> str | None:
    origin: Any = context.code_location_origin
    return origin.location_name if origin else None


def _told(
    state: State,
    sent: Mapping[str, tuple[set[str], bool]],
    waiting: Mapping[str, list[Any]],
    now: datetime,
    log: Logger,
) -> str:
    said = []
    for name, (ids, is_done) in sorted(sent.items()):
        if is_done:
            state.silent.pop(name, None)
            said.append(f"{name} was told {counted(len(ids), 'message')}.")
            continue
        since, logged = state.silent.get(name) or [now.isoformat(), ""]
        left = counted(len(waiting[name]) - len(ids), "message")
        text = f"{name} did not take {left}, which are tried again; silent since {since}."
        if not logged or now - datetime.fromisoformat(logged) >= _REMIND:
            log.warning(text)
            logged = now.isoformat()
        state.silent[name] = [since, logged]
        said.append(text)
    state.silent = {name: since for name, since in state.silent.items() if name in sent}
    return " ".join(said) or "Nothing to tell."
