"""What a case of the table of types is, and how its texts become values and SQL."""

import datetime as dt
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

import duckdb
from tableauhyperapi import Date, Timestamp

from mds_tableau.column_options import ColumnOptions

Values: TypeAlias = Mapping[str, str | None]


class Sql(str):
    """SQL of a value that a cast of a text cannot make."""

    __slots__ = ()


@dataclass(frozen=True)
class Case:
    """A way of a type.

    Attributes:
        sql: The DuckDB type, as DESCRIBE prints it.
        hyper: Type in the extract.
        values: Values as text, or as SQL, each with the text of what the extract holds; None for
            no value.
        asked: What stands under `meta.tableau`, such as `infinity: null, truncate: us`.
        cast: What the plan says of the cast.
        loses: What the plan says is lost.
    """

    sql: str
    hyper: str
    values: Values = field(repr=False, hash=False)
    asked: str = ""
    cast: str = ""
    loses: str = ""

    @property
    def options(self) -> ColumnOptions:
        """What is asked, as the export takes it."""
        return options(self.asked)

    def __str__(self) -> str:
        return f"{self.sql} {self.asked}".strip()


@dataclass(frozen=True)
class Refused:
    """A type without a default, and what the refusal says behind the type."""

    sql: str
    remedy: str

    def __str__(self) -> str:
        return self.sql


def options(asked: str) -> ColumnOptions:
    """Return what a text such as `infinity: null, truncate: us` asks for."""
    pairs = dict(pair.split(": ") for pair in re.split(", (?=[a-z])", asked) if pair)
    return ColumnOptions(**{"as_" if key == "as" else key: word for key, word in pairs.items()})


def literal(value: str, sql: str) -> str:
    """Return the SQL of a value of the table, as a parameter unless it is SQL itself."""
    return f"CAST({value if isinstance(value, Sql) else '?'} AS {sql})"


def same(*values: str) -> Values:
    """Values that the extract holds with the same text."""
    return {value: value for value in values}


def expected(hyper: str, text: str | None) -> Any:
    """Return the value that a text of the table stands for, as `bits` makes it comparable."""
    if text is None:
        return None
    head = hyper.partition("(")[0]
    if head in {"SMALL_INT", "INT", "BIG_INT"}:
        return int(text)
    if head in {"NUMERIC", "DOUBLE"}:
        return Decimal(text) if head == "NUMERIC" else bits(float(text))
    if head in {"DATE", "TIME", "TIMESTAMP", "TIMESTAMP_TZ"}:
        return _clock(text)
    return text == "true" if head == "BOOL" else text


def bits(value: Any) -> Any:
    """Make values comparable that Python's == takes for equal, or for different, wrongly."""
    if isinstance(value, float):
        return "NaN" if value != value else struct.pack(">d", value)
    if isinstance(value, Date):
        return value.year, value.month, value.day
    if isinstance(value, Timestamp):
        assert value.tzinfo in {None, dt.timezone.utc}
        micros = value.second * 1_000_000 + value.microsecond
        return value.year, value.month, value.day, value.hour, value.minute, micros
    if isinstance(value, dt.time):
        return value.hour, value.minute, value.second * 1_000_000 + value.microsecond
    return value


def _clock(text: str) -> tuple[int, ...]:
    found = re.fullmatch(
        r"(?:(\d+)-(\d\d)-(\d\d)( \(BC\))?)? ?(?:(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?", text
    )
    assert found, text
    year, month, day, era, hour, minute, second, fraction = found.groups()
    # there is no year 0, but in the numbers of years there is
    date = (1 - int(year) if era else int(year), int(month), int(day)) if year else ()
    if hour is None:
        return date
    micros = int(second) * 1_000_000 + int((fraction or "").ljust(6, "0"))
    return (*date, int(hour), int(minute), micros)


def known(connection: duckdb.DuckDBPyConnection, cases: Iterable[Case]) -> list[Case]:
    """Return the cases whose type the installed DuckDB has; from version 2 on, it has all."""
    if int(duckdb.__version__.partition(".")[0]) >= 2:
        return list(cases)
    found = []
    for case in cases:
        try:
            connection.execute(f"SELECT CAST(NULL AS {case.sql})").fetchall()
        except duckdb.Error:
            continue
        found.append(case)
    return found
