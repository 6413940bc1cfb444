"""Opening extracts with Hyper: which tables a file has, and adding one file's rows to another's.

The one Hyper process of a sandbox and what is asked of it belong here; what a server makes of the
answers does not. The process starts with the first extract and ends with the sandbox; it maps files
into memory and reads of them what it is asked, so that large ones cost no more than small ones.
"""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Every file that Hyper writes begins so, in all its format versions, and the format's number stands
# at the same place in all of them (measured with versions 0 to 4).
MAGIC = b"Hyper"
VERSION_AT = slice(10, 12)
HEADER_BYTES = 12
# The API's own call opens for writing: nobody else can then have the file open, and one with an
# empty table is changed when it is closed, so that a download would not be what was published.
READ_ONLY = "WITH (access_mode = 'readonly')"

Column = tuple[str, str]


class UnusableExtract(Exception):
    """A file is not an extract that Hyper can open, or not one that fits; says why."""


class HyperUnavailable(Exception):
    """Hyper does not start on this machine; says why."""


@dataclass(frozen=True)
class Table:
    """A table of an extract.

    Attributes:
        schema: Name of its schema.
        name: Its name.
        columns: Name and type of each column, in order.
    """

    schema: str
    name: str
    columns: tuple[Column, ...]


class Extract:
    """An extract that is open for questions, and for nothing else.

    Attributes:
        tables: Its tables with their columns.
    """

    def __init__(self, connection: Any, tables: tuple[Table, ...]) -> None:
        self.tables = tables
        self._connection = connection

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Returns the rows of a query over `table_sql` and `quoted_name`.

        Raises:
            UnusableExtract: Hyper cannot answer it.
        """
        from tableauhyperapi import HyperException

        try:
            return [tuple(row) for row in self._connection.execute_list_query(sql)]
        except HyperException as error:
            raise UnusableExtract(_first_line(error)) from error
        except UnicodeDecodeError as error:
            raise UnusableExtract(f"it holds a text that is not UTF-8 ({error.reason})") from error

    def answers(self) -> None:
        """Makes sure that Hyper still answers, after a question that it could not answer.

        Raises:
            UnusableExtract: It does not.
        """
        self.query("SELECT 1")


def table_sql(table: Table) -> str:
    """Returns how a query names a table of an open extract."""
    return ".".join(map(quoted_name, ("given", table.schema, table.name)))


def quoted_name(name: str) -> str:
    """Returns how a statement names a column, a table or a file."""
    quoted = name.replace('"', '""')
    return f'"{quoted}"'


def file_version(path: Path) -> int:
    """Returns the version of a file's format, without opening it.

    Raises:
        UnusableExtract: The file is none of Hyper's.
    """
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    if not header.startswith(MAGIC):
        raise UnusableExtract("it does not begin as a file of Hyper's does")
    return int.from_bytes(header[VERSION_AT], "little")


class HyperFiles:
    """The Hyper process of a sandbox, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: Any = None

    def close(self) -> None:
        """Ends the process, where one runs."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.close()

    @property
    def running(self) -> bool:
        """Whether the process was started."""
        return self._process is not None

    def names(self, path: Path) -> list[tuple[str, str]]:
        """Returns schema and name of an extract's tables; the file is not changed.

        Raises:
            UnusableExtract: Hyper cannot open the file.
        """
        with self._opened(path) as connection:
            return [
                (table.schema_name.name.unescaped, table.name.unescaped)
                for table in self._table_names(connection, "given")
            ]

    def tables(self, path: Path) -> tuple[Table, ...]:
        """Returns the tables of an extract with their columns; the file is not changed.

        Raises:
            UnusableExtract: Hyper cannot open the file.
        """
        with self._opened(path) as connection:
            return self._tables(connection, "given")

    @contextlib.contextmanager
    def reading(self, path: Path) -> Iterator[Extract]:
        """Lends an extract to be asked about its rows; the file is not changed.

        Raises:
            UnusableExtract: Hyper cannot open the file, which another process may be using.
            HyperUnavailable: There is no Hyper to ask.
        """
        from tableauhyperapi import HyperException

        with self._opened(path) as connection:
            try:
                # Hyper would show times with a time zone on this machine's clock.
                connection.execute_command("SET TIME ZONE 'UTC'")
                tables = self._tables(connection, "given")
            except HyperException as error:
                raise UnusableExtract(_first_line(error)) from error
            yield Extract(connection, tables)

    def append(self, target: Path, addition: Path) -> int:
        """Adds the rows of an extract's one table to those of another's; returns how many.

        Args:
            target: The file that gets them; nothing else may have it open.
            addition: The file that has them.

        Raises:
            UnusableExtract: A file has more than one table, or the tables differ. The target is
                then as it was.
        """
        from tableauhyperapi import HyperException, TableName

        with self._opened(target, "") as connection:
            try:
                connection.catalog.attach_database(str(addition), "added")
                [before], [new] = (self._tables(connection, one) for one in ("given", "added"))
            except HyperException as error:
                raise UnusableExtract(_first_line(error)) from error
            except ValueError as error:
                raise UnusableExtract("rows are added to single-table extracts only") from error
            if (before.schema, before.name) != (new.schema, new.name):
                raise UnusableExtract("the tables have different names")
            if sorted(before.columns) != sorted(new.columns):
                raise UnusableExtract("the tables have different columns")
            names = ", ".join(quoted_name(name) for name, _ in new.columns)
            into, out_of = (TableName(one, new.schema, new.name) for one in ("given", "added"))
            try:
                count = connection.execute_command(
                    f"INSERT INTO {into} ({names}) SELECT {names} FROM {out_of}"  # noqa: S608
                )
            except HyperException as error:
                raise UnusableExtract(_first_line(error)) from error
            return int(count or 0)

    @contextlib.contextmanager
    def _opened(self, path: Path, option: str = READ_ONLY) -> Iterator[Any]:
        from tableauhyperapi import HyperException

        with self._connect() as connection:
            try:
                connection.execute_command(
                    f'ATTACH DATABASE {quoted_name(str(path))} AS "given" {option}'
                )
            except HyperException as error:
                raise UnusableExtract(_first_line(error)) from error
            yield connection

    def _connect(self) -> Any:
        """Returns a connection to the process; one that has died is replaced by a new one."""
        from tableauhyperapi import Connection, HyperException

        try:
            return Connection(self._endpoint())
        except HyperException:
            self.close()
        try:
            return Connection(self._endpoint())
        except HyperException as error:
            raise HyperUnavailable(_first_line(error)) from error

    def _endpoint(self) -> Any:
        # Loading Hyper takes a while; a sandbox that is only asked for lists does without it.
        from tableauhyperapi import HyperException, HyperProcess, Telemetry

        with self._lock:
            if self._process is None or not self._process.is_open:
                try:
                    self._process = HyperProcess(
                        Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU,
                        "mds_tableau sandbox",
                        # By default it would write a log into the working folder.
                        parameters={"log_config": ""},
                    )
                except HyperException as error:
                    raise HyperUnavailable(_first_line(error)) from error
            return self._process.endpoint

    def _table_names(self, connection: Any, database: str) -> list[Any]:
        catalog = connection.catalog
        return [
            name
            for schema in catalog.get_schema_names(database)
            for name in catalog.get_table_names(schema)
        ]

    def _tables(self, connection: Any, database: str) -> tuple[Table, ...]:
        return tuple(
            Table(
                name.schema_name.name.unescaped,
                name.name.unescaped,
                tuple(
                    (column.name.unescaped, str(column.type))
                    for column in connection.catalog.get_table_definition(name).columns
                ),
            )
            for name in self._table_names(connection, database)
        )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
