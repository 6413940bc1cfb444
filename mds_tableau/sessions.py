"""Gives each mart the DuckDB session that it has to be read in.

A table holds its values, so it is read in a session that is the same everywhere. A view is computed
whenever it is read, so it is read in the session that dbt tested it in. Where the settings of that
session come from is the caller's business, as is opening the file.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb

from mds_tableau.columns import quote_text
from mds_tableau.errors import ExportError, first_line


@dataclass(frozen=True)
class Session:
    """How dbt sets up its sessions; some of it may be secret, so none of it is ever shown.

    Attributes:
        options: What it opens the database with: `config_options` of the profile.
        settings: What it sets in each session: `settings` of the profile.
    """

    options: Mapping[str, object] = field(default_factory=dict, repr=False)
    settings: Mapping[str, object] = field(default_factory=dict, repr=False)


@contextmanager
def session_for(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    *,
    mart: str,
    dbt_session: Callable[[], Session],
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a session in which a mart holds what dbt tested.

    Args:
        connection: Has the mart; its own session stays as it is.
        relation: Quoted name of the mart's relation.
        mart: Name of the mart, for messages.
        dbt_session: Tells how dbt sets up its sessions; only asked when it matters.

    Raises:
        ExportError: The mart is a view, and DuckDB refuses a setting here; names the setting.
    """
    with connection.cursor() as session:
        if _is_table(session, relation):
            # so that moments within nested values, written as JSON, are the same on all machines
            session.execute("SET TimeZone = 'UTC'")
        else:
            _set_up(session, dbt_session(), mart)
        yield session


def _is_table(session: duckdb.DuckDBPyConnection, relation: str) -> bool:
    """Ask the database, because the project may have changed since the mart was built."""
    named = """format('"{}"."{}"."{}"', database_name, schema_name, table_name)"""
    row = session.execute(
        f"SELECT count(*) FROM duckdb_tables() WHERE lower({named}) = lower(?)",  # noqa: S608
        [relation],
    ).fetchone()
    return bool(row and row[0])


def _set_up(session: duckdb.DuckDBPyConnection, wanted: Session, mart: str) -> None:
    for name, value in wanted.options.items():
        # what can only be given to a database that is being opened does not change what is read
        _set(session, name, value, mart, spared=duckdb.InvalidInputException)
    for name, value in wanted.settings.items():
        _set(session, name, value, mart)
    row = session.execute("SELECT current_setting('Calendar')").fetchone()
    if row != ("gregorian",):
        # the export asks DuckDB for the clock of a zone, which in another calendar is another year
        raise ExportError(
            f"Mart '{mart}' is a view, and the setting 'Calendar' of the dbt profile asks for a "
            "calendar in which DuckDB numbers years otherwise than Tableau does. Materialize the "
            "mart as a table, or remove the setting from the profile."
        )


def _set(
    session: duckdb.DuckDBPyConnection,
    name: str,
    value: object,
    mart: str,
    *,
    spared: type[duckdb.Error] | tuple[()] = (),
) -> None:
    try:
        # as dbt-duckdb does it: DuckDB makes its own type of the text
        session.execute(f"SET {name} = {quote_text(str(value))}")
    except spared:
        return
    except duckdb.Error as error:
        said = first_line(error).replace(str(value) or "\n", "…")
    else:
        return
    # not from the error of DuckDB, which may hold the value, and that may be a secret
    raise ExportError(
        f"Mart '{mart}' is a view, so it has to be read with the settings that dbt tested it with, "
        f"and DuckDB refuses the setting '{name}' of the dbt profile here: {said} Materialize the "
        "mart as a table, or remove the setting from the profile if the mart does not need it."
    )
