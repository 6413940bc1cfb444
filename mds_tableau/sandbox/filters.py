"""The query string of a list: pages, filters, sorting and fields.

Reading and applying them belongs here; which fields a list has does not. The syntax, the documented
fields' operators and the codes of refusals follow Tableau's page on filtering and sorting and its
error tables.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mds_tableau.sandbox import effects
from mds_tableau.sandbox.errors import ApiError, bad_request, not_implemented

DEFAULT_PAGE_SIZE = 100
LARGEST_PAGE_SIZE = 1000
LIST_PARAMETERS = frozenset({"pageSize", "pageNumber", "filter", "sort", "fields"})
PAGE_PARAMETERS = frozenset({"pageSize", "pageNumber"})
SORTABLE = ("name", "createdAt", "updatedAt")

EQUAL = frozenset({"eq"})
CHOICE = frozenset({"eq", "in"})
TEXT = frozenset({"eq", "has"})
RANGE = frozenset({"eq", "gt", "gte", "lt", "lte"})

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Condition:
    """One piece of a filter, as it was written.

    Attributes:
        field: Name of the field.
        operator: Such as eq.
        values: One value, or those of a bracketed list.
    """

    field: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Field:
    """A field that a list can be filtered by.

    Attributes:
        operators: The operators documented for it.
        get: Gives a row's value; None when the field is documented and the sandbox lacks it.
        convert: Makes a comparable value of one in a filter; raises ValueError.
        wildcard: Whether `*` in an eq stands for any characters.
        many: Whether a row has several values, of which one has to fit.
    """

    operators: frozenset[str]
    get: Callable[[Row], Any] | None = None
    convert: Callable[[str], Any] = str
    wildcard: bool = False
    many: bool = False


class BadFilter(ApiError):
    """A filter that cannot be understood, or not for this list."""

    def __init__(self, detail: str) -> None:
        super().__init__(400065, detail)


@dataclass(frozen=True)
class Page:
    """One page of a list.

    Attributes:
        rows: The page's rows.
        number: Its number, from 1.
        size: The page size asked for.
        total: Rows on all pages together.
    """

    rows: list[Row]
    number: int
    size: int
    total: int


def to_time(text: str) -> str:
    """Returns a time of a filter in the form in which rows hold it, so that text order is right."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").strftime("%Y-%m-%dT%H:%M:%SZ")


def to_flag(text: str) -> bool:
    """Returns a boolean of a filter."""
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


def parse_filter(text: str) -> tuple[Condition, ...]:
    """Returns a filter's conditions, all of which must hold; a repeated field's last one counts.

    Raises:
        BadFilter: A piece is not `field:operator:value`.
    """
    conditions: dict[str, Condition] = {}
    for piece in _split(text):
        name, operator, value = (*piece.split(":", 2), "", "")[:3]
        if piece.count(":") < 2 or not name or not operator:
            raise BadFilter(f"'{piece}' is not of the form field:operator:value.")
        if operator == "in":
            if not (value.startswith("[") and value.endswith("]")):
                raise BadFilter(f"'{piece}' needs its values in brackets.")
            values = tuple(value[1:-1].split(","))
        else:
            values = (value,)
        conditions[name] = Condition(name, operator, values)
    return tuple(conditions.values())


def apply_filter(
    rows: Sequence[Row], conditions: Sequence[Condition], fields: Mapping[str, Field]
) -> list[Row]:
    """Returns the rows for which all conditions hold.

    Raises:
        BadFilter: An unknown field or operator, or a value of the wrong form.
        ApiError: 501000; a documented field that the sandbox does not have.
    """
    kept = list(rows)
    for condition in conditions:
        holds = _predicate(condition, fields)
        kept = [row for row in kept if holds(row)]
    return kept


def apply_sort(rows: Sequence[Row], text: str, fields: Mapping[str, Field]) -> list[Row]:
    """Returns the rows sorted by `name:asc,updatedAt:desc` and the like.

    Raises:
        ApiError: 400000, not of that form; 501000, a field that the sandbox does not sort by.
    """
    ordered = list(rows)
    for piece in reversed(text.split(",")):
        name, _, direction = piece.partition(":")
        if direction not in {"asc", "desc"}:
            raise bad_request(f"Invalid sort expression '{piece}': field:asc or field:desc.")
        field = fields.get(name)
        if name not in SORTABLE or field is None or field.get is None:
            raise not_implemented(f"sorting by '{name}'")
        ordered.sort(key=_sort_key(field.get), reverse=direction == "desc")
    return ordered


def check_fields(text: str | None) -> None:
    """Refuses field expressions other than the two that change nothing here.

    Raises:
        ApiError: 501000; names the expression.
    """
    if text not in {None, "_default_", "_all_"}:
        raise not_implemented(f"the field expression '{text}'")


def paginate(rows: Sequence[Row], query: Mapping[str, str]) -> Page:
    """Returns the page that `pageSize` and `pageNumber` ask for.

    Raises:
        ApiError: 400006, a page number that is no number or past the end; 400007, a page size that
            is no number; 403014, a page size above 1000.
    """
    size = _positive(query.get("pageSize"), DEFAULT_PAGE_SIZE, 400007, "page size")
    if size > LARGEST_PAGE_SIZE:
        raise ApiError(
            403014, f"Page size '{size}' is larger than the maximum of {LARGEST_PAGE_SIZE}."
        )
    number = _positive(query.get("pageNumber"), 1, 400006, "page number")
    start = (number - 1) * size
    if number > max(1, math.ceil(len(rows) / size)):
        raise ApiError(
            400006,
            f"Invalid page number '{number}': The start index '{start}' is greater than or equal"
            " to the total count.",
        )
    return Page(list(rows[start : start + size]), number, size, len(rows))


def select(rows: Sequence[Row], query: Mapping[str, str], fields: Mapping[str, Field]) -> Page:
    """Returns the page of filtered and sorted rows that a query string asks for.

    Raises:
        ApiError: See `parse_filter`, `apply_filter`, `apply_sort`, `check_fields`, `paginate`.
    """
    check_fields(query.get("fields"))
    kept = apply_filter(effects.listed(rows), parse_filter(query.get("filter", "")), fields)
    if query.get("sort"):
        kept = apply_sort(kept, query["sort"], fields)
    return paginate(kept, query)


def _split(text: str) -> list[str]:
    """Splits at commas outside brackets; an unclosed bracket reaches to the end."""
    pieces, inside = [""], False
    for character in text:
        if character == "," and not inside:
            pieces.append("")
            continue
        inside = character == "[" or (inside and character != "]")
        pieces[-1] += character
    return pieces if text else []


def _predicate(condition: Condition, fields: Mapping[str, Field]) -> Callable[[Row], bool]:
    field = fields.get(condition.field)
    if field is None:
        raise BadFilter(
            "The filter query contains a key which is not recognized for this api version."
        )
    if condition.operator not in field.operators:
        raise BadFilter(
            f"The operator '{condition.operator}' is not supported for '{condition.field}'."
        )
    if field.get is None:
        raise not_implemented(f"filtering by '{condition.field}'")
    try:
        values = [field.convert(value) for value in condition.values]
    except ValueError as error:
        raise BadFilter(
            f"'{','.join(condition.values)}' is not a value of '{condition.field}'."
        ) from error
    if field.many:
        get = field.get
        return lambda row: not set(values).isdisjoint(get(row))
    return _comparison(condition.operator, field.get, values, wildcard=field.wildcard)


def _comparison(
    operator: str, get: Callable[[Row], Any], values: list[Any], *, wildcard: bool
) -> Callable[[Row], bool]:
    first = values[0]
    if operator == "eq" and wildcard and "*" in first:
        pattern = re.compile(".*".join(map(re.escape, first.split("*"))), re.DOTALL)
        return lambda row: pattern.fullmatch(get(row)) is not None
    comparisons: dict[str, Callable[[Row], bool]] = {
        "eq": lambda row: bool(get(row) == first),
        "in": lambda row: get(row) in values,
        "has": lambda row: first in get(row),
        "gt": lambda row: bool(get(row) > first),
        "gte": lambda row: bool(get(row) >= first),
        "lt": lambda row: bool(get(row) < first),
        "lte": lambda row: bool(get(row) <= first),
    }
    return comparisons[operator]


def _sort_key(get: Callable[[Row], Any]) -> Callable[[Row], str]:
    return lambda row: str(get(row)).casefold()


def _positive(text: str | None, default: int, code: int, what: str) -> int:
    if text is None:
        return default
    if not re.fullmatch("[0-9]{1,9}", text, re.ASCII) or int(text) < 1:
        raise ApiError(code, f"Invalid {what} '{text}': a whole number from 1 on is expected.")
    return int(text)
