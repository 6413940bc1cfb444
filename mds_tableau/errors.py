"""The errors that mds_tableau raises on purpose, one class for each cause.

Every message says what failed, what was seen, what is allowed and what to do, and never holds a
secret. Raising and wording happen where the cause is known; deciding what to do about an error
(retry, hold back, exit) does not belong here.
"""

from collections.abc import Sequence


class MdsTableauError(Exception):
    """Base of every error that mds_tableau raises on purpose."""


class Terminal(MdsTableauError):
    """Trying again cannot help before somebody changes something."""


class Transient(MdsTableauError):
    """Trying again later can help."""


class ConfigurationError(Terminal):
    """What is configured is not valid, in several places; all problems are listed together."""


class SettingsError(ConfigurationError):
    """A setting is missing, half-given or not of its form; all problems are listed together."""


class ManifestError(Terminal):
    """The dbt project could not be parsed, or its manifest or selection could not be read."""


class MartConfigError(ConfigurationError):
    """Names or `meta.tableau` in the dbt project are not valid; all are listed together."""


class ScheduleError(ConfigurationError):
    """`schedules.yml`, or what assigns extracts to it, is not valid; all is listed together."""


class InputError(Terminal):
    """What was given to be read cannot be read as it is; says where, and what to do."""


class UsageError(InputError):
    """What was asked for cannot be: an option, or a file, table or column that is not there."""


class DatabaseUnreachable(Transient):
    """A database did not answer, was busy, or ended the connection before everything was read."""


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


class RefusedValues(ExportError):
    """A mart holds values that an extract cannot hold; all kinds of them are listed together."""


class ExtractError(Terminal):
    """Parquet could not be converted to a `.hyper`, or the `.hyper` differs from the Parquet."""


class NoRoom(Terminal):
    """The disk has too little room for what is about to be written; nothing was begun."""


class VersionNotFound(Terminal):
    """No published version is kept of that name or moment."""


class VersionDamaged(Terminal):
    """A kept version is not what was published, so it is not published again."""


class DatabaseLocked(Transient):
    """Another process holds the DuckDB file and did not let go in time."""


class SignInError(Terminal):
    """The server refused the credentials."""


class TokenInUse(Transient):
    """Another process is signed in with the token, which a server allows one session at a time."""


class BeingPublished(Transient):
    """Another publish of the same datasource has not ended yet."""


class ServerUnreachable(Transient):
    """The server did not answer, or something that is not Tableau Server answered."""


class ProjectNotFound(Terminal):
    """No project, or more than one, is found at the path asked for."""


class DatasourceNotFound(Terminal):
    """No datasource of that name is in the project, where one has to be."""


class SchemaChanged(Terminal):
    """The columns are not those of the datasource whose data alone was to be changed."""


class EmptyExtract(Terminal):
    """An extract without rows is not published, because its model does not say that it may be."""


class AppendedAlready(Terminal):
    """An extract is not appended, because the rows are those that were appended last."""


class RowsFell(Terminal):
    """An extract is not published, because it lost more of its rows than may be lost at once."""


class PublishError(Terminal):
    """The server refused the extract, or does not hold what was sent.

    Attributes:
        code: Tableau's code for it, or "".
    """

    code: str = ""


class SandboxError(Terminal):
    """The sandbox server could not start."""


class NotPermitted(PublishError):
    """The user may not do what was asked for there."""


class Conflict(PublishError):
    """Something of that name is there already, or is just being worked on."""


class ExtractRefused(PublishError):
    """The server could not read the extract, or not put it in place of the one it has."""


class MayHaveArrived(PublishError):
    """Whether it arrived is not known, and sending it again could do it twice."""


class NotWrittenDown(Terminal):
    """The server has what was published, and that could not be written down here."""


class TooLarge(PublishError):
    """The server, or a proxy before it, takes no request of that size."""


class SessionEnded(Transient):
    """The server does not know the session any more; nothing was done with the request."""


class UploadLost(Transient):
    """The server does not know an upload any more, so it has to be sent again."""


class UploadsEnded(Terminal):
    """What is still on its way to the server is given up, as nobody is going to publish it."""


class RateLimited(Transient):
    """The server has had too many requests and wants to be left alone for a while."""


class ServerFailed(ServerUnreachable):
    """The server, or what stands before it, answered 500 or above; what it did is not known."""


class TimedOut(ServerUnreachable):
    """The server was silent for too long; what it did is not known."""


class ConnectionBlocked(Terminal):
    """A certificate or a proxy stands in the way, which waiting does not change."""


class ServiceError(Terminal):
    """What runs the pipeline without anybody asking cannot start, or has ended by itself."""


class BackupError(Terminal):
    """A backup could not be made, or is not one that can be put back."""


def refuse(errors: Sequence[MdsTableauError]) -> None:
    """Raise what was found to be wrong, if anything was, so that it can be mended in one go.

    Raises:
        MdsTableauError: The one error; a ConfigurationError with the texts of several.
    """
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ConfigurationError("\n".join(map(str, errors)))


def first_line(error: BaseException) -> str:
    """Return what a library says of an error; what comes behind it repeats the statement."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
