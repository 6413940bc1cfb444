import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mds_tableau.columns import HyperType, quote_identifier
from mds_tableau.errors import ExportError, UnsupportedColumn
from mds_tableau.export import KEPT_VERSIONS, export_mart
from mds_tableau.export_plan import MartExport
from mds_tableau.parquet import MANIFEST, Column, ParquetVersion, newest_version, read_version
from tests.stages import tree

Export = Callable[..., ParquetVersion]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the versions of the mart are."""
    return tmp_path / "parquet" / "mart"


def rows_of(version: ParquetVersion) -> list[tuple[Any, ...]]:
    """The rows in the parts that the version lists, read by DuckDB."""
    with duckdb.connect() as connection:
        paths = [str(path) for path in version.paths]
        return connection.execute(
            "SELECT * FROM read_parquet(?, hive_partitioning = false) ORDER BY ALL", [paths]
        ).fetchall()


def test_a_view_may_change_the_case_of_a_name(
    duck: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """The new name is exported, though DuckDB describes such a view by the old one."""
    duck.execute("CREATE TABLE sales AS SELECT 1 AS id, 2.5 AS net")
    duck.execute('CREATE VIEW mart AS SELECT id, net AS "Net" FROM sales')
    version = export_mart(duck, MartExport("mart", '"mart"', "mart.sql"), tmp_path / "parquet")
    assert [column.name for column in version.columns] == ["id", "Net"]


def test_a_version_is_a_folder_with_parts_and_a_manifest(export: Export, folder: Path) -> None:
    """The manifest says who wrote which parts, with rows, bytes, and columns with their types."""
    version = export(
        "SELECT i::INTEGER AS n, sum(i) AS total, nullif('x', 'x') AS gap "
        "FROM range(3) AS r(i) GROUP BY i"
    )

    assert [path.name for path in folder.iterdir()] == [version.folder.name]
    assert version.folder.name == datetime.strptime(
        version.folder.name, "%Y%m%dT%H%M%S.%fZ"
    ).strftime("%Y%m%dT%H%M%S.%fZ")
    assert sorted(path.name for path in version.folder.iterdir()) == [MANIFEST, "part-0.parquet"]
    manifest = json.loads((version.folder / MANIFEST).read_text())
    content = (version.folder / "part-0.parquet").read_bytes()
    size, digest = len(content), hashlib.sha256(content).hexdigest()
    assert manifest == {
        "mart": "mart",
        "engine": f"duckdb {duckdb.__version__}",
        "created_at": version.created_at,
        "seconds": version.seconds,
        "rows": 3,
        "fingerprint": version.fingerprint,
        "row_hash": str(version.row_hash),
        "parts": [{"file": "part-0.parquet", "rows": 3, "bytes": size, "sha256": digest}],
        "columns": [
            {
                "name": "n",
                "source_type": "INTEGER",
                "cast": "",
                "parquet_type": "INT32 (INT_32)",
                "hyper_type": "INT",
                "not_null": 3,
                "note": "",
            },
            {
                "name": "total",
                "source_type": "HUGEINT",
                "cast": "::BIGINT",
                "parquet_type": "INT64 (INT_64)",
                "hyper_type": "BIG_INT",
                "not_null": 3,
                "note": "refused: rows that do not fit BIGINT",
            },
            {
                "name": "gap",
                "source_type": "VARCHAR",
                "cast": "",
                "parquet_type": "BYTE_ARRAY (UTF8)",
                "hyper_type": "TEXT",
                "not_null": 0,
                "note": "",
            },
        ],
        "warnings": [],
        "preview": [list(row) for row in version.preview],
    }
    assert version.columns[1] == Column(
        name="total",
        source_type="HUGEINT",
        hyper_type=HyperType("BIG_INT"),
        not_null=3,
        cast="::BIGINT",
        parquet_type="INT64 (INT_64)",
        note="refused: rows that do not fit BIGINT",
    )
    assert (version.rows, version.bytes) == (3, size)
    assert version.paths == (version.folder / "part-0.parquet",)
    created = datetime.fromisoformat(version.created_at)
    assert timedelta(0) <= datetime.now(timezone.utc) - created < timedelta(minutes=5)
    assert rows_of(version) == [(0, 0, None), (1, 1, None), (2, 2, None)]


def test_parts_are_written_so_that_hyper_reads_them_right(
    export: Export, duck: duckdb.DuckDBPyConnection
) -> None:
    """Parts are compressed with zstd and have none of the delta encodings of Parquet V2."""
    version = export(
        "SELECT (i * 2147483647 % 4294967296 - 2147483648)::INTEGER AS v, i::VARCHAR "
        "FROM range(100000) AS r(i)"
    )
    rows = duck.execute(
        "SELECT compression, encodings FROM parquet_metadata(?)", [str(version.paths[0])]
    ).fetchall()
    assert {compression for compression, _ in rows} == {"ZSTD"}
    assert not any("DELTA" in str(encodings) for _, encodings in rows)


def test_two_versions_are_kept(export: Export, folder: Path) -> None:
    """The newest version and the one before stay, which a reader may still have open."""
    versions = [export(f"SELECT {n} AS a") for n in range(5)]
    kept = sorted(path.name for path in folder.iterdir())
    assert kept == [version.folder.name for version in versions[-KEPT_VERSIONS:]]
    assert KEPT_VERSIONS == 2
    assert rows_of(versions[-2]) == [(3,)]


EXPORTER = """
import sys
from pathlib import Path
import duckdb
from mds_tableau.export import export_mart
from mds_tableau.export_plan import MartExport
duck = duckdb.connect()
duck.execute("CREATE VIEW mart AS SELECT i, hash(i)::VARCHAR AS t FROM range(8000000) AS r(i)")
export_mart(duck, MartExport("mart", "mart", "m.sql"), Path(sys.argv[1]))
"""


def test_a_killed_export_leaves_no_trace(export: Export, folder: Path) -> None:
    """The version before survives a SIGKILL untouched, and the next export removes the debris."""
    first = export("SELECT 1 AS a")
    before = tree(folder)
    exporter = subprocess.Popen([sys.executable, "-c", EXPORTER, str(folder)])
    deadline = time.monotonic() + 120
    try:
        while not list(folder.glob(".*.tmp/part-*")):
            assert exporter.poll() is None
            assert time.monotonic() < deadline, "no temporary folder was seen"
    finally:
        exporter.send_signal(signal.SIGKILL)
        exporter.wait()

    debris = list(folder.glob(".*.tmp"))
    assert len(debris) == 1
    assert newest_version(folder) == first
    assert {name: content for name, content in tree(folder).items() if name in before} == before

    second = export("SELECT 2 AS a")
    assert newest_version(folder) == second
    assert sorted(folder.iterdir()) == [first.folder, second.folder]


def test_exports_of_one_mart_wait_for_each_other(
    duck: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """Four exports at once all succeed, and the newest version is one of theirs, whole."""
    duck.execute("CREATE TABLE mart AS SELECT i AS a FROM range(1000) AS r(i)")

    def run(number: int) -> ParquetVersion:
        with duck.cursor() as cursor:
            return export_mart(cursor, MartExport(f"mart {number}", "mart", "m.sql"), folder)

    with ThreadPoolExecutor(4) as pool:
        versions = sorted(pool.map(run, range(4)), key=lambda version: version.folder.name)
    assert len({version.folder for version in versions}) == 4
    assert newest_version(folder) == versions[-1]
    assert sorted(folder.iterdir()) == [version.folder for version in versions[-2:]]


def test_a_mart_without_rows_is_a_version(export: Export, folder: Path) -> None:
    """Zero rows are exported like any number: a part with the columns, and a fingerprint."""
    version = export("SELECT 1 AS a, 'x' AS b WHERE false")
    assert (version.rows, len(version.parts)) == (0, 1)
    assert [(column.name, column.not_null) for column in version.columns] == [("a", 0), ("b", 0)]
    assert rows_of(version) == []
    assert newest_version(folder) == version
    assert version.preview == ()


NAMES = [
    'a"b',
    "it's",
    "a.b",
    " ",
    "two words",
    "ünï",
    "😀",
    "select",
    "a\nb",
    "{i}",
    "*",
    "?",
    "x;--",
]


def test_odd_column_names_are_kept(export: Export) -> None:
    """Quotes, dots, spaces, emoji and reserved words in names are exported as they are."""
    columns = ", ".join(f"{n} AS {quote_identifier(name)}" for n, name in enumerate(NAMES))
    version = export(f"SELECT {columns}")
    assert [column.name for column in version.columns] == NAMES
    assert rows_of(version) == [tuple(range(len(NAMES)))]
    assert version.preview == (tuple(str(n) for n in range(len(NAMES))),)


@pytest.mark.parametrize(
    "place",
    [
        "it's a folder",
        "ünï 😀",
        "[brackets] and {braces}",
        "star * and ?",
        "part-{uuid}",
        'double " quote',
        "trailing.tmp",
        "%20$HOME~",
        "year=2026",
    ],
)
def test_odd_places_work(export: Export, tmp_path: Path, place: str) -> None:
    """Quotes, spaces, and what means something in a pattern or to DuckDB may be in the path."""
    version = export("SELECT 1 AS a", folder=tmp_path / place / "it's a mart")
    assert newest_version(version.folder.parent) == version
    assert rows_of(version) == [(1,)]
    assert version.preview == (("1",),)


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("SELECT random() AS v FROM range(10)", r"10 rows for 10, .*row hash different"),
        ("SELECT 1 AS v FROM range(100000) WHERE random() < 0.5", r"[\d,]+ rows for [\d,]+, value"),
        (
            "SELECT CASE WHEN random() < 0.5 THEN 1 END AS v FROM range(100000)",
            r"100,000 rows for 100,000, values of each column \[\d+\] for \[\d+\]",
        ),
    ],
)
def test_a_difference_between_mart_and_file_is_found(
    export: Export, folder: Path, select: str, message: str
) -> None:
    """A mart that gives other rows each time it is read is not what was written of it."""
    first = export("SELECT 1 AS a")
    before = tree(folder)
    with pytest.raises(
        ExportError, match=rf"written of mart 'mart' differs .*mart\.sql\): {message}"
    ):
        export(select)
    assert tree(folder) == before
    assert newest_version(folder) == first


def _rows(table: list[tuple[int | None, str | None]]) -> str:
    if not table:
        return "SELECT NULL::INTEGER AS a, NULL::VARCHAR AS b WHERE false"
    values = ", ".join(
        f"({'NULL' if a is None else a}, {'NULL' if b is None else chr(39) + b + chr(39)})"
        for a, b in table
    )
    return f"SELECT a::INTEGER AS a, b::VARCHAR AS b FROM (VALUES {values}) AS rows(a, b)"


TABLES = st.lists(
    st.tuples(st.none() | st.integers(-(2**31), 2**31 - 1), st.none() | st.text("abc", max_size=3)),
    max_size=5,
)


@settings(max_examples=15)
@given(first=TABLES, second=TABLES, data=st.data())
def test_the_fingerprint_tells_contents_apart(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[tuple[int | None, str | None]],
    second: list[tuple[int | None, str | None]],
    data: st.DataObject,
) -> None:
    """Equal for the same rows in any order, different for different rows, NULL and '' included."""
    folder = tmp_path_factory.mktemp("fingerprints")
    shuffled = data.draw(st.permutations(first))
    with duckdb.connect() as connection:
        prints = []
        for number, table in enumerate([first, shuffled, second]):
            connection.execute(f"CREATE VIEW mart_{number} AS {_rows(table)}")
            mart = MartExport("mart", f"mart_{number}", "m.sql")
            version = export_mart(connection, mart, folder / str(number))
            prints.append(version.fingerprint)
    assert prints[0] == prints[1]
    assert (prints[0] == prints[2]) == (sorted(map(repr, first)) == sorted(map(repr, second)))


@pytest.mark.parametrize("name", ["a", "t", "rows", "mart", "hash", "read_parquet"])
def test_the_fingerprint_covers_all_columns(export: Export, name: str) -> None:
    """Another value in any column is another fingerprint, whatever other columns are called."""
    first, second = (export(f"SELECT 1 AS {name}, {value} AS other") for value in (1, 2))
    assert first.fingerprint != second.fingerprint


def test_the_fingerprint_covers_the_schema(export: Export) -> None:
    """Other names, types or order of columns are another fingerprint for the same values."""
    selects = [
        "1 AS a, 1 AS b",
        "1 AS b, 1 AS a",
        "1 AS a, 1 AS c",
        "1::BIGINT AS a, 1 AS b",
        "1 AS a",
    ]
    prints = [export(f"SELECT {select}").fingerprint for select in selects]
    assert len(set(prints)) == len(selects)


def test_a_mart_that_is_not_built_is_an_error(
    duck: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    """A relation that is missing is named, with the command that builds it."""
    message = (
        r'mart \'m\' \(m\.sql\): "x"\."y" cannot be read: Catalog Error: .* does not exist.* '
        r"Build it first, for example with --select '\*parquet/m\*'\.$"
    )
    with pytest.raises(ExportError, match=message):
        export_mart(duck, MartExport("m", '"x"."y"', "m.sql"), folder)
    assert tree(folder.parent) == {}


@pytest.mark.parametrize(
    ("select", "error", "message"),
    [
        ("SELECT [1] AS a", UnsupportedColumn, r"'mart' .*\n- column 'a' has type INTEGER\[\]"),
        (
            "SELECT error('disk on fire')::INTEGER AS a",
            ExportError,
            r"'mart' .*mart\.sql\): .*on fire",
        ),
        # a conversion error of the view's own, not of the export
        *(
            (
                f"SELECT concat('seven', i)::{sql} AS a FROM range(2) AS r(i)",
                ExportError,
                r"'mart' .*mart\.sql\): .*seven0",
            )
            for sql in ("INTEGER", "HUGEINT", "DATE")
        ),
    ],
)
def test_a_failing_export_leaves_everything_as_it_was(
    export: Export, folder: Path, select: str, error: type[Exception], message: str
) -> None:
    """The cause is told, the versions before stay, and there are no temporary files."""
    first = export("SELECT 1 AS a")
    before = tree(folder.parent)
    with pytest.raises(error, match=rf"(?s)^Cannot export mart {message}"):
        export(select)
    assert tree(folder.parent) == before
    assert sorted(folder.iterdir()) == [first.folder]


def test_a_full_disk_leaves_everything_as_it_was(export: Export, small_disk: Path) -> None:
    """When the disk is full the error says so and only the version before is there."""
    folder = small_disk / "mart"
    first = export("SELECT 1 AS a", folder=folder)
    before = tree(small_disk)
    with pytest.raises(ExportError, match=r"^Cannot export mart 'mart' .*No space left on device"):
        export(BIG, folder=folder)
    assert tree(small_disk) == before
    assert sorted(folder.iterdir()) == [first.folder]


BIG = "SELECT hash(i)::DECIMAL(20,0) AS a FROM range(500000) AS r(i)"


def test_a_preview_shows_text_and_gaps(export: Export) -> None:
    """At most five rows are shown as text, NULL as None, in the mart's order of columns."""
    version = export(
        "SELECT i AS n, DATE '2026-01-31' AS d, NULL::INTEGER AS gap FROM range(9) r(i)"
    )
    assert len(version.preview) == 5
    assert {row[0] for row in version.preview} <= {str(n) for n in range(9)}
    assert {row[1:] for row in version.preview} == {("2026-01-31", None)}
    assert read_version(version.folder).preview == version.preview
