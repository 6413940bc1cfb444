import contextlib
import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tableauserverclient as TSC  # noqa: N812 - its documentation's name
from tableauserverclient.server.endpoint.exceptions import JobFailedException

from mds_tableau.sandbox import Sandbox, faults

Publish = Callable[..., Any]
TOKEN = TSC.PersonalAccessTokenAuth("first", "token-secret-1", "")


@pytest.fixture
def server(faulty: Sandbox, client: Callable[..., TSC.Server]) -> TSC.Server:
    """A TSC server signed in to the sandbox for faults."""
    return client(faulty)


@pytest.fixture
def in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has TSC send each file of 1 MB or more in pieces of 1 MB."""
    for variable in ("TSC_FILESIZE_LIMIT_MB", "TSC_CHUNK_SIZE_MB"):
        monkeypatch.setenv(variable, "1")


def rows(sandbox: Sandbox, query: str) -> list[Any]:
    """Returns what the sandbox's database says."""
    with contextlib.closing(
        sqlite3.connect(sandbox.config.data_dir / "sandbox.sqlite3")
    ) as database:
        return database.execute(query).fetchall()


def listed(server: TSC.Server, name: str) -> list[Any]:
    """Returns the data sources that a filter by name finds, in one request."""
    options = TSC.RequestOptions()
    options.filter.add(
        TSC.Filter(TSC.RequestOptions.Field.Name, TSC.RequestOptions.Operator.Equals, name)
    )
    return list(server.datasources.get(options)[0])


def held(sandbox: Sandbox, item: Any) -> bytes:
    """Returns the newest content that the sandbox's folder has for a data source."""
    query = f"SELECT file FROM revisions WHERE datasource_id = '{item.id}' ORDER BY number DESC"
    file: Path = sandbox.config.data_dir / "files" / rows(sandbox, query)[0][0]
    return file.read_bytes()


def test_session_expires_at_a_call(
    server: TSC.Server, faulty: Sandbox, client: Callable[..., TSC.Server]
) -> None:
    """The struck call is 401002 and all later ones too; another session goes on."""
    other = client(faulty)
    faulty.faults.add(faults.ExpireSession(), nth=3)
    server.projects.get()
    server.projects.get()
    for _ in range(2):
        with pytest.raises(TSC.FailedSignInError) as caught:
            server.projects.get()
        assert caught.value.code == "401002"
    assert other.projects.get()[0]
    assert len(faulty.faults.applied) == 1


def test_session_expires_after_a_call(
    server: TSC.Server, faulty: Sandbox, publish: Publish, client: Callable[..., TSC.Server]
) -> None:
    """The struck call is done and answered; the next one is 401002."""
    name = uuid.uuid4().hex
    faulty.faults.add(faults.ExpireSession("after"), "publish_datasource")
    assert publish(server, None, name).id
    with pytest.raises(TSC.FailedSignInError):
        server.projects.get()
    assert len(listed(client(faulty), name)) == 1


@pytest.mark.usefixtures("in_chunks")
def test_session_expires_in_the_middle_of_an_upload(
    server: TSC.Server,
    faulty: Sandbox,
    publish: Publish,
    extract: Callable[..., Path],
    client: Callable[..., TSC.Server],
) -> None:
    """The upload fails at that piece, nothing is published, and the same works once more."""
    name, path = uuid.uuid4().hex, extract(3_500_000)
    faulty.faults.add(faults.ExpireSession(), "append_upload", nth=2)
    with pytest.raises(TSC.FailedSignInError) as caught:
        publish(server, None, name, path=path)
    assert caught.value.code == "401002"
    server = client(faulty)
    assert listed(server, name) == []
    item = publish(server, None, name, path=path)
    assert held(faulty, item) == path.read_bytes()


def test_second_sign_in_ends_the_tokens_session(
    server: TSC.Server, faulty: Sandbox, client: Callable[..., TSC.Server]
) -> None:
    """Only a session of a personal access token ends; for others nothing strikes."""
    by_token = client(faulty, TOKEN)
    faulty.faults.add(faults.SecondSignIn())
    assert server.projects.get()[0]
    assert faulty.faults.applied == ()
    with pytest.raises(TSC.FailedSignInError) as caught:
        by_token.projects.get()
    assert caught.value.code == "401002"
    assert [record.kind for record in faulty.faults.applied] == ["second_sign_in"]
    assert server.projects.get()[0]


@pytest.mark.usefixtures("in_chunks")
def test_large_pieces_are_refused(
    server: TSC.Server,
    faulty: Sandbox,
    publish: Publish,
    extract: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A piece above the limit is 400016 and names it; a piece of just the limit is taken."""
    monkeypatch.setenv("TSC_CHUNK_SIZE_MB", "2")
    name, path = uuid.uuid4().hex, extract(3 * 2**20)
    files = set((faulty.config.data_dir / "files").iterdir())
    faulty.faults.add(faults.LimitChunk(1))
    with pytest.raises(TSC.ServerResponseError, match="maximum size of 1 MB") as caught:
        publish(server, None, name, path=path)
    assert caught.value.code == "400016"
    assert listed(server, name) == []
    assert set((faulty.config.data_dir / "files").iterdir()) <= files
    monkeypatch.setenv("TSC_CHUNK_SIZE_MB", "1")
    item = publish(server, None, name, path=path)
    assert held(faulty, item) == path.read_bytes()
    assert len(faulty.faults.applied) == 1


@pytest.mark.usefixtures("in_chunks")
@pytest.mark.parametrize(("operation", "nth"), [("append_upload", 2), ("publish_datasource", 1)])
def test_uploads_are_lost(
    server: TSC.Server,
    faulty: Sandbox,
    publish: Publish,
    extract: Callable[..., Path],
    operation: str,
    nth: int,
) -> None:
    """At a piece or at the commit it is 404015; nothing of the upload is kept."""
    name = uuid.uuid4().hex
    server.fileuploads.initiate()
    files = set((faulty.config.data_dir / "files").iterdir())
    faulty.faults.add(faults.LoseUploads(), operation, nth=nth)
    with pytest.raises(TSC.ServerResponseError) as caught:
        publish(server, None, name, path=extract(2_500_000))
    assert caught.value.code == "404015"
    assert listed(server, name) == []
    assert rows(faulty, "SELECT * FROM uploads") == []
    assert set((faulty.config.data_dir / "files").iterdir()) <= files
    publish(server, None, name, path=extract(2_500_000))
    assert len(listed(server, name)) == 1


def test_lists_lag_by_requests(server: TSC.Server, faulty: Sandbox, publish: Publish) -> None:
    """What is new is missing from so many lists and their totals, and is found by id at once."""
    old, new = uuid.uuid4().hex, uuid.uuid4().hex
    publish(server, None, old)
    faulty.faults.add(faults.ListLag(requests=2), ["query_datasources", "query_projects"])
    total = server.datasources.get()[1].total_available
    assert faulty.faults.applied == ()
    item = publish(server, None, new)
    project = server.projects.create(TSC.ProjectItem(uuid.uuid4().hex))
    assert server.datasources.get_by_id(item.id).name == new
    publish(server, None, old)  # what is overwritten stays where it was
    assert len(listed(server, old)) == 1
    assert server.datasources.get()[1].total_available == total
    assert len(listed(server, new)) == 1
    assert server.datasources.get()[1].total_available == total + 1
    for is_shown in (False, False, True):
        assert (project.id in {one.id for one in server.projects.get()[0]}) == is_shown
    assert {record.operation for record in faulty.faults.applied} == {
        "query_datasources",
        "query_projects",
    }


def test_lists_lag_by_time(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    publish: Publish,
    tmp_path: Path,
) -> None:
    """By the sandbox's clock; a data source that a job published lags likewise."""
    now = [1_800_000_000.0]
    sandbox = Sandbox(make_sandbox(tmp_path / "data", clock=lambda: now[0]).config)
    sandbox.faults.add(faults.ListLag(60))  # before it runs: the projects of the start are known
    with sandbox:
        server = client(sandbox)
        assert server.projects.get()[0]
        server.jobs.wait_for_job(publish(server, None, "A", as_job=True))
        assert listed(server, "A") == []
        now[0] += 59
        assert listed(server, "A") == []
        sandbox.restart(keep_sessions=True)
        assert listed(server, "A") == []
        now[0] += 1
        assert len(listed(server, "A")) == 1


@pytest.mark.parametrize("notes", [(), ("java.lang.RuntimeException: <no>", "second")])
def test_job_fails(
    server: TSC.Server, faulty: Sandbox, publish: Publish, notes: tuple[str, ...]
) -> None:
    """TSC raises with the notes or without any, and what was published before stays."""
    name = uuid.uuid4().hex
    item = publish(server, None, name)
    before = held(faulty, item)
    files = set((faulty.config.data_dir / "files").iterdir())
    faulty.faults.add(faults.FailJob(notes), "publish_datasource", nth=1)
    with pytest.raises(JobFailedException) as caught:
        server.jobs.wait_for_job(publish(server, None, name, as_job=True))
    assert caught.value.job.finish_code == 1
    assert tuple(caught.value.job.notes) == notes
    assert held(faulty, item) == before
    assert set((faulty.config.data_dir / "files").iterdir()) <= files
    assert [record.kind for record in faulty.faults.applied] == ["fail_job"]


def test_jobs_that_are_not_struck(server: TSC.Server, faulty: Sandbox, publish: Publish) -> None:
    """Publishing at once makes no job, so nothing strikes; a rule's end leaves later jobs alone."""
    rule = faulty.faults.add(faults.FailJob())
    assert publish(server, None, uuid.uuid4().hex).id
    assert faulty.faults.applied == ()
    faulty.faults.remove(rule)
    server.jobs.wait_for_job(publish(server, None, uuid.uuid4().hex, as_job=True))


def test_job_runs_for_ever(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    publish: Publish,
    tmp_path: Path,
) -> None:
    """Neither looks nor time nor a restart completes it; TSC's wait ends with its timeout."""
    now = [1_800_000_000.0]
    sandbox = Sandbox(make_sandbox(tmp_path / "data", clock=lambda: now[0]).config)
    with sandbox:
        server = client(sandbox)
        sandbox.faults.add(faults.KeepJobRunning(), nth=1)
        job = publish(server, None, "A", as_job=True)
        with pytest.raises(TimeoutError):
            server.jobs.wait_for_job(job, timeout=0)
        now[0] += 3600
        sandbox.restart(keep_sessions=True)
        for _ in range(5):
            assert server.jobs.get_by_id(job.id).completed_at is None
        assert listed(server, "A") == []


def test_job_runs_for_some_looks(server: TSC.Server, faulty: Sandbox, publish: Publish) -> None:
    """It is complete at the chosen look, and published then."""
    name = uuid.uuid4().hex
    faulty.faults.add(faults.KeepJobRunning(5), nth=1)
    job = publish(server, None, name, as_job=True)
    for look in range(1, 6):
        assert listed(server, name) == []
        assert (server.jobs.get_by_id(job.id).completed_at is not None) == (look == 5)
    assert len(listed(server, name)) == 1


@pytest.mark.parametrize("done", [True, False])
def test_job_is_purged(server: TSC.Server, faulty: Sandbox, publish: Publish, done: bool) -> None:
    """It is 404018 once it would be complete, with its work done or not."""
    name = uuid.uuid4().hex
    faulty.faults.add(faults.PurgeJob(done), nth=1)
    job = publish(server, None, name, as_job=True)
    for _ in range(2):
        with pytest.raises(TSC.ServerResponseError) as caught:
            server.jobs.wait_for_job(job)
        assert caught.value.code == "404018"
    assert len(listed(server, name)) == done


def test_job_ends_well_with_an_error_in_its_notes(
    server: TSC.Server, faulty: Sandbox, publish: Publish
) -> None:
    """TSC returns as if all were well; only the status note says otherwise."""
    name = uuid.uuid4().hex
    faulty.faults.add(faults.JobErrorNote("400011", "Bad <file>"), nth=1)
    done = server.jobs.wait_for_job(publish(server, None, name, as_job=True))
    assert done.finish_code == 0
    assert listed(server, name) == []
    [note] = done.status_notes
    assert (note["type"], note["value"], note["text"]) == ("errorCode", "400011", "Bad <file>")


def test_faults_of_jobs_go_together(server: TSC.Server, faulty: Sandbox, publish: Publish) -> None:
    """Two rules for one job both hold: it runs for some looks and then fails."""
    faulty.faults.add(faults.KeepJobRunning(3), nth=1)
    faulty.faults.add(faults.FailJob(("late",)), nth=1)
    job = publish(server, None, uuid.uuid4().hex, as_job=True)
    codes = [server.jobs.get_by_id(job.id).finish_code for _ in range(3)]
    assert codes == [-1, -1, 1]
