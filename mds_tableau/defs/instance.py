"""Opens Dagster's instance, and says in our words why it cannot be opened or written to.

Where its folder is and what must stand in it belong to `dagster_home`; what is kept in it, to
Dagster.
"""

import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from dagster import DagsterInvalidConfigError
from dagster._core.instance import DagsterInstance
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mds_tableau.dagster_home import POSTGRES_URL, refuse_wrong_config
from mds_tableau.errors import ServiceError, first_line
from mds_tableau.inputs.database_url import FromVariable, scrubbed
from mds_tableau.settings import variable

_FILES: Final = (
    "index.db",
    "history/runs.db",
    "history/runs/index.db",
    "schedules/schedules.db",
)
"""The files of an instance on SQLite, but for those that each hold the events of one run."""


@contextmanager
def opened(home: Path) -> Iterator[DagsterInstance]:
    """Open the instance of a folder that has its `dagster.yaml`.

    `DAGSTER_HOME` has to be set to the folder, as `dagster.yaml` may name it.

    Raises:
        ServiceError: It cannot be opened, or its storage cannot be read or written meanwhile.
        SettingsError: Its URL does not name the driver that works.
    """
    refuse_wrong_config(home)
    # what may only be read opens all the same, and leaves a file beside it that stays so
    if not _is_in_postgres(home) and (broken := _unwritable_files(home)):
        raise _damaged(home, broken)
    try:
        with _silent_retries():
            instance = DagsterInstance.from_config(str(home))
            # the files are opened when they are read first
            instance.get_runs(limit=1)
            instance.get_asset_keys(limit=1)
            instance.all_instigator_state()
    except Exception as error:
        # whatever a storage, launcher or setting of it raises, it is about the instance
        raise _unusable(home, error) from error
    try:
        with instance:
            yield instance
    except Exception as error:
        # what a step raises has become an event of the run: this is of the instance's storage
        if isinstance(error, SQLAlchemyError) or isinstance(error.__cause__, SQLAlchemyError):
            raise _unusable(home, error) from error
        raise


def _unusable(home: Path, error: Exception) -> ServiceError:
    if isinstance(error, DagsterInvalidConfigError):
        # each also lists all that there could be, and may show a value
        wrong = " ".join(_without_values(one.message) for one in error.errors)
        return ServiceError(
            f"{home / 'dagster.yaml'} is not what Dagster can be configured with: "
            f"{wrong or first_line(error)} Mend it, or move it away: `mds-tableau up` and "
            "`refresh` then put ours there."
        )
    cause, url = _cause(error), variable(POSTGRES_URL)
    if url:
        cause = scrubbed(cause, FromVariable(url, POSTGRES_URL))
    if _is_in_postgres(home):
        return ServiceError(
            f"Dagster's instance in {home} keeps its runs in the database of {POSTGRES_URL}, which "
            f"cannot be used: {cause}. Start the database or mend {POSTGRES_URL}."
        )
    # the file says more than the driver does of it
    return _damaged(home, _broken_files(home) or [cause])


def _damaged(home: Path, causes: Sequence[str]) -> ServiceError:
    return ServiceError(
        f"Dagster's instance in {home} (DAGSTER_HOME) cannot be used: {'; '.join(causes)}. Give "
        "this user the right to read and write it and see that the disk has room; if it is "
        "damaged, put it back by `mds-tableau restore`, or move the folder away: a new one is made "
        "then, without the history of runs."
    )


def _is_in_postgres(home: Path) -> bool:
    return POSTGRES_URL in (home / "dagster.yaml").read_text(encoding="utf-8")


def _without_values(message: str) -> str:
    named = message.partition(" Expected: ")[0].partition(' Value "')[0]
    return named.rstrip(".") + "."


def _cause(error: BaseException) -> str:
    """Return what began it, in a line: a retry that gave up says nothing of why."""
    while not isinstance(error, DBAPIError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    return first_line(error).rstrip(".")


def _unwritable_files(home: Path) -> list[str]:
    beside = (home / f"{name}{ending}" for name in _FILES for ending in ("", "-wal", "-shm"))
    return [
        f"{path} may not be read and written"
        for path in filter(Path.is_file, beside)
        if not os.access(path, os.R_OK | os.W_OK)
    ]


def _broken_files(home: Path) -> list[str]:
    broken = []
    for path in filter(Path.exists, (home / name for name in _FILES)):
        if not path.is_file():
            broken.append(f"{path} is no file")
            continue
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
                database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            broken.append(f"{path} is none that SQLite reads ({error})")
    return broken


@contextmanager
def _silent_retries() -> Iterator[None]:
    """Keep Dagster's retries of a connection off the terminal.

    They go to the root logger, which would be given a handler for them if it had none.
    """
    root, nowhere = logging.getLogger(), logging.NullHandler()
    root.addHandler(nowhere)
    try:
        yield
    finally:
        root.removeHandler(nowhere)
