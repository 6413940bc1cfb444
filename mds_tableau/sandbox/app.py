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
from starlette.routing import Route

from mds_tableau.sandbox import (
    auth,
    connections,
    datasources,
    filters,
    info,
    joblist,
    metadata,
    pages,
    people,
    permissions,
    projectchanges,
    projects,
    publishing,
    refreshing,
    revisions,
    sites,
    tags,
    updating,
    uploads,
    workbooks,
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
UPDATE = ("tableau:datasources:update",)
USERS = ("tableau:users:read",)
JOBS = ("tableau:jobs:read",)
RULES_READ = ("tableau:permissions:read",)
RULES_UPDATE = ("tableau:permissions:update",)
LISTS = filters.LIST_PARAMETERS
PAGES = filters.PAGE_PARAMETERS


SITE = "/sites/{site_id}"
DATASOURCE = f"{SITE}/datasources/{{datasource_id}}"
PROJECT = f"{SITE}/projects/{{project_id}}"
WORKBOOK = f"{SITE}/workbooks/{{workbook_id}}"
RULE = "/permissions/{kind}/{grantee_id}/{capability}/{mode}"


def operations(jobs: Jobs) -> Mapping[str, Methods]:
    """Returns what each method on each path does; None marks what only a real server does."""
    return {
        **_server_operations(),
        **_project_operations(),
        **_datasource_operations(),
        **_content_operations(),
        **_workbook_operations(),
        f"{SITE}/jobs": {"GET": Operation(joblist.query, JOBS, LISTS)},
        f"{SITE}/jobs/{{job_id}}": {
            "GET": Operation(jobs.get, JOBS),
            "PUT": Operation(joblist.cancel, ("tableau:jobs:update",)),
        },
    }


def _server_operations() -> Mapping[str, Methods]:
    return {
        "/serverInfo": {"GET": Operation(info.server_info, anonymous=True)},
        "/auth/signin": {"POST": Operation(auth.sign_in, anonymous=True)},
        "/auth/signout": {"POST": Operation(auth.sign_out)},
        "/auth/switchSite": {"POST": Operation(auth.switch_site)},
        "/sessions/current": {"GET": Operation(sites.session), "DELETE": None},
        "/sites": {"GET": None, "POST": None},
        SITE: {
            "GET": Operation(sites.get, ("tableau:sites:read",), frozenset({"key"})),
            "PUT": None,
            "DELETE": None,
        },
        f"{SITE}/users": {
            "GET": Operation(people.query_users, USERS, LISTS),
            "POST": None,
        },
        f"{SITE}/users/{{user_id}}": {
            "GET": Operation(people.get_user, USERS),
            "PUT": None,
            "DELETE": None,
        },
        f"{SITE}/groups": {
            "GET": Operation(people.query_groups, ("tableau:groups:read",), LISTS),
            "POST": None,
        },
        f"{SITE}/groups/{{group_id}}/users": {
            "GET": Operation(people.query_members, ("tableau:groups:read",), PAGES),
            "POST": None,
        },
    }


def _project_operations() -> Mapping[str, Methods]:
    samples = frozenset({"publishSamples"})
    return {
        f"{SITE}/projects": {
            "GET": Operation(projects.query, READ, LISTS),
            "POST": Operation(projects.create, ("tableau:projects:create",), samples),
        },
        PROJECT: {
            "PUT": Operation(projectchanges.update, ("tableau:projects:update",), samples),
            "DELETE": Operation(projectchanges.delete, ("tableau:projects:delete",)),
        },
        f"{PROJECT}/permissions": {
            "GET": Operation(permissions.of_project, RULES_READ),
            "PUT": Operation(permissions.add_to_project, RULES_UPDATE),
        },
        f"{PROJECT}{RULE}": {"DELETE": Operation(permissions.remove_from_project, RULES_UPDATE)},
        f"{PROJECT}/default-permissions/datasources": {
            "GET": Operation(permissions.default_of_project, RULES_READ),
            "PUT": None,
        },
    }


def _datasource_operations() -> Mapping[str, Methods]:
    tagging = "tableau:datasource_tags"
    return {
        f"{SITE}/datasources": {
            "GET": Operation(datasources.query, READ, LISTS),
            "POST": Operation(
                publishing.publish,
                ("tableau:datasources:create",),
                publishing.PARAMETERS,
                largest_file=LARGEST_FILE,
                too_large=lambda: GatewayError(413),
                needs_length=True,
            ),
        },
        DATASOURCE: {
            "GET": Operation(datasources.get, READ),
            "PUT": Operation(updating.update, UPDATE),
            "DELETE": Operation(datasources.delete, ("tableau:datasources:delete",)),
        },
        f"{DATASOURCE}/tags": {"PUT": Operation(tags.add, (f"{tagging}:update",))},
        f"{DATASOURCE}/tags/{{label:path}}": {
            "DELETE": Operation(tags.remove, (f"{tagging}:delete",))
        },
        f"{DATASOURCE}/permissions": {
            "GET": Operation(permissions.of_datasource, RULES_READ),
            "PUT": Operation(permissions.add_to_datasource, RULES_UPDATE),
        },
        f"{DATASOURCE}{RULE}": {
            "DELETE": Operation(permissions.remove_from_datasource, RULES_UPDATE)
        },
        f"{DATASOURCE}/connections": {"GET": Operation(connections.query, READ), "PUT": None},
        f"{DATASOURCE}/connections/{{connection_id}}": {
            "PUT": Operation(connections.update, UPDATE)
        },
        f"{DATASOURCE}/data": {"PATCH": None},
        f"{DATASOURCE}/connections/{{connection_id}}/data": {"PATCH": None},
        f"{DATASOURCE}/refresh": {"POST": Operation(refreshing.refresh, ("tableau:tasks:run",))},
    }


def _content_operations() -> Mapping[str, Methods]:
    download = ("tableau:datasources:download",)
    with_extract = frozenset({"includeExtract"})
    upload = ("tableau:file_uploads:create",)
    return {
        f"{DATASOURCE}/content": {"GET": Operation(datasources.download, download, with_extract)},
        f"{DATASOURCE}/revisions": {"GET": Operation(revisions.query, READ, PAGES)},
        f"{DATASOURCE}/revisions/{{number}}": {"DELETE": Operation(revisions.remove, UPDATE)},
        f"{DATASOURCE}/revisions/{{number}}/content": {
            "GET": Operation(revisions.download, download, with_extract)
        },
        f"{SITE}/fileUploads": {"POST": Operation(uploads.initiate, upload)},
        f"{SITE}/fileUploads/{{upload_id}}": {
            "PUT": Operation(
                uploads.append,
                upload,
                largest_file=uploads.LARGEST_CHUNK,
                too_large=uploads.chunk_too_large,
            ),
        },
    }


def _workbook_operations() -> Mapping[str, Methods]:
    return {
        f"{SITE}/workbooks": {"GET": Operation(workbooks.query, READ, LISTS), "POST": None},
        WORKBOOK: {"GET": Operation(workbooks.get, READ), "PUT": None, "DELETE": None},
        f"{WORKBOOK}/views": {
            "GET": Operation(workbooks.query_views, READ, frozenset({"includeUsageStatistics"}))
        },
        f"{SITE}/views/{{view_id}}": {"GET": Operation(workbooks.get_view, READ)},
    }


def build_app(store: Store, base_url: str) -> Starlette:
    """Returns the application.

    Args:
        store: The sandbox's state; stays the caller's to close.
        base_url: Base of every webpageUrl.
    """
    jobs = Jobs(
        {publishing.JOB_KIND: publishing.complete, refreshing.JOB_KIND: refreshing.complete}
    )
    routes = [
        Route(f"/api/{{version}}{path}", Resource(store, base_url, jobs, methods))
        for path, methods in operations(jobs).items()
    ]
    server_info = routes[0]  # the one path that clients spell in two ways
    server_info.path_regex = re.compile(server_info.path_regex.pattern, re.IGNORECASE)

    unknown = Resource(store, base_url, jobs)
    return Starlette(
        routes=[
            *routes,
            *pages.routes(store),
            Route(metadata.PATH, metadata.Endpoint(store, base_url), methods=["POST"]),
            Route("/api/{version}/{rest:path}", unknown),
            Route("/{rest:path}", unknown),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)],
    )
