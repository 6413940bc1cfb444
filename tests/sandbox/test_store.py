import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mds_tableau.errors import SandboxError
from mds_tableau.sandbox import Sandbox, SandboxConfig
from mds_tableau.sandbox.store import STALE_SECONDS, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store in a new folder."""
    opened = Store(SandboxConfig(data_dir=tmp_path / "made" / "for it"))
    yield opened
    opened.close()


def users(store: Store) -> list[str]:
    """Returns the names of all users."""
    with store.reading() as db:
        return [row["name"] for row in db.execute("SELECT name FROM users")]


def test_exception_undoes_a_change(store: Store) -> None:
    """Nothing of a transaction that failed is left, and the next one works."""
    with pytest.raises(sqlite3.IntegrityError), store.writing() as db:  # noqa: PT012
        db.execute("INSERT INTO users VALUES ('1', 'x', 'x')")
        db.execute("INSERT INTO users VALUES ('1', 'y', 'y')")
    assert users(store) == ["admin"]
    with store.writing() as db:
        db.execute("INSERT INTO users VALUES ('1', 'x', 'x')")
    assert users(store) == ["admin", "x"]


def test_reader_sees_one_state(store: Store) -> None:
    """A reader is not disturbed by a writer, and does not hold it up."""
    with store.reading() as db:
        before = db.execute("SELECT count(*) FROM users").fetchone()[0]
        with store.writing() as other:
            other.execute("INSERT INTO users VALUES ('1', 'x', 'x')")
        assert db.execute("SELECT count(*) FROM users").fetchone()[0] == before


def test_second_store_finds_the_firsts_people(store: Store) -> None:
    """Opening a folder again makes nobody twice."""
    second = Store(store.config)
    assert users(second) == users(store) == ["admin"]
    second.close()


def test_old_orphans_are_tidied_away(tmp_path: Path) -> None:
    """Files that no row names go after a day; named ones and young ones stay."""
    now = 2_000_000_000.0
    config = SandboxConfig(data_dir=tmp_path, clock=lambda: now)
    store = Store(config)
    paths = {name: tmp_path / "files" / name for name in ("named", "orphan", "piece")}
    for path in paths.values():
        path.write_bytes(b"x")
    young = tmp_path / "files" / "young"
    young.write_bytes(b"x")
    os.utime(young, (now, now))
    with store.writing() as db:
        db.execute("INSERT INTO revisions VALUES ('1', 1, '', '1', 1, 'named', NULL)")
        db.execute("INSERT INTO uploads VALUES ('u', '1', ?)", (now - STALE_SECONDS - 1,))
        db.execute("INSERT INTO upload_chunks VALUES (1, 'u', 'piece', 1)")
    store.close()
    Store(config).close()
    left = {path.name for path in (tmp_path / "files").iterdir()}
    assert left == {"named", "young"}


def test_snapshot_outlives_its_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot keeps its bytes after the file is removed, with hard links or without."""
    original = store.stage()
    original.write_bytes(b"content")
    linked = store.snapshot(original.name)

    def no_links(*_: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    copied = store.snapshot(original.name)
    store.discard([original, original])
    assert linked.read_bytes() == copied.read_bytes() == b"content"
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError):
        store.snapshot(original.name)


def test_foreign_database_is_refused(tmp_path: Path) -> None:
    """A database of another format, or something else of its name, is left alone."""
    database = tmp_path / "sandbox.sqlite3"
    database.write_bytes(b"no database at all" * 100)
    with pytest.raises(SandboxError, match=r"not a database that it can use .*Choose another"):
        Store(SandboxConfig(data_dir=tmp_path))
    database.unlink()
    db = sqlite3.connect(database)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(SandboxError, match="its format is 99, this version's is 2"):
        Store(SandboxConfig(data_dir=tmp_path))


def test_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A folder below a file is refused with its name."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(SandboxError, match=r"folder .*file.*cannot be made"):
        Store(SandboxConfig(data_dir=tmp_path / "file" / "data"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"site": "a b"}, "'a b' is not a contentUrl"),
        ({"api_version": "3"}, "'3' is not a version"),
        ({"api_version": "2.3"}, "'2.3' is not a version from 2.4 on"),
        ({"users": {"a": ""}}, "empty name or secret"),
        ({"tokens": {"": "x"}}, "empty name or secret"),
        ({"connected_apps": {("a", ""): "x" * 40}}, "empty client id or secret id"),
        ({"connected_apps": {("a", "b"): "short"}}, "fewer than 32 characters"),
        ({"job_polls": 0}, "job_polls is 0, and must be at least 1"),
    ],
)
def test_bad_configurations_are_refused(
    make_sandbox: Callable[..., Sandbox],
    tmp_path: Path,
    change: dict[str, object],
    message: str,
) -> None:
    """Each value of a configuration is checked, and the message says what is allowed."""
    with pytest.raises(SandboxError, match=f"Cannot start the sandbox: .*{message}"):
        make_sandbox(tmp_path, **change)


def test_all_problems_are_told_together(tmp_path: Path) -> None:
    """Two mistakes are one message, and no secret is in it nor in the configuration's text."""
    with pytest.raises(SandboxError, match=r"contentUrl.*fewer than 32") as caught:
        SandboxConfig(data_dir=tmp_path, site="/", connected_apps={("a", "b"): "hush"})
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(SandboxConfig(data_dir=tmp_path, users={"ada": "hush"}))
