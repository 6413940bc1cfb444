"""Serves one Dagster instance in the foreground: its UI, its daemon, and the code that both use.

They are Dagster's own commands, as child processes. Unlike `dagster dev`, which keeps nothing for
itself without `DAGSTER_HOME` and is not meant to be left alone, this always has an instance, lets
nobody else serve it, and leaves no process behind. The command line belongs to `up_command`.
"""

import re
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
import requests
import yaml

from mds_tableau.children import Child, ask_all_to_end, end_at_once
from mds_tableau.columns import counted
from mds_tableau.dagster_home import refuse_taken_port, write_state
from mds_tableau.errors import ServiceError
from mds_tableau.settings import child_environment

MODULE: Final = "mds_tableau.definitions"
LOCATION: Final = "mds_tableau"
"""The name of the code location, as in `workspace.yaml`: what is switched on is known by it."""

CODE, WEB, DAEMON = "code", "webserver", "daemon"
_START_SECONDS: Final = 300.0
"""How long each may take to start; a large dbt project is parsed first."""

_SHOWN_LINES: Final = 20
_OUR_ERROR: Final = re.compile(r"mds_tableau\.errors\.\w+: ")
_NEXT_ERROR: Final = re.compile(
    r"The above exception was|During handling of the above|Traceback \(most recent|Stack Trace:"
)

_DEBUG: Final = re.compile(r"\S+ \S+ \S+ - dagster - DEBUG - ")
_LOOK_SECONDS: Final = 0.2
_END_SECONDS: Final = 20.0
RUNS_SECONDS: Final = 60.0
"""How long runs may take to let go of what they hold, when all is stopped."""


@dataclass
class Service:
    """The processes that serve an instance.

    Attributes:
        home: The folder of the instance.
        host: Where the UI listens.
        port: Its port.
        say: Told who says something, and the line.
        wanted: Set when all of it shall stop.
        stopped_twice: Set when it shall stop without waiting for anything.
    """

    home: Path
    host: str
    port: int
    say: Callable[[str, str], None]
    wanted: threading.Event = field(default_factory=threading.Event)
    stopped_twice: threading.Event = field(default_factory=threading.Event)
    _children: dict[str, Child] = field(default_factory=dict)
    _something_ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where the UI is."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def run(self) -> None:
        """Start all of it, and return when it was asked to stop and no process is left.

        Raises:
            ServiceError: The port is taken, or a process did not start or ended by itself. The
                others are stopped then too.
        """
        refuse_taken_port(self.host, self.port)
        # in a folder that this user alone may enter: whoever reaches the code server may run code
        with (
            tempfile.TemporaryDirectory(prefix="mds-up-", ignore_cleanup_errors=True) as scratch,
            self._hearing_signals(),
        ):
            try:
                self._start(Path(scratch))
                while not self.wanted.is_set():
                    # with a limit, or Windows would not let a signal through
                    self._something_ended.wait(_LOOK_SECONDS)
                    self._refuse_an_end()
            finally:
                self._stop()

    def _start(self, scratch: Path) -> None:
        began = time.monotonic()
        address: dict[str, Any] = (
            {"host": "localhost", "port": _free_port()}
            if sys.platform == "win32"
            else {"socket": str(scratch / "code.sock")}
        )
        options = [text for name, value in address.items() for text in (f"--{name}", str(value))]
        self._launch(
            CODE,
            *("dagster", "api", "grpc", "-m", MODULE, "--location-name", LOCATION),
            *("--log-level", "warning", *options),
        )
        if not self._wait_for(lambda: _answers(address)):
            return
        workspace = scratch / "workspace.yaml"
        server = {**address, "location_name": LOCATION}
        workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
        self._launch(
            WEB,
            *("dagster_webserver", "-w", str(workspace), "-h", self.host, "-p", str(self.port)),
            *("--dagster-log-level", "warning"),
        )
        self._launch(DAEMON, "dagster._daemon", "run", "-w", str(workspace))
        if self._wait_for(self._shows_pages):
            self.say("up", f"Ready after {time.monotonic() - began:.0f} seconds: {self.url}")

    def _launch(self, name: str, *module: str) -> None:
        self._children[name] = Child.start(
            name,
            [sys.executable, "-m", *module],
            environment=child_environment(DAGSTER_HOME=str(self.home), PYTHONUNBUFFERED="1"),
            say=self._pass_on,
            ended=self._something_ended,
        )
        pids = [(child.name, child.process.pid) for child in self._children.values()]
        write_state(self.home, self.url, pids)

    def _pass_on(self, name: str, line: str) -> None:
        # of each event of each step, which the UI has
        if not _DEBUG.match(line):
            self.say(name, line)

    def _wait_for(self, is_so: Callable[[], bool]) -> bool:
        """Return whether something is so; False when all shall stop before."""
        deadline = time.monotonic() + _START_SECONDS
        while not self.wanted.is_set():
            self._refuse_an_end()
            if is_so():
                return True
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"Dagster did not start within {_START_SECONDS:.0f} seconds. What its parts "
                    "said is above."
                )
            self.wanted.wait(_LOOK_SECONDS)
        return False

    def _shows_pages(self) -> bool:
        with suppress(requests.RequestException), requests.Session() as session:
            # on this machine: no proxy is in between
            session.trust_env = False
            host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host)  # noqa: S104
            url = f"http://{host}:{self.port}" if host else self.url
            return session.get(f"{url}/server_info", timeout=30).ok
        return False

    def _refuse_an_end(self) -> None:
        for child in self._children.values():
            if child.exit_code is not None and not self.wanted.is_set():
                child.close()
                cause = _cause(child.last)
                lines = cause or [*child.last][-_SHOWN_LINES:]
                raise ServiceError(
                    f"{_TITLES[child.name]} ended by itself, with exit code {child.exit_code}. "
                    f"Everything else is stopped too. {'The cause' if cause else 'Its last lines'}:"
                    + ("".join(f"\n    {line}" for line in lines) or " none")
                )

    def _stop(self) -> None:
        began = time.monotonic()
        children = self._children
        # first those who could start something
        for name in (DAEMON, WEB):
            if name in children:
                children[name].ask_to_end()
        if CODE in children:
            runs = children[CODE].started()
            if runs:
                self.say(
                    "up",
                    f"{counted(len(runs), 'run')} under way: interrupted, which may take "
                    f"{RUNS_SECONDS:.0f} seconds. They end as failed, and the daemon starts them "
                    "once more when it is back.",
                )
                ask_all_to_end(runs)
                if sys.platform == "win32":
                    children[CODE].ask_to_end()
                self._wait(runs, RUNS_SECONDS)
            children[CODE].ask_to_end()
        self._wait([*_processes(children.values())], _END_SECONDS)
        # what did not listen, and what others left behind
        rest = [p for child in children.values() for p in child.below()]
        killed = end_at_once([*rest, *_processes(children.values())])
        for child in children.values():
            child.close()
        if killed:
            self.say("up", f"{counted(len(killed), 'process')} had to be killed.")
        if children:
            self.say("up", f"Stopped after {time.monotonic() - began:.0f} seconds.")

    def _wait(self, processes: list[psutil.Process], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.stopped_twice.is_set():
            _, processes = psutil.wait_procs(processes, timeout=_LOOK_SECONDS)
            if not processes:
                return

    @contextmanager
    def _hearing_signals(self) -> Iterator[None]:
        def hear(number: int, _: object) -> None:
            if self.wanted.is_set():
                self.stopped_twice.set()
            self.wanted.set()

        names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
        there = [getattr(signal, name) for name in names if hasattr(signal, name)]
        # what is ignored already stays so: nohup, for one
        numbers = [number for number in there if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, hear) for number in numbers}
        if signal.SIGINT not in before:
            # started by a script in the background: passed on as ignored, Dagster would ignore
            # SIGTERM too
            before[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


_TITLES: Final = {
    CODE: "The code server (dagster api grpc)",
    WEB: "The web server (dagster-webserver)",
    DAEMON: "The daemon (dagster-daemon)",
}


def _cause(lines: Iterable[str]) -> list[str]:
    """Return the message of the last of our errors in what a process said, without its frames.

    Dagster loads our code, and puts the error in a chain with many frames of its own behind it.
    """
    found: list[str] = []
    is_in = False
    for line in lines:
        if ours := _OUR_ERROR.match(line):
            found, is_in = [line[ours.end() :]], True
        elif _NEXT_ERROR.match(line):
            is_in = False
        elif is_in:
            found.append(line)
    return [line for line in found if line.strip()]


def _processes(children: Any) -> Iterator[psutil.Process]:
    for child in children:
        with suppress(psutil.NoSuchProcess):
            if child.exit_code is None:
                yield psutil.Process(child.process.pid)


def _answers(address: dict[str, Any]) -> bool:
    """Return whether the code server listens, which it does when the definitions are loaded."""
    with suppress(OSError):
        if "socket" in address:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(address["socket"])
        else:
            socket.create_connection((address["host"], address["port"]), timeout=5).close()
        return True
    return False


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
