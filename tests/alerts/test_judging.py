"""Which deadlines are missed, and which are at risk, at which moment."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mds_tableau.alerts.judging import Attempt, History, Verdict, judge
from mds_tableau.deadlines import parse_deadline

DEADLINE = parse_deadline("07:30 Europe/London weekdays")
LONG = tuple(timedelta(minutes=minutes) for minutes in (12, 11, 12, 13, 12, 20, 12, 12, 12, 12))
"""Half of them take 12 minutes, nine of ten at most 13."""


def at(text: str, day: int = 25) -> datetime:
    """A moment of November 2026, when London's clock is UTC; the 25th is a Wednesday."""
    return datetime.fromisoformat(f"2026-11-{day:02}T{text}").replace(tzinfo=timezone.utc)


def verdict(history: History, now: datetime, watched: datetime | None = None) -> Verdict | None:
    """What is judged of one extract."""
    seen = judge(
        {"sales": DEADLINE}, {"sales": history}, now, {"sales": watched} if watched else {}
    )
    return seen[0] if seen else None


YESTERDAY = at("06:45", 24)


@pytest.mark.parametrize(
    ("history", "now", "kind", "reason"),
    [
        # published in time, or there is still time
        (History(at("06:45"), LONG), at("07:29"), None, ""),
        (History(at("06:45"), LONG), at("07:31"), None, ""),
        (History(YESTERDAY, LONG), at("07:14"), None, ""),
        # the night counts, what was yesterday at noon does not
        (History(at("19:30", 24), LONG), at("07:31"), None, ""),
        (
            History(at("19:29", 24), LONG),
            at("07:31"),
            "missed",
            "Nothing was published since 19:30: no run has started.",
        ),
        # nothing has started: 13 minutes and a tenth more
        (
            History(YESTERDAY, LONG),
            at("07:16"),
            "at_risk",
            "No run has started; it usually takes 12 minutes, and up to 13 minutes.",
        ),
        (
            History(YESTERDAY, (timedelta(minutes=12),)),
            at("07:17"),
            "at_risk",
            "No run has started; it usually takes 12 minutes.",
        ),
        (
            History(YESTERDAY, LONG, failed=(at("06:41"), "r")),
            at("07:16"),
            "at_risk",
            "The last run ended at 06:41 without it, and none has started since; it usually takes "
            "12 minutes, and up to 13 minutes.",
        ),
        (
            History(YESTERDAY, LONG, (Attempt("r", None),)),
            at("07:16"),
            "at_risk",
            "A run waits for its turn; it usually takes 12 minutes, and up to 13 minutes.",
        ),
        # nothing is known
        (History(YESTERDAY), at("07:13"), None, ""),
        (
            History(YESTERDAY),
            at("07:14"),
            "at_risk",
            "No run has started; how long it takes is not known yet.",
        ),
        (History(YESTERDAY, (), (Attempt("r", at("07:00")),)), at("07:29"), None, ""),
        # a run goes on
        (History(YESTERDAY, LONG, (Attempt("r", at("07:10")),)), at("07:20"), None, ""),
        (
            History(YESTERDAY, LONG, (Attempt("r", at("07:20")),)),
            at("07:21"),
            "at_risk",
            "A run goes on since 07:20, and is expected at 07:33; it usually takes 12 minutes, and "
            "up to 13 minutes.",
        ),
        (History(YESTERDAY, LONG, (Attempt("r", at("06:30")),)), at("06:49"), None, ""),
        (
            History(YESTERDAY, LONG, (Attempt("r", at("06:30")),)),
            at("06:50"),
            "at_risk",
            "A run goes on since 06:30, for 20 minutes, which is longer than usual; it usually "
            "takes 12 minutes, and up to 13 minutes.",
        ),
        # one that hangs, and one that will be there
        (
            History(YESTERDAY, LONG, (Attempt("h", at("06:00")), Attempt("r", at("07:05")))),
            at("07:16"),
            None,
            "",
        ),
        # it has passed
        (
            History(YESTERDAY, LONG, (Attempt("r", at("07:20")),)),
            at("07:30"),
            "missed",
            "Nothing was published since 19:30: a run is still going on, since 07:20.",
        ),
        (
            History(YESTERDAY, LONG, failed=(at("06:41"), "r")),
            at("09:00"),
            "missed",
            "Nothing was published since 19:30: the last run ended at 06:41 without it, and none "
            "has started since.",
        ),
        # late, but there
        (History(at("07:41"), LONG), at("07:42"), None, ""),
        # on Saturday nothing is due, but Friday's was never made good
        (
            History(at("06:45", 26), LONG),
            at("12:00", 28),
            "missed",
            "Nothing was published since 19:30: no run has started.",
        ),
        (History(at("06:45", 27), LONG), at("12:00", 28), None, ""),
    ],
)
def test_table(history: History, now: datetime, kind: str | None, reason: str) -> None:
    """Each situation has its verdict, and a sentence that says why."""
    seen = verdict(history, now)
    assert (seen.kind if seen else None, seen.reason if seen else "") == (kind, reason)


def test_a_deadline_that_was_not_watched_is_nobodys_concern() -> None:
    """What had passed before a deadline was known is not missed; the next one can be."""
    assert verdict(History(), at("09:00"), watched=at("08:00")) is None
    seen = verdict(History(), at("09:00", 26), watched=at("08:00"))
    assert seen is not None
    assert (seen.kind, seen.due) == ("missed", at("07:30", 26))


def test_verdict_says_when_and_which_run() -> None:
    """The moment that is due, since when that is so, and the run, if one is concerned."""
    seen = verdict(History(YESTERDAY, LONG, (Attempt("r7", at("07:20")),)), at("07:21"))
    assert seen is not None
    assert (seen.due, seen.since, seen.run_id) == (at("07:30"), at("07:21"), "r7")
    seen = verdict(History(YESTERDAY, LONG), at("08:00"))
    assert seen is not None
    assert (seen.due, seen.since, seen.run_id) == (at("07:30"), at("07:30"), "")


MINUTES = st.integers(0, 7 * 24 * 60).map(
    lambda minutes: at("00:00", 22) + timedelta(minutes=minutes)
)
HISTORIES = st.builds(
    History,
    published=st.none() | MINUTES,
    took=st.lists(st.integers(1, 7200).map(lambda s: timedelta(seconds=s))).map(tuple),
    running=st.lists(st.builds(Attempt, st.just("r"), st.none() | MINUTES), max_size=3).map(tuple),
    failed=st.none() | st.tuples(MINUTES, st.just("f")),
)


@given(history=HISTORIES, now=MINUTES)
def test_missed_means_exactly_that_nothing_was_published(history: History, now: datetime) -> None:
    """Missed follows from the last publish alone, and a publish ends whatever was wrong."""
    due, following = DEADLINE.last(now), DEADLINE.following(now)
    is_there = history.published is not None and history.published >= due - DEADLINE.within
    seen = verdict(history, now)
    if seen is not None and seen.kind == "at_risk":
        assert seen.due == following
        assert history.published is None or history.published < following - DEADLINE.within
        assert now >= following - DEADLINE.within
    else:
        assert (seen is not None) == (not is_there)
        assert seen is None or seen.due == due
    assert verdict(History(now, history.took), now) is None


@given(history=HISTORIES, day=st.sampled_from([23, 24, 25, 26, 27]))
def test_without_a_run_a_deadline_is_at_risk_before_it_is_missed(
    history: History, day: int
) -> None:
    """Where no run has started, the minute before the deadline is at risk, whatever is known."""
    if history.published is not None and history.published >= at("19:30", day - 1):
        return
    seen = verdict(
        History(history.published, history.took, failed=history.failed), at("07:29", day)
    )
    assert seen is not None
    assert (seen.kind, seen.due) == ("at_risk", at("07:30", day))
