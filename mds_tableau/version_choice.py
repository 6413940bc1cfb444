"""Finds which extract a user means by a name, and which of its versions.

What a version is, and keeping it, belongs to `versions`; publishing one again to `rollback`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mds_tableau.errors import VersionNotFound
from mds_tableau.tableau import Session
from mds_tableau.tableau.lookup import held
from mds_tableau.versions import KeptVersion, Shelf, matching, shelves


def find_shelf(data: Path, name: str, project: str = "") -> Shelf:
    """Return where the versions of an extract or a datasource are.

    Args:
        data: The data folder.
        name: Name of the extract or of its datasource, in any case.
        project: Path of the project that it was published to last; "" where the name is enough.

    Raises:
        VersionNotFound: There is no such extract, or more than one; names those that are near.
    """
    everything = shelves(data)
    found = [one for one in everything if name.casefold() in _names(one)]
    exact = [one for one in found if one.extract == name and not one.command]
    if project:
        found = [one for one in found if _project(one).casefold() == project.strip().casefold()]
    elif exact:
        found = exact
    found = _one_of_each(found, name)
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(f"'{_project(one)}'" for one in found)
        raise VersionNotFound(
            f"{len(found)} datasources that were published from {data} have the name '{name}', in "
            f"the projects {places}. Say which with --project."
        )
    known = {known: one for one in everything for known in _names(one)}
    near = get_close_matches(name.casefold(), known, n=3)
    hint = ", ".join(dict.fromkeys(f"'{known_name(known[one])}'" for one in near))
    there = ", ".join(f"'{one}'" for one in sorted(set(map(known_name, everything))))
    where = f" in the project '{project}'" if project else ""
    raise VersionNotFound(
        f"Nothing was published from {data} as extract or datasource '{name}'{where}."
        + (f" Did you mean {hint}?" if hint else "")
        + (f" There are: {there}." if there else " Nothing else was, either.")
    )


def known_name(shelf: Shelf) -> str:
    """Return the name that users know an extract by: that of a mart, else of the datasource."""
    # what a command has published is kept under a name that files can have
    own = str(_remembered(shelf).get("datasource") or "") if shelf.command else ""
    # the server may spell it as somebody did before
    return shelf.extract if own.casefold() in {"", shelf.extract.casefold()} else own


def other_shelf(data: Path, shelf: Shelf, luid: str, revision: int) -> Shelf | None:
    """Return which other extract was published last from here as a revision of a datasource.

    A server takes `Sales` and `sales` for one datasource, which has two memories here.

    Args:
        data: The data folder.
        shelf: The extract, whose own publishes are not meant.
        luid: The datasource.
        revision: Its revision.

    Returns:
        The other; None when it was published from elsewhere.
    """
    for other in shelves(data):
        last = other.last
        if other != shelf and last and (last["id"], last["revision"]) == (luid, revision):
            return other
    return None


def held_version(session: Session, kept: Sequence[KeptVersion]) -> KeptVersion | None:
    """Return the version that the server holds now, or None when it holds none of them.

    Args:
        session: A signed-in session.
        kept: The versions of one extract, the oldest first.

    Raises:
        MdsTableauError: The server cannot be asked.
    """
    present: dict[str, int | None] = {}
    for one in reversed(kept):
        luid = str(one.record["id"])
        if luid not in present:
            now = held(session, luid)
            present[luid] = now.revision if now is not None else None
        revision = one.record["revision"]
        if revision is not None and present[luid] == revision:
            return one
    return None


def choose(kept: Sequence[KeptVersion], last: Mapping[str, Any] | None, to: str) -> KeptVersion:
    """Return the version that is to be published again.

    Args:
        kept: The versions of one extract, the oldest first.
        last: What was published last.
        to: Its moment or the beginning of it; "" for the content before that of the last publish.

    Raises:
        VersionNotFound: There is none, or several begin so; tells those that are there.
    """
    moments = ", ".join(one.moment for one in kept)
    if to:
        found = matching(kept, to)
        if len(found) == 1:
            return found[0]
        seen = f"{len(found)} versions begin with" if found else "No version is kept of"
        there = moments or "none; keep under config.meta.tableau and MDS_KEEP say how many are kept"
        raise VersionNotFound(f"{seen} '{to}'. Versions that are kept: {there}.")
    now = next((one for one in reversed(kept) if _is(one, last)), None)
    before = [
        one
        for one in kept
        # who rolls back twice goes back twice, not forth to what was wrong
        if now is None or (one.moment < now.origin and _content(one) != _content(now))
    ]
    if before:
        return before[-1]
    raise VersionNotFound(
        f"No version is kept from before the one that is published now. Versions that are kept: "
        f"{moments or 'none'}. The server may have older ones: mds-tableau pull --revision."
    )


def _is(one: KeptVersion, last: Mapping[str, Any] | None) -> bool:
    names = ("id", "revision", "published_at", "sha256")
    return last is not None and all(one.record.get(name) == last.get(name) for name in names)


def _content(one: KeptVersion) -> tuple[object, ...]:
    """Return what is the same of two versions that analysts cannot tell apart."""
    record = one.record
    if record.get("row_hash") is None:
        return (record["sha256"],)
    return record["rows"], record["row_hash"], record.get("columns")


def _names(shelf: Shelf) -> set[str]:
    kept = shelf.kept
    records = [record for record in (shelf.last, kept[-1].record if kept else None) if record]
    return {shelf.extract.casefold(), *(str(one["datasource"]).casefold() for one in records)}


def _one_of_each(found: Sequence[Shelf], name: str) -> list[Shelf]:
    """Return one shelf of each datasource: the one that is spelled so, else the last published.

    To the server `Sales` and `sales` are one datasource; each spelling has versions of its own.
    """
    chosen: dict[object, Shelf] = {}
    for shelf in sorted(found, key=lambda one: (one.extract == name, _published_at(one))):
        record = _remembered(shelf)
        chosen[(record["server"], record["id"]) if record else shelf] = shelf
    return list(chosen.values())


def _published_at(shelf: Shelf) -> datetime:
    record = _remembered(shelf)
    text = record["published_at"] if record else "0001-01-01T00:00:00+00:00"
    return datetime.fromisoformat(text)


def _remembered(shelf: Shelf) -> Mapping[str, Any]:
    kept = shelf.kept
    return shelf.last or (kept[-1].record if kept else {})


def _project(shelf: Shelf) -> str:
    return str(_remembered(shelf).get("project", ""))
