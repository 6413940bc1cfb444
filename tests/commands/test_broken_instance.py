"""A Dagster instance that cannot be used: what a run and `doctor` say of it."""

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mds_tableau.dagster_home import prepare_home, refuse_wrong_config
from mds_tableau.defs.instance import opened
from mds_tableau.errors import MdsTableauError
from tests.commands.conftest import Run

SECRET = "battery%40staple"
POSTGRES = "storage:\n  postgres:\n    postgres_url:\n      env: DAGSTER_POSTGRES_URL\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an instance as `up` and `refresh` make it."""
    home = tmp_path / "data" / "dagster"
    prepare_home(home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    return home


def garbage(path: Path) -> None:
    """Write what is no database."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"garbage" * 300)


def folder(path: Path) -> None:
    """Put a folder where a file has to be."""
    path.unlink()
    path.mkdir()


CASES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no yaml": (
        lambda home: (home / "dagster.yaml").write_text(": [broken"),
        "dagster.yaml, which says how Dagster's instance is kept, cannot be read: it is not YAML",
    ),
    "not utf-8": (
        lambda home: (home / "dagster.yaml").write_bytes(b"\xff\xfe"),
        "it is not UTF-8",
    ),
    "a list": (lambda home: (home / "dagster.yaml").write_text("- a\n"), "it is no list of"),
    "a folder": (lambda home: folder(home / "dagster.yaml"), "Is a directory"),
    "unknown": (
        lambda home: (home / "dagster.yaml").write_text("zork: 1\n"),
        'is not what Dagster can be configured with: Received unexpected config entry "zork"',
    ),
    "wrong value": (
        lambda home: (home / "dagster.yaml").write_text(f"telemetry: {{enabled: {SECRET}}}"),
        "root:telemetry:enabled",
    ),
    "index": (lambda home: garbage(home / "index.db"), "index.db is none that SQLite reads"),
    "runs": (lambda home: garbage(home / "history/runs.db"), "runs.db is none that SQLite reads"),
    "schedules": (
        lambda home: (home / "schedules/schedules.db").mkdir(parents=True),
        "schedules.db is no file",
    ),
    "postgresql": (
        lambda home: (home / "dagster.yaml").write_text(POSTGRES),
        "keeps its runs in the database of DAGSTER_POSTGRES_URL, which cannot be used: connection",
    ),
}


@pytest.mark.parametrize(("breaks", "said"), CASES.values(), ids=CASES)
def test_it_is_told_what_is_broken_and_what_to_do(
    home: Path,
    breaks: Callable[[Path], Any],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    without_waiting: AbstractContextManager[None],
) -> None:
    """Whatever Dagster, YAML or a driver raises: one error of ours, with the folder, no secret."""
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", f"postgresql+psycopg2://u:{SECRET}@127.0.0.1:1/d")
    breaks(home)
    with pytest.raises(MdsTableauError) as raised, opened(home):
        pass
    assert said in str(raised.value)
    assert str(home) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "battery" not in str(raised.value)
    assert ". " in str(raised.value)  # what to do


@pytest.fixture
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster tries a connection again, and waits before; here it does not wait."""
    monkeypatch.setattr("dagster_postgres.utils.time.sleep", lambda _: None)


def read_garbage(home: Path, instance: dg.DagsterInstance) -> None:
    """Read the runs from what is no database any more."""
    (home / "history" / "runs.db").unlink()
    garbage(home / "history" / "runs.db")
    instance.get_runs()


def test_storage_that_breaks_while_it_is_open_is_told_too(home: Path) -> None:
    """As where the files may be read and not be written."""
    with pytest.raises(MdsTableauError, match="cannot be used"), opened(home) as instance:
        read_garbage(home, instance)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everything")
def test_files_that_may_only_be_read_are_told(home: Path) -> None:
    """They open all the same, and would fail at the first thing that is kept."""
    with opened(home):
        pass
    (home / "index.db").chmod(0o400)
    with pytest.raises(MdsTableauError, match=r"index\.db may not be"), opened(home):
        pass
    (home / "index.db").chmod(0o600)
    with opened(home) as instance:
        instance.wipe()


@pytest.mark.parametrize("content", [": [broken", "- a"])
def test_up_is_told_before_it_starts_anything(home: Path, content: str) -> None:
    """What it asks of the folder is refused with the file's name."""
    (home / "dagster.yaml").write_text(content)
    with pytest.raises(MdsTableauError, match=r"dagster\.yaml, which says"):
        refuse_wrong_config(home)


@pytest.mark.hyper
def test_doctor_tells_of_the_instance(run: Run, tmp_path: Path) -> None:
    """None yet is fine and none is made; one that opens is counted, one that does not fails."""

    def found() -> dict[str, str]:
        told = json.loads(run("doctor", "--json").stdout)
        [one] = [one for one in told if one["check"] == "dagster"]
        return dict(one)

    home = tmp_path / "data" / "dagster"
    assert found()["status"] == "ok"
    assert not home.exists()
    prepare_home(home)
    assert (found()["status"], found()["found"]) == ("ok", f"{home} opens and has 0 runs")
    garbage(home / "history" / "runs.db")
    one = found()
    assert one["status"] == "fail"
    assert f"{home / 'history' / 'runs.db'} is none that SQLite reads" in one["found"]
