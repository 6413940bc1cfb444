import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mds_tableau.errors import SourceError
from mds_tableau.manifest import Source
from mds_tableau.sources import files, fingerprint, patterns, require_files


def source(location: str) -> Source:
    """A source with that location."""
    return Source("source.p.raw.sales", "raw.sales", location)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("in/a.csv", ("in/a.csv",)),
        ("  in/a b.csv ", ("in/a b.csv",)),
        ("'in/a.csv'", ("in/a.csv",)),
        ("'in/it''s.csv'", ("in/it's.csv",)),
        ("'in/**/*.parquet'", ("in/**/*.parquet",)),
        ("'a.csv', 'b.csv'", ("a.csv", "b.csv")),
        ("read_csv('in/a.csv', header = true, delim = ';')", ("in/a.csv",)),
        ("READ_CSV ( 'in/a.csv' )", ("in/a.csv",)),
        ("read_csv('it''s.csv', nullstr = 'N''A')", ("it's.csv",)),
        (
            "read_parquet(['a.parquet', 'b''.parquet'], union_by_name = true)",
            ("a.parquet", "b'.parquet"),
        ),
        ("read_csv([ 'a.csv' ], columns = {'x': 'INTEGER'})", ("a.csv",)),
        ("read_csv('in/[ab]?.csv')", ("in/[ab]?.csv",)),
        ("read_csv('a (1).csv')", ("a (1).csv",)),
        ("read_csv(['in/[ab].csv', 'c.csv'])", ("in/[ab].csv", "c.csv")),
        ("read_csv(['it''s].csv'], nullstr = ']')", ("it's].csv",)),
    ],
)
def test_the_files_of_a_location_are_found_in_it(location: str, expected: tuple[str, ...]) -> None:
    """Paths, globs, lists and the first argument of a call, without their quotes."""
    assert patterns(source(location)) == expected


@pytest.mark.timeout(10)
def test_a_list_without_an_end_is_a_path() -> None:
    """However many quotes there are, it does not take long to see that it is no call."""
    location = "read_csv(['a" + "''" * 100
    assert patterns(source(location)) == (location,)


@given(st.lists(st.text(), min_size=1))
def test_quoting_is_undone(paths: list[str]) -> None:
    """Any names in a list come back, however many quotes they have."""
    quoted = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    assert patterns(source(f"read_csv([{quoted}], header = true)")) == tuple(paths)


def test_files_are_those_that_match_now(tmp_path: Path) -> None:
    """Globs are followed, folders are none, each file comes once and in order."""
    for name in ("b.csv", "a.csv", "deep/c.csv", "other.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "in" / "folder.csv").mkdir()
    names = ["in/a.csv", "in/b.csv"]
    assert files(source("'in/*.csv'"), base=tmp_path) == tuple(tmp_path / name for name in names)
    twice = source("read_csv(['in/*.csv', 'in/a.csv'])")
    assert files(twice, base=tmp_path) == tuple(tmp_path / name for name in names)
    deep = files(source("in/**/*.csv"), base=tmp_path)
    assert [path.name for path in deep] == ["a.csv", "b.csv", "c.csv"]


def test_a_file_whose_name_looks_like_a_glob_is_found(tmp_path: Path) -> None:
    """A path that exists is that file."""
    (tmp_path / "a[1].csv").touch()
    assert files(source("'a[1].csv'"), base=tmp_path) == (tmp_path / "a[1].csv",)


def test_an_absolute_path_does_not_start_from_the_base(tmp_path: Path) -> None:
    """Only relative paths start from the dbt project."""
    (tmp_path / "a.csv").touch()
    found = files(source(f"'{tmp_path}/a.csv'"), base=tmp_path / "elsewhere")
    assert found == (tmp_path / "a.csv",)


def test_required_files_that_are_missing_are_an_error(tmp_path: Path) -> None:
    """The error names the source, every place that was looked at, and the setting."""
    missing = source("read_csv(['in/a.csv', 'in/*.txt'])")
    message = (
        r"No raw file for the dbt source 'raw\.sales': looked for .*/in/a\.csv, .*/in/\*\.txt\. "
        r"Put the file there, or set MDS_RAW_DIR"
    )
    with pytest.raises(SourceError, match=message):
        require_files(missing, base=tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.txt").touch()
    assert require_files(missing, base=tmp_path) == (tmp_path / "in" / "b.txt",)


def test_the_fingerprint_changes_with_content_only(tmp_path: Path) -> None:
    """A touched file, or another order, is the same; another content, name or number is not."""
    a, b, cache = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "cache.json"
    a.write_text("1")
    b.write_text("2")
    first = fingerprint([a, b], cache=cache)
    os.utime(a, ns=(1, 1))
    assert fingerprint([b, a], cache=cache) == first

    a.write_text("3")
    changed = fingerprint([a, b], cache=cache)
    a.write_text("1")
    os.utime(a, ns=(2, 2))
    assert fingerprint([a, b], cache=cache) == first
    renamed = fingerprint([b.rename(tmp_path / "c.csv"), a], cache=cache)
    fewer = fingerprint([a], cache=cache)
    assert len({first, changed, renamed, fewer, fingerprint([], cache=cache)}) == 5


def test_the_fingerprint_is_the_same_elsewhere(tmp_path: Path) -> None:
    """Neither the folder of the files nor the cache is part of it."""
    prints = set()
    for folder in (tmp_path / "x", tmp_path / "y"):
        folder.mkdir()
        (folder / "a.csv").write_text("1")
        prints.add(fingerprint([folder / "a.csv"], cache=folder / "cache.json"))
    assert len(prints) == 1


def test_files_that_did_not_change_are_not_read(tmp_path: Path) -> None:
    """Same size and time of change: what the cache remembers is taken, and not written again."""
    path, cache = tmp_path / "a.csv", tmp_path / "cache.json"
    path.write_text("1")
    os.utime(path, ns=(10**18, 10**18))
    first = fingerprint([path], cache=cache)
    written = cache.stat()
    path.write_text("2")
    os.utime(path, ns=(10**18, 10**18))
    assert fingerprint([path], cache=cache) == first
    assert (cache.stat().st_ino, cache.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    os.utime(path, ns=(10**18, 10**18 + 1))
    assert fingerprint([path], cache=cache) != first


def test_a_lost_cache_is_made_again(tmp_path: Path) -> None:
    """A cache that is cut off or gone costs time, not correctness."""
    path, cache = tmp_path / "a.csv", tmp_path / "cache.json"
    path.write_text("1")
    first = fingerprint([path], cache=cache)
    cache.write_text("{")
    assert fingerprint([path], cache=cache) == first
    cache.unlink()
    assert fingerprint([path], cache=cache) == first
