"""What is told of real runs on a real instance, and to whom."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg
import pytest

from mds_tableau.alerts.services import services_of
from mds_tableau.deadlines import parse_deadline
from mds_tableau.defs.alerts import Alerts, alert_sensor, ledger_of, words_of
from mds_tableau.defs.deadlines import deadline_sensor
from mds_tableau.errors import HeldBack, RefusedValues, RowsFell, ServerUnreachable
from tests.alerts.catchers import Catcher, http_catcher
from tests.defs.cheap_runs import Shop, raising, shop, tick

DOWN = ServerUnreachable("The server https://tableau.example.com does not answer after 31 seconds.")


@pytest.fixture
def hook() -> Iterator[Catcher]:
    """A web hook that alerts go to."""
    with http_catcher() as catcher:
        yield catcher


@pytest.fixture
def sales(tmp_path: Path) -> Iterator[Shop]:
    """Two extracts."""
    with shop(tmp_path, "sales", "orders") as place:
        yield place


def test_a_failure_is_told_once_and_its_end_once(sales: Shop, hook: Catcher) -> None:
    """The same failure again, a restart and a second success add no message to the two."""
    settings = sales.settings(hook, mds_timezone="Asia/Tokyo", mds_ui_url="http://ui.example.com/")
    sensor = alert_sensor(settings, sales.reporter)
    assert tick(sensor, sales.instance) == "Nothing to tell."
    sales.acts["tableau/sales"] = raising(DOWN)
    failed = sales.run()
    assert tick(sensor, sales.instance) == f"{hook.name} was told 1 message."
    [message] = hook.caught
    assert message["title"] == "FAILED Sales (Retail/Daily)"
    assert message["type"] == "failure"
    lines = message["message"].splitlines()
    assert lines[0] == "A run failed."
    assert lines[1].startswith("Since 20")
    assert lines[1].endswith(" Asia/Tokyo).")
    assert lines[2:] == [
        "",
        "The server https://tableau.example.com does not answer after 31 seconds.",
        "- Sales (Retail/Daily): Nothing is known to have been published there",
        "",
        f"Run: http://ui.example.com/runs/{failed.run_id}",
    ]
    # the same, but for its figures, and seen by a process that was started anew
    sales.acts["tableau/sales"] = raising(ServerUnreachable(str(DOWN).replace("31", "47")))
    sales.run()
    sensor = alert_sensor(settings, sales.reporter)
    assert tick(sensor, sales.instance) == "Nothing to tell."
    # what builds it is no publish
    sales.acts.clear()
    sales.run("hyper/sales")
    assert tick(sensor, sales.instance) == "Nothing to tell."
    done = sales.run("tableau/sales")
    tick(sensor, sales.instance)
    sales.run("tableau/sales")
    assert tick(sensor, sales.instance) == "Nothing to tell."
    assert hook.titles() == ["FAILED Sales (Retail/Daily)", "RECOVERED Sales (Retail/Daily)"]
    assert f"/runs/{done.run_id}" in hook.caught[1]["message"]
    assert "Wrong since 20" in hook.caught[1]["message"]


def test_another_reason_is_told_and_the_first_time_stays(sales: Shop, hook: Catcher) -> None:
    """When the reason changes it is told, since the first failure."""
    sensor = alert_sensor(sales.settings(hook), sales.reporter)
    tick(sensor, sales.instance)
    sales.acts["tableau/sales"] = raising(DOWN)
    sales.run()
    tick(sensor, sales.instance)
    sales.acts["tableau/sales"] = raising(ValueError("no idea"))
    sales.run()
    tick(sensor, sales.instance)
    first, second = (one["message"].splitlines() for one in hook.caught)
    assert second[3].endswith("ValueError: no idea")
    assert first[1] == second[1]


def test_many_extracts_and_one_reason_are_one_message(tmp_path: Path, hook: Catcher) -> None:
    """Twenty-two extracts that fail for one reason are one message, and none when they do again."""
    names = [f"mart_{number}" for number in range(22)]
    with shop(tmp_path, *names) as place:
        sensor = alert_sensor(place.settings(hook), place.reporter)
        tick(sensor, place.instance)
        for name in names:
            error = f"Cannot publish '{name}': the server does not answer."
            place.acts[f"tableau/{name}"] = raising(ServerUnreachable(error))
        place.run()
        tick(sensor, place.instance)
        place.run("tableau/mart_7")
        tick(sensor, place.instance)
    [message] = hook.caught
    assert message["title"] == "FAILED 22 datasources"
    assert message["message"].count("does not answer") == 1
    assert message["message"].count("(Retail/Daily)") == 20
    assert "... and 2 more." in message["message"]


def test_what_stops_for_a_reason_just_told_is_gathered(sales: Shop, hook: Catcher) -> None:
    """Another extract with the same reason is told when ten minutes have passed."""
    now = [datetime.now(timezone.utc)]
    settings = sales.settings(hook)
    alerts = Alerts(
        sales.reporter,
        ledger_of(settings),
        words_of(settings),
        services_of(hook.url),
        clock=lambda: now[0],
    )
    log = dg.get_dagster_logger()
    alerts.tick(sales.instance, None, log)
    sales.acts = {"tableau/sales": raising(DOWN), "tableau/orders": raising(DOWN)}
    for name in ("sales", "orders"):
        sales.run(f"tableau/{name}")
        alerts.tick(sales.instance, None, log)
    assert hook.titles() == ["FAILED Sales (Retail/Daily)"]
    now[0] += timedelta(minutes=10, seconds=1)
    alerts.tick(sales.instance, None, log)
    assert hook.titles() == ["FAILED Sales (Retail/Daily)", "FAILED Orders (Retail/Daily)"]


@pytest.mark.parametrize("error", [RowsFell, RefusedValues, HeldBack])
def test_refused_data_are_no_crash(error: type[Exception], sales: Shop, hook: Catcher) -> None:
    """What our checks stop is told as that, beside what failed in the same run."""
    sensor = alert_sensor(sales.settings(hook), sales.reporter)
    tick(sensor, sales.instance)
    sales.acts = {
        "parquet/sales": raising(error("Extract 'sales' is not published:\n- because of 3 rows.")),
        "hyper/orders": raising(OSError("disk full")),
    }
    sales.run("*")
    tick(sensor, sales.instance)
    told = {one["title"]: one["message"].splitlines() for one in hook.caught}
    assert set(told) == {"REFUSED Sales (Retail/Daily)", "FAILED Orders (Retail/Daily)"}
    refused = told["REFUSED Sales (Retail/Daily)"]
    assert refused[0] == ("The checks refused the data, so it was not published. Nothing crashed.")
    assert refused[3] == "Extract 'sales' is not published: because of 3 rows."
    assert told["FAILED Orders (Retail/Daily)"][3] == "OSError: disk full"


def test_what_was_mended_while_the_run_went_on_is_not_told(sales: Shop, hook: Catcher) -> None:
    """An extract that was published after its failure, but before the run ended, is no problem."""
    sensor = alert_sensor(sales.settings(hook), sales.reporter)
    tick(sensor, sales.instance)
    mended = dg.AssetMaterialization(dg.AssetKey(["tableau", "orders"]))
    sales.acts = {
        "tableau/orders": raising(DOWN),
        # its turn comes after
        "tableau/sales": lambda: sales.instance.report_runless_asset_event(mended),
    }
    assert not sales.run().success
    assert tick(sensor, sales.instance) == "Nothing to tell."


def test_a_run_that_is_canceled_or_never_started_is_told(sales: Shop, hook: Catcher) -> None:
    """A canceled run says so; one that failed before any step says what Dagster says."""
    sensor = alert_sensor(sales.settings(hook), sales.reporter)
    tick(sensor, sales.instance)
    job = sales.definitions().resolve_implicit_global_asset_job_def()
    keys = {dg.AssetKey(["tableau", "sales"])}
    run = sales.instance.create_run_for_job(job, asset_selection=frozenset(keys))
    sales.instance.report_run_canceled(run)
    tick(sensor, sales.instance)
    first = sales.instance.create_run_for_job(job, asset_selection=frozenset(keys))
    sales.instance.report_run_failed(first, "The worker of the run is gone.")
    # it is going to be started once more, and so is told only when that has died too
    tick(sensor, sales.instance)
    assert hook.titles() == ["CANCELED Sales (Retail/Daily)"]
    run = sales.instance.create_run_for_job(
        job,
        asset_selection=frozenset(keys),
        parent_run_id=first.run_id,
        root_run_id=first.run_id,
        tags={"dagster/parent_run_id": first.run_id, "dagster/root_run_id": first.run_id},
    )
    sales.instance.report_run_failed(run, "The worker of the run is gone.")
    tick(sensor, sales.instance)
    assert hook.titles() == ["CANCELED Sales (Retail/Daily)", "FAILED Sales (Retail/Daily)"]
    assert "\nThe run was canceled.\n" in hook.caught[0]["message"]
    assert "\nThe worker of the run is gone.\n" in hook.caught[1]["message"]


def test_what_was_before_and_what_is_tried_again_is_not_told(sales: Shop, hook: Catcher) -> None:
    """Runs of before alerts were wanted, and such as Dagster is going to retry, are passed over."""
    sales.acts["tableau/sales"] = raising(DOWN)
    old = sales.run()
    sensor = alert_sensor(sales.settings(hook), sales.reporter)
    tick(sensor, sales.instance)
    job = sales.definitions().resolve_implicit_global_asset_job_def()
    run = sales.instance.create_run_for_job(
        job, asset_selection={dg.AssetKey(["tableau", "sales"])}
    )
    sales.instance.report_run_failed(run, "The worker of the run is gone.")
    # a tag that is given later makes an old run no new one
    sales.instance.add_run_tags(old.run_id, {"note": "looked at"})
    assert tick(sensor, sales.instance) == "Nothing to tell."
    assert hook.caught == []


def test_a_service_that_is_down_gets_everything_later(sales: Shop, hook: Catcher) -> None:
    """What could not be sent waits on disk, also over a restart, and no secret is in any file."""
    settings = sales.settings(hook)
    sensor = alert_sensor(settings, sales.reporter)
    tick(sensor, sales.instance)
    hook.status = 500
    sales.acts["tableau/sales"] = raising(ServerUnreachable(f"no way to {hook.url}"))
    sales.run()
    said = tick(sensor, sales.instance)
    assert said.startswith(f"{hook.name} did not take 1 message, which are tried again; silent")
    sales.acts.clear()
    sales.run()
    sensor = alert_sensor(settings, sales.reporter)
    assert "did not take 2 messages" in tick(sensor, sales.instance)
    hook.status = 200
    assert tick(sensor, sales.instance) == f"{hook.name} was told 2 messages."
    assert tick(sensor, sales.instance) == "Nothing to tell."
    assert hook.titles() == ["FAILED Sales (Retail/Daily)", "RECOVERED Sales (Retail/Daily)"]
    assert "hushhush" not in hook.caught[0]["message"]
    left = ledger_of(settings)._path.read_text()
    assert "hushhush" not in left
    assert "hushhush" not in repr(settings)


def test_a_summary_comes_once_a_day(sales: Shop, hook: Catcher) -> None:
    """At its time, not at once, and not for a time at which nothing ran for long."""
    settings = sales.settings(hook)
    now = [datetime.now(timezone.utc)]
    moment = now[0] + timedelta(minutes=2)
    alerts = Alerts(
        sales.reporter,
        ledger_of(settings),
        words_of(settings),
        services_of(hook.url),
        parse_deadline(f"{moment:%H:%M}"),
        clock=lambda: now[0],
    )
    log = dg.get_dagster_logger()
    alerts.tick(sales.instance, None, log)
    sales.acts["tableau/sales"] = raising(DOWN)
    sales.run()
    for minutes in (1, 3, 4):
        now[0] = moment + timedelta(minutes=minutes - 2)
        alerts.tick(sales.instance, None, log)
    assert hook.titles() == ["FAILED Sales (Retail/Daily)", "SUMMARY 1 datasource with problems"]
    lines = hook.caught[1]["message"].splitlines()
    assert lines[0] == "1 of 2 datasources published in the last 24 hours."
    assert lines[2].startswith("- FAILED Sales (Retail/Daily), since 20")
    now[0] = moment + timedelta(hours=24 + 13)
    alerts.tick(sales.instance, None, log)
    assert len(hook.caught) == 2


def test_sensors_are_there_and_on_when_somebody_wants_them(tmp_path: Path, hook: Catcher) -> None:
    """Without MDS_NOTIFY and without deadlines there are none; else they run from the start."""
    with shop(tmp_path / "a", "sales") as place:
        assert alert_sensor(place.settings(), place.reporter) is None
        folders = place.reporter.folders
        assert deadline_sensor(place.settings(), place.reporter.extracts, folders) is None
    with shop(tmp_path / "b", "sales", deadline="07:30") as place:
        folders = place.reporter.folders
        for sensor in (
            alert_sensor(place.settings(hook), place.reporter),
            deadline_sensor(place.settings(), place.reporter.extracts, folders),
        ):
            assert sensor is not None
            assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
