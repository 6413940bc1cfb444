"""Many publish at once to one server, from threads and from processes: nothing is lost or mixed up.

Each extract has content of its own, and its digest for a description, so that whatever the server
holds in the end tells by itself who sent it. That is asked of the server by another client, and
what is left over by SQL and by looking into the folders.
"""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import tableauserverclient as TSC  # noqa: N812
from tableauhyperapi import (
    Connection,
    CreateMode,
    HyperProcess,
    Inserter,
    SqlType,
    TableDefinition,
    TableName,
    Telemetry,
)

from mds_tableau.sandbox import Sandbox, SandboxConfig, faults
from mds_tableau.tableau import About, Password, Token, publish, sign_in, uploading
from tests.tableau.load_worker import CHUNK, PATIENCE

PUBLISHES = 50
THREADS = 8
PROCESSES = 4
SHARED = ("Shared one", "Shared two", "Shared, three")
TOKEN = Token("publisher", "a-secret-of-a-token")
USERS = [Password(f"user{number}", f"a-password-{number}") for number in range(PROCESSES)]


@dataclass(frozen=True)
class Parcel:
    """An extract, the datasource that it is published as, and its digest."""

    path: Path
    name: str
    digest: str


@pytest.fixture(scope="module")
def parcels(tmp_path_factory: pytest.TempPathFactory) -> list[Parcel]:
    """Extracts of several chunks; every other one shares its datasource with others."""
    folder = tmp_path_factory.mktemp("extracts")
    table = TableDefinition(
        TableName("Extract", "Extract"), [TableDefinition.Column("noise", SqlType.bytes())]
    )
    made = []
    with HyperProcess(
        Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
    ) as hyper:
        for number in range(PUBLISHES):
            path = folder / f"extract_{number}.hyper"
            with Connection(hyper.endpoint, path, CreateMode.CREATE) as connection:
                connection.catalog.create_schema("Extract")
                connection.catalog.create_table(table)
                with Inserter(connection, table) as inserter:
                    inserter.add_row([os.urandom(1000 + 500 * number)])
                    inserter.execute()
            own = f"Own {number}"
            name = own if number % 2 else SHARED[number // 2 % len(SHARED)]
            made.append(Parcel(path, name, _digest(path.read_bytes())))
    assert all(parcel.path.stat().st_size > 2 * CHUNK for parcel in made)
    return made


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox with a user for each process and one token; all files go in chunks."""
    monkeypatch.setenv("TSC_FILESIZE_LIMIT_MB", "0")
    # where the publisher keeps its locks, and where it would leave something behind
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    config = SandboxConfig(
        data_dir=tmp_path / "sandbox",
        users={user.username: user.password for user in USERS},
        tokens={TOKEN.name: TOKEN.value},
        job_seconds=0.2,  # a job whose id is lost goes on by itself
    )
    with Sandbox(config, host="127.0.0.1", port=0) as sandbox:
        yield sandbox


class Worker:
    """A process that publishes, from its start on; it begins when it is told to."""

    def __init__(self, server: Sandbox, who: Password | Token, parcels: Sequence[Parcel]) -> None:
        is_token = isinstance(who, Token)
        order = {
            "url": server.url,
            "kind": "token" if is_token else "password",
            "name": who.name if isinstance(who, Token) else who.username,
            "secret": who.value if isinstance(who, Token) else who.password,
            "files": [(str(parcel.path), parcel.name, parcel.digest) for parcel in parcels],
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.tableau.load_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._say(json.dumps(order))

    def begin(self) -> None:
        """Let it sign in and publish, once it is ready."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        self._say("go")

    def heard(self) -> str:
        """Return the next line that the publisher has for people."""
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def end(self) -> str:
        """Wait for its end, and return the rest of what the publisher had for people."""
        _, told = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, told
        return told

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    """Those that were started; none outlives the test."""
    started: list[Worker] = []
    yield started
    for worker in started:
        worker.process.kill()
        worker.process.communicate()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _revisions(server: Sandbox, folder: Path) -> dict[str, list[str]]:
    """Return the digests of all revisions of each datasource, the newest last.

    The description of each datasource has to be the digest of its newest revision.
    """
    client = TSC.Server(server.url, use_server_version=True)
    held = {}
    with client.auth.sign_in(TSC.TableauAuth(USERS[0].username, USERS[0].password)):
        for item in TSC.Pager(client.datasources):
            client.datasources.populate_revisions(item)
            numbers = sorted(int(str(revision.revision_number)) for revision in item.revisions)
            assert numbers == list(range(1, len(numbers) + 1))
            digests = []
            for number in numbers:
                package = client.datasources.download_revision(
                    str(item.id), str(number), str(folder / "held")
                )
                with zipfile.ZipFile(package) as archive:
                    [inner] = [name for name in archive.namelist() if name.endswith(".hyper")]
                    digests.append(_digest(archive.read(inner)))
            assert item.description == digests[-1]
            assert item.name not in held
            held[str(item.name)] = digests
    return held


def _assert_arrived(held: dict[str, list[str]], parcels: Sequence[Parcel]) -> None:
    """Every extract is one revision of its own datasource, and there is nothing else."""
    sent = defaultdict(list)
    for parcel in parcels:
        sent[parcel.name].append(parcel.digest)
    assert {name: sorted(digests) for name, digests in held.items()} == {
        name: sorted(digests) for name, digests in sent.items()
    }


def _left_over(server: Sandbox) -> dict[str, int]:
    """Return what the sandbox still has of sessions, uploads and jobs, and files of nobody."""
    folder = server.config.data_dir
    with closing(sqlite3.connect(folder / "sandbox.sqlite3")) as db:
        left = {
            what: db.execute(f"SELECT count(*) FROM {what}").fetchone()[0]
            for what in ("sessions", "uploads", "upload_chunks", "jobs WHERE completed_at IS NULL")
        }
        named = {
            name
            for (name,) in db.execute(
                "SELECT file FROM revisions UNION SELECT file FROM upload_chunks"
            )
        }
    left["files"] = len({path.name for path in (folder / "files").iterdir()} - named)
    return left


def _assert_clean(left: dict[str, int], parcels: Sequence[Parcel], folder: Path) -> None:
    """Neither the sandbox nor the publisher left anything behind, but for the publisher's locks."""
    assert not any(left.values()), left
    assert all(_digest(parcel.path.read_bytes()) == parcel.digest for parcel in parcels)
    assert {path.name for path in parcels[0].path.parent.iterdir()} == {
        parcel.path.name for parcel in parcels
    }
    assert not list((folder / "temporary").iterdir())
    cached = [path for path in (folder / "cache").rglob("*") if path.is_file()]
    assert not [path for path in cached if path.suffix != ".lock"]


def test_threads_that_share_a_session_mix_nothing_up(
    server: Sandbox, parcels: list[Parcel], tmp_path: Path
) -> None:
    """Fifty publishes from eight threads arrive, and who began later is the later revision."""
    times: dict[str, tuple[float, float]] = {}

    def send(parcel: Parcel) -> None:
        started = time.monotonic()
        published = publish(
            session,
            parcel.path,
            datasource=parcel.name,
            project="Default",
            about=About(parcel.digest),
            uploads=uploads,
        )
        times[parcel.digest] = started, time.monotonic()
        assert (published.datasource, published.bytes) == (
            parcel.name,
            parcel.path.stat().st_size,
        )

    with (
        sign_in(server.url, "", USERS[0], PATIENCE) as session,
        uploading(session, workers=4, chunk_bytes=CHUNK) as uploads,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        for parcel in parcels[::3]:
            uploads.begin(parcel.path)
        list(threads.map(send, parcels))
    _assert_clean(_left_over(server), parcels, tmp_path)
    held = _revisions(server, tmp_path)
    _assert_arrived(held, parcels)
    for digests in held.values():
        for place, digest in enumerate(digests):
            ended = times[digest][1]
            assert not [later for later in digests[:place] if times[later][0] > ended]


@pytest.mark.parametrize(
    "fault", [faults.Disconnect("before"), faults.Disconnect("after")], ids=["before", "after"]
)
def test_a_lost_answer_is_not_taken_from_somebody_else(
    server: Sandbox, parcels: list[Parcel], tmp_path: Path, fault: faults.Fault
) -> None:
    """Where all publish to one datasource and every other answer is lost, each is there once."""
    some = [Parcel(one.path, "One for all", one.digest) for one in parcels[:12]]
    server.faults.add(fault, "publish_datasource", every=2)

    def send(parcel: Parcel) -> None:
        publish(
            session,
            parcel.path,
            datasource=parcel.name,
            project="Default",
            about=About(parcel.digest),
            uploads=uploads,
        )

    with (
        sign_in(server.url, "", USERS[0], PATIENCE) as session,
        uploading(session, workers=4, chunk_bytes=CHUNK) as uploads,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        list(threads.map(send, some))
    server.faults.clear()
    _assert_arrived(_revisions(server, tmp_path), some)


def test_processes_with_users_of_their_own_mix_nothing_up(
    server: Sandbox, parcels: list[Parcel], workers: list[Worker], tmp_path: Path
) -> None:
    """Fifty publishes from four processes arrive, without a word of warning."""
    workers += [
        Worker(server, user, parcels[number::PROCESSES]) for number, user in enumerate(USERS)
    ]
    for worker in workers:
        worker.begin()
    assert [worker.end() for worker in workers] == [""] * PROCESSES
    _assert_clean(_left_over(server), parcels, tmp_path)
    _assert_arrived(_revisions(server, tmp_path), parcels)


def test_processes_with_one_token_take_turns(
    server: Sandbox, parcels: list[Parcel], workers: list[Worker], tmp_path: Path
) -> None:
    """Each signs in once, those that wait say so, and none ends the session of another."""
    sign_ins = server.faults.add(faults.Delay(0), "sign_in", probability=0)
    some = parcels[:20]
    workers += [Worker(server, TOKEN, some[number::PROCESSES]) for number in range(PROCESSES)]
    for worker in workers:
        worker.begin()
    told = [worker.end() for worker in workers]
    waited = f"Another process is signed in with {TOKEN}; waiting for it to end.\n"
    assert waited in told
    assert set(told) <= {waited, ""}
    assert sign_ins.matched == PROCESSES
    _assert_clean(_left_over(server), parcels, tmp_path)
    _assert_arrived(_revisions(server, tmp_path), some)


def test_a_process_that_is_killed_holds_nobody_up(
    server: Sandbox, parcels: list[Parcel], workers: list[Worker], tmp_path: Path
) -> None:
    """Killed in the middle of an upload, it leaves the old extract, and others get the token."""
    name = parcels[0].name
    old, new, *others = [Parcel(parcel.path, name, parcel.digest) for parcel in parcels[:5]]
    first = Worker(server, TOKEN, [old])
    workers.append(first)
    first.begin()
    first.end()

    server.faults.add(faults.Hang(), "append_upload", nth=2)
    victim = Worker(server, TOKEN, [new])
    workers.append(victim)
    victim.begin()
    assert server.faults.wait()
    waiting = [Worker(server, TOKEN, [parcel]) for parcel in others]
    workers += waiting
    for worker in waiting:
        worker.begin()
        assert "waiting for it to end" in worker.heard()
    assert _revisions(server, tmp_path)[name] == [old.digest]
    victim.process.kill()
    victim.process.wait()
    assert [worker.end() for worker in waiting] == [""] * len(waiting)

    held = _revisions(server, tmp_path)[name]
    assert held[0] == old.digest
    assert sorted(held[1:]) == sorted(parcel.digest for parcel in others)
    left = _left_over(server)
    # what the dead process had begun; a server forgets it after a while
    assert (left.pop("uploads"), left.pop("upload_chunks")) == (1, 1)
    _assert_clean(left, parcels, tmp_path)
