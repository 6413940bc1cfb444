"""Decides which deadlines were missed, and which are going to be.

A pure function of deadlines, of what runs did and of a moment. Reading what they did belongs to
`defs.deadlines`, telling it to `ledger`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Final, Literal
from zoneinfo import ZoneInfo

from mds_tableau.deadlines import Deadline, span

_UNKNOWN: Final = timedelta(minutes=15)
"""What a run is thought to take while nothing is known."""

_SHORTEST_MARGIN: Final = timedelta(minutes=1)
_MARGIN: Final = 0.1
"""Share of the usual time that is left free before a deadline."""

_MUCH_LONGER: Final = 1.5
"""A run that takes so many times as long as nine of ten do is running longer than usual."""


@dataclass(frozen=True)
class Attempt:
    """A run that is to publish an extract and has not ended.

    Attributes:
        run_id: Its id.
        started: When it started; None while it waits for its turn.
    """

    run_id: str
    started: datetime | None


@dataclass(frozen=True)
class History:
    """What is known of the publishes of an extract.

    Attributes:
        published: When the last one was done, or None.
        took: From the start of a run until its publish was done, of the last ones.
        running: Runs that are to publish it and have not done so.
        failed: When the last run that was to publish it and did not has ended, and its id.
        published_by: The run that did the last one, or "".
    """

    published: datetime | None = None
    took: tuple[timedelta, ...] = ()
    running: tuple[Attempt, ...] = ()
    failed: tuple[datetime, str] | None = None
    published_by: str = ""


@dataclass(frozen=True)
class Verdict:
    """A deadline that was missed or is going to be.

    Attributes:
        extract: Name of the extract.
        kind: Which of the two.
        due: The moment of the deadline, in UTC.
        since: When that began, in UTC.
        reason: Why, in a sentence.
        run_id: The run that it is about, or "".
    """

    extract: str
    kind: Literal["at_risk", "missed"]
    due: datetime
    since: datetime
    reason: str
    run_id: str = ""


def judge(
    deadlines: Mapping[str, Deadline],
    history: Mapping[str, History],
    now: datetime,
    watched: Mapping[str, datetime] | None = None,
) -> list[Verdict]:
    """Return which deadlines were missed and not made good, and which are at risk, by extract.

    Args:
        deadlines: The deadline of each extract.
        history: What is known of each; an extract that is not there was never published.
        now: The moment.
        watched: Since when each deadline is watched; those of before are nobody's concern.
    """
    verdicts = []
    for extract, deadline in sorted(deadlines.items()):
        known = history.get(extract, History())
        since = (watched or {}).get(extract)
        verdict = _at_risk(extract, deadline, known, now) or _missed(
            extract, deadline, known, now, since
        )
        if verdict is not None:
            verdicts.append(verdict)
    return verdicts


def is_met(deadline: Deadline, due: datetime, published: datetime | None) -> bool:
    """Return whether a publish counts for a deadline, be it late or not."""
    return published is not None and published >= due - deadline.within


def usual(took: Sequence[timedelta]) -> tuple[timedelta, timedelta] | None:
    """Return what half and what nine of ten publishes took at most, or None for no publishes."""
    if not took:
        return None
    ordered = sorted(took)
    half = median(one.total_seconds() for one in ordered)
    return timedelta(seconds=half), ordered[math.ceil(0.9 * len(ordered)) - 1]


def _missed(
    extract: str, deadline: Deadline, known: History, now: datetime, watched: datetime | None
) -> Verdict | None:
    due = deadline.last(now)
    if is_met(deadline, due, known.published) or (watched is not None and due < watched):
        return None
    last = f" since {_clock(due - deadline.within, deadline)}"
    running = [one for one in known.running if one.started is not None]
    if running:
        [*_, attempt] = running
        why = f"a run is still going on, since {_clock(attempt.started, deadline)}"
        run_id = attempt.run_id
    else:
        why, run_id = _without_run(deadline, due, known)
    return Verdict(extract, "missed", due, due, f"Nothing was published{last}: {why}.", run_id)


def _at_risk(extract: str, deadline: Deadline, known: History, now: datetime) -> Verdict | None:
    due = deadline.following(now)
    if now < due - deadline.within or is_met(deadline, due, known.published):
        return None
    usually = usual(known.took)
    half, most = usually or (_UNKNOWN, _UNKNOWN)
    started = [one for one in known.running if one.started is not None]
    if started:
        slow = [_slow(one.started, deadline, due, now, most) for one in started if one.started]
        # one that will be there in time is enough; without figures nothing is expected
        if usually is None or None in slow:
            return None
        why, run_id = str(slow[-1]), started[-1].run_id
    elif now < due - most - max(_SHORTEST_MARGIN, most * _MARGIN):
        return None
    elif known.running:
        why, run_id = "a run waits for its turn", known.running[-1].run_id
    else:
        why, run_id = _without_run(deadline, due, known)
    reason = f"{why[0].upper()}{why[1:]}; {_usually(half, most, is_known=usually is not None)}."
    return Verdict(extract, "at_risk", due, now, reason, run_id)


def _usually(half: timedelta, most: timedelta, *, is_known: bool) -> str:
    if not is_known:
        return "how long it takes is not known yet"
    more = "" if span(half) == span(most) else f", and up to {span(most)}"
    return f"it usually takes {span(half)}{more}"


def _slow(
    started: datetime, deadline: Deadline, due: datetime, now: datetime, most: timedelta
) -> str | None:
    since, goes = f"since {_clock(started, deadline)}", now - started
    if goes > max(most * _MUCH_LONGER, most + _SHORTEST_MARGIN):
        return f"a run goes on {since}, for {span(goes)}, which is longer than usual"
    if started + most > due:
        return f"a run goes on {since}, and is expected at {_clock(started + most, deadline)}"
    return None


def _without_run(deadline: Deadline, due: datetime, known: History) -> tuple[str, str]:
    if known.failed is not None and known.failed[0] >= due - deadline.within:
        at, run_id = known.failed
        ended = _clock(at, deadline)
        return f"the last run ended at {ended} without it, and none has started since", run_id
    return "no run has started", ""


def _clock(moment: datetime | None, deadline: Deadline) -> str:
    assert moment is not None  # noqa: S101  # of runs that have started only
    return f"{moment.astimezone(ZoneInfo(deadline.zone)):%H:%M}"
