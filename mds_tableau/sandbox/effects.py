"""What a fault changes inside an operation, for the one request that it struck.

The few places where an operation asks for it belong here; the faults themselves stand in `faults`,
which hangs its hooks into the request's context. Without a fault every function here gives back
what it was given.
"""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any

Rows = Sequence[Mapping[str, Any]]


@dataclass
class Effects:
    """The hooks of one request; they run in the thread of its operation.

    Attributes:
        on_chunk: Get the size of a piece of an upload, and raise to refuse it.
        on_job: Give what a new job is to do instead of its work; see `job_plans`.
        on_list: Get the rows of a list before it is filtered, and give those that it shows.
    """

    on_chunk: list[Callable[[int], None]] = field(default_factory=list)
    on_job: list[Callable[[], Mapping[str, Any]]] = field(default_factory=list)
    on_list: list[Callable[[Rows], Rows]] = field(default_factory=list)


_current: ContextVar[Effects | None] = ContextVar("effects", default=None)


def begin(effects: Effects) -> Token[Effects | None]:
    """Hangs the hooks into this context; returns what `end` needs."""
    return _current.set(effects)


def end(token: Token[Effects | None]) -> None:
    """Takes the hooks out of this context."""
    _current.reset(token)


def check_chunk(size: int) -> None:
    """Refuses a piece of an upload where a fault says so.

    Raises:
        ApiError: What the fault gives for it.
    """
    effects = _current.get()
    for hook in effects.on_chunk if effects else ():
        hook(size)


def job_plan() -> dict[str, Any]:
    """Returns what the job of this request is to do instead of its work; mostly nothing."""
    effects = _current.get()
    plan: dict[str, Any] = {}
    for hook in effects.on_job if effects else ():
        plan.update(hook())
    return plan


def listed(rows: Rows) -> Rows:
    """Returns the rows that a list shows."""
    effects = _current.get()
    for hook in effects.on_list if effects else ():
        rows = hook(rows)
    return rows
