"""`mds-tableau refresh` does what the main job does, and says so in lines that people can read."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from mds_tableau.cli import main
from tests.chaos.crowd import wait_for
from tests.pipeline import ROOT, Workplace, held_by_sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.dbt, pytest.mark.hyper]

LINE = re.compile(r"(done|same|FAILED) +(\S+) +\d+\.\d s")
STAGES = ("parquet", "hyper", "tableau")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A small project of another team, everything of which was refreshed once."""
    folder = tmp_path_factory.mktemp("refresh")
    place = Workplace.create(
        folder, ROOT / "tests" / "projects" / "shop", MDS_MARTS="reporting", DAGSTER_HOME=""
    )
    done = refresh(place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert set(steps(done).values()) == {"done"}
    assert re.search(
        r"^done +tableau/revenue .* rows in 'Revenue, daily' in '.+'$", done.stdout, re.M
    )
    assert done.stdout.endswith("\n2 published, 0 unchanged since the last time.\n")
    return place


def refresh(place: Workplace, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a process of its own."""
    return place.run("mds_tableau", "refresh", *words)


@contextmanager
def at_home(place: Workplace) -> Iterator[dg.DagsterInstance]:
    """Open the instance in the data folder."""
    home = str(place.data / "dagster")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DAGSTER_HOME", home)
        with dg.DagsterInstance.from_config(home) as instance:
            yield instance


def steps(done: "subprocess.CompletedProcess[str]") -> dict[str, str]:
    """How each step ended, by its name."""
    return {name: state for state, name in LINE.findall(done.stdout)}


def revisions(place: Workplace) -> dict[str, int]:
    """The newest revision of each datasource, by its name."""
    held = held_by_sandbox(place.data, place.folder / "scratch")
    return {name: item.revision for name, item in held.items()}


def test_the_run_is_where_the_ui_looks_for_it(shop: Workplace) -> None:
    """The instance in the data folder has it, and a file has what Dagster and dbt said."""
    with at_home(shop) as instance:
        statuses = {run.status for run in instance.get_runs()}
        entries = [record.asset_entry for record in instance.get_asset_records()]
        keys = {e.asset_key.to_user_string() for e in entries if e.last_materialization}
    assert dg.DagsterRunStatus.SUCCESS in statuses
    assert {f"{stage}/{name}" for stage in STAGES for name in ("revenue", "customers_v2")} < keys


def test_what_did_not_change_is_left_and_force_does_it_again(shop: Workplace) -> None:
    """Only the extract that was named, with what it needs, and nothing of the other."""
    before = revisions(shop)
    done = refresh(shop, "revenue")
    assert (done.returncode, done.stderr) == (0, "")
    assert {name: state for name, state in steps(done).items() if "/revenue" in name} == {
        f"{stage}/revenue": "same" for stage in STAGES
    }
    assert "customers" not in done.stdout
    assert done.stdout.endswith("\n0 published, 1 unchanged since the last time.\n")
    assert revisions(shop) == before

    done = refresh(shop, "revenue", "--force", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert revisions(shop) == {**before, "Revenue, daily": before["Revenue, daily"] + 1}
    said = (shop.data / "refresh_details.log").read_text(encoding="utf-8")
    assert "RUN_SUCCESS" in said
    assert re.search(r"1 of \d+ OK|OK created", said)  # dbt's own words


def test_what_did_not_arrive_stands_last_and_without_a_traceback(
    shop: Workplace, tmp_path: Path
) -> None:
    """The other extract is published all the same, and the log has the rest."""
    place = Workplace.create(tmp_path, shop.project, MDS_MARTS="reporting", DAGSTER_HOME="")
    model = place.project / "models" / "reporting" / "revenue.sql"
    model.write_text("select ['a'] as tags, 1 as one")
    done = refresh(place)
    assert done.returncode == 1
    assert steps(done)["parquet/revenue"] == "FAILED"
    assert steps(done)["tableau/customers_v2"] == "done"
    assert "hyper/revenue" not in steps(done)
    assert "Traceback" not in done.stdout + done.stderr
    assert "refresh_details.log" in done.stderr
    last = done.stderr[done.stderr.index("1 of 2 extracts arrived.") :]
    assert "NOT PUBLISHED revenue: Cannot export mart 'revenue'" in last
    assert "column 'tags' has type VARCHAR[]" in last
    assert set(revisions(place)) == {"customers_v2"}
    assert f"failed. All that it said: {place.data / 'refresh_details.log'}" in done.stderr
    details = refresh(place, "--select", "parquet/revenue", "--details")
    assert "All that it said" not in details.stderr
    assert re.search(r"^Run \S+ failed\.$", details.stderr, re.M)
    assert details.returncode == 1
    assert "STEP_FAILURE" in details.stdout + details.stderr


def test_what_arrived_and_is_not_written_down_is_told_as_that(
    shop: Workplace, tmp_path: Path
) -> None:
    """Not as something that the server has not; its rows are appended once all the same."""
    place = Workplace.create(tmp_path / "shop", shop.project, MDS_MARTS="revenue", DAGSTER_HOME="")
    shutil.copytree(shop.data, place.data)
    before = held_by_sandbox(place.data, tmp_path / "before")["Revenue, daily"]
    yml = place.project / "models" / "reporting" / "reporting.yml"
    yml.write_text(yml.read_text().replace("tableau:\n", "tableau:\n          mode: append\n", 1))
    record = place.data / "published" / "revenue.json"
    record.unlink()
    record.mkdir()
    done = refresh(place, "revenue", "--force")
    assert done.returncode == 1
    last = done.stderr[done.stderr.index("1 of 1 extracts arrived.") :]
    assert "PUBLISHED, BUT NOT WRITTEN DOWN revenue: The server has it" in last
    assert "NOT PUBLISHED" not in last
    assert "Until then, " not in last
    record.rmdir()
    again = refresh(place, "--select", "tableau/revenue", "--force")
    assert "NOT PUBLISHED revenue" in again.stderr
    assert "how that ended is not known" in again.stderr
    held = held_by_sandbox(place.data, tmp_path / "after")["Revenue, daily"]
    assert len(held.rows) == 2 * len(before.rows)
    assert held.revision == before.revision + 1


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_terminal_shows_what_goes_on_and_nothing_else(shop: Workplace) -> None:
    """A line that changes, above it the steps; none of what goes to the file."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mds_tableau", "refresh", "revenue"],
        env={**os.environ, **shop.environment, "TERM": "xterm", "COLUMNS": "100"},
        cwd=shop.folder,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # which is how the end is told
        while more := os.read(ours, 4096):
            shown += more
    os.close(ours)
    assert process.wait() == 0
    said = shown.decode()
    assert "Loading the pipeline" in said
    assert "tableau/revenue" in said
    assert "0 published, 1 unchanged" in said
    assert "STEP_SUCCESS" not in said
    assert "dagster" not in said.lower()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("revenu",),
            "There is no extract revenu. Did you mean revenue? There are: customers_v2, revenue.",
        ),
        (("--select", "tableau/revenu"), "--select tableau/revenu selects no asset"),
        (("--select", "((", "-q"), "--select (( is none of Dagster's selections of assets."),
    ],
)
def test_what_is_not_there_is_wrong_usage(
    shop: Workplace, words: tuple[str, ...], said: str
) -> None:
    """It is told with what there is, and no run begins."""
    done = refresh(shop, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {said}")


@pytest.mark.parametrize(
    "words", [("a", "--select", "b"), ("--allow-row-fall",), ("--select", ""), ("a", " ")]
)
def test_options_that_do_not_go_together(words: tuple[str, ...]) -> None:
    """They are refused before anything is loaded."""
    assert CliRunner().invoke(main, ["refresh", *words]).exit_code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_ends_it_with_the_run_marked_as_failed(shop: Workplace, tmp_path: Path) -> None:
    """It is told, nothing hangs, and the next run needs no cleaning up."""
    place = Workplace.create(tmp_path, shop.project, MDS_MARTS="reporting", DAGSTER_HOME="")
    slow = place.project / "models" / "reporting" / "revenue.sql"
    fast = slow.read_text()
    slow.write_text("select sum(hash(a.range, b.range)) as n from range(20000000) a, range(6) b")
    process = subprocess.Popen(
        [sys.executable, "-m", "mds_tableau", "refresh"],
        env={**os.environ, **place.environment},
        cwd=place.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = place.data / "refresh_details.log"
    wait_for(lambda: log.is_file() and " START sql table model" in log.read_text(), "the model")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in out + err
    assert re.search(r"^FAILED dbt", out, re.M)
    assert "It was stopped while it worked." in out
    assert "was stopped. All that it said:" in err
    assert "0 of 2 extracts arrived." in err
    assert err.count("NOT PUBLISHED") == 2
    assert "Until then, " in err
    with at_home(place) as instance:
        [run] = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.FAILURE
    slow.write_text(fast)
    done = refresh(place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(revisions(place)) == {"Revenue, daily", "customers_v2"}


@pytest.mark.skipif(sys.platform == "win32", reason="written for a POSIX shell")
@pytest.mark.parametrize("taker", [">/dev/full", "--details >&- 2>/dev/full"])
def test_who_reads_it_does_not_end_it(shop: Workplace, taker: str) -> None:
    """The server has the new revision, and the exit code is that of the data."""
    before = revisions(shop)["Revenue, daily"]
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m mds_tableau refresh revenue --force {taker}"],
        env={**os.environ, **shop.environment},
        cwd=shop.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert revisions(shop)["Revenue, daily"] == before + 1


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes")
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda log: log.mkdir(), "is no file"),
        (os.mkfifo if hasattr(os, "mkfifo") else None, "is no file"),
        (lambda log: log.symlink_to(log.parent / "gone" / "log"), "cannot be written: No such"),
    ],
    ids=["folder", "pipe", "gone"],
)
def test_a_log_that_cannot_be_written_is_refused(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    """Before anything is done, with what to do."""
    log = tmp_path / "refresh_details.log"
    make(log)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MDS_DATA_DIR", str(tmp_path))
        done = CliRunner().invoke(main, ["refresh"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {log}, where all goes that Dagster and dbt say, {said}")
    assert "--details" in done.stderr
