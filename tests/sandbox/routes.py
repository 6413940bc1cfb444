"""Which operation a request's path belongs to."""

import re

from mds_tableau.sandbox.app import operations
from mds_tableau.sandbox.jobs import Jobs


def named(path: str) -> str:
    """Returns a path of the table of operations without what only the dispatch needs."""
    return path.replace(":path}", "}")


def _pattern(path: str) -> re.Pattern[str]:
    text = re.sub(r"\{\w+\}", "[^/]+", path.replace("{label:path}", ".+"))
    flags = re.IGNORECASE if path == "/serverInfo" else 0
    return re.compile(rf"/api/[^/]+{text}", flags)


_PATTERNS = {named(path): _pattern(path) for path in operations(Jobs({}))}


def route_of(path: str) -> str:
    """Returns the path of the table that a request's path belongs to, "" for none."""
    return next((route for route, one in _PATTERNS.items() if one.fullmatch(path)), "")
