"""Finds the kind of each column of text, by looking at the shapes that its values have.

A type is chosen only if every value is kept by it; else the column stays text, and a note says why
and what to say to have it otherwise. The kinds themselves are in `kinds`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import duckdb

from mds_tableau.errors import UsageError, first_line
from mds_tableau.inputs import kinds
from mds_tableau.inputs.csv_options import CsvOptions
from mds_tableau.inputs.kinds import PLAIN, TEXT, Kind, Signs
from mds_tableau.inputs.text_shapes import (
    MONTH_FORMATS,
    MONTH_PATTERN,
    ORDERS,
    SEPARATORS,
    TIMES,
    Shape,
)

_NUMBERS: Final = frozenset({"whole", "point", "point3"})
_DIGITS_OF_64: Final = 18


@dataclass(frozen=True)
class Found:
    """What was found for a column.

    Attributes:
        kind: Its kind.
        note: What to say about it, with the column's name to come before; "" for nothing.
        settled: Whether more values can only confirm or refute it, and not add to what is known.
        orders: Formats of dates that it could have as well, when they cannot be told apart.
        signs: Signs of its numbers, if it has some.
    """

    kind: Kind = TEXT
    note: str = ""
    settled: bool = True
    orders: tuple[str, ...] = ()
    signs: Signs | None = None


def find_all(all_shapes: Sequence[Mapping[str, Shape]], csv: CsvOptions) -> list[Found]:
    """Return the kind of each column of a table, whose values have these shapes."""
    found = [find(shapes, csv) for shapes in all_shapes]
    if not any(one.signs and one.signs.decimal == "," for one in found) or csv.decimal:
        return found
    # beside decimal commas elsewhere, a point before three digits can be one between thousands
    for index, shapes in enumerate(all_shapes):
        names = set(shapes) - {"empty"}
        if "point3" in names and names <= {"whole", "point3"}:
            example = shapes["point3"].example.strip()
            found[index] = Found(
                note=f"stays text: beside the decimal commas of other columns, whether {example!r} "
                "has a decimal point or groups of thousands cannot be seen; --decimal with "
                "--thousands tells",
                settled=False,
            )
    return found


def find(found: Mapping[str, Shape], csv: CsvOptions) -> Found:
    """Return the kind of a column whose values have these shapes."""
    present = {name: shape for name, shape in found.items() if name != "empty"}
    if not present:
        return Found(settled=False)
    names = set(present)
    for rule in (_numbers, _said, _grouped, _dates):
        decided = rule(names, present, csv)
        if decided is not None:
            return decided
    if names == {"bool"}:
        return Found(kinds.BOOLEAN)
    return Found(note=_why_text(present))


def _numbers(names: set[str], present: Mapping[str, Shape], csv: CsvOptions) -> Found | None:
    if not names <= _NUMBERS | {"scientific"}:
        return None
    if names <= _NUMBERS:
        return _sized(list(present.values()), Signs(csv.decimal_sign, csv.thousands))
    if all(shape.kept == shape.count for shape in present.values()):
        return Found(kinds.floating_number(PLAIN), signs=PLAIN)
    return Found(note="stays text: its numbers have more digits than a DOUBLE keeps")


def _said(names: set[str], present: Mapping[str, Shape], csv: CsvOptions) -> Found | None:
    """Return the kind of numbers with groups of digits, where the decimal sign alone was said."""
    if not csv.decimal or csv.thousands or not names <= {"whole", "point", "grouped", "groups"}:
        return None
    signs = Signs(csv.decimal, Signs(csv.decimal).other)
    if "groups" not in names:
        return replace(
            _sized(list(present.values()), signs),
            note=f"has {signs.thousands!r} between thousands",
        )
    # without a decimal sign behind them, such groups may be a date, a version or a number of a part
    example = present["groups"].example.strip()
    return Found(
        note=f"stays text: whether the {signs.thousands!r} in {example!r} is between thousands "
        f"cannot be seen; --thousands {signs.thousands} tells",
        settled=False,
    )


def _grouped(names: set[str], present: Mapping[str, Shape], csv: CsvOptions) -> Found | None:
    """Return the kind of numbers that are written with commas, or groups of digits."""
    if names <= {"whole", "comma", "comma3", "eu"} and names & {"comma", "eu"}:
        signs = Signs(",", "." if "eu" in names else "")
        told = "a decimal comma" + (" and points between thousands" if signs.thousands else "")
        return replace(
            _sized(list(present.values()), signs), note=f"has {told}", settled="eu" in names
        )
    if names <= {"whole", "en", "comma3", "point", "point3"} and "en" in names:
        return replace(
            _sized(list(present.values()), Signs(".", ",")), note="has commas between thousands"
        )
    if names <= {"whole", "comma3", "groups", "point3"}:
        shape = present.get("comma3") or present.get("groups")
        example = shape.example.strip() if shape else ""
        return Found(
            note=f"stays text: whether {example!r} has a decimal sign or groups of thousands "
            "cannot be seen; --decimal or --thousands tells",
            settled=False,
        )
    return None


def _sized(facts: Sequence[Shape], signs: Signs) -> Found:
    """Return the type that holds numbers of all these shapes."""
    whole = max(shape.whole for shape in facts)
    scale = max(shape.scale for shape in facts)
    if scale == 0:
        if all(shape.valid == shape.count for shape in facts):
            return Found(kinds.whole_number(signs), signs=signs)
        return Found(
            note=f"stays text: its numbers have up to {whole} digits, which is more than 64 bits; "
            "--type {name}=DECIMAL(38,0) makes numbers of them, for Tableau 2022.4 and newer"
        )
    if whole + scale <= _DIGITS_OF_64:
        return Found(kinds.decimal_number(signs, _DIGITS_OF_64, scale), signs=signs)
    if all(shape.kept == shape.count for shape in facts):
        return Found(kinds.floating_number(signs), signs=signs)
    if whole + scale <= 38:
        return Found(kinds.decimal_number(signs, 38, scale), signs=signs)
    return Found(
        note=f"stays text: its numbers have up to {whole + scale} digits, which no type keeps; "
        "--type {name}=DOUBLE keeps about 16 of them"
    )


def _dates(names: set[str], present: Mapping[str, Shape], csv: CsvOptions) -> Found | None:
    if names == {"given date"}:
        return Found(kinds.formatted("DATE", [csv.date_format]), f"is read as {csv.date_format}")
    if names == {"given stamp"}:
        return Found(kinds.stamped(csv.timestamp_format), f"is read as {csv.timestamp_format}")
    all_valid = all(shape.valid == shape.count for shape in present.values())
    standard = {
        frozenset({"iso"}): kinds.DATE,
        frozenset({"stamp"}): kinds.TIMESTAMP,
        frozenset({"iso", "stamp"}): kinds.TIMESTAMP,
        frozenset({"zoned"}): kinds.TIMESTAMPTZ,
        frozenset({"time"}): kinds.TIME,
    }.get(frozenset(names))
    if standard is not None:
        note = "keeps the instant of its times, and not their offsets" * (names == {"zoned"})
        return Found(standard, note) if all_valid else _no_date(present)
    if names == {"month"}:
        if not all_valid:
            return _no_date(present)
        return Found(kinds.formatted("DATE", MONTH_FORMATS, MONTH_PATTERN))
    if names <= {"y-", "iso"}:
        return _ordered("-", "", "ymd") if all_valid else _no_date(present)
    (name,) = names if len(names) == 1 else ("",)
    if name[:1] == "y":
        return _ordered(name[1], name[2:], "ymd") if all_valid else _no_date(present)
    if name[:1] == "d":
        return _day_or_month(name, present[name])
    return None


def _day_or_month(name: str, shape: Shape) -> Found:
    day, month = shape.day_first == shape.count, shape.month_first == shape.count
    first, second = (_ordered(name[1], name[2:], order) for order in ("dmy", "mdy"))
    if day and month:
        if not shape.differ:
            return replace(first, settled=False)
        orders = tuple(found.kind.what.removeprefix("of the format ") for found in (first, second))
        return replace(first, settled=False, orders=orders)
    if day or month:
        return first if day else second
    return _no_date({name: shape})


def _ordered(sign: str, suffix: str, order: str) -> Found:
    time, times = TIMES[suffix]
    formats = [ORDERS[order].format(s=sign) + text for text in times]
    separator, two = SEPARATORS[sign], "[0-9]{1,2}"
    parts = [kinds.YEAR, two, two] if order == "ymd" else [two, two, kinds.YEAR]
    pattern = separator.join(parts) + time
    kind = kinds.formatted("TIMESTAMP" if suffix else "DATE", formats, pattern)
    return Found(kind, f"is read as {formats[0]}")


def _no_date(present: Mapping[str, Shape]) -> Found:
    example = min(shape.example for shape in present.values())
    return Found(
        note=f"stays text: some of its values, like {example!r}, are no valid date or time"
    )


_REASONS: Final = {
    "zeros": "has leading zeros; --type {name}=BIGINT drops them",
    "plus": "has a plus sign; --type {name}=BIGINT drops it",
    "exponent": "has an exponent; --type {name}=DOUBLE makes a number of it",
    "nan": "is no number; --null with that text makes it a missing value",
    "fine": "has more than the 6 digits of a second that are kept",
    "groups": "has groups of digits; --thousands tells the sign between them",
    "apart": "has groups of digits; --thousands tells the sign between them",
    "comma": "has a comma; --decimal or --thousands tells what it means",
    "comma3": "has a comma; --decimal or --thousands tells what it means",
    "short": "has a year of two digits; --date-format tells how to read it",
}


def _why_text(present: Mapping[str, Shape]) -> str:
    """Return why a column stays text, if one could expect something else."""
    total = sum(shape.count for shape in present.values())
    text = present.get("text")
    if text is not None and text.count * 3 > total:
        return ""
    for name, shape in present.items():
        reason = _REASONS.get("short" if name.startswith("short") else name)
        if reason:
            return f"stays text: {shape.example!r} {reason}"
    if text is not None:
        return (
            f"stays text: {text.example!r} is of another kind than most of its values; --null with "
            "that text makes it a missing value"
        )
    examples = ", ".join(repr(shape.example) for shape in list(present.values())[:3])
    return f"stays text: it has values of several kinds, like {examples}"


def check_formats(connection: duckdb.DuckDBPyConnection, csv: CsvOptions) -> None:
    """Check that the formats given for dates and times are some.

    Raises:
        InputError: DuckDB does not know one of them.
    """
    flag, text = "--date-format", csv.date_format
    try:
        connection.execute("SELECT try_strptime('1', $1)", [text or "%Y"]).fetchall()
        flag, text = "--timestamp-format", csv.timestamp_format
        connection.execute("SELECT try_strptime('1', $1)", [text or "%Y"]).fetchall()
    except duckdb.Error as error:
        raise UsageError(
            f"{flag} {text!r} is no format: {first_line(error)} An example is %d/%m/%Y."
        ) from error
