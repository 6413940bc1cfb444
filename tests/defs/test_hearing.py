"""What the core says is heard once, whatever begins to listen meanwhile."""

import logging

from mds_tableau.defs.hearing import heard


class _Kept(logging.Logger):
    """Keeps what it is told, and has another listener begin to listen at the first line."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.said: list[str] = []

    def log(self, level: int, msg: object, *args: object, **kwargs: object) -> None:
        """Keep a line."""
        self.said.append(str(msg))


def test_a_line_is_heard_once_when_a_step_begins_at_that_moment() -> None:
    """The step's listener is added while the line is on its way to the run's."""
    run, step = _Kept("run"), _Kept("step")
    with heard(run):
        core = logging.getLogger("mds_tableau")

        class Beginning(logging.Handler):
            """Stands behind the run's listener, and has the step begin."""

            def emit(self, record: logging.LogRecord) -> None:
                stack.__enter__()

        stack = heard(step)
        beginning = Beginning()
        core.addHandler(beginning)
        try:
            core.info("uploaded")
        finally:
            core.removeHandler(beginning)
            stack.__exit__(None, None, None)
    assert run.said + step.said == ["uploaded"]
