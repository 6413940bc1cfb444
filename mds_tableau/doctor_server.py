"""What is looked at on the way to the server and on it, or in the local sandbox.

Nothing is changed there, and nobody is waited for longer than a person likes to.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from mds_tableau.destination import Destination
from mds_tableau.doctor_findings import Check, Finding
from mds_tableau.errors import MdsTableauError, ProjectNotFound, TokenInUse
from mds_tableau.settings import Settings
from mds_tableau.settings_rules import route_problems, server_problems, sign_in_problems
from mds_tableau.tableau import ConnectedApp, Session
from mds_tableau.tableau.probing import probe, rights
from mds_tableau.tableau.projects import find_project
from mds_tableau.tableau.session import Project

_CONNECT_SECONDS: Final = 5.0
_READ_SECONDS: Final = 15.0
_TURN_SECONDS: Final = 5.0
"""How long a connection, an answer, and a token that another process has are waited for."""

_SKEW: Final = 60.0
_APP_SKEW: Final = 300.0
"""Seconds between two clocks that are told, and that end the life of a connected app's tokens."""

_NAMED: Final = 5
"""Extracts that are named, where others go to the same project."""

_MAY_NOT_PUBLISH: Final = frozenset({"Unlicensed", "Guest", "Viewer", "ReadOnly", "Explorer"})
"""Roles on a site that publish nothing, whatever a project allows."""


def server_checks(settings: Settings) -> list[Check]:
    """Return the checks of the server, in the order in which they depend on each other."""
    destination = Destination.of(settings)
    patience = destination.patience
    hasty = replace(
        destination,
        patience=replace(
            patience,
            attempts=1,
            connect_seconds=min(patience.connect_seconds, _CONNECT_SECONDS),
            read_seconds=min(patience.read_seconds, _READ_SECONDS),
            publish_seconds=_TURN_SECONDS,
        ),
    )
    examination = _Examination(settings, hasty)
    if server_problems(settings):
        return [_not_tried(name, "the settings of the server") for name in _OF_SERVER]
    if settings.uses_sandbox:
        return [Check("sandbox", examination.sandbox)]
    if list(route_problems(settings)):
        return [_not_tried(name, "the settings of the route") for name in _OF_SERVER]
    return [
        Check("proxy", examination.proxy),
        Check("certificates", examination.certificates),
        Check("server", examination.server),
        Check("sign-in", examination.sign_in),
    ]


_OF_SERVER: Final = ("server", "clock", "sign-in", "project", "rights")


def _not_tried(name: str, because: str) -> Check:
    return Check(name, lambda: [_untried(name, because)])


def _untried(name: str, because: str) -> Finding:
    return Finding(name, "warn", "not tried", f"First mend {because}, then look again.")


class _Examination:
    """What one check has to know of those before."""

    def __init__(self, settings: Settings, destination: Destination) -> None:
        self._settings = settings
        self._destination = destination
        self._is_reached = False

    def proxy(self) -> Iterator[Finding]:
        proxy = self._destination.route.in_use(self._destination.server).proxy
        if not proxy:
            yield Finding("proxy", "ok", "none")
        elif self._destination.route.proxy:
            yield Finding("proxy", "ok", f"{proxy}, of TABLEAU_PROXY")
        else:
            yield Finding("proxy", "ok", f"{proxy}, of the environment (HTTPS_PROXY, ALL_PROXY)")

    def certificates(self) -> Iterator[Finding]:
        used = self._destination.route.in_use(self._destination.server).authorities
        if self._destination.server.startswith("http://"):
            yield Finding("certificates", "ok", "none needed: plain http to this machine")
        elif not Path(used).exists():
            yield Finding(
                "certificates",
                "fail",
                f"the authorities are to be in {used}, and there is nothing",
                "Set TABLEAU_CA_BUNDLE to your authority's file, or unset REQUESTS_CA_BUNDLE and "
                "CURL_CA_BUNDLE.",
            )
        else:
            own = self._destination.route.client_certificate
            shown = f"; shows the client certificate {own}" if own else ""
            yield Finding("certificates", "ok", f"checked against {used}{shown}")

    def server(self) -> Iterator[Finding]:
        where = self._destination
        try:
            facts = probe(where.server, where.patience, where.route)
        except (MdsTableauError, OSError) as error:
            yield Finding("server", "fail", str(error))
            yield _untried("clock", "what keeps from the server")
            return
        self._is_reached = True
        yield Finding(
            "server",
            "ok",
            f"{where.server} is Tableau Server {facts.product} (build {facts.build}), REST API "
            f"{facts.api}",
        )
        yield _clock(facts.ahead, is_app=isinstance(where.sign_in.credentials, ConnectedApp))

    def sign_in(self) -> Iterator[Finding]:
        if sign_in_problems(self._settings):
            yield from _all_untried("the settings of the sign-in")
        elif not self._is_reached:
            yield from _all_untried("what keeps from the server")
        else:
            yield from self._signed_in("sign-in", lambda session: session.site_name)

    def sandbox(self) -> Iterator[Finding]:
        folder = self._settings.mds_data_dir / "sandbox"
        yield from self._signed_in("sandbox", lambda _: f"the local sandbox in {folder}")

    def _signed_in(self, name: str, where: Callable[[Session], str]) -> Iterator[Finding]:
        try:
            with self._destination.session() as session:
                yield Finding(name, "ok", f"works, at {where(session)}")
                yield from _projects(session, self._settings)
        except TokenInUse as error:
            yield Finding(name, "warn", str(error), "Look again when that process has ended.")
            yield from _untried_after_sign_in()
        except (MdsTableauError, OSError) as error:
            yield Finding(name, "fail", str(error))
            yield from _untried_after_sign_in()


def _all_untried(because: str) -> Iterable[Finding]:
    return [_untried(name, because) for name in ("sign-in", "project", "rights")]


def _untried_after_sign_in() -> Iterable[Finding]:
    return [_untried(name, "the sign-in") for name in ("project", "rights")]


def _clock(ahead: float | None, *, is_app: bool) -> Finding:
    if ahead is None:
        advice = "Compare the clocks yourself."
        return Finding("clock", "warn", "the server does not tell its time", advice)
    words = "ahead of" if ahead > 0 else "behind"
    found = f"the server's is {abs(ahead):,.0f} seconds {words} this machine's"
    if abs(ahead) <= _SKEW:
        return Finding("clock", "ok", found)
    is_fatal = is_app and abs(ahead) > _APP_SKEW
    why = " The tokens of a connected app live for five minutes." if is_app else ""
    advice = f"Have both machines set their clocks by a time server.{why}"
    return Finding("clock", "fail" if is_fatal else "warn", found, advice)


def _wanted(settings: Settings) -> dict[str, list[str]]:
    """Return the paths of the projects that extracts go to, and the names of those.

    Without an extract it is the default one, which `mds-tableau publish` takes if none is named.
    """
    try:
        from mds_tableau.defs.configured import configured
        from mds_tableau.defs.dbt import FolderTranslator
    except ImportError:
        return {settings.tableau_project: []}  # which the check of the libraries says
    wanted: dict[str, list[str]] = {}
    spelled: dict[str, str] = {}
    for extract in configured(FolderTranslator(), settings).extracts:
        if extract.publish:
            folded = "/".join(part.strip() for part in extract.project.casefold().split("/"))
            wanted.setdefault(spelled.setdefault(folded, extract.project), []).append(extract.name)
    return wanted or {settings.tableau_project: []}


def _projects(session: Session, settings: Settings) -> Iterator[Finding]:
    wanted = _wanted(settings)
    there: list[Project] = []
    for path, names in wanted.items():
        try:
            there.append(find_project(session, path))
        except MdsTableauError as error:  # noqa: PERF203  # one must not hide the others
            yield _no_project(path, error, names, is_made=settings.mds_create_projects)
    if len(there) == len(wanted):
        all_of_them = ", ".join(f"'{one.path}'" for one in there)
        found = f"all {len(there)} that extracts go to are there: {all_of_them}"
        [*_, last] = there
        yield Finding("project", "ok", found if there[1:] else f"'{last.path}' ({last.id})")
    if there:
        yield from _rights(session, there)
    else:
        yield _untried("rights", "the project")


def _no_project(path: str, error: MdsTableauError, names: list[str], *, is_made: bool) -> Finding:
    what = f"{', '.join(names[:_NAMED])}{' and others' if names[_NAMED:] else ''}"
    goes = f"For {what}." if names else ""
    if isinstance(error, ProjectNotFound) and is_made:
        found = f"there is no '{path}' yet; MDS_CREATE_PROJECTS has it created"
        advice = f"Nothing, if it is to be a new one. {goes}".strip()
        return Finding("project", "warn", found, advice)
    return Finding("project", "fail", str(error), goes)


def _rights(session: Session, projects: list[Project]) -> Iterator[Finding]:
    try:
        told = rights(session, projects)
    except MdsTableauError as error:
        yield Finding("rights", "fail", str(error))
        return
    user = f"user '{told.user}' with the role {told.role}" if told.user else "the user"
    if told.role in _MAY_NOT_PUBLISH:
        advice = "Ask the site's administrator for a role that may publish, such as Creator."
        yield Finding("rights", "fail", f"{user} may publish nothing", advice)
        return
    for project in projects:
        is_writeable = told.writeable[project.id]
        if is_writeable is None:
            found = f"whether {user} may publish to '{project.path}' is not told by the server"
            yield Finding("rights", "warn", found, "Publish something small to see.")
        elif not is_writeable:
            advice = "Ask the owner of the project for the right to publish there."
            yield Finding("rights", "fail", f"{user} may not write to '{project.path}'", advice)
    if all(told.writeable.values()):
        [*_, last] = projects
        where = f"all {len(projects)} projects" if projects[1:] else f"'{last.path}'"
        yield Finding("rights", "ok", f"{user} may write to {where}")
