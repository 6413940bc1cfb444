"""The file that a `.hyper` is kept in where somebody wants it, beside what is published.

It is refused before anything is published, and put in place afterwards. Copies that are kept to be
rolled back to belong to `versions`.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mds_tableau.errors import NoRoom, UsageError


class OutputFile:
    """A file that is to be made, or none.

    Args:
        path: The file; None when there is to be none.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._beside = path.with_name(f".{path.name}.{os.getpid()}.tmp") if path else None

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Have a file beside it as long as the block lasts.

        Raises:
            UsageError: There can be no such file.
        """
        if self._path is None or self._beside is None:
            yield
            return
        try:
            self._beside.touch()
        except OSError as error:
            raise UsageError(
                f"--output {self._path} cannot be written: {error}. Nothing was published. Name "
                "another file, or let this user write there."
            ) from error
        try:
            yield
        finally:
            with suppress(OSError):
                self._beside.unlink(missing_ok=True)

    def fill(self, made: Path) -> None:
        """Copy an extract beside it, before anything is published.

        Raises:
            NoRoom: It cannot be written.
        """
        if self._path is None or self._beside is None:
            return
        try:
            shutil.copyfile(made, self._beside)
        except OSError as error:
            raise NoRoom(
                f"--output {self._path} cannot be written: {error}. Nothing was published. Make "
                "room there, or name a file on another disk."
            ) from error

    def put_in_place(self, done: str) -> None:
        """Make the copy the file.

        Args:
            done: What is done by now, for the message of an error.

        Raises:
            NoRoom: It cannot be put there.
        """
        if self._path is None or self._beside is None:
            return
        try:
            self._beside.replace(self._path)
        except OSError as error:
            raise NoRoom(
                f"{done} But --output {self._path} could not be written: {error}. Close it where "
                "it is open, or name another file, and try again."
            ) from error
