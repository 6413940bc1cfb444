"""Runs Hyper, and connects to it.

What is asked of it belongs elsewhere: making an extract to `conversion`, looking into one that
others made to `hyper_contents`.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from pathlib import Path
from types import TracebackType
from typing import Final

import tableauhyperapi
from tableauhyperapi import (
    Connection,
    HyperException,
    HyperProcess,
    Telemetry,
)

from mds_tableau import hyper_sql
from mds_tableau.amounts import Amount
from mds_tableau.errors import ExtractError
from mds_tableau.memory import hyper_limit
from mds_tableau.scratch import limit_memory

_HYPERD: Final = (
    Path(tableauhyperapi.__file__).parent
    / "bin"
    / "hyper"
    / ("hyperd.exe" if os.name == "nt" else "hyperd")
)


class Hyper:
    """A running Hyper process; a context manager, one for each run.

    It writes no log, sends no telemetry, and ends when its owner ends, however that happens.

    Args:
        memory: What Hyper and DuckDB may take together, such as `8 GB` or `50%`; "" leaves it to
            each of them.

    Raises:
        ExtractError: Hyper could not be started.
    """

    def __init__(self, memory: str = "") -> None:
        self._memory = memory
        self._process: HyperProcess | None = None

    def __enter__(self) -> "Hyper":
        limit = {}
        if self._memory:
            limit = {"memory_limit": hyper_limit(self._memory)}
            limit_memory(Amount.parse(self._memory).half_for_duckdb)
        try:
            self._process = HyperProcess(
                Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU,
                "mds_tableau",
                # by default it writes hyperd.log into the working directory, and does not start
                # where that cannot be written
                parameters={"log_config": "", **limit},
            )
        except HyperException as error:
            raise ExtractError(f"Hyper does not start: {main_message(error)}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def connect(self, database: Path | None = None) -> Connection:
        """Open a connection to Hyper, attached to the `.hyper` at `database` if one is given.

        Raises:
            ExtractError: The process is not running.
        """
        if self._process is None:
            raise ExtractError("Hyper is not running; use it as a context manager.")
        if database is None:
            return Connection(self._process.endpoint)
        return Connection(self._process.endpoint, str(database))

    @contextmanager
    def reading(self, path: Path) -> Iterator[Connection]:
        """Give a connection that has the `.hyper` at `path` attached as `given`, to be read only.

        Opened for writing, as by default, a file could be changed when it is closed.

        Raises:
            ExtractError: Hyper cannot open the file, or not answer what is asked within the block.
        """
        with self.connect() as connection:
            try:
                connection.execute_command(hyper_sql.attaching(path.absolute()))
                # moments with a zone are else shown by the clock of this machine
                connection.execute_command("SET TIME ZONE 'UTC'")
                yield connection
            except HyperException as error:
                raise ExtractError(f"Hyper cannot read {path}: {main_message(error)}.") from error
            except UnicodeDecodeError as error:
                raise ExtractError(
                    f"{path} holds a text that is not UTF-8 ({error.reason})."
                ) from error


def validate(path: Path) -> None:
    """Have Hyper check the checksums within a `.hyper`, which no query looks at.

    Raises:
        ExtractError: They are wrong.
    """
    found = subprocess.run(
        [str(_HYPERD), "validate", "-d", str(path), "--log-config="],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        said = (found.stdout + found.stderr).strip().splitlines() or ["it gave no reason"]
        raise ExtractError(
            f"Hyper finds {path.name} damaged right after writing it: {said[-1]}. Nothing was kept "
            "of it; look after the disk."
        )


def library_version() -> str:
    """Return the version of the Hyper API that is installed."""
    return installed_version("tableauhyperapi")


def main_message(error: HyperException) -> str:
    """Return what Hyper says of an error, without its context and its codes."""
    hint = f" {error.hint}" if error.hint else ""
    return f"{error.main_message}{hint}"
