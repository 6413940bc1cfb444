"""A disk that is nearly full stops a stage before it writes anything."""

from pathlib import Path

import duckdb
import pytest

from mds_tableau.conversion import convert
from mds_tableau.errors import NoRoom
from mds_tableau.export import export_mart
from mds_tableau.export_plan import MartExport
from mds_tableau.hyper import Hyper
from mds_tableau.room import needed_for_export, needed_for_extract, require_room
from tests.commands.conftest import Run
from tests.commands.conftest import run as run
from tests.stages import tree
from tests.test_hyper_faults import Export

LARGE = "SELECT i AS id, md5(i::VARCHAR) AS text FROM range(200_000) AS r(i)"


def test_a_mart_that_does_not_fit_is_not_begun(tmp_path: Path, small_disk: Path) -> None:
    """The first time its table tells how much is needed; the last version and the disk stay."""
    with duckdb.connect(tmp_path / "warehouse.duckdb") as connection:
        connection.execute('CREATE TABLE "my mart" AS SELECT 1 AS id')
        mart = MartExport("mart", '"my mart"', "models/mart.sql")
        folder = small_disk / "parquet" / "mart"
        export_mart(connection, mart, folder)
        before = tree(small_disk)
        connection.execute(f"CREATE OR REPLACE TABLE other AS {LARGE}")
        connection.execute("CHECKPOINT")
        large = MartExport("large", '"other"', "models/large.sql")
        with pytest.raises(NoRoom) as caught:
            export_mart(connection, large, folder.with_name("large"))
        said = str(caught.value)
        assert "Exporting mart 'large' needs about " in said
        assert f"MB in {folder.with_name('large')}, and " in said
        assert "`mds-tableau prune --dry-run`" in said
        assert tree(small_disk) == before
        # with room it is exported, and the estimate was not far off
        version = export_mart(connection, large, tmp_path / "large")
        assert version.bytes * 0.5 < needed_for_export(connection, '"other"', None)
        assert needed_for_export(connection, '"other"', version) == int(version.bytes * 1.2)
        assert needed_for_export(connection, '"no such"', None) == 0


@pytest.mark.hyper
def test_an_extract_is_reckoned_by_the_last_one(
    export: Export, hyper: Hyper, tmp_path: Path
) -> None:
    """Its bytes a row are known then; else the Parquet tells. Neither is below what it takes."""
    version = export(LARGE)
    first = needed_for_extract(version, tmp_path, "mart", verify="exact")
    made = convert(hyper, version, extract="mart", folder=tmp_path)
    second = needed_for_extract(version, tmp_path, "mart", verify="exact")
    counted = needed_for_extract(version, tmp_path, "mart", verify="rows")
    assert made.bytes < first
    assert made.bytes < counted < second
    assert counted == pytest.approx(made.bytes * 1.2, abs=1)


def test_enough_is_enough(tmp_path: Path) -> None:
    """What fits is let through, also into a folder that is not there yet."""
    require_room(tmp_path / "not" / "there", 1000, "Writing")
    with pytest.raises(NoRoom, match=r"Writing needs about 999\.0 TB in .*not"):
        require_room(tmp_path / "not" / "there", 999 * 10**12, "Writing")


def test_an_input_that_does_not_fit_is_not_loaded(
    run: Run, tmp_path: Path, small_disk: Path
) -> None:
    """The command says what is needed where, and leaves nothing behind."""
    path = tmp_path / "large.csv"
    path.write_text("n\n" + "123456789\n" * 200_000)
    words = ("publish", "-i", path, "-n", "Large", "--quiet")
    result = run(*words, MDS_DATA_DIR=str(small_disk / "data"))
    assert result.exit_code == 1
    assert "Loading " in result.output
    assert "needs about 2.0 MB in" in result.output
    assert tree(small_disk) == {}
