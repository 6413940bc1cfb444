"""When an extract has to be fresh: how a deadline is written down, and the moments that it means.

Whether one was met belongs to `alerts.judging`; what is asked of models to `extracts`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from difflib import get_close_matches
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from mds_tableau.columns import counted

_WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMED_DAYS: Final = {
    "daily": frozenset(range(7)),
    "weekdays": frozenset(range(5)),
    "monthly": frozenset[int](),
}

_WINDOW: Final = timedelta(hours=12)
_LONGEST_WINDOW: Final = timedelta(hours=24)
"""As much as Dagster takes of a policy whose deadline comes every day."""

_EXPECTED: Final = (
    "a time of day, and if need be a time zone, days (daily, weekdays, mon,thu or monthly) and how "
    "old it may be by then (within 6h), in quotes: '07:30 Europe/London weekdays'"
)


@dataclass(frozen=True)
class Deadline:
    """A time of some days by which an extract has to be fresh.

    Attributes:
        at: The time of day.
        zone: IANA name of the time zone that it is of.
        days: The days of the week, Monday is 0; none for the first day of each month.
        within: How long before the time a publish already counts.
    """

    at: time
    zone: str
    days: frozenset[int] = _NAMED_DAYS["daily"]
    within: timedelta = _WINDOW

    def __str__(self) -> str:
        days = next((name for name, days in _NAMED_DAYS.items() if days == self.days), "")
        named = days or ",".join(_WEEK[day] for day in sorted(self.days))
        return self.clock + (f" {named}" if named != "daily" else "")

    @property
    def clock(self) -> str:
        """The time and the time zone alone."""
        return f"{self.at:%H:%M} {self.zone}"

    @property
    def cron(self) -> str:
        """The same as a cron expression of five fields, in the same time zone."""
        of_month = "*" if self.days else "1"
        # cron counts from Sunday
        of_week = sorted((day + 1) % 7 for day in self.days)
        week = "*" if len(of_week) in {0, 7} else ",".join(map(str, of_week))
        return f"{self.at.minute} {self.at.hour} {of_month} * {week}"

    def last(self, now: datetime) -> datetime:
        """Return the last moment, in UTC, that is not after `now`."""
        return next(moment for moment in self._moments(now, -1) if moment <= now)

    def following(self, now: datetime) -> datetime:
        """Return the first moment, in UTC, that is after `now`."""
        return next(moment for moment in self._moments(now, 1) if moment > now)

    def _moments(self, now: datetime, step: int) -> Iterator[datetime]:
        # two days beside, as the date is another one there
        day = now.astimezone(ZoneInfo(self.zone)).date() - step * timedelta(days=2)
        while True:
            if day.weekday() in self.days or (not self.days and day.day == 1):
                yield moment_of(day, self.at, self.zone)
            day += step * timedelta(days=1)


def moment_of(day: date, at: time, zone: str) -> datetime:
    """Return when a clock shows a time of a day, in UTC.

    Where it shows it twice it is the second time, and where it leaps over it the end of the leap,
    as Dagster takes it.

    >>> str(moment_of(date(2026, 3, 29), time(1, 30), "Europe/London"))
    '2026-03-29 01:00:00+00:00'
    """
    local = datetime.combine(day, at)
    there = ZoneInfo(zone)
    while True:
        moment = local.replace(tzinfo=there, fold=1).astimezone(timezone.utc)
        if moment.astimezone(there).replace(tzinfo=None) == local:
            return moment
        local += timedelta(minutes=1)


def parse_deadline(text: str, zone: str = "UTC") -> Deadline:
    """Return the deadline that a text such as `07:30 Europe/London weekdays` says.

    Args:
        text: A time of day; after it, in any order, a time zone, days, and `within 6h`.
        zone: The time zone when it says none.

    Raises:
        ValueError: It is none; the message says what cannot be read, to stand in brackets.
    """
    first, *words = text.split() or [""]
    found: dict[str, object] = {}

    def put(what: str, value: object) -> None:
        if what in found:
            raise ValueError(f"there is more than one {what}")
        found[what] = value

    at = _time(first)
    rest = iter(words)
    for word in rest:
        if word.lower() == "within":
            put("window", _window(next(rest, "")))
        elif (days := _days(word)) is not None:
            put("set of days", days)
        elif is_zone(word):
            put("time zone", word)
        else:
            raise ValueError(_unknown(word))
    return Deadline(
        at,
        str(found.get("time zone", zone)),
        found.get("set of days", _NAMED_DAYS["daily"]),  # type: ignore[arg-type]  # put above
        found.get("window", _WINDOW),  # type: ignore[arg-type]
    )


def deadline_problem(value: object) -> str | None:
    """Return what is expected of something that is no deadline, or None if it is one."""
    # YAML takes 12:30 without quotes for the number 750
    if not isinstance(value, str):
        return _EXPECTED
    try:
        parse_deadline(value)
    except ValueError as error:
        return f"{_EXPECTED} ({error})"
    return None


def is_zone(name: str) -> bool:
    """Return whether that is an IANA time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def span(length: timedelta) -> str:
    """Return a length of time in words that are exact enough for a person.

    >>> span(timedelta(minutes=12, seconds=20)), span(timedelta(hours=3, minutes=5))
    ('12 minutes', '3 hours 5 minutes')
    """
    seconds = round(length.total_seconds())
    if seconds < 60:
        return counted(seconds, "second")
    minutes = round(seconds / 60)
    if minutes < 60:
        return counted(minutes, "minute")
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return counted(hours, "hour") + (f" {counted(minutes, 'minute')}" if minutes else "")
    return counted(round(hours / 24), "day")


def _time(word: str) -> time:
    if found := re.fullmatch(r"(\d{1,2}):(\d{2})", word, re.ASCII):
        hour, minute = int(found[1]), int(found[2])
        if hour < 24 and minute < 60:
            return time(hour, minute)
    raise ValueError(f"{word!r} is no time of day" if word else "it is empty")


def _window(word: str) -> timedelta:
    if found := re.fullmatch(r"(\d{1,4})([hm])", word, re.ASCII):
        window = timedelta(**{"hours" if found[2] == "h" else "minutes": int(found[1])})
        if timedelta(minutes=1) <= window <= _LONGEST_WINDOW:
            return window
    raise ValueError(f"{word!r} after 'within' is nothing between 1m and 24h")


def _days(word: str) -> frozenset[int] | None:
    if word.lower() in _NAMED_DAYS:
        return _NAMED_DAYS[word.lower()]
    days = word.lower().split(",")
    return frozenset(map(_WEEK.index, days)) if set(days) <= set(_WEEK) else None


def _unknown(word: str) -> str:
    known = [*_NAMED_DAYS, *_WEEK, "within", *_zones()]
    near = get_close_matches(word, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{word!r} is no time zone and no days{hint}"


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))
