"""Decides, for each DuckDB type and what is asked for the column, what a column becomes.

The decision is static: by type and by option, never by looking at the data, so that today's run and
tomorrow's give the same schema. Parsing options belongs to `column_options`, looking at values to
`values`. Facts: what Hyper reads from Parquet without loss was measured with DuckDB 2.0.0 and Hyper
API 0.0.26963; the tests repeat the measurement and write `docs/types.md` of it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Final

from mds_tableau.column_names import name_problems
from mds_tableau.column_options import ColumnOptions
from mds_tableau.column_ways import (
    Way,
    cast_to,
    date_way,
    double_way,
    interval_way,
    json_way,
    moment_way,
    time_way,
)
from mds_tableau.columns import ColumnPlan, HyperType, quote_identifier
from mds_tableau.errors import UnsupportedColumn
from mds_tableau.wording import MODEL, Wording

_TEXT: Final = HyperType("TEXT")
_AS_IT_IS: Final = {
    "BOOLEAN": "BOOL",
    "TINYINT": "SMALL_INT",
    "SMALLINT": "SMALL_INT",
    "UTINYINT": "SMALL_INT",
    "INTEGER": "INT",
    "USMALLINT": "INT",
    "BIGINT": "BIG_INT",
    "UINTEGER": "BIG_INT",
    "VARCHAR": "TEXT",
}
_MOMENTS: Final = {
    "TIMESTAMP_S",
    "TIMESTAMP_MS",
    "TIMESTAMP",
    "TIMESTAMP_NS",
    "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMPTZ_NS",
}
_NESTED: Final = {"STRUCT", "MAP", "TUPLE", "UNION", "VARIANT"}
_NUMERIC: Final = re.compile(r"numeric\((\d+),(\d+)\)")


@dataclass(frozen=True)
class _Rule:
    """What a DuckDB type can become.

    Attributes:
        default: What it becomes when nothing is asked; None when it is refused.
        ways: What it becomes for each word of `as`.
        digits: Whether `as: numeric(p,s)` is possible, and the scale that it needs at least.
        whole: Digits before the point that its values have at most, where that is less than any
            numeric holds.
        options: The other options that have a meaning for it.
        zone: The only zone that `timezone` may name; "" for any.
        refusal: Why there is no default, or a remedy without an option; whole sentences.
    """

    default: Way | None
    ways: Mapping[str, Way] = field(default_factory=dict)
    digits: int | None = None
    whole: int = 39
    options: tuple[str, ...] = ()
    zone: str = ""
    refusal: str = ""

    @property
    def words(self) -> list[str]:
        """Everything that may be asked for such a column."""
        numeric = ["numeric(p,s)"] if self.digits is not None else []
        asked = [f"as: {word}" for word in [*self.ways, *numeric]]
        values = {"infinity": "null", "truncate": "us", "timezone": self.zone or "<zone>"}
        return [*asked, *(f"{option}: {values[option]}" for option in self.options)]


def plan_columns(
    described: Iterable[tuple[str, str]],
    *,
    mart: str,
    file: str,
    options: Mapping[str, ColumnOptions] | None = None,
    problems: Sequence[str] = (),
    wording: Wording = MODEL,
) -> tuple[ColumnPlan, ...]:
    """Return the plan for each column of a mart, in the mart's order.

    Args:
        described: Name and DuckDB type of each column, as DESCRIBE gives them.
        mart: Name of the mart, for the message.
        file: Path of the model's SQL file, for the message.
        options: What is asked for single columns, by name; case does not matter, as in DuckDB.
        problems: What is known to be wrong with the columns already, to be told with the rest.
        wording: How messages speak of the mart.

    Raises:
        UnsupportedColumn: A column has a type or a name that an extract cannot hold, or an option
            does not suit its column; names all of them with what to write instead.

    >>> [plan] = plan_columns([("total", "HUGEINT")], mart="daily", file="daily.sql")
    >>> plan.selected, str(plan.hyper_type)
    ('CAST("total" AS BIGINT) AS "total"', 'BIG_INT')
    """
    columns = list(described)
    names = [name for name, _ in columns]
    asked, unknown = _by_column(names, options or {}, wording)
    problems = [*problems, *name_problems(names), *unknown]
    plans: list[ColumnPlan] = []
    refused: list[str] = []
    for name, duckdb_type in columns:
        plan = _plan(name, duckdb_type, asked.get(name, ColumnOptions()), wording)
        if isinstance(plan, ColumnPlan):
            plans.append(plan)
        else:
            refused.append(name)
            problems.append(plan)
    if problems:
        lines = "".join(f"\n- {line}" for line in problems)
        raise UnsupportedColumn(
            f"Cannot export {wording.what} '{mart}' ({file}):{lines}",
            mart=mart,
            columns=tuple(refused),
        )
    return tuple(plans)


def _by_column(
    names: list[str], options: Mapping[str, ColumnOptions], wording: Wording
) -> tuple[dict[str, ColumnOptions], list[str]]:
    known = {name.casefold(): name for name in names}
    asked: dict[str, ColumnOptions] = {}
    problems = []
    for name, wanted in options.items():
        exact = name if name in names else known.get(name.casefold())
        if exact is not None:
            asked[exact] = wanted
            continue
        near = get_close_matches(name, names, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        problems.append(
            f"{wording.asks} something for column '{name}', which the {wording.what} does not "
            f"have.{hint}"
        )
    return asked, problems


def _plan(
    name: str, duckdb_type: str, options: ColumnOptions, wording: Wording
) -> ColumnPlan | str:
    """Plan one column; a text says why there is none."""
    quoted = quote_identifier(name)
    rule = _rule(duckdb_type, options)
    asked = {
        "as": options.as_,
        "infinity": options.infinity,
        "truncate": options.truncate,
        "timezone": options.timezone,
    }
    unsuited = [
        f"{key}: {value}"
        for key, value in asked.items()
        if value and key != "as" and key not in rule.options
    ]
    if rule.zone and options.timezone not in {"", rule.zone}:
        unsuited.append(f"timezone: {options.timezone}")
    way = _way(rule, options.as_)
    if unsuited or (options.as_ and way is None):
        wanted = ", ".join(unsuited) or f"as: {options.as_}"
        allowed = f"It can be {' or '.join(rule.words)}" if rule.words else "Remove it"
        return (
            f"column '{name}' has type {duckdb_type}, which '{wanted}' {wording.option} does not "
            f"suit. {allowed}."
        )
    if way is None:
        cast = wording.convert.replace("convert", "Cast")
        ask = (
            f"Ask for {' or '.join(rule.words)} {wording.place}, {wording.convert}, or leave it "
            "out."
            if rule.words
            else f"{cast} to a type that docs/types.md lists, or leave it out."
        )
        said = rule.refusal.replace("{}", quoted)
        return (
            f"column '{name}' has type {duckdb_type}, which a Hyper extract cannot hold. "
            f"{said} {ask}".replace("  ", " ")
        )
    return way.plan(name, duckdb_type)


def _way(rule: _Rule, word: str) -> Way | None:
    if not word:
        return rule.default
    if (found := _NUMERIC.fullmatch(word)) and rule.digits is not None:
        precision, scale = int(found[1]), int(found[2])
        if scale < rule.digits:
            # it would round, and where to round is for the model to say
            return None
        base = rule.ways.get("numeric")
        source = base.through if base is not None else "{}"
        way = cast_to(
            f"DECIMAL({precision},{scale})", HyperType("NUMERIC", precision, scale), through=source
        )
        return replace(way, checks=()) if precision - scale >= rule.whole else way
    return rule.ways.get(word)


def _rule(duckdb_type: str, options: ColumnOptions) -> _Rule:
    base = duckdb_type.partition("(")[0]
    if duckdb_type.endswith("]") or base in _NESTED:
        return _Rule(None, {"json": json_way(duckdb_type)}, refusal="Hyper reads no nested values.")
    if found := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", duckdb_type):
        return _decimal(int(found[1]), int(found[2]))
    if base in _MOMENTS:
        way = moment_way(base, options)
        text = {"text": _moment_text(base)}
        extra = ("timezone",) if base in {"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"} else ()
        cut = ("truncate",) if base.endswith("_NS") else ()
        return _Rule(way, text, options=("infinity", *cut, *extra))
    if base == "DATE":
        return _Rule(date_way(options), {"text": _text()}, options=("infinity",))
    if base in {"DOUBLE", "FLOAT"}:
        return _Rule(double_way(base, options), {"text": _text()}, options=("infinity",))
    return _clock(base, options) or _integer(base) or _other(base)


def _text() -> Way:
    return Way("CAST({} AS VARCHAR)", "VARCHAR", _TEXT)


def _moment_text(base: str) -> Way:
    if base not in {"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"}:
        return _text()
    # a plain cast would write the clock of the machine's own time zone
    text = "CAST(timezone('UTC', {}) AS VARCHAR) || '+00'"
    # infinity has no zone
    return Way(f"replace({text}, 'infinity+00', 'infinity')", "VARCHAR", _TEXT)


def _decimal(precision: int, scale: int) -> _Rule:
    numeric = HyperType("NUMERIC", precision, scale)
    ways = {"double": _double(), "text": _text()}
    if scale == 0:
        bigint = cast_to("BIGINT", HyperType("BIG_INT"))
        ways = {"bigint": replace(bigint, checks=()) if precision < 19 else bigint, **ways}
    way = Way("{}", f"DECIMAL({precision},{scale})", numeric)
    return _Rule(way, ways, digits=scale, whole=precision - scale)


def _double(through: str = "{}") -> Way:
    return Way(
        f"CAST({through} AS DOUBLE)", "DOUBLE", HyperType("DOUBLE"), loses="digits beyond 15 to 17"
    )


def _integer(base: str) -> _Rule | None:
    bigint = cast_to("BIGINT", HyperType("BIG_INT"), instead=("numeric", "double", "text"))
    wide = cast_to("DECIMAL(38,0)", HyperType("NUMERIC", 38, 0))
    ways = {"bigint": bigint, "numeric": wide, "double": _double(), "text": _text()}
    if base == "HUGEINT":
        # DuckDB writes the 128-bit integers to Parquet as DOUBLE, silently
        return _Rule(bigint, ways, digits=0)
    if base == "UHUGEINT":
        return _Rule(wide, ways, digits=0)
    if base == "UBIGINT":
        # Hyper cannot read unsigned 64-bit integers
        exact = Way("CAST({} AS DECIMAL(20,0))", "DECIMAL(20,0)", HyperType("NUMERIC", 20, 0))
        return _Rule(exact, {**ways, "numeric": exact}, digits=0, whole=20)
    if base == "BIGNUM":
        # a cast of its own gives NULL or ends DuckDB, so it goes through text
        text = "CAST({} AS VARCHAR)"
        ways = {
            "bigint": cast_to(
                "BIGINT", HyperType("BIG_INT"), through=text, instead=("numeric", "double", "text")
            ),
            "numeric": cast_to("DECIMAL(38,0)", HyperType("NUMERIC", 38, 0), through=text),
            "double": _double(text).checked(
                "isinf(CAST(CAST({} AS VARCHAR) AS DOUBLE))", "DOUBLE", instead=("text",)
            ),
            "text": _text(),
        }
        return _Rule(_text(), ways, digits=0)
    if base in {"BIGINT", "UINTEGER"}:
        plain = Way("{}", base, HyperType("BIG_INT"))
        whole = 19 if base == "BIGINT" else 10
        return _Rule(plain, {"double": _double(), "text": _text()}, digits=0, whole=whole)
    return None


def _clock(base: str, options: ColumnOptions) -> _Rule | None:
    if base == "TIME":
        ways = {"text": _text(), "seconds": time_way("seconds"), "microseconds": time_way("us")}
        return _Rule(time_way(""), ways)
    if base == "TIME_NS":
        cut = time_way("cut") if options.truncate else _text()
        return _Rule(cut, {"text": _text()}, options=("truncate",))
    if base == "TIME WITH TIME ZONE":
        way = time_way("UTC") if options.timezone else _text()
        # what another zone's clock shows depends on the date, which is not there
        return _Rule(way, {"text": _text()}, options=("timezone",), zone="UTC")
    if base == "INTERVAL":
        ways = {
            "seconds": interval_way("seconds"),
            "microseconds": interval_way("microseconds"),
            "text": _text(),
        }
        return _Rule(None, ways, refusal="Tableau has no such type.")
    return None


def _other(base: str) -> _Rule:
    if base in _AS_IT_IS:
        way = Way("{}", base, HyperType(_AS_IT_IS[base]))
        ways = {"text": _text()}
        if base == "VARCHAR":
            ways["geography"] = _geography("{}")
        return _Rule(way, ways)
    if base == "JSON":
        return _Rule(_text(), {"text": _text(), "json": _text()})
    if base == "ENUM":
        # DuckDB hashes an ENUM otherwise than its text, which a comparison would take for a change
        text = Way("CAST({} AS VARCHAR)", "VARCHAR", _TEXT, loses="the order of its values")
        return _Rule(text, {"text": text})
    if base in {"BIT", "UUID", "TYPE"}:
        return _Rule(_text(), {"text": _text()})
    if base == "BLOB":
        ways = {
            "hex": Way("hex({})", "VARCHAR", _TEXT),
            "base64": Way("base64({})", "VARCHAR", _TEXT),
        }
        return _Rule(None, ways, refusal="Tableau has no type for bytes.")
    if base == "GEOMETRY":
        ways = {
            "wkt": Way("ST_AsText({})", "VARCHAR", _TEXT),
            "geography": _geography("ST_AsText({})"),
        }
        return _Rule(None, ways, refusal="Tableau reads no well-known binary.")
    if base == '"NULL"':
        return _Rule(
            None,
            {"text": _text()},
            refusal="It has no type at all; the model can give it one: CAST(NULL AS VARCHAR).",
        )
    return _Rule(None)


def _geography(source: str) -> Way:
    return Way(
        source,
        "VARCHAR",
        HyperType("GEOGRAPHY"),
        loses=(
            "digits beyond 7 decimals, Z and M; long edges get points in between; longitudes "
            "beyond 180 degrees go round; WGS 84 only"
        ),
    )
