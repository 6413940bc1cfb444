"""What one sandbox serves: its folder, its site, who may sign in, and how it behaves.

Values and their checks belong here; where they come from (options, a test) and what is done with
them does not. The defaults are those of Tableau Server 2025.1, as its REST API reference gives
them.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mds_tableau.errors import SandboxError
from mds_tableau.sandbox.choices import Choices

MEGABYTE = 1024 * 1024

OLDEST_API_VERSION = (2, 0)
PRODUCT_VERSIONS = {
    "2.3": "10.0",
    "2.4": "10.1",
    "2.8": "10.5",
    "3.0": "2018.1",
    "3.1": "2018.2",
    "3.4": "2019.2",
    "3.5": "2019.3",
    "3.6": "2019.4",
    "3.7": "2020.1",
    "3.10": "2020.4",
    "3.13": "2021.3",
    "3.14": "2021.4",
    "3.15": "2022.1",
    "3.17": "2022.3",
    "3.19": "2023.1",
    "3.20": "2023.2",
    "3.21": "2023.3",
    "3.22": "2024.1",
    "3.23": "2024.2",
    "3.24": "2024.3",
    "3.25": "2025.1",
}
# The newest version of Hyper's file format that each server opens, from its API version on.
FILE_VERSIONS = (((3, 24), 4), ((3, 19), 3), ((3, 10), 2), ((3, 4), 1))

# A real connected app's secret value is 44 characters long, and PyJWT warns below 32 bytes.
SHORTEST_SECRET_VALUE = 32


def parse_version(text: str) -> tuple[int, int] | None:
    """Returns an API version such as `3.25` as two numbers, None when it is not of that form."""
    match = re.fullmatch(r"([0-9]{1,4})\.([0-9]{1,4})", text, re.ASCII)
    return (int(match[1]), int(match[2])) if match else None


@dataclass(frozen=True, kw_only=True)
class SeedWorkbook:
    """A workbook that each site has from the start.

    Attributes:
        name: Its name.
        project: Path of its project; made when missing.
        datasource: Name of the data source of its project that its sheets show; "" for none.
        sheets: Names of its sheets.
        dashboards: Names of its dashboards; each shows all sheets.
    """

    name: str
    project: str = "Default"
    datasource: str = ""
    sheets: tuple[str, ...] = ("Sheet 1",)
    dashboards: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SandboxConfig:
    """Everything that one sandbox needs to know before it starts.

    Attributes:
        data_dir: Folder of everything it keeps; created when missing.
        site: contentUrl of the one site beside Default; "" means only Default.
        users: Password of each user; all are administrators but the publishers.
        publishers: Names of the users who may change only what is theirs or was allowed to them.
        projects: Paths of projects that each site has from the start, beside Default.
        workbooks: Workbooks that each site has from the start.
        tokens: Secret of each personal access token; they belong to the first user.
        connected_apps: Secret value of each (client id, secret id).
        api_version: The newest REST API version that it speaks.
        public_url: Base of every webpageUrl; None means the sandbox's own address.
        job_polls: After how many looks at an asynchronous job it is complete.
        job_seconds: After how many seconds a job that nobody looks at is complete.
        idle_minutes: After how many idle minutes a session ends.
        one_session_per_token: Whether a second sign-in with a token ends the first session.
        kept_revisions: How many revisions of a data source are kept.
        open_extracts: Whether published extracts are opened with Hyper; otherwise only their first
            bytes are looked at, and nothing can be appended.
        choices: The answers to what no evidence settles.
        clock: The time, in seconds since 1970; tests may replace it.

    Raises:
        SandboxError: A value is not of its form.
    """

    data_dir: Path
    site: str = ""
    publishers: frozenset[str] = frozenset()
    projects: tuple[str, ...] = ()
    workbooks: tuple[SeedWorkbook, ...] = ()
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    connected_apps: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)
    api_version: str = "3.25"
    public_url: str | None = None
    job_polls: int = 2
    job_seconds: float = 30.0
    idle_minutes: int = 240
    one_session_per_token: bool = True
    kept_revisions: int = 25
    open_extracts: bool = True
    choices: Choices = field(default_factory=Choices)
    clock: Callable[[], float] = field(default=time.time, repr=False)

    def __post_init__(self) -> None:
        problems = [
            *self._site_problems(),
            *self._people_problems(),
            *self._number_problems(),
            *self.choices.problems(),
        ]
        if problems:
            raise SandboxError("Cannot start the sandbox: " + " ".join(problems))

    @property
    def version(self) -> tuple[int, int]:
        """The newest API version as two numbers."""
        return parse_version(self.api_version) or OLDEST_API_VERSION

    @property
    def product_version(self) -> str:
        """The Tableau Server release that speaks the API version."""
        return PRODUCT_VERSIONS.get(self.api_version, "2025.1")

    @property
    def newest_file_version(self) -> int:
        """The newest version of Hyper's file format that the server opens."""
        if self.choices.newest_file_version is not None:
            return self.choices.newest_file_version
        return next((newest for since, newest in FILE_VERSIONS if self.version >= since), 0)

    @property
    def user_names(self) -> tuple[str, ...]:
        """Names of all users, the owner of the tokens first."""
        return tuple(self.users) or ("admin",)

    def _site_problems(self) -> list[str]:
        problems = []
        if not re.fullmatch(r"[A-Za-z0-9_-]*", self.site):
            problems.append(
                f"Site {self.site!r} is not a contentUrl: letters, digits, - and _ are allowed."
            )
        version = parse_version(self.api_version)
        if version is None or version < (2, 4):
            problems.append(
                f"API version {self.api_version!r} is not a version from 2.4 on, such as 3.25."
            )
        return problems

    def _people_problems(self) -> list[str]:
        problems = []
        keys = [name.casefold() for name in self.users]
        if len(set(keys)) < len(keys):
            problems.append("Two user names differ only in case; Tableau takes them for one.")
        unknown = sorted(self.publishers - set(self.user_names))
        if unknown:
            problems.append(f"publishers names {', '.join(unknown)}, who are no users.")
        named = [*self.users.items(), *self.tokens.items()]
        if any(not name or not secret for name, secret in named):
            problems.append("A user or token has an empty name or secret; give both.")
        if any(not client_id or not secret_id for client_id, secret_id in self.connected_apps):
            problems.append("A connected app has an empty client id or secret id; give both.")
        if any(len(value) < SHORTEST_SECRET_VALUE for value in self.connected_apps.values()):
            problems.append(
                f"A connected app's secret value has fewer than {SHORTEST_SECRET_VALUE} characters;"
                " Tableau's own have 44. Use a longer one."
            )
        return problems

    def _number_problems(self) -> list[str]:
        numbers = {
            "job_polls": self.job_polls,
            "idle_minutes": self.idle_minutes,
            "kept_revisions": self.kept_revisions,
        }
        return [
            f"{name} is {value}, and must be at least 1."
            for name, value in numbers.items()
            if value < 1
        ]
