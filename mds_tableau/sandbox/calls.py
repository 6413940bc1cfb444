"""What an operation gets and what it is: one request, and one entry of the table of operations.

The types that all operations share belong here; the operations and the dispatch do not. Parameters
that are neither documented for an operation nor known to the sandbox are refused by name, so that
no client believes in an effect that it did not have.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from starlette.responses import Response

from mds_tableau.sandbox import filters, xmlio
from mds_tableau.sandbox.errors import ApiError
from mds_tableau.sandbox.filters import BadFilter, Field, Page, Row
from mds_tableau.sandbox.multipart import Parts
from mds_tableau.sandbox.store import Store


@dataclass(frozen=True)
class Session:
    """Who is asking.

    Attributes:
        token_digest: Key of the session.
        user_id: The user.
        site_id: The site that the session is for.
        scopes: What a JWT allowed; None means everything.
    """

    token_digest: str
    user_id: str
    site_id: str
    scopes: tuple[str, ...] | None


@dataclass(frozen=True)
class Call:
    """One request, checked as far as all operations have it in common.

    Attributes:
        store: The sandbox's state.
        base_url: Base of every webpageUrl.
        version: The API version in the request's path.
        path: The variable parts of the path.
        query: The query string; of a repeated parameter the last.
        body: The body, empty for multipart requests.
        parts: The parts of a multipart request.
        caller: Who is asking; None only for operations without sign-in.
    """

    store: Store
    base_url: str
    version: tuple[int, int]
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes = b""
    parts: Parts | None = None
    caller: Session | None = None

    @property
    def session(self) -> Session:
        """Who is asking, where an operation needs a sign-in."""
        if self.caller is None:
            raise RuntimeError("An operation without sign-in asked for the session.")
        return self.caller

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Returns a boolean of the query string; capitals do not matter.

        Raises:
            ApiError: 400008; the value is neither true nor false.
        """
        value = self.query.get(name)
        if value is None:
            return default
        if value.lower() not in {"true", "false"}:
            raise ApiError(400008, f"Invalid value '{value}' of '{name}': true or false expected.")
        return value.lower() == "true"

    def select(self, rows: Sequence[Row], fields: Mapping[str, Field]) -> Page:
        """Returns the page of filtered and sorted rows that the query string asks for.

        Raises:
            ApiError: See `filters.select`.
        """
        try:
            return filters.select(rows, self.query, fields)
        except BadFilter as error:
            raise ApiError(self.store.config.choices.bad_filter_code, error.detail) from error

    def reply(self, *children: Element, status: int = 200) -> Response:
        """Returns the children in the envelope of the request's API version."""
        return xmlio.reply(*children, status=status, api_version=self.version)


@dataclass(frozen=True)
class Operation:
    """One entry of the table of operations.

    Attributes:
        run: Carries it out; runs in a thread.
        scopes: What a JWT session needs, all of them.
        parameters: What its query string may hold.
        anonymous: Whether it works without sign-in.
        largest_file: For multipart requests, how many bytes a file may have; 0 for others.
        too_large: What to raise when it has more.
        needs_length: Whether a request without Content-Length is refused.
    """

    run: Callable[[Call], Response]
    scopes: tuple[str, ...] = ()
    parameters: frozenset[str] = frozenset()
    anonymous: bool = False
    largest_file: int = 0
    too_large: Callable[[], Exception] = RuntimeError
    needs_length: bool = False
