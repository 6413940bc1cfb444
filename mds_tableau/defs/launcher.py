"""Starts runs as Dagster does on one machine, and knows whether a run's process is still there.

Named in `data/dagster/dagster.yaml`. What becomes of a run that died is decided by Dagster's run
monitoring and run retries, as they are configured there.
"""

from datetime import timedelta
from typing import Final

import dagster as dg
import psutil
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._time import get_current_datetime

_CLOCK_SECONDS: Final = 5.0
"""By how much the times of a process and of an event may differ."""

_SILENT: Final = timedelta(minutes=10)
"""After which a run that never told its process is taken for dead."""


class LocalLauncher(DefaultRunLauncher):
    """The default launcher, for runs of this machine, whoever started them.

    While the code server of a run is there, it notices itself that a run died. Dagster 1.13.27 has
    nobody who does so when both are gone, nor for runs of the command line.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether run monitoring may ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether the process that the run named in its events still runs."""
        told = self._process_of(run.run_id)
        if told is None:
            record = self._instance.get_run_record_by_id(run.run_id)
            if record and get_current_datetime() - record.update_timestamp > _SILENT:
                return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "It never told its process.")
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        pid, since = told
        if _is_alive(pid, since):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND,
            f"Process {pid} is gone: it was killed, ran out of memory, or the machine went off.",
        )

    def _process_of(self, run_id: str) -> tuple[int, float] | None:
        """Return the number of the process, and when it told."""
        told = self._instance.get_records_for_run(
            run_id, of_type=dg.DagsterEventType.ENGINE_EVENT, limit=50
        )
        for record in told.records:
            entry = record.event_log_entry
            event = entry.dagster_event
            pid = event.engine_event_data.metadata.get("pid") if event else None
            if pid is not None:
                return int(str(pid.value)), entry.timestamp
        return None


def _is_alive(pid: int, since: float) -> bool:
    try:
        process = psutil.Process(pid)
        # numbers are given away again, after a restart of the machine above all
        is_same = process.create_time() <= since + _CLOCK_SECONDS
        return bool(is_same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
