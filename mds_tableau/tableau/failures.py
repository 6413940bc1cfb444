"""Turns what the client raises into our errors, with advice and without secrets.

The client raises its own errors, those of requests, and whatever breaks when a proxy answers with
a page; all of them are met here once, and the class of each says whether trying again can help.
Trying again does not belong here.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final
from xml.etree.ElementTree import ParseError

import requests
import tableauserverclient as TSC  # noqa: N812
from tableauserverclient.server.endpoint.exceptions import (
    InternalServerError,
    NonXMLResponseError,
    ServerResponseError,
    TableauError,
)
from urllib3.exceptions import MaxRetryError, ReadTimeoutError

from mds_tableau.errors import (
    Conflict,
    ConnectionBlocked,
    ExtractRefused,
    MdsTableauError,
    NotPermitted,
    ProjectNotFound,
    PublishError,
    RateLimited,
    ServerFailed,
    ServerUnreachable,
    SessionEnded,
    TimedOut,
    TooLarge,
    UploadLost,
)

_ASK_OWNER: Final = "ask the owner of the project for the right to publish there"
_CODES: Final[Mapping[str, tuple[type[MdsTableauError], str]]] = {
    "400011": (
        ExtractRefused,
        "The server could not read the extract: its Tableau version may be too old for it.",
    ),
    "400016": (TooLarge, "The server takes no chunk of that size."),
    "403004": (NotPermitted, f"The user may not do this; {_ASK_OWNER}."),
    "403007": (
        NotPermitted,
        f"The user may not publish or overwrite there; {_ASK_OWNER}. A server that is too old to "
        "replace the data alone says the same: then use the mode overwrite.",
    ),
    "403008": (NotPermitted, "The site's storage quota is used up; ask its administrator."),
    "403014": (PublishError, "More was asked for at once than the server gives."),
    "403131": (Conflict, "Somebody else publishes it at this moment; run it again later."),
    "404005": (ProjectNotFound, "The project is gone; set another one."),
    "404015": (UploadLost, "The server has lost what was uploaded."),
    "429000": (RateLimited, "The server has had too many requests."),
}
"""What is known of single codes; else the first three digits decide."""

_FAMILIES: Final[Mapping[str, tuple[type[MdsTableauError], str]]] = {
    "403": (NotPermitted, "The user may not do this; ask the server's administrator."),
    "409": (Conflict, "Something is in its place already; look at it on the server."),
    "429": (RateLimited, "The server has had too many requests."),
}


@contextmanager
def translated(
    doing: str, server: str, last_status: Callable[[], int] = lambda: 0
) -> Iterator[None]:
    """Raise our errors for whatever goes wrong with the server inside the block.

    Args:
        doing: What is being done, such as `Publishing 'Sales'`.
        server: URL of the server.
        last_status: Gives the status of the last answer, which the client does not always tell.

    Raises:
        SessionEnded: The server does not accept the session; nothing was done.
        ConnectionBlocked: A certificate or a proxy is in the way.
        PublishError: The server refuses the request; a subclass says more.
        ProjectNotFound: The project is gone.
        Transient: It does not answer, answers with a failure, or what answers is not Tableau.
    """
    try:
        yield
    except MdsTableauError:
        raise
    except TSC.NotSignedInError as error:
        raise SessionEnded(
            f"{doing} failed: {server} does not accept the session ({_text(error)}). It may have "
            "expired, or another sign-in with the same token has ended it."
        ) from error
    except ServerResponseError as error:
        code = str(error.code)
        kind, advice = _CODES.get(code) or _FAMILIES.get(code[:3]) or (PublishError, "")
        refused = kind(f"{doing} failed: {server} answered {_text(error)}. {advice}".strip())
        if isinstance(refused, PublishError):
            refused.code = code
        raise refused from error
    except InternalServerError as error:
        raise ServerFailed(
            f"{doing} failed: {server} answered HTTP {error.code}. If it stays, ask the server's "
            "administrator."
        ) from error
    except (NonXMLResponseError, ParseError, IndexError, AttributeError, TableauError) as error:
        raise _no_answer_of_tableau(doing, server, last_status()) from error
    except requests.exceptions.RequestException as error:
        raise _no_answer(doing, server, error) from error


def _no_answer_of_tableau(doing: str, server: str, status: int) -> MdsTableauError:
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooLarge(
            f"{doing} failed: what stands before {server} takes no request of that size (HTTP 413)."
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited(f"{doing} failed: {server} has had too many requests (HTTP 429).")
    seen = f" (HTTP {status})" if status else ""
    return ServerUnreachable(
        f"{doing} failed: what {server} answered{seen} is not from Tableau Server. Check "
        "TABLEAU_SERVER, and whether a proxy or a sign-in page stands in between."
    )


def _no_answer(
    doing: str, server: str, error: requests.exceptions.RequestException
) -> MdsTableauError:
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE" not in str(error).upper():
        return ConnectionBlocked(
            f"{doing} failed: {server} and this machine do not agree on TLS ({_cause(error)}). "
            "Check that TABLEAU_SERVER is an https:// address, which TLS versions the server "
            "allows, and whether it asks for a client certificate (TABLEAU_CLIENT_CERTIFICATE)."
        )
    if isinstance(error, requests.exceptions.SSLError):
        return ConnectionBlocked(
            f"{doing} failed: the certificate of {server} is not trusted. If your company has its "
            "own certificate authority, set TABLEAU_CA_BUNDLE to its file."
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return ConnectionBlocked(
            f"{doing} failed: the proxy does not let through to {server}. Check "
            "TABLEAU_PROXY, or else HTTPS_PROXY and NO_PROXY."
        )
    if isinstance(error, requests.exceptions.Timeout) or _was_silent(error):
        return TimedOut(f"{doing} failed: {server} did not answer in time.")
    return ServerUnreachable(
        f"{doing} failed: {server} cannot be reached ({_cause(error)}). Check TABLEAU_SERVER, "
        "the network and the proxy settings."
    )


def _was_silent(error: requests.exceptions.RequestException) -> bool:
    # what is repeated in place ends as another class, with the time-out within
    inner = error.args[0] if error.args else None
    return isinstance(inner, MaxRetryError) and isinstance(inner.reason, ReadTimeoutError)


def _text(error: Exception) -> str:
    code, summary, detail = (getattr(error, name, "") for name in ("code", "summary", "detail"))
    return f"{code} {summary}: {detail}" if code else str(error)


def _cause(error: BaseException) -> str:
    """Return the innermost reason, which requests wraps several times."""
    innermost: object = error
    while isinstance(innermost, BaseException):
        following = getattr(innermost, "reason", None)
        if following is None and innermost.args and isinstance(innermost.args[0], BaseException):
            following = innermost.args[0]
        if not isinstance(following, BaseException):
            break
        innermost = following
    text = str(innermost)
    return text.rpartition(": ")[2] if "object at 0x" in text else text
