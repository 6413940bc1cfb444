"""The files of deploy/: each is well-formed, and starts a command that the programs accept."""

import configparser
import re
import shlex
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pytest
from click import Context, Group, UsageError
from dagster._cli import create_dagster_cli
from lxml import etree

from mds_tableau.cli import main
from tests.pipeline import ROOT

DEPLOY = ROOT / "deploy"
DOCUMENT = (ROOT / "docs" / "scheduling.md").read_text(encoding="utf-8")
NAMES: Final = ("mds-tableau-refresh", "mds-tableau-publish")
TASK: Final = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"

ALLOWED: Final = {
    "Task": {"RegistrationInfo", "Triggers", "Settings", "Data", "Principals", "Actions"},
    "RegistrationInfo": {"URI", "Date", "Author", "Version", "Description", "Documentation"},
    "Triggers": {"CalendarTrigger"},
    "ScheduleByDay": {"DaysInterval"},
    "ScheduleByWeek": {"WeeksInterval", "DaysOfWeek"},
    "DaysOfWeek": {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"},
    "Principals": {"Principal"},
    "Principal": {"UserId", "LogonType", "GroupId", "DisplayName", "RunLevel"},
    "Settings": {
        *("AllowStartOnDemand", "RestartOnFailure", "MultipleInstancesPolicy", "Enabled"),
        *("DisallowStartIfOnBatteries", "StopIfGoingOnBatteries", "AllowHardTerminate"),
        *("StartWhenAvailable", "RunOnlyIfNetworkAvailable", "WakeToRun", "Hidden", "Priority"),
        *("DeleteExpiredTaskAfter", "ExecutionTimeLimit", "RunOnlyIfIdle", "IdleSettings"),
    },
    "Actions": {"Exec"},
    "Exec": {"Command", "Arguments", "WorkingDirectory"},
}
"""What may stand in an element, in any order, by Task Scheduler's schema."""

TRIGGER: Final = (
    *("Enabled", "StartBoundary", "EndBoundary", "Repetition", "ExecutionTimeLimit"),
    *("RandomDelay", "ScheduleByDay", "ScheduleByWeek"),
)
"""What may stand in a calendar trigger, in this order."""


def _accepted(words: list[str]) -> str:
    """Give the words to the program that they name, as far as parsing them; return its name."""
    program = re.split(r"[\\/]", words[0])[-1].removesuffix(".exe")
    dagster = create_dagster_cli()  # type: ignore[no-untyped-call]
    command: Any = {"mds-tableau": main, "dagster": dagster}[program]
    rest = words[1:]
    while isinstance(command, Group):
        _, command, rest = command.resolve_command(Context(command), rest)
    command.make_context(command.name, rest)
    return program


def _is_for(name: str, words: list[str]) -> None:
    """Assert that the words are accepted and do what a file of that name is for."""
    program = _accepted(words)
    if name.endswith("publish"):
        assert (program, words[1]) == ("mds-tableau", "publish")
        assert "--quiet" in words
    else:
        assert (program, words[1:]) == ("mds-tableau", ["refresh"])


def _unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
    parser.read_string(path.read_text(encoding="utf-8"))
    return parser


@pytest.mark.parametrize(
    "words",
    [
        ["mds-tableau", "publish", "--inputs", "a"],
        ["mds-tableau", "publish", "--input", "a"],
        ["mds-tableau", "refreshes"],
        ["mds-tableau", "refresh", "--selection", "*"],
    ],
)
def test_words_that_no_program_knows_would_be_seen(words: list[str]) -> None:
    """The other tests can fail: what is mistyped or missing is not accepted."""
    with pytest.raises(UsageError):
        _accepted(words)


@pytest.mark.parametrize("name", NAMES)
def test_systemd_unit_starts_what_the_program_accepts(name: str) -> None:
    """The service runs once, in its folder, by absolute paths, and the timer is of that service."""
    service = _unit(DEPLOY / f"{name}.service")["Service"]
    assert service["Type"] == "oneshot"
    words = shlex.split(service["ExecStart"])
    assert words[0].startswith(service["WorkingDirectory"] + "/.venv/bin/")
    assert "%" not in service["ExecStart"]  # would be one of systemd's own
    # of a user without a home the locks are there, and others of that user have to see them
    assert not {"PrivateTmp", "DynamicUser"} & set(service)
    _is_for(name, words)
    timer = _unit(DEPLOY / f"{name}.timer")
    assert set(timer["Timer"]) == {"OnCalendar", "Persistent"}
    assert timer["Install"]["WantedBy"] == "timers.target"


@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_nothing_wrong(name: str, tmp_path: Path) -> None:
    """`systemd-analyze` accepts service, timer and time; the program's path is made to exist."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    for suffix in ("service", "timer"):
        text = (DEPLOY / f"{name}.{suffix}").read_text(encoding="utf-8")
        text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={shutil.which('true')}", text)
        (tmp_path / f"{name}.{suffix}").write_text(text)
    files = sorted(map(str, tmp_path.iterdir()))
    verified = subprocess.run([analyze, "verify", *files], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    when = _unit(DEPLOY / f"{name}.timer")["Timer"]["OnCalendar"]
    subprocess.run([analyze, "calendar", when], capture_output=True, check=True)


def test_lines_for_cron() -> None:
    """Each line has five fields of time, a user and a command; nothing in it is special to cron."""
    lines = (DEPLOY / "mds-tableau.cron").read_text(encoding="utf-8").splitlines()
    jobs = [line.split(maxsplit=6) for line in lines if re.match(r"[\d*]", line)]
    assert len(jobs) == len(NAMES)
    for name, (*when, user, command) in zip(NAMES, jobs, strict=True):
        dg.ScheduleDefinition(name="x", cron_schedule=" ".join(when), target="*")
        assert user == "mds-tableau"
        log = name.removeprefix("mds-tableau-")
        steps, _, log_part = command.partition(" >>")
        assert log_part == f"data/{log}.log 2>&1"
        folder, _, typed = steps.partition(" && ")
        assert folder == "cd /srv/mds-tableau"
        assert "%" not in command  # would be a new line
        words = shlex.split(typed)
        _is_for(name, words)


@pytest.mark.parametrize("name", NAMES)
def test_task_of_windows(name: str) -> None:
    """UTF-16 as it says, with elements of the schema, and starts the file beside it."""
    content = (DEPLOY / f"{name}.xml").read_bytes()
    assert content.startswith(b"\xff\xfe")
    assert content[2:].decode("utf-16-le").startswith('<?xml version="1.0" encoding="UTF-16"?>\r\n')
    root = etree.fromstring(content)
    assert (root.tag, root.get("version")) == (f"{TASK}Task", "1.2")
    for element in root.iter():
        children = [child.tag.removeprefix(TASK) for child in element]
        kind = element.tag.removeprefix(TASK)
        assert len(children) == len(set(children)), kind
        if kind == "CalendarTrigger":
            assert children == sorted(children, key=TRIGGER.index)
        else:
            assert set(children) <= ALLOWED.get(kind, set()), kind
    text = {element.tag.removeprefix(TASK): element.text for element in root.iter()}
    datetime.fromisoformat(text["StartBoundary"])
    assert root.find(f"{TASK}Actions").get("Context") == root.find(f".//{TASK}Principal").get("id")
    assert text["Command"] == f'"{text["WorkingDirectory"]}\\deploy\\{name}.cmd"'
    assert " " in text["WorkingDirectory"]


@pytest.mark.parametrize("name", NAMES)
def test_batch_file_of_windows(name: str) -> None:
    """It goes to its project whatever the folder's name, logs, and ends with the program's code."""
    content = (DEPLOY / f"{name}.cmd").read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n")
    lines = content.decode("ascii").splitlines()
    assert lines[2] == 'cd /d "%~dp0.."'
    assert lines[-1] == "exit /b %ERRORLEVEL%"
    command, _, log = lines[-2].partition(" >>")
    assert log == f'"data\\{name.removeprefix("mds-tableau-")}.log" 2>&1'
    assert "%" not in command
    _is_for(name, [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)])


def test_document_names_each_file() -> None:
    """What is installed by the pages is there, and every file is started by something of them."""
    pages = DOCUMENT + (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    for path in re.findall(r"deploy[/\\]([\w./-]*\w)", pages):
        assert (DEPLOY / path).is_file(), path
    for path in DEPLOY.iterdir():
        assert path.stem in pages, path
