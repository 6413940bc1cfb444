"""Dagster's web server over a temporary instance, for tests that press its buttons."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tests.pipeline import ROOT, Workplace

AT_ONCE = """
run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}
"""
_LAUNCH = """
mutation ($selector: JobOrPipelineSelector!) {
  launchRun(executionParams: {selector: $selector, runConfigData: {}}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
_ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


def make_home(folder: Path) -> Path:
    """Write the committed instance to `folder`, but such that runs need no daemon to start."""
    folder.mkdir(parents=True)
    committed = (ROOT / "data" / "dagster" / "dagster.yaml").read_text(encoding="utf-8")
    (folder / "dagster.yaml").write_text(committed + AT_ONCE, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder


@dataclass(frozen=True)
class Webserver:
    """A running web server.

    Attributes:
        url: Its address.
        home: The folder of its instance.
    """

    url: str
    home: Path

    def ask(self, query: str, **variables: object) -> Any:
        """Send a GraphQL query and return its data."""
        answer = requests.post(
            f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=120
        ).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def launch(self, job: str) -> str:
        """Start a job and return the id of its run."""
        selector = {
            "repositoryLocationName": "mds_tableau.definitions",
            "repositoryName": "__repository__",
            "jobName": job,
        }
        answer = self.ask(_LAUNCH, selector=selector)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def wait_for_run(
        self, run_id: str = "", seconds: float = 180, *, after: str = ""
    ) -> dg.DagsterRun:
        """Return a run, or the newest, when it has ended; looks for that twice a second.

        Args:
            run_id: The run; none for the newest.
            seconds: How long it may take.
            after: The run that is the newest until another has begun.
        """
        look_again = threading.Event()
        deadline = time.monotonic() + seconds
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            while time.monotonic() < deadline:
                newest = instance.get_runs(limit=1)
                run = instance.get_run_by_id(run_id) if run_id else next(iter(newest), None)
                if run is not None and run.status in _ENDED and run.run_id != after:
                    return run
                look_again.wait(0.5)
        raise AssertionError(f"run {run_id or 'of any kind'} did not end within {seconds} seconds")


@contextmanager
def serving(place: Workplace, home: Path) -> Iterator[Webserver]:
    """Serve the pipeline of a place until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "dagster_webserver", "-m", "mds_tableau.definitions"),
            *("-h", "127.0.0.1", "-p", str(port)),
        ],
        env={**os.environ, **place.environment, "DAGSTER_HOME": str(home)},
        cwd=place.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line)
        if "Serving dagster-webserver" in line:
            break
    else:
        raise AssertionError("".join(said))
    # its output must be read, or it would wait for somebody to
    reader = threading.Thread(target=process.stdout.read, daemon=True)
    reader.start()
    url = f"http://127.0.0.1:{port}"
    try:
        # it says so shortly before it listens
        with requests.Session() as patient:
            retries = Retry(connect=100, backoff_factor=0.1, backoff_max=0.5)
            patient.mount("http://", HTTPAdapter(max_retries=retries))
            patient.get(f"{url}/server_info", timeout=60).raise_for_status()
        yield Webserver(url, home)
    finally:
        process.terminate()
        process.wait(60)
        reader.join(60)
        process.stdout.close()
