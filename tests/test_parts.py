import base64
import json
import os
import re
import shutil
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from tableauhyperapi import Date, HyperException, Timestamp

from mds_tableau.columns import quote_text
from mds_tableau.conversion import convert
from mds_tableau.errors import ExtractError
from mds_tableau.hyper import Hyper
from mds_tableau.parquet import FOOTER_LIMIT, MANIFEST, ParquetVersion, footer_bytes, read_version
from mds_tableau.parquet_sql import parts_relation
from mds_tableau.parts import check_parts, describe_parts
from tests import footers

Query = Callable[..., list[list[Any]]]
Change = Callable[[footers.Struct], object]

HYPER_TYPES = [
    "BOOLEAN", "SMALLINT", "INT", "BIGINT", "DOUBLE PRECISION", "NUMERIC(9,2)", "NUMERIC(18,0)",
    "NUMERIC(38,0)", "NUMERIC(38,2)", "TEXT", "DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ",
]  # fmt: skip


def write(path: Path, table: pa.Table, change: Change | None = None, **options: Any) -> Path:
    """A Parquet file of another engine, with its footer changed if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    if change:
        footers.edit(path, change)
    return path


def manifest(
    paths: list[Path],
    columns: dict[str, str],
    *,
    rows: list[int] | None = None,
    engine: str = "spark 4.1",
    **changes: Any,
) -> ParquetVersion:
    """The version that a hand-written manifest makes of these files."""
    rows = [1] * len(paths) if rows is None else rows
    folder = paths[0].parent
    content = {
        "mart": "mart",
        "engine": engine,
        "created_at": "2026-11-22T00:00:00+00:00",
        "rows": sum(rows),
        "fingerprint": "abc",
        "parts": [
            {"file": path.name, "rows": count, "bytes": path.stat().st_size}
            for path, count in zip(paths, rows, strict=True)
        ],
        "columns": [{"name": name, "hyper_type": text} for name, text in columns.items()],
        **changes,
    }
    (folder / MANIFEST).write_text(json.dumps(content))
    return read_version(folder)


def one(
    folder: Path, values: pa.Array, declared: str, change: Change | None = None, **options: Any
) -> ParquetVersion:
    """A version of one part, with a column `v` of these values and their numbers in `i`."""
    table = pa.table({"v": values, "i": pa.array(range(len(values)), pa.int32())})
    path = write(folder / "part-0.parquet", table, change, **options)
    return manifest([path], {"v": declared, "i": "INT"}, rows=[len(values)])


def many(folder: Path, *tables: pa.Table, columns: dict[str, str]) -> ParquetVersion:
    """A version of several parts."""
    paths = [write(folder / f"part-{n}.parquet", table) for n, table in enumerate(tables)]
    return manifest(paths, columns, rows=[table.num_rows for table in tables])


def plain(value: Any) -> Any:
    """A value as Python has it, instead of Hyper's own classes."""
    if isinstance(value, Timestamp):
        return value.to_datetime()
    return value.to_date() if isinstance(value, Date) else value


def hyper_reads(hyper: Hyper, path: Path, column: str, declared: str) -> list[Any] | None:
    """What Hyper's COPY makes of a column declared so, or None when it refuses."""
    with hyper.connect() as connection:
        connection.execute_command(f'CREATE TEMPORARY TABLE seen ("{column}" {declared})')
        try:
            connection.execute_command(
                f"COPY seen FROM {quote_text(str(path))} WITH (FORMAT => 'parquet')"
            )
        except HyperException:
            return None
        return [row[0] for row in connection.execute_list_query("SELECT * FROM seen")]


def refused(version: ParquetVersion) -> str:
    """What is said about a version that is not accepted."""
    with pytest.raises(ExtractError) as caught:
        check_parts(version)
    return str(caught.value)


MOMENT = datetime(2026, 1, 31, 12, 34, 56, 789123)
SECOND = MOMENT.replace(microsecond=0)
MILLI = MOMENT.replace(microsecond=789000)
EARLY = datetime(1, 1, 1)
UTC = timezone.utc
BERLIN = "Europe/Berlin"
STRINGS = ["", "ä", None, "😀\0x", "a" * 10_000]


def decimals(digits: int, scale: int = 2) -> list[Decimal | None]:
    """The extremes of so many digits."""
    # arithmetic would round to the 28 digits of the context
    nines = (9,) * digits
    return [
        Decimal((0, nines, -scale)),
        Decimal((1, nines, -scale)),
        None,
        Decimal((1, (1,), -scale)),
    ]


def tz(values: list[datetime | None]) -> list[datetime | None]:
    """The same moments in UTC."""
    return [value and value.replace(tzinfo=UTC) for value in values]


A = pa.array([1], pa.int32())

READ: dict[str, tuple[pa.Array, str, list[Any] | None]] = {
    "bool": (pa.array([True, False, None]), "BOOL", None),
    "int8": (pa.array([-128, 127, None], pa.int8()), "SMALL_INT", None),
    "int8 widened": (pa.array([-128, 127, None], pa.int8()), "BIG_INT", None),
    "int16": (pa.array([-(2**15), 2**15 - 1, None], pa.int16()), "SMALL_INT", None),
    "int16 widened": (pa.array([-(2**15), 2**15 - 1, None], pa.int16()), "INT", None),
    "int32": (pa.array([-(2**31), 2**31 - 1, None], pa.int32()), "INT", None),
    "int32 widened": (pa.array([-(2**31), 2**31 - 1, None], pa.int32()), "BIG_INT", None),
    "int64": (pa.array([-(2**63), 2**63 - 1, None], pa.int64()), "BIG_INT", None),
    "uint8": (pa.array([0, 255, None], pa.uint8()), "SMALL_INT", None),
    "uint16": (pa.array([0, 65_535, None], pa.uint16()), "INT", None),
    "uint32": (pa.array([0, 2**32 - 1, None], pa.uint32()), "BIG_INT", None),
    "float": (pa.array([0.5, -1.25, None, float("inf")], pa.float32()), "DOUBLE", None),
    "double": (pa.array([0.1, -5e-324, None, 1e308]), "DOUBLE", None),
    "string": (pa.array(STRINGS), "TEXT", None),
    "large_string": (pa.array(STRINGS, pa.large_string()), "TEXT", None),
    "string_view": (pa.array(STRINGS, pa.string_view()), "TEXT", None),
    "dictionary": (pa.array(["a", "b", None, "a"]).dictionary_encode(), "TEXT", None),
    "date32": (pa.array([date(1, 1, 1), date(9999, 12, 31), None]), "DATE", None),
    "date64": (pa.array([date(1, 1, 1), None], pa.date64()), "DATE", None),
    "time64 us": (
        pa.array([time(23, 59, 59, 999999), time(), None], pa.time64("us")),
        "TIME",
        None,
    ),
    "timestamp s": (pa.array([SECOND, EARLY, None], pa.timestamp("s")), "TIMESTAMP", None),
    "timestamp ms": (pa.array([MILLI, EARLY, None], pa.timestamp("ms")), "TIMESTAMP", None),
    "timestamp us": (pa.array([MOMENT, EARLY, None], pa.timestamp("us")), "TIMESTAMP", None),
    "timestamp ns": (
        pa.array([MOMENT, None], pa.timestamp("ns")),
        "TIMESTAMP",
        [MOMENT, None],
    ),
    **{
        f"timestamp {unit} {zone}": (
            pa.array(tz(values), pa.timestamp(unit, zone)),
            "TIMESTAMP_TZ",
            tz(values),
        )
        for zone in ("UTC", BERLIN)
        for unit, values in {
            "s": [SECOND, EARLY, None],
            "ms": [MILLI, EARLY, None],
            "us": [MOMENT, EARLY, None],
            "ns": [MOMENT, None],
        }.items()
    },
    **{
        f"decimal {digits}": (
            pa.array(decimals(digits), pa.decimal128(digits, 2)),
            f"NUMERIC({digits},2)",
            None,
        )
        for digits in (4, 9, 10, 18, 19, 38)
    },
    "decimal widened": (pa.array(decimals(9), pa.decimal128(9, 2)), "NUMERIC(18,2)", None),
    "decimal far widened": (pa.array(decimals(4), pa.decimal128(4, 2)), "NUMERIC(38,2)", None),
    "decimal256 of 38": (pa.array(decimals(38), pa.decimal256(38, 2)), "NUMERIC(38,2)", None),
    "duration": (
        pa.array([timedelta(days=1), None], pa.duration("us")),
        "BIG_INT",
        [86_400_000_000, None],
    ),
}


@pytest.mark.hyper
@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("pages", ["1.0", "2.0"])
def test_what_is_accepted_arrives(
    hyper: Hyper, query_hyper: Query, tmp_path: Path, name: str, pages: str
) -> None:
    """A type that the check lets through is in the extract value by value."""
    values, declared, expected = READ[name]
    version = one(tmp_path / "v", values, declared, data_page_version=pages)
    check_parts(version)
    made = convert(hyper, version, extract="mart", folder=tmp_path / "hyper")
    seen = query_hyper(made.path, 'SELECT v FROM "Extract"."Extract" ORDER BY i')
    assert [plain(row[0]) for row in seen] == (values.to_pylist() if expected is None else expected)


@pytest.mark.hyper
@pytest.mark.parametrize(
    ("values", "declared", "change"),
    [
        (pa.array(tz([MOMENT, EARLY]), pa.timestamp("us", "UTC")), "TIMESTAMP_TZ", (10, None)),
        (pa.array(tz([MILLI, EARLY]), pa.timestamp("ms", "UTC")), "TIMESTAMP_TZ", (9, None)),
        (pa.array([time(12, 34)], pa.time64("us")), "TIME", (8, None)),
        (pa.array(["ä", None]), "TEXT", (0, None)),
        (pa.array([1, -2, None], pa.int64()), "BIG_INT", (18, None)),
        (pa.array([200, None], pa.int32()), "SMALL_INT", (11, None)),
        (pa.array([date(2026, 1, 31)]), "DATE", (6, None)),
    ],
)
def test_older_annotations_are_read(
    hyper: Hyper,
    query_hyper: Query,
    tmp_path: Path,
    values: pa.Array,
    declared: str,
    change: tuple[int, None],
) -> None:
    """Old writers annotate types in one way only, which for a timestamp means UTC."""
    version = one(tmp_path / "v", values, declared, footers.annotate(*change), store_schema=False)
    check_parts(version)
    made = convert(hyper, version, extract="mart", folder=tmp_path / "hyper", verify="rows")
    seen = query_hyper(made.path, 'SELECT v FROM "Extract"."Extract" ORDER BY i')
    assert [plain(row[0]) for row in seen] == values.to_pylist()


@pytest.mark.hyper
@pytest.mark.parametrize("stored", [("INT32", 9), ("INT64", 9), ("INT64", 18)])
def test_decimals_stored_as_integers_arrive(
    hyper: Hyper, query_hyper: Query, tmp_path: Path, stored: tuple[str, int]
) -> None:
    """Decimals in INT32 and INT64, as Spark writes them, are in the extract value by value."""
    physical, digits = stored
    values = pa.array([10**9 - 1, -1, None], getattr(pa, physical.lower())())
    version = one(
        tmp_path / "v",
        values,
        f"NUMERIC({digits},2)",
        footers.decimal(digits, 2),
        store_schema=False,
    )
    check_parts(version)
    made = convert(hyper, version, extract="mart", folder=tmp_path / "hyper")
    seen = query_hyper(made.path, 'SELECT v FROM "Extract"."Extract" ORDER BY i')
    assert [row[0] for row in seen] == [Decimal("9999999.99"), Decimal("-0.01"), None]


def of_bytes(length: int, *numbers: int) -> pa.Array:
    """Numbers as a decimal stores them in so many bytes."""
    return pa.array([n.to_bytes(length, "big", signed=True) for n in numbers], pa.binary(length))


@pytest.mark.hyper
@pytest.mark.parametrize(
    ("digits", "length"),
    [(1, 1), (1, 8), (9, 4), (9, 8), (18, 8), (19, 9), (19, 16), (38, 16)],
)
def test_decimals_of_few_bytes_arrive(
    hyper: Hyper, query_hyper: Query, tmp_path: Path, digits: int, length: int
) -> None:
    """Up to 8 bytes for up to 18 digits and up to 16 for more are read exactly."""
    top = min(10**digits - 1, 2 ** (8 * length - 1) - 1)
    version = one(
        tmp_path / "v",
        of_bytes(length, top, -top, 0, -1),
        f"NUMERIC({digits},0)",
        footers.decimal(digits, 0),
        store_schema=False,
    )
    check_parts(version)
    made = convert(hyper, version, extract="mart", folder=tmp_path / "hyper")
    seen = query_hyper(made.path, 'SELECT v FROM "Extract"."Extract" ORDER BY i')
    assert [row[0] for row in seen] == [top, -top, 0, -1]


@pytest.mark.hyper
@pytest.mark.parametrize(("digits", "length"), [(1, 9), (9, 12), (9, 16), (18, 9), (18, 16)])
def test_decimals_that_hyper_misreads_are_refused(
    hyper: Hyper, tmp_path: Path, digits: int, length: int
) -> None:
    """Of decimals of up to 18 digits in more than 8 bytes Hyper makes other numbers, silently."""
    version = one(
        tmp_path / "v",
        of_bytes(length, 7, -7),
        f"NUMERIC({digits},0)",
        footers.decimal(digits, 0),
        store_schema=False,
    )
    misread = hyper_reads(hyper, version.paths[0], "v", f"NUMERIC({digits},0)")
    assert misread is not None
    assert sorted(misread) != [-7, 7]
    assert refused(version) == (
        f"Part {version.paths[0]} of mart 'mart' has column 'v' of type "
        f"FIXED_LEN_BYTE_ARRAY({length}) DECIMAL({digits},0), which is stored in a way that "
        f"Hyper misreads or refuses: of {digits} digits it reads INT32, INT64 and "
        "FIXED_LEN_BYTE_ARRAY of up to 8 bytes. Write it in one of these, or cast it to "
        "DECIMAL(38,0) in 16 bytes."
    )


TEXT = pa.array(["a", None])
NO_TIME = "it reads microseconds in INT64. Cast it to them"
NOT_TEXT = "Cast it to a string, annotated as STRING"
BINARY = "annotate it as STRING (in Spark, cast it to string); else write it as text, in hex or"
NESTED = "Write it as text, for example with to_json, or as one column for each of its values"

REFUSED: dict[str, tuple[pa.Array, Change | None, str, str]] = {
    "list": (pa.array([[1], None]), None, "LIST", NESTED),
    "large_list": (pa.array([[1]], pa.large_list(pa.int32())), None, "LIST", NESTED),
    "struct": (pa.array([{"a": 1, "b": {"c": [1]}}]), None, "group", NESTED),
    "map": (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int8())), None, "MAP", NESTED),
    "repeated": (pa.array([1, 2]), footers.repeat, "REPEATED", NESTED),
    "uint64": (pa.array([1], pa.uint64()), None, "INT64 UINT_64", "DECIMAL(20,0)"),
    "float16": (
        pa.array([0.5], pa.float16()), None, "FIXED_LEN_BYTE_ARRAY(2) FLOAT16", "Cast it to a float"
    ),
    "binary": (pa.array([b"a"]), None, "BYTE_ARRAY", BINARY),
    "fixed_size_binary": (pa.array([b"ab"], pa.binary(2)), None, "FIXED_LEN_BYTE_ARRAY(2)", BINARY),
    "null": (pa.nulls(2), None, "INT32 NULL", "has no type at all. Cast it"),
    "time32 s": (pa.array([time(1)], pa.time32("s")), None, "INT32 TIME_MILLIS local", NO_TIME),
    "time32 ms": (pa.array([time(1)], pa.time32("ms")), None, "INT32 TIME_MILLIS local", NO_TIME),
    "time64 ns": (pa.array([time(1)], pa.time64("ns")), None, "INT64 TIME_NANOS local", NO_TIME),
    "decimal256": (
        pa.array([Decimal(1)], pa.decimal256(50, 2)),
        None,
        "FIXED_LEN_BYTE_ARRAY(21) DECIMAL(50,2)",
        "Cast it to DECIMAL(38) or fewer digits",
    ),
    "decimal in bytes": (
        pa.array([b"\1"]), footers.decimal(9, 2), "BYTE_ARRAY DECIMAL(9,2)", "Write it in one of"
    ),
    "decimal in many bytes": (
        of_bytes(17, 1), footers.decimal(38, 2), "FIXED_LEN_BYTE_ARRAY(17) DECIMAL(38,2)",
        "of up to 16 bytes. Write it in one of these",
    ),
    "uuid": (
        pa.array([bytes(16)], pa.uuid()), None, "FIXED_LEN_BYTE_ARRAY(16) UUID", NOT_TEXT
    ),
    "json": (pa.array(['{"a":1}'], pa.json_()), None, "BYTE_ARRAY JSON", NOT_TEXT),
    "enum": (TEXT, footers.annotate(4, {4: (12, {})}), "BYTE_ARRAY ENUM", NOT_TEXT),
    "enum as of old": (TEXT, footers.annotate(4), "BYTE_ARRAY ENUM", NOT_TEXT),
    "interval": (
        pa.array([bytes(12)], pa.binary(12)),
        footers.annotate(21),
        "FIXED_LEN_BYTE_ARRAY(12) INTERVAL",
        "Write a number of microseconds, or text",
    ),
    "geometry": (
        TEXT, footers.annotate(None, {17: (12, {})}), "BYTE_ARRAY GEOMETRY", "for example as WKT"
    ),
    "of the future": (TEXT, footers.annotate(None, {99: (12, {})}), "BYTE_ARRAY", BINARY),
}  # fmt: skip


@pytest.mark.hyper
@pytest.mark.parametrize("name", REFUSED)
def test_what_hyper_does_not_read_is_refused(hyper: Hyper, tmp_path: Path, name: str) -> None:
    """Part, column, type and remedy are named, and Hyper indeed takes it for no type we have."""
    values, change, shown, remedy = REFUSED[name]
    version = one(tmp_path / "v", values, "TEXT", change, store_schema=False)
    [path] = version.paths
    message = refused(version)
    assert message.startswith(f"Part {path} of mart 'mart' has column 'v' of type {shown}, which ")
    assert remedy in message
    assert [t for t in HYPER_TYPES if hyper_reads(hyper, path, "v", t) is not None] == []


@pytest.mark.hyper
def test_int96_is_refused(hyper: Hyper, tmp_path: Path) -> None:
    """Hyper takes INT96 for UTC, which not all of those mean who write it, and cuts nanoseconds."""
    values = pa.array([1_500, -1], pa.timestamp("ns"))
    version = one(tmp_path / "v", values, "TIMESTAMP", use_deprecated_int96_timestamps=True)
    [path] = version.paths
    assert hyper_reads(hyper, path, "v", "TIMESTAMP") is None
    seen = hyper_reads(hyper, path, "v", "TIMESTAMPTZ")
    assert seen is not None
    assert sorted(plain(value) for value in seen) == [
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1970, 1, 1, microsecond=1, tzinfo=UTC),
    ]
    assert refused(version) == (
        f"Part {path} of mart 'mart' has column 'v' of type INT96, which is an old form of a "
        "timestamp that some engines take for UTC and others for local time. Write microseconds in "
        "INT64: in Spark with spark.sql.parquet.outputTimestampType=TIMESTAMP_MICROS, in pyarrow "
        "without use_deprecated_int96_timestamps."
    )


@pytest.mark.parametrize("converted", [20, 40])
def test_what_duckdb_cannot_even_name_is_refused(tmp_path: Path, converted: int) -> None:
    """BSON, and an annotation that nobody knows, stop DuckDB: the part is named with its words."""
    good = pa.table({"v": TEXT})
    paths = [write(tmp_path / f"part-{n}.parquet", good, store_schema=False) for n in range(3)]
    footers.edit(paths[1], footers.annotate(converted))
    message = refused(manifest(paths, {"v": "TEXT"}, rows=[2, 2, 2]))
    assert message.startswith(f"Part {paths[1]} of mart 'mart' cannot be read: ")
    assert message.endswith(". Write it again, as plain Parquet without encryption.")


@pytest.mark.hyper
@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4"])
@pytest.mark.parametrize("pages", ["1.0", "2.0"])
def test_compressions_that_hyper_reads(
    hyper: Hyper, query_hyper: Query, tmp_path: Path, codec: str, pages: str
) -> None:
    """They are accepted, and the values arrive."""
    values = pa.array([f"value {n % 100}" for n in range(10_000)])
    version = one(tmp_path / "v", values, "TEXT", compression=codec, data_page_version=pages)
    check_parts(version)
    made = convert(hyper, version, extract="mart", folder=tmp_path / "hyper")
    seen = query_hyper(made.path, 'SELECT v FROM "Extract"."Extract" ORDER BY i')
    assert [row[0] for row in seen] == values.to_pylist()


@pytest.mark.hyper
@pytest.mark.parametrize(
    ("written", "change", "codec"),
    [
        ("brotli", None, "BROTLI"),
        ("none", footers.compress(5), "LZ4"),
        ("none", footers.compress(3), "LZO"),
    ],
)
def test_compressions_that_hyper_does_not_read(
    hyper: Hyper, tmp_path: Path, written: str, change: Change | None, codec: str
) -> None:
    """They are refused with the one to write instead."""
    version = one(tmp_path / "v", pa.array([1, 2]), "BIG_INT", change, compression=written)
    [path] = version.paths
    assert hyper_reads(hyper, path, "v", "BIGINT") is None
    message = refused(version)
    others = "'i' and 1 more" if change is None else "'v'"
    assert message == (
        f"Part {path} of mart 'mart' has column {others} in compression {codec}, and Hyper reads "
        "UNCOMPRESSED, SNAPPY, GZIP, ZSTD, LZ4_RAW. Write it in one of them, for example in Spark "
        "with spark.sql.parquet.compression.codec=zstd."
    )


class _Keys(pe.KmsClient):  # type: ignore[misc]
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    def wrap_key(self, key: bytes, _: str) -> bytes:
        return base64.b64encode(key)

    def unwrap_key(self, key: bytes, _: str) -> bytes:
        return base64.b64decode(key)


@pytest.mark.parametrize(
    ("unique", "said", "remedy"),
    [
        (None, "is encrypted, and Hyper reads no such Parquet. ", "without"),
        (b"\xff" * 8, "cannot be read: ", "again, as plain Parquet without"),
        (b"readable", "is encrypted, and Hyper reads no such Parquet. ", "without"),
    ],
)
def test_encryption_is_refused(
    tmp_path: Path, unique: bytes | None, said: str, remedy: str
) -> None:
    """Whether the footer is encrypted or only a column, the part is named.

    An open footer tells of eight random bytes, which DuckDB takes for text: once in some 150 files
    they happen to be.
    """
    keys = pe.EncryptionConfiguration(
        footer_key="footer", column_keys={"key": ["v"]}, plaintext_footer=unique is not None
    )
    properties = pe.CryptoFactory(_Keys).file_encryption_properties(pe.KmsConnectionConfig(), keys)
    path = tmp_path / "part-0.parquet"
    schema = pa.schema([("v", pa.int64()), ("w", pa.int64())])
    with pq.ParquetWriter(path, schema, encryption_properties=properties) as writer:
        writer.write_table(pa.table({"v": [1], "w": [1]}))
    if unique is not None:
        footers.edit(path, lambda footer: footer[8][1][1][1].update({2: (8, unique)}))
    message = refused(manifest([path], {"v": "BIG_INT", "w": "BIG_INT"}))
    assert message.startswith(f"Part {path} of mart 'mart' {said}")
    assert message.endswith(f" Write it {remedy} encryption.")


def test_a_footer_that_tells_of_encryption_is_refused(tmp_path: Path) -> None:
    """The columns may be encrypted although the footer can be read."""
    path = write(tmp_path / "part-0.parquet", pa.table({"a": A}))
    footers.edit(path, lambda footer: footer.update({8: (12, {1: (12, {})})}))
    assert refused(manifest([path], {"a": "INT"})) == (
        f"Part {path} of mart 'mart' is encrypted, and Hyper reads no such Parquet. Write it "
        "without encryption."
    )


@pytest.mark.hyper
def test_parts_may_differ_in_what_does_not_matter(
    hyper: Hyper, query_hyper: Query, tmp_path: Path
) -> None:
    """Order of columns, narrower integers and decimals, and nullability are free."""
    required = pa.schema(
        [pa.field("n", pa.int32(), nullable=False), pa.field("d", pa.decimal128(12, 2))]
    )
    version = many(
        tmp_path / "v",
        pa.table(
            {"n": pa.array([1], pa.int8()), "d": pa.array([Decimal("1.5")], pa.decimal128(5, 2))}
        ),
        pa.table({"d": pa.array([None], pa.decimal128(9, 2)), "n": pa.array([None], pa.uint16())}),
        pa.table({"n": [70_000], "d": [Decimal("9999999999.99")]}, schema=required),
        columns={"n": "INT", "d": "NUMERIC(12,2)"},
    )
    check_parts(version)
    made = convert(hyper, version, extract="mart", folder=tmp_path / "hyper")
    seen = query_hyper(made.path, 'SELECT n, d FROM "Extract"."Extract" ORDER BY n NULLS FIRST')
    assert seen == [[None, None], [1, Decimal("1.5")], [70_000, Decimal("9999999999.99")]]
    # DuckDB takes the widest type, whichever part comes first
    assert describe_parts(version) == [("n", "INTEGER"), ("d", "DECIMAL(12,2)")]


@pytest.mark.hyper
@pytest.mark.parametrize(
    ("second", "problem"),
    [
        ({"a": A}, "has no column 'b' of the manifest. Write all parts with the columns of"),
        ({"a": A, "B": A}, "has no column 'b' of the manifest, and has 'B' instead. Write all"),
        (
            {"a": A, "b": A.cast(pa.int64())},
            "has column 'b' of type INT64, which becomes BIG_INT; the manifest declares INT, and "
            "Hyper does not convert one into the other. Cast it to the declared type.",
        ),
        ({"a": A, "b": A.cast(pa.string())}, "of type BYTE_ARRAY STRING, which becomes TEXT; the"),
        ({"a": A, "b": A.cast(pa.float64())}, "of type DOUBLE, which becomes DOUBLE; the mani"),
        (
            {"a": A, "b": A.cast(pa.decimal128(10, 0))},
            "DECIMAL(10,0), which becomes NUMERIC(10,0);",
        ),
        ({"a": A, "b": A.cast(pa.date32())}, "of type INT32 DATE, which becomes DATE; the"),
        (
            {"a": A, "b": A.cast(pa.int64()).cast(pa.timestamp("ms"))},
            "TIMESTAMP_MILLIS local, which becomes TIMEST",
        ),
    ],
)
def test_drift_between_parts_is_refused(
    hyper: Hyper, tmp_path: Path, second: dict[str, pa.Array], problem: str
) -> None:
    """A missing, renamed or changed column is named with its part; Hyper does not load it."""
    version = many(
        tmp_path / "v",
        pa.table({"a": A, "b": A}),
        pa.table(second),
        columns={"a": "INT", "b": "INT"},
    )
    message = refused(version)
    assert message.startswith(f"Part {version.paths[1]} of mart 'mart' has ")
    assert problem in message
    assert "part-0" not in message
    assert hyper_reads(hyper, version.paths[1], "b", "INT") is None


@pytest.mark.hyper
@pytest.mark.parametrize(
    ("values", "declared", "read"),
    [
        (pa.array(decimals(9), pa.decimal128(9, 2)), "NUMERIC(8,2)", "NUMERIC(9,2)"),
        (pa.array(decimals(9), pa.decimal128(9, 2)), "NUMERIC(18,3)", "NUMERIC(9,2)"),
        (pa.array([1], pa.uint32()), "INT", "BIGINT"),
        (pa.array([1], pa.uint16()), "SMALL_INT", "INT"),
        (pa.array([MOMENT], pa.timestamp("us")), "TIMESTAMP_TZ", "TIMESTAMP"),
        (pa.array([MOMENT], pa.timestamp("us", "UTC")), "TIMESTAMP", "TIMESTAMPTZ"),
        (pa.array(["1"]), "INT", "TEXT"),
        (pa.array([1]), "DOUBLE", "BIGINT"),
        (pa.array([True]), "SMALL_INT", "BOOLEAN"),
    ],
)
def test_a_type_that_the_manifest_denies_is_refused(
    hyper: Hyper, tmp_path: Path, values: pa.Array, declared: str, read: str
) -> None:
    """Both types are told; Hyper reads the one and not the other."""
    version = one(tmp_path / "v", values, declared)
    message = refused(version)
    assert "column 'v' of type " in message
    assert f"; the manifest declares {declared}, and Hyper does not convert" in message
    sql = declared.replace("TIMESTAMP_TZ", "TIMESTAMPTZ").replace("SMALL_INT", "SMALLINT")
    sql = sql.replace("DOUBLE", "DOUBLE PRECISION")
    assert hyper_reads(hyper, version.paths[0], "v", sql) is None
    assert hyper_reads(hyper, version.paths[0], "v", read) is not None


def test_a_geography_is_read_from_text(tmp_path: Path) -> None:
    """Text may become a geography, and nothing else may."""
    check_parts(one(tmp_path / "v", pa.array(["POINT(1 2)"]), "GEOGRAPHY"))
    message = refused(one(tmp_path / "w", pa.array([1]), "GEOGRAPHY"))
    assert "which becomes BIG_INT; the manifest declares GEOGRAPHY" in message


def test_a_column_that_the_manifest_does_not_list_is_refused(tmp_path: Path) -> None:
    """Hyper would leave it out without a word; long lists of them are cut."""
    names = "abcdefgh"
    version = many(tmp_path, pa.table(dict.fromkeys(names, A)), columns={"a": "INT"})
    assert refused(version) == (
        f"Part {version.paths[0]} of mart 'mart' has column 'b', 'c', 'd', 'e', 'f' and 2 more, "
        "not in the manifest. Write all parts with the columns of the manifest, by the same names."
    )


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """Parquet allows what Hyper refuses."""
    version = many(
        tmp_path, pa.Table.from_arrays([A, A, A], ["a", "b", "a"]), columns={"a": "INT", "b": "INT"}
    )
    assert refused(version) == (
        f"Part {version.paths[0]} of mart 'mart' has 2 columns called 'a'. Rename all but one of "
        "them."
    )


def test_names_that_hyper_refuses_are_told(tmp_path: Path) -> None:
    """They are the manifest's, and each is told with what to do."""
    version = many(
        tmp_path,
        pa.table({"ctid": A, "x\0y": A, "Net": A, "net": A}),
        columns=dict.fromkeys(["ctid", "x\0y", "Net", "net"], "INT"),
    )
    message = refused(version)
    manifest_named = f"\n- The manifest {tmp_path / MANIFEST} of mart 'mart' is refused: "
    assert message.startswith(f"Cannot convert mart 'mart' from {tmp_path}, for 3 reasons:")
    assert message.count(manifest_named) == 3
    for told in ("column 'ctid' is", r"column 'x\x00y' has", "columns 'Net' and 'net' differ"):
        assert manifest_named + told in message


def test_no_columns_at_all_are_refused(tmp_path: Path) -> None:
    """Neither a manifest nor a part may be without columns."""
    path = write(tmp_path / "part-0.parquet", pa.table({"a": A}).select([]))
    message = refused(manifest([path], {}))
    assert "of mart 'mart' is refused: there are no columns. Write at least one." in message
    assert f"\n- Part {path} of mart 'mart' cannot be read: " in message


def test_no_parts_are_refused(tmp_path: Path) -> None:
    """A mart without rows is a part without rows, which is accepted."""
    path = write(tmp_path / "part-0.parquet", pa.table({"a": A}).slice(0, 0))
    check_parts(manifest([path], {"a": "INT"}, rows=[0]))
    version = manifest([path], {"a": "INT"}, rows=[0], parts=[])
    message = refused(version)
    assert f"{MANIFEST} of mart 'mart' lists no parts. Write one; a mart without rows is" in message


def test_rows_are_compared_with_the_footers(tmp_path: Path) -> None:
    """A part that has other rows than the manifest says, and a wrong sum, are told."""
    paths = [write(tmp_path / f"part-{n}.parquet", pa.table({"a": A})) for n in range(3)]
    message = refused(manifest(paths, {"a": "INT"}, rows=[1, 2_000, 1]))
    assert message == (
        f"Part {paths[1]} of mart 'mart' has 1 row; its manifest says 2,000 rows. Write it again "
        "with spark 4.1."
    )
    version = manifest(paths, {"a": "INT"}, engine="duckdb 2.0.0")
    check_parts(version)
    (tmp_path / MANIFEST).write_text(
        (tmp_path / MANIFEST).read_text().replace('"rows": 3', '"rows": 1234')
    )
    assert refused(read_version(tmp_path)) == (
        f"The manifest {tmp_path / MANIFEST} of mart 'mart' says 1,234 rows, and 3 for its parts "
        "together. Export the mart again, for example with --select 'parquet/mart*'."
    )


def _text(path: Path) -> None:
    path.write_bytes(b"n,name\n" * 100)


def _short(path: Path) -> None:
    path.write_bytes(b"PAR1")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _halved(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _garbled(path: Path) -> None:
    """The footer is not the one that its length announces."""
    content = path.read_bytes()
    path.write_bytes(content[:-60] + b"\xff" * 52 + content[-8:])


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (_text, "is not a Parquet file. Write it again with spark 4.1."),
        (_short, "is not a Parquet file. Write it again with spark 4.1."),
        (_empty, "is not a Parquet file. Write it again with spark 4.1."),
        (_halved, "is not a Parquet file. Write it again with spark 4.1."),
        (_garbled, "cannot be read: "),
    ],
)
def test_a_part_that_is_not_parquet_is_named(
    tmp_path: Path, damage: Callable[[Path], None], problem: str
) -> None:
    """Of several parts the bad ones are told, and the others are still looked at."""
    paths = [write(tmp_path / f"part-{n}.parquet", pa.table({"a": A})) for n in range(4)]
    damage(paths[1])
    write(paths[3], pa.table({"b": A}))
    message = refused(manifest(paths, {"a": "INT"}))
    assert "for 2 reasons:" in message
    assert f"\n- Part {paths[1]} of mart 'mart' {problem}" in message
    assert f"\n- Part {paths[3]} of mart 'mart' has no column 'a' of the manifest" in message
    assert "part-0" not in message
    assert "part-2" not in message


def test_a_part_that_changed_since_is_named(tmp_path: Path) -> None:
    """Missing, another size, another digest: each is told, with both figures where there are."""
    paths = [write(tmp_path / f"part-{n}.parquet", pa.table({"a": A})) for n in range(4)]
    parts = [
        {
            "file": path.name,
            "rows": 1,
            "bytes": path.stat().st_size,
            "sha256": sha256(path.read_bytes()).hexdigest(),
        }
        for path in paths
    ]
    version = manifest(paths, {"a": "INT"}, parts=parts, engine="duckdb 2.0.0")
    check_parts(version)
    size = paths[0].stat().st_size
    paths[0].unlink()
    os.truncate(paths[1], 100)
    content = bytearray(paths[2].read_bytes())
    content[10] ^= 1
    paths[2].write_bytes(content)
    again = "Export the mart again, for example with --select 'parquet/mart*'."
    assert refused(version).split("\n- ")[1:] == [
        f"Part {paths[0]} of mart 'mart' is missing; its manifest says {size:,} bytes. {again}",
        f"Part {paths[1]} of mart 'mart' has 100 bytes; its manifest says {size:,} bytes. {again}",
        f"Part {paths[2]} of mart 'mart' has changed since it was verified. {again}",
    ]


def test_a_part_that_the_manifest_does_not_list_is_named(tmp_path: Path) -> None:
    """What Spark leaves beside its parts is none; a Parquet file is, also in a folder."""
    path = write(tmp_path / "part-0.parquet", pa.table({"a": A}))
    for name in (
        "_SUCCESS",
        "._SUCCESS.crc",
        ".part-0.parquet.crc",
        "notes.txt",
        "_x.parquet",
        ".y.parquet",
    ):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "_temporary").mkdir()
    shutil.copy(path, tmp_path / "_temporary" / "part-0.parquet")
    (tmp_path / "empty.parquet").mkdir()
    version = manifest([path], {"a": "INT"})
    check_parts(version)
    extra = tmp_path / "part-1.snappy.parquet"
    shutil.copy(path, extra)
    assert refused(version) == (
        f"Part {extra} of mart 'mart' is not listed in the manifest. List it there with its rows "
        "and bytes, or remove it from the folder."
    )
    extra.unlink()
    (tmp_path / "day=1").mkdir()
    shutil.copy(path, tmp_path / "day=1" / "part-0.parquet")
    assert f"day=1{os.sep}part-0.parquet of mart 'mart' is not listed" in refused(version)


def test_a_part_that_is_listed_twice_or_elsewhere_is_named(tmp_path: Path) -> None:
    """It would be loaded twice, or not move with its folder."""
    path = write(tmp_path / "v" / "part-0.parquet", pa.table({"a": A}))
    other = write(tmp_path / "part-0.parquet", pa.table({"a": A}))
    size = path.stat().st_size
    files = [path.name, path.name, "../part-0.parquet", str(other)]
    parts = [{"file": file, "rows": 1, "bytes": size} for file in files]
    message = refused(manifest([path], {"a": "INT"}, parts=parts, rows=[4]))
    assert f"Part {path} of mart 'mart' is listed twice, and would be loaded twice." in message
    outside = path.parent / "../part-0.parquet"
    said = f"Part {outside} of mart 'mart', like 1 more, is not in the folder of its manifest."
    assert said in message


@pytest.mark.hyper
@pytest.mark.parametrize("excess", [0, 1])
def test_a_footer_above_the_limit_is_refused(hyper: Hyper, tmp_path: Path, excess: int) -> None:
    """16 MiB are accepted and one byte more is not, by Hyper and by the check alike."""
    path = write(tmp_path / "part-0.parquet", pa.table({"a": A}), store_schema=False)
    footers.edit(path, footers.pad(500_000))
    lacking = FOOTER_LIMIT + excess - footer_bytes(path)
    footers.edit(path, footers.pad(500_000 + lacking))
    assert footer_bytes(path) == FOOTER_LIMIT + excess
    version = manifest([path], {"a": "INT"})
    if not excess:
        check_parts(version)
        assert hyper_reads(hyper, path, "a", "INT") == [1]
        return
    assert refused(version) == (
        f"Part {path} of mart 'mart' has a footer of 16,777,217 bytes, and Hyper reads at most "
        "16,777,216. Write larger row groups, more files, fewer columns or shorter names."
    )
    assert hyper_reads(hyper, path, "a", "INT") is None


def test_what_parts_share_is_told_once_and_long_lists_are_cut(tmp_path: Path) -> None:
    """Hundreds of parts with one problem are one line; a message has twenty lines."""
    table = pa.table({f"c{n:02}": A for n in range(30)})
    version = many(tmp_path, *[table] * 300, columns=dict.fromkeys(table.column_names, "TEXT"))
    lines = refused(version).split("\n- ")
    assert lines[0] == f"Cannot convert mart 'mart' from {tmp_path}, for 30 reasons:"
    assert len(lines) == 22
    assert lines[1].startswith(
        f"Part {version.paths[0]} of mart 'mart', like 299 more, has column 'c00' of type INT32, "
    )
    assert lines[-1] == "and 10 more"


@pytest.mark.parametrize(
    ("name", "decoy"),
    [
        ("p[1]", "p1"),
        ("a*", "ab"),
        ("a?", "ab"),
        ("a[!b]", "ac"),
        ("[a-c]", "b"),
        ("[[]", "["),
        ("[*]", "*"),
        ("**", "x"),
        ("a]b[c", "x"),
        ("it's {a,b}", "it's a"),
        ("%41 ~", "A ~"),
        ("day=1", "day"),
    ],
)
@pytest.mark.parametrize("where", ["file", "folder"])
def test_a_path_is_taken_as_it_is(tmp_path: Path, name: str, decoy: str, where: str) -> None:
    """DuckDB takes paths for patterns, and yet reads this file and no other that fits one."""

    def at(text: str) -> Path:
        stem = f"{text}.parquet"
        return tmp_path / stem if where == "file" else tmp_path / stem / "part.parquet"

    path = write(at(name), pa.table({"a": pa.array([1], pa.int32())}))
    other = write(at(decoy), pa.table({"b": ["decoy"]}))
    with duckdb.connect() as connection:
        seen = connection.execute(f"SELECT * FROM {parts_relation([path])}").fetchall()
    assert seen == [(1,)]
    version = manifest([path], {"a": "INT"})
    if where == "file":
        assert re.findall(r"Part (.*?) of mart", refused(version)) == [str(other)]
        other.rename(tmp_path / "decoy")
    check_parts(version)
    assert describe_parts(version) == [("a", "INTEGER")]


@pytest.mark.skipif(os.sep == "\\", reason="a backslash separates folders here")
def test_a_path_that_duckdb_cannot_take_as_it_is_is_refused(tmp_path: Path) -> None:
    """A backslash beside a star cannot be told from a pattern; a backslash alone can."""
    path = write(tmp_path / "a\\b.parquet", pa.table({"a": A}))
    check_parts(manifest([path], {"a": "INT"}))
    path = path.rename(tmp_path / "a\\*.parquet")
    message = refused(manifest([path], {"a": "INT"}))
    said = f"DuckDB cannot read {path}: of the characters *, ? and [ there may be none in a path"
    assert said in message
    assert message.endswith("Rename the file or its folder.")
    with pytest.raises(ExtractError, match=re.escape(said)):
        parts_relation([path])


def test_a_relative_folder_is_one_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it leads through a link, which DuckDB by itself takes for a folder."""
    (tmp_path / "far" / "cwd").mkdir(parents=True)
    (tmp_path / "cwd [x]").symlink_to(tmp_path / "far" / "cwd")
    write(tmp_path / "out [x]" / "part-0.parquet", pa.table({"b": ["decoy"]}))
    write(tmp_path / "far" / "out [x]" / "part-0.parquet", pa.table({"a": A}))
    monkeypatch.chdir(tmp_path)
    version = manifest([Path("cwd [x]/../out [x]/part-0.parquet")], {"a": "INT"})
    check_parts(version)
    assert describe_parts(version) == [("a", "INTEGER")]


def test_what_our_own_export_writes_is_accepted(
    tmp_path: Path, duck: duckdb.DuckDBPyConnection
) -> None:
    """DuckDB's own Parquet, in both of its versions, passes with the types of an extract."""
    columns = {
        "a": ("true", "BOOL"),
        "b": ("1::TINYINT", "SMALL_INT"),
        "c": ("1::SMALLINT", "SMALL_INT"),
        "d": ("1::UTINYINT", "SMALL_INT"),
        "e": ("1::INTEGER", "INT"),
        "f": ("1::USMALLINT", "INT"),
        "g": ("1::BIGINT", "BIG_INT"),
        "h": ("1::UINTEGER", "BIG_INT"),
        "k": ("1::DOUBLE", "DOUBLE"),
        "l": ("1::DECIMAL(9,2)", "NUMERIC(9,2)"),
        "m": ("1::DECIMAL(18,2)", "NUMERIC(18,2)"),
        "n": ("1::DECIMAL(38,2)", "NUMERIC(38,2)"),
        "o": ("'x'", "TEXT"),
        "p": ("DATE '2026-01-31'", "DATE"),
        "q": ("TIME '12:34:56'", "TIME"),
        "r": ("TIMESTAMP '2026-01-31 12:34:56'", "TIMESTAMP"),
        "s": ("TIMESTAMPTZ '2026-01-31 12:34:56Z'", "TIMESTAMP_TZ"),
    }
    selected = ", ".join(f"{value} AS {name}" for name, (value, _) in columns.items())
    for form in ("V1", "V2"):
        path = tmp_path / form / "part-0.parquet"
        path.parent.mkdir()
        duck.execute(
            f"COPY (SELECT {selected}) TO {quote_text(str(path))} (PARQUET_VERSION {form})"
        ).fetchall()
        check_parts(manifest([path], {name: text for name, (_, text) in columns.items()}))
