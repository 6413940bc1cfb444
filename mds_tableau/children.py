"""Child processes that run for as long as we do: started, heard, and ended with all of theirs.

Which ones and in what order belongs to `service`. Nothing here knows what they do.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
import psutil

_LAST_LINES: Final = 500
"""Enough for a chain of tracebacks, with its cause at the beginning."""

# so that Ctrl-C in a terminal reaches us alone, and we end the children in their order
_OWN_GROUP: dict[str, Any]
if sys.platform == "win32":
    _OWN_GROUP = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    _OWN_GROUP = {"start_new_session": True}


@dataclass
class Child:
    """A process whose lines are passed on.

    Attributes:
        name: What it is called in messages.
        process: The process.
        last: The last lines that it said.
    """

    name: str
    process: "subprocess.Popen[str]"
    last: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    _reader: threading.Thread | None = None

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        say: Callable[[str, str], None],
        ended: threading.Event,
        folder: Path | None = None,
    ) -> "Child":
        """Start a process.

        Args:
            name: What it is called in messages.
            command: What to start, with its arguments.
            environment: All of its environment.
            say: Told the name and each line that it says.
            ended: Set when it says no more, as it has ended.
            folder: Its working directory; ours if not given.
        """
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            **_OWN_GROUP,
        )
        child = cls(name, process)

        def read() -> None:
            assert process.stdout is not None  # noqa: S101  # asked for just above
            for line in process.stdout:
                plain = click.unstyle(line.rstrip())
                child.last.append(plain)
                say(name, plain)
            ended.set()

        child._reader = threading.Thread(target=read, name=f"lines of {name}", daemon=True)
        child._reader.start()
        return child

    @property
    def exit_code(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self.process.poll()

    def ask_to_end(self) -> None:
        """Send what Ctrl-C would."""
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                # reaches what it started as well
                self.process.send_signal(signal.CTRL_BREAK_EVENT)
            else:
                self.process.send_signal(signal.SIGTERM)

    def below(self) -> list[psutil.Process]:
        """Return what it started, and what these started, even if it has ended itself."""
        found: dict[int, psutil.Process] = {}
        with contextlib.suppress(psutil.Error):
            found = {p.pid: p for p in psutil.Process(self.process.pid).children(recursive=True)}
        if sys.platform != "win32":
            # it leads a session, which those that it left behind still belong to
            for process in psutil.process_iter():
                with contextlib.suppress(OSError):
                    if os.getsid(process.pid) == self.process.pid:
                        found[process.pid] = process
        found.pop(self.process.pid, None)
        return list(found.values())

    def started(self) -> list[psutil.Process]:
        """Return what it started itself, without what these started."""
        below = self.below()
        numbers = {process.pid for process in below}
        tops = []
        for process in below:
            with contextlib.suppress(psutil.Error):
                # Python's own helper goes when all others have gone
                is_helper = any("resource_tracker" in word for word in process.cmdline())
                if process.ppid() not in numbers and not is_helper:
                    tops.append(process)
        return tops

    def close(self) -> None:
        """Wait for its last lines, when it has ended."""
        self.process.wait()
        if self._reader is not None:
            self._reader.join(5)
        if self.process.stdout is not None and not (self._reader and self._reader.is_alive()):
            self.process.stdout.close()


def ask_all_to_end(processes: Iterable[psutil.Process]) -> None:
    """Send processes that are not ours to start what Ctrl-C would, where the system knows that."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            # on Windows this would be the end at once; there they hear what their group is sent
            if sys.platform != "win32":
                process.terminate()


def end_at_once(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """End processes that are still there, and return which these were."""
    ended = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                process.kill()
                ended.append(process)
    psutil.wait_procs(ended, timeout=10)
    return ended


def find(pid: int, created: float) -> psutil.Process | None:
    """Return the process of that number if it is the one that was created then."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if abs(process.create_time() - created) < 1.0:
            return process
    return None


def created(pid: int) -> float:
    """Return when a process was created, in seconds of the epoch; 0 if it is gone."""
    with contextlib.suppress(psutil.Error):
        return float(psutil.Process(pid).create_time())
    return 0.0
