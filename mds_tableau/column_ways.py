"""The single ways from a DuckDB value to a value of an extract: the SQL, and what has to be true.

Each way is exact for every value that its checks let through, or says what it loses. Which way a
type takes is decided in `column_rules`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from mds_tableau.column_options import ColumnOptions
from mds_tableau.columns import Check, ColumnPlan, HyperType, quote_identifier, quote_text

# Hyper's first day is 4713-01-01 BC; DuckDB ends before Hyper, but for a DATE
_FIRST_MICROSECOND: Final = -210_863_520_000_000_000
_FIRST_DAY: Final = "DATE '4713-01-01 (BC)'"
_LAST_DAY: Final = "DATE '294276-12-31'"
_YEAR_1: Final = -62_135_596_800_000_000
_YEAR_10000: Final = 253_402_300_800_000_000
_OUT_OF_RANGE: Final = "lie before 4713-01-01 BC or after 294276-12-31"
_TOO_EARLY: Final = "lie before 4713-01-01 BC"
_TOO_EARLY_OR_LATE: Final = f"{_TOO_EARLY} or after the last TIMESTAMP, 294247-01-10 04:00:54"
_ODD_YEARS: Final = "lie outside the years 1 to 9999, which no Tableau was seen to show"
_INFINITE: Final = "are infinite"
_TO_TEXT: Final = ("as: text",)
_TO_NULL: Final = ("infinity: null",)


@dataclass(frozen=True)
class Way:
    """A way of a column; `{}` in its SQL stands for the quoted column.

    Attributes:
        template: SQL of the value that is exported.
        export_type: DuckDB type of that value.
        hyper_type: Type in the extract.
        checks: What has to be true, `{}` again for the column.
        loses: What the extract does not keep; "" for nothing.
        through: What a cast is made of, where the column itself cannot be cast.
    """

    template: str
    export_type: str
    hyper_type: HyperType
    checks: tuple[Check, ...] = ()
    loses: str = ""
    through: str = "{}"

    def checked(self, condition: str, target: str, *, instead: Sequence[str]) -> "Way":
        """Return this way with a check that a value fits its target.

        Args:
            condition: SQL that is true for a value that does not.
            target: What it does not fit.
            instead: Words of `as` that hold such a value.
        """
        asked = tuple(f"as: {word}" for word in instead)
        misfit = Check(condition, f"do not fit {target}", asked)
        return replace(self, checks=(*self.checks, misfit))

    def plan(self, name: str, duckdb_type: str) -> ColumnPlan:
        """Return the plan of a column that goes this way."""
        quoted = quote_identifier(name)
        return ColumnPlan(
            name=name,
            duckdb_type=duckdb_type,
            expression=self.template.replace("{}", quoted),
            cast=_short(self.template),
            export_type=self.export_type,
            hyper_type=self.hyper_type,
            checks=tuple(
                replace(check, condition=check.condition.replace("{}", quoted))
                for check in self.checks
            ),
            loses=self.loses,
        )


def cast_to(
    target: str,
    hyper_type: HyperType,
    *,
    through: str = "{}",
    instead: Sequence[str] = ("double", "text"),
) -> Way:
    """Return a cast to a number that stops at values that do not fit."""
    way = Way(f"CAST({through} AS {target})", target, hyper_type, through=through)
    condition = f"{{}} IS NOT NULL AND TRY_CAST({through} AS {target}) IS NULL"
    return way.checked(condition, target, instead=instead)


def date_way(options: ColumnOptions) -> Way:
    """Return the way of a DATE."""
    template, checks = "{}", [_finite("isfinite({})")]
    if options.infinity:
        template, checks = "CASE WHEN isfinite({}) THEN {} END", []
    checks += [
        Check(
            f"isfinite({{}}) AND ({{}} < {_FIRST_DAY} OR {{}} > {_LAST_DAY})",
            _OUT_OF_RANGE,
            _TO_TEXT,
        ),
        Check(
            "isfinite({}) AND ({} < DATE '0001-01-01' OR {} > DATE '9999-12-31')",
            _ODD_YEARS,
            stops=False,
        ),
    ]
    loses = "infinity (NULL instead)" if options.infinity else ""
    return Way(template, "DATE", HyperType("DATE"), tuple(checks), loses)


def double_way(base: str, options: ColumnOptions) -> Way:
    """Return the way of a DOUBLE or FLOAT; Hyper would sum a REAL in 32 bits."""
    value = "{}" if base == "DOUBLE" else "CAST({} AS DOUBLE)"
    checks: tuple[Check, ...] = ()
    if options.infinity:
        template = f"CASE WHEN isfinite({{}}) THEN {value} END"
        loses = "infinity and NaN (NULL instead)"
    else:
        template, loses = value, ""
        checks = (
            Check(
                "{} IS NOT NULL AND NOT isfinite({})",
                "are NaN or infinite, which spoils every sum, average and maximum",
                _TO_NULL,
                stops=False,
            ),
        )
    return Way(template, "DOUBLE", HyperType("DOUBLE"), checks, loses)


def moment_way(base: str, options: ColumnOptions) -> Way:
    """Return the way of one of the TIMESTAMP types."""
    with_zone = base in {"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"}
    plain = "TIMESTAMP WITH TIME ZONE" if with_zone else "TIMESTAMP"
    make = "make_timestamptz" if with_zone else "make_timestamp"
    # DuckDB has no isfinite for a TIMESTAMPTZ_NS
    finite = f"isfinite(CAST({{}} AS {plain}))" if base.endswith("_NS") else "isfinite({})"
    value = "{}" if base == plain else f"CAST({{}} AS {plain})"
    checks: list[Check] = []
    loses = []
    if options.truncate:
        # rounded down; '//' alone rounds towards zero, and so moves moments before 1970 forward
        value = f"{make}(epoch_ns({{}}) // 1000 - CAST(epoch_ns({{}}) % 1000 < 0 AS BIGINT))"
        loses.append("digits below a microsecond")
    elif base.endswith("_NS"):
        checks.append(_below_microsecond())
    if options.timezone:
        value = f"timezone({quote_text(options.timezone)}, {value})"
        make, plain = "make_timestamp", "TIMESTAMP"
        loses.append("the offset, so the hour that the clock shows twice in autumn folds")
    checks = [*([] if options.infinity else [_finite(finite)]), *checks]
    # the clock of a zone may not be there for the first and the last hours of a TIMESTAMPTZ
    seen = f"TRY({value})" if options.timezone else value
    checks += [
        Check(
            f"{finite} AND coalesce({seen} < {make}({_FIRST_MICROSECOND}), true)",
            _TOO_EARLY_OR_LATE if options.timezone else _TOO_EARLY,
            _TO_TEXT,
        ),
        Check(
            f"{finite} AND ({seen} < {make}({_YEAR_1}) OR {seen} >= {make}({_YEAR_10000}))",
            _ODD_YEARS,
            stops=False,
        ),
    ]
    if options.infinity:
        value = f"CASE WHEN {finite} THEN {value} END"
        loses.append("infinity (NULL instead)")
    hyper_type = HyperType("TIMESTAMP_TZ" if plain != "TIMESTAMP" else "TIMESTAMP")
    return Way(value, plain, hyper_type, tuple(checks), ", ".join(loses))


def time_way(kind: str) -> Way:
    """Return a way of a time of day: itself, cut, in UTC, `seconds` or `us` since midnight."""
    if kind == "seconds":
        return Way("epoch({})", "DOUBLE", HyperType("DOUBLE"))
    if kind == "us":
        return Way("epoch_us({})", "BIGINT", HyperType("BIG_INT"))
    time = HyperType("TIME")
    if kind == "cut":
        cut = "TIME '00:00:00' + to_microseconds(epoch_ns({}) // 1000)"
        whole = _day_end("epoch_ns({}) >= 86400000000000")
        return Way(cut, "TIME", time, (whole,), "digits below a microsecond")
    if kind == "UTC":
        value = "CAST(timezone('UTC', {}) AS TIME)"
        # DuckDB takes this one for the beginning of the day
        return Way(value, "TIME", time, (_day_end("{} = TIMETZ '24:00:00+00'"),), "the offset")
    return Way("{}", "TIME", time, (_day_end("{} = TIME '24:00:00'"),))


def interval_way(unit: str) -> Way:
    """Return a way of an INTERVAL without months: in `seconds` or `microseconds`."""
    months = Check(
        "datepart('year', {}) <> 0 OR datepart('month', {}) <> 0",
        "have months or years, which are not of one length",
        _TO_TEXT,
    )
    micros = "TRY(epoch_us({}))"
    if unit == "microseconds":
        way = Way("epoch_us({})", "BIGINT", HyperType("BIG_INT"), (months,))
        condition = f"{{}} IS NOT NULL AND {micros} IS NULL"
        return way.checked(condition, "BIGINT", instead=("text",))
    longest = f"coalesce(abs({micros}::HUGEINT), {2**64}::HUGEINT)"
    # from 2^33 seconds on, neighbouring doubles are more than a microsecond apart
    exact = Check(
        f"{{}} IS NOT NULL AND {longest} > {2**33 * 1_000_000}",
        "are too long for exact seconds",
        ("as: microseconds", *_TO_TEXT),
    )
    # epoch() adds days and the rest as doubles, and so is wrong where they have other signs
    # 1e6 is a double, so that this is no division of integers under DuckDB's integer_division
    seconds = "epoch_us({}) / 1e6"
    return Way(seconds, "DOUBLE", HyperType("DOUBLE"), (months, exact))


def json_way(duckdb_type: str) -> Way:
    """Return a nested value as JSON text."""
    text = "CAST(to_json({}) AS VARCHAR)"
    outside_strings = rf"""regexp_replace({text}, '"(\\.|[^"\\])*"', '', 'g')"""
    odd = Check(
        f"regexp_matches({outside_strings}, 'NaN|Infinity')",
        "hold NaN or infinity, which no JSON standard knows",
        stops=False,
    )
    loses = ["the types within"]
    zoned = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ", "VARIANT")
    if any(kind in duckdb_type for kind in zoned):
        loses.append("the zone of moments within: a table's are in UTC, a view's in that of dbt")
    return Way(text, "VARCHAR", HyperType("TEXT"), (odd,), ", ".join(loses))


def _short(template: str) -> str:
    if template == "{}":
        return ""
    if template.startswith("CAST({} AS ") and template.endswith(")"):
        return "::" + template.removeprefix("CAST({} AS ").removesuffix(")")
    return template.replace("{}", "…")


def _finite(finite: str) -> Check:
    return Check(f"NOT {finite}", _INFINITE, _TO_NULL)


def _below_microsecond() -> Check:
    return Check(
        "epoch_ns({}) % 1000 <> 0",
        "have digits below a microsecond",
        ("truncate: us", *_TO_TEXT),
    )


def _day_end(condition: str) -> Check:
    return Check(
        condition,
        "are 24:00:00, which Hyper cannot hold",
        _TO_TEXT,
    )
