"""Other ways from a CSV file to a `.hyper`, as they are found in scripts of teams.

Only what the benchmark compares with belongs here; nothing of it is part of the package.
"""

import sys
from collections.abc import Callable
from typing import Final


def as_text(source: str, target: str) -> None:
    """Read with pandas, and insert row by row, all of it as text."""
    import pandas as pd
    from tableauhyperapi import (
        Connection,
        CreateMode,
        HyperProcess,
        Inserter,
        SqlType,
        TableDefinition,
        TableName,
        Telemetry,
    )

    frame = pd.read_csv(source, dtype=str, keep_default_na=False)
    table = TableDefinition(
        TableName("Extract", "Extract"),
        [TableDefinition.Column(name, SqlType.text()) for name in frame.columns],
    )
    with (
        HyperProcess(
            Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
        ) as process,
        Connection(process.endpoint, target, CreateMode.CREATE_AND_REPLACE) as connection,
    ):
        connection.catalog.create_schema("Extract")
        connection.catalog.create_table(table)
        with Inserter(connection, table) as inserter:
            for row in frame.itertuples(index=False):
                inserter.add_row(list(row))
            inserter.execute()


def from_pandas(source: str, target: str) -> None:
    """Read with pandas, its types guessed, and write with pantab."""
    import pandas as pd
    import pantab

    frame = pd.read_csv(source, parse_dates=["day", "sold_at"])
    pantab.frame_to_hyper(frame, target, table="Extract", process_params={"log_config": ""})


def from_arrow(source: str, target: str) -> None:
    """Read with Arrow, its types guessed, and write with pantab."""
    import pantab
    from pyarrow import csv

    table = csv.read_csv(source)
    pantab.frame_to_hyper(table, target, table="Extract", process_params={"log_config": ""})


def unchecked(source: str, target: str) -> None:
    """Take the way of the command, types guessed by DuckDB, with nothing checked or compared."""
    import tempfile
    from pathlib import Path

    import duckdb
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

    types = {
        "BIGINT": SqlType.big_int(),
        "BOOLEAN": SqlType.bool(),
        "DATE": SqlType.date(),
        "DOUBLE": SqlType.double(),
        "TIMESTAMP": SqlType.timestamp(),
        "VARCHAR": SqlType.text(),
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        duckdb.connect(Path(folder) / "input.duckdb") as connection,
        HyperProcess(
            Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
        ) as process,
        Connection(process.endpoint, target, CreateMode.CREATE_AND_REPLACE) as hyper,
    ):
        parquet = str(Path(folder) / "input.parquet")
        connection.execute("CREATE TABLE input AS FROM read_csv(?)", [source]).fetchall()
        described = connection.execute("DESCRIBE input").fetchall()
        connection.execute(f"COPY input TO '{parquet}' (FORMAT parquet)").fetchall()
        name = TableName("Extract", "Extract")
        columns = [TableDefinition.Column(row[0], types[row[1]]) for row in described]
        hyper.catalog.create_schema("Extract")
        hyper.catalog.create_table(TableDefinition(name, columns))
        hyper.execute_command(
            f"COPY {name} FROM {escape_string_literal(parquet)} WITH (FORMAT parquet)"
        )


WAYS: Final[dict[str, Callable[[str, str], None]]] = {
    "as_text": as_text,
    "from_pandas": from_pandas,
    "from_arrow": from_arrow,
    "unchecked": unchecked,
}

if __name__ == "__main__":
    WAYS[sys.argv[1]](sys.argv[2], sys.argv[3])
