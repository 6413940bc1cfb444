"""Rules: which requests a fault strikes; and the application that applies them.

Counting, choosing and recording belong here; what a fault does does not. Rules may be added and
removed from any thread while the sandbox runs. Without rules a request passes at once.
"""

import asyncio
import functools
import random
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from mds_tableau.errors import SandboxError
from mds_tableau.sandbox import effects
from mds_tableau.sandbox.faults.exchange import Exchange, Fault
from mds_tableau.sandbox.faults.names import Names
from mds_tableau.sandbox.store import Store
from mds_tableau.sandbox.wire import EXTENSION

# Older records are forgotten, so that a sandbox that runs for days does not grow.
KEPT_RECORDS = 10_000


@dataclass(frozen=True)
class Applied:
    """A fault that struck.

    Attributes:
        kind: Its kind.
        operation: What was asked for.
        request: Number of the request among all of the sandbox, from 1.
        time: When, by the sandbox's clock.
        rule: Number of the rule.
    """

    kind: str
    operation: str
    request: int
    time: float
    rule: int


@dataclass
class Rule:
    """Which requests a fault strikes.

    Attributes:
        fault: What happens.
        on: Names of the operations; empty means all.
        first: The first of the matching requests that it may strike, from 1.
        last: The last one; None means no end.
        every: It strikes each so-manieth from the first on.
        probability: How likely it strikes one of these.
        seed: Of the random numbers; with the same one the same requests are struck.
        number: Its number.
        matched: How many requests have matched so far.
    """

    fault: Fault
    on: tuple[str, ...] = ()
    first: int = 1
    last: int | None = None
    every: int = 1
    probability: float = 1.0
    seed: int = 0
    number: int = 0
    matched: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        counts = {"first": self.first, "last": self.last, "every": self.every}
        for name, value in counts.items():
            if value is not None and (type(value) is not int or value < 1):
                raise SandboxError(
                    f"Cannot add the fault: its '{name}' is {value!r}, not 1 or more."
                )
        if type(self.probability) not in {int, float} or not 0 <= self.probability <= 1:
            raise SandboxError(
                f"Cannot add the fault: its 'probability' is {self.probability!r}, not 0 to 1."
            )
        if type(self.seed) is not int:
            raise SandboxError(f"Cannot add the fault: its 'seed' is {self.seed!r}, not a number.")
        self._random = random.Random(self.seed)  # noqa: S311 - chance, no secret

    def meets(self, exchange: Exchange) -> bool:
        """Counts a request that matches; returns whether the fault strikes it."""
        if (self.on and exchange.operation not in self.on) or not self.fault.concerns(exchange):
            return False
        self.matched += 1
        if self.matched < self.first or (self.last is not None and self.matched > self.last):
            return False
        if (self.matched - self.first) % self.every:
            return False
        return self.probability >= 1 or self._random.random() < self.probability


class Faults:
    """The faults of one sandbox.

    Attributes:
        sleep: Waits so many seconds; tests may replace it.
        ticks: A clock in seconds, for speeds; tests may replace it.

    Args:
        clock: The sandbox's time, for the records.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
        self.ticks: Callable[[], float] = time.monotonic
        self._clock = clock
        self._names = Names()
        self._rules: tuple[Rule, ...] = ()
        self._applied: deque[Applied] = deque(maxlen=KEPT_RECORDS)
        self._changed = threading.Condition()
        self._last_rule = 0
        self._requests = 0
        self._store: Store | None = None
        self._stopping = asyncio.Event()

    @property
    def operations(self) -> tuple[str, ...]:
        """The names that a rule may give."""
        return self._names.all

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in the order in which they were added."""
        return self._rules

    @property
    def applied(self) -> tuple[Applied, ...]:
        """What struck so far, oldest first."""
        with self._changed:
            return tuple(self._applied)

    def add(
        self,
        fault: Fault,
        on: str | Iterable[str] = (),
        *,
        nth: int | None = None,
        first: int = 1,
        last: int | None = None,
        every: int = 1,
        probability: float = 1.0,
        seed: int = 0,
    ) -> Rule:
        """Adds a rule; of several that strike a request, the one added first is the outermost.

        Args:
            fault: What happens.
            on: Names of operations; empty means all.
            nth: The one matching request to strike, counted from 1 from now on.
            first: See `Rule`, as for what follows.
            last: The last matching request that it may strike.
            every: Each so-manieth from the first on.
            probability: How likely each of these is struck.
            seed: Of the random numbers.

        Raises:
            SandboxError: There is no such operation, or a number makes no sense.
        """
        names = (on,) if isinstance(on, str) else tuple(on)
        for name in names:
            if name not in self.operations:
                raise SandboxError(
                    f"Cannot add the fault: there is no operation {name!r}."
                    f" There are {', '.join(self.operations)}."
                )
        if nth is not None:
            first, last = nth, nth
        rule = Rule(fault, names, first, last, every, probability, seed)
        with self._changed:
            if self._store is not None:
                fault.prepare(self._store)
            self._last_rule += 1
            rule.number = self._last_rule
            self._rules = (*self._rules, rule)
        return rule

    def remove(self, rule: Rule | int) -> bool:
        """Removes a rule, by its number or itself; returns whether it was there."""
        number = rule if isinstance(rule, int) else rule.number
        with self._changed:
            kept = tuple(one for one in self._rules if one.number != number)
            removed = len(kept) < len(self._rules)
            self._rules = kept
        return removed

    def clear(self) -> None:
        """Removes all rules and records; requests that wait because of one go on waiting."""
        with self._changed:
            self._rules = ()
            self._applied.clear()

    def wait(self, count: int = 1, seconds: float = 30) -> bool:
        """Waits until so many faults have struck; returns whether they did in that time."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._applied) >= count, seconds)

    def begin(self, store: Store) -> None:
        """Learns that the sandbox starts, with what state."""
        with self._changed:
            self._store, self._stopping = store, asyncio.Event()
            for rule in self._rules:
                rule.fault.prepare(store)

    def end(self) -> None:
        """Ends all waiting because the sandbox stops; called where its requests run."""
        with self._changed:
            self._store = None
        self._stopping.set()

    def wrap(self, app: ASGIApp, store: Store) -> ASGIApp:
        """Returns the application with the faults around it."""

        async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
            self._requests += 1  # only ever here, in one thread
            if not self._rules or not scope["path"].startswith("/api/"):
                await app(scope, receive, send)
                return
            exchange = Exchange(
                operation=self._names.of(scope),
                store=store,
                connection=scope["extensions"][EXTENSION],
                effects=effects.Effects(),
                scope=scope,
                receive=receive,
                send=send,
                pause=self._pause,
                ticks=self.ticks,
                stopping=self._stopping,
                record=lambda: None,
            )
            with self._changed:
                struck = [rule for rule in self._rules if rule.meets(exchange)]
            token = effects.begin(exchange.effects)
            try:
                await self._strike(app, exchange, struck, self._requests)
            finally:
                effects.end(token)

        return faulty

    async def _strike(
        self, app: ASGIApp, exchange: Exchange, rules: list[Rule], request: int
    ) -> None:
        if not rules:
            await app(exchange.scope, exchange.receive, exchange.send)
            return
        rule, *rest = rules
        record = functools.partial(self._record, rule, exchange.operation, request)
        if not rule.fault.conditional:
            record()

        async def proceed(inner: Exchange) -> None:
            await self._strike(app, inner, rest, request)

        await rule.fault.strike(exchange.recording(record), proceed)

    def _record(self, rule: Rule, operation: str, request: int) -> None:
        with self._changed:
            self._applied.append(
                Applied(rule.fault.kind, operation, request, self._clock(), rule.number)
            )
            self._changed.notify_all()

    async def _pause(self, seconds: float) -> None:
        """Waits, but no longer than the sandbox runs."""
        waits = {
            asyncio.ensure_future(self.sleep(seconds)),
            asyncio.ensure_future(self._stopping.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
