import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mds_tableau.columns import HyperType
from mds_tableau.conversion import convert
from mds_tableau.errors import ExtractError
from mds_tableau.extract_file import read_extract
from mds_tableau.hyper import Hyper
from mds_tableau.parquet import MANIFEST, ParquetVersion, read_version
from tests.stages import PATIENCE, foreign_version, tree

pytestmark = pytest.mark.hyper


Query = Callable[..., list[list[Any]]]


Export = Callable[..., ParquetVersion]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the extracts are."""
    return tmp_path / "hyper"


def test_an_extract_is_a_file_and_what_was_verified_about_it(
    export: Export, hyper: Hyper, query_hyper: Query, folder: Path
) -> None:
    """The record beside the `.hyper` says rows, columns, size, digest, version and source."""
    version = export("SELECT 1 AS n, 2::DECIMAL(38,2) AS net UNION ALL SELECT 2, NULL")
    made = convert(hyper, version, extract="sales", folder=folder)

    assert sorted(tree(folder)) == ["sales.hyper", "sales.json"]
    content = (folder / "sales.hyper").read_bytes()
    assert (made.extract, made.path, made.rows) == ("sales", folder / "sales.hyper", 2)
    assert made.columns == (("n", HyperType("INT")), ("net", HyperType("NUMERIC", 38, 2)))
    assert (made.bytes, made.sha256) == (len(content), sha256(content).hexdigest())
    assert (made.file_version, made.raised_by) == (3, ("net",))
    assert (made.not_null, made.row_hash) == ((2, 1), version.row_hash)
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
    old = convert(hyper, export("SELECT 1 AS a"), extract="mart", folder=folder)
    content = old.path.read_bytes()
    with old.path.open("rb") as reader:
        new = convert(hyper, export("SELECT 2 AS b"), extract="mart", folder=folder)
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
    made = convert(hyper, export("SELECT 1 AS a"), extract="mart", folder=folder)
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


PART = r"^Part .*\d{8}T.*/part-0\.parquet of mart 'mart' "
AGAIN = r"\. Export the mart again, for example with --select 'parquet/mart\*'\.$"


def _with_column(version: ParquetVersion, **changes: Any) -> ParquetVersion:
    first, *others = version.columns
    return replace(version, columns=(replace(first, **changes), *others))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_truncated, PART + r"has \d+ bytes; its manifest says \d+ bytes" + AGAIN),
        (_overwritten, PART + r"has changed since it was verified" + AGAIN),
        (_flipped, PART + r"has changed since it was verified" + AGAIN),
        (_gone, PART + r"is missing; its manifest says \d+ bytes" + AGAIN),
        (
            lambda version: _overwritten(_without_digests(version)),
            PART + r"is not a Parquet file" + AGAIN,
        ),
        (
            lambda version: replace(version, rows=4),
            r"^The manifest .*_manifest\.json of mart 'mart' says 4 rows, and 3 for its parts .*"
            + AGAIN,
        ),
        (
            lambda version: _with_column(version, not_null=3),
            r"^The extract of mart 'mart' differs from the mart: column 'a' has 2 values for 3\. "
            r"Nothing was kept of it; the Parquet is in .*\d{8}T.*\. Export the mart again, for "
            r"example with --select 'parquet/mart\*'\. If that happens again, the disk,",
        ),
        (
            lambda version: _with_column(version, name="c"),
            PART + r"has no column 'c' of the manifest, and has 'a' instead\.",
        ),
        (
            lambda version: _with_column(version, hyper_type=HyperType("TEXT")),
            PART + r"has column 'a' of type .*, which becomes INT; the manifest declares TEXT",
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
    old = convert(hyper, export("SELECT 7 AS a"), extract="mart", folder=folder)
    before, modified = tree(folder), old.path.stat().st_mtime_ns
    values = "(VALUES (1, 'x'), (2, NULL), (NULL, 'z')) AS v(a, b)"
    version = damage(export(f"SELECT a::INTEGER AS a, b FROM {values}"))

    with pytest.raises(ExtractError, match=message):
        convert(hyper, version, extract="mart", folder=folder)
    assert tree(folder) == before
    assert old.path.stat().st_mtime_ns == modified
    assert read_extract(folder, "mart") == old


def test_a_first_conversion_that_fails_leaves_nothing(
    export: Export, hyper: Hyper, folder: Path
) -> None:
    """Where there was no extract, there is none after a failure."""
    with pytest.raises(ExtractError, match=r"says 2 rows, and 1 for its parts"):
        convert(hyper, replace(export("SELECT 1 AS a"), rows=2), extract="mart", folder=folder)
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
    unnoticed = convert(hyper, read_version(version.folder), extract="mart", folder=folder)
    assert [7] in query_hyper(unnoticed.path)

    manifest = json.loads((version.folder / MANIFEST).read_text())
    manifest["parts"][0]["sha256"] = sha256(content).hexdigest()
    (version.folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ExtractError, match=r"from spark-0.* has changed since it was verified"):
        convert(hyper, read_version(version.folder), extract="mart", folder=folder)
    version.paths[0].write_bytes(content)
    made = convert(hyper, read_version(version.folder), extract="mart", folder=folder)
    assert [number] in query_hyper(made.path)


def test_several_parts_are_one_extract(
    hyper: Hyper, query_hyper: Query, tmp_path: Path, folder: Path
) -> None:
    """All parts that another engine lists are loaded, by name whatever their order of columns."""
    version = foreign_version(
        tmp_path / "it's a version",
        "SELECT 1 AS a, 2 AS b",
        "SELECT 20 AS b, 10 AS a",
        "SELECT NULL::INTEGER AS a, 200 AS b WHERE true",
        columns={"a": "INT", "b": "INT"},
    )
    made = convert(hyper, version, extract="mart", folder=folder)
    assert len(version.parts) == 3
    assert sorted(query_hyper(made.path), key=lambda row: row[1]) == [[1, 2], [10, 20], [None, 200]]
    assert made.fingerprint == "abc"


def test_one_bad_part_spoils_the_whole_extract(hyper: Hyper, tmp_path: Path, folder: Path) -> None:
    """No extract is made of the good parts alone."""
    selects = ["SELECT 1 AS a", "SELECT 'one' AS a"]
    version = foreign_version(tmp_path / "v", *selects, columns={"a": "INT"})
    with pytest.raises(ExtractError, match=r"^Part .*from spark-1.* becomes TEXT; .* declares INT"):
        convert(hyper, version, extract="mart", folder=folder)
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
        made = convert(hyper, version, extract=name, folder=tmp_path / name)
    assert made.path == tmp_path / name / f"{name}.hyper"
    assert query_hyper(made.path) == [[1]]
    assert read_extract(tmp_path / name, name) == made


def test_a_relative_folder_is_one_of_the_working_directory(
    export: Export, hyper: Hyper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hyper, which has a working directory of its own, is given whole paths."""
    monkeypatch.chdir(tmp_path)
    made = convert(
        hyper, export("SELECT 1 AS a", folder=Path("in/mart")), extract="mart", folder=Path("out")
    )
    assert made.path == tmp_path / "out" / "mart.hyper"
    assert made.path.is_file()


def test_others_may_read_an_extract(export: Export, hyper: Hyper, folder: Path) -> None:
    """The mode is 0644, whatever Hyper and the umask make of it."""
    umask = os.umask(0o077)
    try:
        made = convert(hyper, export("SELECT 1 AS a"), extract="mart", folder=folder)
    finally:
        os.umask(umask)
    assert made.path.stat().st_mode & 0o777 == 0o644
