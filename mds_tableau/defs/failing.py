"""Turns our errors into Dagster failures, so that a failed asset shows its advice first.

Deciding what went wrong belongs to the core.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from mds_tableau.errors import MdsTableauError, Transient


@contextmanager
def told_plainly() -> Iterator[None]:
    """Raise `dagster.Failure` with our message for an error of ours; let others through.

    Dagster retries only what can get better by itself, where a retry policy says so.
    """
    try:
        yield
    except MdsTableauError as error:
        raise dg.Failure(
            description=str(error),
            metadata={"error": type(error).__name__},
            allow_retries=isinstance(error, Transient),
        ) from error
