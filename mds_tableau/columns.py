"""Decides, for each DuckDB type, what a column becomes in Parquet and in a Hyper extract.

The decision is static by type and never looks at the data, so that today's run and tomorrow's give
the same schema. Checks of values and per-column opt-ins will join the plan here; writing files
does not belong here. Facts: the types that Hyper reads from Parquet without loss were measured
with DuckDB 2.0.0 and Hyper API 0.0.26963, and the tests repeat the measurement.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mds_tableau.errors import UnsupportedColumn

BASE_FILE_VERSION: Final = 2
"""Hyper file version that every supported Tableau opens."""

WIDE_NUMERIC_FILE_VERSION: Final = 3
"""Hyper file version needed by NUMERIC of more than 18 digits (Tableau 2022.4.1, Server 2023.1)."""


_HYPER_TYPES: Final = frozenset(
    [
        "BOOL",
        "SMALL_INT",
        "INT",
        "BIG_INT",
        "DOUBLE",
        "NUMERIC",
        "TEXT",
        "DATE",
        "TIME",
        "TIMESTAMP",
        "TIMESTAMP_TZ",
    ]
)


@dataclass(frozen=True)
class HyperType:
    """A type of a column in an extract, in Hyper's own words.

    Attributes:
        name: `BOOL`, `SMALL_INT`, `INT`, `BIG_INT`, `DOUBLE`, `NUMERIC`, `TEXT`, `DATE`, `TIME`,
            `TIMESTAMP` or `TIMESTAMP_TZ`.
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
        if found is None or found[1] not in _HYPER_TYPES or is_numeric != bool(found[2]):
            raise ValueError(f"{text!r} is not a type of an extract")
        return cls(found[1], *(int(digits) for digits in found.groups()[1:] if digits))

    @property
    def file_version(self) -> int:
        """Lowest Hyper file version that can hold this type."""
        wide = self.name == "NUMERIC" and (self.precision or 0) > 18
        return WIDE_NUMERIC_FILE_VERSION if wide else BASE_FILE_VERSION


@dataclass(frozen=True)
class ColumnPlan:
    """What becomes of one column of a mart.

    Attributes:
        name: Its name, the same in the mart, in Parquet and in the extract.
        duckdb_type: Its type in the mart, as DuckDB's DESCRIBE prints it.
        cast: DuckDB type that the export casts it to; None when it is exported as it is. The
            cast is a checked one: a value that does not fit fails the export.
        hyper_type: Its type in the extract.
    """

    name: str
    duckdb_type: str
    cast: str | None
    hyper_type: HyperType

    @property
    def bad_value(self) -> str | None:
        """SQL condition that is true for a value that would change on its way; None for none.

        Hyper reads an infinite timestamp as the year 294247, without a word.
        """
        if self.hyper_type.name in {"DATE", "TIMESTAMP", "TIMESTAMP_TZ"}:
            return f"NOT isfinite({quote_identifier(self.name)})"
        return None

    @property
    def expression(self) -> str:
        """SQL that the export selects for this column."""
        quoted = quote_identifier(self.name)
        return f"CAST({quoted} AS {self.cast}) AS {quoted}" if self.cast else quoted


def quote_identifier(name: str) -> str:
    """Return `name` as a quoted SQL identifier, in DuckDB's and in Hyper's syntax alike.

    >>> print(quote_identifier('a "b" c'))
    "a ""b"" c"
    """
    return '"' + name.replace('"', '""') + '"'


def quote_path(path: Path) -> str:
    """Return `path` as a quoted SQL text.

    >>> print(quote_path(Path("it's.csv")))
    'it''s.csv'
    """
    return "'" + str(path).replace("'", "''") + "'"


_DIRECT: Final = {
    "BOOLEAN": "BOOL",
    "TINYINT": "SMALL_INT",
    "SMALLINT": "SMALL_INT",
    "UTINYINT": "SMALL_INT",
    "INTEGER": "INT",
    "USMALLINT": "INT",
    "BIGINT": "BIG_INT",
    "UINTEGER": "BIG_INT",
    "DOUBLE": "DOUBLE",
    "VARCHAR": "TEXT",
    "DATE": "DATE",
    "TIME": "TIME",
    "TIMESTAMP": "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_TZ",
}

_CAST: Final = {
    # DuckDB writes the 128-bit integers to Parquet as DOUBLE, silently
    "HUGEINT": ("BIGINT", HyperType("BIG_INT")),
    "UHUGEINT": ("DECIMAL(38,0)", HyperType("NUMERIC", 38, 0)),
    # Hyper cannot read unsigned 64-bit integers
    "UBIGINT": ("DECIMAL(20,0)", HyperType("NUMERIC", 20, 0)),
    "BIGNUM": ("VARCHAR", HyperType("TEXT")),
    # Hyper sums a REAL in 32 bits, and needs file version 4 for it
    "FLOAT": ("DOUBLE", HyperType("DOUBLE")),
    # DuckDB hashes an ENUM otherwise than its text, which the comparison would take for a change
    "ENUM": ("VARCHAR", HyperType("TEXT")),
    "BIT": ("VARCHAR", HyperType("TEXT")),
    "UUID": ("VARCHAR", HyperType("TEXT")),
    "TYPE": ("VARCHAR", HyperType("TEXT")),
    "JSON": ("VARCHAR", HyperType("TEXT")),
    "TIMESTAMP_S": ("TIMESTAMP", HyperType("TIMESTAMP")),
    "TIMESTAMP_MS": ("TIMESTAMP", HyperType("TIMESTAMP")),
    # Hyper cannot read nanosecond times and drops the offset of a TIMETZ
    "TIME_NS": ("VARCHAR", HyperType("TEXT")),
    "TIME WITH TIME ZONE": ("VARCHAR", HyperType("TEXT")),
}

_NESTED_REMEDY = (
    "Convert it in the model, for example CAST(to_json({column}) AS VARCHAR) or one column for "
    "each part, or leave it out"
)
_NANOSECOND_REMEDY = (
    "Hyper cuts nanoseconds off without a word. Decide in the model: "
    "CAST({column} AS TIMESTAMP) rounds to microseconds, CAST({column} AS VARCHAR) keeps them"
)
_REFUSED: Final = {
    "BLOB": "Leave it out, or convert it in the model: hex({column}) or base64({column})",
    "GEOMETRY": "Leave it out, or export its text from the model: ST_AsText({column})",
    "INTERVAL": (
        "Tableau has no such type. Convert it in the model: epoch_us({column}) for microseconds, "
        "epoch({column}) for seconds, or CAST({column} AS VARCHAR)"
    ),
    "STRUCT": _NESTED_REMEDY,
    "MAP": _NESTED_REMEDY,
    "UNION": _NESTED_REMEDY,
    "VARIANT": _NESTED_REMEDY,
    "TIMESTAMP_NS": _NANOSECOND_REMEDY,
    "TIMESTAMPTZ_NS": _NANOSECOND_REMEDY.replace("AS TIMESTAMP)", "AS TIMESTAMPTZ)"),
    '"NULL"': "It has no type at all. Give it one in the model: CAST(NULL AS VARCHAR)",
}


def _plan(name: str, duckdb_type: str) -> ColumnPlan | str:
    """Plan one column; a string is the remedy for a refused one."""
    if duckdb_type.endswith("]"):
        return _NESTED_REMEDY
    base = duckdb_type.partition("(")[0]
    if base == "DECIMAL" and (found := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", duckdb_type)):
        numeric = HyperType("NUMERIC", int(found[1]), int(found[2]))
        return ColumnPlan(name, duckdb_type, None, numeric)
    if base in _DIRECT:
        return ColumnPlan(name, duckdb_type, None, HyperType(_DIRECT[base]))
    if base in _CAST:
        cast, hyper_type = _CAST[base]
        return ColumnPlan(name, duckdb_type, cast, hyper_type)
    return _REFUSED.get(
        base, "Cast it in the model to a type that the README lists, or leave it out"
    )


def plan_columns(
    described: Iterable[tuple[str, str]], *, mart: str, file: str
) -> tuple[ColumnPlan, ...]:
    """Return the plan for each column of a mart, in the mart's order.

    Args:
        described: Name and DuckDB type of each column, as DESCRIBE gives them.
        mart: Name of the mart, for the message.
        file: Path of the model's SQL file, for the message.

    Raises:
        UnsupportedColumn: At least one column has a type that an extract cannot hold; names all
            of them with what to write instead.

    >>> [plan] = plan_columns([("total", "HUGEINT")], mart="daily", file="daily.sql")
    >>> plan.expression, str(plan.hyper_type)
    ('CAST("total" AS BIGINT) AS "total"', 'BIG_INT')
    """
    plans: list[ColumnPlan] = []
    refused: dict[str, str] = {}
    for name, duckdb_type in described:
        plan = _plan(name, duckdb_type)
        if isinstance(plan, ColumnPlan):
            plans.append(plan)
        else:
            remedy = plan.replace("{column}", quote_identifier(name))
            refused[name] = (
                f"column '{name}' has type {duckdb_type}, which a Hyper extract cannot hold. "
                f"{remedy}."
            )
    if refused:
        lines = "".join(f"\n- {line}" for line in refused.values())
        raise UnsupportedColumn(
            f"Cannot export mart '{mart}' ({file}):{lines}", mart=mart, columns=tuple(refused)
        )
    return tuple(plans)


def file_version(columns: Iterable[tuple[str, HyperType]]) -> tuple[int, tuple[str, ...]]:
    """Return the Hyper file version that the columns need, and the columns that raised it.

    >>> file_version([("day", HyperType("DATE")), ("net", HyperType("NUMERIC", 38, 2))])
    (3, ('net',))
    """
    versions = {name: hyper_type.file_version for name, hyper_type in columns}
    version = max(versions.values(), default=BASE_FILE_VERSION)
    raised = version > BASE_FILE_VERSION
    return version, tuple(name for name in versions if raised and versions[name] == version)
