"""Finds the table that somebody means among those of a database; checks that a query reads.

What tables there are is asked by the readers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from mds_tableau.columns import quote_identifier
from mds_tableau.errors import InputError, UsageError

_PART: Final = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([^".]+?))\s*(\.|$)')
_PLAIN: Final = re.compile(r"[^\W\d][\w$]*")
_BEFORE_WORDS: Final = re.compile(r"(?:\s|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_LISTED: Final = 12


@dataclass(frozen=True)
class TableName:
    """A table or view of a database.

    Attributes:
        schema: Where it is; "" where a database has no schemas.
        name: Its name.
        visible: Whether its name alone is enough.
    """

    schema: str
    name: str
    visible: bool = True

    def __str__(self) -> str:
        parts = [self.name] if self.visible or not self.schema else [self.schema, self.name]
        return ".".join(p if _PLAIN.fullmatch(p) else quote_identifier(p) for p in parts)

    @property
    def quoted(self) -> str:
        """Its full name in SQL."""
        return ".".join(quote_identifier(part) for part in (self.schema, self.name) if part)


def find_table(wanted: str, tables: Sequence[TableName], *, place: str) -> TableName:
    """Return the table that is meant.

    A name as it is written wins over one that differs in case, one that is enough by itself over
    one in another schema.

    Args:
        wanted: `table` or `schema.table`; parts in double quotes may hold dots and have to match in
            case.
        tables: All tables there are.
        place: What messages call the database.

    Raises:
        InputError: No table is called that, or several are.

    >>> str(find_table("Orders", [TableName("", "orders")], place="shop.db"))
    'orders'
    """
    parts = _parts(wanted)
    *schema, name = parts
    candidates = [t for t in tables if not schema or _same(schema[-1], t.schema)]
    found = [t for t in candidates if _same(name, t.name)]
    written = [
        t for t in found if t.name == name.text and (not schema or t.schema == schema[-1].text)
    ]
    found = written or found
    found = [t for t in found if t.visible] or found
    if len(found) == 1:
        return found[0]
    if found:
        named = ", ".join(f"{quote_identifier(t.schema)}.{quote_identifier(t.name)}" for t in found)
        raise UsageError(f"Several tables of {place} are called {wanted}: {named}. Name one fully.")
    raise UsageError(f"{place} has no table {wanted}.{_hint(wanted, tables)}")


def checked_query(query: str) -> str:
    """Return a query without what ends it.

    Raises:
        InputError: It does anything else than read.

    >>> checked_query("SELECT 1 ; ")
    'SELECT 1'
    """
    start = _BEFORE_WORDS.match(query)
    word = re.match(r"\w*", query[start.end() if start else 0 :])
    first = word[0] if word else ""
    if first.upper() not in {"SELECT", "WITH"}:
        raise UsageError(
            f"A query has to begin with SELECT or WITH, and this one begins with "
            f"{first or 'nothing'}. Only reading is allowed."
        )
    return query.rstrip("; \t\r\n")


def check_names(names: Sequence[str], *, origin: str) -> None:
    """Raise an error when DuckDB could not tell two columns apart, or when there are none."""
    if not names:
        raise InputError(f"{origin} has no columns.")
    seen: dict[str, str] = {}
    for name in names:
        if other := seen.get(name.lower()):
            raise InputError(
                f"{origin} has the columns '{other}' and '{name}', which are one name to DuckDB. "
                "Read it by a query that gives one of them another name: SELECT ... AS ..."
            )
        seen[name.lower()] = name


@dataclass(frozen=True)
class _Part:
    text: str
    exact: bool


def _parts(wanted: str) -> list[_Part]:
    parts: list[_Part] = []
    position = 0
    while found := _PART.match(wanted, position):
        exact = found[1] is not None
        parts.append(_Part(found[1].replace('""', '"') if exact else found[2], exact))
        position = found.end()
        if not found[3]:
            break
    if not parts or position < len(wanted) or wanted.rstrip().endswith("."):
        raise UsageError(
            f"{wanted!r} is no name of a table. Write table or schema.table; a part with a dot or "
            'a quote in it goes into double quotes, as in "my.table".'
        )
    return parts


def _same(part: _Part, name: str) -> bool:
    return part.text == name or (not part.exact and part.text.lower() == name.lower())


def _hint(wanted: str, tables: Sequence[TableName]) -> str:
    names = sorted(map(str, tables))
    if not names:
        return " There are none that you may see."
    lowered = {name.lower(): name for name in names}
    near = [lowered[match] for match in get_close_matches(wanted.lower(), lowered, n=3)]
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    guess = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"{guess} There are: {', '.join(names[:_LISTED])}{more}."
