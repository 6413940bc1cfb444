"""Asks a server what it is, without signing in, and what the user who is signed in may do there."""

import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import tableauserverclient as TSC  # noqa: N812
from tableauserverclient.server.endpoint.exceptions import ServerResponseError

from mds_tableau.errors import ServerUnreachable
from mds_tableau.tableau.failures import translated
from mds_tableau.tableau.http import HttpSession
from mds_tableau.tableau.patience import Patience
from mds_tableau.tableau.route import Route
from mds_tableau.tableau.session import Project, Session


@dataclass(frozen=True)
class ServerFacts:
    """What a server tells everybody.

    Attributes:
        product: Its version.
        build: Number of its build.
        api: Version of its REST API.
        ahead: Seconds that its clock is ahead of this machine's, to a second or two; None where it
            does not tell its time.
    """

    product: str
    build: str
    api: str
    ahead: float | None


@dataclass(frozen=True)
class Rights:
    """What a server tells of the user who is signed in; None is what it does not tell.

    Attributes:
        user: Name of the user.
        role: The role on the site.
        writeable: Whether the user may write into a project, by LUID of those that were asked for.
    """

    user: str | None
    role: str | None
    writeable: Mapping[str, bool | None]


def probe(server: str, patience: Patience, route: Route) -> ServerFacts:
    """Return what a server tells without a sign-in.

    Raises:
        ServerUnreachable: It does not answer, or what answers is not Tableau Server.
        ConnectionBlocked: A certificate or a proxy is in the way.
    """
    server = server.rstrip("/")
    clocks: list[float] = []

    def look(response: requests.Response, **_: Any) -> None:
        half_way = time.time() - response.elapsed.total_seconds() / 2
        with suppress(KeyError, ValueError):
            told = parsedate_to_datetime(response.headers["Date"])
            clocks.append(told.timestamp() - half_way)

    http = HttpSession(patience, server)
    http.hooks["response"].append(look)
    try:
        client = TSC.Server(
            server,
            http_options={"timeout": patience.timeout, **route.options(server)},
            session_factory=lambda: http,
        )
        with translated("Asking for the version", server, lambda: http.last_status):
            info = client.server_info.get()
    finally:
        http.close()
    # the client makes something up when it understands nothing
    if info is None or not re.fullmatch(r"\d+\.\d+", str(info.rest_api_version)):
        raise ServerUnreachable(
            f"What {server} answered does not have the version of a Tableau Server. Check "
            "TABLEAU_SERVER, and whether a proxy or a sign-in page stands in between."
        )
    return ServerFacts(
        str(info.product_version),
        str(info.build_number),
        str(info.rest_api_version),
        clocks[-1] if clocks else None,
    )


def rights(session: Session, projects: Iterable[Project]) -> Rights:
    """Return what the user who is signed in may do in some projects, as far as it is told.

    Raises:
        MdsTableauError: The server cannot be asked.
    """

    def ask(client: TSC.Server) -> Rights:
        options = TSC.RequestOptions(pagesize=1000)
        told = {str(one.id): one.writeable for one in TSC.Pager(client.projects, options)}
        writeable = {project.id: told.get(project.id) for project in projects}
        try:
            user = client.users.get_by_id(str(client.user_id))
        except ServerResponseError:
            # not everybody may look up users, not even oneself
            return Rights(None, None, writeable)
        return Rights(user.name, user.site_role, writeable)

    return session.ask("Looking at what the user may do", ask)
