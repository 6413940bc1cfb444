"""Others at the same time: a second run, the UI, and analysts who hold the DuckDB file open."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final

import dagster as dg

from tests.chaos.invariants import Look, Server
from tests.chaos.place import Place
from tests.e2e.webserver import AT_ONCE, serving

_PATIENCE: Final = 240.0
_ANALYST: Final = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reads"):
    print("open", flush=True)
    sys.stdin.read()
"""


def wait_for(look: Callable[[], object], what: str, seconds: float = _PATIENCE) -> None:
    """Return as soon as a look finds something; looks a hundred times a second."""
    look_again = threading.Event()
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:.0f} seconds")
        look_again.wait(0.01)


@contextmanager
def analyst(warehouse: Path, how: str) -> Iterator[int]:
    """Have another process hold the DuckDB file, who `reads` or `writes`; give its number."""
    process = subprocess.Popen(
        [sys.executable, "-c", _ANALYST, str(warehouse), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process.pid
    finally:
        process.communicate(timeout=60)


@dataclass
class Running:
    """A run of the command line, and what it says."""

    process: "subprocess.Popen[bytes]"
    said: IO[bytes]

    @property
    def text(self) -> str:
        """All that it has said so far."""
        self.said.flush()
        return Path(self.said.name).read_bytes().decode(errors="replace")

    def code(self) -> int:
        """Wait for its end and return its exit code."""
        return self.process.wait(_PATIENCE)


@contextmanager
def run(place: Place) -> Iterator[Running]:
    """Start a run of everything, and see to its end."""
    with tempfile.NamedTemporaryFile() as said:
        running = Running(place.start(said=said.file), said)
        try:
            yield running
        finally:
            running.process.kill()
            running.process.wait(60)


def two_runs_and_an_analyst(place: Place, look: Look, state: int, how: str) -> None:
    """Start two runs of new data at once, while an analyst `reads` or `writes` the DuckDB file.

    Both have to wait for the analyst, saying who it is, and end well; the data is published once.
    """
    before = look.server()
    place.write(state)
    waiting = f"Waiting for {place.warehouse}"
    with ExitStack() as runs:
        with analyst(place.warehouse, how) as pid:
            one, other = (runs.enter_context(run(place)) for _ in range(2))
            wait_for(partial(_is_told, (one, other), waiting, pid), f"waiting for {pid}")
        for running in (one, other):
            code = running.code()
            look.holds("of two at once each is green", code == 0, running.text[-1500:])
        said = one.text + other.text
    look.holds("who is waited for is named", waiting in said, said[-1500:])
    look.holds("the second run says that it waits", "waiting for its turn" in said, said[-1500:])
    published_once(place, look, state, before)


def _is_told(runs: tuple[Running, ...], waiting: str, pid: int) -> bool:
    assert all(one.process.poll() is None for one in runs), [one.text[-1500:] for one in runs]
    return any(waiting in one.text and f"PID {pid}" in one.text for one in runs)


def a_run_of_the_ui(place: Place, look: Look, state: int) -> None:
    """Launch the main job over GraphQL while the command line runs it, on new data."""
    before = look.server()
    config = place.home / "dagster.yaml"
    if AT_ONCE not in config.read_text():
        config.write_text(config.read_text() + AT_ONCE)
    with serving(place.work, place.home) as server:
        place.write(state)
        with run(place) as one:
            wait_for(lambda: "STEP_START" in one.text, "the first step of the run")
            launched = server.launch("refresh_all")
            look.holds("the run of the command line is green", one.code() == 0, one.text[-1500:])
        status = server.wait_for_run(launched, _PATIENCE).status
        look.holds("the run of the UI is green", status == dg.DagsterRunStatus.SUCCESS, str(status))
    published_once(place, look, state, before)


def published_once(place: Place, look: Look, state: int, before: Server) -> None:
    """New data arrived, whole, and each datasource got one revision of it."""
    look.files()
    look.locks()
    after = look.server()
    for name, found in look.states_of(after, [state]).items():
        look.holds("datasource is in the new state", found == state, name)
        # that the one that never changes was published may not have been written down
        due = {0, 1} if name == "price_list" else {1}
        # what the server had accepted when a run was killed is done when it is back
        allowed = due | {max(due) + 1} if before.pending else due
        grown = after.revisions[name] - before.revisions.get(name, 0)
        look.holds("several runs publish once", grown in allowed, f"{name}: {grown}")
