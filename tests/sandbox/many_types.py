"""An extract with every type of Hyper's, and with values that are hard to show."""

from pathlib import Path

from tableauhyperapi import Connection, CreateMode, HyperProcess, Telemetry

ROWS = 30
MARKUP = "<script>alert(1)</script>"
LONG = 5000
# Names that the page's own queries use, and one that has to be quoted.
COLUMNS = {
    "n": "i",
    "v": "CASE WHEN i <= 15 THEN 'x' WHEN i <= 25 THEN 'y' END",
    "p": "cast(i * 0.25 AS numeric(12, 2))",
    "b": "i % 3 = 0",
    "c": "cast(i % 2 AS smallint)",
    'quote " <i>': "cast(i AS int)",
    "double": "CASE i WHEN 1 THEN 'NaN'::double precision WHEN 2 THEN"
    " '-Infinity'::double precision ELSE i / 2.0::double precision END",
    "float": "cast(i AS real)",
    "extreme": "CASE WHEN i % 2 = 0 THEN -1.7e308 ELSE 1.7e308 - i * 1e306 END::double precision",
    "wide number": "12345678901234567890.1234::numeric(38, 4) + i",
    "day": "CASE i WHEN 30 THEN date '294276-01-01' ELSE date '2024-01-01' + cast(i AS int) END",
    "moment": "timestamp '2024-01-01 00:00:00.000001' + i * interval '1 hour'",
    "zoned": "timestamptz '2024-01-01 00:00:00+02' + i * interval '1 day'",
    "time": "time '08:00:00' + i * interval '1 minute'",
    "span": "i * interval '1 day'",
    "bytes": "'\\xDEADBEEF'::bytea",
    "json": "'{\"a\": 1}'::json",
    "place": "cast('point(' || i || ' 2)' AS tableau.tabgeography)",
    "oid": "'7'::oid",
    "code": "cast('ab' AS char(5))",
    "short": "cast('ab' || i AS varchar(20))",
    "nothing": "cast(NULL AS text)",
    "text": f"CASE i WHEN 1 THEN e'tab\\there\\u0001\\u202e' WHEN 2 THEN '' WHEN 3 THEN '{MARKUP}'"
    f" WHEN 4 THEN repeat('ä', {LONG}) WHEN 5 THEN NULL WHEN 6 THEN 'NULL' ELSE 'row ' || i END",
}


def write(path: Path, *statements: str) -> Path:
    """Makes an extract by SQL and returns its path."""
    with (
        HyperProcess(
            Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU,
            parameters={"log_config": "", "default_database_version": "4"},
        ) as process,
        Connection(process.endpoint, path, CreateMode.CREATE_AND_REPLACE) as connection,
    ):
        for statement in statements:
            connection.execute_command(statement)
    return path


def write_many_types(path: Path) -> Path:
    """Makes the extract with every type, and a second table without rows."""
    quoted = ", ".join(
        '{} AS "{}"'.format(value, name.replace('"', '""')) for name, value in COLUMNS.items()
    )
    return write(
        path,
        'CREATE SCHEMA "Extract"',
        f'CREATE TABLE "Extract"."Extract" AS SELECT {quoted}'
        f" FROM generate_series(1::bigint, {ROWS}::bigint) AS g(i)",
        'CREATE TABLE "Extract"."Other" ("only" int)',
    )
