"""How long and how often a server is waited for, before what is doubtful becomes a failure.

Figures, pauses and counting only; which errors may be repeated is told by their class, and what has
to happen before the next attempt by who makes it. The repeating itself is tenacity's.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    stop_any,
    wait_random_exponential,
)

from mds_tableau.errors import Transient

_LONGEST_RETRY_AFTER: Final = 300
_T = TypeVar("_T")


@dataclass(frozen=True)
class Patience:
    """How patient a session is.

    Attributes:
        attempts: How often something is tried in all, unless it gets further each time.
        first_pause: Seconds before the second attempt, at most; doubled from then on, with jitter.
        longest_pause: Seconds of the longest pause.
        connect_seconds: How long a connection may take to open.
        read_seconds: How long the server may stay silent within an answer.
        publish_seconds: How long one publish may take with everything that is tried in it.
        shown_seconds: How long it may take until the server shows what it says that it has.
        sleep: What pauses.
    """

    attempts: int = 6
    first_pause: float = 0.5
    longest_pause: float = 60.0
    connect_seconds: float = 15.0
    read_seconds: float = 300.0
    publish_seconds: float = 3600.0
    shown_seconds: float = 300.0
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    @property
    def timeout(self) -> tuple[float, float]:
        """The time-outs of a request, as requests takes them."""
        return self.connect_seconds, self.read_seconds

    @property
    def longest_retry_after(self) -> int:
        """Seconds that a `Retry-After` is cut to."""
        return max(1, int(min(self.longest_pause * 5, _LONGEST_RETRY_AFTER)))

    def persist(
        self,
        work: Callable[[], _T],
        tell: Callable[[str], None],
        *,
        can_pass: Callable[[BaseException], bool] = lambda error: isinstance(error, Transient),
        reached: Callable[[], int] = lambda: 0,
    ) -> _T:
        """Return what `work` returns, calling it again after errors that can pass.

        Args:
            work: Called until it returns, raises something else, or patience ends.
            tell: As for `repeat`.
            can_pass: As for `repeat`.
            reached: As for `repeat`.

        Raises:
            Transient: The last error, with how often it was tried.
        """
        started = time.monotonic()
        attempts = 0

        def once() -> _T:
            nonlocal attempts
            attempts += 1
            return work()

        try:
            return self.repeat(once, tell, can_pass=can_pass, reached=reached)
        except Transient as error:
            if attempts == 1:
                raise
            took = time.monotonic() - started
            raise type(error)(f"{error} Tried {attempts} times in {took:.0f} seconds.") from error

    def repeat(
        self,
        work: Callable[[], _T],
        tell: Callable[[str], None],
        *,
        can_pass: Callable[[BaseException], bool] = lambda error: isinstance(error, Transient),
        reached: Callable[[], int] = lambda: 0,
    ) -> _T:
        """Return what `work` returns, calling it again after some errors; the last one is raised.

        Args:
            work: Called until it returns, raises something else, or patience ends.
            tell: Told before each pause what went wrong and how long the pause is.
            can_pass: Tells the errors after which it is called again.
            reached: How far the work has come, in any measure that grows. When an attempt came
                further than all before, attempts and pauses are counted from it on; time is not.
        """
        furthest = reached()

        def count(state: RetryCallState) -> None:
            nonlocal furthest
            if reached() > furthest:
                furthest = reached()
                state.attempt_number = 1

        def before_sleep(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            pause = state.next_action.sleep if state.next_action else 0.0
            tell(
                f"{error} Trying again in {pause:.1f} seconds "
                f"({state.attempt_number} of {self.attempts})."
            )

        retrying = Retrying(
            retry=retry_if_exception(can_pass),
            stop=stop_any(
                stop_after_attempt(self.attempts), stop_after_delay(self.publish_seconds)
            ),
            wait=wait_random_exponential(multiplier=self.first_pause, max=self.longest_pause),
            after=count,
            before_sleep=before_sleep,
            sleep=self.sleep,
            reraise=True,
        )
        return retrying(work)
