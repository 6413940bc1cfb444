"""The one place where the environment is read, and where its values are checked.

`TABLEAU_*` says where to publish and as whom, `MDS_*` everything else; a `.env` file in the working
directory is read first and never overrides what is already set. Nothing else in the package may
read `os.environ`; what must hold of the values is in `settings_rules`.
"""

import hashlib
import os
import re
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from dotenv import load_dotenv
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mds_tableau.amounts import Amount
from mds_tableau.errors import SettingsError
from mds_tableau.settings_rules import EXPECTED, one_spelling, settings_problems

TELEMETRY_OFF = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
}
"""Switched off by `Settings.export` unless the variable is already set; Hyper's is a constructor
flag and is off in `mds_tableau.hyper`."""

# dbt writes every debug event to its log file, which takes a tenth of the time of a small project
_QUIETER_DBT = {"DBT_LOG_LEVEL_FILE": "info"}

# the client sends a smaller file with the publish itself, which reads it into memory whole, and
# which cannot be told from one that was sent before: a publish uses an upload up, and so is one
_EVERY_FILE_IS_UPLOADED = {"TSC_FILESIZE_LIMIT_MB": "0"}


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


def _amount(text: str) -> str:
    Amount.parse(text)
    return text


AmountText = Annotated[str, AfterValidator(_amount)]


_FOR_DBT = {"MDS_WAREHOUSE", "MDS_DUCKDB_MEMORY"}
"""Variables that our dbt project reads, and that are set to what settings say."""


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

    tableau_ca_bundle: AbsolutePath | None = Field(
        None, description="Certificate authorities to trust: a PEM file, or a folder of them."
    )
    tableau_proxy: SecretStr = Field(
        SecretStr(""), description="URL of the proxy to the server; none: HTTPS_PROXY."
    )
    tableau_client_certificate: AbsolutePath | None = Field(
        None, description="PEM file with the certificate that the server asks of its clients."
    )
    tableau_client_key: AbsolutePath | None = Field(
        None, description="PEM file with its key, unless the certificate's file holds it too."
    )
    mds_connect_timeout: float = Field(
        15, gt=0, le=86400, description="Seconds that a connection to the server may take to open."
    )
    mds_read_timeout: float = Field(
        300, gt=0, le=86400, description="Seconds that the server may stay silent within an answer."
    )
    mds_publish_timeout: float = Field(
        3600,
        gt=0,
        le=86400,
        description="Seconds that one publish may take, with all that is tried in it.",
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
    mds_timezone: str = Field(
        "UTC", description="Time zone of schedules that name none, an IANA name."
    )
    mds_schedule: str = Field("30 6 * * *", description="When `refresh_daily` runs, as cron.")
    mds_automation: bool = Field(
        False, description="Whether schedules and sensors run from the start."
    )
    mds_sensor_seconds: int = Field(
        60, ge=1, le=86400, description="Seconds between two looks of a sensor, at the least."
    )
    mds_force: bool = Field(
        False, description="Whether also what did not change is made and published again."
    )
    mds_keep: int = Field(
        7, ge=0, le=1000, description="Published versions that are kept of each extract."
    )
    mds_keep_size: AmountText = Field(
        "10%", description="What all of them may take: a size, or a share of the disk."
    )
    mds_keep_days: int = Field(
        14, ge=1, description="Days that logs and debris of past runs are kept."
    )
    mds_memory: AmountText = Field(
        "70%", description="Memory of DuckDB and Hyper: a size, or a share of the machine's."
    )
    mds_keep_runs: int = Field(
        60, ge=1, description="Days that runs and their logs are kept in Dagster's instance."
    )
    mds_deadline: str = Field(
        "", description="When extracts have to be fresh whose model says nothing of it."
    )
    mds_notify: SecretStr = Field(
        SecretStr(""), description="URLs of apprise that alerts go to; none: no alerts."
    )
    mds_notify_summary: str = Field(
        "", description="When a summary is sent, as a deadline is written; none: never."
    )
    mds_ui_url: str = Field(
        "http://127.0.0.1:3000", description="Where the Dagster UI is, for links in alerts."
    )
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
        return f"{one_spelling(self.tableau_server)}, {site}"

    @property
    def duckdb_memory(self) -> str:
        """What DuckDB may take of `mds_memory`, as DuckDB's `memory_limit` is written."""
        return Amount.parse(self.mds_memory).half_for_duckdb

    def secrets(self) -> list[str]:
        """Return the values that nobody may see, for taking them out of what others say."""
        values = (getattr(self, name) for name in type(self).model_fields)
        whole = [one.get_secret_value() for one in values if isinstance(one, SecretStr) and one]
        # an error would show one of the URLs
        urls = re.split(r"[\s,;]+", self.mds_notify.get_secret_value())
        return [*whole, *filter(None, urls)]

    def export(self, **extra: str) -> None:
        """Put into the environment what dbt and Dagster read there, and `extra`.

        dbt's profile and sources need absolute paths, because dbt resolves relative ones against
        its own working directory. Variables of telemetry are only set where they are not set.
        """
        # but for the first, these are no settings: _FOR_DBT
        os.environ["MDS_RAW_DIR"] = self.mds_raw_dir.as_posix()
        os.environ["MDS_WAREHOUSE"] = self.warehouse.as_posix()
        os.environ["MDS_DUCKDB_MEMORY"] = self.duckdb_memory
        os.environ.update(extra)
        for name, value in {**TELEMETRY_OFF, **_QUIETER_DBT, **_EVERY_FILE_IS_UPLOADED}.items():
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


def misspelt_variables() -> dict[str, str]:
    """Return variables that are set and look like one of our settings, with which one they do."""
    known = {name.upper() for name in Settings.model_fields}
    near: dict[str, str] = {}
    for name in os.environ:
        if name.startswith(("MDS_", "TABLEAU_")) and name not in known | _FOR_DBT:
            near[name] = next(iter(get_close_matches(name, known, n=1, cutoff=0.8)), "")
    return {name: meant for name, meant in near.items() if meant}


def dbt_environment_digest() -> str:
    """Return a digest of the variables that a dbt project may read.

    A digest, because it is kept on disk and some of them may be secrets.
    """
    read = [(name, os.environ[name]) for name in sorted(os.environ) if _is_for_dbt(name)]
    return hashlib.sha256(repr(read).encode()).hexdigest()


def _is_for_dbt(name: str) -> bool:
    return name.startswith("DBT_") or name in {"MDS_RAW_DIR", "MDS_WAREHOUSE"}


def variable(name: str, env_file: Path | None = Path(".env")) -> str:
    """Return an environment variable that a user named, or "" when there is none.

    Raises:
        SettingsError: `.env` is not text in UTF-8.
    """
    _read_file(env_file)
    return os.environ.get(name, "")


def load_settings(env_file: Path | None = Path(".env"), **given: str) -> Settings:
    """Read `.env` and the environment and return what they say, checked.

    Args:
        env_file: The file.
        **given: Settings that take the place of what is read.

    Raises:
        SettingsError: Something is half-configured or not of its form; names every such setting.
    """
    settings, problems = read_settings(env_file, **given)
    if problems:
        raise settings_error(problems)
    return settings


def read_settings(env_file: Path | None = Path(".env"), **given: str) -> tuple[Settings, list[str]]:
    """Return what `.env` and the environment say, and what is wrong with it.

    What is not of its form is as if it were not set. The arguments are those of `load_settings`.

    Raises:
        SettingsError: `.env` is not text in UTF-8.
    """
    _read_file(env_file)
    problems: list[str] = []
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # pydantic makes the types
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = [_problem(str(d["loc"][0]), d["input"], d["msg"]) for d in details]
        # the rest is checked as if these were not set, so that everything is reported at once
        names = {str(detail["loc"][0]) for detail in details}
        defaults = {name: Settings.model_fields[name].default for name in names}
        settings = Settings(**{**given, **defaults})
    return settings, problems + settings_problems(settings)


def _read_file(env_file: Path | None) -> None:
    if env_file is not None and env_file.is_file():
        if b"\0" in env_file.read_bytes():
            raise SettingsError(
                f"{env_file.absolute()} is not UTF-8 text: it has zero bytes in it, as UTF-16 has. "
                "Save it as UTF-8."
            )
        try:
            load_dotenv(env_file, override=False)
        except UnicodeDecodeError as error:
            raise SettingsError(
                f"{env_file.absolute()} is not UTF-8 ({error}). Save it so."
            ) from None


def _problem(name: str, seen: object, message: str) -> str:
    if name in EXPECTED:
        return f"{name.upper()} is {seen!r}; it must be {EXPECTED[name]}."
    return f"{name.upper()}: {message}"


def settings_error(problems: list[str]) -> SettingsError:
    """Return the error that tells what is wrong with the settings."""
    lines = "".join(f"\n- {problem}" for problem in problems)
    return SettingsError(f"Settings are missing or wrong; see .env.example for all of them.{lines}")
