"""Downloads of the `.hyper` files, current and earlier ones.

Sending a file to a browser belongs here; the API's own downloads, which are packaged, do not.
"""

from starlette.responses import PlainTextResponse, Response

from mds_tableau.sandbox import datasources, revisions
from mds_tableau.sandbox.errors import ApiError
from mds_tableau.sandbox.pages.rendering import HEADERS
from mds_tableau.sandbox.store import Store


def current(store: Store, datasource_id: str) -> Response:
    """Returns the current `.hyper` of a data source."""
    try:
        row, extract = datasources.current_content(store, datasource_id)
    except ApiError as error:
        return PlainTextResponse(error.detail, error.status, HEADERS)
    return datasources.file_response(store, extract, f"{row['name']}.hyper", "attachment")


def revision(store: Store, datasource_id: str, number: str) -> Response:
    """Returns the `.hyper` of one revision of a data source."""
    try:
        row, extract = revisions.content(store, datasource_id, number)
    except ApiError as error:
        return PlainTextResponse(error.detail, error.status, HEADERS)
    name = f"{row['name']} (revision {row['number']}).hyper"
    return datasources.file_response(store, extract, name, "attachment")
