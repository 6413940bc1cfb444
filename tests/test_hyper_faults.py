import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mds_tableau.column_options import ColumnOptions
from mds_tableau.conversion import convert
from mds_tableau.errors import ExtractError
from mds_tableau.export import export_mart
from mds_tableau.export_plan import MartExport
from mds_tableau.extract_file import read_extract
from mds_tableau.hyper import Hyper
from mds_tableau.parquet import ParquetVersion
from tests.stages import PATIENCE, children, once_written, started_hyper, tree

pytestmark = pytest.mark.hyper


Query = Callable[..., list[list[Any]]]


Export = Callable[..., ParquetVersion]


POINT = "SELECT 'POINT(8 47)' AS place"
GEOGRAPHY = {"place": ColumnOptions(as_="geography")}
"""With a geography there is one more temporary file than without."""


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
        folder = tmp_path_factory.mktemp("large") / "mart"
        return export_mart(connection, MartExport("large", "mart", "large.sql"), folder)


def test_a_hyper_that_died_is_an_error_and_the_next_one_works(export: Export, folder: Path) -> None:
    """When Hyper is killed before a conversion, the old extract stays and a new run succeeds."""
    version = export("SELECT 1 AS a")
    with started_hyper() as (running, pid):
        old = convert(running, version, extract="mart", folder=folder)
        before = tree(folder)
        os.kill(pid, signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(ExtractError, match=r"Cannot convert extract 'mart' from .*: \w+"):
                convert(running, version, extract="mart", folder=folder)
    assert tree(folder) == before
    assert read_extract(folder, "mart") == old
    with Hyper() as running:
        assert convert(running, version, extract="mart", folder=folder).rows == 1


STAGES = [".mart.*.tmp.hyper", ".mart.*.tmp.back.parquet"]
"""Files that grow while Hyper loads the Parquet, and while it writes back what it holds."""


@pytest.mark.parametrize("pattern", STAGES)
def test_a_hyper_that_dies_in_the_middle_is_an_error_and_the_next_one_works(
    export: Export, large: ParquetVersion, folder: Path, pattern: str
) -> None:
    """When Hyper is killed while it loads or writes back, nothing half-written is left."""
    with started_hyper() as (running, pid):
        old = convert(running, export("SELECT 1 AS a"), extract="mart", folder=folder)
        before = tree(folder)
        with (
            once_written(folder, pattern, lambda: os.kill(pid, signal.SIGKILL)),
            pytest.raises(ExtractError, match=r"Cannot convert extract 'mart' .*unexpectedly"),
        ):
            convert(running, large, extract="mart", folder=folder)
    assert tree(folder) == before
    assert read_extract(folder, "mart") == old
    with Hyper() as running:
        assert convert(running, export("SELECT 2 AS a"), extract="mart", folder=folder).rows == 1


@pytest.mark.parametrize("pattern", STAGES)
def test_an_interrupt_reaches_a_conversion(
    export: Export, hyper: Hyper, large: ParquetVersion, folder: Path, pattern: str
) -> None:
    """Ctrl-C ends what Hyper does at once, leaves the old extract, and Hyper is fit for more."""
    # whoever ran in this process before may have put a handler of his own in place
    before_us = signal.signal(signal.SIGINT, signal.default_int_handler)
    old = convert(hyper, export("SELECT 1 AS a"), extract="mart", folder=folder)
    before = tree(folder)
    with (
        once_written(folder, pattern, lambda: os.kill(os.getpid(), signal.SIGINT)),
        pytest.raises(KeyboardInterrupt),
    ):
        convert(hyper, large, extract="mart", folder=folder)
    signal.signal(signal.SIGINT, before_us)
    assert tree(folder) == before
    assert read_extract(folder, "mart") == old
    assert convert(hyper, export("SELECT 2 AS a"), extract="mart", folder=folder).rows == 1


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
        names.update(found.replace(f".{os.getpid()}.", ".1.") for found in tree(folder))
        return replace_file(path, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", note)
        made = convert(hyper, version, extract=extract, folder=folder)
    final = {made.path.name, made.path.with_suffix(".json").name}
    names -= final
    for name in final:
        (folder / name).unlink()
    assert tree(folder) == {}
    assert len(names) == 5
    for name in names:
        (folder / name).write_bytes(b"half")
    return sorted(names)


@pytest.mark.parametrize("name", ["mart", "mart.v2", "[x] *?"])
def test_debris_of_a_killed_run_is_removed(
    export: Export, hyper: Hyper, folder: Path, name: str
) -> None:
    """A conversion removes all half-written files of its extract."""
    version = export(POINT, options=GEOGRAPHY)
    half_written(hyper, version, name, folder)
    convert(hyper, version, extract=name, folder=folder)
    assert sorted(tree(folder)) == [f"{name}.hyper", f"{name}.json"]


@pytest.mark.parametrize("other", ["mart.v2", "mart.1", "marts", "x.mart", ".mart"])
def test_what_another_extract_is_writing_is_left_alone(
    export: Export, hyper: Hyper, folder: Path, other: str
) -> None:
    """Half-written files of an extract whose name is only similar are not debris."""
    version = export(POINT, options=GEOGRAPHY)
    half = half_written(hyper, version, other, folder)
    convert(hyper, version, extract="mart", folder=folder)
    assert sorted(tree(folder)) == sorted([*half, "mart.hyper", "mart.json"])


def test_conversions_to_one_extract_wait_for_each_other(
    export: Export, hyper: Hyper, query_hyper: Query, folder: Path
) -> None:
    """Four conversions at once all succeed, and the file is one of theirs, whole."""
    versions = [export(f"SELECT {n} AS a") for n in range(2)]
    with ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(
                lambda n: convert(hyper, versions[n % 2], extract="mart", folder=folder), range(4)
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
    old = convert(hyper, export("SELECT 1 AS a"), extract="mart", folder=small_disk)
    before = tree(small_disk)
    with pytest.raises(ExtractError, match=r"Cannot convert extract 'mart' .*(growing|space left)"):
        convert(hyper, large, extract="mart", folder=small_disk)
    assert tree(small_disk) == before
    assert read_extract(small_disk, "mart") == old


def test_a_disk_that_is_full_before_the_comparison_leaves_everything_as_it_was(
    export: Export, hyper: Hyper, small_disk: Path
) -> None:
    """An extract that fits, but not together with what Hyper writes back, is not kept either."""
    version = export("SELECT i AS id, md5(i::VARCHAR) AS t FROM range(12000) AS r(i)")
    old = convert(hyper, export("SELECT 1 AS a"), extract="mart", folder=small_disk)
    before = tree(small_disk)
    with pytest.raises(ExtractError, match=r"Cannot convert extract 'mart' .*back\.parquet"):
        convert(hyper, version, extract="mart", folder=small_disk)
    assert tree(small_disk) == before
    assert read_extract(small_disk, "mart") == old
    # it is the comparison that did not fit
    made = convert(hyper, version, extract="mart", folder=small_disk, verify="rows")
    assert made.rows == 12000


CONVERTER = """
import sys
from pathlib import Path
from mds_tableau.conversion import convert
from mds_tableau.hyper import Hyper
from mds_tableau.parquet import read_version
with Hyper() as hyper:
    convert(hyper, read_version(Path(sys.argv[1])), extract="mart", folder=Path(sys.argv[2]))
"""


@pytest.mark.parametrize("stage", ["hyper", "back.parquet", "read.parquet"])
def test_a_killed_conversion_leaves_no_trace(
    export: Export, hyper: Hyper, folder: Path, stage: str
) -> None:
    """Whenever it was killed, the old extract stays and the next conversion removes the debris."""
    point = "CASE WHEN i % 2 = 0 THEN concat('POINT(', i % 180, ' ', i % 90, '.5)') END"
    version = export(
        f"SELECT i, md5(i::VARCHAR) AS t, {point} AS place FROM range(300000) AS r(i)",
        options=GEOGRAPHY,
    )
    old = convert(hyper, export("SELECT 1 AS a"), extract="mart", folder=folder)
    before = tree(folder)
    command = [sys.executable, "-c", CONVERTER, str(version.folder), str(folder)]
    with subprocess.Popen(command) as converter:
        deadline = time.monotonic() + PATIENCE
        while not list(folder.glob(f".mart.{converter.pid}.tmp.{stage}")):
            assert converter.poll() is None
            assert time.monotonic() < deadline, "no temporary file was seen"
        converter.kill()

    left = tree(folder)
    assert {name: left[name] for name in before} == before
    assert len(left) > len(before)
    assert read_extract(folder, "mart") == old
    convert(hyper, export("SELECT 2 AS a"), extract="mart", folder=folder)
    assert sorted(tree(folder)) == ["mart.hyper", "mart.json"]


def test_without_a_record_there_is_no_new_extract(
    export: Export, hyper: Hyper, folder: Path
) -> None:
    """When the record cannot be written, the old extract stays as any failure leaves it."""
    old = convert(hyper, export("SELECT 1 AS a"), extract="mart", folder=folder)
    content = old.path.read_bytes()
    (folder / "mart.json").unlink()
    (folder / "mart.json").mkdir()
    with pytest.raises(ExtractError, match=r"Cannot write extract 'mart': .*mart\.json"):
        convert(hyper, export("SELECT 2 AS a"), extract="mart", folder=folder)
    assert old.path.read_bytes() == content
