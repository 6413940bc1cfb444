"""The same work with no orchestrator, as one might write it in an afternoon.

dbt build, COPY to Parquet, COPY to Hyper, upload with tableauserverclient. It checks nothing and
keeps no record. It imports nothing of the package, so that its time is its own.

Usage: bare.py DBT_PROJECT WAREHOUSE FOLDER SERVER USER PASSWORD
"""

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import tableauserverclient as TSC  # noqa: N812  # the name that its documentation uses
from tableauhyperapi import (
    Connection,
    CreateMode,
    HyperProcess,
    SqlType,
    TableDefinition,
    TableName,
    Telemetry,
    escape_string_literal,
)

TABLE = TableName("Extract", "Extract")
TYPES = {
    "BIGINT": SqlType.big_int(),
    "BOOLEAN": SqlType.bool(),
    "DATE": SqlType.date(),
    "DECIMAL(12,2)": SqlType.numeric(12, 2),
    "DOUBLE": SqlType.double(),
    "INTEGER": SqlType.int(),
    "TIMESTAMP": SqlType.timestamp(),
    "VARCHAR": SqlType.text(),
}


def build(project: Path) -> None:
    """Run dbt as one does on the command line."""
    dbt = shutil.which("dbt") or "dbt"
    subprocess.run([dbt, "build", "--project-dir", project, "--profiles-dir", project], check=True)


def export(warehouse: Path, marts: list[str], folder: Path) -> dict[str, TableDefinition]:
    """Write each mart as Parquet and return the table that it becomes."""
    tables = {}
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        for mart in marts:
            target = folder / f"{mart}.parquet"
            connection.execute(
                f"COPY {mart} TO '{target}' (FORMAT parquet, PARQUET_VERSION V1, COMPRESSION zstd)"
            ).fetchall()
            described = connection.execute(f"DESCRIBE {mart}").fetchall()
            columns = [TableDefinition.Column(row[0], TYPES[row[1]]) for row in described]
            tables[mart] = TableDefinition(TABLE, columns)
    return tables


def convert(tables: dict[str, TableDefinition], folder: Path) -> None:
    """Copy each Parquet file into a .hyper."""
    with HyperProcess(
        Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
    ) as hyper:
        for mart, table in tables.items():
            database = str(folder / f"{mart}.hyper")
            parquet = escape_string_literal(str(folder / f"{mart}.parquet"))
            with Connection(hyper.endpoint, database, CreateMode.CREATE_AND_REPLACE) as connection:
                connection.catalog.create_schema("Extract")
                connection.catalog.create_table(table)
                connection.execute_command(f"COPY {TABLE} FROM {parquet} WITH (FORMAT parquet)")


def upload(marts: list[str], folder: Path, server: str, user: str, password: str) -> None:
    """Publish each .hyper to the project Default, over the one that is there."""
    client = TSC.Server(server, use_server_version=True)
    with client.auth.sign_in(TSC.TableauAuth(user, password)):
        project = next(p for p in TSC.Pager(client.projects) if p.name == "Default")
        for mart in marts:
            item = TSC.DatasourceItem(project.id, name=mart)
            path = str(folder / f"{mart}.hyper")
            client.datasources.publish(item, path, mode=TSC.Server.PublishMode.Overwrite)


def main() -> None:
    """Do it all."""
    project, warehouse, folder = (Path(argument) for argument in sys.argv[1:4])
    server, user, password = sys.argv[4:7]
    marts = sorted(path.stem for path in (project / "models" / "marts").glob("*.sql"))
    build(project)
    tables = export(warehouse, marts, folder)
    convert(tables, folder)
    upload(marts, folder, server, user, password)


if __name__ == "__main__":
    main()
