import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mds_tableau.files import read_json, remove, sha256, sole_writer, write_json


def test_json_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """Writing makes the folders, replaces what was there, and leaves no other file."""
    path = tmp_path / "a" / "b" / "it's.json"
    for content in ({"old": 1}, {"naïve": ["😀", None, 1.5, {"deep": True}]}):
        write_json(path, content)
        assert read_json(path) == content
    assert list(path.parent.iterdir()) == [path]


def test_failing_to_write_json_keeps_the_old_file(tmp_path: Path) -> None:
    """A content that is no JSON leaves the file byte for byte and nothing beside it."""
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    before = path.read_bytes()
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(path, {"a": 2, "b": object()})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    """Half-written files of long ago go; those of now, and of other files, stay."""
    path = tmp_path / "a.json"
    old, new, other = (tmp_path / f".{name}.tmp" for name in ("a.json.7", "a.json.8", "b.json.7"))
    for half in (old, new, other):
        half.write_text("{")
    for half in (old, other):
        os.utime(half, (0, 0))
    write_json(path, {})
    assert sorted(tmp_path.iterdir()) == sorted([path, new, other])


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"1", b"null", b'"a"', b"\xff\xfe"])
def test_what_is_no_json_object_is_read_as_none(tmp_path: Path, content: bytes) -> None:
    """Cut-off, foreign and binary files are the same as no file."""
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert read_json(path) is None


def test_a_missing_file_or_a_folder_is_read_as_none(tmp_path: Path) -> None:
    """Neither is an error."""
    assert read_json(tmp_path / "missing.json") is None
    assert read_json(tmp_path) is None


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_the_digest_is_that_of_all_bytes(tmp_path: Path, size: int) -> None:
    """The digest is right below, at and above the size of a block."""
    path = tmp_path / "a"
    content = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    path.write_bytes(content)
    assert sha256(path) == hashlib.sha256(content).hexdigest()


def test_files_and_folders_are_removed(tmp_path: Path) -> None:
    """A file, a folder with something in it, and what is not there are all gone afterwards."""
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.touch()
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").touch()
    for path in (file, folder, tmp_path / "missing"):
        remove(path)
    assert list(tmp_path.iterdir()) == []


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    """Read, add one, write: with the lock no addition of any thread is lost."""
    path = tmp_path / "new folder" / "counter.json"

    def add(_: int) -> None:
        with sole_writer(path):
            count = (read_json(path) or {"count": 0})["count"]
            write_json(path, {"count": count + 1})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(40)))
    assert json.loads(path.read_text()) == {"count": 40}


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_a_folder_that_takes_no_lock_is_an_error_at_once() -> None:
    """Nobody waits for a lock that there can never be."""
    with pytest.raises(OSError, match=r"/proc/\.x\.json\.lock"), sole_writer(Path("/proc/x.json")):
        pass


HOLDER = """
import sys
from pathlib import Path
from mds_tableau.files import sole_writer
with sole_writer(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """The operating system releases the lock of a holder that dies."""
    path = tmp_path / "target"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    with sole_writer(path):
        pass
