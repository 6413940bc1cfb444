"""How a deadline is written down, and the moments that it means."""

from datetime import date, datetime, time, timedelta, timezone

import pytest
from dagster._core.definitions.freshness import CronFreshnessPolicy
from dagster._utils.schedules import get_latest_completed_cron_tick, get_next_cron_tick
from hypothesis import given
from hypothesis import strategies as st

from mds_tableau.deadlines import Deadline, deadline_problem, moment_of, parse_deadline, span
from mds_tableau.defs.deadlines import freshness_policy

UTC = timezone.utc
WEEKDAYS = frozenset(range(5))
DAILY = frozenset(range(7))
HALF_A_DAY = timedelta(hours=12)


@pytest.mark.parametrize(
    ("text", "deadline", "cron"),
    [
        ("07:30", Deadline(time(7, 30), "Asia/Tokyo", DAILY, HALF_A_DAY), "30 7 * * *"),
        (
            "7:30 Europe/London weekdays",
            Deadline(time(7, 30), "Europe/London", WEEKDAYS, HALF_A_DAY),
            "30 7 * * 1,2,3,4,5",
        ),
        (
            " 07:30  Weekdays  Europe/London ",
            Deadline(time(7, 30), "Europe/London", WEEKDAYS, HALF_A_DAY),
            "30 7 * * 1,2,3,4,5",
        ),
        (
            "23:05 mon,sun within 90m",
            Deadline(time(23, 5), "Asia/Tokyo", frozenset({0, 6}), timedelta(minutes=90)),
            "5 23 * * 0,1",
        ),
        ("00:00 UTC monthly", Deadline(time(0), "UTC", frozenset(), HALF_A_DAY), "0 0 1 * *"),
    ],
)
def test_a_deadline_is_read(text: str, deadline: Deadline, cron: str) -> None:
    """Time, zone, days and window are read in any order, with defaults; its text is read again."""
    read = parse_deadline(text, "Asia/Tokyo")
    assert read == deadline
    assert read.cron == cron
    assert parse_deadline(f"{read} within {read.within.seconds // 60}m") == read


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "(it is empty)"),
        ("24:00", "('24:00' is no time of day)"),
        ("half past seven", "('half' is no time of day)"),
        ("07:30 Europe/Londn", "; did you mean 'Europe/London'?)"),
        ("07:30 weekday", "; did you mean 'weekdays'?)"),
        ("07:30 UTC Europe/London", "(there is more than one time zone)"),
        ("07:30 daily mon", "(there is more than one set of days)"),
        ("07:30 within 25h", "('25h' after 'within' is nothing between 1m and 24h)"),
        ("07:30 within", "('' after 'within' is nothing between 1m and 24h)"),
        (450, "in quotes: '07:30 Europe/London weekdays'"),
    ],
)
def test_what_is_no_deadline_says_why(value: object, says: str) -> None:
    """The message has the form, an example, and what could not be read."""
    problem = deadline_problem(value)
    assert problem is not None
    assert problem.startswith("a time of day, and if need be a time zone, days (daily, weekdays, ")
    assert problem.endswith(says)


@given(st.text() | st.text("0123456789: /,adehiklmnostuwy", max_size=20).map("07:30 ".__add__))
def test_any_text_is_a_deadline_or_a_problem(text: str) -> None:
    """Whatever is written, it is read or told, and what is read has moments on both sides."""
    if deadline_problem(text) is None:
        deadline = parse_deadline(text)
        now = datetime(2026, 3, 29, tzinfo=UTC)
        assert deadline.last(now) <= now < deadline.following(now)


@pytest.mark.parametrize(
    ("day", "at", "zone", "utc"),
    [
        # an ordinary day, winter and summer
        ("2026-01-05", "07:30", "Europe/London", "2026-01-05T07:30"),
        ("2026-07-05", "07:30", "Europe/London", "2026-07-05T06:30"),
        # the day itself, both sides of the change, and the hour that is not there or twice
        ("2026-03-29", "00:30", "Europe/London", "2026-03-29T00:30"),
        ("2026-03-29", "01:30", "Europe/London", "2026-03-29T01:00"),
        ("2026-03-29", "07:30", "Europe/London", "2026-03-29T06:30"),
        ("2026-10-25", "01:30", "Europe/London", "2026-10-25T01:30"),
        ("2026-10-25", "07:30", "Europe/London", "2026-10-25T07:30"),
        # clocks that leap at midnight: the day begins at one
        ("2026-04-24", "00:00", "Africa/Cairo", "2026-04-23T22:00"),
        ("2026-04-24", "00:15", "Africa/Cairo", "2026-04-23T22:00"),
        ("2026-04-24", "01:00", "Africa/Cairo", "2026-04-23T22:00"),
        ("2026-04-24", "07:30", "Africa/Cairo", "2026-04-24T04:30"),
        # clocks that go back at midnight: the last hour of the day before is there twice
        ("2026-10-29", "23:30", "Africa/Cairo", "2026-10-29T21:30"),
        ("2026-10-30", "00:00", "Africa/Cairo", "2026-10-29T22:00"),
        # half an hour
        ("2026-10-04", "02:15", "Australia/Lord_Howe", "2026-10-03T15:30"),
    ],
)
def test_moments_where_clocks_change(day: str, at: str, zone: str, utc: str) -> None:
    """A time that is leapt over is the end of the leap, and one that comes twice the second."""
    moment = moment_of(date.fromisoformat(day), time.fromisoformat(at), zone)
    assert moment == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "now", "last", "following"),
    [
        # Friday evening until Monday morning
        ("07:30 UTC weekdays", "2026-11-27T20:00", "2026-11-27T07:30", "2026-11-30T07:30"),
        ("07:30 UTC weekdays", "2026-11-27T07:30", "2026-11-27T07:30", "2026-11-30T07:30"),
        ("07:30 UTC weekdays", "2026-11-27T07:29", "2026-11-26T07:30", "2026-11-27T07:30"),
        # it is Monday in Tokyo while it is Sunday in UTC
        ("07:30 Asia/Tokyo mon", "2026-11-29T22:30", "2026-11-29T22:30", "2026-12-06T22:30"),
        ("09:00 UTC monthly", "2026-02-15T00:00", "2026-02-01T09:00", "2026-03-01T09:00"),
        # the first of the month there is the last of the month in UTC
        ("00:30 Asia/Tokyo monthly", "2026-02-28T15:29", "2026-01-31T15:30", "2026-02-28T15:30"),
        ("09:00 UTC monthly", "2026-12-31T00:00", "2026-12-01T09:00", "2027-01-01T09:00"),
    ],
)
def test_last_and_following(text: str, now: str, last: str, following: str) -> None:
    """The last moment may be now, the following one may not."""
    deadline = parse_deadline(text)
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert deadline.last(at) == datetime.fromisoformat(last).replace(tzinfo=UTC)
    assert deadline.following(at) == datetime.fromisoformat(following).replace(tzinfo=UTC)


def deadlines(zones: list[str], first: time, last: time) -> st.SearchStrategy[Deadline]:
    """Deadlines in these zones between two times of a day."""
    times = st.times(first, last).map(lambda at: at.replace(second=0, microsecond=0))
    days = st.frozensets(st.integers(0, 6))
    return st.builds(Deadline, times, st.sampled_from(zones), days, st.just(HALF_A_DAY))


@given(
    deadline=deadlines(["UTC", "Europe/London", "Australia/Lord_Howe"], time.min, time.max)
    # where clocks leap at midnight, Dagster takes the hours around it otherwise
    | deadlines(["Africa/Cairo", "America/Havana"], time(2), time(22, 59)),
    minutes=st.integers(0, 3 * 365 * 24 * 60),
)
def test_moments_are_those_of_dagsters_policy(deadline: Deadline, minutes: int) -> None:
    """A deadline is met for the UI when it is for us."""
    policy = freshness_policy(deadline)
    assert isinstance(policy, CronFreshnessPolicy)
    assert policy.lower_bound_delta == deadline.within
    cron, zone = policy.deadline_cron, policy.timezone
    now = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC) + timedelta(minutes=minutes)
    last = get_latest_completed_cron_tick(cron, now, zone)
    assert deadline.last(now).timestamp() == last.timestamp()
    assert deadline.following(now).timestamp() == get_next_cron_tick(cron, now, zone).timestamp()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (740, "12 minutes"),
        (3600, "1 hour"),
        (11_100, "3 hours 5 minutes"),
        (3 * 86_400, "3 days"),
    ],
)
def test_spans_read_well(seconds: int, text: str) -> None:
    """Lengths of time are told as people tell them."""
    assert span(timedelta(seconds=seconds)) == text
