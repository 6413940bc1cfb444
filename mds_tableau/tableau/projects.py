"""Finds a project by its path or LUID, among all projects of the site, or creates it.

Names are compared as the server compares them, without regard to case.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

import tableauserverclient as TSC  # noqa: N812

from mds_tableau.errors import Conflict, ProjectNotFound
from mds_tableau.tableau.session import Project, Session

_LUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def find_project(session: Session, path: str, *, create: bool = False) -> Project:
    """Return the project at a path such as `Retail/Daily`, or with a LUID.

    Args:
        session: A signed-in session.
        path: The path, or the LUID of the project.
        create: Whether to create what is missing of the path.

    Raises:
        ProjectNotFound: There is none, or there is more than one; lists near or matching paths.
        PublishError: It may not be created.
    """
    wanted = _folded(path)
    known = _at(session.known_projects, path)
    if len(known) == 1:
        return known[0]
    projects = all_projects(session)
    found = _at(projects, path)
    if len(found) == 1:
        return found[0]
    if not found and create and not _LUID.fullmatch(path):
        return _create(session, path, projects)
    where = f"on {session.server}, {session.site_name}"
    if found:
        listed = ", ".join(f"'{project.path}' ({project.id})" for project in found)
        raise ProjectNotFound(
            f"More than one project is at the path '{path}' {where}: {listed}. Name it by its "
            "LUID, or rename one of them."
        )
    paths = {project.path.casefold(): project.path for project in projects}
    near = [paths[match] for match in get_close_matches(path.casefold(), paths, n=5, cutoff=0.4)]
    same_leaf = [p.path for p in projects if _folded(p.path)[-1:] == wanted[-1:]]
    suggestions = list(dict.fromkeys([*same_leaf, *near])) or sorted(paths.values())[:10]
    raise ProjectNotFound(
        f"There is no project '{path}' {where}, or the user may not see it. Near: "
        f"{', '.join(map(repr, suggestions))}. Create it there, or set TABLEAU_PROJECT or "
        "meta.tableau.project to one that exists; MDS_CREATE_PROJECTS=true creates it here."
    )


def is_missing(session: Session, path: str) -> bool:
    """Return whether no project is at a path, so that one would have to be created.

    Raises:
        MdsTableauError: The server cannot be asked.
    """
    return not (_at(session.known_projects, path) or _at(all_projects(session), path))


def _create(session: Session, path: str, projects: list[Project]) -> Project:
    """Create what is missing of a path, from the top."""
    parts = [part.strip() for part in path.split("/")]
    made: Project | None = None
    for depth in range(1, len(parts) + 1):
        above = "/".join(parts[:depth])
        there = [project for project in projects if _folded(project.path) == _folded(above)]
        if len(there) > 1:
            return find_project(session, above)  # says so
        made = there[0] if there else _create_one(session, parts[depth - 1], above, made)
    assert made is not None  # noqa: S101  # a path has at least one part
    return made


def _create_one(session: Session, name: str, path: str, parent: Project | None) -> Project:
    item = TSC.ProjectItem(name, parent_id=parent.id if parent is not None else None)
    try:
        made = session.ask(f"Creating the project '{path}'", lambda c: c.projects.create(item))
    except Conflict:
        # somebody else was faster, or an answer was lost
        session.known_projects.clear()
        return find_project(session, path)
    created = Project(str(made.id), path)
    session.known_projects.append(created)
    return created


def _at(projects: Iterable[Project], path: str) -> list[Project]:
    """Return the projects of that path or LUID."""
    wanted, luid = _folded(path), path.strip().casefold()
    return [p for p in projects if p.id.casefold() == luid or _folded(p.path) == wanted]


def all_projects(session: Session) -> list[Project]:
    """Return all projects of the site that the user may see, by path.

    Raises:
        MdsTableauError: The server cannot be asked.
    """
    options = TSC.RequestOptions(pagesize=1000)
    # a Pager raises what the server answers; iterating over a query set would swallow it
    items = session.ask(
        "Listing the projects", lambda client: list(TSC.Pager(client.projects, options))
    )
    by_id = {item.id: item for item in items}
    children = defaultdict(list)
    for item in items:
        # the parent of a project may be one that the user cannot see
        children[item.parent_id if item.parent_id in by_id else None].append(item)
    found: list[Project] = []
    pending = [(item, str(item.name)) for item in children[None]]
    while pending:
        item, path = pending.pop()
        found.append(Project(str(item.id), path))
        pending += [(child, f"{path}/{child.name}") for child in children[item.id]]
    found.sort(key=lambda project: project.path)
    session.known_projects[:] = found
    return found


def _folded(path: str) -> list[str]:
    return [part.strip().casefold() for part in path.split("/")]
