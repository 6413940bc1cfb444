"""`mds-tableau up` keeps the pipeline going by itself, through kills and stops."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import psutil
import psycopg
import pytest

from tests.e2e.up import Up, serving
from tests.pipeline import ROOT, Workplace, held_by_sandbox
from tests.postgres_server import fresh_database

pytestmark = [pytest.mark.e2e, pytest.mark.dbt, pytest.mark.hyper]

Status = dg.DagsterRunStatus
_UNDER_WAY = (Status.STARTED,)
_SOURCE = """
version: 2
sources:
  - name: raw
    tables:
      - name: visits
        config:
          meta:
            external_location: "{{ env_var('MDS_RAW_DIR') }}/visits.csv"
"""


def _place(folder: Path) -> Workplace:
    """A small project with one raw file, which the sandbox does not hold yet."""
    place = Workplace.create(
        folder,
        ROOT / "tests" / "projects" / "shop",
        MDS_MARTS="visits",
        MDS_SENSOR_SECONDS="1",
    )
    reporting = place.project / "models" / "reporting"
    (reporting / "sources.yml").write_text(_SOURCE)
    (reporting / "visits.sql").write_text("select day, guests from {{ source('raw', 'visits') }}")
    return place


def _drop(up: Up, rows: int) -> None:
    lines = [f"2026-11-{day + 1:02},{day}" for day in range(rows)]
    beside = up.place.raw / ".visits.tmp"
    beside.write_text("day,guests\n" + "\n".join(lines) + "\n")
    beside.replace(up.place.raw / "visits.csv")


def _published(up: Up) -> int:
    held = held_by_sandbox(up.place.data, up.place.folder / f"look{len(up.runs())}")
    return len(held["visits"].rows)


def _command(up: Up, *words: str, **environment: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("mds-tableau")), *words],
        env={**os.environ, **up.place.environment, **environment},
        cwd=up.place.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills as a Linux system does")
def test_a_file_is_published_and_what_dies_is_made_up_for(tmp_path: Path) -> None:
    """A dropped file arrives by itself, a killed run too on its second try; a stop leaves nobody.

    The run that was killed ends as failed and is tried once more; a run that the stop interrupted
    ends as failed too, and is to be tried again.
    """
    with serving(_place(tmp_path)) as up:
        _drop(up, 3)
        up.switch_on("raw_files_changed")
        up.run_that_is(0, Status.SUCCESS)
        assert _published(up) == 3

        up.launch("refresh_all")
        killed = up.run_that_is(1, *_UNDER_WAY)
        process = up.process_of(killed)
        backup = str(tmp_path / "backup.tar.gz")
        _command(up, "backup", backup)
        process.kill()
        up.run_that_is(1, Status.FAILURE)
        again = up.run_that_is(2, Status.SUCCESS)
        assert again.parent_run_id == killed.run_id

        up.launch("refresh_all")
        stopped = up.process_of(up.run_that_is(3, *_UNDER_WAY))
        assert up.stop() == 0
        assert not psutil.pid_exists(stopped.pid)
        assert up.processes() == []
        last = up.runs()[3]
        assert (last.status, last.tags["dagster/will_retry"]) == (Status.FAILURE, "true")
        assert any("1 run under way" in line for line in up.said)

    # what was backed up while a run went on is whole somewhere else
    new = tmp_path / "new"
    _command(up, "restore", backup, MDS_DATA_DIR=str(new), DAGSTER_HOME=str(new / "dagster"))
    os.environ["DAGSTER_HOME"] = str(new / "dagster")
    with dg.DagsterInstance.from_config(str(new / "dagster")) as instance:
        statuses = {run.run_id: run.status for run in instance.get_runs()}
        assert statuses.pop(killed.run_id) == Status.STARTED
        assert list(statuses.values()) == [Status.SUCCESS]
    assert json.loads((new / "published" / "visits.json").read_text())["rows"] == 3


def test_the_instance_may_be_in_postgresql(tmp_path: Path, postgres: str) -> None:
    """With the instance of `deploy/postgres` a run is launched, and seen in the database.

    When the daemon is killed, `up` says so, stops the rest and fails.
    """
    place = _place(tmp_path)
    home = place.data / "dagster"
    home.mkdir(parents=True)
    shutil.copyfile(ROOT / "deploy" / "postgres" / "dagster.yaml", home / "dagster.yaml")
    url = fresh_database(postgres, "instance")
    os.environ["DAGSTER_POSTGRES_URL"] = url.replace("postgresql://", "postgresql+psycopg2://")
    with serving(place) as up, psycopg.connect(url) as database:
        database.autocommit = True
        up.launch("tidy_instance")
        seen = "SELECT run_id FROM runs WHERE status = 'SUCCESS' AND pipeline_name = %s"
        [run_id] = up.wait_for(lambda: database.execute(seen, ["tidy_instance"]).fetchone())
        events = database.execute(
            "SELECT dagster_event_type FROM event_logs WHERE run_id = %s", [run_id]
        ).fetchall()
        assert {("PIPELINE_ENQUEUED",), ("PIPELINE_STARTING",), ("STEP_SUCCESS",)} <= {*events}
        [daemon] = [one for one in up.processes() if "dagster._daemon" in one.cmdline()]
        daemon.kill()
        assert up.process.wait(90) == 1
        assert up.processes() == []
    assert "The daemon (dagster-daemon) ended by itself" in "".join(up.said)
    assert not list(home.rglob("*.db"))
