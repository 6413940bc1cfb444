"""The HTTP session that the client makes its requests with: what may be repeated in place.

A request that surely did not arrive (the connection was refused, or the server answered 429) is
repeated, whatever it is; a GET is repeated after everything that a later one may not meet. All else
is doubtful, and is judged by who knows what it was for. The repeating itself is urllib3's.

A 503 is doubtful here too: nothing in it tells a gateway that passed nothing on from one whose
server was half done. It is certain only where it answers a request that was not sent to its end,
and `chunks` knows that of the requests that are large enough to be broken off.
"""

import ssl
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from typing_extensions import Self
from urllib3.exceptions import SSLError
from urllib3.util.retry import Retry

from mds_tableau.errors import ConnectionBlocked, ServerUnreachable
from mds_tableau.tableau.patience import Patience
from mds_tableau.tableau.route import is_loopback

_NOT_ARRIVED: Final = 429
_PASSING: Final = frozenset({500, 502, 503, 504})
_REPEATS: Final = 2
"""More is left to who knows what the request was for, so that patience is not multiplied."""

_HARMLESS: Final = frozenset({"GET", "HEAD"})


class _Repeats(Retry):
    """urllib3's rules, but for these: a status depends on the method, and so does an end of TLS."""

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Whether an answer is one to ask again after."""
        if status_code == _NOT_ARRIVED:
            return bool(self.total)
        return method.upper() in _HARMLESS and status_code in _PASSING and bool(self.total)

    def increment(self, *args: Any, **kwargs: Any) -> Self:
        """Count a failure, or raise it when it is the last one or will not go away."""
        error = kwargs.get("error")
        method = str(kwargs.get("method", args[0] if args else ""))
        # urllib3 would repeat all requests after an error of TLS, as if none of them had arrived
        is_harmless = method.upper() in _HARMLESS
        if isinstance(error, SSLError) and not (is_harmless and _broke_off(error)):
            raise error
        return super().increment(*args, **kwargs)


class HttpSession(requests.Session):
    """A session of requests that repeats what may be repeated, and remembers the last status.

    Attributes:
        last_status: Status of the last answer, which the client hides behind some of its errors.
    """

    def __init__(self, patience: Patience, server: str) -> None:
        super().__init__()
        self.last_status = 0
        self._server = server
        adapter = HTTPAdapter(
            max_retries=_Repeats(
                total=min(_REPEATS, patience.attempts - 1),
                redirect=0,
                allowed_methods=_HARMLESS,
                backoff_factor=patience.first_pause,
                backoff_max=patience.longest_pause,
                backoff_jitter=patience.first_pause,
                retry_after_max=patience.longest_retry_after,
                # the last answer is worth more than the news that it was the last
                raise_on_status=False,
            )
        )
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Make a request as requests does, and keep its status.

        Raises:
            ConnectionBlocked: It would go to another host, or over plain http to one.
            ServerUnreachable: A page is the answer, in which the client would see an empty list.
            requests.exceptions.ConnectionError: Among others, when TLS noticed that a connection
                broke off, which requests takes for a bad certificate.
        """
        self.last_status = 0
        self._refuse_elsewhere(str(args[1] if len(args) > 1 else kwargs["url"]))
        try:
            response = super().request(*args, **kwargs)
        except requests.exceptions.SSLError as error:
            if not _broke_off(error):
                raise
            raise requests.exceptions.ConnectionError("the connection broke off") from error
        self.last_status = response.status_code
        if response.ok and "html" in response.headers.get("Content-Type", "").casefold():
            raise ServerUnreachable(
                f"{response.url.partition('?')[0]} answered with a page, so it is not Tableau "
                "Server that answered. Check TABLEAU_SERVER, and whether a proxy or a sign-in page "
                "stands in between."
            )
        return response

    def _refuse_elsewhere(self, url: str) -> None:
        # the client follows redirects itself, and takes password and token along
        host = urlsplit(url).hostname
        if host != urlsplit(self._server).hostname:
            raise ConnectionBlocked(
                f"{self._server} redirects to {url.partition('?')[0]}, which is another host; "
                "nothing was sent there. If that is your Tableau Server, set TABLEAU_SERVER to it; "
                "if not, a proxy or a sign-in page stands in between."
            )
        if urlsplit(url).scheme == "http" and not is_loopback(url):
            raise ConnectionBlocked(
                f"{url.partition('?')[0]} is asked for over plain http, which would show the "
                "session to everybody on the way. Set TABLEAU_SERVER to the https:// address that "
                "the server has; if it has, something redirects from there to http, which its "
                "administrator can change."
            )


class HttpSessions:
    """Makes a session for each thread of the client, and closes them all in the end."""

    def __init__(self, patience: Patience, server: str) -> None:
        self._patience = patience
        self._server = server
        self._made: list[HttpSession] = []

    def __call__(self) -> HttpSession:
        """Make one more."""
        made = HttpSession(self._patience, self._server)
        self._made.append(made)
        return made

    def close(self) -> None:
        """Close the connections of all that were made."""
        for session in self._made:
            session.close()


def _broke_off(error: BaseException) -> bool:
    """Whether an error of TLS is that the other side was gone."""
    inner: object = error
    while isinstance(inner, BaseException):
        if isinstance(inner, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
            return True
        inner = getattr(inner, "reason", None) or next(iter(inner.args), None)
    return False
