"""The committed instance: what it does with runs that fail, runs that died, and old runs."""

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.events import EngineEventData
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from mds_tableau.dagster_home import prepare_home
from mds_tableau.defs.event_log import EventLog
from mds_tableau.defs.failing import told_plainly
from mds_tableau.defs.launcher import LocalLauncher
from mds_tableau.defs.old_runs import remove_old_runs, shrink
from mds_tableau.errors import DatabaseLocked, EmptyExtract

ROOT = Path(__file__).parents[2]
Status = dg.DagsterRunStatus


@pytest.fixture(scope="module")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an instance with all its files, and nothing in them."""
    home = tmp_path_factory.mktemp("empty") / "home"
    assert prepare_home(home)
    os.environ["DAGSTER_HOME"] = str(home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_runs() == []
        assert instance.all_instigator_state() == []
    return home


@pytest.fixture
def instance(empty_home: Path, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance as `mds-tableau up` makes it."""
    home = tmp_path / "home"
    shutil.copytree(empty_home, home)
    os.environ["DAGSTER_HOME"] = str(home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@dg.asset
def first() -> None:
    """An asset."""


@dg.asset
def second() -> None:
    """Another."""


def test_the_one_in_postgresql_differs_in_its_storage_alone() -> None:
    """The two committed instances have the same settings but for where runs are kept."""
    files = [ROOT / "data" / "dagster", ROOT / "deploy" / "postgres"]
    ours, theirs = (yaml.safe_load((f / "dagster.yaml").read_text("utf-8")) for f in files)
    del ours["event_log_storage"], theirs["storage"]
    assert ours == theirs


def test_it_is_kept_for_one_machine_and_for_months(instance: dg.DagsterInstance) -> None:
    """Telemetry is off, runs are watched and queued, and ticks do not stay for ever."""
    assert type(instance.event_log_storage) is EventLog
    assert type(instance.run_launcher) is LocalLauncher
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled
    assert instance.run_monitoring_enabled
    assert instance.freshness_enabled
    config = instance.get_concurrency_config().run_queue_config
    assert config is not None
    assert config.max_concurrent_runs == 2
    for kind in (InstigatorType.SCHEDULE, InstigatorType.SENSOR, InstigatorType.AUTO_MATERIALIZE):
        assert min(instance.get_tick_retention_settings(kind).values()) > 0


@pytest.mark.parametrize("error", [EmptyExtract("no rows"), DatabaseLocked("held")])
def test_a_run_whose_step_failed_is_not_started_again(
    instance: dg.DagsterInstance, error: Exception
) -> None:
    """Data that is refused, and what its step tried often enough, do not start a second run."""

    @dg.asset
    def refused() -> None:
        with told_plainly():
            raise error

    result = dg.materialize([refused], instance=instance, raise_on_error=False)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status == Status.FAILURE
    assert run.tags["dagster/will_retry"] == "false"


def _started(instance: dg.DagsterInstance, pid: int | None) -> dg.DagsterRun:
    """A run that is under way in a process, as far as the instance knows."""
    job = dg.define_asset_job("job", [first])
    definitions = dg.Definitions(assets=[first], jobs=[job])
    run = instance.create_run_for_job(definitions.resolve_job_def("job"))
    if pid is not None:
        instance.report_engine_event(f"pid: {pid}", run, EngineEventData.in_process(pid))
    instance.report_dagster_event(
        dg.DagsterEvent("PIPELINE_START", job_name="job"), run_id=run.run_id
    )
    return run


def _monitored(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    """The run after Dagster's own monitoring has looked at it."""
    record = instance.get_run_record_by_id(run.run_id)
    assert record is not None
    assert record.dagster_run.status == Status.STARTED
    monitor_started_run(instance, None, record, logging.getLogger())  # type: ignore[arg-type]
    after = instance.get_run_by_id(run.run_id)
    assert after is not None
    return after


def test_a_run_whose_process_is_gone_ends_as_failed_and_is_retried_once(
    instance: dg.DagsterInstance,
) -> None:
    """A process that was killed is noticed; a second run of the same kind is not retried."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        run = _started(instance, process.pid)
        assert _monitored(instance, run).status == Status.STARTED
        process.kill()
        process.wait()
    failed = _monitored(instance, run)
    assert failed.status == Status.FAILURE
    assert failed.tags["dagster/will_retry"] == "true"
    said = [entry.message for entry in instance.all_logs(run.run_id)]
    assert any(f"Process {process.pid} is gone" in message for message in said)


def test_a_number_that_another_process_has_now_is_not_taken_for_the_run(
    instance: dg.DagsterInstance,
) -> None:
    """After a restart of the machine numbers are given away again."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        run = _started(instance, process.pid)
        # the run told its number before this process was there
        earlier = datetime.now(timezone.utc) - timedelta(hours=1)
        _move_events(instance, run, earlier)
        assert _monitored(instance, run).status == Status.FAILURE
        process.kill()


def test_a_run_that_never_told_its_process_is_given_time_and_then_ends(
    instance: dg.DagsterInstance,
) -> None:
    """It may be about to tell; ten minutes later it is taken for dead."""
    run = _started(instance, None)
    assert _monitored(instance, run).status == Status.STARTED
    runs = Path(instance.root_directory) / "history" / "runs.db"
    with closing(sqlite3.connect(runs)) as database:
        database.execute("UPDATE runs SET update_timestamp = '2026-01-01 00:00:00.000000'")
        database.commit()
    assert _monitored(instance, run).status == Status.FAILURE


def _move_events(instance: dg.DagsterInstance, run: dg.DagsterRun, to: datetime) -> None:
    storage = instance.event_log_storage
    for record in instance.get_records_for_run(run.run_id).records:
        moved = record.event_log_entry._replace(timestamp=to.timestamp())
        storage.update_event_log_record(record.storage_id, moved)  # type: ignore[attr-defined]


def test_old_runs_go_and_what_is_known_of_assets_stays(instance: dg.DagsterInstance) -> None:
    """A run goes with its events and logs, unless it made an asset last or has not ended."""
    runs = [
        dg.materialize(assets, instance=instance).run_id
        for assets in ([first, second], [second], [first])
    ]
    under_way = _started(instance, os.getpid()).run_id
    root = Path(instance.root_directory)
    logs = root / "storage" / runs[0] / "compute_logs"
    logs.mkdir(parents=True, exist_ok=True)
    latest = {
        key: instance.get_latest_materialization_event(key) for key in (first.key, second.key)
    }
    assert remove_old_runs(instance, before=datetime.now(timezone.utc)) == 1
    assert {run.run_id for run in instance.get_runs()} == {*runs[1:], under_way}
    assert not logs.exists()
    assert not list(root.rglob(f"*{runs[0]}*"))
    assert instance.all_logs(runs[1])
    for key, event in latest.items():
        assert event is not None
        assert instance.get_latest_materialization_event(key) == event
    # and nothing of what is younger
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    assert remove_old_runs(instance, before=yesterday) == 0


def test_what_was_deleted_is_given_back_to_the_disk(instance: dg.DagsterInstance) -> None:
    """A file that is mostly empty is written anew, and another is left alone."""
    assert shrink(Path(instance.root_directory)) == []
    index = Path(instance.root_directory) / "index.db"
    with closing(sqlite3.connect(index)) as database:
        database.execute("CREATE TABLE large AS SELECT zeroblob(4000000) AS bytes")
        database.execute("DROP TABLE large")
    before = index.stat().st_size
    assert shrink(Path(instance.root_directory)) == ["index.db"]
    assert index.stat().st_size < before / 2
