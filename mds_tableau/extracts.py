"""Decides which extracts exist, what each is made of and where it is published.

An extract is what one Tableau datasource holds: today the one mart that it is named after. The
rules of `meta.tableau` are checked here, all problems of a project together; reading the manifest,
resolving the dbt selection and publishing do not belong here.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from mds_tableau.errors import ManifestError, MartConfigError
from mds_tableau.manifest import Manifest, Mart


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
    """

    name: str
    marts: tuple[Mart, ...]
    datasource: str
    project: str
    description: str
    publish: bool


def _text(value: object) -> str | None:
    return None if isinstance(value, str) and value.strip() else "a text that is not empty"


def _path(value: object) -> str | None:
    if isinstance(value, str) and all(part.strip() for part in value.split("/")):
        return None
    return "a project path such as Retail/Daily"


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "true or false"


ALLOWED_META: Final[Mapping[str, Callable[[object], str | None]]] = {
    "datasource": _text,
    "description": _text,
    "project": _path,
    "publish": _flag,
}
"""The keys of `meta.tableau`, each with a check that says what is expected of a bad value."""


def plan_extracts(
    manifest: Manifest, selected: Collection[str], *, selection: str, project: str
) -> tuple[Extract, ...]:
    """Return the extracts of a dbt project, by name.

    Args:
        manifest: The project's manifest.
        selected: Unique ids that the dbt selection names; others are ignored.
        selection: The dbt selection itself, for the message.
        project: Path of the default project on the server.

    Raises:
        MartConfigError: Some `meta.tableau` is not valid, two extracts share a name, or two share
            a place on the server. Names every problem with its file.
        ManifestError: Nothing is selected.
    """
    problems = [
        problem
        for mart in sorted(manifest.marts.values(), key=lambda mart: mart.unique_id)
        for problem in _meta_problems(mart)
    ]
    extracts: list[Extract] = []
    if not problems:
        marts = [mart for key, mart in sorted(manifest.marts.items()) if key in selected]
        exported = [mart for mart in marts if mart.meta.get("tableau") is not False]
        # an ephemeral model is no relation: there is nothing to read from it
        extracts = [_extract(m, project) for m in exported if m.materialized != "ephemeral"]
        problems = [*_same_name(extracts), *_same_place(extracts)]
    if problems:
        lines = "".join(f"\n- {problem}" for problem in problems)
        raise MartConfigError(f"meta.tableau of the dbt project is not valid:{lines}")
    if not extracts:
        raise ManifestError(
            f"The dbt selection {selection!r} names no model of the dbt project "
            f"'{manifest.project_name}' that can be exported. Set MDS_MARTS to a selection that "
            f"does, in dbt's own syntax. Folders and models there are: {_folders(manifest)}."
        )
    return tuple(sorted(extracts, key=lambda extract: extract.name))


def _extract(mart: Mart, default_project: str) -> Extract:
    meta = mart.meta.get("tableau")
    given: Mapping[str, Any] = meta if isinstance(meta, Mapping) else {}
    return Extract(
        name=mart.name,
        marts=(mart,),
        datasource=given.get("datasource", mart.name),
        project=given.get("project", default_project),
        description=given.get("description", mart.description),
        publish=given.get("publish", True),
    )


def _meta_problems(mart: Mart) -> Iterator[str]:
    meta = mart.meta.get("tableau")
    where = f"'{mart.name}' ({mart.file})"
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
    for key, value in meta.items() if isinstance(meta, Mapping) else ():
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


def _same_name(extracts: list[Extract]) -> Iterator[str]:
    # file systems and asset keys may not tell upper from lower case
    for name, same in _grouped(extracts, lambda extract: extract.name.casefold()).items():
        yield (
            f"{len(same)} models share the extract name '{name}': {_files(same)}. Rename one, or "
            "set meta.tableau: false on all but one."
        )


def _same_place(extracts: list[Extract]) -> Iterator[str]:
    published = [extract for extract in extracts if extract.publish]
    # Tableau Server compares the names of projects and datasources without regard to case
    places = _grouped(published, lambda e: _place(e))
    for same in places.values():
        yield (
            f"{len(same)} extracts go to the datasource '{same[0].datasource}' in the project "
            f"'{same[0].project}': {_files(same)}. Give each a datasource or a project of its own."
        )


def _place(extract: Extract) -> str:
    project = "/".join(part.strip() for part in extract.project.split("/"))
    return f"{project}\0{extract.datasource.strip()}".casefold()


def _grouped(extracts: list[Extract], key: Callable[[Extract], str]) -> Mapping[str, list[Extract]]:
    groups: dict[str, list[Extract]] = {}
    for extract in extracts:
        groups.setdefault(key(extract), []).append(extract)
    return {name: same for name, same in groups.items() if len(same) > 1}


def _files(extracts: list[Extract]) -> str:
    return ", ".join(extract.marts[0].file for extract in extracts)


def _folders(manifest: Manifest) -> str:
    folders = {
        mart.file.replace("\\", "/").rpartition("/")[0]
        for mart in manifest.marts.values()
        if mart.unique_id.startswith("model.")
    }
    return ", ".join(sorted(folders)) or "none"
