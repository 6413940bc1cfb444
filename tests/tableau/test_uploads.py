"""An upload survives what breaks off, costs no memory, and ends when it gets no further.

The server is the sandbox, which counts the requests that reach it and does not open what it gets;
what it holds in the end is downloaded by a client that no fault strikes.
"""

import hashlib
import os
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import tableauserverclient as TSC  # noqa: N812

from mds_tableau.errors import ExtractError, RateLimited, ServerUnreachable, TooLarge, UploadsEnded
from mds_tableau.sandbox import Sandbox, SandboxConfig, faults
from mds_tableau.sandbox.faults import Rule
from mds_tableau.tableau import Password, Patience, Session, publish, sign_in, uploading
from mds_tableau.tableau.chunks import Chunk
from mds_tableau.tableau.uploads import LARGEST_CHUNK_BYTES
from tests.certificates import self_signed

MEGABYTE = 1024**2
USER = Password("ada", "a-password")
PATIENCE = Patience(
    attempts=3, first_pause=0.01, longest_pause=0.02, connect_seconds=5, read_seconds=5
)


@pytest.fixture
def scheme(request: pytest.FixtureRequest) -> str:
    """What the sandbox is spoken to by."""
    return str(getattr(request, "param", "http"))


@pytest.fixture
def server(tmp_path: Path, scheme: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox that takes for an extract what begins as one."""
    tls = None
    if scheme == "https":
        tls = self_signed(tmp_path)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls[0]))
    config = SandboxConfig(
        data_dir=tmp_path / "sandbox",
        users={USER.username: USER.password},
        open_extracts=False,
        job_polls=1,
    )
    with Sandbox(config, host="127.0.0.1", port=0, tls=tls) as sandbox:
        yield sandbox


@pytest.fixture
def session(server: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A session with short pauses, whose client takes each file for a large one."""
    monkeypatch.setenv("TSC_FILESIZE_LIMIT_MB", "0")
    with sign_in(server.url, "", USER, PATIENCE) as session:
        yield session


@pytest.fixture
def counts(server: Sandbox) -> tuple[Rule, Rule]:
    """Rules that only count the uploads that are begun, and the chunks that are sent."""
    begun = server.faults.add(faults.Delay(0), "initiate_upload", probability=0)
    return begun, server.faults.add(faults.Delay(0), "append_upload", probability=0)


def _file(folder: Path, size: int) -> Path:
    path = folder / "file.hyper"
    path.write_bytes(b"Hyper" + bytes(20) + os.urandom(size - 25))
    return path


def _send(session: Session, path: Path, chunk_bytes: int) -> None:
    with uploading(session, chunk_bytes=chunk_bytes) as uploads:
        publish(session, path, datasource="sent", project="Default", uploads=uploads)


def _holds(server: Sandbox, path: Path) -> bool:
    client = TSC.Server(server.url, use_server_version=True)
    with client.auth.sign_in(TSC.TableauAuth(USER.username, USER.password)):
        [item] = TSC.Pager(client.datasources)
        package = client.datasources.download(str(item.id), str(path.with_name("held")))
    with zipfile.ZipFile(package) as archive:
        [inner] = [name for name in archive.namelist() if name.endswith(".hyper")]
        held = hashlib.sha256(archive.read(inner)).digest()
    return held == hashlib.sha256(path.read_bytes()).digest()


@pytest.mark.parametrize("scheme", ["http", "https"], indirect=True)
@pytest.mark.parametrize("reset", [True, False])
def test_a_line_that_breaks_within_a_chunk_costs_that_chunk_only(
    server: Sandbox, session: Session, counts: tuple[Rule, Rule], tmp_path: Path, reset: bool
) -> None:
    """A request that was not sent to its end is repeated in the same upload."""
    path = _file(tmp_path, 48 * MEGABYTE)
    server.faults.add(faults.Disconnect("before", reset=reset), "append_upload", nth=2)
    _send(session, path, 16 * MEGABYTE)
    begun, sent = counts
    assert (begun.matched, sent.matched) == (1, 4)
    assert _holds(server, path)


@pytest.mark.parametrize("scheme", ["https"], indirect=True)
@pytest.mark.parametrize(
    ("fault", "on"),
    [
        (faults.Disconnect("before"), "initiate_upload"),
        (faults.Disconnect("before"), "query_projects"),
        (faults.Disconnect("after", reset=False), "append_upload"),
        (faults.Disconnect("read"), "publish_datasource"),
        (faults.Truncate(), "query_job"),
    ],
    ids=str,
)
def test_a_broken_line_is_not_taken_for_a_bad_certificate(
    server: Sandbox, session: Session, tmp_path: Path, fault: faults.Fault, on: str
) -> None:
    """Where TLS notices that the line broke, the publish goes on as it does without TLS."""
    path = _file(tmp_path, MEGABYTE)
    server.faults.add(fault, on, nth=1)
    _send(session, path, MEGABYTE // 2)
    assert [applied.operation for applied in server.faults.applied] == [on]
    assert _holds(server, path)


def test_a_rate_limit_costs_no_upload(
    server: Sandbox, session: Session, counts: tuple[Rule, Rule], tmp_path: Path
) -> None:
    """A chunk is refused five times, more often than a request is repeated, and then goes on."""
    path = _file(tmp_path, 3 * MEGABYTE)
    server.faults.add(faults.Status(429), "append_upload", first=2, last=6)
    _send(session, path, MEGABYTE)
    begun, sent = counts
    assert (begun.matched, sent.matched) == (1, 8)
    assert _holds(server, path)


def test_a_rate_limit_that_stays_is_told(server: Sandbox, session: Session, tmp_path: Path) -> None:
    """Patience ends, and the message says what was the matter."""
    server.faults.add(faults.Status(429), "append_upload")
    with (
        uploading(session) as uploads,
        pytest.raises(RateLimited, match=r"too many requests\. Tried 3 times"),
    ):
        uploads.upload(_file(tmp_path, MEGABYTE))


def test_fewer_requests_fail_less_often(
    server: Sandbox, session: Session, counts: tuple[Rule, Rule], tmp_path: Path
) -> None:
    """With the answer of every third chunk lost, larger chunks bring a file of eight through."""
    path = _file(tmp_path, 8 * MEGABYTE)
    server.faults.add(faults.Disconnect("after"), "append_upload", first=3, every=3)
    _send(session, path, MEGABYTE)
    begun, sent = counts
    # two of 1 MB, two of 2 MB, both of 4 MB
    assert (begun.matched, sent.matched) == (3, 8)
    assert _holds(server, path)


def test_attempts_are_counted_from_the_furthest(
    server: Sandbox, session: Session, counts: tuple[Rule, Rule], tmp_path: Path
) -> None:
    """Five uploads are lost, with patience for three that get no further."""
    path = _file(tmp_path, 16 * MEGABYTE)
    server.faults.add(faults.Status(502, when="after"), "append_upload", first=2, last=10, every=2)
    _send(session, path, MEGABYTE // 2)
    begun, _ = counts
    assert begun.matched == 6
    assert _holds(server, path)


def test_attempts_end_when_nothing_gets_further(
    server: Sandbox, session: Session, counts: tuple[Rule, Rule], tmp_path: Path
) -> None:
    """A server that loses each first chunk is given up, and the chunks have become smaller."""
    server.faults.add(faults.Disconnect("after"), "append_upload")
    with (
        uploading(session, chunk_bytes=2 * MEGABYTE) as uploads,
        pytest.raises(ServerUnreachable, match=r"of 65,536 bytes\. Tried 3 times"),
    ):
        uploads.upload(_file(tmp_path, 2 * MEGABYTE))
    begun, sent = counts
    assert (begun.matched, sent.matched) == (3, 3)


def test_what_the_server_finds_too_large_is_never_sent_again(
    server: Sandbox, session: Session, tmp_path: Path
) -> None:
    """Chunks stay below a size that was refused, also when answers are lost later."""
    path = _file(tmp_path, 4 * MEGABYTE)
    refused = server.faults.add(faults.LimitBody(MEGABYTE), "append_upload")
    server.faults.add(faults.Disconnect("after"), "append_upload", first=4, last=12, every=4)
    _send(session, path, 2 * MEGABYTE)
    assert refused.matched == 1
    assert _holds(server, path)


def test_a_server_that_takes_no_chunk_at_all_is_told(
    server: Sandbox, session: Session, tmp_path: Path
) -> None:
    """Chunks become smaller down to the smallest, and its refusal is the error."""
    server.faults.add(faults.LimitBody(1000), "append_upload")
    with pytest.raises(TooLarge, match="413"):
        _send(session, _file(tmp_path, MEGABYTE), MEGABYTE)


def test_memory_is_that_of_a_block(session: Session, tmp_path: Path) -> None:
    """Chunks of 60 MB pass through client and server in far less memory than one of them."""
    with uploading(session, chunk_bytes=LARGEST_CHUNK_BYTES) as uploads:
        uploads.upload(_file(tmp_path, MEGABYTE))
        path = _file(tmp_path, 2 * LARGEST_CHUNK_BYTES)
        tracemalloc.start()
        try:
            uploads.upload(path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < LARGEST_CHUNK_BYTES / 4


def test_a_chunk_is_what_the_client_would_send(tmp_path: Path) -> None:
    """The body has the client's own parts around the bytes, and begins anew when asked again."""
    path = _file(tmp_path, MEGABYTE)
    with path.open("rb") as file:
        chunk = Chunk(file, 1000, 500_000)
        assert not chunk.is_sent
        first, again = b"".join(chunk), b"".join(chunk)
    assert first == again
    assert len(first) == len(chunk)
    assert chunk.is_sent
    boundary = chunk.content_type.rpartition("boundary=")[2].encode()
    before, payload, content, after = first.split(b"--" + boundary)
    assert (before, after) == (b"", b"--\r\n")
    assert b'name="request_payload"' in payload
    head, _, data = content.partition(b"\r\n\r\n")
    assert b'name="tableau_file"; filename="file"' in head
    assert data == path.read_bytes()[1000:501_000] + b"\r\n"


def test_a_file_that_becomes_shorter_is_an_error(tmp_path: Path) -> None:
    """What is cut off while it is sent is told, and does not count as sent."""
    path = _file(tmp_path, 2 * MEGABYTE)
    with path.open("rb") as file:
        chunk = Chunk(file, MEGABYTE, MEGABYTE)
        os.truncate(path, MEGABYTE + 10)
        with pytest.raises(ExtractError, match="became shorter while it was uploaded"):
            list(chunk)
    assert not chunk.is_sent


def test_what_nobody_publishes_is_given_up(
    session: Session, server: Sandbox, tmp_path: Path
) -> None:
    """Who leaves does not wait for the rest of a file, nor until a server can be asked again."""
    path = _file(tmp_path, 64 * MEGABYTE)
    patience = Patience(attempts=100, first_pause=1000, longest_pause=1000, read_seconds=5)
    session.patience = patience
    server.faults.add(faults.Status(502), "append_upload", nth=2)
    with uploading(session, chunk_bytes=MEGABYTE) as uploads:
        uploads.begin(path)
        while not server.faults.applied:
            assert uploads.has(path)
    _, begun = uploads._begun[path.absolute()]
    with pytest.raises(UploadsEnded, match="given up"):
        begun.result(timeout=0)


def test_an_upload_is_of_the_file_that_is_published(
    session: Session, server: Sandbox, tmp_path: Path
) -> None:
    """A file that took the place of the one whose upload had begun is what arrives."""
    path = _file(tmp_path, MEGABYTE)
    (tmp_path / "other").mkdir()
    with uploading(session) as uploads:
        uploads.begin(path)
        _file(tmp_path / "other", MEGABYTE).replace(path)
        publish(session, path, datasource="Sales", project="Default", uploads=uploads)
    assert _holds(server, path)
