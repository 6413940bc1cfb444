"""`mds-tableau up` keeps the pipeline going by itself, through kills and stops."""

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import psycopg
import pytest

from tests.alerts.catchers import Catcher, http_catcher
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

_UI = "http://dagster.example.com"
_MOMENT = "{{ config(materialized='table') }} select now()::timestamp as moment"


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


def _promising(folder: Path, hook: Catcher, *minutes: int, **environment: str) -> Workplace:
    """A project with one extract on a schedule of every minute, and others with deadlines.

    Args:
        folder: Where.
        hook: Who is told.
        minutes: In how many minutes from this one each other extract has to be there.
        environment: More settings.
    """
    place = Workplace.create(
        folder,
        ROOT / "tests" / "projects" / "shop",
        MDS_MARTS="promised",
        MDS_SENSOR_SECONDS="1",
        MDS_NOTIFY=hook.url,
        MDS_UI_URL=_UI,
        **environment,
    )
    (place.project / "schedules.yml").write_text('schedules: {daily: {cron: "* * * * *"}}')
    models = place.project / "models" / "promised"
    models.mkdir()
    (models / "clock.sql").write_text(_MOMENT)
    this = datetime.now(timezone.utc).replace(second=0)
    listed = ["models:"]
    for number in minutes:
        (models / f"late_{number}.sql").write_text(_MOMENT)
        due = this + timedelta(minutes=number)
        meta = {
            "datasource": f"Late {number}",
            "project": "Retail/Daily",
            "schedule": False,
            "deadline": f"{due:%H:%M} UTC",
        }
        listed += [
            f"  - name: late_{number}",
            f"    config: {json.dumps({'meta': {'tableau': meta}})}",
        ]
    (models / "promised.yml").write_text("\n".join(listed))
    return place


def _told(up: Up, hook: Catcher, kind: str) -> dict[str, Any]:
    """Return the first message of a kind, as soon as it is there."""
    return up.wait_for(lambda: next((m for m in hook.caught if m["title"].startswith(kind)), None))


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
        assert not any("had to be killed" in line for line in up.said)
        assert not psutil.pid_exists(stopped.pid)
        assert up.processes() == []
        last = up.runs()[3]
        assert (last.status, last.tags["dagster/will_retry"]) == (Status.FAILURE, "true")
        assert any("1 run under way" in line for line in up.said)
        # what the runs said, but not each event of each step
        assert any("extracts arrived" in line for line in up.said)
        assert not any(" - DEBUG - " in line for line in up.said)

    # what was backed up while a run went on is whole somewhere else
    new = tmp_path / "new"
    _command(up, "restore", backup, MDS_DATA_DIR=str(new), DAGSTER_HOME=str(new / "dagster"))
    os.environ["DAGSTER_HOME"] = str(new / "dagster")
    with dg.DagsterInstance.from_config(str(new / "dagster")) as instance:
        statuses = {run.run_id: run.status for run in instance.get_runs()}
        assert statuses.pop(killed.run_id) == Status.STARTED
        assert list(statuses.values()) == [Status.SUCCESS]
    assert json.loads((new / "published" / "visits.json").read_text())["rows"] == 3


def test_a_schedule_publishes_and_a_missed_deadline_is_told(tmp_path: Path) -> None:
    """A tick publishes by itself; who is late is told with a link, and when that is over too.

    Of deadlines a minute apart, the first that passes while somebody looks is missed.
    """
    with http_catcher() as hook:
        place = _promising(tmp_path, hook, 1, 2, 3, 4, MDS_AUTOMATION="on")
        with serving(place) as up:
            missed = _told(up, hook, "MISSED")
            by_clock = up.run_that_is(0, Status.SUCCESS)
            assert by_clock.tags["dagster/schedule_name"] == "refresh_daily"
            held = held_by_sandbox(place.data, tmp_path / "look")
            assert [(name, len(one.rows)) for name, one in held.items()] == [("clock", 1)]

            label = missed["title"].removeprefix("MISSED ").partition(":")[0]
            assert label in {f"Late {number} (Retail/Daily)" for number in (1, 2, 3, 4)}
            assert "Nothing was published since" in missed["message"]
            assert "no run has started" in missed["message"]
            assert f"Dagster: {_UI}" in missed["message"]

            up.launch("refresh_all")
            over = _told(up, hook, "RECOVERED")
            [by_hand] = [run for run in up.runs() if run.job_name == "refresh_all"]
            assert f"{_UI}/runs/{by_hand.run_id}" in over["message"]
            [line] = [line for line in over["message"].splitlines() if label in line]
            assert " late. Wrong since " in line
            held = held_by_sandbox(place.data, tmp_path / "later")
            assert {label.partition(" (")[0], "clock"} < {*held}
            assert held["clock"].revision > 1
            assert "hushhush" not in "".join(up.said)


def test_the_instance_may_be_in_postgresql(tmp_path: Path, postgres: str) -> None:
    """With the instance of `deploy/postgres` a run is launched, and seen in the database.

    That a deadline is at risk, and then met, is told of it. When the daemon is killed, `up` says
    so, stops the rest and fails.
    """
    with http_catcher() as hook:
        _postgresql(_promising(tmp_path, hook, 10), hook, postgres)


def _postgresql(place: Workplace, hook: Catcher, postgres: str) -> None:
    home = place.data / "dagster"
    home.mkdir(parents=True)
    shutil.copyfile(ROOT / "deploy" / "postgres" / "dagster.yaml", home / "dagster.yaml")
    url = fresh_database(postgres, "instance")
    os.environ["DAGSTER_POSTGRES_URL"] = url.replace("postgresql://", "postgresql+psycopg2://")
    with serving(place) as up, psycopg.connect(url) as database:
        database.autocommit = True
        risk = _told(up, hook, "AT RISK")
        assert risk["title"].startswith("AT RISK Late 10 (Retail/Daily): due ")
        up.launch("refresh_all")
        seen = "SELECT run_id FROM runs WHERE status = 'SUCCESS' AND pipeline_name = %s"
        [run_id] = up.wait_for(lambda: database.execute(seen, ["refresh_all"]).fetchone())
        events = database.execute(
            "SELECT dagster_event_type FROM event_logs WHERE run_id = %s", [run_id]
        ).fetchall()
        assert {("PIPELINE_ENQUEUED",), ("PIPELINE_STARTING",), ("STEP_SUCCESS",)} <= {*events}
        over = _told(up, hook, "RECOVERED Late 10 (Retail/Daily)")["message"]
        assert (f"{_UI}/runs/{run_id}" in over, ", in time. " in over) == (True, True)
        [daemon] = [one for one in up.processes() if "dagster._daemon" in one.cmdline()]
        daemon.kill()
        assert up.process.wait(90) == 1
        assert up.processes() == []
    assert "The daemon (dagster-daemon) ended by itself" in "".join(up.said)
    assert not list(home.rglob("*.db"))
