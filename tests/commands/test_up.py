"""`mds-tableau up` refuses to begin what would go wrong; what it does is tested in `tests/e2e`."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from filelock import FileLock

from mds_tableau.cli import main
from mds_tableau.dagster_home import sole_service, write_state

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of the instance that the command uses; it is not there yet."""
    os.environ["MDS_DATA_DIR"] = str(tmp_path / "data")
    return tmp_path / "data" / "dagster"


def test_a_port_that_is_taken_is_named(home: Path) -> None:
    """Nothing is started, the instance is made, and the message says what to do."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = CliRunner().invoke(main, ["up", "--port", str(port)])
    assert refused.exit_code == 1
    assert f"Cannot listen on port {port} of 127.0.0.1" in refused.output
    assert "--port" in refused.output
    committed = (ROOT / "data" / "dagster" / "dagster.yaml").read_bytes()
    assert (home / "dagster.yaml").read_bytes() == committed
    assert not (home / ".up.json").exists()


@pytest.mark.parametrize("below", ["", "dagster"])
def test_a_home_that_cannot_be_made_is_named(tmp_path: Path, below: str) -> None:
    """Where there is a file, or below one: the path, and which setting it is of."""
    (tmp_path / "file").write_text("")
    home = tmp_path / "file" / below
    os.environ["MDS_DATA_DIR"] = str(tmp_path / "data")
    os.environ["DAGSTER_HOME"] = str(home)
    refused = CliRunner().invoke(main, ["up"])
    assert refused.exit_code == 1
    assert f"{home} cannot be the folder of Dagster's instance" in refused.output
    assert "Set DAGSTER_HOME to a folder" in refused.output


@pytest.mark.parametrize("below", ["", "up.log", "logs/up.log"])
def test_a_log_that_cannot_be_written_is_named(home: Path, tmp_path: Path, below: str) -> None:
    """What cannot be written, why, and what to do; nothing is started or made."""
    (tmp_path / "file").write_text("")
    log = tmp_path / "file" / below if below else tmp_path / ("x" * 300)
    refused = CliRunner().invoke(main, ["up", "--log", str(log)])
    assert refused.exit_code == 2
    assert f"--log {log} cannot be written" in refused.output
    assert "Errno" not in refused.output
    assert "Give a file" in refused.output
    assert not home.exists()


def test_a_model_that_does_not_compile_is_told_as_the_cause(home: Path, tmp_path: Path) -> None:
    """What dbt says of the model is what the command ends with, and no frames are."""
    project = shutil.copytree(
        ROOT / "dbt_project", tmp_path / "project", ignore=shutil.ignore_patterns("target")
    )
    (project / "models" / "broken.sql").write_text("SELECT * FROM {{ ref('nowhere') }}\n")
    os.environ["MDS_DBT_PROJECT"] = str(project)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ended = CliRunner().invoke(main, ["up", "--port", str(port)])
    assert ended.exit_code == 1
    told = ended.output.rpartition("Error: The code server")[2]
    assert "The cause:\n    dbt" in told
    assert "    Compilation Error\n" in told
    assert "(models/broken.sql) depends on a node named 'nowhere' which was not found" in told
    assert "  File " not in told
    assert "DagsterUserCodeLoadError" not in told
    assert not (home / ".up.json").exists()


def test_two_do_not_serve_one_instance(home: Path) -> None:
    """The second says who the first is, and where its UI is."""
    home.mkdir(parents=True)
    with FileLock(home / ".up.lock"):
        write_state(home, "http://127.0.0.1:3999", [])
        refused = CliRunner().invoke(main, ["up"])
    assert refused.exit_code == 1
    assert f"process {os.getpid()}, with its UI on http://127.0.0.1:3999" in refused.output


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "example.com"])  # noqa: S104
def test_the_network_is_not_let_in_by_accident(home: Path, host: str) -> None:
    """A host of the network is wrong usage, unless somebody says that they know."""
    refused = CliRunner().invoke(main, ["up", "--host", host])
    assert refused.exit_code == 2
    assert "no sign-in" in refused.output
    assert not home.exists()


def test_what_was_left_behind_is_ended_and_nothing_else(home: Path) -> None:
    """A child of one that was killed is ended; a process that has its number now is not."""
    home.mkdir(parents=True)
    command = [sys.executable, "-c", "input()"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE) as left,
        subprocess.Popen(command, stdin=subprocess.PIPE) as other,
    ):
        write_state(home, "http://127.0.0.1:3999", [("daemon", left.pid), ("code", other.pid)])
        state = json.loads((home / ".up.json").read_text())
        # whoever had that number was there an hour earlier
        state["children"][1][2] -= 3600
        (home / ".up.json").write_text(json.dumps(state))
        with sole_service(home) as ended:
            assert ended == [f"daemon (process {left.pid})"]
        assert not psutil.pid_exists(left.pid)
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize("url", ["", "postgresql://ada:very-secret@db/dagster"])
def test_an_instance_in_postgresql_needs_the_driver_that_works(home: Path, url: str) -> None:
    """The message says how the URL has to begin, and does not show the one that there is."""
    home.mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "postgres" / "dagster.yaml", home)
    os.environ["DAGSTER_POSTGRES_URL"] = url
    refused = CliRunner().invoke(main, ["up"])
    assert refused.exit_code == 1
    assert "postgresql+psycopg2://USER" in refused.output
    assert "very-secret" not in refused.output
