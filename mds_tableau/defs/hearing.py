"""Lets what the core logs be heard in the log of the run, and of the step that runs, if one does.

The core knows no Dagster, and Dagster listens to no logger that it was not told of. What is worth
logging is decided where it happens.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_CORE: Final = logging.getLogger("mds_tableau")


_LISTENING: Final = list["_ToDagster"]()
"""Those that were asked to listen; only the last one passes anything on."""

_PASSED: Final = "passed_to_dagster"
"""Attribute of a record that was passed on."""


class _ToDagster(logging.Handler):
    def __init__(self, log: logging.Logger) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log it once more; Dagster knows which step it was."""
        if _LISTENING[-1:] == [self] and not hasattr(record, _PASSED):
            # a step may begin while another thread is at the handlers, and would hear it again
            setattr(record, _PASSED, True)
            self._log.log(record.levelno, record.getMessage())


@contextmanager
def heard(log: logging.Logger) -> Iterator[None]:
    """Pass on what the core logs within, of all threads, to the log of a run or of a step."""
    handler, level, propagates = _ToDagster(log), _CORE.level, _CORE.propagate
    _LISTENING.append(handler)
    _CORE.addHandler(handler)
    _CORE.setLevel(logging.INFO)
    # it would be printed once more, beside the step's own line
    _CORE.propagate = False
    try:
        yield
    finally:
        _LISTENING.remove(handler)
        _CORE.removeHandler(handler)
        _CORE.setLevel(level)
        _CORE.propagate = propagates
