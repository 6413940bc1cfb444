"""What the columns of an extract hold: counts, ends, and how the values are spread.

The questions put to Hyper about one column, and what the answers are made into, belong here; when
they are asked and how they are shown does not. Hyper turns every value into text itself, because it
knows dates and numbers that Python does not, and shortens long ones, so that no answer is large.
"""

import re
from dataclasses import dataclass

from mds_tableau.sandbox.hyperfile import (
    Column,
    Extract,
    Table,
    UnusableExtract,
    quoted_name,
    table_sql,
)

# Of a longer text the page shows as many characters.
LONGEST_TEXT = 100
BINS = 20
MOST_VALUES = 6
# Counting how many different values there are takes Hyper seconds where both the rows and the
# values are many (20 million rows with as many values: 6 s, and 0.1 to 0.9 s for an estimate).
EXACT_ROWS = 1_000_000
EXACT_VALUES = 10_000

# Days and seconds as numbers. Hyper's own epoch overflows for years that its dates can hold.
DAYS = "cast({0}::date - date '1970-01-01' as double precision)"
SECONDS = (
    "(3600.0 * cast(extract(hour from {0}) as double precision)"
    " + 60.0 * cast(extract(minute from {0}) as double precision)"
    " + cast(extract(second from {0}) as double precision))"
)
NUMBER = "cast({0} as double precision)"
# Neither NaN nor the infinities lie anywhere.
FINITE = f"CASE WHEN abs({NUMBER}) <= 1.7976931348623157e308 THEN {NUMBER} END"
MOMENT = f"(86400.0 * {DAYS} + {SECONDS})"
NOWHERE = "cast(NULL AS double precision)"
# Where a value lies on a line, for the types that have one.
POSITIONS = {
    "SMALL_INT": NUMBER,
    "INT": NUMBER,
    "BIG_INT": NUMBER,
    "NUMERIC": NUMBER,
    "DOUBLE": FINITE,
    "FLOAT": FINITE,
    "DATE": DAYS,
    "TIME": SECONDS,
    "TIMESTAMP": MOMENT,
    "TIMESTAMP_TZ": MOMENT,
}
# Hyper sorts them, but by their bytes.
UNORDERED = frozenset({"TABLEAU.TABGEOGRAPHY", "GEOGRAPHY", "JSON", "BYTES"})


@dataclass(frozen=True)
class Value:
    """A value as text.

    Attributes:
        text: The text or its beginning; None for NULL.
        length: How many characters all of it has.
    """

    text: str | None
    length: int

    @property
    def is_cut(self) -> bool:
        """Whether the text is only the beginning."""
        return self.text is not None and self.length > len(self.text)


@dataclass(frozen=True)
class Bar:
    """Some rows of a column.

    Attributes:
        low: The smallest of their values.
        high: The largest.
        rows: How many they are.
    """

    low: Value
    high: Value
    rows: int


@dataclass(frozen=True)
class Profile:
    """What a column holds.

    Attributes:
        nulls: Number of rows without a value.
        distinct: Number of different values.
        is_estimate: Whether that number is Hyper's estimate.
        low: The smallest value; None where there is none or no order.
        high: The largest value, likewise.
        bars: Rows by value, the most frequent first; or by range, in order and without the empty
            ones.
        places: Where each bar of a histogram lies, from 0 to `BINS` - 1; empty when the bars are
            values.
        rest: Number of rows with a value that is in no bar.
        problem: Why there is no profile; "" when there is one.
    """

    nulls: int = 0
    distinct: int = 0
    is_estimate: bool = False
    low: Value | None = None
    high: Value | None = None
    bars: tuple[Bar, ...] = ()
    places: tuple[int, ...] = ()
    rest: int = 0
    problem: str = ""

    @property
    def most(self) -> int:
        """Number of rows in the largest bar."""
        return max((bar.rows for bar in self.bars), default=0)


def value_sql(expression: str) -> str:
    """Returns what to select for the two columns that `to_value` reads."""
    text = f"cast({expression} as text)"
    return f"left({text}, {LONGEST_TEXT}), length({text})"


def to_value(text: object, length: object) -> Value:
    """Returns a value from what `value_sql` selected."""
    return Value(None, 0) if text is None else Value(str(text), int(str(length)))


def profile(extract: Extract, table: Table, column: Column, rows: int) -> Profile:
    """Returns the profile of one column.

    Args:
        extract: The open extract.
        table: One of its tables.
        column: One of the table's columns.
        rows: Number of rows of the table.

    Raises:
        UnusableExtract: Hyper does not answer at all any more.
    """
    try:
        return _profile(extract, table, column, rows)
    except UnusableExtract as error:
        extract.answers()  # one column that Hyper cannot read leaves the others readable
        return Profile(problem=str(error))


def _profile(extract: Extract, table: Table, column: Column, rows: int) -> Profile:
    name, source = quoted_name(column[0]), table_sql(table)
    kind = re.split(r"[( ]", column[1])[0]
    place = POSITIONS.get(kind, NOWHERE).format(name)
    is_estimate = rows > EXACT_ROWS
    count = f"approx_count_distinct({name})" if is_estimate else f"count(DISTINCT {name})"
    ends = "NULL, 0, NULL, 0"
    if kind not in UNORDERED:
        ends = f"{value_sql(f'min({name})')}, {value_sql(f'max({name})')}"
    [(values, distinct, *shown, first, last)] = extract.query(
        f"SELECT count({name}), {count}, {ends}, min({place}), max({place}) FROM {source}"  # noqa: S608 - quoted names
    )
    if is_estimate and distinct <= EXACT_VALUES:
        [(distinct,)] = extract.query(f"SELECT count(DISTINCT {name}) FROM {source}")  # noqa: S608
        is_estimate = False
    distinct = min(distinct, values)
    bars: tuple[Bar, ...] = ()
    places: tuple[int, ...] = ()
    if first is not None and distinct > MOST_VALUES:
        placed = f"SELECT {name} AS v, {place} AS p FROM {source}"  # noqa: S608
        bars, places = _ranges(extract, placed, first, last)
    elif distinct < values or values <= MOST_VALUES:
        bars = () if is_estimate else _frequent(extract, name, source)
    low, high = to_value(*shown[:2]), to_value(*shown[2:])
    return Profile(
        nulls=rows - values,
        distinct=distinct,
        is_estimate=is_estimate,
        low=None if low.text is None else low,
        high=None if high.text is None else high,
        bars=bars,
        places=places,
        rest=values - sum(bar.rows for bar in bars),
    )


def _frequent(extract: Extract, name: str, source: str) -> tuple[Bar, ...]:
    """Returns the most frequent values."""
    found = extract.query(
        f"SELECT {value_sql('v')}, n FROM (SELECT {name} AS v, count(*) AS n FROM {source}"  # noqa: S608
        f" WHERE {name} IS NOT NULL GROUP BY 1) AS found ORDER BY n DESC, v LIMIT {MOST_VALUES}"
    )
    return tuple(Bar(to_value(*value), to_value(*value), rows) for *value, rows in found)


def _ranges(
    extract: Extract, placed: str, first: float, last: float
) -> tuple[tuple[Bar, ...], tuple[int, ...]]:
    """Returns the rows by ranges of equal width, with the values that really are in each."""
    width = last / BINS - first / BINS  # the difference itself may be too large for a number
    nth = f"floor(p / {width!r} - {first / width!r})" if width else "0"
    found = extract.query(
        f"SELECT b, count(*), {value_sql('min(v)')}, {value_sql('max(v)')} FROM (SELECT v,"  # noqa: S608
        f" cast(least({BINS - 1}, greatest(0, {nth})) AS int) AS b FROM ({placed}) AS placed"
        " WHERE p IS NOT NULL) AS binned GROUP BY b ORDER BY b"
    )
    bars = tuple(Bar(to_value(*ends[:2]), to_value(*ends[2:]), rows) for _, rows, *ends in found)
    return bars, tuple(place for place, *_ in found)
