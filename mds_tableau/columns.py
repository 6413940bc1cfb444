"""What becomes of one column on its way from a mart to Parquet and into a Hyper extract.

The words that the stages share: types of an extract, the plan of a column, and quoting. Which plan
a DuckDB type gets is decided in `column_rules`; running the checks of a plan belongs to `values`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BASE_FILE_VERSION: Final = 2
"""Hyper file version that every supported Tableau opens."""

WIDE_NUMERIC_FILE_VERSION: Final = 3
"""Hyper file version needed by NUMERIC of more than 18 digits."""

OLDEST_TABLEAU: Final = {
    BASE_FILE_VERSION: "Tableau 2020.4.15, 2021.1.12 or 2022.1.2",
    WIDE_NUMERIC_FILE_VERSION: "Tableau Desktop 2022.4.1, Server 2023.1, Prep 2022.4.1",
}
"""Oldest products that open a file version, as Tableau documents them."""

# Each type of an extract, with the DuckDB type in which its values are compared: the widest that
# all DuckDB types that become it fit into without a change.
_COMPARED_AS: Final = {
    "BOOL": "BOOLEAN",
    "SMALL_INT": "SMALLINT",
    "INT": "INTEGER",
    "BIG_INT": "BIGINT",
    "DOUBLE": "DOUBLE",
    "NUMERIC": "DECIMAL",
    "TEXT": "VARCHAR",
    "DATE": "DATE",
    "TIME": "TIME",
    "TIMESTAMP": "TIMESTAMP",
    "TIMESTAMP_TZ": "TIMESTAMPTZ",
    "GEOGRAPHY": "VARCHAR",
}


@dataclass(frozen=True)
class HyperType:
    """A type of a column in an extract, in Hyper's own words.

    Attributes:
        name: `BOOL`, `SMALL_INT`, `INT`, `BIG_INT`, `DOUBLE`, `NUMERIC`, `TEXT`, `DATE`, `TIME`,
            `TIMESTAMP`, `TIMESTAMP_TZ` or `GEOGRAPHY`.
        precision: Digits in all, of a NUMERIC.
        scale: Digits after the point, of a NUMERIC.
    """

    name: str
    precision: int | None = None
    scale: int | None = None

    def __str__(self) -> str:
        if self.name == "NUMERIC":
            return f"NUMERIC({self.precision},{self.scale})"
        return self.name

    @classmethod
    def parse(cls, text: str) -> "HyperType":
        """Return the type that `str` made `text` of.

        Raises:
            ValueError: It is no such text.

        >>> HyperType.parse("NUMERIC(12,2)").scale
        2
        """
        found = re.fullmatch(r"([A-Z_]+)(?:\((\d+),(\d+)\))?", text)
        is_numeric = text.startswith("NUMERIC")
        if found is None or found[1] not in _COMPARED_AS or is_numeric != bool(found[2]):
            raise ValueError(f"{text!r} is not a type of an extract")
        return cls(found[1], *(int(digits) for digits in found.groups()[1:] if digits))

    @property
    def file_version(self) -> int:
        """Lowest Hyper file version that can hold this type."""
        wide = self.name == "NUMERIC" and (self.precision or 0) > 18
        return WIDE_NUMERIC_FILE_VERSION if wide else BASE_FILE_VERSION

    @property
    def compared_as(self) -> str:
        """DuckDB type in which values of this type are compared between two stages."""
        digits = f"({self.precision},{self.scale})" if self.name == "NUMERIC" else ""
        return _COMPARED_AS[self.name] + digits


_SINGULAR: Final = {"are": "is", "do": "does", "have": "has", "hold": "holds", "lie": "lies"}


@dataclass(frozen=True)
class Check:
    """A look at the values of a column before they are exported.

    Attributes:
        condition: SQL that is true for an offending row.
        what: What is wrong with the rows, such as `are infinite`; begins with a verb.
        options: What an analyst can ask for such a column instead, such as `as: text`.
        stops: Whether an offending row stops the export; if not, it is a warning.
    """

    condition: str
    what: str
    options: tuple[str, ...] = ()
    stops: bool = True

    def of(self, rows: int) -> str:
        """Return what is wrong with so many rows.

        >>> Check("true", "are infinite").of(1)
        '1 row is infinite'
        """
        verb, _, rest = self.what.partition(" ")
        return f"{counted(rows, 'row')} {_SINGULAR[verb] if rows == 1 else verb} {rest}"


@dataclass(frozen=True)
class ColumnPlan:
    """What becomes of one column of a mart.

    Attributes:
        name: Its name, the same in the mart, in Parquet and in the extract.
        duckdb_type: Its type in the mart, as DuckDB's DESCRIBE prints it.
        expression: SQL of the value that is exported.
        cast: What the expression does, in short; "" when the column is exported as it is.
        export_type: DuckDB type of the expression.
        hyper_type: Its type in the extract.
        checks: What is looked at before the export.
        loses: What the extract does not keep of it; "" for nothing.
    """

    name: str
    duckdb_type: str
    expression: str
    cast: str
    export_type: str
    hyper_type: HyperType
    checks: tuple[Check, ...] = ()
    loses: str = ""

    @property
    def selected(self) -> str:
        """SQL that the export selects for this column."""
        quoted = quote_identifier(self.name)
        return self.expression if self.expression == quoted else f"{self.expression} AS {quoted}"

    @property
    def parquet_type(self) -> str:
        """Physical and logical type that DuckDB writes for the expression."""
        return parquet_type(self.export_type)

    @property
    def note(self) -> str:
        """What is lost and what is checked, in words."""
        stops = [check.what for check in self.checks if check.stops]
        warns = [check.what for check in self.checks if not check.stops]
        parts = [
            f"loses {self.loses}" if self.loses else "",
            f"refused: rows that {' or '.join(stops)}" if stops else "",
            f"counted: rows that {' or '.join(warns)}" if warns else "",
        ]
        return "; ".join(part for part in parts if part)


_PARQUET: Final = {
    "BOOLEAN": "BOOLEAN",
    "TINYINT": "INT32 (INT_8)",
    "SMALLINT": "INT32 (INT_16)",
    "UTINYINT": "INT32 (UINT_8)",
    "USMALLINT": "INT32 (UINT_16)",
    "INTEGER": "INT32 (INT_32)",
    "UINTEGER": "INT32 (UINT_32)",
    "BIGINT": "INT64 (INT_64)",
    "DOUBLE": "DOUBLE",
    "VARCHAR": "BYTE_ARRAY (UTF8)",
    "DATE": "INT32 (DATE)",
    "TIME": "INT64 (TIME_MICROS)",
    "TIMESTAMP": "INT64 (TIMESTAMP_MICROS)",
    "TIMESTAMP WITH TIME ZONE": "INT64 (TIMESTAMP_MICROS, UTC)",
}


def parquet_type(export_type: str) -> str:
    """Return the physical and converted type that DuckDB 2.0 writes for a DuckDB type.

    >>> parquet_type("DECIMAL(12,2)")
    'INT64 (DECIMAL)'
    """
    if found := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", export_type):
        digits = int(found[1])
        physical = "INT32" if digits <= 9 else "INT64" if digits <= 18 else "FIXED_LEN_BYTE_ARRAY"
        return f"{physical} (DECIMAL)"
    return _PARQUET[export_type]


def counted(number: int, noun: str) -> str:
    """Return so many of something in words.

    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def quote_identifier(name: str) -> str:
    """Return `name` as a quoted SQL identifier, in DuckDB's and in Hyper's syntax alike.

    >>> print(quote_identifier('a "b" c'))
    "a ""b"" c"
    """
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return `text` as a quoted SQL text.

    >>> print(quote_text("it's"))
    'it''s'
    """
    return "'" + text.replace("'", "''") + "'"


def quote_path(path: Path) -> str:
    """Return `path` as a quoted SQL text.

    >>> print(quote_path(Path("it's.csv")))
    'it''s.csv'
    """
    return quote_text(str(path))


def file_version(columns: Iterable[tuple[str, HyperType]]) -> tuple[int, tuple[str, ...]]:
    """Return the Hyper file version that the columns need, and the columns that raised it.

    >>> file_version([("day", HyperType("DATE")), ("net", HyperType("NUMERIC", 38, 2))])
    (3, ('net',))
    """
    versions = {name: hyper_type.file_version for name, hyper_type in columns}
    version = max(versions.values(), default=BASE_FILE_VERSION)
    raised = version > BASE_FILE_VERSION
    return version, tuple(name for name in versions if raised and versions[name] == version)
