import http.client
import os
import socket
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name
from tableauserverclient.server.endpoint.exceptions import NonXMLResponseError, RedirectError

from mds_tableau.sandbox import Sandbox, faults
from tests.certificates import self_signed

Publish = Callable[..., Any]
INFO = "/api/3.25/serverInfo"


@pytest.fixture
def server(faulty: Sandbox, client: Callable[..., TSC.Server]) -> TSC.Server:
    """A TSC server signed in to the sandbox for faults."""
    return client(faulty)


@pytest.fixture
def connect(faulty: Sandbox) -> Iterator[Callable[[], http.client.HTTPConnection]]:
    """Opens a connection to the sandbox for faults, which tells what TCP does."""
    opened: list[http.client.HTTPConnection] = []

    def make() -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(
            "127.0.0.1", int(faulty.url.rpartition(":")[2]), timeout=30
        )
        opened.append(connection)
        connection.connect()
        return connection

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def waits(faulty: Sandbox) -> Iterator[list[float]]:
    """What the sandbox for faults has waited; no time passes for it."""
    slept: list[float] = []
    before = faulty.faults.sleep, faulty.faults.ticks

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    faulty.faults.sleep, faulty.faults.ticks = sleep, lambda: 0.0
    yield slept
    faulty.faults.sleep, faulty.faults.ticks = before


def names(sandbox: Sandbox) -> set[str]:
    """Returns the names of all data sources that the sandbox holds."""
    db = sqlite3.connect(sandbox.config.data_dir / "sandbox.sqlite3")
    try:
        return {name for (name,) in db.execute("SELECT name FROM datasources")}
    finally:
        db.close()


def received(connection: http.client.HTTPConnection) -> bytes:
    """Returns what comes next on a connection."""
    assert isinstance(connection.sock, socket.socket)
    return connection.sock.recv(100)


@pytest.mark.parametrize("when", ["before", "read", "after"])
@pytest.mark.parametrize("reset", [True, False])
def test_lost_connection(
    server: TSC.Server,
    faulty: Sandbox,
    publish: Publish,
    connect: Callable[[], http.client.HTTPConnection],
    when: Any,
    reset: bool,
) -> None:
    """The client sees the same in each case; only after the work it is done, and once."""
    name = uuid.uuid4().hex
    faulty.faults.add(faults.Disconnect(when, reset), ["publish_datasource", "server_info"])
    with pytest.raises(requests.exceptions.ConnectionError):
        publish(server, None, name)
    assert (name in names(faulty)) == (when == "after")
    assert [record.operation for record in faulty.faults.applied] == ["publish_datasource"]
    connection = connect()
    connection.request("GET", INFO)
    # RemoteDisconnected, the ordinary end, is a ConnectionResetError too.
    with pytest.raises(ConnectionResetError) as caught:
        connection.getresponse()
    assert isinstance(caught.value, http.client.RemoteDisconnected) != reset


def test_connection_is_lost_before_the_body_is_read(
    server: TSC.Server, faulty: Sandbox, connect: Callable[[], http.client.HTTPConnection]
) -> None:
    """Nothing of the body needs to be sent for it."""
    faulty.faults.add(faults.Disconnect(), "publish_datasource")
    connection = connect()
    connection.putrequest("POST", f"/api/3.25/sites/{server.site_id}/datasources")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    with pytest.raises(ConnectionResetError):
        received(connection)


@pytest.mark.parametrize("when", ["before", "read", "after"])
def test_lost_reply_of_a_chunk(
    server: TSC.Server,
    faulty: Sandbox,
    publish: Publish,
    extract: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    when: Any,
) -> None:
    """A piece whose reply was lost is in the file all the same, and twice when sent again."""
    session, token = server.fileuploads.initiate(), str(server.auth_token)
    url = f"{faulty.url}/api/3.25/sites/{server.site_id}/fileUploads/{session}"
    body = (
        b"--b\r\nContent-Disposition: name=request_payload\r\n\r\n\r\n--b\r\n"
        b"Content-Disposition: name=tableau_file; filename=file\r\n\r\n"
        + b"x" * 2**20
        + b"\r\n--b--"
    )
    headers = {"x-tableau-auth": token, "content-type": "multipart/mixed; boundary=b"}
    faulty.faults.add(faults.Disconnect(when), "append_upload", nth=1)
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.put(url, body, headers=headers, timeout=30)
    again = requests.put(url, body, headers=headers, timeout=30)
    assert f'fileSize="{2 if when == "after" else 1}"' in again.text


def test_stale_connection(server: TSC.Server, faulty: Sandbox) -> None:
    """A call after a pause fails on the old connection, and the next one on a new one works."""
    faulty.faults.add(faults.StaleConnection(), nth=1)
    with pytest.raises(requests.exceptions.ConnectionError):
        server.projects.get()
    assert server.projects.get()[0]
    assert len(faulty.faults.applied) == 1


def test_idle_connections_are_closed(
    faulty: Sandbox, connect: Callable[[], http.client.HTTPConnection]
) -> None:
    """All of them end without a word, that of the request that was struck after its reply."""
    idle, struck = connect(), connect()
    for connection in (idle, struck):
        connection.request("GET", INFO)
        connection.getresponse().read()
    faulty.faults.add(faults.CloseIdle())
    struck.request("GET", INFO)
    response = struck.getresponse()
    assert response.status == 200
    assert response.getheader("connection") is None
    response.read()
    assert received(idle) == received(struck) == b""


@pytest.mark.parametrize("when", ["before", "after", "during"])
def test_delay(
    server: TSC.Server, faulty: Sandbox, publish: Publish, waits: list[float], when: Any
) -> None:
    """It waits once, with the work done or not by then, and the call succeeds."""
    name, done = uuid.uuid4().hex, []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        done.append(name in names(faulty))

    faulty.faults.sleep = sleep
    faulty.faults.add(faults.Delay(90, when), "publish_datasource")
    publish(server, None, name)
    assert waits == [90]
    assert done == [when != "before"]


def test_delay_during_the_reply_comes_after_its_head(
    faulty: Sandbox, connect: Callable[[], http.client.HTTPConnection]
) -> None:
    """The client has the status while it waits for the body."""
    go_on = threading.Event()

    async def sleep(_seconds: float) -> None:
        while not go_on.is_set():
            await original(0.001)

    original, faulty.faults.sleep = faulty.faults.sleep, sleep
    try:
        faulty.faults.add(faults.Delay(90, "during"))
        connection = connect()
        connection.request("GET", INFO)
        response = connection.getresponse()
        assert response.status == 200
        go_on.set()
        assert b"restApiVersion" in response.read()
    finally:
        faulty.faults.sleep = original


def test_hanging_request_ends_with_the_clients_patience(
    faulty: Sandbox, client: Callable[..., TSC.Server]
) -> None:
    """With a timeout TSC gives up; the sandbox lets go of the request and serves others."""
    server = client(faulty)
    server.add_http_options({"timeout": 0.2})
    faulty.faults.add(faults.Hang(), "query_projects", nth=1)
    with pytest.raises(requests.exceptions.ReadTimeout):
        server.projects.get()
    server.add_http_options({"timeout": 30})
    assert server.projects.get()[0]


def test_throttle_takes_the_time_that_the_bytes_need(
    server: TSC.Server, faulty: Sandbox, publish: Publish, waits: list[float], extract: Any
) -> None:
    """The last byte of a body is through after its size by the speed; all of it arrives."""
    path = extract(3_000_000)
    faulty.faults.add(faults.Throttle(1000))
    item = publish(server, None, uuid.uuid4().hex, path=path)
    # A little is the wrapping.
    assert 3000 < max(waits) < 3002
    assert waits == sorted(waits)
    faulty.faults.clear()
    assert requests.get(f"{faulty.url}/download/{item.id}", timeout=30).content == path.read_bytes()


@pytest.mark.parametrize("shared", [True, False])
def test_throttle_is_shared_or_not(
    server: TSC.Server, faulty: Sandbox, publish: Publish, waits: list[float], shared: bool
) -> None:
    """A second body at the same time waits for the first one where the line is shared."""
    faulty.faults.add(faults.Throttle(1, shared=shared), "publish_datasource")
    longest = []
    for _ in range(2):
        publish(server, None, uuid.uuid4().hex)
        longest.append(max(waits))
        waits.clear()
    assert longest[1] > longest[0] * 1.9 if shared else longest[1] == longest[0]
    assert len(faulty.faults.applied) == 2


def test_throttle_leaves_requests_without_a_body_alone(
    server: TSC.Server, faulty: Sandbox, waits: list[float]
) -> None:
    """They wait for nothing, and nothing is recorded."""
    faulty.faults.add(faults.Throttle(1))
    server.projects.get()
    assert waits == []
    assert faulty.faults.applied == ()


def test_gateway_limits_bodies(
    server: TSC.Server, faulty: Sandbox, publish: Publish, extract: Callable[..., Path]
) -> None:
    """A larger body is 413 in HTML, also where the client is still sending; smaller ones pass."""
    faulty.faults.add(faults.LimitBody(20_000_000))
    name = uuid.uuid4().hex
    with pytest.raises(NonXMLResponseError, match="413 Request Entity Too Large"):
        publish(server, None, name, path=extract(30_000_000))
    assert name not in names(faulty)
    publish(server, None, name)
    assert name in names(faulty)
    assert [record.kind for record in faulty.faults.applied] == ["limit_body"]


@pytest.mark.skipif(os.name == "nt", reason="counts what only POSIX lists so")
def test_struck_connections_are_let_go(
    faulty: Sandbox, connect: Callable[[], http.client.HTTPConnection]
) -> None:
    """Many lost connections leave no open socket behind."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("this system does not list open files")
    faulty.faults.add(faults.Disconnect())
    before = len(list(folder.iterdir()))
    for _ in range(50):
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.get(f"{faulty.url}{INFO}", timeout=30)
    assert len(list(folder.iterdir())) < before + 10


def test_stopping_under_tls_waits_for_no_idle_client(
    make_sandbox: Callable[..., Sandbox], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that a client keeps for later is ended at once, with nothing left open."""
    tls = self_signed(tmp_path)
    with requests.Session() as client:
        with Sandbox(make_sandbox(tmp_path / "data").config, tls=tls) as sandbox:
            assert client.get(f"{sandbox.url}{INFO}", timeout=30, verify=str(tls[0])).ok
        assert not [record for record in caplog.records if "exceeded" in record.getMessage()]


def test_faults_work_under_tls_too(make_sandbox: Callable[..., Sandbox], tmp_path: Path) -> None:
    """Connections end, also one that hangs when the sandbox stops; TSC refuses to leave TLS."""
    tls = self_signed(tmp_path)
    with Sandbox(make_sandbox(tmp_path / "data").config, tls=tls) as sandbox:

        def ask() -> None:
            with pytest.raises(requests.exceptions.ConnectionError):
                requests.get(f"{sandbox.url}{INFO}", timeout=30, verify=str(tls[0]))

        for reset in (True, False):
            sandbox.faults.add(faults.Disconnect(reset=reset), nth=1)
            ask()
        sandbox.faults.add(faults.Redirect(location="http://127.0.0.1:9{target}"), "sign_in")
        server = TSC.Server(sandbox.url, http_options={"verify": str(tls[0])})
        with pytest.raises(RedirectError, match=r"(?i)https"):
            server.auth.sign_in(TSC.TableauAuth("ada", "correct horse"))
        server.session.close()
        sandbox.faults.clear()
        sandbox.faults.add(faults.Hang())
        hanging = threading.Thread(target=ask)
        hanging.start()
        assert sandbox.faults.wait()
    hanging.join()
