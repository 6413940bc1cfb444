"""Remembers on disk what is wrong, who was told of it, and what has still to be sent.

The same problem is told once until it changes or is over, also across restarts. Words belong to
`messages`, sending to `services`, and what is a problem to those who report it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from mds_tableau.alerts.messages import Kind, Message, Problem, Recovery, Words
from mds_tableau.files import read_json, sole_writer, write_json

_PAUSE: Final = timedelta(minutes=10)
"""How long after a reason was told others that it stopped too are gathered for one more message."""

_KEPT: Final = timedelta(days=7)
"""How long a message waits for a service that does not answer."""

_MOST_WAITING: Final = 200
"""Messages that wait at the same time; the oldest are left out."""

RUN: Final = "run"
DEADLINE: Final = "deadline"
JOB: Final = "job"
_OF_RUNS: Final[frozenset[Kind]] = frozenset({"failed", "refused", "canceled"})


@dataclass
class Waiting:
    """A message, and the services that have not got it yet."""

    id: str
    made: str
    title: str
    body: str
    tone: str
    left: list[str]


@dataclass
class State:
    """What is remembered; changed only while its ledger is open.

    Attributes:
        cursor: How far runs were looked at, or "".
        handled: When runs were looked at, by run id, as far as they may come again.
        problems: What is wrong, by what and whom it is about.
        recoveries: What is over and was not told yet, by extract.
        waiting: What has still to be sent.
        told: When a reason was told last.
        silent: Since when a service does not answer, and when that was logged.
        watched: Since when each deadline is watched, by extract.
        summary: The moment of the last summary, or "".
    """

    cursor: str = ""
    handled: dict[str, str] = field(default_factory=dict)
    problems: dict[str, Problem] = field(default_factory=dict)
    recoveries: dict[str, Recovery] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    silent: dict[str, list[str]] = field(default_factory=dict)
    watched: dict[str, list[str]] = field(default_factory=dict)
    summary: str = ""

    def report(self, problem: Problem) -> None:
        """Note that something is wrong; a problem that is known and the same stays as told."""
        known = self.problems.get(problem.key)
        if known is None:
            self.problems[problem.key] = problem
            return
        if known.kind == problem.kind and known.signature == problem.signature:
            self.problems[problem.key] = replace(
                problem, since=known.since, told=known.told, was_told=known.was_told
            )
        elif not (known.due and problem.due and problem.due < known.due):
            # a run that fails otherwise is wrong since the first time; another deadline is not
            since = known.since if known.kind in _OF_RUNS else problem.since
            self.problems[problem.key] = replace(
                problem, since=since, was_told=known.was_told or known.told
            )

    def over(self, name: str, *, at: datetime, run_id: str) -> None:
        """Note that an extract was published, or that a job was done, which ends its problems."""
        for kind in (RUN, DEADLINE, JOB):
            key = f"{kind}:{name}"
            problem = self.problems.get(key)
            if problem is None or at < datetime.fromisoformat(problem.ends_after):
                continue
            del self.problems[key]
            if not (problem.told or problem.was_told):
                continue
            known = self.recoveries.get(name)
            worse = problem if known is None or problem.since < known.since else None
            self.recoveries[name] = Recovery(
                label=problem.label,
                since=worse.since if worse else known.since if known else problem.since,
                at=at.isoformat(),
                due=problem.due or (known.due if known else ""),
                run_id=run_id,
            )

    def forget_others(self, names: Iterable[str], kinds: Iterable[str]) -> None:
        """Forget problems of extracts that there are not any more."""
        kept = set(names)
        of = set(kinds)
        self.problems = {
            key: problem
            for key, problem in self.problems.items()
            if key.partition(":")[0] not in of or key.partition(":")[2] in kept
        }

    def watched_since(self, name: str, deadline: str, now: datetime) -> datetime:
        """Return since when a deadline of an extract is watched, which may be now."""
        known = self.watched.get(name)
        if known is None or known[0] != deadline:
            known = self.watched[name] = [deadline, now.isoformat()]
        return datetime.fromisoformat(known[1])

    def compose(self, words: Words, services: Sequence[str], now: datetime) -> list[Message]:
        """Make messages of all that is worth telling now and was not told yet, and queue them."""
        self.told = {
            reason: at
            for reason, at in self.told.items()
            if now - datetime.fromisoformat(at) < _PAUSE
        }
        untold = [
            problem
            for problem in self.problems.values()
            if not problem.told
            and (problem.kind not in _OF_RUNS or problem.reason_key not in self.told)
        ]
        messages = [*words.problems(untold), *words.recovered(list(self.recoveries.values()))]
        for problem in untold:
            self.problems[problem.key] = replace(problem, told=now.isoformat())
            self.told[problem.reason_key] = now.isoformat()
        self.recoveries = {}
        for message in messages:
            self.queue(message, services, now)
        return messages

    def queue(self, message: Message, services: Sequence[str], now: datetime) -> None:
        """Have a message sent to all services."""
        self.waiting.append(Waiting(uuid4().hex, now.isoformat(), *message, left=[*services]))

    def drop_old(self, services: Sequence[str], now: datetime) -> int:
        """Leave out what no service waits for any more, and return how many were given up."""
        for one in self.waiting:
            one.left = [name for name in one.left if name in services]
        waiting = [one for one in self.waiting if one.left]
        kept = [one for one in waiting if now - datetime.fromisoformat(one.made) < _KEPT]
        self.waiting = kept[-_MOST_WAITING:]
        return len(waiting) - len(self.waiting)

    def arrived(self, sent: Mapping[str, set[str]]) -> None:
        """Note which messages, by their ids, have arrived at which service."""
        for one in self.waiting:
            one.left = [name for name in one.left if one.id not in sent.get(name, ())]
        self.waiting = [one for one in self.waiting if one.left]


class Ledger:
    """The state on disk."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "state.json"

    @contextmanager
    def opened(self) -> Iterator[State]:
        """Open the state for this process alone; it is written when the block ends well."""
        with sole_writer(self._path):
            content = read_json(self._path)
            state = _read(content)
            yield state
            written = asdict(state)
            if written != content:
                write_json(self._path, written)


def _read(content: Mapping[str, Any] | None) -> State:
    made: dict[str, Callable[[Any], Any]] = {
        "problems": lambda them: {key: Problem(**one) for key, one in them.items()},
        "recoveries": lambda them: {key: Recovery(**one) for key, one in them.items()},
        "waiting": lambda them: [Waiting(**one) for one in them],
    }
    try:
        return State(
            **{
                name: made.get(name, lambda it: it)(value)
                for name, value in (content or {}).items()
            }
        )
    except (TypeError, AttributeError):
        # another version wrote it; what is still wrong is told once more
        return State()
