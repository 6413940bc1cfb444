"""Knows, for each DuckDB type and what is asked for a column of it, the ways that it can take.

A rule is static: by type and by option, never by looking at the data, so that today's run and
tomorrow's give the same schema. The ways themselves stand in `column_ways`; planning the columns of
a mart, and telling what is wrong with them, belongs to `column_types`. Facts: what Hyper reads from
Parquet without loss was measured with DuckDB 2.0.0 and Hyper API 0.0.26963; the tests repeat the
measurement and write `docs/types.md` of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

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
from mds_tableau.columns import HyperType

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
class Rule:
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

    def way(self, word: str) -> Way | None:
        """Return what it becomes for a word of `as`, "" for none; None where it cannot."""
        if not word:
            return self.default
        if (found := _NUMERIC.fullmatch(word)) and self.digits is not None:
            precision, scale = int(found[1]), int(found[2])
            if scale < self.digits:
                # it would round, and where to round is for the model to say
                return None
            base = self.ways.get("numeric")
            source = base.through if base is not None else "{}"
            way = cast_to(
                f"DECIMAL({precision},{scale})",
                HyperType("NUMERIC", precision, scale),
                through=source,
            )
            return replace(way, checks=()) if precision - scale >= self.whole else way
        return self.ways.get(word)


def rule_of(duckdb_type: str, options: ColumnOptions) -> Rule:
    """Return what a DuckDB type can become, with what is asked for its values."""
    base = duckdb_type.partition("(")[0]
    if duckdb_type.endswith("]") or base in _NESTED:
        return Rule(None, {"json": json_way(duckdb_type)}, refusal="Hyper reads no nested values.")
    if found := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", duckdb_type):
        return _decimal(int(found[1]), int(found[2]))
    if base in _MOMENTS:
        way = moment_way(base, options)
        text = {"text": _moment_text(base)}
        extra = ("timezone",) if base in {"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"} else ()
        cut = ("truncate",) if base.endswith("_NS") else ()
        return Rule(way, text, options=("infinity", *cut, *extra))
    if base == "DATE":
        return Rule(date_way(options), {"text": _text()}, options=("infinity",))
    if base in {"DOUBLE", "FLOAT"}:
        return Rule(double_way(base, options), {"text": _text()}, options=("infinity",))
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


def _decimal(precision: int, scale: int) -> Rule:
    numeric = HyperType("NUMERIC", precision, scale)
    ways = {"double": _double(), "text": _text()}
    if scale == 0:
        bigint = cast_to("BIGINT", HyperType("BIG_INT"))
        ways = {"bigint": replace(bigint, checks=()) if precision < 19 else bigint, **ways}
    way = Way("{}", f"DECIMAL({precision},{scale})", numeric)
    return Rule(way, ways, digits=scale, whole=precision - scale)


def _double(through: str = "{}") -> Way:
    return Way(
        f"CAST({through} AS DOUBLE)", "DOUBLE", HyperType("DOUBLE"), loses="digits beyond 15 to 17"
    )


def _integer(base: str) -> Rule | None:
    bigint = cast_to("BIGINT", HyperType("BIG_INT"), instead=("numeric", "double", "text"))
    wide = cast_to("DECIMAL(38,0)", HyperType("NUMERIC", 38, 0))
    ways = {"bigint": bigint, "numeric": wide, "double": _double(), "text": _text()}
    if base == "HUGEINT":
        # DuckDB writes the 128-bit integers to Parquet as DOUBLE, silently
        return Rule(bigint, ways, digits=0)
    if base == "UHUGEINT":
        return Rule(wide, ways, digits=0)
    if base == "UBIGINT":
        # Hyper cannot read unsigned 64-bit integers
        exact = Way("CAST({} AS DECIMAL(20,0))", "DECIMAL(20,0)", HyperType("NUMERIC", 20, 0))
        return Rule(exact, {**ways, "numeric": exact}, digits=0, whole=20)
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
        return Rule(_text(), ways, digits=0)
    if base in {"BIGINT", "UINTEGER"}:
        plain = Way("{}", base, HyperType("BIG_INT"))
        whole = 19 if base == "BIGINT" else 10
        return Rule(plain, {"double": _double(), "text": _text()}, digits=0, whole=whole)
    return None


def _clock(base: str, options: ColumnOptions) -> Rule | None:
    if base == "TIME":
        ways = {"text": _text(), "seconds": time_way("seconds"), "microseconds": time_way("us")}
        return Rule(time_way(""), ways)
    if base == "TIME_NS":
        cut = time_way("cut") if options.truncate else _text()
        return Rule(cut, {"text": _text()}, options=("truncate",))
    if base == "TIME WITH TIME ZONE":
        way = time_way("UTC") if options.timezone else _text()
        # what another zone's clock shows depends on the date, which is not there
        return Rule(way, {"text": _text()}, options=("timezone",), zone="UTC")
    if base == "INTERVAL":
        ways = {
            "seconds": interval_way("seconds"),
            "microseconds": interval_way("microseconds"),
            "text": _text(),
        }
        return Rule(None, ways, refusal="Tableau has no such type.")
    return None


def _other(base: str) -> Rule:
    if base in _AS_IT_IS:
        way = Way("{}", base, HyperType(_AS_IT_IS[base]))
        ways = {"text": _text()}
        if base == "VARCHAR":
            ways["geography"] = _geography("{}")
        return Rule(way, ways)
    if base == "JSON":
        return Rule(_text(), {"text": _text(), "json": _text()})
    if base == "ENUM":
        # DuckDB hashes an ENUM otherwise than its text, which a comparison would take for a change
        text = Way("CAST({} AS VARCHAR)", "VARCHAR", _TEXT, loses="the order of its values")
        return Rule(text, {"text": text})
    if base in {"BIT", "UUID", "TYPE"}:
        return Rule(_text(), {"text": _text()})
    if base == "BLOB":
        ways = {
            "hex": Way("hex({})", "VARCHAR", _TEXT),
            "base64": Way("base64({})", "VARCHAR", _TEXT),
        }
        return Rule(None, ways, refusal="Tableau has no type for bytes.")
    if base == "GEOMETRY":
        ways = {
            "wkt": Way("ST_AsText({})", "VARCHAR", _TEXT),
            "geography": _geography("ST_AsText({})"),
        }
        return Rule(None, ways, refusal="Tableau reads no well-known binary.")
    if base == '"NULL"':
        return Rule(
            None,
            {"text": _text()},
            refusal="It has no type at all; the model can give it one: CAST(NULL AS VARCHAR).",
        )
    return Rule(None)


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
