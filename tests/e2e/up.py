"""`mds-tableau up` in a place of its own, for tests that look at it from outside."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import psutil
import requests

from tests.pipeline import Workplace

Found = TypeVar("Found")
_START_SENSOR = """
mutation ($selector: SensorSelector!) {
  startSensor(sensorSelector: $selector) { __typename ... on PythonError { message } }
}
"""
_LAUNCH = """
mutation ($selector: JobOrPipelineSelector!) {
  launchRun(executionParams: {selector: $selector, runConfigData: {}}) {
    __typename ... on PythonError { message }
  }
}
"""


@dataclass
class Up:
    """A running `mds-tableau up`.

    Attributes:
        place: Where it works.
        home: The folder of its instance.
        port: The port of its UI.
        process: Its process.
        said: All that it said.
    """

    place: Workplace
    home: Path
    port: int
    process: "subprocess.Popen[str]"
    said: list[str] = field(default_factory=list)

    def wait_for(self, look: Callable[[], Found | None], seconds: float = 120) -> Found:
        """Return what a look finds, as soon as it finds something; looks ten times a second."""
        look_again = threading.Event()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            look_again.wait(0.1)
        raise AssertionError(f"nothing after {seconds} seconds:\n" + "".join(self.said))

    def ready(self) -> None:
        """Wait until the UI is there."""

        def look() -> bool:
            assert self.process.poll() is None, "".join(self.said)
            return any("Ready after" in line for line in self.said)

        self.wait_for(look)

    def switch_on(self, sensor: str) -> None:
        """Switch a sensor on, as the UI does."""
        selector = {
            "repositoryLocationName": "mds_tableau",
            "repositoryName": "__repository__",
            "sensorName": sensor,
        }
        answer = self._ask(_START_SENSOR, selector)["startSensor"]
        assert answer["__typename"] == "Sensor", answer

    def launch(self, job: str) -> None:
        """Start a job, as the UI does."""
        selector = {
            "repositoryLocationName": "mds_tableau",
            "repositoryName": "__repository__",
            "jobName": job,
        }
        answer = self._ask(_LAUNCH, selector)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer

    def _ask(self, query: str, selector: dict[str, str]) -> Any:
        return requests.post(
            f"http://127.0.0.1:{self.port}/graphql",
            json={"query": query, "variables": {"selector": selector}},
            timeout=60,
        ).json()["data"]

    def runs(self) -> list[dg.DagsterRun]:
        """Return all runs, the oldest first."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            return list(reversed(instance.get_runs()))

    def run_that_is(self, number: int, *statuses: dg.DagsterRunStatus) -> dg.DagsterRun:
        """Return the run of that number, from 0, when it has one of these states."""

        def look() -> dg.DagsterRun | None:
            runs = self.runs()
            return runs[number] if len(runs) > number and runs[number].status in statuses else None

        return self.wait_for(look)

    def process_of(self, run: dg.DagsterRun) -> psutil.Process:
        """Return the process of a run that is under way, as soon as one of its steps began."""

        def look() -> int | None:
            with dg.DagsterInstance.from_config(str(self.home)) as instance:
                entries = instance.all_logs(run.run_id)
            begun = any(e.dagster_event and e.dagster_event.is_step_start for e in entries)
            pids = [
                int(str(e.dagster_event.engine_event_data.metadata["pid"].value))
                for e in entries
                if e.dagster_event
                and e.dagster_event.is_engine_event
                and "pid" in e.dagster_event.engine_event_data.metadata
            ]
            return pids[0] if begun else None

        return psutil.Process(self.wait_for(look))

    def processes(self) -> list[psutil.Process]:
        """Return all processes that work on this instance, whoever started them."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("DAGSTER_HOME") == str(self.home):
                    found.append(process)
        return [one for one in found if one.is_running() and one.status() != "zombie"]

    def stop(self, seconds: float = 90) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextmanager
def serving(place: Workplace, **environment: str) -> Iterator[Up]:
    """Start `mds-tableau up` for a place; whatever is left of it is killed at the end."""
    home = place.data / "dagster"
    port = free_port()
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("mds-tableau")), "up", "--port", str(port)],
        env={**os.environ, **place.environment, **environment},
        cwd=place.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # as a script that starts it in the background does
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert process.stdout is not None
    # our own looks at the instance need it too
    os.environ["DAGSTER_HOME"] = str(home)
    up = Up(place, home, port, process)
    reader = threading.Thread(target=lambda: up.said.extend(_lines(process)), daemon=True)
    reader.start()
    try:
        up.ready()
        yield up
    finally:
        process.kill()
        process.wait(60)
        for left in up.processes():
            left.kill()
        reader.join(60)
        process.stdout.close()


def _lines(process: Any) -> Iterator[str]:
    yield from process.stdout


def free_port() -> int:
    """Return a port of this machine that nobody listens on now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
