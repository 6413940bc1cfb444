"""What was published is kept as it was, and does not take more than it may."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mds_tableau.amounts import Amount
from mds_tableau.conversion import convert
from mds_tableau.extract_file import ExtractFile
from mds_tableau.files import sha256
from mds_tableau.hyper import Hyper
from mds_tableau.published import record_published
from mds_tableau.retention import Limits, keep_published, old_versions
from mds_tableau.tableau import About
from mds_tableau.versions import KeptVersion, all_kept, keep_version, kept_versions
from tests.test_hyper_faults import Export
from tests.test_published import made as an_extract
from tests.test_published import published

SIZE = 100_000


def _record(data: Path, made: ExtractFile) -> dict[str, Any]:
    """What is written down of a publish of an extract."""
    return record_published(
        data / "published", made, published(), about=About(), target="here", run_id=""
    )


def _keep(data: Path, extract: str, content: bytes, **how: Any) -> ExtractFile:
    """Keep a publish of a file with that content, as a publish does."""
    path = data / "hyper" / f"{extract}.hyper"
    path.parent.mkdir(parents=True, exist_ok=True)
    # as a conversion puts it in place
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)
    made = an_extract(path, extract=extract, bytes=len(content), sha256=sha256(path))
    record = _record(data, made)
    limits = how.pop("limits", Limits())
    assert keep_published(data, data / "versions", made, record, limits, **how) == []
    return made


def _kept(data: Path, extract: str) -> list[KeptVersion]:
    return kept_versions(data / "versions", extract)


@pytest.mark.hyper
def test_a_kept_extract_stays_when_the_next_one_is_made(
    export: Export, hyper: Hyper, tmp_path: Path, query_hyper: Any
) -> None:
    """It shares its bytes with the extract on the disk, until a conversion replaces that."""
    folder = tmp_path / "data" / "hyper"
    first = convert(hyper, export("SELECT 1 AS a"), extract="mart", folder=folder)
    record = _record(tmp_path, first)
    kept = keep_version(tmp_path / "data" / "versions", first, record, keep=7)
    assert kept is not None
    assert kept.path.stat().st_ino == first.path.stat().st_ino
    convert(hyper, export("SELECT 2 AS a"), extract="mart", folder=folder)
    assert query_hyper(first.path) == [[2]]
    assert sha256(kept.path) == first.sha256
    assert query_hyper(kept.path) == [[1]]


def test_where_there_are_no_hard_links_it_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy has the same bytes, and nothing is left beside it."""

    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    made = _keep(tmp_path, "sales", b"x" * SIZE)
    [one] = _kept(tmp_path, "sales")
    assert one.path.stat().st_ino != made.path.stat().st_ino
    assert one.path.read_bytes() == b"x" * SIZE
    assert sorted(path.name for path in one.folder.parent.iterdir()) == [one.moment]


def test_all_together_take_no_more_than_they_may(tmp_path: Path) -> None:
    """The oldest of all go first, the newest of each stays, and what is shared counts once."""
    for number in range(3):
        _keep(tmp_path, "old", bytes([number]) * SIZE)
        _keep(tmp_path, "new", bytes([10 + number]) * SIZE)
    assert len(list(all_kept(tmp_path))) == 6
    limits = Limits(size=Amount(bytes=4 * SIZE))
    _keep(tmp_path, "new", bytes([20]) * SIZE, limits=limits)
    # seven of them: three had to go, and among them are the oldest of both
    assert sum(one.path.stat().st_size for one in all_kept(tmp_path)) == 4 * SIZE
    assert _kept(tmp_path, "old")[-1].path.read_bytes() == bytes([2]) * SIZE
    _keep(tmp_path, "new", bytes([21]) * SIZE, limits=Limits(size=Amount(bytes=1)))
    assert [len(_kept(tmp_path, name)) for name in ("old", "new")] == [1, 1]
    assert _kept(tmp_path, "new")[0].path.read_bytes() == bytes([21]) * SIZE


def test_a_version_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    """The publish has been made, so it is a warning, and nothing is left of the version."""
    (tmp_path / "versions").write_text("a file where the folder would be")
    made = an_extract(tmp_path / "sales.hyper", extract="sales")
    record = _record(tmp_path, made)
    [said] = keep_published(tmp_path, tmp_path / "versions", made, record, Limits())
    assert "'sales' is published, but this version of it is not kept" in said


def test_debris_of_a_version_is_no_version(tmp_path: Path) -> None:
    """What was half-written when a process died is not listed, and goes with the next one."""
    half = tmp_path / "versions" / "sales" / ".20260101T000000Z.tmp"
    half.mkdir(parents=True)
    (half / "published.json").write_text("{}")
    assert _kept(tmp_path, "sales") == []
    _keep(tmp_path, "sales", b"x")
    assert not half.exists()
    # two of one second are told apart, the later one last
    _keep(tmp_path, "sales", b"y")
    assert [one.path.read_bytes() for one in _kept(tmp_path, "sales")] == [b"x", b"y"]


def test_no_version_of_an_extract_is_kept_beyond_its_number(tmp_path: Path) -> None:
    """What its model says counts more than the setting."""
    for content in (b"1", b"2", b"3"):
        _keep(tmp_path, "sales", content, keep=2)
    assert [one.path.read_bytes() for one in _kept(tmp_path, "sales")] == [b"2", b"3"]
    _keep(tmp_path, "sales", b"4", keep=0)
    assert _kept(tmp_path, "sales") == []


@pytest.mark.parametrize(
    "change",
    [
        {"rows": None},
        {"rows": "3"},
        {"about": ["x"]},
        {"keep": "some"},
        {"id": 7},
        {"target": None},
    ],
    ids=str,
)
def test_a_version_whose_record_is_damaged_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    """It is neither listed nor counted nor a reason to fail, and the next one is kept."""
    _keep(tmp_path, "sales", b"1")
    _keep(tmp_path, "sales", b"2")
    damaged, whole = _kept(tmp_path, "sales")
    record = damaged.folder / "published.json"
    for content in (
        {**damaged.record, **change},
        {"sha256": 1},
        {"sha256": damaged.record["sha256"]},
    ):
        record.write_text(json.dumps(content))
        assert _kept(tmp_path, "sales") == [whole]
        assert old_versions(tmp_path, Limits(keep=1)) == []
    _keep(tmp_path, "sales", b"3")
    assert [one.path.read_bytes() for one in _kept(tmp_path, "sales")] == [b"2", b"3"]
