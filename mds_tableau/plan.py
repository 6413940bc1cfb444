"""Tells beforehand what becomes of each column of each extract, from the types of the marts alone.

No data is read and nothing is written; showing the plan belongs to `plan_command` and to the
metadata of the assets.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import duckdb

from mds_tableau.columns import OLDEST_TABLEAU, ColumnPlan, file_version
from mds_tableau.errors import ExportError, UnsupportedColumn
from mds_tableau.export_plan import MartExport, plan_mart
from mds_tableau.extracts import Extract
from mds_tableau.manifest import Mart
from mds_tableau.sessions import Session, session_for

PLAN_HEADER: Final = (
    "column",
    "duckdb_type",
    "cast",
    "parquet_type",
    "hyper_type",
    "lost_or_checked",
)


@dataclass(frozen=True)
class TypesPlan:
    """What becomes of columns, and what the extract of them needs.

    Attributes:
        columns: The columns.
    """

    columns: tuple[ColumnPlan, ...]

    @property
    def file_version(self) -> int:
        """Hyper file version that the columns need."""
        return file_version((c.name, c.hyper_type) for c in self.columns)[0]

    @property
    def raised_by(self) -> tuple[str, ...]:
        """Columns that raise the file version above the base."""
        return file_version((c.name, c.hyper_type) for c in self.columns)[1]

    @property
    def oldest_tableau(self) -> str:
        """Oldest products that open the extract."""
        return OLDEST_TABLEAU[self.file_version]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """One row for each column, as `PLAN_HEADER` names them."""
        return [
            (c.name, c.duckdb_type, c.cast, c.parquet_type, str(c.hyper_type), c.note)
            for c in self.columns
        ]


@dataclass(frozen=True)
class ExtractPlan:
    """What an extract would become.

    Attributes:
        extract: The extract.
        types: Its columns; none when it is refused or not known.
        refusal: Why it is refused, or "".
        is_built: Whether its mart is there, so that its columns are known.
    """

    extract: Extract
    types: TypesPlan
    refusal: str = ""
    is_built: bool = True


def plan_all(
    connection: duckdb.DuckDBPyConnection,
    extracts: Iterable[Extract],
    compiled: Callable[[Mart], str],
    dbt_session: Callable[[], Session] = Session,
) -> tuple[ExtractPlan, ...]:
    """Return the plan of each extract, the refused ones with the reason.

    Args:
        connection: Has the marts, as they were built last.
        extracts: The extracts.
        compiled: Gives the SQL that dbt ran for a mart, or "" when it is not known.
        dbt_session: Tells how dbt sets up its sessions.
    """
    return tuple(_plan(connection, extract, compiled, dbt_session) for extract in extracts)


def _plan(
    connection: duckdb.DuckDBPyConnection,
    extract: Extract,
    compiled: Callable[[Mart], str],
    dbt_session: Callable[[], Session],
) -> ExtractPlan:
    [mart] = extract.marts
    if not _is_there(connection, mart.relation):
        return ExtractPlan(extract, TypesPlan(()), is_built=False)
    try:
        wanted = MartExport(mart.name, mart.relation, mart.file, extract.options, compiled(mart))
        with session_for(
            connection, mart.relation, mart=mart.name, dbt_session=dbt_session
        ) as session:
            return ExtractPlan(extract, TypesPlan(plan_mart(session, wanted)))
    except (ExportError, UnsupportedColumn) as error:
        return ExtractPlan(extract, TypesPlan(()), str(error))
    except duckdb.Error as error:
        return ExtractPlan(
            extract, TypesPlan(()), f"Cannot read mart '{mart.name}' ({mart.file}): {error}"
        )


def _is_there(connection: duckdb.DuckDBPyConnection, relation: str) -> bool:
    """Return whether there is a relation, even one that cannot be read."""
    quoted = ", ".join(
        f"""'"' || replace({name}, '"', '""') || '"'"""
        for name in ("database_name", "schema_name", "name")
    )
    row = connection.execute(
        f"SELECT count(*) FROM (SELECT unnest([[{quoted}]]) AS parts FROM (SELECT database_name, "  # noqa: S608
        "schema_name, table_name AS name FROM duckdb_tables() UNION ALL SELECT database_name, "
        "schema_name, view_name FROM duckdb_views())) WHERE lower(?) IN "
        "(lower(array_to_string(parts, '.')), lower(parts[3]))",
        [relation],
    ).fetchone()
    return bool(row and row[0])
