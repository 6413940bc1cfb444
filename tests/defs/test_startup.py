"""What is left out at the start, and that it is left out nowhere else."""

import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from tests.pipeline import ROOT

SCRIPTS = Path(sys.executable).parent


def _python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_code_location_loads_no_dbt() -> None:
    """Loading our code location leaves dbt to the process that runs it."""
    code = "import sys, mds_tableau.definitions; print([m for m in sys.modules if m == 'dbt'])"
    assert _python(code) == "[]"


def test_projects_of_others_find_dbt_as_ever() -> None:
    """Importing the parts for other projects, dagster-dbt still knows the dbt that is installed."""
    code = (
        "import mds_tableau.pipeline, dagster_dbt.compat as c; "
        "print(c.DBT_PYTHON_VERSION is not None)"
    )
    assert _python(code) == "True"


@pytest.mark.dbt
@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["no-such-command"], 2)])
def test_our_dbt_is_dbt(arguments: list[str], code: int) -> None:
    """The command that the pipeline starts says what dbt says, with the same exit code."""
    ours, theirs = (
        subprocess.run([SCRIPTS / name, *arguments], capture_output=True, text=True, check=False)
        for name in ("mds-tableau-dbt", "dbt")
    )
    assert ours.returncode == theirs.returncode == code
    assert ours.stdout == theirs.stdout
    assert "nanobind" not in ours.stderr


def test_a_killed_run_takes_no_slot_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our instance limits no pool: a slot of a dead run would hold up all later runs."""
    shutil.copy(ROOT / "data" / "dagster" / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        config = instance.get_concurrency_config()
        assert config.pool_config.default_pool_limit is None
        assert instance.event_log_storage.get_pool_limits() == []
