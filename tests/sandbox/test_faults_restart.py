import random
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name
from tableauserverclient.server.endpoint.exceptions import TableauError

from mds_tableau.errors import SandboxError
from mds_tableau.sandbox import Sandbox, faults

Publish = Callable[..., Any]
# What TSC raises when something goes wrong on the way.
PROBLEMS = (TableauError, requests.RequestException, ET.ParseError, IndexError, AttributeError)


@pytest.fixture
def sandbox(make_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Any:
    """A running sandbox of the test's own, in which jobs move on by looks alone."""
    with Sandbox(make_sandbox(tmp_path / "data", clock=lambda: 1_800_000_000.0).config) as running:
        yield running


def content(sandbox: Sandbox, item: Any) -> bytes:
    """Returns what the sandbox holds for a data source."""
    response = requests.get(f"{sandbox.url}/download/{item.id}", timeout=30)
    assert response.status_code == 200
    return response.content


def add_all(sandbox: Sandbox, seed: int) -> None:
    """Adds nearly every kind of fault, each by chance.

    Some would only hold up the test, and after `close_idle` a client sometimes sees it in time.
    """
    number = seed * 100
    for kind, fault in faults.KINDS.items():
        whens = ("before", "after") if "when" in fault.hints() else ("",)
        for when in whens if kind not in {"close_idle", "hang", "limit_body", "redirect"} else ():
            number += 1
            parameters: dict[str, Any] = {"when": when} if when else {}
            sandbox.faults.add(fault(**parameters), probability=0.06, seed=number)


def appended(server: TSC.Server, session: str) -> None:
    """Adds a piece to an upload session."""
    data, content_type = TSC.server.RequestFactory.Fileupload.chunk_req(b"x")
    server.fileuploads.append(session, data, content_type)


@pytest.mark.parametrize("keep_sessions", [True, False])
@pytest.mark.parametrize("keep_uploads", [True, False])
def test_restart_keeps_what_it_should(
    sandbox: Sandbox,
    client: Callable[..., TSC.Server],
    publish: Publish,
    keep_sessions: bool,
    keep_uploads: bool,
) -> None:
    """Address and data sources stay; sessions and half uploads as chosen."""
    server, url = client(sandbox), sandbox.url
    item = publish(server, None, "A")
    before = content(sandbox, item)
    upload = server.fileuploads.initiate()
    sandbox.restart(keep_sessions=keep_sessions, keep_uploads=keep_uploads)
    assert sandbox.url == url
    assert content(sandbox, item) == before
    if keep_sessions:
        assert server.datasources.get_by_id(item.id).name == "A"
    else:
        with pytest.raises(TSC.FailedSignInError) as caught:
            server.datasources.get()
        assert caught.value.code == "401002"
        server = client(sandbox)
    if keep_uploads:
        appended(server, upload)
    else:
        with pytest.raises(TSC.ServerResponseError) as refused:
            appended(server, upload)
        assert refused.value.code == "404015"


@pytest.mark.parametrize(
    "fault", [faults.Hang(), faults.Hang("after"), faults.Delay(3600), faults.Delay(3600, "after")]
)
def test_restart_in_the_middle_of_publishing(
    sandbox: Sandbox,
    client: Callable[..., TSC.Server],
    publish: Publish,
    extract: Callable[..., Path],
    fault: faults.Fault,
) -> None:
    """The client loses its connection; what is published is all old or all new."""
    server, path, problems = client(sandbox), extract(), []
    item = publish(server, None, "A")
    before = content(sandbox, item)

    def overwrite() -> None:
        own = client(sandbox)
        try:
            publish(own, None, "A", path=path)
        except PROBLEMS as problem:
            problems.append(problem)

    sandbox.faults.add(fault, "publish_datasource", nth=1)
    thread = threading.Thread(target=overwrite)
    thread.start()
    assert sandbox.faults.wait()
    sandbox.restart()
    thread.join()
    [problem] = problems
    assert isinstance(problem, requests.exceptions.ConnectionError)
    expected = [before, path.read_bytes()]
    if isinstance(fault, faults.Hang):
        expected = expected[:1] if fault.when == "before" else expected[1:]
    assert content(sandbox, item) in expected


@pytest.mark.parametrize("when", ["before", "after"])
def test_stopping_ends_what_hangs(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    when: Any,
) -> None:
    """Leaving the block does not wait for a request that would never end, nor logs an error."""
    problems: list[Exception] = []

    def ask(url: str) -> None:
        try:
            requests.get(f"{url}/api/3.25/serverInfo", timeout=30)
        except requests.RequestException as problem:
            problems.append(problem)

    with Sandbox(make_sandbox(tmp_path).config) as sandbox:
        sandbox.faults.add(faults.Hang(when))
        thread = threading.Thread(target=ask, args=(sandbox.url,))
        thread.start()
        assert sandbox.faults.wait()
    thread.join()
    [problem] = problems
    assert isinstance(problem, requests.exceptions.ConnectionError)
    assert caplog.records == []


def test_rules_outlive_a_restart(sandbox: Sandbox) -> None:
    """They go on counting where they were, and the records stay."""
    sandbox.faults.add(faults.Status(500), nth=2)
    url = f"{sandbox.url}/api/3.25/serverInfo"
    assert requests.get(url, timeout=30).status_code == 200
    sandbox.restart()
    assert requests.get(url, timeout=30).status_code == 500
    assert len(sandbox.faults.applied) == 1


def test_restart_needs_a_running_sandbox(
    make_sandbox: Callable[..., Sandbox], tmp_path: Path
) -> None:
    """Before it runs there is nothing to restart."""
    with pytest.raises(SandboxError, match="before it runs"):
        make_sandbox(tmp_path).restart()


@pytest.mark.parametrize("seed", range(3))
def test_nothing_published_is_lost_or_mixed(
    sandbox: Sandbox,
    client: Callable[..., TSC.Server],
    publish: Publish,
    extract: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    """Whatever strikes, a data source holds one whole file: the last that was confirmed or later.

    Publishing at once, in pieces and by job, with all kinds of faults by chance and restarts.
    """
    for variable in ("TSC_FILESIZE_LIMIT_MB", "TSC_CHUNK_SIZE_MB"):
        monkeypatch.setenv(variable, "1")
    item = publish(client(sandbox), None, "A", path=(path := extract()))
    possible = [path.read_bytes()]

    async def sleep(_seconds: float) -> None:
        pass

    sandbox.faults.sleep = sleep
    add_all(sandbox, seed)
    chance, server = random.Random(seed), None  # noqa: S311 - chance, no secret
    for _ in range(40):
        path, as_job = extract(chance.choice([1000, 2_500_000])), chance.random() < 0.3
        try:
            # With a version of its own TSC does not ask for the server's, which never fails aloud.
            server = server or client(sandbox, version="3.25")
            done = publish(server, None, "A", path=path, as_job=as_job)
            for _ in range(2 * as_job):  # as often as it takes
                server.jobs.get_by_id(done.id)
        except PROBLEMS:
            server = None
            possible.append(path.read_bytes())
        else:
            # That a job is complete does not say that it was done.
            possible = [*possible, path.read_bytes()] if as_job else [path.read_bytes()]
        if chance.random() < 0.05:
            sandbox.restart()
        now = content(sandbox, item)
        assert now in possible
        possible = possible[possible.index(now) :]
    assert len({record.kind for record in sandbox.faults.applied}) >= 8
    sandbox.faults.clear()
    [only] = client(sandbox).datasources.get()[0]
    assert only.id == item.id
