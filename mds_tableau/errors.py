"""The errors that mds_tableau raises on purpose, one class for each cause.

Every message says what failed, what was seen, what is allowed and what to do, and never holds a
secret. Raising and wording happen where the cause is known; deciding what to do about an error
(retry, hold back, exit) does not belong here.
"""


class MdsTableauError(Exception):
    """Base of every error that mds_tableau raises on purpose."""


class Terminal(MdsTableauError):
    """Trying again cannot help before somebody changes something."""


class Transient(MdsTableauError):
    """Trying again later can help."""


class SettingsError(Terminal):
    """A setting is missing, half-given or not of its form; all problems are listed together."""


class ManifestError(Terminal):
    """The dbt project could not be parsed, or its manifest or selection could not be read."""


class MartConfigError(Terminal):
    """`meta.tableau` in the dbt project is not valid; all problems are listed together."""


class SourceError(Terminal):
    """A raw file that a dbt source names is missing or cannot be read."""


class UnsupportedColumn(Terminal):
    """A mart has columns that an extract cannot hold; all of them are listed together.

    Attributes:
        mart: Name of the mart.
        columns: Names of the refused columns.
    """

    def __init__(self, message: str, *, mart: str, columns: tuple[str, ...]) -> None:
        super().__init__(message)
        self.mart = mart
        self.columns = columns


class HeldBack(Terminal):
    """A mart is not exported because an error-severity dbt test on it failed last time."""


class ExportError(Terminal):
    """A mart could not be written as Parquet, or what was written differs from the mart."""


class ExtractError(Terminal):
    """Parquet could not be converted to a `.hyper`, or the `.hyper` differs from the Parquet."""


class DatabaseLocked(Transient):
    """Another process holds the DuckDB file and did not let go in time."""


class SignInError(Terminal):
    """The server refused the credentials."""


class ServerUnreachable(Transient):
    """The server did not answer, or something that is not Tableau Server answered."""


class ProjectNotFound(Terminal):
    """No project, or more than one, is found at the path asked for."""


class PublishError(Terminal):
    """The server refused the extract, or does not hold what was sent."""


class SandboxError(Terminal):
    """The sandbox server could not start."""
