"""Publishes a kept version again: an extract as it was published once takes the place of today's.

Used by the command and by the job alike. What a version is, and keeping it, belongs to `versions`;
how it gets to the server belongs to `tableau`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from mds_tableau.columns import counted
from mds_tableau.errors import ExtractError, VersionDamaged
from mds_tableau.extract_file import ExtractFile, read_extract, record_path
from mds_tableau.files import remove, sha256, sole_writer
from mds_tableau.published import (
    about_of,
    changed_columns,
    earlier_publish,
    record_published,
)
from mds_tableau.tableau import Published, Session, publish, uploading
from mds_tableau.tableau.lookup import held
from mds_tableau.version_choice import choose, known_name, other_shelf
from mds_tableau.versions import (
    KeptVersion,
    Shelf,
    keep_version,
    link_or_copy,
)

_FOREIGN: Final = (
    "Somebody else has published '{}' since it was published from here last; that is no version "
    "here. The server keeps it as a revision."
)


_SPELLED: Final = (
    "What the server has as '{}' was published from here last under the name '{}', which has "
    "versions of its own: mds-tableau versions '{}'."
)


_DELETED: Final = (
    "'{}' was deleted on the server since it was published from here last. It is made anew, with "
    "another LUID: workbooks that were connected to it have to be connected again."
)


@dataclass(frozen=True)
class RolledBack:
    """What came of a rollback, or what would.

    Attributes:
        version: The version that is published again.
        instead_of: What was written down of the last publish; None when nothing was.
        published: What the server holds now; None when nothing was published.
        kept: The version that it has become; None when none is kept.
        warnings: What somebody should look at, a sentence each.
    """

    version: KeptVersion
    instead_of: Mapping[str, Any] | None
    published: Published | None
    kept: KeptVersion | None
    warnings: tuple[str, ...] = ()


def roll_back(
    session: Session,
    data: Path,
    shelf: Shelf,
    *,
    target: str,
    to: str = "",
    keep: int = 1,
    run_id: str = "",
    is_dry: bool = False,
) -> RolledBack:
    """Publish a kept version to where the extract was published last.

    On any failure the server has what it had. That rows are lost does not stop it: who asks for an
    earlier version has seen both numbers, and an empty one was allowed when it was published.

    Args:
        session: A signed-in session with `target`.
        data: The data folder.
        shelf: The extract.
        target: The server and site that are configured, in the words of `Settings.target`.
        to: The version, as `choose` takes it.
        keep: How many versions are kept, where the version does not say.
        run_id: The run that does it.
        is_dry: Whether everything is done but publishing.

    Raises:
        VersionNotFound: There is no such version.
        VersionDamaged: Its file is not what was published.
        ExtractError: The extract was published to another server.
        MdsTableauError: As `mds_tableau.tableau.publish` says.
    """
    # a run that publishes the same extract waits, and so does this
    with sole_writer(shelf.lock):
        last = shelf.last
        place = last or choose(shelf.kept, None, to).record
        _refuse_other_server(place, target, shelf)
        since, standing = _since(session, data, shelf)
        before = standing.last
        version = choose(shelf.kept, None if since else last, to)
        with _snapshot(version, known_name(shelf)) as made:
            # what is remembered of the extract that analysts see now
            seen, went_to = replace(made, extract=standing.extract), place["target"]
            changes = since + tuple(changed_columns(standing.published, seen, target=went_to))
            if is_dry:
                return RolledBack(version, before, None, None, changes)
            earlier = earlier_publish(standing.published, seen, target=went_to)
            with uploading(session, 1) as uploads:
                published = publish(
                    session,
                    made.path,
                    datasource=place["datasource"],
                    project=place["project"],
                    about=about_of(version.record),
                    mode="auto",
                    earlier=earlier,
                    uploads=uploads,
                )
            record = record_published(
                shelf.published,
                made,
                published,
                about=about_of(version.record),
                target=went_to,
                run_id=run_id,
            )
            most = int(version.record.get("keep", keep)) or 1
            try:
                kept = keep_version(shelf.versions, made, record, keep=most, origin=version.origin)
            except OSError as error:
                kept, changes = None, (*changes, f"It is published, but not kept: {error}.")
    return RolledBack(version, before, published, kept, changes)


@contextmanager
def _snapshot(version: KeptVersion, name: str) -> Iterator[ExtractFile]:
    """Give the extract of a version in a folder that nobody tidies away meanwhile."""
    # not of the form of a version that is going, which whoever publishes tidies away
    folder = version.folder.with_name(".rollback.tmp")
    remove(folder)
    folder.mkdir()
    try:
        yield _taken(version, folder, name)
    finally:
        remove(folder)


def _taken(version: KeptVersion, folder: Path, name: str) -> ExtractFile:
    """Return the extract of a version, linked into a folder, when it is what was published."""
    what = f"The version {version.moment} of '{name}'"
    instead = (
        "Nothing was published. Choose another version with --to; those that are kept: "
        f"mds-tableau versions '{name}'."
    )
    try:
        for file in (version.path, record_path(version.path)):
            link_or_copy(file, folder / file.name)
        made = read_extract(folder, version.extract)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise VersionDamaged(f"{what} is not whole any more: {error}. {instead}") from error
    except ExtractError as error:
        # what the error says is of the copy, and of an extract that can be built again
        raise VersionDamaged(
            f"{what} cannot be used: {version.path} is not of the size that was published, or "
            f"{record_path(version.path)} is not its record any more. {instead}"
        ) from error
    if not sha256(made.path) == made.sha256 == version.record["sha256"]:
        raise VersionDamaged(
            f"{what} is not what was published: {version.path} has changed since. {instead}"
        )
    return made


def _since(session: Session, data: Path, shelf: Shelf) -> tuple[tuple[str, ...], Shelf]:
    """Return what has become on the server of what was published last, if it is not there.

    Returns:
        That, in a sentence; and the extract whose last publish the server has instead, as far as
        that is known.
    """
    last = shelf.last
    if last is None:
        return (), shelf
    now = held(session, str(last["id"]))
    if now is None:
        return (_DELETED.format(last["datasource"]),), shelf
    if now.revision is None or last["revision"] in {None, now.revision}:
        return (), shelf
    other = other_shelf(data, shelf, now.id, now.revision)
    if other is None:
        return (_FOREIGN.format(last["datasource"]),), shelf
    name = known_name(other)
    return (_SPELLED.format(known_name(shelf), name, name),), other


def _refuse_other_server(place: Mapping[str, Any], target: str, shelf: Shelf) -> None:
    there, wanted = str(place["target"]).casefold(), target.casefold()
    if there != wanted and not there.startswith(f"{wanted}: "):
        raise ExtractError(
            f"'{known_name(shelf)}' was published last to {place['target']}, and the settings say "
            f"{target}. Set TABLEAU_SERVER and TABLEAU_SITE to where it is, and try again."
        )


def told(done: RolledBack, shelf: Shelf, target: str) -> list[str]:
    """Return what analysts see now, and for how long, in sentences.

    Args:
        done: What came of the rollback.
        shelf: The extract.
        target: The server and site, in words.
    """
    version, last = done.version, done.instead_of
    rows = counted(version.record["rows"], "row")
    instead = ""
    if last is not None:
        count = "an unknown number" if last["rows"] is None else f"{last['rows']:,}"
        instead = f" instead of {count} of {last['published_at']}"
    place = done.published.__dict__ if done.published else (last or version.record)
    what = f"'{place['datasource']}' in '{place['project']}' on {target}"
    if done.published is None:
        sees = f"Would publish again to {what}: {rows} of {_when(version)}{instead}."
    else:
        revision = f", revision {done.published.revision}" if done.published.revision else ""
        sees = (
            f"Analysts now see in {what} the {rows} of {_when(version)}{instead}{revision}: "
            f"{done.published.url}"
        )
    again = (
        "The next `mds-tableau publish` of that name takes its place."
        if shelf.command
        else "The next run that publishes the mart takes its place; to prevent that until the mart "
        "is right, stop the schedule, or set publish: false under config.meta.tableau."
    )
    return [sees, again]


def _when(version: KeptVersion) -> str:
    origin = f", a rollback to {version.origin}" if version.is_rollback else ""
    return f"{version.record['published_at']} (version {version.moment}{origin})"
