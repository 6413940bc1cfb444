"""Dagster's web server over a temporary instance, for tests that press its buttons."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tests.pipeline import Workplace

_INSTANCE = """\
telemetry: {enabled: false}
nux: {enabled: false}
concurrency: {pools: {granularity: op, default_limit: 1}}
run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}
"""
_ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


def make_home(folder: Path) -> Path:
    """Write an instance's configuration to `folder`: runs start at once, no daemon needed."""
    folder.mkdir(parents=True)
    (folder / "dagster.yaml").write_text(_INSTANCE)
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

    def wait_for_run(self, run_id: str, seconds: float = 240) -> dg.DagsterRun:
        """Return a run when it has ended; told by the event log, not by asking again."""
        ended = threading.Event()

        def look(entry: dg.EventLogEntry, _cursor: object) -> None:
            if entry.dagster_event and entry.dagster_event.is_job_event:
                run = instance.get_run_by_id(run_id)
                if run is not None and run.status in _ENDED:
                    ended.set()

        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            instance.event_log_storage.watch(run_id, None, look)
            run = instance.get_run_by_id(run_id)
            if run is None or run.status not in _ENDED:
                assert ended.wait(seconds), "the run did not end in time"
            instance.event_log_storage.end_watch(run_id, look)
            run = instance.get_run_by_id(run_id)
            assert run is not None
            return run


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
