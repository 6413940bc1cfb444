"""The jobs and schedules of a project, and when Dagster says that they are due."""

import datetime as dt
import itertools

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from mds_tableau.errors import ScheduleError
from mds_tableau.pipeline import build_definitions
from mds_tableau.settings import load_settings
from tests.pipeline import ROOT, Workplace

pytestmark = pytest.mark.dbt

SCHEDULES = """
schedules:
  weekdays: {cron: "0 7 * * 1-5", timezone: America/New_York, select: "dim_campaign dim_product"}
  month: {cron: "0 5 1 * *"}
"""


@pytest.fixture(scope="module")
def scheduled(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Our own project with two schedules beside the default one."""
    place = Workplace.create(
        tmp_path_factory.mktemp("scheduled"),
        ROOT / "dbt_project",
        MDS_TIMEZONE="Europe/London",
        MDS_AUTOMATION="on",
        MDS_SENSOR_SECONDS="15",
    )
    (place.project / "schedules.yml").write_text(SCHEDULES, encoding="utf-8")
    model = place.project / "models" / "marts" / "household_segments.sql"
    text = model.read_text(encoding="utf-8")
    meta = "{{ config(meta={'tableau': {'schedule': 'month'}}) }}\n"
    model.write_text(meta + text, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def repository(scheduled: Workplace) -> dg.RepositoryDefinition:
    """Its definitions, as Dagster loads them."""
    with pytest.MonkeyPatch.context() as environment:
        # what is set here is not for fixtures that tests of other modules share
        for name, value in scheduled.environment.items():
            environment.setenv(name, value)
        return build_definitions(load_settings(None)).get_repository_def()


def built_by(repository: dg.RepositoryDefinition, job: str) -> set[str]:
    """What a job builds, the stages of an extract left out."""
    keys = repository.get_job(job).asset_layer.executable_asset_keys
    return {
        key.to_user_string()
        for key in keys
        if key.path[0] not in {"parquet", "hyper"} or len(key.path) == 1
    }


def test_each_schedule_builds_its_extracts_and_what_they_need(
    repository: dg.RepositoryDefinition,
) -> None:
    """By dbt selection, by meta, and the rest by default; models that none needs are left out."""
    assert built_by(repository, "refresh_weekdays") == {
        *("tableau/dim_campaign", "tableau/dim_product", "dim_campaign", "dim_product"),
        *("stg_raw__campaign_descriptions", "stg_raw__coupons", "stg_raw__products"),
        *("stg_raw__promotions", "stg_raw__transactions", "dbt/run_results"),
    }
    assert built_by(repository, "refresh_month") == {
        *("tableau/household_segments", "household_segments", "dim_household", "fct_sales"),
        *("stg_raw__coupon_redemptions", "stg_raw__campaigns", "stg_raw__demographics"),
        *("stg_raw__transactions", "dbt/run_results"),
    }
    daily = built_by(repository, "refresh_daily")
    assert {key for key in daily if key.startswith("tableau/")} == {
        *("tableau/campaign_performance", "tableau/daily_sales", "tableau/dim_household"),
        *("tableau/fct_promotions", "tableau/fct_sales", "tableau/weekly_office_sales"),
    }
    everything = built_by(repository, "refresh_all")
    assert everything > daily
    assert everything > built_by(repository, "refresh_weekdays")


def test_schedules_are_named_timed_and_on(repository: dg.RepositoryDefinition) -> None:
    """Each has the name of its job, its own cron and zone, and runs from the start when told to."""
    found = {
        one.name: (one.job_name, one.cron_schedule, one.execution_timezone)
        for one in repository.schedule_defs
        if one.name.startswith("refresh_")
    }
    assert found == {
        "refresh_daily": ("refresh_daily", "30 6 * * *", "Europe/London"),
        "refresh_weekdays": ("refresh_weekdays", "0 7 * * 1-5", "America/New_York"),
        "refresh_month": ("refresh_month", "0 5 1 * *", "Europe/London"),
    }
    for name in found:
        one = repository.get_schedule_def(name)
        assert one.default_status == dg.DefaultScheduleStatus.RUNNING
    sensors = {one.name: one for one in repository.sensor_defs}
    assert set(sensors) == {"raw_files_changed", "marts_rebuilt"}
    for sensor in sensors.values():
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
        assert sensor.minimum_interval_seconds == 15


def test_a_tick_asks_for_one_run_of_the_job(repository: dg.RepositoryDefinition) -> None:
    """Evaluated as the daemon does, a schedule asks for one run."""
    schedule = repository.get_schedule_def("refresh_weekdays")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=dt.datetime(2026, 11, 25, 12, tzinfo=dt.timezone.utc),
            repository_def=repository,
        )
        [request] = schedule.evaluate_tick(context).run_requests or ()
    assert request.tags["dagster/schedule_name"] == "refresh_weekdays"


def test_without_a_file_one_schedule_refreshes_all_and_nothing_is_on(
    definitions: dg.Definitions,
) -> None:
    """What there was before: refresh_daily at 06:30 UTC over refresh_all, off."""
    repository = definitions.get_repository_def()
    names = {one.name for one in repository.schedule_defs if one.name.startswith("refresh_")}
    assert names == {"refresh_daily"}
    schedule = repository.get_schedule_def("refresh_daily")
    assert (schedule.name, schedule.job_name) == ("refresh_daily", "refresh_all")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 6 * * *", "UTC")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    for sensor in repository.sensor_defs:
        assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
        assert sensor.minimum_interval_seconds == 60


def test_selections_that_dbt_refuses_are_told_with_the_rest(scheduled: Workplace) -> None:
    """The error of loading the definitions has dbt's words, and the other problems."""
    file = scheduled.project / "schedules.yml"
    try:
        file.write_text(
            "schedules: {us: {cron: '0 7 31 6 *', select: 'tga:us'}, month: {cron: '0 5 1 * *'}}",
            encoding="utf-8",
        )
        with pytest.raises(ScheduleError) as error:
            build_definitions(scheduled.settings())
    finally:
        file.write_text(SCHEDULES, encoding="utf-8")
    said = str(error.value).split("\n- ")
    assert len(said) == 3
    assert "schedules.us in" in said[1]
    assert "that never happens" in said[1]
    assert "which dbt does not understand" in said[2]
    assert "'tga' is not a valid method name" in said[2]


def ticks(cron: str, zone: str, after: str, count: int) -> list[str]:
    """When Dagster's daemon runs a schedule, from noon UTC of a day on."""
    noon = dt.datetime.fromisoformat(f"{after}T12:00:00+00:00").timestamp()
    found = schedule_execution_time_iterator(noon, cron, zone)
    return [tick.isoformat() for tick in itertools.islice(found, count)]


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        pytest.param(
            *("30 6 * * *", "Europe/London", "2026-03-27"),
            ["2026-03-28T06:30:00+00:00", "2026-03-29T06:30:00+01:00", "2026-03-30T06:30:00+01:00"],
            id="a time that always is",
        ),
        pytest.param(
            *("30 1 * * *", "Europe/London", "2026-03-27"),
            ["2026-03-28T01:30:00+00:00", "2026-03-29T02:00:00+01:00", "2026-03-30T01:30:00+01:00"],
            id="London, a time that is not: the end of the hour that is left out",
        ),
        pytest.param(
            *("30 1 * * *", "Europe/London", "2026-10-23"),
            ["2026-10-24T01:30:00+01:00", "2026-10-25T01:30:00+00:00", "2026-10-26T01:30:00+00:00"],
            id="London, a time that is twice: once, the second time",
        ),
        pytest.param(
            *("30 2 * * *", "America/New_York", "2026-03-06"),
            ["2026-03-07T02:30:00-05:00", "2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"],
            id="New York, a time that is not",
        ),
        pytest.param(
            *("30 1 * * *", "America/New_York", "2026-10-30"),
            ["2026-10-31T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-02T01:30:00-05:00"],
            id="New York, a time that is twice",
        ),
        pytest.param(
            *("0 7 * * 1-5", "America/New_York", "2026-03-06"),
            ["2026-03-06T07:00:00-05:00", "2026-03-09T07:00:00-04:00", "2026-03-10T07:00:00-04:00"],
            id="weekdays over a weekend in which clocks change",
        ),
        pytest.param(
            *("30 1 1 * *", "America/New_York", "2026-10-15"),
            ["2026-11-01T01:30:00-05:00", "2026-12-01T01:30:00-05:00", "2027-01-01T01:30:00-05:00"],
            id="month start, at a time that is twice: once",
        ),
        pytest.param(
            *("0 5 1 * *", "Europe/London", "2026-09-15"),
            ["2026-10-01T05:00:00+01:00", "2026-11-01T05:00:00+00:00", "2026-12-01T05:00:00+00:00"],
            id="month start",
        ),
    ],
)
def test_when_clocks_change_a_schedule_runs_once(
    cron: str, zone: str, after: str, expected: list[str]
) -> None:
    """What the page on automation says of clock changes is what Dagster does."""
    assert ticks(cron, zone, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("zone", "after", "moments"),
    [
        # midnight is left out: the moment at which the day begins, 01:00 by the clock
        ("America/Santiago", "2026-09-04", ["05T04:00", "06T04:00", "07T03:00"]),
        ("Africa/Cairo", "2026-04-22", ["22T22:00", "23T22:00", "24T21:00"]),
        ("Asia/Beirut", "2026-03-27", ["27T22:00", "28T22:00", "29T21:00"]),
        # midnight is twice: once, in Havana the first time
        ("America/Havana", "2026-10-30", ["31T04:00", "01T04:00", "02T05:00"]),
        # 23:00 is twice, and so midnight once
        ("America/Santiago", "2026-04-02", ["03T03:00", "04T03:00", "05T04:00"]),
    ],
)
def test_where_clocks_change_at_midnight_a_schedule_at_midnight_runs_once(
    zone: str, after: str, moments: list[str]
) -> None:
    """There is one run for each day, in UTC at these moments."""
    found = [
        dt.datetime.fromisoformat(tick).astimezone(dt.timezone.utc)
        for tick in ticks("0 0 * * *", zone, after, 3)
    ]
    assert [moment.strftime("%dT%H:%M") for moment in found] == moments
