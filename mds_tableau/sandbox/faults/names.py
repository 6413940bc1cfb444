"""What faults call the operations, and which one a request asks for.

Names belong here; what an operation does stands in the table of operations, from which an operation
without a name here is called by its method and path, as `COVERAGE.md` writes them.
"""

import re

from starlette.routing import compile_path
from starlette.types import Scope

from mds_tableau.sandbox.app import operations
from mds_tableau.sandbox.jobs import Jobs

SITE = "/sites/{site_id}"
DATASOURCE = f"{SITE}/datasources/{{datasource_id}}"
UNKNOWN = "unknown"

NAMES = {
    "GET /serverInfo": "server_info",
    "POST /auth/signin": "sign_in",
    "POST /auth/signout": "sign_out",
    f"GET {SITE}/projects": "query_projects",
    f"POST {SITE}/projects": "create_project",
    f"GET {SITE}/datasources": "query_datasources",
    f"POST {SITE}/datasources": "publish_datasource",
    f"GET {DATASOURCE}": "get_datasource",
    f"DELETE {DATASOURCE}": "delete_datasource",
    f"GET {DATASOURCE}/content": "download_datasource",
    f"GET {DATASOURCE}/revisions": "query_revisions",
    f"POST {SITE}/fileUploads": "initiate_upload",
    f"PUT {SITE}/fileUploads/{{upload_id}}": "append_upload",
    f"GET {SITE}/jobs/{{job_id}}": "query_job",
}


class Names:
    """The names of all operations.

    Attributes:
        all: Every name that a rule may give, in the order of the table.
    """

    def __init__(self) -> None:
        self._paths: list[tuple[re.Pattern[str], dict[str, str]]] = []
        for path, methods in operations(Jobs({})).items():
            pattern = compile_path(f"/api/{{version}}{path}")[0].pattern
            named = {
                method: NAMES.get(f"{method} {path}", f"{method} {path}") for method in methods
            }
            # Clients spell serverInfo in two ways; ids do not differ in case alone.
            self._paths.append((re.compile(pattern, re.IGNORECASE), named))
        self.all = (*(name for _, named in self._paths for name in named.values()), UNKNOWN)

    def of(self, scope: Scope) -> str:
        """Returns the name of what a request asks for."""
        for pattern, named in self._paths:
            if pattern.match(scope["path"]):
                return named.get(scope["method"], UNKNOWN)
        return UNKNOWN
