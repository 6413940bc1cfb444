"""The schedule and the sensor, asked through Dagster's own helpers."""

import datetime as dt
import os
from pathlib import Path

import dagster as dg
from dagster._utils.schedules import schedule_execution_time_iterator

from mds_tableau.defs.automation import automation
from mds_tableau.settings import load_settings


def _parts(folder: Path) -> tuple[dg.ScheduleDefinition, dg.SensorDefinition]:
    settings = load_settings(None)
    _, schedule, sensor = automation(settings, lambda: sorted(folder.glob("*.csv")))
    return schedule, sensor


class Ticks:
    """A sensor over a folder, with the cursor that Dagster would keep for it."""

    def __init__(self, folder: Path) -> None:
        self.sensor = _parts(folder)[1]
        self.cursor: str | None = None

    def tick(self) -> dg.SensorResult:
        """Evaluate the sensor once."""
        result = self.sensor(dg.build_sensor_context(cursor=self.cursor))
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return result

    def runs(self) -> list[str]:
        """Evaluate once, and return the run keys that it asks for."""
        return [str(request.run_key) for request in self.tick().run_requests or ()]

    def skipped(self) -> str:
        """Evaluate once, and return why no run was asked for."""
        result = self.tick()
        assert not result.run_requests
        return str(result.skip_reason.skip_message) if result.skip_reason else ""


def test_schedule_runs_daily_at_0630_in_the_configured_zone(tmp_path: Path) -> None:
    """The schedule's next tick is 06:30 of the configured zone, on both sides of a clock change."""
    os.environ["MDS_TIMEZONE"] = "Europe/London"
    schedule, _ = _parts(tmp_path)
    assert schedule.cron_schedule == "30 6 * * *"
    assert schedule.execution_timezone == "Europe/London"
    noon = dt.datetime(2026, 3, 28, 12, tzinfo=dt.timezone.utc).timestamp()
    ticks = schedule_execution_time_iterator(
        noon, schedule.cron_schedule, schedule.execution_timezone
    )
    # the clocks went forward in the night between these two
    assert [next(ticks).isoformat() for _ in range(2)] == [
        "2026-03-29T06:30:00+01:00",
        "2026-03-30T06:30:00+01:00",
    ]


def test_nothing_to_read_is_a_skip_with_a_reason(tmp_path: Path) -> None:
    """Without raw files no run starts, and the reason says so."""
    assert Ticks(tmp_path).skipped() == "There are no raw files."


def test_new_file_starts_one_run_when_it_was_the_same_twice(tmp_path: Path) -> None:
    """The first look only notes a file, the second starts one run, the third finds nothing new."""
    (tmp_path / "a.csv").write_text("1")
    ticks = Ticks(tmp_path)
    assert ticks.skipped() == "a.csv changed; waiting until the next look finds the same."
    assert len(ticks.runs()) == 1
    assert ticks.skipped() == "None of 1 raw files is new or changed."


def test_file_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    """While a file grows between two looks no run starts; when it rests, one does."""
    file = tmp_path / "a.csv"
    ticks = Ticks(tmp_path)
    for size in range(1, 4):
        file.write_text("x" * size)
        assert "waiting" in ticks.skipped()
    assert len(ticks.runs()) == 1


def test_growing_file_does_not_hold_up_another(tmp_path: Path) -> None:
    """A file that rests starts a run although another one still changes."""
    growing = tmp_path / "log.csv"
    growing.write_text("1")
    (tmp_path / "done.csv").write_text("1")
    ticks = Ticks(tmp_path)
    ticks.tick()
    growing.write_text("12")
    result = ticks.tick()
    [request] = result.run_requests or ()
    assert request.tags["mds_tableau/changed"] == "done.csv"


def test_changed_content_starts_another_run(tmp_path: Path) -> None:
    """A file that changes after its run starts another run, with a key of its own."""
    file = tmp_path / "a.csv"
    file.write_text("1")
    ticks = Ticks(tmp_path)
    ticks.tick()
    first = ticks.runs()
    file.write_text("22")
    ticks.tick()
    second = ticks.runs()
    assert len(first) == len(second) == 1
    assert first != second


def test_flood_of_files_starts_one_run(tmp_path: Path) -> None:
    """A thousand new files start one run, whose tag stays short."""
    for number in range(1000):
        (tmp_path / f"{number:04}.csv").write_text("1")
    ticks = Ticks(tmp_path)
    ticks.tick()
    [request] = ticks.tick().run_requests or ()
    assert request.tags["mds_tableau/changed"] == "0000.csv, 0001.csv, 0002.csv and 997 more"


def test_removed_file_starts_nothing_and_is_mentioned(tmp_path: Path) -> None:
    """A file that went away is named in the reason; when it comes back it counts as new."""
    file = tmp_path / "a.csv"
    file.write_text("1")
    (tmp_path / "b.csv").write_text("1")
    ticks = Ticks(tmp_path)
    ticks.tick()
    ticks.tick()
    file.unlink()
    assert ticks.skipped() == "None of 1 raw files is new or changed. a.csv is gone."
    file.write_text("1")
    ticks.tick()
    assert len(ticks.runs()) == 1
