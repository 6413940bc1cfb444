"""What one input is to become, and the input itself, loaded into a database of its own.

Reading inputs belongs to `inputs`; carrying an order out to `one_shot`.
"""

import errno
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb

from mds_tableau.amounts import Amount
from mds_tableau.column_options import ColumnOptions
from mds_tableau.columns import quote_text
from mds_tableau.errors import NoRoom, first_line
from mds_tableau.export_plan import MartExport
from mds_tableau.extracts import PublishMode
from mds_tableau.inputs import Loaded, Progress
from mds_tableau.inputs.shape import Shape, shaped
from mds_tableau.retention import Limits as KeptLimits
from mds_tableau.tableau import About
from mds_tableau.verify import Level
from mds_tableau.wording import COMMAND

_NOT_WRITABLE: Final = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.ENOTDIR,
        errno.EEXIST,
    }
)

Load = Callable[[duckdb.DuckDBPyConnection, Progress], Loaded]
"""Brings the input into a connection."""


@dataclass(frozen=True)
class Order:
    """What is to be published.

    Attributes:
        load: Brings the input into DuckDB.
        name: Name of the datasource.
        project: Path or LUID of its project.
        shape: What is taken of the input.
        options: What is asked for single columns.
        about: What is said of the datasource.
        mode: What happens to one that is there.
        output: Where the `.hyper` is kept; None when it is not.
        publishes: Whether it is published.
        create_project: Whether a project that is missing is created.
        allow_empty: Whether it may have no rows.
        allow_row_fall: Whether any number of rows may be gone.
        max_row_fall: Largest share of its rows that it may lose otherwise.
        verify: How the extract is compared with the input.
        force: Whether it is published also when the server holds it already.
        limits: How many published versions are kept.
        memory: What DuckDB and Hyper may take together; "" leaves it to each of them.
    """

    load: Load
    name: str
    project: str
    shape: Shape = field(default_factory=Shape)
    options: Mapping[str, ColumnOptions] = field(default_factory=dict)
    about: About = field(default_factory=About)
    mode: PublishMode = "auto"
    output: Path | None = None
    publishes: bool = True
    create_project: bool = False
    allow_empty: bool = False
    allow_row_fall: bool = False
    max_row_fall: float = 0.5
    verify: Level = "exact"
    force: bool = False
    limits: KeptLimits = field(default_factory=KeptLimits)
    memory: str = ""


@dataclass(frozen=True)
class Ready:
    """An input that is loaded, for as long as it is needed.

    Attributes:
        connection: Has it.
        mart: What is exported of it.
        loaded: What was found.
        scratch: A folder for what nobody needs afterwards.
    """

    connection: duckdb.DuckDBPyConnection
    mart: MartExport
    loaded: Loaded
    scratch: Path


@contextmanager
def loading(order: Order, folder: Path, progress: Progress) -> Iterator[Ready]:
    """Load the input into a database of its own.

    Args:
        order: The order.
        folder: Where temporary files may be; they are removed in the end.
        progress: Told how far it is.

    Raises:
        InputError: The input cannot be read as it is.
        NoRoom: The folder cannot be written to, or its disk is full.
    """
    with ExitStack() as stack:
        with writing(folder):
            # what cannot be removed any more does not undo what was done with it
            temporary = tempfile.TemporaryDirectory(
                prefix=".publish-", dir=folder, ignore_cleanup_errors=True
            )
            scratch = Path(stack.enter_context(temporary))
            connection = stack.enter_context(duckdb.connect(scratch / "input.duckdb"))
            if order.memory:
                limit = Amount.parse(order.memory).half_for_duckdb
                connection.execute(f"SET memory_limit = {quote_text(limit)}")
            # what has no zone in the input is taken for UTC on every machine
            connection.execute("SET TimeZone = 'UTC'")
            loaded = shaped(
                connection, order.load(connection, progress), order.shape, view="shaped input"
            )
            mart = MartExport(
                order.name, loaded.relation, loaded.origin, order.options, wording=COMMAND
            )
        yield Ready(connection, mart, loaded, scratch)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make a folder, and say what to do where nothing more can be written into it.

    Only for what is done before anything is published, as it says that nothing was.

    Args:
        folder: Where temporary files are, and nothing else is written within.

    Raises:
        NoRoom: The folder cannot be written to, or its disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, duckdb.IOException) as error:
        # what does not concern the disk, such as a connection, is for others to tell
        if isinstance(error, OSError) and error.errno not in _NOT_WRITABLE:
            raise
        said = first_line(error).rstrip(".")
        raise NoRoom(
            f"Cannot write temporary files in {folder}: {said}. Nothing was published. Make room "
            "there, or let this user write to it; or set MDS_DATA_DIR to another folder."
        ) from error
