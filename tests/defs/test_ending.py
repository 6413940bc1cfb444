"""What is done when the steps of a run have ended, and when somebody has stopped it."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator
from dagster._utils.interrupts import capture_interrupts, check_captured_interrupt

from mds_tableau.defs.ending import with_endings
from mds_tableau.defs.refresh import hearing_hang_ups

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent to oneself")


def ended(is_stopped: bool, *, twice: bool = False) -> tuple[list[str], dg.DagsterRunStatus]:
    """Run a step, which may be stopped; return which endings were begun and done, and the run's."""
    said: list[str] = []

    @dg.op
    def step() -> None:
        if is_stopped:
            os.kill(os.getpid(), signal.SIGINT)

    def report(_: Any) -> None:
        said.append("report begun")
        if twice:
            os.kill(os.getpid(), signal.SIGINT)
        said.append("report done")

    def tidy(_: Any) -> None:
        said.append("tidied")

    @dg.job(executor_def=with_endings(dg.in_process_executor, report, if_not_stopped=[tidy]))
    def work() -> None:
        step()

    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(work)
        list(execute_run_iterator(InMemoryJob(work), run, instance))
        [record] = instance.get_run_records()
    return said, record.dagster_run.status


@pytest.mark.parametrize(
    ("is_stopped", "twice", "said", "status"),
    [
        (False, False, ["report begun", "report done", "tidied"], dg.DagsterRunStatus.SUCCESS),
        (True, False, ["report begun", "report done"], dg.DagsterRunStatus.FAILURE),
        (True, True, ["report begun"], dg.DagsterRunStatus.FAILURE),
    ],
    ids=["done", "stopped", "stopped twice"],
)
def test_a_run_that_was_stopped_is_reported_and_a_second_signal_ends_that_too(
    *, is_stopped: bool, twice: bool, said: list[str], status: dg.DagsterRunStatus
) -> None:
    """What is not needed then is left for the next run; Dagster has how the run ended."""
    assert ended(is_stopped, twice=twice) == (said, status)


@contextmanager
def handled(handler: Any) -> Iterator[None]:
    """Have something done with SIGHUP meanwhile."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("is_ignored", [False, True], ids=["terminal", "nohup"])
def test_a_terminal_that_is_closed_stops_a_run_as_ctrl_c_does(*, is_ignored: bool) -> None:
    """Where the signal is ignored from the start, it stays so."""
    with (
        handled(signal.SIG_IGN if is_ignored else signal.SIG_DFL),
        capture_interrupts(),
        hearing_hang_ups(),
    ):
        os.kill(os.getpid(), signal.SIGHUP)
        assert check_captured_interrupt() is not is_ignored
