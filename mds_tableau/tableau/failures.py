"""Turns what the client raises into our errors, with advice and without secrets.

The client raises its own errors, those of requests, and whatever breaks when a proxy answers with
a page; all of them are met here once. Trying again does not belong here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
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

from mds_tableau.errors import (
    MdsTableauError,
    ProjectNotFound,
    PublishError,
    ServerUnreachable,
    SignInError,
)

_ADVICE: Final = {
    "400011": "The server could not read the extract: its Tableau version may be too old for it.",
    "403004": "The user may not do this; ask the owner of the project for the right to publish.",
    "403007": "The user may not publish or overwrite there; ask the owner of the project.",
    "403008": "The site's storage quota is used up; ask its administrator.",
    "404005": "The project is gone; set another one.",
}


@contextmanager
def translated(doing: str, server: str) -> Iterator[None]:
    """Raise our errors for whatever goes wrong with the server inside the block.

    Args:
        doing: What is being done, such as `Publishing 'Sales'`.
        server: URL of the server.

    Raises:
        SignInError: The server does not accept the session.
        ProjectNotFound: The project is gone.
        PublishError: The server refuses the request.
        ServerUnreachable: It does not answer, or what answers is not Tableau Server.
    """
    try:
        yield
    except MdsTableauError:
        raise
    except TSC.NotSignedInError as error:
        raise SignInError(
            f"{doing} failed: {server} does not accept the session ({_text(error)}). It may have "
            "expired, or another sign-in with the same token has ended it."
        ) from error
    except ServerResponseError as error:
        kind = ProjectNotFound if str(error.code) == "404005" else PublishError
        advice = _ADVICE.get(str(error.code), "")
        raise kind(f"{doing} failed: {server} answered {_text(error)}. {advice}".strip()) from error
    except InternalServerError as error:
        raise ServerUnreachable(
            f"{doing} failed: {server} answered HTTP {error.code}. Try again later; if it stays, "
            "ask the server's administrator."
        ) from error
    except (NonXMLResponseError, ParseError, IndexError, AttributeError, TableauError) as error:
        raise ServerUnreachable(
            f"{doing} failed: what {server} answered is not from Tableau Server. Check "
            "TABLEAU_SERVER, and whether a proxy or a sign-in page stands in between."
        ) from error
    except requests.exceptions.SSLError as error:
        raise ServerUnreachable(
            f"{doing} failed: the certificate of {server} is not trusted. If your company has its "
            "own certificate authority, set REQUESTS_CA_BUNDLE to its file."
        ) from error
    except requests.exceptions.ProxyError as error:
        raise ServerUnreachable(
            f"{doing} failed: the proxy does not let through to {server}. Check HTTPS_PROXY and "
            "NO_PROXY."
        ) from error
    except requests.exceptions.Timeout as error:
        raise ServerUnreachable(f"{doing} failed: {server} did not answer in time.") from error
    except requests.exceptions.RequestException as error:
        raise ServerUnreachable(
            f"{doing} failed: {server} cannot be reached ({_cause(error)}). Check TABLEAU_SERVER, "
            "the network and the proxy settings."
        ) from error


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
