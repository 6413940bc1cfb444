import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mds_tableau.columns import HyperType
from mds_tableau.errors import ExtractError
from mds_tableau.hyper import Hyper, library_version, read_extract
from mds_tableau.parquet import MANIFEST, ParquetVersion, export_mart, read_version

pytestmark = pytest.mark.hyper

Query = Callable[..., list[list[Any]]]
Export = Callable[..., ParquetVersion]

PATIENCE = 120.0
"""Seconds after which something that a test watches for will not come any more."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the extracts are."""
    return tmp_path / "hyper"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> ParquetVersion:
    """A version that Hyper works on for a while."""
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE VIEW mart AS SELECT i, md5(i::VARCHAR) AS a, hash(i)::VARCHAR AS b "
            "FROM range(3000000) AS r(i)"
        )
        return export_mart(
            connection,
            relation="mart",
            mart="large",
            file="large.sql",
            folder=tmp_path_factory.mktemp("large") / "mart",
        )


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes, but for the locks beside the extracts."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def children() -> set[int]:
    """The processes that this one started."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("processes are found in /proc, which is not here")
    lists = (task / "children" for task in tasks.iterdir())
    return {int(pid) for file in lists for pid in file.read_text().split()}


@contextmanager
def started_hyper() -> Iterator[tuple[Hyper, int]]:
    """A Hyper of the test's own, with its process id."""
    before = children()
    with Hyper() as running:
        [pid] = children() - before
        yield running, pid


@contextmanager
def once_copying(folder: Path, action: Callable[[], object]) -> Iterator[None]:
    """Do something, once, as soon as Hyper has written a part of a new file."""
    done = threading.Event()

    def watch() -> None:
        deadline = time.monotonic() + PATIENCE
        while not done.is_set() and time.monotonic() < deadline:
            if any(_size(path) > 1_000_000 for path in folder.glob(".*.hyper")):
                action()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def foreign_version(folder: Path, *selects: str, columns: dict[str, str]) -> ParquetVersion:
    """A version that another engine wrote: a part for each SELECT, and the manifest."""
    folder.mkdir(parents=True)
    parts = []
    with duckdb.connect() as connection:
        counts = ", ".join(f"count({name})" for name in columns)
        total = connection.execute(
            f"SELECT count(*), {counts} FROM ({' UNION ALL BY NAME '.join(selects)})"
        ).fetchone()
        assert total is not None
        for number, select in enumerate(selects):
            path = folder / f"from spark-{number}.snappy.parquet"
            target = str(path).replace("'", "''")
            connection.execute(
                f"COPY ({select}) TO '{target}' (COMPRESSION uncompressed)"
            ).fetchall()
            row = connection.execute(f"SELECT count(*) FROM ({select})").fetchone()
            assert row is not None
            parts.append({"file": path.name, "rows": row[0], "bytes": path.stat().st_size})
    described = [
        {"name": name, "source_type": "string", "hyper_type": text, "not_null": total[number]}
        for number, (name, text) in enumerate(columns.items(), 1)
    ]
    content = {
        "mart": "mart",
        "engine": "spark 4.1",
        "created_at": "2026-11-22T00:00:00+00:00",
        "seconds": 1.5,
        "rows": total[0],
        "fingerprint": "abc",
        "parts": parts,
        "columns": described,
    }
    (folder / MANIFEST).write_text(json.dumps(content))
    return read_version(folder)


def test_an_extract_is_a_file_and_what_was_verified_about_it(
    export: Export, hyper: Hyper, query_hyper: Query, folder: Path
) -> None:
    """The record beside the `.hyper` says rows, columns, size, digest, version and source."""
    version = export("SELECT 1 AS n, 2::DECIMAL(38,2) AS net UNION ALL SELECT 2, NULL")
    made = hyper.convert(version, extract="sales", folder=folder)

    assert sorted(tree(folder)) == ["sales.hyper", "sales.json"]
    content = (folder / "sales.hyper").read_bytes()
    assert (made.extract, made.path, made.rows) == ("sales", folder / "sales.hyper", 2)
    assert made.columns == (("n", HyperType("INT")), ("net", HyperType("NUMERIC", 38, 2)))
    assert (made.bytes, made.sha256) == (len(content), sha256(content).hexdigest())
    assert (made.file_version, made.raised_by) == (3, ("net",))
    assert made.fingerprint == version.fingerprint
    assert 0 < made.seconds < PATIENCE
    age = datetime.now(timezone.utc) - datetime.fromisoformat(made.created_at)
    assert timedelta(0) <= age < timedelta(minutes=5)
    assert read_extract(folder, "sales") == made
    assert sorted(row[0] for row in query_hyper(made.path)) == [1, 2]


def test_a_new_extract_takes_the_place_of_the_old_one_whole(
    export: Export, hyper: Hyper, query_hyper: Query, folder: Path
) -> None:
    """Whoever has the old file open reads it to its end; whoever opens it next has the new one."""
    old = hyper.convert(export("SELECT 1 AS a"), extract="mart", folder=folder)
    content = old.path.read_bytes()
    with old.path.open("rb") as reader:
        new = hyper.convert(export("SELECT 2 AS b"), extract="mart", folder=folder)
        assert reader.read() == content
    assert new.path == old.path
    assert query_hyper(new.path, 'SELECT b FROM "Extract"."Extract"') == [[2]]
    assert sorted(tree(folder)) == ["mart.hyper", "mart.json"]


def test_whatever_stood_there_is_replaced(
    export: Export, hyper: Hyper, query_hyper: Query, folder: Path
) -> None:
    """A file that is no extract does not hinder the next one."""
    folder.mkdir()
    (folder / "mart.hyper").write_bytes(b"no extract")
    (folder / "mart.json").write_bytes(b"no record")
    made = hyper.convert(export("SELECT 1 AS a"), extract="mart", folder=folder)
    assert query_hyper(made.path) == [[1]]
    assert read_extract(folder, "mart") == made


def _truncated(version: ParquetVersion) -> ParquetVersion:
    os.truncate(version.paths[0], version.bytes - 10)
    return version


def _overwritten(version: ParquetVersion) -> ParquetVersion:
    version.paths[0].write_bytes(b"\0" * version.bytes)
    return version


def _gone(version: ParquetVersion) -> ParquetVersion:
    version.paths[0].unlink()
    return version


def _flipped(version: ParquetVersion) -> ParquetVersion:
    """One bit is another in the middle of a page."""
    content = bytearray(version.paths[0].read_bytes())
    content[version.bytes // 4] ^= 1
    version.paths[0].write_bytes(content)
    return version


def _without_digests(version: ParquetVersion) -> ParquetVersion:
    """As another engine writes it."""
    return replace(version, parts=tuple(replace(part, sha256="") for part in version.parts))


CHANGED = (
    r"^Part .*\d{8}T.*/part-0\.parquet of mart 'mart' has changed since it was verified\. "
    r"Export the mart again, for example with --select 'parquet/mart'\.$"
)


def _with_column(version: ParquetVersion, **changes: Any) -> ParquetVersion:
    first, *others = version.columns
    return replace(version, columns=(replace(first, **changes), *others))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_truncated, CHANGED),
        (_overwritten, CHANGED),
        (_flipped, CHANGED),
        (_gone, r"Cannot read part .*\d{8}T.*/part-0\.parquet of mart 'mart': .*No such file"),
        (
            lambda version: _truncated(_without_digests(version)),
            r"Cannot convert extract 'mart' from .*\d{8}T.*not a Parquet file",
        ),
        (
            lambda version: _overwritten(_without_digests(version)),
            r"Cannot convert extract 'mart' from .*\d{8}T.*not a Parquet file",
        ),
        (
            lambda version: _gone(_without_digests(version)),
            r"Cannot convert extract 'mart' from .*could not read from external source",
        ),
        (
            lambda version: replace(version, rows=4),
            r"mart 'mart' has 3 rows, COPY reported 3, and the manifest in .* says 4\. Nothing was",
        ),
        (
            lambda version: _with_column(version, not_null=3),
            r"Column 'a' of the extract of mart 'mart' has 2 values, and the manifest .* says 3\.",
        ),
        (
            lambda version: _with_column(version, name="c"),
            r"Cannot convert extract 'mart' .*no column named \"c\"",
        ),
        (
            lambda version: _with_column(version, hyper_type=HyperType("TEXT")),
            r"Cannot convert extract 'mart' .*Type 'text' is incompatible to type 'integer",
        ),
    ],
)
def test_a_failing_conversion_leaves_everything_as_it_was(
    export: Export,
    hyper: Hyper,
    folder: Path,
    damage: Callable[[ParquetVersion], ParquetVersion],
    message: str,
) -> None:
    """The cause is told, the old extract stays byte for byte, and there are no other files."""
    old = hyper.convert(export("SELECT 7 AS a"), extract="mart", folder=folder)
    before, modified = tree(folder), old.path.stat().st_mtime_ns
    values = "(VALUES (1, 'x'), (2, NULL), (NULL, 'z')) AS v(a, b)"
    version = damage(export(f"SELECT a::INTEGER AS a, b FROM {values}"))

    with pytest.raises(ExtractError, match=message):
        hyper.convert(version, extract="mart", folder=folder)
    assert tree(folder) == before
    assert old.path.stat().st_mtime_ns == modified
    assert read_extract(folder, "mart") == old


def test_a_first_conversion_that_fails_leaves_nothing(
    export: Export, hyper: Hyper, folder: Path
) -> None:
    """Where there was no extract, there is none after a failure."""
    with pytest.raises(ExtractError, match=r"the manifest in .* says 2"):
        hyper.convert(replace(export("SELECT 1 AS a"), rows=2), extract="mart", folder=folder)
    assert tree(folder) == {}


def test_a_digest_finds_what_hyper_does_not(
    hyper: Hyper, query_hyper: Query, tmp_path: Path, folder: Path
) -> None:
    """A value that rotted on the disk is refused when the manifest has the digest of its part."""
    number = 0x1122334455667788
    version = foreign_version(
        tmp_path / "v", f"SELECT {number} + i AS a FROM range(3) r(i)", columns={"a": "BIG_INT"}
    )
    content = version.paths[0].read_bytes()
    rotten = content.replace(number.to_bytes(8, "little"), (7).to_bytes(8, "little"))
    assert rotten != content
    version.paths[0].write_bytes(rotten)

    # rows, values and size are as they were
    unnoticed = hyper.convert(read_version(version.folder), extract="mart", folder=folder)
    assert [7] in query_hyper(unnoticed.path)

    manifest = json.loads((version.folder / MANIFEST).read_text())
    manifest["parts"][0]["sha256"] = sha256(content).hexdigest()
    (version.folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ExtractError, match=r"from spark-0.* has changed since it was verified"):
        hyper.convert(read_version(version.folder), extract="mart", folder=folder)
    version.paths[0].write_bytes(content)
    made = hyper.convert(read_version(version.folder), extract="mart", folder=folder)
    assert [number] in query_hyper(made.path)


def test_several_parts_are_one_extract(
    hyper: Hyper, query_hyper: Query, tmp_path: Path, folder: Path
) -> None:
    """All parts that another engine lists are loaded, by name whatever their order of columns."""
    version = foreign_version(
        tmp_path / "it's a version",
        "SELECT 1 AS a, 2 AS b",
        "SELECT 20 AS b, 10 AS a, 'unknown to the manifest' AS c",
        "SELECT NULL::INTEGER AS a, 200 AS b WHERE true",
        columns={"a": "INT", "b": "INT"},
    )
    (version.folder / "not listed.parquet").write_bytes(version.paths[0].read_bytes())
    made = hyper.convert(version, extract="mart", folder=folder)
    assert len(version.parts) == 3
    assert sorted(query_hyper(made.path), key=lambda row: row[1]) == [[1, 2], [10, 20], [None, 200]]
    assert made.fingerprint == "abc"


def test_one_bad_part_spoils_the_whole_extract(hyper: Hyper, tmp_path: Path, folder: Path) -> None:
    """No extract is made of the good parts alone."""
    selects = ["SELECT 1 AS a", "SELECT 'one' AS a"]
    version = foreign_version(tmp_path / "v", selects[0], selects[0], columns={"a": "INT"})
    bad = foreign_version(tmp_path / "bad", selects[1], columns={"a": "TEXT"})
    version.paths[1].write_bytes(bad.paths[0].read_bytes())
    with pytest.raises(ExtractError, match=r"Cannot convert extract 'mart'.*from spark-1"):
        hyper.convert(version, extract="mart", folder=folder)
    assert tree(folder) == {}


@pytest.mark.parametrize(
    "name", ["it's", 'a "quoted" name', "ünï 😀", "a.b", "[x] *?", "x;--", "%20$HOME"]
)
def test_odd_names_and_places_work(
    export: Export, hyper: Hyper, query_hyper: Query, tmp_path: Path, name: str
) -> None:
    """Extracts, folders and versions may have any name that the file system takes."""
    version = export("SELECT 1 AS a", folder=tmp_path / f"parquet {name}" / name)
    for _ in range(2):
        made = hyper.convert(version, extract=name, folder=tmp_path / name)
    assert made.path == tmp_path / name / f"{name}.hyper"
    assert query_hyper(made.path) == [[1]]
    assert read_extract(tmp_path / name, name) == made


def test_a_relative_folder_is_one_of_the_working_directory(
    export: Export, hyper: Hyper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hyper, which has a working directory of its own, is given whole paths."""
    monkeypatch.chdir(tmp_path)
    made = hyper.convert(
        export("SELECT 1 AS a", folder=Path("in/mart")), extract="mart", folder=Path("out")
    )
    assert made.path == tmp_path / "out" / "mart.hyper"
    assert made.path.is_file()


def test_others_may_read_an_extract(export: Export, hyper: Hyper, folder: Path) -> None:
    """The mode is 0644, whatever Hyper and the umask make of it."""
    umask = os.umask(0o077)
    try:
        made = hyper.convert(export("SELECT 1 AS a"), extract="mart", folder=folder)
    finally:
        os.umask(umask)
    assert made.path.stat().st_mode & 0o777 == 0o644


def test_hyper_writes_no_log(
    export: Export, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run leaves nothing in the working directory nor beside the extract."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    with Hyper() as running:
        running.convert(export("SELECT 1 AS a"), extract="mart", folder=folder)
    assert list(cwd.iterdir()) == []
    assert list(tmp_path.rglob("*.log")) == []


def test_hyper_starts_where_nothing_can_be_written(
    export: Export, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working directory need not be writable; not even root can write into /proc."""
    if not Path("/proc/self").is_dir():
        pytest.skip("there is no /proc, and chmod does not bind root")
    version = export("SELECT 1 AS a")
    monkeypatch.chdir("/proc")
    with Hyper() as running:
        assert running.convert(version, extract="mart", folder=folder).rows == 1


def test_a_hyper_that_is_not_running_says_so() -> None:
    """Before the block and after it there is no connection, and the error tells how to get one."""
    stopped = Hyper()
    with pytest.raises(ExtractError, match=r"not running; use it as a context manager"):
        stopped.connect()
    with stopped:
        stopped.connect().close()
    with pytest.raises(ExtractError, match=r"not running; use it as a context manager"):
        stopped.connect()


def test_a_hyper_that_died_is_an_error_and_the_next_one_works(export: Export, folder: Path) -> None:
    """When Hyper is killed before a conversion, the old extract stays and a new run succeeds."""
    version = export("SELECT 1 AS a")
    with started_hyper() as (running, pid):
        old = running.convert(version, extract="mart", folder=folder)
        before = tree(folder)
        os.kill(pid, signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(ExtractError, match=r"Cannot convert extract 'mart' from .*: \w+"):
                running.convert(version, extract="mart", folder=folder)
    assert tree(folder) == before
    assert read_extract(folder, "mart") == old
    with Hyper() as running:
        assert running.convert(version, extract="mart", folder=folder).rows == 1


def test_a_hyper_that_dies_while_it_copies_is_an_error_and_the_next_one_works(
    export: Export, large: ParquetVersion, folder: Path
) -> None:
    """When Hyper is killed in the middle, nothing of the half-written file is left."""
    with started_hyper() as (running, pid):
        old = running.convert(export("SELECT 1 AS a"), extract="mart", folder=folder)
        before = tree(folder)
        with (
            once_copying(folder, lambda: os.kill(pid, signal.SIGKILL)),
            pytest.raises(ExtractError, match=r"Cannot convert extract 'mart' .*unexpectedly"),
        ):
            running.convert(large, extract="mart", folder=folder)
    assert tree(folder) == before
    assert read_extract(folder, "mart") == old
    with Hyper() as running:
        assert running.convert(export("SELECT 2 AS a"), extract="mart", folder=folder).rows == 1


def test_an_interrupt_reaches_a_conversion(
    export: Export, hyper: Hyper, large: ParquetVersion, folder: Path
) -> None:
    """Ctrl-C ends a COPY at once, leaves the old extract, and Hyper is fit for more."""
    # whoever ran in this process before may have put a handler of his own in place
    before_us = signal.signal(signal.SIGINT, signal.default_int_handler)
    old = hyper.convert(export("SELECT 1 AS a"), extract="mart", folder=folder)
    before = tree(folder)
    with (
        once_copying(folder, lambda: os.kill(os.getpid(), signal.SIGINT)),
        pytest.raises(KeyboardInterrupt),
    ):
        hyper.convert(large, extract="mart", folder=folder)
    signal.signal(signal.SIGINT, before_us)
    assert tree(folder) == before
    assert read_extract(folder, "mart") == old
    assert hyper.convert(export("SELECT 2 AS a"), extract="mart", folder=folder).rows == 1


OWNER = """
import sys
from pathlib import Path
from mds_tableau.hyper import Hyper
with Hyper():
    lists = [task / "children" for task in Path("/proc/self/task").iterdir()]
    print(*(file.read_text() for file in lists), flush=True)
    sys.stdin.read()
"""


def test_hyper_ends_with_its_owner() -> None:
    """A killed run leaves no Hyper behind."""
    children()  # skips where there is no /proc
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        [pid] = owner.stdout.readline().split()
        assert Path(f"/proc/{pid}").exists()
        owner.kill()
    deadline = time.monotonic() + PATIENCE
    while _runs(pid):
        assert time.monotonic() < deadline, "Hyper is still running"


def _runs(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def half_written(hyper: Hyper, version: ParquetVersion, extract: str, folder: Path) -> list[str]:
    """What a killed process leaves: every temporary file of a conversion, by its real name."""
    names: set[str] = set()
    replace_file = Path.replace

    def note(path: Path, target: Path) -> Path:
        names.add(path.name.replace(f".{os.getpid()}.", ".1."))
        return replace_file(path, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", note)
        made = hyper.convert(version, extract=extract, folder=folder)
    made.path.unlink()
    made.path.with_suffix(".json").unlink()
    assert tree(folder) == {}
    assert len(names) == 3
    for name in names:
        (folder / name).write_bytes(b"half")
    return sorted(names)


@pytest.mark.parametrize("name", ["mart", "mart.v2", "[x] *?"])
def test_debris_of_a_killed_run_is_removed(
    export: Export, hyper: Hyper, folder: Path, name: str
) -> None:
    """A conversion removes all half-written files of its extract."""
    version = export("SELECT 1 AS a")
    half_written(hyper, version, name, folder)
    hyper.convert(version, extract=name, folder=folder)
    assert sorted(tree(folder)) == [f"{name}.hyper", f"{name}.json"]


@pytest.mark.parametrize("other", ["mart.v2", "mart.1", "marts", "x.mart", ".mart"])
def test_what_another_extract_is_writing_is_left_alone(
    export: Export, hyper: Hyper, folder: Path, other: str
) -> None:
    """Half-written files of an extract whose name is only similar are not debris."""
    version = export("SELECT 1 AS a")
    half = half_written(hyper, version, other, folder)
    hyper.convert(version, extract="mart", folder=folder)
    assert sorted(tree(folder)) == sorted([*half, "mart.hyper", "mart.json"])


def test_conversions_to_one_extract_wait_for_each_other(
    export: Export, hyper: Hyper, query_hyper: Query, folder: Path
) -> None:
    """Four conversions at once all succeed, and the file is one of theirs, whole."""
    versions = [export(f"SELECT {n} AS a") for n in range(2)]
    with ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(
                lambda n: hyper.convert(versions[n % 2], extract="mart", folder=folder), range(4)
            )
        )
    last = read_extract(folder, "mart")
    assert last in made
    assert sha256(last.path.read_bytes()).hexdigest() == last.sha256
    assert query_hyper(last.path) in ([[0]], [[1]])


def test_a_full_disk_leaves_everything_as_it_was(
    export: Export, hyper: Hyper, large: ParquetVersion, small_disk: Path
) -> None:
    """When the disk is full the error says so and only the old extract is there."""
    old = hyper.convert(export("SELECT 1 AS a"), extract="mart", folder=small_disk)
    before = tree(small_disk)
    with pytest.raises(ExtractError, match=r"Cannot convert extract 'mart' .*(growing|space left)"):
        hyper.convert(large, extract="mart", folder=small_disk)
    assert tree(small_disk) == before
    assert read_extract(small_disk, "mart") == old


def test_without_a_record_there_is_no_new_extract(
    export: Export, hyper: Hyper, folder: Path
) -> None:
    """When the record cannot be written, the old extract stays as any failure leaves it."""
    old = hyper.convert(export("SELECT 1 AS a"), extract="mart", folder=folder)
    content = old.path.read_bytes()
    (folder / "mart.json").unlink()
    (folder / "mart.json").mkdir()
    with pytest.raises(ExtractError, match=r"Cannot write extract 'mart': .*mart\.json"):
        hyper.convert(export("SELECT 2 AS a"), extract="mart", folder=folder)
    assert old.path.read_bytes() == content


@pytest.mark.parametrize("missing", ["mart.hyper", "mart.json"])
def test_an_extract_without_file_or_record_is_an_error(
    export: Export, hyper: Hyper, folder: Path, missing: str
) -> None:
    """What is not there whole is said to be missing, with the command that builds it."""
    hyper.convert(export("SELECT 1 AS a"), extract="mart", folder=folder)
    (folder / missing).unlink()
    message = r"There is no extract .*mart\.hyper\. Build it.*--select '\*tableau/mart'"
    with pytest.raises(ExtractError, match=message):
        read_extract(folder, "mart")


def test_a_file_that_is_not_the_verified_one_is_an_error(
    export: Export, hyper: Hyper, folder: Path
) -> None:
    """A file of another size than its record's is told with both sizes and what to do."""
    made = hyper.convert(export("SELECT 1 AS a"), extract="mart", folder=folder)
    os.truncate(made.path, 1234)
    message = (
        rf"mart\.hyper has 1234 bytes, but {made.bytes} were verified when it was made\. "
        r"Build it again, for example with --select 'hyper/mart'"
    )
    with pytest.raises(ExtractError, match=message):
        read_extract(folder, "mart")


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.pop("columns"),
        lambda record: record.update(written_by="a later version of the program"),
        lambda record: record.pop("fingerprint"),
        lambda record: record.update(columns=[["a", "BYTES"]]),
        lambda record: record.update(columns=[["a"]]),
        lambda record: record.update(raised_by=None),
    ],
)
def test_a_record_of_another_form_is_an_error(
    export: Export, hyper: Hyper, folder: Path, damage: Callable[[dict[str, Any]], object]
) -> None:
    """A record that another version of the program wrote is named, with what to do."""
    hyper.convert(export("SELECT 1 AS a"), extract="mart", folder=folder)
    record = json.loads((folder / "mart.json").read_text())
    damage(record)
    (folder / "mart.json").write_text(json.dumps(record))
    message = (
        r"mart\.json is not the record of an extract \(.+\)\. Build the extract again, for example "
        r"with --select 'hyper/mart'\.$"
    )
    with pytest.raises(ExtractError, match=message):
        read_extract(folder, "mart")


def test_the_installed_hyper_is_named() -> None:
    """The version is that of the installed distribution, in numbers."""
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", library_version())
