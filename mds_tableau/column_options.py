"""What an analyst may ask for one column: `config.meta.tableau` on a column of a dbt model.

Only the words are known here: which are allowed, and what they say. Whether an option suits the
type of a column, and what it does there, is decided in `column_rules`.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Final
from zoneinfo import available_timezones

_AS: Final = (
    "text",
    "bigint",
    "numeric",
    "numeric(p,s)",
    "double",
    "json",
    "hex",
    "base64",
    "wkt",
    "geography",
    "seconds",
    "microseconds",
)

ALLOWED_OPTIONS: Final[Mapping[str, str]] = {
    "as": f"one of {', '.join(_AS)}, with p from 1 to 38 and s from 0 to p",
    "infinity": "null",
    "truncate": "us",
    "timezone": "the IANA name of a time zone, such as Europe/London",
}
"""The keys of `meta.tableau` on a column, each with what it may say."""


@dataclass(frozen=True)
class ColumnOptions:
    """What is asked for one column.

    Attributes:
        as_: What to make of it: `text`, `bigint`, `numeric`, `numeric(p,s)`, `double`, `json`,
            `hex`, `base64`, `wkt`, `geography`, `seconds` or `microseconds`; "" for its default.
        infinity: "null" when infinite values (and NaN) become NULL; "" when not.
        truncate: "us" when digits below a microsecond are cut off; "" when not.
        timezone: IANA name of the zone whose clock the column shows; "" for none.
    """

    as_: str = ""
    infinity: str = ""
    truncate: str = ""
    timezone: str = ""


def parse_options(meta: object, *, where: str) -> ColumnOptions | list[str]:
    """Return what `meta.tableau` of a column asks for, or all that is wrong with it.

    Args:
        meta: What stands there.
        where: Column, model and file, for the sentences.

    >>> parse_options({"as": "numeric(12, 2)"}, where="column 'net'").as_
    'numeric(12,2)'
    >>> parse_options({"truncate": "ms"}, where="column 'at'")
    ["meta.tableau.truncate of column 'at' is 'ms'. It must be us."]
    """
    allowed = ", ".join(ALLOWED_OPTIONS)
    if not isinstance(meta, Mapping) or not meta:
        return [f"meta.tableau of {where} is {meta!r}. It must be a mapping of {allowed}."]
    if whole := _split_by_yaml(meta):
        return [
            f"meta.tableau of {where} has keys 'as' and '{list(meta)[1]}', because between braces "
            f"YAML splits at the comma. Quote the value: as: '{whole}'."
        ]
    problems: list[str] = []
    words: dict[str, str] = {}
    for key, value in meta.items():
        if key not in ALLOWED_OPTIONS:
            problems.append(
                f"Unknown key '{key}' under meta.tableau of {where}. "
                f"Allowed: {allowed}.{_hint(key, ALLOWED_OPTIONS)}"
            )
        elif (word := _WORDS[key](value)) is not None:
            words[key] = word
        else:
            problems.append(
                f"meta.tableau.{key} of {where} is {value!r}. "
                f"It must be {ALLOWED_OPTIONS[key]}.{_hint(value, _similar(key, value))}"
            )
    beside = [key for key in meta if key in ALLOWED_OPTIONS and key != "as"]
    if "as" in meta and beside:
        problems.append(
            f"meta.tableau.as of {where} stands beside {', '.join(beside)}. It says already what "
            "the column becomes: remove one or the other."
        )
    if problems:
        return problems
    return ColumnOptions(**{_FIELDS.get(key, key): word for key, word in words.items()})


def _split_by_yaml(meta: Mapping[Any, object]) -> str:
    """Return the `numeric(p,s)` of which YAML has made two keys, or ""."""
    keys = list(meta)
    if len(keys) < 2 or keys[0] != "as" or meta[keys[1]] is not None:
        return ""
    whole = f"{meta['as']},{keys[1]}"
    return whole if re.fullmatch(r"numeric\(\s*\d+\s*,\s*\d+\s*\)", whole) else ""


def _as(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    word = re.sub(r"\s", "", value)
    digits = re.fullmatch(r"numeric\(([0-9]{1,3}),([0-9]{1,3})\)", word)
    if digits:
        precision, scale = int(digits[1]), int(digits[2])
        fits = 1 <= precision <= 38 and scale <= precision
        return f"numeric({precision},{scale})" if fits else None
    # the form itself is no word
    return value if value in _AS and value != "numeric(p,s)" else None


def _infinity(value: object) -> str | None:
    # YAML reads the word as no value
    return "null" if value is None or value == "null" else None


def _truncate(value: object) -> str | None:
    return "us" if value == "us" else None


def _timezone(value: object) -> str | None:
    # ZoneInfo itself takes whatever is a file, such as posix/UTC, and on Windows any case
    return value if isinstance(value, str) and value in _zones() else None


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


_WORDS: Final[Mapping[str, Callable[[object], str | None]]] = {
    "as": _as,
    "infinity": _infinity,
    "truncate": _truncate,
    "timezone": _timezone,
}
"""The keys of `meta.tableau` on a column, each with what makes its word; None for a bad value."""

_FIELDS: Final = {"as": "as_"}


def _similar(key: str, value: object) -> Collection[str]:
    if key == "timezone":
        return _zones()
    # of one word, or the form itself, a suggestion says no more than the list does
    return _AS if key == "as" and not str(value).startswith("numeric(") else ()


def _hint(seen: object, words: Collection[str]) -> str:
    by_lower = {word.lower(): word for word in sorted(words)}
    near = get_close_matches(seen.lower(), by_lower, n=1) if isinstance(seen, str) else ()
    return f" Did you mean '{by_lower[near[0]]}'?" if near else ""
