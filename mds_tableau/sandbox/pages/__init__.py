"""The sandbox's web pages: what arrived, for a person with a browser.

The pages' paths, and which part answers each, belong here; the parts stand beside it, and the API
elsewhere. Nothing on the pages changes anything.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mds_tableau.sandbox.pages import files, overview
from mds_tableau.sandbox.pages.datasource import Pages
from mds_tableau.sandbox.store import Store


def routes(store: Store) -> list[Route]:
    """Returns the paths of all pages."""

    def show_overview(_request: Request) -> Response:
        return overview.show(store)

    def current(request: Request) -> Response:
        return files.current(store, request.path_params["datasource_id"])

    def revision(request: Request) -> Response:
        return files.revision(
            store, request.path_params["datasource_id"], request.path_params["number"]
        )

    return [
        Route("/", show_overview),
        Route("/datasources/{datasource_id}", Pages(store).show),
        Route("/download/{datasource_id}", current),
        Route("/download/{datasource_id}/{number}", revision),
    ]
