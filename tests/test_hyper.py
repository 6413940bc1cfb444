import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mds_tableau.conversion import convert
from mds_tableau.errors import ExtractError
from mds_tableau.hyper import Hyper, library_version
from mds_tableau.parquet import ParquetVersion

pytestmark = pytest.mark.hyper

Export = Callable[..., ParquetVersion]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the extracts are."""
    return tmp_path / "hyper"


def test_hyper_writes_no_log(
    export: Export, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run leaves nothing in the working directory nor beside the extract."""
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    with Hyper() as running:
        convert(running, export("SELECT 1 AS a"), extract="mart", folder=folder)
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
        assert convert(running, version, extract="mart", folder=folder).rows == 1


def test_a_hyper_that_is_not_running_says_so() -> None:
    """Before the block and after it there is no connection, and the error tells how to get one."""
    stopped = Hyper()
    with pytest.raises(ExtractError, match=r"not running; use it as a context manager"):
        stopped.connect()
    with stopped:
        stopped.connect().close()
    with pytest.raises(ExtractError, match=r"not running; use it as a context manager"):
        stopped.connect()


def test_the_installed_hyper_is_named() -> None:
    """The version is that of the installed distribution, in numbers."""
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", library_version())
