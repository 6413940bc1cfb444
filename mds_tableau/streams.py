"""Sees to it that what is printed cannot break what is done: closed descriptors, readers that left.

Nothing but Python's own modules is imported here, as it is done before all else is loaded. What is
printed belongs to the commands.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


def open_missing() -> None:
    """Open what this process was started without of stdin, stdout and stderr, to nowhere.

    Files that are opened later would take their places, and be written to by whoever prints.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            # the lowest that is free is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            mode = "w" if descriptor else "r"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # it stays


def unbreakable(descriptor: int, errors: str = "backslashreplace") -> TextIO:
    """Return what writes to a descriptor as long as somebody takes it, and then to nowhere."""
    return io.TextIOWrapper(
        io.BufferedWriter(_WhileItIsTaken(descriptor, "w", closefd=False)),
        encoding="utf-8",
        errors=errors,
        line_buffering=True,
    )


@contextmanager
def unbroken_output() -> Iterator[None]:
    """Print to stdout and stderr as long as somebody takes it, and go on when nobody does.

    A pipe whose reader has left, a full disk or a terminal that is gone end nothing within.
    """
    before = sys.stdout, sys.stderr
    try:
        numbers = [stream.fileno() for stream in before]
    except OSError:  # in a test they are no files
        yield
        return
    sys.stdout, sys.stderr = map(unbreakable, numbers)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


class _WhileItIsTaken(io.FileIO):
    _is_taken = True

    def write(self, data: Any, /) -> int:
        length = memoryview(data).nbytes
        if self._is_taken:
            try:
                return super().write(data) or 0
            except OSError:
                self._is_taken = False
        return length
