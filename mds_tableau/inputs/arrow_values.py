"""Makes Arrow columns of the Python values that a database driver returns, none of them changed.

Only values of the Python types that belong to a column are let through, because Arrow would cut a
moment to its day, and shift one with a zone, without a word. Where values come from, and which
column is of which kind, belongs to `sqlalchemy_types`.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

_DAY: Final = dt.timedelta(days=1)
_REFUSALS: Final = (pa.ArrowException, ValueError, TypeError, OverflowError)


@dataclass(frozen=True)
class Kind:
    """How values of a column travel.

    Attributes:
        duckdb_type: What they are in DuckDB when they arrive.
        arrow_type: What they are in Arrow.
        accepted: Python types that they may have.
        fits: Whether a value of such a type can be held; None when all can.
        made: What is made of a value first; None for nothing.
    """

    duckdb_type: str
    arrow_type: pa.DataType
    accepted: frozenset[type]
    fits: Callable[[Any], bool] | None = None
    made: Callable[[Any], Any] | None = None


class MisfitError(Exception):
    """A value cannot be held by the kind of its column.

    Attributes:
        position: Where it is in the column, from 0.
    """

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


def _time(value: Any) -> dt.time:
    if isinstance(value, dt.time):
        return value
    moment: dt.datetime = dt.datetime.min + value
    return moment.time()


def _is_time(value: Any) -> bool:
    if isinstance(value, dt.timedelta):
        return dt.timedelta(0) <= value < _DAY
    return value.tzinfo is None


BOOLEAN: Final = Kind("BOOLEAN", pa.bool_(), frozenset({bool}))
BIGINT: Final = Kind("BIGINT", pa.int64(), frozenset({int}))
UBIGINT: Final = Kind("UBIGINT", pa.uint64(), frozenset({int}))
DOUBLE: Final = Kind("DOUBLE", pa.float64(), frozenset({float, int}))
TEXT: Final = Kind("VARCHAR", pa.string(), frozenset({str}))
NUMBER_TEXT: Final = Kind(
    "VARCHAR", pa.string(), frozenset({Decimal, int}), made=lambda value: format(value, "f")
)
BLOB: Final = Kind("BLOB", pa.binary(), frozenset({bytes, bytearray, memoryview}), made=bytes)
DATE: Final = Kind("DATE", pa.date32(), frozenset({dt.date}))
TIME: Final = Kind("TIME", pa.time64("us"), frozenset({dt.time, dt.timedelta}), _is_time, _time)
TIMESTAMP: Final = Kind(
    "TIMESTAMP",
    pa.timestamp("us"),
    frozenset({dt.datetime}),
    lambda value: value.tzinfo is None,
)
TIMESTAMPTZ: Final = Kind(
    "TIMESTAMP WITH TIME ZONE",
    pa.timestamp("us", "UTC"),
    frozenset({dt.datetime}),
    lambda value: value.tzinfo is not None,
)
INTERVAL: Final = Kind("INTERVAL", pa.duration("us"), frozenset({dt.timedelta}))
UUID: Final = Kind("VARCHAR", pa.string(), frozenset({uuid.UUID}), made=str)


def decimal(precision: int, scale: int) -> Kind:
    """Return the kind of numbers with so many digits, of them so many after the point."""
    return Kind(
        f"DECIMAL({precision},{scale})",
        pa.decimal128(precision, scale),
        frozenset({Decimal, int}),
    )


def kind_of(values: Sequence[Any], digits: tuple[int, int] | None) -> Kind | None:
    """Return the kind that values are of, None when there are none or no kind holds them.

    Args:
        values: Values of one column.
        digits: Precision and scale that the driver told, if it did.
    """
    types = {type(value) for value in values} - {type(None)}
    if types == {dt.datetime}:
        first = next(value for value in values if value is not None)
        return TIMESTAMP if first.tzinfo is None else TIMESTAMPTZ
    if types == {Decimal}:
        return decimal(*(digits or (38, 9)))
    # where several accept a type, the first is the closest
    kinds = (BOOLEAN, BIGINT, DOUBLE, TEXT, BLOB, DATE, TIME, UUID)
    interval = types == {dt.timedelta}
    found = (kind for kind in kinds if types and types <= kind.accepted)
    return INTERVAL if interval else next(found, None)


def array(values: Sequence[Any], kind: Kind) -> pa.Array:
    """Return the values as an Arrow column.

    Raises:
        MisfitError: A value cannot be held as it is.
    """
    accepted = set(map(type, values)) <= {*kind.accepted, type(None)}
    if accepted and kind.fits:
        accepted = all(value is None or kind.fits(value) for value in values)
    if accepted:
        made = kind.made
        travelling = [None if v is None else made(v) for v in values] if made else values
        try:
            return pa.array(travelling, type=kind.arrow_type)
        except _REFUSALS:
            pass
    position = next(n for n, v in enumerate(values) if v is not None and not _held(v, kind))
    raise MisfitError(position)


def _held(value: Any, kind: Kind) -> bool:
    if type(value) not in kind.accepted or (kind.fits and not kind.fits(value)):
        return False
    try:
        pa.array([kind.made(value) if kind.made else value], type=kind.arrow_type)
    except _REFUSALS:
        return False
    return True
