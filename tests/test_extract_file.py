import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mds_tableau.conversion import convert
from mds_tableau.errors import ExtractError
from mds_tableau.extract_file import read_extract, same_extract
from mds_tableau.hyper import Hyper
from mds_tableau.parquet import ParquetVersion, read_version

pytestmark = pytest.mark.hyper


Export = Callable[..., ParquetVersion]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the extracts are."""
    return tmp_path / "hyper"


@pytest.mark.parametrize("missing", ["mart.hyper", "mart.json"])
def test_an_extract_without_file_or_record_is_an_error(
    export: Export, hyper: Hyper, folder: Path, missing: str
) -> None:
    """What is not there whole is said to be missing, with the command that builds it."""
    convert(hyper, export("SELECT 1 AS a"), extract="mart", folder=folder)
    (folder / missing).unlink()
    message = r"There is no extract .*mart\.hyper\. Build it.*--select '\*tableau/mart'"
    with pytest.raises(ExtractError, match=message):
        read_extract(folder, "mart")


def test_a_file_that_is_not_the_verified_one_is_an_error(
    export: Export, hyper: Hyper, folder: Path
) -> None:
    """A file of another size than its record's is told with both sizes and what to do."""
    made = convert(hyper, export("SELECT 1 AS a"), extract="mart", folder=folder)
    os.truncate(made.path, 1234)
    message = (
        rf"mart\.hyper has 1234 bytes, but {made.bytes} were verified when it was made\. "
        r"Build it again, for example with --select 'hyper/mart\*'"
    )
    with pytest.raises(ExtractError, match=message):
        read_extract(folder, "mart")


def test_a_record_without_a_hash_is_one_of_counts_alone(
    export: Export, hyper: Hyper, folder: Path
) -> None:
    """What was compared by counts alone says so, and its figures are those of the mart."""
    made = convert(
        hyper,
        export("SELECT 1 AS a, NULL::INTEGER AS b"),
        extract="mart",
        folder=folder,
        verify="rows",
    )
    found = read_extract(folder, "mart")
    assert found == made
    assert (found.rows, found.not_null, found.row_hash) == (1, (1, 0), None)
    assert found.comparison.is_equal


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.pop("columns"),
        lambda record: record.update(written_by="a later version of the program"),
        lambda record: record.pop("fingerprint"),
        lambda record: record.update(columns=[["a", "BYTES"]]),
        lambda record: record.update(columns=[["a"]]),
        lambda record: record.update(raised_by=None),
        lambda record: record.pop("row_hash"),
        lambda record: record.update(row_hash="many"),
        lambda record: record.update(not_null=None),
    ],
)
def test_a_record_of_another_form_is_an_error(
    export: Export, hyper: Hyper, folder: Path, damage: Callable[[dict[str, Any]], object]
) -> None:
    """A record that another version of the program wrote is named, with what to do."""
    convert(hyper, export("SELECT 1 AS a"), extract="mart", folder=folder)
    record = json.loads((folder / "mart.json").read_text())
    damage(record)
    (folder / "mart.json").write_text(json.dumps(record))
    message = (
        r"mart\.json is not the record of an extract \(.+\)\. Build the extract again, for example "
        r"with --select 'hyper/mart\*'\.$"
    )
    with pytest.raises(ExtractError, match=message):
        read_extract(folder, "mart")


def test_an_extract_is_that_of_its_version_whatever_the_clock_says(
    export: Export, hyper: Hyper, folder: Path
) -> None:
    """A version of a day when the clock was wrong does not look newer than its extract for ever."""
    version = export("SELECT 1 AS a")
    ahead = version.folder.rename(version.folder.with_name("29990101T000000.000000Z"))
    manifest = ahead / "_manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "created_at": "2999-01-01T00:00:00+00:00"}))
    version = read_version(ahead)
    made = convert(hyper, version, extract="mart", folder=folder)
    same = same_extract(folder, "mart", version, exact=True)
    assert same is not None
    assert replace(same, seconds=made.seconds, is_reused=False) == made


def test_an_extract_is_not_that_of_another_version_of_the_same_contents(
    export: Export, hyper: Hyper, folder: Path
) -> None:
    """Written again in the same second it may be whole where the one before was not."""
    convert(hyper, export("SELECT 1 AS a"), extract="mart", folder=folder)
    again = export("SELECT 1 AS a")
    assert read_extract(folder, "mart").fingerprint == again.fingerprint
    assert same_extract(folder, "mart", again, exact=True) is None


def test_an_extract_of_a_release_that_named_no_version_is_made_again(
    export: Export, hyper: Hyper, folder: Path
) -> None:
    """Its record is still read, so that it can be published meanwhile."""
    version = export("SELECT 1 AS a")
    made = convert(hyper, version, extract="mart", folder=folder)
    record = json.loads((folder / "mart.json").read_text())
    record.pop("version", None)
    (folder / "mart.json").write_text(json.dumps(record))
    assert read_extract(folder, "mart").sha256 == made.sha256
    assert same_extract(folder, "mart", version, exact=True) is None
