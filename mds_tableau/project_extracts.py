"""Decides which extracts a dbt project has, all problems of a project together.

What a model may say of its own is known to `mart_meta`; here it is seen whether the extracts get
along with each other, with file systems and with Dagster. Reading the manifest, resolving the dbt
selection and publishing do not belong here.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from mds_tableau.deadlines import parse_deadline
from mds_tableau.errors import ManifestError, MartConfigError, MdsTableauError, refuse
from mds_tableau.extracts import Extract, step_name
from mds_tableau.manifest import Manifest, Mart
from mds_tableau.mart_meta import MartMeta, is_kept_out, read_meta

_T = TypeVar("_T")

_PLACE: Final = frozenset({"datasource", "project", "publish"})
"""The keys that say where an extract goes."""

_LONGEST_NAME: Final = 200
"""Bytes. File systems take names of 255, and a half-written file adds up to 31 to its extract's:
`..NAME.PID.tmp.json.PID.tmp`."""


@dataclass(frozen=True)
class ProjectExtracts:
    """The extracts of a dbt project, as far as what is said of them can be understood.

    Attributes:
        extracts: The extracts, by name.
        unclear: Names of those of which it is not known which schedule was meant.
        errors: What is wrong; with none, the extracts are those that there are.
    """

    extracts: tuple[Extract, ...]
    unclear: frozenset[str] = frozenset()
    errors: tuple[MdsTableauError, ...] = ()

    def valid(self) -> tuple[Extract, ...]:
        """Return the extracts, unless something is wrong.

        Raises:
            MdsTableauError: Something is; has all of it.
        """
        refuse(self.errors)
        return self.extracts


def plan_extracts(
    manifest: Manifest,
    selected: Collection[str],
    *,
    selection: str,
    project: str,
    deadline: str = "",
    zone: str = "UTC",
) -> ProjectExtracts:
    """Return the extracts of a dbt project, and what is wrong with it.

    A MartConfigError names every problem with its file: some `meta.tableau` is not valid, a name
    cannot be that of an extract, two extracts share a name, or a place on the server. With a
    ManifestError, nothing is selected.

    Args:
        manifest: The project's manifest.
        selected: Unique ids that the dbt selection names; others are ignored.
        selection: The dbt selection itself, for the message.
        project: Path of the default project on the server.
        deadline: When extracts have to be fresh whose model says nothing of it; "" for never.
        zone: The time zone of deadlines that say none, an IANA name.
    """
    marts = sorted(manifest.marts.values(), key=lambda mart: mart.unique_id)
    metas = {mart.unique_id: read_meta(mart) for mart in marts}
    exported = [
        mart
        for mart in marts
        # an ephemeral model is no relation: there is nothing to read from it
        if mart.unique_id in selected and not is_kept_out(mart) and mart.materialized != "ephemeral"
    ]
    made = [
        (_extract(mart, metas[mart.unique_id], project, deadline, zone), metas[mart.unique_id])
        for mart in exported
    ]
    problems = [
        *(problem for meta in metas.values() for problem in meta.problems),
        *(problem for mart in exported for problem in _name_problems(mart)),
        *_same_name(exported),
        *_same_step(exported),
        # where something else was meant, it may be another place
        *_same_place([one for one, meta in made if not meta.unclear & _PLACE]),
    ]
    errors: list[MdsTableauError] = []
    if problems:
        lines = "".join(f"\n- {problem}" for problem in problems)
        errors.append(MartConfigError(f"The dbt project cannot be exported as it is:{lines}"))
    if not exported:
        errors.append(
            ManifestError(
                f"The dbt selection {selection!r} names no model of the dbt project "
                f"'{manifest.project_name}' that can be exported. Set MDS_MARTS to a selection "
                f"that does, in dbt's own syntax. Folders and models there are: "
                f"{_folders(manifest)}."
            )
        )
    # of several that share a name, which is told, one stands for all
    by_name = {extract.name: extract for extract, _ in made}
    return ProjectExtracts(
        tuple(by_name[name] for name in sorted(by_name)),
        frozenset(one.name for one, meta in made if "schedule" in meta.unclear),
        tuple(errors),
    )


def _extract(
    mart: Mart, meta: MartMeta, default_project: str, default_deadline: str, zone: str
) -> Extract:
    given = meta.given
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
        options=meta.options,
    )


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
