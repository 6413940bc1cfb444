import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mds_tableau.columns import HyperType
from mds_tableau.errors import ExportError
from mds_tableau.export import KEPT_VERSIONS
from mds_tableau.parquet import (
    MANIFEST,
    Column,
    ParquetVersion,
    footer_bytes,
    newest_version,
    read_version,
)
from tests.stages import foreign_version

Export = Callable[..., ParquetVersion]


FUTURE = "20991231T235959.999999Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the versions of the mart are."""
    return tmp_path / "parquet" / "mart"


def test_reading_gives_back_what_the_export_returned(export: Export, folder: Path) -> None:
    """`newest_version` of the folder equals what `export_mart` returned."""
    assert newest_version(folder) is None
    version = export("SELECT 1::DECIMAL(38,2) AS a, 'x' AS b")
    assert newest_version(folder) == read_version(version.folder) == version


def test_the_newest_complete_version_wins(export: Export, folder: Path) -> None:
    """Readers take the newest version with a manifest, and see nothing of the others."""
    first, second = export("SELECT 1 AS a"), export("SELECT 2 AS a")
    assert newest_version(folder) == second

    (folder / FUTURE).mkdir()
    (folder / FUTURE / "part-0.parquet").write_bytes(b"half")
    (folder / f".{FUTURE}.tmp").mkdir()
    (folder / f".{FUTURE}.tmp" / MANIFEST).write_bytes((second.folder / MANIFEST).read_bytes())
    assert newest_version(folder) == second

    (second.folder / MANIFEST).unlink()
    assert newest_version(folder) == first


def test_a_clock_that_was_set_back_makes_no_old_version(export: Export, folder: Path) -> None:
    """An export is newer than all there are, even those that claim to be of the future."""
    first = export("SELECT 1 AS a")
    first.folder.rename(folder / "20991231T235959.999998Z")
    second, third = export("SELECT 2 AS a"), export("SELECT 3 AS a")
    assert [second.folder.name, third.folder.name] == [FUTURE, "21000101T000000.000000Z"]
    assert newest_version(folder) == third


def test_a_copy_that_somebody_keeps_is_no_version(export: Export, folder: Path) -> None:
    """A folder that is not named like a version is neither read nor in the way."""
    version = export("SELECT 1 AS a")
    (folder / "keep this").mkdir()
    for path in version.folder.iterdir():
        (folder / "keep this" / path.name).write_bytes(path.read_bytes())
    assert newest_version(folder) == version
    versions = [version, *(export(f"SELECT {n} AS a") for n in (2, 3))]
    assert newest_version(folder) == versions[-1]
    kept = ["keep this", *(version.folder.name for version in versions[-KEPT_VERSIONS:])]
    assert sorted(path.name for path in folder.iterdir()) == sorted(kept)


def test_a_truncated_part_is_an_error(export: Export, folder: Path) -> None:
    """A part of another size than its manifest's is named, with both sizes and what to do."""
    version = export("SELECT i FROM range(1000) AS r(i)")
    os.truncate(version.paths[0], 7)
    message = (
        rf"^Part .*{version.folder.name}/part-0\.parquet has 7 bytes; its manifest says "
        rf"{version.bytes:,} bytes\. Export the mart again, for example with "
        r"--select 'parquet/mart\*'\.$"
    )
    with pytest.raises(ExportError, match=message):
        newest_version(folder)


def test_a_missing_part_is_an_error(export: Export, folder: Path) -> None:
    """A part that is gone is named, and no older version is taken in its place."""
    export("SELECT 1 AS a")
    version = export("SELECT 2 AS a")
    version.paths[0].unlink()
    with pytest.raises(ExportError, match=r"part-0\.parquet is missing; .*Export the mart again"):
        newest_version(folder)


def _without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.pop(key)


@pytest.mark.parametrize(
    "damage",
    [
        *map(_without, ["mart", "engine", "created_at", "parts", "columns", "rows", "fingerprint"]),
        lambda content: content["columns"][0].update(hyper_type="BYTES"),
        lambda content: content["columns"][0].pop("hyper_type"),
        lambda content: content["columns"][0].pop("name"),
        lambda content: content["parts"][0].pop("bytes"),
        lambda content: content["parts"][0].update(crc32="of a later version"),
        lambda content: content.update(parts=None),
    ],
)
def test_a_manifest_of_another_form_is_an_error(
    export: Export, folder: Path, damage: Callable[[dict[str, Any]], object]
) -> None:
    """A manifest without what it must have is named, whatever is wrong with it."""
    path = export("SELECT 1 AS a").folder / MANIFEST
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    message = rf"{MANIFEST} is not a manifest of a mart \(.+\)\. Export the mart again\.$"
    with pytest.raises(ExportError, match=message):
        newest_version(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00"])
def test_a_manifest_that_is_no_json_object_is_an_error(
    export: Export, folder: Path, content: bytes
) -> None:
    """A manifest that was cut off or overwritten is named."""
    (export("SELECT 1 AS a").folder / MANIFEST).write_bytes(content)
    with pytest.raises(ExportError, match=rf"{MANIFEST} is missing or is not JSON\. Export the ma"):
        newest_version(folder)


def test_a_version_of_another_engine_needs_only_what_nobody_else_knows(tmp_path: Path) -> None:
    """Digests, counts, types of the source, preview and warnings are ours, and may be missing."""
    found = foreign_version(tmp_path / "v", "SELECT 1 AS a", columns={"a": "NUMERIC(12,2)"})
    assert [(part.file, part.rows, part.sha256) for part in found.parts] == [
        ("from spark-0.snappy.parquet", 1, "")
    ]
    assert found.columns == (Column("a", "", HyperType("NUMERIC", 12, 2)),)
    assert (found.mart, found.engine, found.rows, found.seconds) == ("mart", "spark 4.1", 1, 0)
    assert (found.row_hash, found.warnings, found.preview) == (None, (), ())


def test_what_another_engine_says_beyond_that_is_not_in_the_way(tmp_path: Path) -> None:
    """A manifest may hold more than is read here, of the version and of its columns."""
    version = foreign_version(tmp_path / "v", "SELECT 1 AS a", columns={"a": "INT"})
    path = version.folder / MANIFEST
    content = json.loads(path.read_text())
    content["cluster"] = "blue"
    content["columns"][0]["comment"] = "the first letter"
    path.write_text(json.dumps(content))
    assert read_version(version.folder) == version


def test_the_footer_is_measured(export: Export, tmp_path: Path) -> None:
    """Its size is the one that the file tells before its last four bytes."""
    path = export("SELECT 1 AS a").paths[0]
    content = path.read_bytes()
    size = footer_bytes(path)
    assert 0 < size < len(content)
    assert content[-8:] == size.to_bytes(4, "little") + b"PAR1"
    for other in (b"", b"PAR1PARX", content[:-1]):
        (tmp_path / "other").write_bytes(other)
        with pytest.raises(ValueError, match=r"other is not a Parquet file: it does not end in PA"):
            footer_bytes(tmp_path / "other")


def test_names_of_versions_sort_by_time(export: Export) -> None:
    """A later export has a greater name, however fast one follows the other."""
    names = [export("SELECT 1 AS a").folder.name for _ in range(10)]
    assert all(earlier < later for earlier, later in itertools.pairwise(names))
