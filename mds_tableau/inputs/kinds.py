"""How the text of one field becomes a value: the kinds of values, as SQL over a column of text.

A kind says which texts it takes and what they become, so that no text is ever changed without
saying so: `TRY_CAST` alone reads 00123 as 123, 1.5 as 2 and drops the offset of a time. Finding the
kind of a column belongs to `text_types`, reading files to `csv_files`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mds_tableau.columns import quote_text

YEAR: Final = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
ISO_DATE: Final = f"{YEAR}-[0-9]{{2}}-[0-9]{{2}}"
CLOCK: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
SECONDS: Final = ":[0-5][0-9](?:\\.[0-9]{1,6})?"
OFFSET: Final = " ?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)"
SCIENTIFIC: Final = "-?[0-9](?:\\.[0-9]+)?[eE][+-][0-9]{2,3}"
_ANY_SCIENTIFIC: Final = "(?:[eE][+-]?[0-9]+)?"


@dataclass(frozen=True)
class Kind:
    """A kind of values, in SQL where `{c}` stands for the column.

    Attributes:
        sql_type: DuckDB type of the values.
        what: What a text must be, in words, such as `a whole number`.
        takes: Condition that a text has to meet; a text that gives no value is not taken either.
        value: The value of a text that is taken.
        quick: Condition that is cheaper, and true for most texts that are taken; "" for none.
        quick_value: The value of these.
    """

    sql_type: str
    what: str
    takes: str
    value: str
    quick: str = ""
    quick_value: str = ""

    def fits(self, column: str) -> str:
        """Return SQL that says whether the text of a quoted column is of this kind, or missing."""
        quick = f"{self.quick} OR " if self.quick else ""
        sql = (
            f"coalesce({quick}{{c}} IS NULL OR trim({{c}}) = '' OR ({self.takes} AND {self.value} "
        )
        return (sql + "IS NOT NULL), false)").replace("{c}", column)

    def converted(self, column: str) -> str:
        """Return SQL of the value, which fails on a text that is of another kind."""
        if not self.takes:
            return column
        quick = f"WHEN {self.quick} THEN {self.quick_value} " if self.quick else ""
        sql = (
            f"CASE {quick}WHEN {{c}} IS NULL OR trim({{c}}) = '' THEN NULL "
            f"WHEN {self.takes} AND {self.value} IS NOT NULL THEN {self.value} "
            "ELSE error('another kind: ' || {c}) END"
        )
        return sql.replace("{c}", column)


TEXT: Final = Kind("VARCHAR", "text", "", "{c}")

BOOLEAN: Final = Kind(
    "BOOLEAN",
    "true or false",
    "lower(trim({c})) IN ('true', 'false')",
    "(lower(trim({c})) = 'true')",
)


def _matches(pattern: str, text: str = "{c}") -> str:
    return f"regexp_full_match({text}, {quote_text(' *(?:' + pattern + ') *')})"


def _round_trip(sql_type: str, more: str = "") -> dict[str, str]:
    value = f"TRY_CAST({{c}} AS {sql_type})"
    return {"quick": f"(CAST({value} AS VARCHAR) = {{c}}{more})", "quick_value": value}


DATE: Final = Kind(
    "DATE",
    "a date such as 2026-01-31",
    _matches(ISO_DATE),
    "TRY_CAST(trim({c}) AS DATE)",
    # by length, as 'infinity' and years before Christ come back as the same text too
    **_round_trip("DATE", " AND length({c}) = 10"),
)
TIMESTAMP: Final = Kind(
    "TIMESTAMP",
    "a date and time such as 2026-01-31 08:30:00",
    _matches(f"{ISO_DATE}(?:[ T]{CLOCK}(?:{SECONDS})?)?"),
    "TRY_CAST(trim({c}) AS TIMESTAMP)",
    **_round_trip("TIMESTAMP", " AND length({c}) = 19"),
)
TIMESTAMPTZ: Final = Kind(
    "TIMESTAMP WITH TIME ZONE",
    "a date and time with its offset such as 2026-01-31 08:30:00+01:00",
    _matches(f"{ISO_DATE}[ T]{CLOCK}(?:{SECONDS})?{OFFSET}"),
    "TRY_CAST(trim({c}) AS TIMESTAMPTZ)",
)
TIME: Final = Kind(
    "TIME",
    "a time of day such as 08:30:00",
    _matches(CLOCK + SECONDS),
    "TRY_CAST(trim({c}) AS TIME)",
)


@dataclass(frozen=True)
class Signs:
    """The signs that numbers are written with.

    Attributes:
        decimal: Between the whole and the rest.
        thousands: Between groups of three digits, or "".
    """

    decimal: str = "."
    thousands: str = ""

    @property
    def other(self) -> str:
        """The sign that groups digits where the decimal sign is this one, if any does."""
        return "." if self.decimal == "," else ","

    def plain(self, text: str) -> str:
        """Return SQL of a number's text with a point and without groups."""
        if self.thousands:
            text = f"replace({text}, {quote_text(self.thousands)}, '')"
        return text if self.decimal == "." else f"replace({text}, {quote_text(self.decimal)}, '.')"

    @property
    def whole(self) -> str:
        """Pattern of a whole number without a sign and without leading zeros."""
        if not self.thousands:
            return "(?:0|[1-9][0-9]*)"
        return f"(?:0|[1-9][0-9]*|[1-9][0-9]{{0,2}}(?:{literal(self.thousands)}[0-9]{{3}})+)"

    def fraction(self, most: str = "") -> str:
        """Pattern of the decimal sign and the digits after it, at `most` so many."""
        return f"{literal(self.decimal)}[0-9]{{1,{most}}}"

    def number(self, most: str = "") -> str:
        """Pattern of a number, with at `most` so many digits after the decimal sign."""
        return f"-?(?:{self.whole}(?:{self.fraction(most)})?|{self.fraction(most)})"


def literal(sign: str) -> str:
    """Return a pattern that matches one sign."""
    return f"[{sign}]" if sign not in "\\]^-" else f"\\{sign}"


PLAIN: Final = Signs()


def survives(number: str) -> str:
    """Return SQL that says whether the text of a number is kept by a DOUBLE, digit by digit."""
    mantissa = f"regexp_replace({number}, '[eE].*', '')"
    digits = f"length(ltrim(regexp_replace({mantissa}, '[^0-9]', '', 'g'), '0'))"
    value = f"TRY_CAST({number} AS DOUBLE)"
    return f"(isfinite({value}) AND ({digits} <= 15 OR CAST({value} AS VARCHAR) = {number}))"


def whole_number(signs: Signs) -> Kind:
    """Return the kind of whole numbers of 64 bits."""
    return Kind(
        "BIGINT",
        "a whole number",
        _matches("-?" + signs.whole),
        f"TRY_CAST({signs.plain('trim({c})')} AS BIGINT)",
        **(_round_trip("BIGINT") if signs == PLAIN else {}),
    )


def decimal_number(signs: Signs, precision: int, scale: int) -> Kind:
    """Return the kind of numbers with so many digits in all, and after the decimal sign."""
    sql_type = f"DECIMAL({precision},{scale})"
    return Kind(
        sql_type,
        f"a number with at most {scale} digits after '{signs.decimal}'",
        _matches(signs.number(str(scale))),
        f"TRY_CAST({signs.plain('trim({c})')} AS {sql_type})",
        **(_round_trip(sql_type) if signs == PLAIN else {}),
    )


def floating_number(signs: Signs) -> Kind:
    """Return the kind of numbers whose digits a DOUBLE keeps."""
    number = signs.plain("trim({c})")
    finite = " AND isfinite(TRY_CAST({c} AS DOUBLE))"
    return Kind(
        "DOUBLE",
        "a number of at most 15 digits",
        f"{_matches(f'{signs.number()}|{SCIENTIFIC}')} AND {survives(number)}",
        f"TRY_CAST({number} AS DOUBLE)",
        **(_round_trip("DOUBLE", finite) if signs == PLAIN else {}),
    )


def stamped(text: str) -> Kind:
    """Return the kind of dates with times in a format of strptime, with an offset if it has one."""
    # without the zone the clock would be the one of whoever runs this
    has_offset = "%z" in text.lower()
    return formatted(TIMESTAMPTZ.sql_type if has_offset else TIMESTAMP.sql_type, [text])


def formatted(sql_type: str, formats: Sequence[str], pattern: str = "") -> Kind:
    """Return the kind of dates or times in one of the formats of strptime."""
    listed = ", ".join(quote_text(text) for text in formats)
    # %Y also takes two digits, as a year of the first century
    needed = pattern or (".*[0-9]{4}.*" if any("%Y" in text for text in formats) else ".*")
    return Kind(
        sql_type,
        f"of the format {formats[0]}",
        _matches(needed),
        f"CAST(try_strptime(trim({{c}}), [{listed}]) AS {sql_type})",
    )


def requested(sql_type: str, signs: Signs) -> Kind:
    """Return the kind for a type that was asked for, as DuckDB prints it, other than of time.

    Leading zeros, a plus and exponents are allowed, as they were asked for; what would be rounded
    or cut is not.
    """
    number = signs.plain("trim({c})")
    mark, scale = literal(signs.decimal), ""
    what, group = f"a value of the type {sql_type}", literal(signs.thousands or "0")
    if sql_type == "VARCHAR":
        return TEXT
    if sql_type in _WHOLE:
        takes = _matches(f"[+-]?(?:[0-9]|{group})+(?:{mark}0*)?")
    elif sql_type.startswith("DECIMAL"):
        scale = sql_type.rstrip(")").split(",")[1]
        takes = _matches(f"[+-]?(?:[0-9]|{group})*(?:{mark}[0-9]{{0,{scale}}}0*)?")
        what += f", with at most {scale} digits after '{signs.decimal}'"
    elif sql_type in ("DOUBLE", "FLOAT"):
        digits = f"(?:[0-9]|{group})*(?:{mark}[0-9]*)?{_ANY_SCIENTIFIC}"
        takes = _matches(f"[+-]?(?:{digits}|(?i:nan|inf|infinity))")
    else:
        takes, number = "true", "{c}"
    return Kind(sql_type, what, takes, f"TRY_CAST({number} AS {sql_type})")


_WHOLE: Final = tuple(
    sign + size
    for sign in ("", "U")
    for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
)
