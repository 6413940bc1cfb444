"""The files that start `mds-tableau up` with the machine: well-formed, and accepted."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path, PureWindowsPath

import pytest
from click import Context
from lxml import etree

from mds_tableau.cli import main
from mds_tableau.service import RUNS_SECONDS

DEPLOY = Path(__file__).parents[1] / "deploy"
UNIT = DEPLOY / "mds-tableau.service"
TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def _accepted(words: list[str]) -> None:
    name, command, rest = main.resolve_command(Context(main), words)
    assert (name, command is None) == ("up", False)
    assert command is not None
    command.make_context(name, rest)


def test_systemd_unit_starts_and_stops_it_as_it_wants_to() -> None:
    """It is started by absolute paths, and may take as long to stop as runs may."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    service = parser["Service"]
    program, *words = shlex.split(service["ExecStart"])
    assert program == f"{service['WorkingDirectory']}/.venv/bin/mds-tableau"
    _accepted(words)
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > RUNS_SECONDS + 60
    assert service["Restart"] == "on-failure"
    assert not {"PrivateTmp", "DynamicUser", "MemoryDenyWriteExecute"} & set(service)


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """`systemd-analyze verify` is silent; the path of the program is made to exist."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    text = re.sub(
        r"(?m)^ExecStart=\S+",
        f"ExecStart={shutil.which('true')}",
        UNIT.read_text(encoding="utf-8"),
    )
    (tmp_path / UNIT.name).write_text(text)
    done = subprocess.run(
        [analyze, "verify", str(tmp_path / UNIT.name)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_windows_task_starts_it_with_the_machine_and_again() -> None:
    """The task is in the encoding that it says, has no time limit, and is restarted on failure."""
    content = (DEPLOY / "mds-tableau-up.xml").read_bytes()
    assert content[:2] == b"\xff\xfe"
    task = etree.fromstring(content)

    def text(path: str) -> str:
        return str(task.findtext(f".//{TASK}" + path.replace("/", f"/{TASK}")))

    assert text("BootTrigger/Enabled") == "true"
    assert text("Settings/ExecutionTimeLimit") == "PT0S"
    assert int(text("RestartOnFailure/Count")) > 1
    folder = PureWindowsPath(text("Exec/WorkingDirectory"))
    program = PureWindowsPath(text("Exec/Command").strip('"'))
    assert program == folder / ".venv" / "Scripts" / "mds-tableau.exe"
    # no backslash of Windows is one of a shell here
    _accepted(text("Exec/Arguments").split())
