from pathlib import Path
from typing import Any

import pytest

from mds_tableau.hyper import ExtractFile
from mds_tableau.published import last_published, record_published, still_serves
from mds_tableau.tableau import Published


def made(path: Path, rows: int = 1234567) -> ExtractFile:
    """An extract of that many rows."""
    return ExtractFile(
        extract="sales",
        path=path,
        rows=rows,
        columns=(),
        bytes=65536,
        sha256="ab" * 32,
        file_version=2,
        raised_by=(),
        fingerprint="cd" * 32,
        seconds=0.5,
        created_at="2026-11-22T05:59:00+00:00",
    )


NOTHING = "nothing is known to have been published there"


def published(**changes: Any) -> Published:
    """What the server tells after a publish."""
    values: dict[str, Any] = {
        "server": "https://tableau.example.com",
        "site": "acme",
        "project": "Retail/Daily",
        "datasource": "Sales",
        "id": "1f3c",
        "url": "https://tableau.example.com/#/site/acme/datasources/7",
        "revision": 3,
        "bytes": 65536,
        "seconds": 1.25,
        "published_at": "2026-11-22T06:00:00+00:00",
    }
    return Published(**{**values, **changes})


def test_what_was_published_last_is_remembered(tmp_path: Path) -> None:
    """The record has what the server told, what was sent, and the run; the newest one counts."""
    folder = tmp_path / "published"
    assert last_published(folder, "sales") is None
    record_published(
        folder, made(tmp_path, 1), published(revision=2), target="here", run_id="run 1"
    )
    record_published(folder, made(tmp_path), published(), target="here", run_id="run 2")
    assert last_published(folder, "sales") == {
        "server": "https://tableau.example.com",
        "target": "here",
        "site": "acme",
        "project": "Retail/Daily",
        "datasource": "Sales",
        "id": "1f3c",
        "url": "https://tableau.example.com/#/site/acme/datasources/7",
        "revision": 3,
        "bytes": 65536,
        "seconds": 1.25,
        "published_at": "2026-11-22T06:00:00+00:00",
        "extract": "sales",
        "rows": 1234567,
        "sha256": "ab" * 32,
        "fingerprint": "cd" * 32,
        "run_id": "run 2",
    }
    assert last_published(folder, "returns") is None


@pytest.mark.parametrize(
    ("revision", "expected"),
    [
        (
            3,
            "the server still has 1,234,567 rows published 2026-11-22T06:00:00+00:00, revision 3 "
            "as 'Sales' in 'Retail/Daily'",
        ),
        (
            None,
            "the server still has 1,234,567 rows published 2026-11-22T06:00:00+00:00 "
            "as 'Sales' in 'Retail/Daily'",
        ),
    ],
)
def test_what_analysts_still_see_is_one_sentence(
    tmp_path: Path, revision: int | None, expected: str
) -> None:
    """Rows, time, place, and the revision where the server keeps one."""
    record_published(
        tmp_path, made(tmp_path), published(revision=revision), target="here", run_id="run"
    )
    assert still_serves(tmp_path, "sales", target="here") == expected


def test_nothing_is_said_of_a_server_that_was_not_published_to(tmp_path: Path) -> None:
    """What one server holds is not said of another."""
    record_published(tmp_path, made(tmp_path), published(), target="here", run_id="run")
    assert still_serves(tmp_path, "sales", target="elsewhere") == NOTHING


def test_nothing_published_is_said(tmp_path: Path) -> None:
    """Without a record, or with one that was cut off, nothing was published before."""
    assert still_serves(tmp_path, "sales", target="here") == NOTHING
    (tmp_path / "sales.json").write_text("{")
    assert still_serves(tmp_path, "sales", target="here") == NOTHING
