"""The values that a way stops at, or only counts: which, and what is said of them."""

from dataclasses import dataclass

from tests.type_cases import Sql
from tests.types_of_time import ZONE

MODEL = "or convert it in the model."
META = "under config.meta.tableau of the column"
OR_TEXT = f"Ask for 'as: text' {META}, {MODEL}"
INFINITE = "are infinite"
RANGE = "lie before 4713-01-01 BC or after 294276-12-31"
EARLY = "lie before 4713-01-01 BC"
EARLY_OR_LATE = f"{EARLY} or after the last TIMESTAMP, 294247-01-10 04:00:54"
ODD_YEARS = "lie outside the years 1 to 9999, which no Tableau was seen to show"
DIGITS = "have digits below a microsecond"
DAY_END = "are 24:00:00, which Hyper cannot hold"
MONTHS = "have months or years, which are not of one length"

HUGE = "1" + "0" * 309
"""The first power of ten that is too large for a DOUBLE."""


@dataclass(frozen=True)
class Bad:
    """Values that a check speaks of.

    Attributes:
        sql: The DuckDB type.
        asked: What stands under `meta.tableau`.
        values: Values that it speaks of.
        fine: Values beside them that it does not speak of.
        says: What is wrong with them.
        remedy: What to do about it.
        stops: Whether they stop the export.
        example: How the first of them is shown; "" for as it is written here.
    """

    sql: str
    asked: str
    values: tuple[str, ...]
    fine: tuple[str, ...]
    says: str
    remedy: str = OR_TEXT
    stops: bool = True
    example: str = ""

    def __str__(self) -> str:
        return f"{self.sql} {self.asked} {self.says}"


def _misfits() -> list[Bad]:
    found = []
    top, nines = str(2**63), "9" * 38
    for sql, word, target, values, fine, words in (
        ("HUGEINT", "", "BIGINT", (top, str(-(2**127))), (str(2**63 - 1),), "numeric double text"),
        ("HUGEINT", "bigint", "BIGINT", (f"-{top[:-1]}9",), (f"-{top}",), "numeric double text"),
        ("HUGEINT", "numeric", "DECIMAL(38,0)", ("1" + "0" * 38,), (nines,), "double text"),
        (
            "HUGEINT",
            "numeric(12,2)",
            "DECIMAL(12,2)",
            ("1" + "0" * 10,),
            ("9" * 10,),
            "double text",
        ),
        ("UHUGEINT", "", "DECIMAL(38,0)", (str(2**128 - 1),), (nines,), "double text"),
        ("UHUGEINT", "bigint", "BIGINT", (top,), (str(2**63 - 1),), "numeric double text"),
        ("UHUGEINT", "numeric", "DECIMAL(38,0)", ("1" + "0" * 38,), (nines,), "double text"),
        ("UHUGEINT", "numeric(18,0)", "DECIMAL(18,0)", ("1" + "0" * 18,), ("1",), "double text"),
        ("UBIGINT", "bigint", "BIGINT", (top, str(2**64 - 1)), ("0",), "numeric double text"),
        ("UBIGINT", "numeric(18,0)", "DECIMAL(18,0)", ("1" + "0" * 18,), ("0",), "double text"),
        (
            "UINTEGER",
            "numeric(9,0)",
            "DECIMAL(9,0)",
            ("4294967295",),
            ("999999999",),
            "double text",
        ),
        ("BIGINT", "numeric(6,2)", "DECIMAL(6,2)", ("10000", "-10000"), ("9999",), "double text"),
        ("DECIMAL(38,0)", "bigint", "BIGINT", (top, nines), (str(2**63 - 1),), "double text"),
        (
            *("DECIMAL(38,2)", "numeric(18,2)", "DECIMAL(18,2)"),
            *(("10000000000000000.00",), ("-9999999999999999.99",), "double text"),
        ),
        (
            *("DECIMAL(38,2)", "numeric(38,3)", "DECIMAL(38,3)"),
            *((f"-{nines[2:]}.99",), (f"{nines[3:]}.99",), "double text"),
        ),
        ("BIGNUM", "bigint", "BIGINT", (top, "1" + "0" * 99), ("1",), "numeric double text"),
        ("BIGNUM", "numeric", "DECIMAL(38,0)", ("-1" + "0" * 38,), ("-" + nines,), "double text"),
        ("BIGNUM", "numeric(6,2)", "DECIMAL(6,2)", ("10000",), ("9999",), "double text"),
        ("BIGNUM", "double", "DOUBLE", (HUGE,), (HUGE[:-1],), "text"),
        (
            *("INTERVAL", "microseconds", "BIGINT"),
            *(("106751992 days", "-2147483647 days"), ("106751990 days",), "text"),
        ),
    ):
        asked = " or ".join(f"'as: {other}'" for other in words.split())
        remedy = f"Ask for {asked} {META}, {MODEL}"
        way = f"as: {word}" if word else ""
        shown = f"{HUGE[:60]}…" if HUGE in values else ""
        found.append(Bad(sql, way, values, fine, f"do not fit {target}", remedy, example=shown))
    return found


def _dates() -> list[Bad]:
    far, edges = ("4714-12-31 (BC)", "294277-01-01"), ("4713-01-01 (BC)", "294276-12-31")
    fine = ("0001-01-01", "9999-12-31")
    return [
        Bad("DATE", "", ("infinity", "-infinity"), fine, INFINITE, _to_null("infinity: null")),
        Bad("DATE", "", far, edges, RANGE),
        Bad("DATE", "infinity: null", far, (*edges, "infinity"), RANGE),
        *(
            Bad("DATE", asked, ("0001-12-31 (BC)", "10000-01-01"), fine, ODD_YEARS, "", stops=False)
            for asked in ("", "infinity: null")
        ),
    ]


def _moments() -> list[Bad]:
    found = []
    plain = ["TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP_NS"]
    for sql in [*plain, "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"]:
        nanos = sql.endswith("_NS")
        zoned = sql not in plain
        zone = "+00" if zoned else ""
        fine = (f"1970-01-01 00:00:00{zone}", f"2026-01-31 12:00:00{zone}")
        cuts = ("", "truncate: us") if nanos else ("",)
        for cut in cuts:
            for clock in ("", f"timezone: {ZONE}") if zoned else ("",):
                for null in ("", "infinity: null"):
                    asked = ", ".join(word for word in (null, cut, clock) if word)
                    # years that a TIMESTAMP_NS does not reach
                    reached = () if nanos else (f"4714-12-31 (BC) 00:00:00{zone}",)
                    odd = () if nanos else (f"0001-12-31 (BC) 00:00:00{zone}",)
                    late = (f"290309-12-22 (BC) 00:00:00{zone}",) if clock and reached else ()
                    says = EARLY_OR_LATE if clock else EARLY
                    found += [
                        Bad(sql, asked, (*reached, *late), fine, says),
                        Bad(sql, asked, odd, fine, ODD_YEARS, "", stops=False),
                    ]
                    if not null:
                        remedy = _to_null("infinity: null")
                        found.append(
                            Bad(sql, asked, ("infinity", "-infinity"), fine, INFINITE, remedy)
                        )
                    if nanos and not cut:
                        tiny = ("1970-01-01 00:00:00.000000001", "1969-12-31 23:59:59.999999999")
                        remedy = f"Ask for 'truncate: us' or 'as: text' {META}, {MODEL}"
                        values = tuple(f"{value}{zone}" for value in tiny)
                        found.append(Bad(sql, asked, values, fine, DIGITS, remedy))
    return found


def _times() -> list[Bad]:
    return [
        Bad("TIME", "", ("24:00:00",), ("23:59:59.999999", "00:00:00"), DAY_END),
        Bad("TIME_NS", "truncate: us", ("24:00:00",), ("23:59:59.999999999",), DAY_END),
        Bad(
            *("TIME WITH TIME ZONE", "timezone: UTC", ("24:00:00+00",)),
            *(("24:00:00+05", "00:00:00+00", "23:00:00-01"), DAY_END),
        ),
        *(
            Bad(
                "INTERVAL",
                f"as: {unit}",
                ("1 month", "-1 year", "1 year -1 day"),
                ("-30 days",),
                MONTHS,
            )
            for unit in ("seconds", "microseconds")
        ),
        Bad(
            *("INTERVAL", "as: seconds"),
            ("8589934592.000001 seconds", "-99421 days", "2147483647 days"),
            ("8589934592 seconds", "-99420 days"),
            "are too long for exact seconds",
            f"Ask for 'as: microseconds' or 'as: text' {META}, {MODEL}",
            example="2386092:56:32.000001",
        ),
    ]


def _floats() -> list[Bad]:
    says = "are NaN or infinite, which spoils every sum, average and maximum"
    remedy = f"Ask for 'infinity: null' {META}, {MODEL}"
    values, fine = ("nan", "inf", "-inf"), ("1.5", "-0.0")
    return [Bad(sql, "", values, fine, says, remedy, stops=False) for sql in ("FLOAT", "DOUBLE")]


def _nested() -> list[Bad]:
    found = []
    for sql, values, fine in (
        ("DOUBLE[]", ("[0.5, nan]", "[-inf]"), ("[1.5]", "[]")),
        ("BIGINT[]", (), ()),
        ("DATE[3]", (), ()),
        ("DECIMAL(38,2)[][]", (), ()),
        ("STRUCT(a INTEGER, b VARCHAR[])", (), (Sql("{'a': 1, 'b': ['[NaN', '\"NaN', '\\']}"),)),
        ("MAP(VARCHAR, INTEGER)", (), ("{NaN=1}",)),
        ("UNION(number INTEGER, words VARCHAR)", (), (Sql("union_value(words := ':NaN')"),)),
        ("TUPLE(INTEGER, VARCHAR)", (), ()),
        ("VARIANT", (Sql("'nan'::DOUBLE"), Sql("{'a': 'inf'::FLOAT}")), (Sql("'NaN'"),)),
        ("TIMESTAMP WITH TIME ZONE[]", (), ("[infinity]",)),
    ):
        says = "hold NaN or infinity, which no JSON standard knows"
        shown = "nan" if sql == "VARIANT" else ""
        found.append(Bad(sql, "as: json", values, fine, says, "", stops=False, example=shown))
    return found


def _to_null(word: str) -> str:
    return f"Ask for '{word}' {META}, {MODEL}"


BAD = [*_misfits(), *_floats(), *_dates(), *_moments(), *_times(), *_nested()]
"""Each check of each way of the table; without values where the type has none that it speaks of."""
