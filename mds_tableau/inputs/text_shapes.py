"""Sorts the values of columns of text by their shape, such as `a whole number` or `12/31/2026`.

Each value has one shape; what the shapes of a column make of it belongs to `text_types`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import duckdb

from mds_tableau.columns import quote_text
from mds_tableau.inputs import kinds
from mds_tableau.inputs.csv_options import CsvOptions
from mds_tableau.inputs.kinds import PLAIN, Signs

SEPARATORS: Final = {"/": "/", ".": "[.]", "-": "-"}
TIMES: Final = {
    "": ("", ("",)),
    "t": (" [0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?", (" %H:%M:%S", " %H:%M")),
    "p": (
        " [0-9]{1,2}:[0-9]{2}(?::[0-9]{2})? ?[AaPp][Mm]",
        (" %I:%M:%S %p", " %I:%M %p", " %I:%M:%S%p", " %I:%M%p"),
    ),
}
ORDERS: Final = {"dmy": "%d{s}%m{s}%Y", "mdy": "%m{s}%d{s}%Y", "ymd": "%Y{s}%m{s}%d"}
_GROUPS: Final = "-?[1-9][0-9]{0,2}"
MONTH_FORMATS: Final = ("%d-%b-%Y", "%d %b %Y")
MONTH_PATTERN: Final = "[0-9]{1,2}[- ][A-Za-z]{3}[- ]" + kinds.YEAR


@dataclass(frozen=True)
class Shape:
    """The values of one column that have the same shape.

    Attributes:
        count: How many.
        whole: Most digits before the decimal sign.
        scale: Most digits after it.
        kept: How many a DOUBLE keeps digit by digit.
        valid: How many are a number of 64 bits, or a date or time that exists.
        day_first: How many are a date if the day is first; also `month_first`.
        differ: How many are a date either way, and another one.
        example: One of them.
    """

    count: int
    whole: int
    scale: int
    kept: int
    valid: int
    day_first: int
    month_first: int
    differ: int
    example: str


def shapes(
    connection: duckdb.DuckDBPyConnection, relation: str, columns: Sequence[str], csv: CsvOptions
) -> list[dict[str, Shape]]:
    """Return the shapes of the values of each of some quoted columns of text."""
    found: list[dict[str, Shape]] = [{} for _ in columns]
    listed = ", ".join(columns)
    rows = connection.execute(
        f"""WITH texts AS (
            SELECT unnest(range({len(columns)})) AS i, unnest([{listed}]) AS v FROM {relation}
        ), trimmed AS (
            SELECT i, v, trim(v) AS t FROM texts WHERE v IS NOT NULL
        ), shaped AS (
            SELECT *, CASE {_cascade(csv)} ELSE 'text' END AS shape FROM trimmed
        ), plain AS (
            SELECT *, {_plain(csv)} AS n, strpos(ltrim(n, '-') || '.', '.') - 1 AS whole,
                split_part(t, ' ', 1) AS day FROM shaped
        ), dated AS (
            SELECT *,
                CASE WHEN shape[:1] = 'd' THEN {_slashed("dmy")} END AS dmy,
                CASE WHEN shape[:1] = 'd' THEN {_slashed("mdy")} END AS mdy,
                CASE WHEN shape IN ('whole', 'point', 'point3', 'comma', 'comma3', 'en', 'eu',
                    'grouped', 'scientific') THEN {kinds.survives("n")} END AS kept,
                CASE shape WHEN 'whole' THEN TRY_CAST(n AS BIGINT) IS NOT NULL
                    WHEN 'iso' THEN TRY_CAST(t AS DATE) IS NOT NULL
                    WHEN 'stamp' THEN TRY_CAST(t AS TIMESTAMP) IS NOT NULL
                    WHEN 'zoned' THEN TRY_CAST(t AS TIMESTAMPTZ) IS NOT NULL
                    WHEN 'time' THEN TRY_CAST(t AS TIME) IS NOT NULL
                    WHEN 'month' THEN try_strptime(t, ['%d-%b-%Y', '%d %b %Y']) IS NOT NULL
                    ELSE CASE WHEN shape[:1] = 'y' THEN {_slashed("ymd")} IS NOT NULL END
                END AS valid
            FROM plain
        )
        SELECT i, shape, count(*), max(whole), max(greatest(length(ltrim(n, '-')) - whole - 1, 0)),
            count_if(kept), count_if(valid), count(dmy), count(mdy), count_if(dmy <> mdy),
            coalesce(min(v) FILTER (valid = false OR (shape[:1] = 'd' AND dmy IS NULL)), min(v))
        FROM dated GROUP BY i, shape"""  # noqa: S608
    ).fetchall()
    for index, shape, *facts in rows:
        found[index][shape] = Shape(*facts)
    return found


def _cascade(csv: CsvOptions) -> str:
    """Return the conditions of the shapes, most common first, of a trimmed text `t`."""
    given = [
        (name, kind.fits("t"))
        for name, kind, text in (
            ("given date", kinds.formatted("DATE", [csv.date_format]), csv.date_format),
            ("given stamp", kinds.stamped(csv.timestamp_format), csv.timestamp_format),
        )
        # of a format without signs between, as %Y%m%d, numbers would become dates
        if any(sign in text for sign in " /.-:,")
    ]
    patterns = {**_number_patterns(csv), **_OTHER_PATTERNS}
    for sign, pattern in SEPARATORS.items():
        for suffix, (time, _) in TIMES.items():
            year, two = kinds.YEAR, "[0-9]{1,2}"
            patterns[f"d{sign}{suffix}"] = f"{two}{pattern}{two}{pattern}{year}{time}"
            patterns[f"y{sign}{suffix}"] = f"{year}{pattern}{two}{pattern}{two}{time}"
            patterns[f"short{sign}{suffix}"] = f"{two}{pattern}{two}{pattern}{two}{time}"
    conditions = [("empty", "t = ''"), *given]
    conditions += [
        (shape, f"regexp_full_match(t, {quote_text(pattern)})")
        for shape, pattern in patterns.items()
    ]
    return " ".join(f"WHEN {condition} THEN {quote_text(name)}" for name, condition in conditions)


def _number_patterns(csv: CsvOptions) -> dict[str, str]:
    if csv.decimal or csv.thousands:
        signs = Signs(csv.decimal_sign, csv.thousands)
        patterns = {"whole": f"-?{signs.whole}", "point": signs.number()}
        if not csv.thousands:
            # beside a decimal sign that was said, the other one can only stand between thousands
            groups = f"{_GROUPS}(?:{kinds.literal(signs.other)}[0-9]{{3}})+"
            patterns["grouped"] = groups + signs.fraction()
            patterns["groups"] = groups
        return patterns
    return {
        "whole": f"-?{PLAIN.whole}",
        "point3": f"{_GROUPS}[.][0-9]{{3}}",
        "point": PLAIN.number(),
        "comma3": f"{_GROUPS},[0-9]{{3}}",
        "comma": f"-?{PLAIN.whole},[0-9]+",
        "eu": f"{_GROUPS}(?:[.][0-9]{{3}})+,[0-9]+",
        "en": f"{_GROUPS}(?:,[0-9]{{3}})+[.][0-9]+",
        "groups": f"{_GROUPS}(?:(?:,[0-9]{{3}}){{2,}}|(?:[.][0-9]{{3}}){{2,}})",
    }


_OTHER_PATTERNS: Final = {
    "iso": kinds.ISO_DATE,
    "stamp": f"{kinds.ISO_DATE}[ T]{kinds.CLOCK}(?:{kinds.SECONDS})?",
    "zoned": f"{kinds.ISO_DATE}[ T]{kinds.CLOCK}(?:{kinds.SECONDS})?{kinds.OFFSET}",
    "fine": f"{kinds.ISO_DATE}[ T]{kinds.CLOCK}:[0-5][0-9][.][0-9]{{7,}}(?:{kinds.OFFSET})?",
    "time": kinds.CLOCK + kinds.SECONDS,
    "bool": "(?i:true|false)",
    "scientific": kinds.SCIENTIFIC,
    "exponent": "[+-]?[0-9.]+[eE][+-]?[0-9]+",
    "apart": _GROUPS + "(?:[ '\u2019\u00a0\u202f][0-9]{3})+(?:[.,][0-9]+)?",
    "zeros": "-?0[0-9]+(?:[.,][0-9]+)?",
    "plus": "[+][0-9][0-9.,]*",
    "nan": "(?i:[+-]?(?:nan|inf|infinity))",
    "month": MONTH_PATTERN,
}


def _plain(csv: CsvOptions) -> str:
    if csv.decimal or csv.thousands:
        signs = Signs(csv.decimal_sign, csv.thousands)
        grouped = Signs(signs.decimal, signs.other).plain("t")
        return f"CASE WHEN shape = 'grouped' THEN {grouped} ELSE {signs.plain('t')} END"
    return (
        "CASE WHEN shape IN ('comma', 'comma3', 'eu') THEN replace(replace(t, '.', ''), ',', '.') "
        "WHEN shape = 'en' THEN replace(t, ',', '') ELSE t END"
    )


def _slashed(order: str) -> str:
    formats = [
        quote_text(ORDERS[order].format(s="/") + time)
        for _, times in TIMES.values()
        for time in times
    ]
    return f"try_strptime(translate(t, '.-', '//'), [{', '.join(formats)}])"
