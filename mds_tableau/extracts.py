"""Decides which extracts exist, what each is made of and where it is published.

An extract is what one Tableau datasource holds: today the one mart that it is named after. The
rules of `meta.tableau` are checked here, all problems of a project together; reading the manifest,
resolving the dbt selection and publishing do not belong here.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final, Literal, TypeVar, get_args

from mds_tableau.column_options import ColumnOptions, parse_options
from mds_tableau.deadlines import Deadline, deadline_problem, parse_deadline
from mds_tableau.errors import ManifestError, MartConfigError
from mds_tableau.manifest import Manifest, Mart

_T = TypeVar("_T")

PublishMode = Literal["auto", "overwrite", "replace", "append", "create"]
"""What a publish does with a datasource that is there already.

`auto` replaces its data and keeps its fields where the columns are known to be the same as before,
and else overwrites it; `overwrite` puts the new one in its place; `replace` changes its data only;
`append` adds the rows to it; `create` leaves it alone, and fails.
"""

PUBLISH_MODES: Final[tuple[PublishMode, ...]] = get_args(PublishMode)


@dataclass(frozen=True)
class Extract:
    """One Tableau datasource and the marts that it holds.

    Attributes:
        name: Name of the extract, of its `.hyper` and of its assets.
        marts: What it holds, one table for each; today exactly one.
        datasource: Name of the datasource on the server.
        project: Path of the project on the server, such as `Retail/Daily`.
        description: Description of the datasource, or "" for none.
        publish: Whether it goes to the server; if not, it ends as a `.hyper`.
        allow_empty: Whether it may be published without rows.
        max_row_fall: Largest share of its rows that it may lose in one publish; None when the
            model leaves it to the setting.
        keep: How many published versions of it are kept; None when the model leaves it to the
            setting.
        options: What is asked for its columns, by name as the dbt project writes it.
        mode: What to do with a datasource that is there already.
        tags: Tags of the datasource, beside those that it was given on the server.
        owner: Name of the user who owns the datasource; "" leaves it to the server.
        requires_owner: Whether that name was given for Tableau, so that it ought to be known there.
        schedule: Name of its schedule; "" when its model names none, None for no schedule at all.
        deadline: When it has to be fresh; None when nobody promised.
    """

    name: str
    marts: tuple[Mart, ...]
    datasource: str
    project: str
    description: str
    publish: bool
    allow_empty: bool = False
    max_row_fall: float | None = None
    keep: int | None = None
    options: Mapping[str, ColumnOptions] = field(default_factory=dict)
    mode: PublishMode = "auto"
    tags: tuple[str, ...] = ()
    owner: str = ""
    requires_owner: bool = False
    schedule: str | None = ""
    deadline: Deadline | None = None


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

_LONGEST_NAME: Final = 200
"""Bytes. File systems take names of 255, and a half-written file adds up to 31 to its extract's:
`..NAME.PID.tmp.json.PID.tmp`."""


def plan_extracts(
    manifest: Manifest,
    selected: Collection[str],
    *,
    selection: str,
    project: str,
    deadline: str = "",
    zone: str = "UTC",
) -> tuple[Extract, ...]:
    """Return the extracts of a dbt project, by name.

    Args:
        manifest: The project's manifest.
        selected: Unique ids that the dbt selection names; others are ignored.
        selection: The dbt selection itself, for the message.
        project: Path of the default project on the server.
        deadline: When extracts have to be fresh whose model says nothing of it; "" for never.
        zone: The time zone of deadlines that say none, an IANA name.

    Raises:
        MartConfigError: Some `meta.tableau` is not valid, a name cannot be that of an extract, two
            extracts share a name, or two share a place on the server. Names every problem with
            its file.
        ManifestError: Nothing is selected.
    """
    problems = [
        problem
        for mart in sorted(manifest.marts.values(), key=lambda mart: mart.unique_id)
        for problem in (*_meta_problems(mart), *_column_problems(mart))
    ]
    exported = [
        mart
        for key, mart in sorted(manifest.marts.items())
        # an ephemeral model is no relation: there is nothing to read from it
        if key in selected and _may_be_exported(mart) and mart.materialized != "ephemeral"
    ]
    extracts = [] if problems else [_extract(mart, project, deadline, zone) for mart in exported]
    problems += [
        *(problem for mart in exported for problem in _name_problems(mart)),
        *_same_name(exported),
        *_same_step(exported),
        *_same_place(extracts),
    ]
    if problems:
        lines = "".join(f"\n- {problem}" for problem in problems)
        raise MartConfigError(f"The dbt project cannot be exported as it is:{lines}")
    if not extracts:
        raise ManifestError(
            f"The dbt selection {selection!r} names no model of the dbt project "
            f"'{manifest.project_name}' that can be exported. Set MDS_MARTS to a selection that "
            f"does, in dbt's own syntax. Folders and models there are: {_folders(manifest)}."
        )
    return tuple(sorted(extracts, key=lambda extract: extract.name))


def _extract(mart: Mart, default_project: str, default_deadline: str, zone: str) -> Extract:
    meta = mart.meta.get("tableau")
    given: Mapping[str, Any] = meta if isinstance(meta, Mapping) else {}
    publish = given.get("publish", True)
    deadline = given.get("deadline", default_deadline) if publish else ""
    return Extract(
        name=mart.name,
        marts=(mart,),
        datasource=given.get("datasource", mart.name),
        project=given.get("project", default_project),
        description=given.get("description", mart.description),
        publish=publish,
        allow_empty=given.get("allow_empty", False),
        max_row_fall=given.get("max_row_fall"),
        keep=given.get("keep"),
        mode=given.get("mode", "auto"),
        tags=tuple(given.get("tags", mart.tags)),
        owner=given.get("owner", mart.owner),
        requires_owner="owner" in given,
        schedule=(given["schedule"] or None) if "schedule" in given else "",
        deadline=parse_deadline(deadline, zone) if deadline else None,
        options={
            name: options
            for name, options in _column_options(mart)
            if isinstance(options, ColumnOptions)
        },
    )


def step_name(stage: str, extract: str) -> str:
    """Return the name that Dagster gives to the step of the asset `stage/extract`.

    >>> step_name("tableau", "daily-sales")
    'tableau__daily_sales'
    """
    # nothing of Dagster is imported here: a test holds this to what Dagster does
    return f"{stage}__{extract}".replace("-", "_").replace(".", "_")


def _may_be_exported(mart: Mart) -> bool:
    return mart.meta.get("tableau") is not False


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


def _column_options(mart: Mart) -> Iterator[tuple[str, ColumnOptions | list[str]]]:
    for column in mart.columns:
        if "tableau" in column.meta:
            where = f"column '{column.name}' of '{mart.name}' ({mart.yaml or mart.file})"
            yield column.name, parse_options(column.meta["tableau"], where=where)


def _column_problems(mart: Mart) -> Iterator[str]:
    if _may_be_exported(mart):
        for _, options in _column_options(mart):
            yield from options if isinstance(options, list) else ()


def _name_problems(mart: Mart) -> Iterator[str]:
    # what Dagster takes for a step, and what step_name() makes of the others
    refused = sorted(set(re.sub(r"[A-Za-z0-9_.-]", "", mart.name)))
    if refused:
        yield (
            f"'{mart.name}' ({mart.file}) has {', '.join(map(repr, refused))} in its name, and "
            "Dagster can make no asset of that. Rename the model, with letters of ASCII, digits, "
            "'_', '-' and '.' only; an alias does not help, as extracts are named after the model."
        )
    length = len(mart.name.encode())
    if length > _LONGEST_NAME:
        yield (
            f"'{mart.name}' ({mart.file}) has a name of {length} bytes, too long for the files of "
            f"an extract, which take {_LONGEST_NAME}. Rename the model; an alias does not help, as "
            "extracts are named after the model."
        )


def _same_name(marts: list[Mart]) -> Iterator[str]:
    # file systems and asset keys may not tell upper from lower case
    for name, same in _grouped(marts, lambda mart: mart.name.casefold()).items():
        yield (
            f"{len(same)} models share the extract name '{name}': {_sql(same)}. Rename one, or "
            "set meta.tableau: false on all but one."
        )


def _same_step(marts: list[Mart]) -> Iterator[str]:
    for same in _grouped(marts, lambda mart: step_name("hyper", mart.name)).values():
        # those of one name are told already
        if len({mart.name.casefold() for mart in same}) > 1:
            names = ", ".join(f"'{mart.name}'" for mart in same)
            yield (
                f"{len(same)} models differ only in '-', '.' and '_', which Dagster takes for the "
                f"same: {names} ({_sql(same)}). Rename all but one; an alias does not help, as "
                "extracts are named after the model."
            )


def _same_place(extracts: list[Extract]) -> Iterator[str]:
    published = [extract for extract in extracts if extract.publish]
    # Tableau Server compares the names of projects and datasources without regard to case
    places = _grouped(published, lambda e: _place(e))
    for same in places.values():
        yield (
            f"{len(same)} extracts go to the datasource '{same[0].datasource}' in the project "
            f"'{same[0].project}': {_sql([extract.marts[0] for extract in same])}. Give each a "
            "datasource or a project of its own."
        )


def _place(extract: Extract) -> str:
    project = "/".join(part.strip() for part in extract.project.split("/"))
    return f"{project}\0{extract.datasource.strip()}".casefold()


def _grouped(items: Sequence[_T], key: Callable[[_T], str]) -> Mapping[str, list[_T]]:
    groups: dict[str, list[_T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return {name: same for name, same in groups.items() if len(same) > 1}


def _sql(marts: Sequence[Mart]) -> str:
    return ", ".join(mart.file for mart in marts)


def _folders(manifest: Manifest) -> str:
    folders = {
        mart.file.replace("\\", "/").rpartition("/")[0]
        for mart in manifest.marts.values()
        if mart.unique_id.startswith("model.")
    }
    return ", ".join(sorted(folders)) or "none"
