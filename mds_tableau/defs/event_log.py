"""Dagster's SQLite event log, with what it prepares for each event prepared once.

Named in `data/dagster/dagster.yaml`. What is stored and how it is read stay Dagster's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

_BUSY_SECONDS = 30  # how long a writer waits for another one


class EventLog(SqliteEventLogStorage):
    """The event log of an instance on one machine.

    Dagster 1.13.27 makes an engine of SQLAlchemy for every single event, and so compiles every
    statement anew; here one for each file is kept. Connections are opened and closed as before.
    """

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "EventLog":
        """Make one as `dagster.yaml` says; Dagster's own would make one of its own class."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = _engine(self.conn_string_for_shard(shard))
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def delete_events(self, run_id: str) -> None:
        """Delete the events of a run, and the file that had them, which Dagster would leave."""
        super().delete_events(run_id)
        self._initialized_dbs.discard(run_id)
        shard = Path(self.path_for_shard(run_id))
        for path in (shard, Path(f"{shard}-wal"), Path(f"{shard}-shm")):
            # where somebody looks at it just now, Windows does not let it go
            with suppress(PermissionError):
                path.unlink(missing_ok=True)


@lru_cache(maxsize=32)
def _engine(connection_string: str) -> Engine:
    return create_engine(
        connection_string,
        poolclass=NullPool,
        connect_args={"timeout": _BUSY_SECONDS},
    )
