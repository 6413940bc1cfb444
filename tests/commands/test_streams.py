"""What a command was started with: streams that are closed or that nobody reads, odd arguments."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mds_tableau.errors import SettingsError
from mds_tableau.settings import load_settings
from tests.commands.conftest import Run
from tests.pipeline import ROOT

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="written for a POSIX shell")


def typed(
    command: str, folder: Path, program: str = "-m mds_tableau", **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Type a command into a shell."""
    return subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} {program} {command}"],
        env={**os.environ, "MDS_DATA_DIR": str(folder), "PYTHONPATH": str(ROOT), **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@on_posix
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("--version", 0),
        ("versions NOPE", 1),
        ("versions", 2),
    ],
)
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing_but_what_is_seen(
    tmp_path: Path, command: str, code: int, closed: str
) -> None:
    """The exit code is right, and nothing of what was not printed is said."""
    done = typed(f"{command} {closed}", tmp_path)
    expected = typed(command, tmp_path).stderr if "2>" not in closed else ""
    assert (done.returncode, done.stdout, done.stderr) == (code, "", expected)


@on_posix
@pytest.mark.parametrize("taker", ["| head -1", "> /dev/full"])
def test_what_goes_on_is_not_ended_by_who_reads_it(tmp_path: Path, taker: str) -> None:
    """More than a pipe holds is printed, and the work behind it is done."""
    (tmp_path / "prints.py").write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from mds_tableau.streams import unbroken_output\n"
        "with unbroken_output():\n"
        "    for number in range(100_000):\n"
        "        print(number)\n"
        "    Path('done').touch()\n"
    )
    done = typed(taker, tmp_path, program="prints.py")
    assert done.stderr == ""
    assert (tmp_path / "done").exists()


@on_posix
def test_ctrl_c_while_it_is_loaded_is_no_traceback(tmp_path: Path) -> None:
    """Loading click, as the first of all, is where it hits here."""
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt\n")
    done = typed("--version", tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "\nAborted!\n")


def test_an_argument_that_is_no_text_is_wrong_usage(run: Run) -> None:
    """It is shown so that it can be found."""
    result = run("refresh", "\udcff")
    assert result.exit_code == 2
    assert r"The argument \xff is no text in UTF-8." in result.stderr


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16"])
def test_env_that_is_utf_16_is_told(tmp_path: Path, encoding: str) -> None:
    """With a mark at its beginning and without."""
    path = tmp_path / ".env"
    path.write_bytes("MDS_KEEP=3\n".encode(encoding))
    with pytest.raises(SettingsError, match=r"\.env is not UTF-8.*Save it"):
        load_settings(path)
