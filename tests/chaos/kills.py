"""Ends a run and all that it started at once, as a power cut does."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dagster as dg
import psutil

if TYPE_CHECKING:
    import subprocess

STAGES: Final = (
    "before the run",
    "run begun",
    "dbt",
    "parquet",
    "hyper",
    "tableau",
    "after the last step",
    "ended by itself",
)


def power_cut(run: "subprocess.Popen[bytes]", home: Path) -> int:
    """Kill a run with every process below it; return how many there were.

    None of them gets to know of the end of another: the first is stopped before the others are
    looked for, and all that knows the instance is killed.
    """
    killed = 0
    with suppress(psutil.Error):
        first = psutil.Process(run.pid)
        first.suspend()
        family = [first, *first.children(recursive=True)]
        for process in family:
            with suppress(psutil.Error):
                process.kill()
                killed += 1
        psutil.wait_procs(family[1:], timeout=30)
    run.wait(30)
    left = below(home)
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=30)
    return killed + len(left)


def below(home: Path) -> list[psutil.Process]:
    """Return all processes that were started to work on an instance."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            ours = process.pid != os.getpid()
            if ours and process.environ().get("DAGSTER_HOME") == str(home):
                found.append(process)
    return [one for one in found if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def newest_run(home: Path) -> tuple[str, str]:
    """Return the id of the newest run, "" when there is none, and its status."""
    if not (home / "history" / "runs.db").exists():
        return "", ""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        runs = instance.get_runs(limit=1)
    return (runs[0].run_id, runs[0].status.value) if runs else ("", "")


def last_stage(home: Path, before: str) -> str:
    """Return the stage of the newest run by the last of its events, if it is not an earlier one."""
    run_id, status = newest_run(home)
    if run_id in {"", before}:
        return STAGES[0]
    if status == "SUCCESS":
        return STAGES[-1]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        entries = instance.all_logs(run_id)
    steps = [str(e.dagster_event.step_key) for e in entries if e.dagster_event and e.step_key]
    if not steps:
        return STAGES[1]
    last = steps[-1]
    if last.startswith("dbt__run_results"):
        return STAGES[6]
    return next((stage for stage in STAGES[2:6] if last.startswith(stage)), STAGES[1])
