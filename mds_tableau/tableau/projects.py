"""Finds a project by its path, among all projects of the site.

Names are compared as the server compares them, without regard to case. Creating projects does not
belong here.
"""

from collections import defaultdict
from difflib import get_close_matches

import tableauserverclient as TSC  # noqa: N812

from mds_tableau.errors import ProjectNotFound
from mds_tableau.tableau.session import Project, Session


def find_project(session: Session, path: str) -> Project:
    """Return the project at a path such as `Retail/Daily`.

    Raises:
        ProjectNotFound: There is none, or there is more than one; lists near or matching paths.
    """
    wanted = _folded(path)
    known = [project for project in session.known_projects if _folded(project.path) == wanted]
    if len(known) == 1:
        return known[0]
    projects = _all_projects(session)
    found = [project for project in projects if _folded(project.path) == wanted]
    if len(found) == 1:
        return found[0]
    where = f"on {session.server}, {session.site_name}"
    if found:
        listed = ", ".join(f"'{project.path}' ({project.id})" for project in found)
        raise ProjectNotFound(
            f"More than one project is at the path '{path}' {where}: {listed}. Rename one of them."
        )
    paths = {project.path.casefold(): project.path for project in projects}
    near = [paths[match] for match in get_close_matches(path.casefold(), paths, n=5, cutoff=0.4)]
    same_leaf = [p.path for p in projects if _folded(p.path)[-1:] == wanted[-1:]]
    suggestions = list(dict.fromkeys([*same_leaf, *near])) or sorted(paths.values())[:10]
    raise ProjectNotFound(
        f"There is no project '{path}' {where}, or the user may not see it. Near: "
        f"{', '.join(map(repr, suggestions))}. Create it there, or set TABLEAU_PROJECT or "
        "meta.tableau.project to one that exists."
    )


def _all_projects(session: Session) -> list[Project]:
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
