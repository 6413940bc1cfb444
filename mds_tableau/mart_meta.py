"""Reads what a dbt model says of its extract: `meta.tableau` of the model and of its columns.

The keys, what each may say, and the sentences about what is wrong belong here. What the options of
a column are belongs to `column_options`, and what becomes of all of it to `project_extracts`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from mds_tableau.column_options import ColumnOptions, parse_options
from mds_tableau.deadlines import deadline_problem
from mds_tableau.extracts import PUBLISH_MODES
from mds_tableau.manifest import Mart


def _text(value: object) -> str | None:
    return None if isinstance(value, str) and value.strip() else "a text that is not empty"


def _path(value: object) -> str | None:
    if isinstance(value, str) and all(part.strip() for part in value.split("/")):
        return None
    return "a project path such as Retail/Daily"


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _share(value: object) -> str | None:
    # for Python true is 1; the comparison is false for NaN too
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return None
    return "a number from 0 to 1, such as 0.5; 1 lets every fall through"


def _number(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_KEPT:
        return None
    return f"a whole number from 0 to {_MOST_KEPT}; 0 keeps none"


def _mode(value: object) -> str | None:
    return None if value in PUBLISH_MODES else f"one of {', '.join(PUBLISH_MODES)}"


def _schedule(value: object) -> str | None:
    if value is False or (isinstance(value, str) and value.strip()):
        return None
    return "the name of a schedule, such as daily, or false for none"


def _texts(value: object) -> str | None:
    if isinstance(value, list) and all(isinstance(one, str) and one.strip() for one in value):
        return None
    return "a list of texts, such as [finance, daily]; [] for none"


def _deadline(value: object) -> str | None:
    problem = None if value is False else deadline_problem(value)
    return f"{problem}; or false for none" if problem else None


ALLOWED_META: Final[Mapping[str, Callable[[object], str | None]]] = {
    "datasource": _text,
    "description": _text,
    "project": _path,
    "tags": _texts,
    "owner": _text,
    "publish": _flag,
    "mode": _mode,
    "allow_empty": _flag,
    "max_row_fall": _share,
    "schedule": _schedule,
    "deadline": _deadline,
    "keep": _number,
}
"""The keys of `meta.tableau`, each with a check that says what is expected of a bad value."""

_MOST_KEPT: Final = 1000


@dataclass(frozen=True)
class MartMeta:
    """What a model says of its extract, as far as it can be understood.

    Attributes:
        given: What it says, by key; only what is valid.
        options: What it asks for its columns, by name as the dbt project writes it.
        problems: What is wrong, a sentence or two each.
        unclear: The keys of which it is not known what was meant.
    """

    given: Mapping[str, Any]
    options: Mapping[str, ColumnOptions]
    problems: tuple[str, ...]
    unclear: frozenset[str]


def is_kept_out(mart: Mart) -> bool:
    """Whether the model says that it is not exported."""
    return mart.meta.get("tableau") is False


def read_meta(mart: Mart) -> MartMeta:
    """Return what a model says of its extract, and what is wrong with it."""
    meta = mart.meta.get("tableau")
    said: Mapping[Any, Any] = meta if isinstance(meta, Mapping) else {}
    given = {k: v for k, v in said.items() if k in ALLOWED_META and not ALLOWED_META[k](v)}
    # a key that is not known may be meant for any that is not there
    is_misspelt = (
        not isinstance(meta, Mapping | bool | None) or not said.keys() <= ALLOWED_META.keys()
    )
    maybe = ALLOWED_META if is_misspelt else said.keys()
    options, problems = dict[str, ColumnOptions](), list(_meta_problems(mart))
    for column in () if is_kept_out(mart) else mart.columns:
        if "tableau" in column.meta:
            where = f"column '{column.name}' of '{mart.name}' ({mart.yaml or mart.file})"
            parsed = parse_options(column.meta["tableau"], where=where)
            if isinstance(parsed, ColumnOptions):
                options[column.name] = parsed
            else:
                problems += parsed
    return MartMeta(given, options, tuple(problems), frozenset(maybe) - given.keys())


def _meta_problems(mart: Mart) -> Iterator[str]:
    meta = mart.meta.get("tableau")
    # it may stand in either, and in dbt_project.yml too: the manifest does not tell
    where = f"'{mart.name}' ({', '.join(filter(None, (mart.yaml, mart.file)))})"
    if meta is None or meta is False:
        return
    if not isinstance(meta, Mapping | bool):
        yield (
            f"meta.tableau of {where} is {meta!r}. It must be true, false, or a mapping of "
            f"{', '.join(ALLOWED_META)}."
        )
        return
    if mart.materialized == "ephemeral":
        yield (
            f"{where} has meta.tableau but is ephemeral, so there is no relation to export. "
            "Materialize it as a table, or remove meta.tableau."
        )
    given: Mapping[Any, Any] = meta if isinstance(meta, Mapping) else {}
    if given.get("publish") is False and given.get("deadline"):
        yield (
            f"meta.tableau of {where} has a deadline and publish: false, so nothing would ever be "
            "there in time. Remove one of them."
        )
    for key, value in given.items():
        check = ALLOWED_META.get(key)
        if check is None:
            near = get_close_matches(str(key), ALLOWED_META, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            yield (
                f"Unknown key '{key}' under meta.tableau of {where}. "
                f"Allowed: {', '.join(ALLOWED_META)}.{hint}"
            )
        elif expected := check(value):
            yield f"meta.tableau.{key} of {where} is {value!r}. It must be {expected}."
