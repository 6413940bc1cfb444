"""DuckDB and Hyper share the memory that they are given."""

import os
from pathlib import Path

import duckdb
import pytest

from mds_tableau import hyper as hyper_module
from mds_tableau.defs.project import Prepared, find_project
from mds_tableau.errors import ExtractError, SettingsError
from mds_tableau.hyper import Hyper
from mds_tableau.manifest import Manifest
from mds_tableau.memory import hyper_limit, machine_memory
from mds_tableau.settings import load_settings
from tests.pipeline import ROOT, Workplace
from tests.stages import children


@pytest.mark.hyper
def test_hyper_is_started_with_its_half() -> None:
    """Its command line has the limit; with none given it has none."""
    for memory, limit in (("2 GB", "--memory-limit=953m"), ("", None)):
        before = children()
        with Hyper(memory):
            [pid] = children() - before
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        assert [word for word in words if "memory-limit" in word] == ([limit] if limit else [])


@pytest.mark.hyper
def test_hyper_refuses_what_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the parameter is one that it reads."""
    monkeypatch.setattr(hyper_module, "hyper_limit", lambda _: "nonsense")
    with pytest.raises(ExtractError, match="Hyper does not start"), Hyper("2 GB"):
        pass


def test_half_of_a_share_is_that_of_this_machine() -> None:
    """DuckDB knows how much there is, also within a container."""
    assert hyper_limit("50%") == f"{machine_memory() // 4 >> 20}m"
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < machine_memory() <= total * 1.01


@pytest.mark.dbt
def test_the_profile_of_our_project_takes_its_half(tmp_path: Path) -> None:
    """Dbt opens its database with it, and DuckDB takes it as it is written."""
    place = Workplace.create(tmp_path / "ours", ROOT / "dbt_project", MDS_MEMORY="3 GB")
    settings = place.settings()
    settings.export()
    prepared = Prepared(find_project(settings), Manifest({}), settings.warehouse, frozenset())
    options = prepared.session.options
    assert options == {"memory_limit": "1500000 KB"}
    for limit in (
        str(options["memory_limit"]),
        load_settings(None, mds_memory="50%").duckdb_memory,
    ):
        with duckdb.connect(config={"memory_limit": limit}) as connection:
            [[seen]] = connection.execute("SELECT current_setting('memory_limit')").fetchall()
            assert seen.endswith("GiB")


def test_too_little_and_what_is_no_amount_are_refused_together() -> None:
    """Each is told with what is allowed."""
    with pytest.raises(SettingsError) as caught:
        load_settings(None, mds_memory="lots", mds_keep_size="200%", mds_keep="-1")
    said = str(caught.value)
    assert "MDS_MEMORY is 'lots'; it must be a size such as 8 GB, or a share" in said
    assert "MDS_KEEP_SIZE is '200%'; it must be a size such as 20 GB, or a share" in said
    assert "MDS_KEEP is '-1'; it must be a whole number from 0 to 1000" in said
    with pytest.raises(SettingsError, match="MDS_MEMORY is '100 MB', too little for DuckDB and"):
        load_settings(None, mds_memory="100 MB")
