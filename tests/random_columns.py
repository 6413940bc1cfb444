"""Random columns for marts: their types, options and values, and what Python knows of these.

What an extract should hold is worked out here from the value itself, without DuckDB and Hyper.
"""

import base64
import datetime as dt
import json
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.type_cases import bits

STOP: Final = "this value stops the export"
ZONES = ("UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")
INFINITIES = ("infinity", "-infinity")
DAY = 86_400_000_000
FIRST_MICRO = -210_863_520_000_000_000

Way = Callable[[Any], Any]
"""What the extract holds for a value that is not NULL; STOP where the export has to stop."""


@dataclass(frozen=True)
class Kind:
    """A type with the values that are drawn of it.

    Attributes:
        sql: The DuckDB type.
        values: Draws values.
        ways: What becomes of a value, for each option that suits the type; "" is the default.
        text: What a value is given to DuckDB as.
        scale: The scale that `as: numeric(p,s)` needs; None where it does not suit.
    """

    sql: str
    values: st.SearchStrategy[Any]
    ways: dict[str, Way]
    text: Way = str
    scale: int | None = field(default=None)

    def way(self, asked: str) -> Way | None:
        """What becomes of a value; None where the option does not suit the type."""
        digits = re.fullmatch(r"as: numeric\((\d+),(\d+)\)", asked)
        if digits and self.scale is not None:
            precision, scale = int(digits[1]), int(digits[2])
            return _fits(10 ** (precision - scale)) if scale >= self.scale else None
        return self.ways.get(asked)


def read(sql: str, asked: str, value: Any) -> Any:
    """Make what an extract holds comparable; texts of one value may differ in form."""
    if value is None:
        return None
    if asked == "as: double":
        return value
    if asked == "as: json":
        return repr(json.loads(value))
    if asked == "as: text":
        if sql in {"FLOAT", "DOUBLE"}:
            return _float(float(value), 32 if sql == "FLOAT" else 64)
        if sql == "INTERVAL":
            return _interval_of(value)
        if sql.startswith("DECIMAL"):
            return _trimmed(f"{Decimal(value):f}")
        if sql.startswith("TIME"):
            # zeros at the end of a fraction, which an offset may follow
            return re.sub(r"\.(\d*?)0*(?=$|[+-])", r".\1", value).replace(".+", "+").rstrip(".")
    return zero(value)


def is_equal(asked: str, wanted: Any, seen: Any) -> bool:
    """Whether a value arrived, where DuckDB may round a double of many digits either way."""
    if asked == "as: double" and isinstance(wanted, float) and isinstance(seen, float):
        return math.isclose(wanted, seen, rel_tol=2**-52, abs_tol=0)
    return bool(wanted == seen)


def zero(value: Any) -> Any:
    """As `bits`, but Hyper keeps one sign of zero where a column has both."""
    return bits(0.0 if isinstance(value, float) and value == 0 else value)


def _fits(bound: int) -> Way:
    return lambda value: value if -bound < value < bound else STOP


def _in_64_bits(value: Any) -> Any:
    return value if -(2**63) <= value < 2**63 else STOP


def _double(value: Any) -> Any:
    try:
        return float(value)
    except OverflowError:
        return STOP


def _plain(value: Any) -> Any:
    return value


def _float(value: float, width: int = 64) -> Any:
    return bits(struct.unpack("f", struct.pack("f", value))[0] if width == 32 else value)


def _finite(value: float) -> Any:
    return None if value - value != 0 else zero(value)


def _integers(sql: str, low: int, high: int, **ways: Way) -> Kind:
    edges = st.sampled_from([low, high, 0, 2**53 + 1 if high > 2**53 else 1])
    named = {f"as: {word}": way for word, way in ways.items() if word != "default"}
    scale = 0 if "double" in ways else None
    return Kind(
        sql,
        st.integers(low, high) | edges,
        {"": ways.get("default", _plain), "as: text": str, **named},
        scale=scale,
    )


def _decimals(precision: int, scale: int) -> Kind:
    top = 10**precision - 1
    # by text: arithmetic would round to the 28 digits of the default context
    values = st.integers(-top, top).map(lambda number: Decimal(f"{number}e-{scale}"))
    ways: dict[str, Way] = {
        "": _plain,
        "as: text": lambda value: _trimmed(f"{value:f}"),
        "as: double": float,
    }
    if not scale:
        ways["as: bigint"] = _in_64_bits
    return Kind(f"DECIMAL({precision},{scale})", values, ways, lambda v: f"{v:f}", scale)


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of a number of days since 1970, with a year 0 and years before it."""
    era, day_of_era = divmod(days + 719_468, 146_097)
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return year + era * 400 + (month <= 2), month, day


def _date_text(days: Any) -> str:
    if days in INFINITIES:
        return str(days)
    year, month, day = civil(days)
    era = "" if year > 0 else " (BC)"
    return f"{year if year > 0 else 1 - year:04}-{month:02}-{day:02}{era}"


def _date(infinite: Any) -> Way:
    def way(days: Any) -> Any:
        if days in INFINITIES:
            return infinite
        return civil(days) if (-4712, 1, 1) <= civil(days) <= (294276, 12, 31) else STOP

    return way


def _time_text(units: int, per_second: int = 1_000_000) -> str:
    seconds, rest = divmod(units, per_second)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return _trimmed(f"{text}.{rest * 1_000_000_000 // per_second:09}")


def _clock(micros: int) -> Any:
    return (micros // 3_600_000_000, micros // 60_000_000 % 60, micros % 60_000_000)


def _time(divisor: int = 1) -> Way:
    return lambda units: STOP if units == DAY * divisor else _clock(units // divisor)


def _parts(micros: int) -> tuple[int, ...]:
    return (*civil(micros // DAY), *_clock(micros % DAY))


def _moment(asked: str, unit: int) -> Way:
    """What becomes of a moment in units of a second since 1970, with the options that suit it."""
    zone = asked.partition("timezone: ")[2]

    def way(value: Any) -> Any:
        if value in INFINITIES:
            return None if "infinity" in asked else STOP
        if unit == 10**9 and value % 1000 and "truncate" not in asked:
            return STOP
        micros = value * 10**6 // unit
        if zone not in {"", "UTC"}:
            shown = dt.datetime.fromtimestamp(micros // 10**6, ZoneInfo(zone))
            offset = shown.utcoffset()
            assert offset is not None
            micros += offset // dt.timedelta(microseconds=1)
        return _parts(micros) if micros >= FIRST_MICRO else STOP

    return way


def _moments(sql: str, unit: int, low: int, high: int, *, zoned: bool = False) -> list[Kind]:
    def text(value: Any) -> str:
        if value in INFINITIES:
            return str(value)
        days, rest = divmod(value, 86_400 * unit)
        date, _, era = _date_text(days).partition(" ")
        era = f" {era}" if era else ""
        return f"{date}{era} {_time_text(rest, unit)}{'+00' if zoned else ''}"

    def kind(values: st.SearchStrategy[Any], clocks: tuple[str, ...]) -> Kind:
        cuts = ("", "truncate: us") if unit == 10**9 else ("",)
        ways: dict[str, Way] = {"as: text": text}
        for null in ("", "infinity: null"):
            for cut in cuts:
                for clock in clocks:
                    asked = ", ".join(word for word in (null, cut, clock) if word)
                    ways[asked] = _moment(asked, unit)
        return Kind(sql, values | st.sampled_from(INFINITIES), ways, text)

    recent = st.integers(0, 2_145_916_799 * unit)
    edges = st.sampled_from([low, high, 0, -1, 1, -unit, 1 - unit])
    found = [
        kind(st.integers(low, high) | edges | recent, ("", "timezone: UTC") if zoned else ("",))
    ]
    if zoned:
        # for these years all sources know the same of every zone
        zones = tuple(f"timezone: {zone}" for zone in ZONES)
        found.append(kind(recent, ("", *zones)))
    return found


def _offset_text(value: tuple[int, int]) -> str:
    micros, offset = value
    hours, rest = divmod(abs(offset), 3600)
    text = (
        f"{hours:02}"
        + (f":{rest // 60:02}" if rest else "")
        + (f":{rest % 60:02}" if rest % 60 else "")
    )
    return f"{_time_text(micros)}{'-' if offset < 0 else '+'}{text}"


def _in_utc(value: tuple[int, int]) -> Any:
    micros, offset = value
    return STOP if value == (DAY, 0) else _clock((micros - offset * 10**6) % DAY)


def _interval(seconds: bool) -> Way:
    def way(value: tuple[int, int, int]) -> Any:
        months, days, micros = value
        total = days * DAY + micros
        if months or (abs(total) > 2**33 * 10**6 if seconds else _in_64_bits(total) is STOP):
            return STOP
        return zero(total / 10**6) if seconds else total

    return way


def _interval_sql(value: tuple[int, int, int]) -> str:
    months, days, micros = value
    return f"{months} months {days} days {micros} microseconds"


def _interval_of(text: str) -> tuple[int, int, int]:
    months = days = micros = 0
    for number, unit in re.findall(r"(-?\d+) (year|month|day)", text):
        months += int(number) * {"year": 12, "month": 1, "day": 0}[unit]
        days += int(number) * (unit == "day")
    if found := re.search(r"(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?$", text):
        sign, hours, minutes, rest, fraction = found.groups()
        total = (int(hours) * 3600 + int(minutes) * 60 + int(rest)) * 10**6
        total += int((fraction or "").ljust(6, "0"))
        micros = -total if sign else total
    return months, days, micros


_CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXTS = st.text(_CHARACTERS, max_size=20)
_WIDE: dict[str, Way] = {"bigint": _in_64_bits, "numeric": _fits(10**38)}
_JSON: dict[str, Way] = {"as: json": repr}

_INTERVALS = st.tuples(
    st.just(0) | st.integers(-30_000, 30_000),
    st.just(0) | st.integers(-200_000, 200_000) | st.integers(-(2**31) + 1, 2**31 - 1),
    st.integers(-DAY, DAY) | st.integers(-(2**62), 2**62),
)
# days and the rest nearly cancel each other
_SHORT_INTERVALS = st.tuples(st.integers(-90_000, 90_000), st.integers(-DAY, DAY)).map(
    lambda value: (0, value[0], value[1] - value[0] * DAY)
)

KINDS: list[Kind] = [
    Kind("BOOLEAN", st.booleans(), {"": _plain, "as: text": lambda v: str(v).lower()}),
    _integers("TINYINT", -(2**7), 2**7 - 1),
    _integers("SMALLINT", -(2**15), 2**15 - 1),
    _integers("INTEGER", -(2**31), 2**31 - 1),
    _integers("UTINYINT", 0, 2**8 - 1),
    _integers("USMALLINT", 0, 2**16 - 1),
    _integers("UINTEGER", 0, 2**32 - 1, double=_double),
    _integers("BIGINT", -(2**63), 2**63 - 1, double=_double),
    _integers("UBIGINT", 0, 2**64 - 1, double=_double, bigint=_in_64_bits, numeric=_plain),
    _integers("HUGEINT", -(2**127), 2**127 - 1, default=_in_64_bits, double=_double, **_WIDE),
    _integers("UHUGEINT", 0, 2**128 - 1, default=_fits(10**38), double=_double, **_WIDE),
    _integers("BIGNUM", -(10**320), 10**320, default=str, double=_double, **_WIDE),
    *(_decimals(*digits) for digits in ((4, 1), (9, 9), (18, 0), (18, 2), (38, 0), (38, 10))),
    Kind(
        "FLOAT",
        st.floats(width=32),
        {"": zero, "infinity: null": _finite, "as: text": lambda value: _float(value, 32)},
        repr,
    ),
    Kind("DOUBLE", st.floats(), {"": zero, "infinity: null": _finite, "as: text": _float}, repr),
    Kind("VARCHAR", TEXTS, {"": _plain, "as: text": _plain}),
    Kind(
        "ENUM('a', 'B ', '', 'é')",
        st.sampled_from(["a", "B ", "", "é"]),
        {"": str, "as: text": str},
    ),
    Kind("UUID", st.uuids(), {"": str, "as: text": str}),
    Kind("BIT", st.text("01", min_size=1, max_size=70), {"": str, "as: text": str}),
    Kind(
        "JSON",
        st.recursive(st.none() | st.booleans() | st.integers() | TEXTS, st.lists, max_leaves=4),
        {"": json.dumps, "as: text": json.dumps, "as: json": repr},
        json.dumps,
    ),
    Kind(
        "BLOB",
        st.binary(max_size=12),
        {
            "as: hex": lambda v: v.hex().upper(),
            "as: base64": lambda v: base64.b64encode(v).decode(),
        },
        _plain,
    ),
    Kind(
        "DATE",
        st.integers(-2_500_000, 108_000_000)
        | st.integers(-20_000, 40_000)
        | st.sampled_from(INFINITIES),
        {"": _date(STOP), "infinity: null": _date(None), "as: text": _date_text},
        _date_text,
    ),
    Kind(
        "TIME",
        st.integers(0, DAY),
        {
            "": _time(),
            "as: text": _time_text,
            "as: microseconds": _plain,
            "as: seconds": lambda micros: zero(micros / 10**6),
        },
        _time_text,
    ),
    Kind(
        "TIME_NS",
        st.integers(0, DAY * 1000) | st.sampled_from([DAY * 1000 - 1, DAY * 1000]),
        {
            "": lambda nanos: _time_text(nanos, 10**9),
            "as: text": lambda nanos: _time_text(nanos, 10**9),
            "truncate: us": _time(1000),
        },
        lambda nanos: _time_text(nanos, 10**9),
    ),
    Kind(
        "TIME WITH TIME ZONE",
        st.tuples(st.integers(0, DAY) | st.just(DAY), st.integers(-57_599, 57_599) | st.just(0)),
        {"": _offset_text, "as: text": _offset_text, "timezone: UTC": _in_utc},
        _offset_text,
    ),
    *_moments("TIMESTAMP_S", 1, -9_223_372_022_400, 9_223_372_036_854),
    *_moments("TIMESTAMP_MS", 10**3, -9_223_372_022_400_000, 9_223_372_036_854_775),
    *_moments("TIMESTAMP", 10**6, -9_223_372_022_400_000_000, 2**63 - 2),
    *_moments("TIMESTAMP_NS", 10**9, -9_223_286_400 * 10**9, 2**63 - 2),
    *_moments("TIMESTAMP WITH TIME ZONE", 10**6, -9_223_372_022_400_000_000, 2**63 - 2, zoned=True),
    *_moments("TIMESTAMPTZ_NS", 10**9, -9_223_286_400 * 10**9, 2**63 - 2, zoned=True),
    Kind(
        "INTERVAL",
        _INTERVALS | _SHORT_INTERVALS,
        {
            "as: text": lambda value: value,
            "as: seconds": _interval(seconds=True),
            "as: microseconds": _interval(seconds=False),
        },
        _interval_sql,
    ),
    Kind(
        "BIGINT[]",
        st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=3),
        _JSON,
        _plain,
    ),
    Kind("DOUBLE[]", st.lists(st.floats(), max_size=3), _JSON, _plain),
    Kind("VARCHAR[]", st.lists(st.none() | TEXTS, max_size=3), _JSON, _plain),
    Kind(
        'STRUCT(a BIGINT, "b c" VARCHAR)',
        st.tuples(st.integers(-9, 9), st.none() | TEXTS).map(lambda v: {"a": v[0], "b c": v[1]}),
        _JSON,
        _plain,
    ),
]

WORDS = [
    *("as: text", "as: bigint", "as: numeric", "as: numeric(38,10)", "as: numeric(6,2)"),
    *("as: double", "as: json", "as: hex", "as: base64", "as: wkt", "as: seconds"),
    *("as: microseconds", "infinity: null", "truncate: us", "timezone: Europe/Paris"),
    *("infinity: null, truncate: us", "timezone: UTC"),
]
"""What is asked at random, suited or not."""
