"""The part of the table of types that is about dates, times and moments."""

from tests.type_cases import Case, Values, same

ZONE = "America/New_York"
TEXT = "::VARCHAR"
BELOW = "digits below a microsecond"
FOLDS = "the offset, so the hour that the clock shows twice in autumn folds"
INSTEAD = "infinity (NULL instead)"

NO_INFINITY: Values = {"infinity": None, "-infinity": None}
INFINITY = same("infinity", "-infinity")
DAYS = same(
    *("4713-01-01 (BC)", "0044-03-15 (BC)", "0001-01-01", "1969-12-31", "1970-01-01"),
    *("2026-02-28", "9999-12-31", "10000-01-01", "294276-12-31"),
)
SECONDS = same(
    *("4713-01-01 (BC) 00:00:00", "0044-03-15 (BC) 12:00:00", "0001-01-01 00:00:00"),
    *("1969-12-31 23:59:59", "1970-01-01 00:00:00", "2262-04-12 00:00:00"),
    *("9999-12-31 23:59:59", "294247-01-10 04:00:54"),
)
MILLIS = {**SECONDS, **same("1969-12-31 23:59:59.999", "2026-10-25 02:30:00.001")}
MICROS = {**SECONDS, **same("1969-12-31 23:59:59.999999", "294247-01-10 04:00:54.775806")}
NANO_SECONDS = same(
    *("1677-09-22 00:00:00", "1969-12-31 23:59:59.999999", "1970-01-01 00:00:00"),
    *("2026-01-31 12:34:56.123456", "2262-04-11 23:47:16.854775"),
)
NANO_TEXTS = {**INFINITY, **same("1969-12-31 23:59:59.999999999", "2262-04-11 23:47:16.854775806")}
CUT: Values = {
    **NANO_SECONDS,
    "1969-12-31 23:59:59.999999999": "1969-12-31 23:59:59.999999",
    "1969-12-31 23:59:59.999999001": "1969-12-31 23:59:59.999999",
    "1969-12-31 23:59:58.999999999": "1969-12-31 23:59:58.999999",
    "1970-01-01 00:00:00.000000999": "1970-01-01 00:00:00",
    "2262-04-11 23:47:16.854775806": "2262-04-11 23:47:16.854775",
}
# the clock of New York: its mean time until 1883, both sides of the gap and of the fold
CLOCKS: Values = {
    "0044-03-15 (BC) 12:00:00": "0044-03-15 (BC) 07:03:58",
    "1883-11-18 16:59:59": "1883-11-18 12:03:57",
    "2026-01-31 12:00:00": "2026-01-31 07:00:00",
    "2026-03-08 06:59:59": "2026-03-08 01:59:59",
    "2026-03-08 07:00:00": "2026-03-08 03:00:00",
    "2026-11-01 05:30:00.000001": "2026-11-01 01:30:00.000001",
    "2026-11-01 06:30:00.000001": "2026-11-01 01:30:00.000001",
}
NANO_CLOCKS = {key: value for key, value in CLOCKS.items() if "BC" not in key}


def zoned(values: Values) -> Values:
    """Values of the table as moments with an offset."""
    return {key if "inf" in key else f"{key}+00": value for key, value in values.items()}


def zoned_texts(values: Values) -> Values:
    """Values of the table as moments with an offset that are kept as text."""
    return {
        key: value if value is None or "inf" in value else f"{value}+00"
        for key, value in zoned(values).items()
    }


def _unless_infinite(value: str, finite: str = "isfinite(…)") -> str:
    return f"CASE WHEN {finite} THEN {value} END"


DATES = [
    Case("DATE", "DATE", DAYS),
    Case(
        *("DATE", "DATE", {**DAYS, **NO_INFINITY}, "infinity: null"),
        *(_unless_infinite("…"), INSTEAD),
    ),
    Case(
        *("DATE", "TEXT", {**DAYS, **INFINITY, **same("4714-12-31 (BC)", "5881580-07-10")}),
        *("as: text", TEXT),
    ),
]

TIMESTAMP = "::TIMESTAMP"
MOMENTS = [
    case
    for sql, cast, value, values in (
        ("TIMESTAMP_S", TIMESTAMP, "CAST(… AS TIMESTAMP)", SECONDS),
        ("TIMESTAMP_MS", TIMESTAMP, "CAST(… AS TIMESTAMP)", MILLIS),
        ("TIMESTAMP", "", "…", MICROS),
    )
    for case in (
        Case(sql, "TIMESTAMP", values, "", cast),
        Case(
            *(sql, "TIMESTAMP", {**values, **NO_INFINITY}, "infinity: null"),
            *(_unless_infinite(value), INSTEAD),
        ),
        Case(
            *(sql, "TEXT", {**values, **INFINITY, **same("4714-12-31 (BC) 00:00:00")}),
            *("as: text", TEXT),
        ),
    )
]

_FINITE = "isfinite(CAST(… AS TIMESTAMP))"
_CUT = "make_timestamp(epoch_ns(…) // 1000 - CAST(epoch_ns(…) % 1000 < 0 AS BIGINT))"
NANOS = [
    Case("TIMESTAMP_NS", "TIMESTAMP", NANO_SECONDS, "", TIMESTAMP),
    Case(
        *("TIMESTAMP_NS", "TIMESTAMP", {**NANO_SECONDS, **NO_INFINITY}, "infinity: null"),
        *(_unless_infinite("CAST(… AS TIMESTAMP)", _FINITE), INSTEAD),
    ),
    Case("TIMESTAMP_NS", "TIMESTAMP", CUT, "truncate: us", _CUT, BELOW),
    Case(
        *("TIMESTAMP_NS", "TIMESTAMP", {**CUT, **NO_INFINITY}, "infinity: null, truncate: us"),
        *(_unless_infinite(_CUT, _FINITE), f"{BELOW}, {INSTEAD}"),
    ),
    Case("TIMESTAMP_NS", "TEXT", NANO_TEXTS, "as: text", TEXT),
]

_TZ = "TIMESTAMP WITH TIME ZONE"
_TZ_TEXT = "replace(CAST(timezone('UTC', …) AS VARCHAR) || '+00', 'infinity+00', 'infinity')"
_TZ_FINITE = f"isfinite(CAST(… AS {_TZ}))"
_TZ_CUT = _CUT.replace("make_timestamp", "make_timestamptz")
OFFSETS: Values = {
    "2026-10-25 02:30:00.000001+05:30": "2026-10-24 21:00:00.000001",
    "2026-11-01 01:30:00-04": "2026-11-01 05:30:00",
    "2026-11-01 01:30:00-05": "2026-11-01 06:30:00",
}


def _at(value: str) -> str:
    return f"timezone('{ZONE}', {value})"


WITH_ZONE = [
    Case(_TZ, "TIMESTAMP_TZ", {**zoned(MICROS), **OFFSETS}),
    Case(
        *(_TZ, "TIMESTAMP_TZ", {**zoned(MICROS), **NO_INFINITY}, "infinity: null"),
        *(_unless_infinite("…"), INSTEAD),
    ),
    Case(_TZ, "TIMESTAMP", zoned(CLOCKS), f"timezone: {ZONE}", _at("…"), FOLDS),
    Case(
        *(_TZ, "TIMESTAMP", {**zoned(CLOCKS), **NO_INFINITY}),
        *(f"infinity: null, timezone: {ZONE}", _unless_infinite(_at("…"))),
        f"{FOLDS}, {INSTEAD}",
    ),
    Case(_TZ, "TEXT", zoned_texts({**MICROS, **INFINITY}), "as: text", _TZ_TEXT),
    Case("TIMESTAMPTZ_NS", "TIMESTAMP_TZ", zoned(NANO_SECONDS), "", f"::{_TZ}"),
    Case(
        *("TIMESTAMPTZ_NS", "TIMESTAMP_TZ", zoned({**NANO_SECONDS, **NO_INFINITY})),
        *("infinity: null", _unless_infinite(f"CAST(… AS {_TZ})", _TZ_FINITE), INSTEAD),
    ),
    Case("TIMESTAMPTZ_NS", "TIMESTAMP_TZ", zoned(CUT), "truncate: us", _TZ_CUT, BELOW),
    Case(
        *("TIMESTAMPTZ_NS", "TIMESTAMP_TZ", zoned({**CUT, **NO_INFINITY})),
        *("infinity: null, truncate: us", _unless_infinite(_TZ_CUT, _TZ_FINITE)),
        f"{BELOW}, {INSTEAD}",
    ),
    Case(
        *("TIMESTAMPTZ_NS", "TIMESTAMP", zoned(NANO_CLOCKS), f"timezone: {ZONE}"),
        *(_at(f"CAST(… AS {_TZ})"), FOLDS),
    ),
    Case(
        *("TIMESTAMPTZ_NS", "TIMESTAMP", zoned({**NANO_CLOCKS, **NO_INFINITY})),
        f"infinity: null, timezone: {ZONE}",
        *(_unless_infinite(_at(f"CAST(… AS {_TZ})"), _TZ_FINITE), f"{FOLDS}, {INSTEAD}"),
    ),
    Case(
        *("TIMESTAMPTZ_NS", "TIMESTAMP"),
        {"2026-11-01 06:30:00.000001999+00": "2026-11-01 01:30:00.000001"},
        *(f"truncate: us, timezone: {ZONE}", _at(_TZ_CUT), f"{BELOW}, {FOLDS}"),
    ),
    Case(
        *("TIMESTAMPTZ_NS", "TIMESTAMP"),
        {**NO_INFINITY, "1969-12-31 23:59:59.999999999+00": "1969-12-31 18:59:59.999999"},
        f"infinity: null, truncate: us, timezone: {ZONE}",
        *(_unless_infinite(_at(_TZ_CUT), _TZ_FINITE), f"{BELOW}, {FOLDS}, {INSTEAD}"),
    ),
    Case("TIMESTAMPTZ_NS", "TEXT", zoned_texts(NANO_TEXTS), "as: text", _TZ_TEXT),
]

_TIMES = same("00:00:00", "12:34:56.000001", "23:59:59.999999")
CLOCK_TIMES = [
    Case("TIME", "TIME", _TIMES),
    Case("TIME", "TEXT", {**_TIMES, **same("24:00:00")}, "as: text", TEXT),
    Case(
        *("TIME", "DOUBLE", {"00:00:00.1": "0.1", "23:59:59.999999": "86399.999999"}),
        *("as: seconds", "epoch(…)"),
    ),
    Case(
        *("TIME", "BIG_INT", {"00:00:00.000001": "1", "24:00:00": "86400000000"}),
        *("as: microseconds", "epoch_us(…)"),
    ),
    *(
        Case("TIME_NS", "TEXT", same("00:00:00", "23:59:59.999999999", "24:00:00"), asked, TEXT)
        for asked in ("", "as: text")
    ),
    Case(
        *("TIME_NS", "TIME", {**_TIMES, "23:59:59.999999999": "23:59:59.999999"}),
        *("truncate: us", "TIME '00:00:00' + to_microseconds(epoch_ns(…) // 1000)", BELOW),
    ),
    *(
        Case(
            *("TIME WITH TIME ZONE", "TEXT"),
            same("12:34:56.000001+05:30", "00:00:00-15:59:59", "24:00:00+00"),
            *(asked, TEXT),
        )
        for asked in ("", "as: text")
    ),
    Case(
        *("TIME WITH TIME ZONE", "TIME"),
        {
            "12:34:56.000001+05:30": "07:04:56.000001",
            "23:00:00-05": "04:00:00",
            "00:00:00+00": "00:00:00",
            "24:00:00+05": "19:00:00",
            "00:00:00-15:59:59": "15:59:59",
        },
        *("timezone: UTC", "CAST(timezone('UTC', …) AS TIME)", "the offset"),
    ),
]

LONG_DAYS = "2147483647 days"
INTERVALS = [
    Case(
        *("INTERVAL", "DOUBLE"),
        {
            "1 microsecond": "0.000001",
            "-1 days 00:00:00.000001": "-86399.999999",
            # epoch() gives 605.8027009963989
            "-33025 days 792600:10:05.802701": "605.802701",
            "8589934591.999999 seconds": "8589934591.999999",
        },
        *("as: seconds", "epoch_us(…) / 1e6"),
    ),
    Case(
        *("INTERVAL", "BIG_INT"),
        {"1 day": "86400000000", "-00:00:00.000001": "-1", "106751990 days": "9223371936000000000"},
        *("as: microseconds", "epoch_us(…)"),
    ),
    Case(
        *("INTERVAL", "TEXT"),
        {
            **same("1 year 1 month", "-1 month", "30 days", "-00:00:00.000001", LONG_DAYS),
            **same("1 month -3 days 00:00:01.000001", "25:00:00", "00:00:00"),
        },
        *("as: text", TEXT),
    ),
]
