"""Which files a source has: by Python's own glob, and with errors instead of nothing."""

from glob import glob
from pathlib import Path

import pytest

from mds_tableau.manifest import Source
from mds_tableau.sources import FileState, file_states, files

TREE = [
    "a.csv",
    "b.CSV",
    ".hidden.csv",
    "odd[1].csv",
    "sub/a.csv",
    "sub/b.parquet",
    "sub/deeper/c.csv",
    ".hidden/d.csv",
    "dt=2026-01-01/part-0.csv",
    "dt=2026-01-02/part-0.csv",
    "name with space/ü.csv",
]

PATTERNS = [
    "*.csv",
    "?.csv",
    "[ab].csv",
    "*",
    "**",
    "**/*.csv",
    "*/*.csv",
    "sub/**/*.csv",
    "sub/*",
    "dt=*/part-?.csv",
    "dt=*/**",
    ".*.csv",
    "a.csv",
    "missing.csv",
    "odd[1].csv",
    "odd[[]1].csv",
    "*/*/*.csv",
    "name with space/*",
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of every kind, a link to a folder and one to nothing."""
    folder = tmp_path_factory.mktemp("tree")
    for number, name in enumerate(TREE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x" * number)
    (folder / "linked").symlink_to(folder / "sub" / "deeper")
    (folder / "nowhere.csv").symlink_to(folder / "nothing")
    return folder


def source(location: str) -> Source:
    """A source of a location."""
    return Source("source.p.raw.a", "raw.a", location)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_files_are_those_of_pythons_glob(tree: Path, pattern: str) -> None:
    """The same files, sorted, each with the size and time that the file system tells."""
    found = file_states(source(pattern), base=tree)
    expected = {Path(name) for name in glob(str(tree / pattern), recursive=True)}  # noqa: PTH207
    if (tree / pattern).is_file():
        expected = {tree / pattern}
    assert list(found) == sorted(path for path in expected if path.is_file())
    assert tuple(found) == files(source(pattern), base=tree)
    for path, state in found.items():
        assert state == FileState(path.stat().st_size, path.stat().st_mtime_ns)


def test_folder_that_is_not_there_is_an_error_where_states_are_asked(tmp_path: Path) -> None:
    """Who watches files is told that the folder is away; who reads them finds none."""
    (tmp_path / "a.csv").write_text("1")
    one = source("read_csv(['a.csv', 'away/*.csv'])")
    with pytest.raises(FileNotFoundError, match="away"):
        file_states(one, base=tmp_path)
    assert files(one, base=tmp_path) == (tmp_path / "a.csv",)


def test_what_is_not_on_a_disk_is_not_looked_for(tmp_path: Path) -> None:
    """A bucket or a web address has no files, and is no error."""
    assert file_states(source("s3://bucket/*.parquet"), base=tmp_path) == {}
