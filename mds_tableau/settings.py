"""The one place where the environment is read, and where its values are checked.

`TABLEAU_*` says where to publish and as whom, `MDS_*` everything else; a `.env` file in the working
directory is read first and never overrides what is already set. Nothing else in the package may
read `os.environ`; opening files or connections does not belong here.
"""

import hashlib
import os
import sys
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import load_dotenv
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mds_tableau.errors import SettingsError

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

TELEMETRY_OFF = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
}
"""Switched off by `Settings.export` unless the variable is already set; Hyper's is a constructor
flag and is off in `mds_tableau.hyper`."""

# dbt writes every debug event to its log file, which takes a tenth of the time of a small project
_QUIETER_DBT = {"DBT_LOG_LEVEL_FILE": "info"}

# a file below this goes in one request, which the client reads into memory whole
_SMALL_REQUESTS = {"TSC_FILESIZE_LIMIT_MB": "16"}


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


_EXPECTED: Final = {
    "mds_max_row_fall": "a number from 0 to 1, such as 0.5; 1 lets every fall through",
    "mds_verify": "exact or rows",
}
"""What to say of a bad value of a setting, where pydantic does not say what to do. No secrets:
the value itself is shown."""


class Settings(BaseSettings):
    """Everything that can be configured; each field is the variable of the same name.

    Paths are made absolute against the working directory. Secrets are `SecretStr`: they show as
    asterisks in a repr, a log or an error.
    """

    model_config = SettingsConfigDict(case_sensitive=False, extra="ignore", env_ignore_empty=True)

    tableau_server: str = Field("", description="URL of Tableau Server; none: the local sandbox.")
    tableau_site: str = Field("", description="Content URL of the site; none: the default site.")
    tableau_project: str = Field("Default", description="Project path used by default.")
    tableau_token_name: str = Field("", description="Name of a personal access token.")
    tableau_token_value: SecretStr = Field(SecretStr(""), description="Its secret.")
    tableau_username: str = Field("", description="User to sign in as, or to act for.")
    tableau_password: SecretStr = Field(SecretStr(""), description="Password of that user.")
    tableau_connected_app_client_id: str = Field("", description="Connected app: client id.")
    tableau_connected_app_secret_id: str = Field("", description="Connected app: secret id.")
    tableau_connected_app_secret_value: SecretStr = Field(
        SecretStr(""), description="Connected app: secret value."
    )

    mds_data_dir: AbsolutePath = Field(
        Path("data"), validate_default=True, description="Folder of everything derived."
    )
    mds_raw_dir: AbsolutePath = Field(
        Path("data/raw"), validate_default=True, description="Folder of the raw files."
    )
    mds_dbt_project: AbsolutePath = Field(
        Path("dbt_project"), validate_default=True, description="Folder of the dbt project."
    )
    dbt_profiles_dir: AbsolutePath | None = Field(
        None, description="Folder of dbt's profiles.yml; none: the project's own, else ~/.dbt."
    )
    mds_marts: Annotated[str, NoDecode] = Field(
        "fqn:*.marts.*", description="dbt selection of the models to export."
    )
    mds_verify: Literal["exact", "rows"] = Field(
        "exact",
        description="How extracts are compared: exact is value for value, rows by counts alone.",
    )
    mds_max_row_fall: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Largest share of its rows that a datasource may lose in one publish.",
    )
    mds_timezone: str = Field("UTC", description="Time zone of the schedule, an IANA name.")
    mds_schedule: str = Field("30 6 * * *", description="When `refresh_daily` runs, as cron.")
    mds_create_projects: bool = Field(
        False, description="Whether projects that are missing on the server are created."
    )
    mds_upload_workers: int = Field(
        2, ge=1, le=16, description="Extracts that are uploaded at the same time."
    )
    mds_sandbox_port: int = Field(
        8850, ge=1, le=65535, description="Port where `mds-tableau sandbox` is looked for."
    )

    mds_sandbox_projects: str = Field(
        "Retail/Daily", description="Projects that the local sandbox has, separated by commas."
    )

    @property
    def warehouse(self) -> Path:
        """Path of the DuckDB file that our own dbt project writes."""
        return self.mds_data_dir / "warehouse.duckdb"

    @property
    def profiles_dir(self) -> Path:
        """Folder whose `profiles.yml` dbt reads, found in dbt's own order of places."""
        if self.dbt_profiles_dir is not None:
            return self.dbt_profiles_dir
        if (self.mds_dbt_project / "profiles.yml").is_file():
            return self.mds_dbt_project
        return Path.home() / ".dbt"

    @property
    def sandbox_projects(self) -> list[str]:
        """Paths of the projects that the local sandbox has beside Default."""
        return [path.strip() for path in self.mds_sandbox_projects.split(",") if path.strip()]

    @property
    def uses_sandbox(self) -> bool:
        """Whether no server is configured, so that the local sandbox is published to."""
        return not self.tableau_server

    @property
    def target(self) -> str:
        """Server and site that are published to, in words that stay the same from run to run."""
        if self.uses_sandbox:
            return f"the local sandbox in {self.mds_data_dir / 'sandbox'}"
        site = f"site {self.tableau_site!r}" if self.tableau_site else "the default site"
        return f"{self.tableau_server.rstrip('/')}, {site}"

    def export(self) -> None:
        """Put into the environment what dbt and Dagster read there.

        dbt's profile and sources need absolute paths, because dbt resolves relative ones against
        its own working directory. Variables of telemetry are only set where they are not set.
        """
        os.environ["MDS_RAW_DIR"] = self.mds_raw_dir.as_posix()
        os.environ["MDS_WAREHOUSE"] = self.warehouse.as_posix()
        for name, value in {**TELEMETRY_OFF, **_QUIETER_DBT, **_SMALL_REQUESTS}.items():
            os.environ.setdefault(name, value)


def child_environment(**extra: str) -> dict[str, str]:
    """Return the environment for a child process: this one's, with `extra` on top.

    The folder of this interpreter comes first in `PATH`, so that `dbt` is found in a virtual
    environment that nobody activated.
    """
    scripts = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", "")
    return {
        **TELEMETRY_OFF,
        **os.environ,
        "PATH": scripts + os.pathsep + path if path else scripts,
        **extra,
    }


def dbt_environment_digest() -> str:
    """Return a digest of the variables that a dbt project may read.

    A digest, because it is kept on disk and some of them may be secrets.
    """
    read = [(name, os.environ[name]) for name in sorted(os.environ) if _is_for_dbt(name)]
    return hashlib.sha256(repr(read).encode()).hexdigest()


def _is_for_dbt(name: str) -> bool:
    return name.startswith("DBT_") or name in {"MDS_RAW_DIR", "MDS_WAREHOUSE"}


def load_settings(env_file: Path | None = Path(".env")) -> Settings:
    """Read `.env` and the environment and return what they say, checked.

    Raises:
        SettingsError: Something is half-configured or not of its form; names every such setting.
    """
    if env_file is not None and env_file.is_file():
        try:
            load_dotenv(env_file, override=False)
        except UnicodeDecodeError as error:
            raise SettingsError(
                f"{env_file.absolute()} is not UTF-8 ({error}). Save it so."
            ) from None
    problems: list[str] = []
    try:
        settings = Settings()
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = [_problem(str(d["loc"][0]), d["input"], d["msg"]) for d in details]
        # the rest is checked as if these were not set, so that everything is reported at once
        names = {str(detail["loc"][0]) for detail in details}
        settings = Settings(**{name: Settings.model_fields[name].default for name in names})
    problems += [*_server_problems(settings), *_sign_in_problems(settings), *_misc(settings)]
    if problems:
        raise SettingsError(_report(problems))
    return settings


def _problem(name: str, seen: object, message: str) -> str:
    if name in _EXPECTED:
        return f"{name.upper()} is {seen!r}; it must be {_EXPECTED[name]}."
    return f"{name.upper()}: {message}"


def _report(problems: list[str]) -> str:
    return "\n".join(
        [
            "Settings are not complete; see .env.example for all of them.",
            *map("- {}".format, problems),
        ]
    )


def _server_problems(settings: Settings) -> list[str]:
    url = settings.tableau_server
    if not url:
        given = [
            name.upper()
            for name in Settings.model_fields
            if name.startswith("tableau_")
            and name != "tableau_project"
            and name in settings.model_fields_set
        ]
        if given:
            return [
                f"TABLEAU_SERVER is missing, but {_listed(given)} is set. Set TABLEAU_SERVER to "
                "the server's URL, or unset the others to publish to the local sandbox."
            ]
        return []
    if "@" in url:
        return ["TABLEAU_SERVER holds a user name or password; give them as settings of their own."]
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # reading it checks it
    except ValueError as error:
        return [f"TABLEAU_SERVER is {url!r}, which is not a URL: {error}."]
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return [f"TABLEAU_SERVER is {url!r}; it must be a URL such as https://tableau.example.com."]
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        return [
            f"TABLEAU_SERVER is {url!r}; credentials are never sent over plain http except to this "
            "machine. Use https://."
        ]
    return []


def _sign_in_problems(settings: Settings) -> list[str]:
    if settings.uses_sandbox:
        return []
    token = {
        "TABLEAU_TOKEN_NAME": settings.tableau_token_name,
        "TABLEAU_TOKEN_VALUE": settings.tableau_token_value.get_secret_value(),
    }
    app = {
        "TABLEAU_CONNECTED_APP_CLIENT_ID": settings.tableau_connected_app_client_id,
        "TABLEAU_CONNECTED_APP_SECRET_ID": settings.tableau_connected_app_secret_id,
        "TABLEAU_CONNECTED_APP_SECRET_VALUE": (
            settings.tableau_connected_app_secret_value.get_secret_value()
        ),
    }
    user = {"TABLEAU_USERNAME": settings.tableau_username}
    password = {"TABLEAU_PASSWORD": settings.tableau_password.get_secret_value()}
    # a connected app acts for a user, so the user name belongs to whichever way is begun
    ways = [token, {**app, **user}, {**user, **password}]
    begun = [
        way for way, marks in zip(ways, (token, app, password), strict=True) if any(marks.values())
    ]
    if not begun and any(user.values()):
        begun = [ways[2]]
    if not begun:
        return [
            "TABLEAU_SERVER is set, but no way to sign in. Set TABLEAU_TOKEN_NAME and "
            "TABLEAU_TOKEN_VALUE, or TABLEAU_USERNAME and TABLEAU_PASSWORD, or the three "
            "TABLEAU_CONNECTED_APP_* variables and TABLEAU_USERNAME."
        ]
    if len(begun) > 1:
        given = [name for way in begun for name, value in way.items() if value]
        return [
            f"More than one way to sign in is configured ({_listed(sorted(set(given)))}). "
            "Keep one: a token, a user with password, or a connected app."
        ]
    missing = [name for name, value in begun[0].items() if not value]
    given = [name for name, value in begun[0].items() if value]
    if missing:
        return [f"{_listed(missing)} is missing; {_listed(given)} is set and needs it."]
    return []


def _misc(settings: Settings) -> list[str]:
    try:
        ZoneInfo(settings.mds_timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return [
            f"MDS_TIMEZONE is {settings.mds_timezone!r}; it must be an IANA time zone such as "
            "Europe/London."
        ]
    return []


def _listed(names: list[str]) -> str:
    return ", ".join(names)
