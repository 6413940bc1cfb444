"""Deadlines of real runs on a real instance: what is read of them, and what is told."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg
import pytest

from mds_tableau.alerts.services import services_of
from mds_tableau.defs.alerts import alert_sensor, ledger_of, words_of
from mds_tableau.defs.deadlines import Reading, Watch, deadline_sensor, freshness_policy
from mds_tableau.errors import ServerUnreachable
from tests.alerts.catchers import Catcher, http_catcher
from tests.defs.cheap_runs import Shop, raising, shop, tick
from tests.pipeline import execute

PATIENCE = 120.0


def now() -> datetime:
    """The moment."""
    return datetime.now(timezone.utc)


@pytest.fixture
def hook() -> Iterator[Catcher]:
    """A web hook that alerts go to."""
    with http_catcher() as catcher:
        yield catcher


@pytest.fixture
def due() -> datetime:
    """A whole minute that comes within the quarter of an hour that is always at risk."""
    return (now() + timedelta(minutes=10)).replace(second=0, microsecond=0)


@pytest.fixture
def sales(tmp_path: Path, due: datetime) -> Iterator[Shop]:
    """Two extracts with a deadline at that minute."""
    with shop(tmp_path, "sales", "orders", deadline=f"{due:%H:%M} UTC") as place:
        yield place


class Clock:
    """The sensor's looks at chosen moments, and what is sent of them."""

    def __init__(self, place: Shop, hook: Catcher) -> None:
        settings = place.settings(hook)
        self.place = place
        self.moment = now()
        self.watch = Watch(
            place.reporter.extracts,
            place.reporter.folders,
            ledger_of(settings),
            words_of(settings),
            [service.name for service in services_of(hook.url)],
            clock=lambda: self.moment,
        )
        self.reading = Reading(place.reporter.extracts)
        self.alerts = alert_sensor(settings, place.reporter)

    def look(self, moment: datetime) -> str:
        """Look at a moment, and have sent what there is to tell."""
        self.moment = moment
        said = self.watch.tick(self.place.instance, self.reading)
        tick(self.alerts, self.place.instance)
        return said


def test_at_risk_then_missed_then_there(sales: Shop, hook: Catcher, due: datetime) -> None:
    """Each is told once, for all that it concerns, with the run that failed and when it was."""
    clock = Clock(sales, hook)
    for seconds in (0, 60):
        said = clock.look(now() + timedelta(seconds=seconds))
    assert said.count("is at risk, due ") == 2
    sales.acts["tableau/sales"] = raising(ServerUnreachable("The server does not answer."))
    failed = sales.run("tableau/sales")
    for seconds in (0, 60, 3600):
        said = clock.look(due + timedelta(seconds=seconds))
    assert said.count("was missed, due ") == 2
    sales.acts.clear()
    sales.run()
    assert clock.look(due + timedelta(hours=2)) == (
        "No deadline of 2 extracts is missed or at risk."
    )
    clock.look(due + timedelta(hours=3))
    at = f"{due:%H:%M} UTC"
    assert hook.titles() == [
        f"AT RISK 2 datasources: due {at}, no run has started",
        f"MISSED 2 datasources: due {at}",
        "FAILED Sales (Retail/Daily)",
        "RECOVERED 2 datasources",
    ]
    first, missed = hook.caught[0], next(one for one in hook.caught if "MISSED" in one["title"])
    assert first["type"] == "warning"
    assert "\nNo run has started; how long it takes is not known yet.\n" in first["message"]
    assert "without it, and none has started since.\n- Sales (Retail/Daily): " in missed["message"]
    assert ": no run has started.\n- Orders (Retail/Daily): " in missed["message"]
    assert f"/runs/{failed.run_id}" in missed["message"]
    assert hook.caught[3]["message"].count(", in time. Wrong since ") == 2


def test_history_is_what_dagster_recorded(sales: Shop) -> None:
    """Publishes, how long they took, a run that goes on, and one that failed, as events say it."""
    reading = Reading(sales.reporter.extracts)
    assert reading.history(sales.instance, now())["sales"].published is None
    runs = [sales.run() for _ in range(2)]
    history = reading.history(sales.instance, now())["sales"]
    records = [sales.instance.get_run_record_by_id(run.run_id) for run in runs]
    spans = [(r.start_time, r.end_time) for r in records if r and r.start_time and r.end_time]
    assert history.published is not None
    assert spans[1][0] <= history.published.timestamp() <= spans[1][1]
    assert history.published_by == runs[1].run_id
    assert (history.running, history.failed) == ((), None)
    took = sorted(one.total_seconds() for one in history.took)
    assert len(took) == 2
    assert 0 <= took[0] <= took[1] <= max(end - start for start, end in spans)

    started, may_end = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        may_end.wait(PATIENCE)
        raise ServerUnreachable("The server does not answer.")

    sales.acts["tableau/sales"] = wait
    definitions = sales.definitions()
    going = threading.Thread(target=execute, args=(definitions, "tableau/sales", sales.instance))
    going.start()
    try:
        assert started.wait(PATIENCE)
        seen = reading.history(sales.instance, now())
    finally:
        may_end.set()
        going.join()
    [attempt] = seen["sales"].running
    assert attempt.started is not None
    assert now() - timedelta(minutes=1) < attempt.started <= now()
    assert seen["orders"].running == ()
    seen = reading.history(sales.instance, now())
    assert seen["sales"].running == ()
    assert seen["sales"].failed is not None
    assert seen["sales"].failed[1] == attempt.run_id
    assert seen["orders"].failed is None


def test_a_publish_that_somebody_reports_counts(sales: Shop, hook: Catcher, due: datetime) -> None:
    """A materialization that was reported by hand, of no run, is as good as another."""
    clock = Clock(sales, hook)
    for name in ("sales", "orders"):
        key = dg.AssetKey(["tableau", name])
        sales.instance.report_runless_asset_event(dg.AssetMaterialization(key))
    assert clock.look(due) == "No deadline of 2 extracts is missed or at risk."
    assert hook.caught == []


def test_an_extract_that_is_gone_is_forgotten(sales: Shop, hook: Catcher) -> None:
    """What has no deadline any more leaves no problem, and nothing is told of it."""
    clock = Clock(sales, hook)
    clock.look(now())
    fewer = [extract for extract in sales.reporter.extracts if extract.name == "orders"]
    watch = Watch(
        fewer, sales.reporter.folders, clock.watch.ledger, clock.watch.words, clock.watch.services
    )
    watch.tick(sales.instance, Reading(fewer))
    with clock.watch.ledger.opened() as state:
        assert list(state.problems) == ["deadline:orders"]


def test_without_services_nothing_counts_as_told(sales: Shop, hook: Catcher) -> None:
    """Where nobody is told yet, the sensor says it in the UI, and it is told as soon as one is."""
    extracts, folders = sales.reporter.extracts, sales.reporter.folders
    silent = deadline_sensor(sales.settings(), extracts, folders)
    assert "orders is at risk, due " in tick(silent, sales.instance)
    assert hook.caught == []
    settings = sales.settings(hook)
    tick(deadline_sensor(settings, extracts, folders), sales.instance)
    tick(alert_sensor(settings, sales.reporter), sales.instance)
    [message] = hook.caught
    assert message["title"].startswith("AT RISK 2 datasources: due ")


def test_policy_is_none_without_a_deadline() -> None:
    """An extract that nobody promised has no policy."""
    assert freshness_policy(None) is None
