"""The table of operations, and the application that serves them.

Which method and path means which operation belongs here; the operations and the checks that they
share do not. What a real server has and this one lacks is answered with 501 and its name, never
with a pretended success.
"""

import re
from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mds_tableau.sandbox import (
    auth,
    datasources,
    filters,
    info,
    page,
    projects,
    publishing,
    uploads,
)
from mds_tableau.sandbox.calls import Operation
from mds_tableau.sandbox.config import MEGABYTE
from mds_tableau.sandbox.dispatch import Methods, Resource
from mds_tableau.sandbox.errors import GatewayError
from mds_tableau.sandbox.jobs import Jobs
from mds_tableau.sandbox.store import Store

# What a single request may carry; larger files are sent in pieces.
LARGEST_FILE = 64 * MEGABYTE
# A page on the internet may point a name of its own at 127.0.0.1 and ask a browser to come here.
HOSTS = ["127.0.0.1", "localhost", "[::1]"]
READ = ("tableau:content:read",)


def operations(jobs: Jobs) -> Mapping[str, Methods]:
    """Returns what each method on each path does; None marks what only a real server does."""
    site = "/sites/{site_id}"
    datasource = f"{site}/datasources/{{datasource_id}}"
    return {
        "/serverInfo": {"GET": Operation(info.server_info, anonymous=True)},
        "/auth/signin": {"POST": Operation(auth.sign_in, anonymous=True)},
        "/auth/signout": {"POST": Operation(auth.sign_out)},
        f"{site}/projects": {
            "GET": Operation(projects.query, READ, filters.LIST_PARAMETERS),
            "POST": Operation(
                projects.create, ("tableau:projects:create",), frozenset({"publishSamples"})
            ),
        },
        f"{site}/projects/{{project_id}}": {"PUT": None, "DELETE": None},
        f"{site}/datasources": {
            "GET": Operation(datasources.query, READ, filters.LIST_PARAMETERS),
            "POST": Operation(
                publishing.publish,
                ("tableau:datasources:create",),
                publishing.PARAMETERS,
                largest_file=LARGEST_FILE,
                too_large=lambda: GatewayError(413),
                needs_length=True,
            ),
        },
        datasource: {
            "GET": Operation(datasources.get, READ),
            "PUT": None,
            "DELETE": Operation(datasources.delete, ("tableau:datasources:delete",)),
        },
        f"{datasource}/content": {
            "GET": Operation(
                datasources.download,
                ("tableau:datasources:download",),
                frozenset({"includeExtract"}),
            ),
        },
        f"{datasource}/revisions": {
            "GET": Operation(datasources.revisions, READ, filters.PAGE_PARAMETERS),
        },
        f"{site}/fileUploads": {
            "POST": Operation(uploads.initiate, ("tableau:file_uploads:create",)),
        },
        f"{site}/fileUploads/{{upload_id}}": {
            "PUT": Operation(
                uploads.append,
                ("tableau:file_uploads:create",),
                largest_file=uploads.LARGEST_CHUNK,
                too_large=uploads.chunk_too_large,
            ),
        },
        f"{site}/jobs": {"GET": None},
        f"{site}/jobs/{{job_id}}": {
            "GET": Operation(jobs.get, ("tableau:jobs:read",)),
            "PUT": None,
        },
    }


def build_app(store: Store, base_url: str) -> Starlette:
    """Returns the application.

    Args:
        store: The sandbox's state; stays the caller's to close.
        base_url: Base of every webpageUrl.
    """
    jobs = Jobs({publishing.JOB_KIND: publishing.complete})
    routes = [
        Route(f"/api/{{version}}{path}", Resource(store, base_url, jobs, methods))
        for path, methods in operations(jobs).items()
    ]
    server_info = routes[0]  # the one path that clients spell in two ways
    server_info.path_regex = re.compile(server_info.path_regex.pattern, re.IGNORECASE)

    def show_page(_request: Request) -> Response:
        return page.show(store)

    def download(request: Request) -> Response:
        return page.download(store, request.path_params["datasource_id"])

    unknown = Resource(store, base_url, jobs)
    return Starlette(
        routes=[
            *routes,
            Route("/", show_page),
            Route("/download/{datasource_id}", download),
            Route("/api/{version}/{rest:path}", unknown),
            Route("/{rest:path}", unknown),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)],
    )
