import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from mds_tableau.errors import DatabaseLocked, Transient
from mds_tableau.warehouse import wait_until_free

HOLDER = """
import sys
import duckdb
duck = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reads")
duck.execute("SELECT 1").fetchall()
print("held", flush=True)
sys.stdin.readline()
duck.close()
print("released", flush=True)
sys.stdin.read()
"""

Hold = Callable[[str], "Holder"]


class Holder:
    """Another process that has the database open until it is told to let go."""

    def __init__(self, path: Path, how: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path), how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._said() == "held\n"

    def release(self) -> None:
        """Return when the database is closed; the process lives on."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self._said() == "released\n"

    def _said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with a table."""
    path = tmp_path / "it's a warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    return path


@pytest.fixture
def hold(path: Path) -> Iterator[Hold]:
    """Starts a process that holds the database."""
    holders: list[Holder] = []

    def start(how: str) -> Holder:
        holders.append(Holder(path, how))
        return holders[-1]

    yield start
    for holder in holders:
        holder.process.kill()
        holder.process.communicate()


def never(message: str) -> None:
    """Fails the test where nothing should be waited for."""
    pytest.fail(message)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_free_database_is_not_waited_for(path: Path, read_only: bool) -> None:
    """Nobody holds it: return at once, say nothing, and leave it free and as it was."""
    before = path.read_bytes()
    wait_until_free(path, read_only=read_only, log=never)
    assert path.read_bytes() == before
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT a FROM t").fetchall() == [(1,)]


@pytest.mark.parametrize("read_only", [True, False])
def test_a_database_that_is_not_there_is_free(tmp_path: Path, read_only: bool) -> None:
    """A missing file is not waited for and not made."""
    wait_until_free(tmp_path / "missing.duckdb", read_only=read_only, log=never)
    assert list(tmp_path.iterdir()) == []


def test_readers_do_not_wait_for_readers(path: Path, hold: Hold) -> None:
    """Another process that only reads is not in the way of one that only reads."""
    hold("reads")
    wait_until_free(path, read_only=True, log=never)


@pytest.mark.parametrize(
    ("how", "read_only"), [("writes", True), ("writes", False), ("reads", False)]
)
def test_a_held_database_is_waited_for_until_patience_ends(
    path: Path, hold: Hold, how: str, read_only: bool
) -> None:
    """The log, and then the error, name the file and the process that holds it."""
    holder = hold(how)
    said: list[str] = []
    started = time.monotonic()
    message = (
        r"it's a warehouse\.duckdb was held by another process for \d+ seconds\. .*"
        rf"PID {holder.process.pid}\).*Close that program, or let it finish, and run again"
    )
    with pytest.raises(DatabaseLocked, match=message) as caught:
        wait_until_free(path, read_only=read_only, log=said.append, patience=0.3)
    assert 0.3 <= time.monotonic() - started < 30
    assert isinstance(caught.value, Transient)
    assert said
    assert all(f"Waiting for {path}, for 0 of 0 seconds: " in line for line in said)
    assert all(f"PID {holder.process.pid}" in line for line in said)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_database_is_free_as_soon_as_it_is_released(
    path: Path, hold: Hold, read_only: bool
) -> None:
    """When the holder lets go while it is waited for, the next look returns."""
    holder = hold("writes")
    said: list[str] = []

    def release(message: str) -> None:
        said.append(message)
        holder.release()

    wait_until_free(path, read_only=read_only, log=release, patience=60)
    assert len(said) == 1
    assert holder.process.poll() is None


def test_the_database_of_a_killed_process_is_free(path: Path, hold: Hold) -> None:
    """A holder that dies holds nothing."""
    holder = hold("writes")

    def kill(_: str) -> None:
        holder.process.kill()
        holder.process.wait()

    wait_until_free(path, read_only=False, patience=60, log=kill)
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT a FROM t").fetchall() == [(1,)]


@pytest.mark.parametrize("folder", ["data", "blocks"])
def test_what_is_no_database_is_not_waited_for(tmp_path: Path, folder: str) -> None:
    """What else is wrong with the file is for whoever opens it to say; a name is no lock."""
    path = tmp_path / folder / "x.duckdb"
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 1000)
    wait_until_free(path, read_only=True, log=never, patience=0.5)


def test_a_damaged_database_is_not_waited_for(path: Path) -> None:
    """A wrong checksum is for whoever opens the file to say, and at once."""
    content = bytearray(path.read_bytes())
    content[100] ^= 0xFF
    path.write_bytes(content)
    wait_until_free(path, read_only=True, log=never, patience=0.5)


def test_a_connection_of_this_process_is_not_waited_for(path: Path) -> None:
    """Only other processes can be waited for."""
    with duckdb.connect(str(path)):
        wait_until_free(path, read_only=True, log=never, patience=0.5)
