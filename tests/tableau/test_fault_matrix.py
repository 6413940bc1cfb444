"""Every fault at every step of a publish: it arrives exactly once, or the old extract stays.

The sandbox misbehaves as told, the client is the real one, and what the server holds before and
after is asked of it by a client that no fault strikes. What one case leaves behind is the old
extract of the next.
"""

import hashlib
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
import tableauserverclient as TSC  # noqa: N812

from mds_tableau.conversion import convert
from mds_tableau.errors import ExtractRefused, MdsTableauError, NotPermitted, Transient
from mds_tableau.export import export_mart
from mds_tableau.export_plan import MartExport
from mds_tableau.hyper import Hyper
from mds_tableau.sandbox import Sandbox, SandboxConfig, faults
from mds_tableau.tableau import About, Password, Patience, publish, sign_in, uploading
from tests.fault_cases import ARRIVED, CASE_PROPERTY, CASES_PROPERTY, REFUSED

USER = Password("ada", "a-password")
CHUNK = 256 * 1024
PATIENCE = Patience(
    attempts=5, first_pause=0.01, longest_pause=0.02, connect_seconds=5, read_seconds=0.5
)


@dataclass(frozen=True)
class Case:
    """A fault, the request that it strikes, and what has to come of it."""

    fault: faults.Fault
    on: str
    nth: int = 1
    error: type[MdsTableauError] | None = None

    def __str__(self) -> str:
        detail = ", ".join(
            f"{key}={value}" for key, value in vars(self.fault).items() if not key.startswith("_")
        )
        return f"{self.on}-{self.nth}-{self.fault.kind}({detail})"


STEPS = [
    ("sign_in", 1),
    ("server_info", 1),
    ("query_projects", 1),
    ("query_datasources", 1),
    ("get_datasource", 1),
    ("initiate_upload", 1),
    ("append_upload", 1),
    ("append_upload", 2),
    ("append_upload", 4),
    ("publish_datasource", 1),
    ("query_job", 1),
    ("query_revisions", 2),
]
PASSING: list[faults.Fault] = [
    faults.Status(500),
    faults.Status(502),
    faults.Status(503),
    faults.Status(504),
    faults.Status(502, when="after"),
    faults.Status(504, when="after"),
    faults.Status(429, retry_after=1),
    faults.Disconnect("before"),
    faults.Disconnect("read"),
    faults.Disconnect("after"),
    faults.Disconnect("after", reset=False),
    faults.Truncate(),
    faults.Truncate(announced=False),
    faults.BrokenXml("before"),
    faults.BrokenXml("after"),
    faults.LoginPage("before", well_formed=False),
    faults.LoginPage("after"),
    faults.StaleConnection(),
    faults.Hang("before"),
    faults.Hang("after"),
    faults.Redirect(),
]
SESSION: list[faults.Fault] = [
    faults.ExpireSession("before"),
    faults.ExpireSession("after"),
]
UPLOAD: list[faults.Fault] = [
    faults.LoseUploads("before"),
    faults.LoseUploads("after"),
]
JOBS: list[faults.Fault] = [
    faults.KeepJobRunning(polls=3),
    faults.PurgeJob(),
]
FAILING = [
    Case(faults.FailJob(notes=("out of space",)), "publish_datasource", error=ExtractRefused),
    Case(faults.FailJob(), "publish_datasource", error=ExtractRefused),
    Case(faults.JobErrorNote(), "publish_datasource", error=ExtractRefused),
    Case(faults.Status(403, code=403007), "publish_datasource", error=NotPermitted),
    Case(faults.Status(400, code=400011), "publish_datasource", error=ExtractRefused),
]


def _can_strike(fault: faults.Fault, on: str) -> bool:
    # the first request of a thread goes over a new connection
    return not (fault.kind == "stale_connection" and on in {"sign_in", "initiate_upload"})


CASES = [
    *(Case(fault, on, nth) for on, nth in STEPS for fault in PASSING if _can_strike(fault, on)),
    *(Case(fault, on, nth) for on, nth in STEPS[2:] for fault in SESSION),
    *(Case(fault, on, nth) for on, nth in STEPS[6:9] for fault in UPLOAD),
    Case(faults.LoseUploads("before"), "publish_datasource"),
    *(Case(fault, "publish_datasource") for fault in JOBS),
    *(Case(faults.Status(413), on, nth) for on, nth in STEPS[6:9]),
    *(Case(fault, "sign_out") for fault in PASSING),
    *FAILING,
]


@pytest.fixture(scope="module")
def extracts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two extracts of the same columns, each of several chunks."""
    folder = tmp_path_factory.mktemp("extracts")
    made = []
    with duckdb.connect() as connection, Hyper() as hyper:
        for number in (1, 2):
            connection.execute(
                f"CREATE TABLE t{number} AS SELECT i, hash(i + {number})::VARCHAR AS t "
                "FROM range(40000) AS r(i)"
            )
            mart = MartExport(f"t{number}", f"t{number}", "t.sql")
            version = export_mart(connection, mart, folder / mart.name)
            made.append(convert(hyper, version, extract=mart.name, folder=folder).path)
    assert all(path.stat().st_size > 4 * CHUNK for path in made)
    return made[0], made[1]


@dataclass(frozen=True)
class Held:
    """What the server holds of the only datasource: its extract's digest, and its revision."""

    digest: str
    revision: int


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, extracts: tuple[Path, Path]
) -> Iterator[Sandbox]:
    """A sandbox that all cases share, in which one datasource is published."""
    config = SandboxConfig(
        data_dir=tmp_path_factory.mktemp("sandbox"),
        users={USER.username: USER.password},
        job_seconds=0.2,  # a job whose id is lost goes on by itself
    )
    with Sandbox(config, host="127.0.0.1", port=0) as sandbox:
        _publish(sandbox, extracts[0])
        yield sandbox


@pytest.fixture
def server(running: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The sandbox without faults; the client takes each file for a large one."""
    monkeypatch.setenv("TSC_FILESIZE_LIMIT_MB", "0")
    yield running
    running.faults.clear()


@pytest.fixture(scope="module")
def look(
    running: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Held]]:
    """Tells what the server holds, as a bystander sees it."""
    folder = tmp_path_factory.mktemp("held")
    client = TSC.Server(running.url, use_server_version=True)

    def held() -> Held:
        [item] = TSC.Pager(client.datasources)
        client.datasources.populate_revisions(item)
        revisions = [int(str(revision.revision_number)) for revision in item.revisions]
        path = client.datasources.download(str(item.id), str(folder / "held"))
        with zipfile.ZipFile(path) as archive:
            [inner] = [entry for entry in archive.namelist() if entry.endswith(".hyper")]
            return Held(hashlib.sha256(archive.read(inner)).hexdigest(), max(revisions))

    with client.auth.sign_in(TSC.TableauAuth(USER.username, USER.password)):
        yield held


def _publish(server: Sandbox, path: Path) -> None:
    with (
        sign_in(server.url, "", USER, PATIENCE) as session,
        uploading(session, chunk_bytes=CHUNK) as uploads,
    ):
        publish(
            session, path, datasource="Sales", project="Default", about=About("d"), uploads=uploads
        )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def nothing_leaks() -> Iterator[None]:
    """No thread of ours outlives a publish, however it ended."""
    before = {thread.name for thread in threading.enumerate()}
    yield
    left = {thread.name for thread in threading.enumerate()} - before
    assert not {name for name in left if name.startswith("upload")}


@pytest.mark.usefixtures("nothing_leaks")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_publish_arrives_once_or_leaves_the_old_extract(
    server: Sandbox,
    extracts: tuple[Path, Path],
    look: Callable[[], Held],
    case: Case,
    record_property: Callable[[str, object], None],
) -> None:
    """What can pass is survived; what cannot is told, and the server serves what it served."""
    record_property(CASES_PROPERTY, len(CASES))
    before = look()
    [new] = [path for path in extracts if _digest(path) != before.digest]
    server.faults.add(case.fault, case.on, nth=case.nth)
    if case.error is None:
        _publish(server, new)
    else:
        with pytest.raises(case.error) as caught:
            _publish(server, new)
        assert not isinstance(caught.value, Transient)
    struck = [applied.kind for applied in server.faults.applied]
    server.faults.clear()
    assert struck == [case.fault.kind]
    wanted = before if case.error else Held(_digest(new), before.revision + 1)
    assert look() == wanted
    record_property(CASE_PROPERTY, REFUSED if case.error else ARRIVED)
