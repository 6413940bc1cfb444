"""`mds-tableau backup` and `restore`: what comes back, and what nobody can make them do."""

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from filelock import FileLock

from mds_tableau.cli import main
from mds_tableau.dagster_home import prepare_home


@dg.asset
def kept() -> None:
    """An asset."""


def _place(folder: Path) -> Path:
    """Use a data folder, as the environment of the command says."""
    data = folder / "data"
    os.environ["MDS_DATA_DIR"] = str(data)
    os.environ["DAGSTER_HOME"] = str(data / "dagster")
    return data


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one run in its instance, what was published, and what is built again."""
    data = _place(tmp_path_factory.mktemp("filled"))
    prepare_home(data / "dagster")
    with dg.DagsterInstance.from_config(str(data / "dagster")) as instance:
        dg.materialize([kept], instance=instance)
    for name, text in {
        "published/sales.json": '{"rows": 3}',
        "versions/sales/20261125.tdsx": "a local version",
        "dbt_results.json": "{}",
        "hyper/sales.hyper": "built again",
        "parquet/sales/1/part.parquet": "built again",
        "warehouse.duckdb": "built again",
        "demo.log": "a log",
        ".warehouse.duckdb.turn": "",
        ".env": "TABLEAU_TOKEN_VALUE=very-secret",
    }.items():
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return data


@pytest.fixture
def data(filled: Path, tmp_path: Path) -> Path:
    """The data folder that the command uses: one of that kind."""
    return Path(shutil.copytree(filled, _place(tmp_path / "old")))


def _run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_history_and_memory_come_back_elsewhere(data: Path, tmp_path: Path) -> None:
    """In a fresh folder there are the run, its events, what was published and local versions."""
    archive = tmp_path / "backup.tar.gz"
    made = _run("backup", str(archive))
    assert made.exit_code == 0, made.output
    assert archive.stat().st_mode & 0o077 == 0 or os.name == "nt"
    with dg.DagsterInstance.from_config(os.environ["DAGSTER_HOME"]) as old:
        [run] = old.get_runs()
        events = [entry.message for entry in old.all_logs(run.run_id)]
    new = _place(tmp_path / "new")
    put = _run("restore", str(archive))
    assert put.exit_code == 0, put.output
    with dg.DagsterInstance.from_config(os.environ["DAGSTER_HOME"]) as instance:
        assert [one.run_id for one in instance.get_runs()] == [run.run_id]
        assert [entry.message for entry in instance.all_logs(run.run_id)] == events
        assert instance.get_latest_materialization_event(kept.key) is not None
        # and it goes on from there
        assert dg.materialize([kept], instance=instance).success
    there = {path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file()}
    assert {name for name in there if not name.startswith("dagster/")} == {
        "published/sales.json",
        "versions/sales/20261125.tdsx",
        "dbt_results.json",
    }
    assert json.loads((new / "published" / "sales.json").read_text()) == {"rows": 3}


def test_no_secret_and_nothing_that_is_built_again_is_in_it(data: Path, tmp_path: Path) -> None:
    """`.env`, locks, extracts and the warehouse stay out; the warehouse comes if asked for."""
    assert _run("backup", str(tmp_path / "a.tar.gz")).exit_code == 0
    assert _run("backup", "--with-warehouse", str(tmp_path / "b.tar.gz")).exit_code == 0
    with tarfile.open(tmp_path / "a.tar.gz") as plain, tarfile.open(tmp_path / "b.tar.gz") as full:
        names = set(plain.getnames())
        assert set(full.getnames()) - names == {"data/warehouse.duckdb"}
    assert not [name for name in names if Path(name).name.startswith(".")]
    assert not [name for name in names if "hyper" in name or "parquet" in name]


@pytest.fixture
def writing(data: Path) -> Iterator[Path]:
    """A SQLite file of the instance that somebody keeps writing to, each time all of it."""
    path = data / "dagster" / "history" / "busy.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(
            "CREATE TABLE t AS SELECT 0 AS turn, range.value AS i "
            "FROM json_each('[' || trim(replace(hex(zeroblob(2000)), '00', '1,'), ',')"
            " || ']') AS range"
        )
        database.commit()
    ended = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(path, timeout=60)) as database:
            while not ended.is_set():
                database.execute("UPDATE t SET turn = turn + 1")
                database.commit()

    writer = threading.Thread(target=write)
    writer.start()
    yield path
    ended.set()
    writer.join()


def test_a_file_that_is_written_to_is_backed_up_as_it_was_once(
    writing: Path, tmp_path: Path
) -> None:
    """All rows are of the same transaction, though each of many changes all of them."""
    archive = tmp_path / "backup.tar.gz"
    assert _run("backup", str(archive)).exit_code == 0
    _place(tmp_path / "new")
    assert _run("restore", str(archive)).exit_code == 0
    restored = Path(os.environ["DAGSTER_HOME"]) / "history" / "busy.db"
    with closing(sqlite3.connect(restored)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = database.execute("SELECT count(*), count(DISTINCT turn) FROM t").fetchone()
    assert rows == (2000, 1)


def test_what_is_there_is_left_alone_or_moved_aside(data: Path, tmp_path: Path) -> None:
    """Without --force nothing changes; with it, what was there is found beside."""
    archive = tmp_path / "backup.tar.gz"
    assert _run("backup", str(archive)).exit_code == 0
    (data / "published" / "sales.json").write_text('{"rows": 4}')
    refused = _run("restore", str(archive))
    assert refused.exit_code == 1
    assert "are there already" in refused.output
    assert "--force" in refused.output
    assert (data / "published" / "sales.json").read_text() == '{"rows": 4}'
    assert not list(data.glob(".restore-*"))
    assert _run("restore", "--force", str(archive)).exit_code == 0
    assert (data / "published" / "sales.json").read_text() == '{"rows": 3}'
    [aside] = data.glob("before-restore-*")
    assert (aside / "published" / "sales.json").read_text() == '{"rows": 4}'
    # which is the past of another backup; a version of an extract `raw` is no raw file
    (data / "versions" / "raw" / "20261125T063000Z").mkdir(parents=True)
    (data / "versions" / "raw" / "20261125T063000Z" / "raw.hyper").write_text("x")
    again = tmp_path / "again.tar.gz"
    assert _run("backup", str(again)).exit_code == 0
    with tarfile.open(again) as opened:
        names = opened.getnames()
    assert "data/versions/raw/20261125T063000Z/raw.hyper" in names
    assert not [name for name in names if "before-restore" in name]


def test_an_instance_that_is_served_is_not_restored(data: Path, tmp_path: Path) -> None:
    """While `mds-tableau up` holds the instance, also --force does nothing."""
    archive = tmp_path / "backup.tar.gz"
    assert _run("backup", str(archive)).exit_code == 0
    with FileLock(data / "dagster" / ".up.lock"):
        refused = _run("restore", "--force", str(archive))
    assert refused.exit_code == 1
    assert "Another `mds-tableau up` serves" in refused.output


def _archive(path: Path, *members: tuple[tarfile.TarInfo, bytes], **changes: object) -> Path:
    contents = {"format": 1, "made_at": "x", "dagster": "x", "mds_tableau": "x", "files": {}}
    contents = {name: value for name, value in {**contents, **changes}.items() if value is not ...}
    info = tarfile.TarInfo("contents.json")
    text = json.dumps(contents).encode()
    with tarfile.open(path, "w:gz") as archive:
        for member, content in (*members, (info, text)):
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def _link(name: str, to: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.SYMTYPE
    member.linkname = to
    return member


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("../../outside"),
        tarfile.TarInfo("data/../../../outside"),
        tarfile.TarInfo("/tmp/outside-of-the-folder"),
        _link("data/link", "/etc/passwd"),
        tarfile.TarInfo("data/not in the list"),
    ],
    ids=lambda member: member.name,
)
@pytest.mark.parametrize("python", ["as it is", "3.11.2"])
def test_an_archive_cannot_write_elsewhere(
    member: tarfile.TarInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: str
) -> None:
    """Paths and links that lead out, and files that are not in its list, are refused.

    Also where Python itself looks at no member, as before 3.11.4.
    """
    if python == "3.11.2":
        monkeypatch.setattr("mds_tableau.restore._AS_DATA", {})
    data = _place(tmp_path / "a" / "b" / "c")
    refused = _run("restore", str(_archive(tmp_path / "bad.tar.gz", (member, b"bad"))))
    assert refused.exit_code == 1
    assert "Nothing was changed" in refused.output
    assert not list(tmp_path.rglob("outside*"))
    left = {path.name for path in data.rglob("*")} - {".up.lock"}
    assert left == {"dagster"}


@pytest.mark.parametrize("cut", [10, 300, -20])
def test_a_damaged_backup_changes_nothing(data: Path, tmp_path: Path, cut: int) -> None:
    """A file that ends too early is refused as a whole."""
    archive = tmp_path / "backup.tar.gz"
    assert _run("backup", str(archive)).exit_code == 0
    archive.write_bytes(archive.read_bytes()[:cut])
    new = _place(tmp_path / "new")
    refused = _run("restore", str(archive))
    assert refused.exit_code == 1
    assert "is damaged" in refused.output
    assert not (new / "published").exists()


SHA256 = hashlib.sha256(b"bad").hexdigest()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"files": [["data/x", SHA256]]}, "'files' in contents.json is no list of names"),
        ({"made_at": ...}, "made_at"),
        ({"dagster": 1}, "'dagster' in contents.json is no text"),
        ({"files": {"data/.env": SHA256}}, "data/.env begins with a point"),
        ({"files": {"data/.env/x": SHA256}}, "data/.env/x begins with a point"),
        ({"files": {"other/x": SHA256}}, "other/x is neither below dagster/ nor below data/"),
        ({"files": {"/etc/hostname": SHA256}}, "/etc/hostname is neither below"),
    ],
    ids=str,
)
def test_an_odd_list_of_contents_changes_nothing(
    changes: dict[str, object], told: str, tmp_path: Path
) -> None:
    """It is refused as a whole, with what is odd, before anything is put into place."""
    data = _place(tmp_path / "new")
    files = changes.get("files", {"data/x": SHA256})
    name = next(iter(files)) if isinstance(files, dict) else "data/x"
    member = tarfile.TarInfo(name.lstrip("/"))
    archive = _archive(tmp_path / "a.tar.gz", (member, b"bad"), **{"files": files, **changes})
    refused = _run("restore", "--force", str(archive))
    assert refused.exit_code == 1, refused.output
    assert told in refused.output
    assert "Nothing was changed" in refused.output
    assert {path.name for path in data.rglob("*")} - {".up.lock"} == {"dagster"}


@pytest.mark.parametrize("member", ["data/.env", "data/empty"])
def test_a_folder_that_no_listed_file_is_in_is_not_put_back(member: str, tmp_path: Path) -> None:
    """A backup has files only."""
    data = _place(tmp_path / "new")
    info = tarfile.TarInfo(member)
    info.type = tarfile.DIRTYPE
    refused = _run("restore", str(_archive(tmp_path / "a.tar.gz", (info, b""))))
    assert refused.exit_code == 1
    assert f"{member} is not in its list of contents" in refused.output
    assert not (data / Path(member).name).exists()


def test_a_backup_that_cannot_be_written_says_what_to_do(data: Path, tmp_path: Path) -> None:
    """Below a file there is no folder; and nothing is left."""
    (tmp_path / "a file").write_text("")
    refused = _run("backup", str(tmp_path / "a file" / "x.tar.gz"))
    assert refused.exit_code == 1
    assert "The backup was not made" in refused.output
    assert f"{tmp_path / 'a file'} has to be a folder" in refused.output


def test_a_restore_into_what_is_no_folder_says_which_setting_it_is(
    data: Path, tmp_path: Path
) -> None:
    """A file where the instance would be is left as it is."""
    archive = tmp_path / "backup.tar.gz"
    assert _run("backup", str(archive)).exit_code == 0
    file = tmp_path / "a file"
    file.write_text("mine")
    os.environ["DAGSTER_HOME"] = str(file)
    refused = _run("restore", str(archive))
    assert refused.exit_code == 1
    assert f"Nothing can be restored into {file}" in refused.output
    assert "Set DAGSTER_HOME" in refused.output
    assert file.read_text() == "mine"
