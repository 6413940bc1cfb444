"""Brings a published extract back as a file: `.hyper`, Parquet or CSV.

What is written is complete or not there. The command's options belong to `pull_command`.
"""

import re
import shutil
import tempfile
from csv import writer
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final, Literal

import duckdb

from mds_tableau.columns import counted, quote_path
from mds_tableau.destination import Destination
from mds_tableau.errors import DatasourceNotFound, ExtractError, UsageError
from mds_tableau.hyper import Hyper
from mds_tableau.hyper_contents import contents_of, write_parquet
from mds_tableau.packaged import take_extract
from mds_tableau.tableau import Project, Session
from mds_tableau.tableau.downloads import download
from mds_tableau.tableau.listing import Named, named, names
from mds_tableau.tableau.projects import find_project

Form = Literal["hyper", "parquet", "csv"]

FORMS: Final[tuple[Form, ...]] = ("hyper", "parquet", "csv")

_CSV: Final = "FORMAT csv, DELIMITER ',', QUOTE '\"', ESCAPE '\"', NULLSTR ''"
"""The dialect of docs/commands.md: nothing between two commas is NULL, and an empty text is "". """


_SHORTEST_LIMIT: Final = 1 << 21
"""Bytes that DuckDB lets a line of CSV have, unless it is told otherwise."""

_NO_FILE_NAME: Final = r'[\x00-\x1f<>:"/\\|?*]'


@dataclass(frozen=True)
class Pulled:
    """What was downloaded.

    Attributes:
        path: The file.
        datasource: Its name, as the server spells it.
        project: Path of its project.
        rows: How many rows are in the file.
        bytes: Its size.
        as_text: Columns that are text in the file, as Parquet has no type for them.
    """

    path: Path
    datasource: str
    project: str
    rows: int
    bytes: int
    as_text: tuple[str, ...] = ()


def default_output(name: str, form: Form) -> Path:
    """Return the file in the working folder that a datasource is downloaded to.

    >>> default_output("Sales: Q1/2026", "csv")
    PosixPath('Sales_ Q1_2026.csv')
    """
    return Path(f"{re.sub(_NO_FILE_NAME, '_', name).strip('. ') or 'datasource'}.{form}")


def pull(
    destination: Destination,
    name: str,
    output: Path,
    *,
    project: str | None = None,
    form: Form = "hyper",
    revision: int | None = None,
    is_forced: bool = False,
) -> Pulled:
    """Download a datasource's extract and return what is in the file.

    Args:
        destination: Where it is published.
        name: Its name, in any case.
        output: The file to write.
        project: Path or LUID of its project; None where there is only one of that name.
        form: What to make of it.
        revision: Which revision; None for the newest.
        is_forced: Whether a file that is there is replaced.

    Raises:
        DatasourceNotFound: There is none of that name or revision, or several.
        ExtractError: There is a file already, the package has no extract or several, or the rows
            are not as many after the conversion as before.
        MdsTableauError: The server cannot be asked.
    """
    _refuse_to_replace(output, is_forced)
    # beside, so that moving it into place is one step
    with tempfile.TemporaryDirectory(prefix=".mds-pull-", dir=output.absolute().parent) as folder:
        package, extract = Path(folder) / "package", Path(folder) / "extract.hyper"
        with destination.session() as session:
            found = find_project(session, project) if project is not None else None
            datasource = _the_one(session, name, found)
            download(session, datasource.id, package, revision=revision)
        what = f"'{datasource.name}' in '{datasource.project}'"
        take_extract(package, extract, what=what)
        package.unlink()
        as_text: tuple[str, ...] = ()
        with Hyper() as hyper:
            try:
                if form == "hyper":
                    # what Hyper cannot read must not take the place of a file
                    contents = contents_of(hyper, extract, rows=0)
                    made, rows = extract, sum(table.rows for table in contents.tables)
                else:
                    made, rows, as_text = _converted(hyper, extract, form, what)
            except ExtractError as error:
                raise ExtractError(f"{what} was downloaded and cannot be kept: {error}") from error
        _refuse_to_replace(output, is_forced)
        # a temporary file can be read by its owner alone
        made.chmod(0o644)
        made.replace(output)
    size = output.stat().st_size
    return Pulled(output, datasource.name, datasource.project, rows, size, as_text)


def _refuse_to_replace(output: Path, is_forced: bool) -> None:
    if not output.parent.is_dir():
        raise UsageError(f"There is no folder {output.absolute().parent}. Make it first.")
    if output.is_dir():
        raise UsageError(f"{output} is a folder; give the name of a file with --output.")
    if output.exists() and not is_forced:
        raise ExtractError(
            f"{output} is there already. Give another file with --output, or --force to replace it."
        )


def _the_one(session: Session, name: str, project: Project | None) -> Named:
    found = named(session, name, project)
    where = f"in project '{project.path}'" if project is not None else "in any project"
    if not found:
        near = get_close_matches(name, names(session, project), n=5, cutoff=0.4)
        near_ones = f" Near: {', '.join(map(repr, near))}." if near else ""
        raise DatasourceNotFound(
            f"There is no datasource '{name}' {where} of {session.site_name}, or the user may not "
            f"see it.{near_ones} `mds-tableau list` shows all."
        )
    if len(found) > 1:
        paths = ", ".join(f"'{one.project}'" for one in found)
        raise DatasourceNotFound(
            f"There are {len(found)} datasources '{name}', in the projects {paths}. Say which one "
            "with --project."
        )
    return found[0]


def _converted(
    hyper: Hyper, extract: Path, form: Form, what: str
) -> tuple[Path, int, tuple[str, ...]]:
    parquet, csv = extract.with_suffix(".parquet"), extract.with_suffix(".csv")
    rows, as_text = write_parquet(hyper, extract, parquet)
    try:
        with duckdb.connect() as connection:
            # moments with a zone are in UTC, as everywhere here
            connection.execute("SET TimeZone = 'UTC'")
            written = _count(connection, f"read_parquet({quote_path(parquet)})")
            if form == "csv":
                written = _written_as_csv(connection, parquet, csv)
    except duckdb.Error as error:
        raise ExtractError(f"{what} cannot be written as {form}: {error}") from error
    if written != rows:
        raise ExtractError(
            f"{what} has {counted(rows, 'row')}, and {counted(written, 'row')} came back from the "
            f"{form} file that was made of it. Nothing was kept; take it with --to hyper."
        )
    return (csv if form == "csv" else parquet), rows, as_text


def _count(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    [[rows]] = connection.execute(f"SELECT COUNT(*) FROM {source}").fetchall()  # noqa: S608
    return int(rows)


def _written_as_csv(connection: duckdb.DuckDBPyConnection, parquet: Path, csv: Path) -> int:
    """Write a CSV file and return how many rows are read back from it."""
    source = f"read_parquet({quote_path(parquet)})"
    found = connection.execute(
        f"SELECT name FROM parquet_schema({quote_path(parquet)}) WHERE num_children IS NULL"  # noqa: S608
    )
    names = [name for (name,) in found.fetchall()]
    if len({name.casefold() for name in names}) == len(names):
        connection.execute(f"COPY (FROM {source}) TO {quote_path(csv)} ({_CSV}, HEADER true)")
    else:
        # DuckDB would rename the column that is there in another case already
        body = csv.with_suffix(".body")
        connection.execute(f"COPY (FROM {source}) TO {quote_path(body)} ({_CSV}, HEADER false)")
        with csv.open("w", encoding="utf-8", newline="") as head:
            writer(head, lineterminator="\n").writerow(names)
        with body.open("rb") as rows, csv.open("ab") as whole:
            shutil.copyfileobj(rows, whole, 1 << 20)
    # each quote may have been doubled
    longest = connection.execute(
        f"SELECT 2 * max(strlen(CAST(t AS VARCHAR))) FROM {source} AS t"  # noqa: S608
    ).fetchall()[0][0]
    columns = ", ".join(f"'c{n}': 'VARCHAR'" for n in range(len(names)))
    return _count(
        connection,
        f"read_csv({quote_path(csv)}, auto_detect = false, header = true, delim = ',', "
        f"quote = '\"', escape = '\"', columns = {{{columns}}}, parallel = false, "
        f"max_line_size = {max(longest or 0, _SHORTEST_LIMIT)})",
    )
