import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name
from starlette.types import ASGIApp, Receive, Scope, Send

from mds_tableau.errors import SandboxError
from mds_tableau.sandbox import Sandbox, SandboxConfig
from mds_tableau.sandbox.store import Store


def test_nothing_runs_after_the_block(
    make_sandbox: Callable[..., Sandbox], client: Callable[..., TSC.Server], tmp_path: Path
) -> None:
    """Leaving the block closes the port and ends the threads, also with clients still connected."""
    before = set(threading.enumerate())
    sandbox = make_sandbox(tmp_path)
    with sandbox:
        url = sandbox.url
        client(sandbox).projects.get()
        requests.get(url, timeout=30)
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) <= before
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=30)
    with pytest.raises(SandboxError, match="has no address before it runs"):
        _ = sandbox.url


def test_sandbox_can_run_again(make_sandbox: Callable[..., Sandbox], tmp_path: Path) -> None:
    """One object can be entered again after it was left."""
    sandbox = make_sandbox(tmp_path)
    for _ in range(2):
        with sandbox:
            assert requests.get(sandbox.url, timeout=30).status_code == 200


def test_exception_in_the_block_stops_it_too(
    make_sandbox: Callable[..., Sandbox], tmp_path: Path
) -> None:
    """An exception passes through, and the server is gone."""
    with pytest.raises(ZeroDivisionError), make_sandbox(tmp_path) as sandbox:  # noqa: PT012
        url = sandbox.url
        raise ZeroDivisionError
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=30)


def test_client_that_comes_in_the_last_moment_is_not_kept(tmp_path: Path) -> None:
    """Who connects while the sandbox begins to stop is told that it is gone, and not waited for."""
    late: list[socket.socket] = []

    class Stopping(Sandbox):
        def application(self, store: Store, base_url: str) -> ASGIApp:
            app = super().application(store, base_url)

            async def stopping(scope: Scope, receive: Receive, send: Send) -> None:
                server = self._server
                assert server is not None
                late.append(socket.create_connection(("127.0.0.1", port), timeout=30))
                server.should_exit = True
                # the server looks ten times a second: it sees both at once when it goes on
                threading.Event().wait(0.2)
                await app(scope, receive, send)

            return stopping

    with Stopping(SandboxConfig(data_dir=tmp_path, users={"ada": "secret"})) as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        requests.get(sandbox.url, timeout=30)
    with late[0] as client, suppress(ConnectionResetError):
        assert client.recv(1) == b""


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "", "::"])  # noqa: S104
def test_only_loopback_addresses_are_served(tmp_path: Path, host: str) -> None:
    """Any host but this machine's own is refused before anything is opened."""
    with pytest.raises(SandboxError, match=r"own addresses only\. Use 127\.0\.0\.1"):
        Sandbox(SandboxConfig(data_dir=tmp_path / "data"), host)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_each_loopback_name_works(tmp_path: Path, host: str) -> None:
    """The URL has the host that was asked for, and answers under it."""
    if host == "::1":
        try:
            socket.create_server((host, 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("this machine has no IPv6")
    with Sandbox(SandboxConfig(data_dir=tmp_path), host) as sandbox:
        assert (f"//[{host}]:" if ":" in host else f"//{host}:") in sandbox.url
        assert requests.get(sandbox.url, timeout=30).status_code == 200


def test_taken_port_is_told(sandbox: Sandbox, tmp_path: Path) -> None:
    """A port in use is refused with its number and what to do."""
    port = int(sandbox.url.rpartition(":")[2])
    config = SandboxConfig(data_dir=tmp_path)
    with (
        pytest.raises(SandboxError, match=f"port {port}: .*choose another"),
        Sandbox(config, port=port),
    ):
        pass


def test_bad_certificate_is_told(tmp_path: Path) -> None:
    """TLS files that are missing or no PEM are refused with their names."""
    files = (tmp_path / "cert.pem", tmp_path / "key.pem")
    for _ in range(2):
        with (
            pytest.raises(SandboxError, match=r"cert\.pem and key .*cannot be used"),
            Sandbox(SandboxConfig(data_dir=tmp_path), tls=files),
        ):
            pass
        for file in files:
            file.write_text("no PEM")


def test_importing_the_sandbox_is_light() -> None:
    """The sandbox needs neither Dagster nor dbt nor the rest of the package."""
    program = (
        "import sys, mds_tableau.sandbox, mds_tableau.sandbox.command;"
        "print(sorted(name for name in sys.modules if name.partition('.')[0] in"
        " {'dagster', 'dbt', 'duckdb', 'tableauhyperapi', 'tableauserverclient'}"
        " or name.startswith('mds_tableau') and not name.startswith('mds_tableau.sandbox')))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )
    assert result.stdout.strip() == "['mds_tableau', 'mds_tableau.errors']"


def test_two_processes_share_a_folder(
    client: Callable[..., TSC.Server], extract: Callable[..., Path], tmp_path: Path
) -> None:
    """Publishing through two processes at once loses nothing and mixes nothing up."""
    program = (
        "import sys; from pathlib import Path;"
        "from mds_tableau.sandbox import Sandbox, SandboxConfig\n"
        "config = SandboxConfig(data_dir=Path(sys.argv[1]), users={'ada': 'correct horse'},"
        " open_extracts=False)\n"
        "with Sandbox(config) as sandbox: print(sandbox.url, flush=True); sys.stdin.read()"
    )
    rounds, folder = 10, tmp_path / "data"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    path, problems = extract(200_000), []

    def publish(url: str, own: str) -> None:
        try:
            server = TSC.Server(url, use_server_version=True)
            with server.auth.sign_in(TSC.TableauAuth("ada", "correct horse")):
                for number in range(rounds):
                    for name in ("shared", f"{own} {number}"):
                        item = TSC.DatasourceItem("", name=name)
                        server.datasources.publish(item, path, "Overwrite")
            server.session.close()
        except Exception as problem:  # noqa: BLE001 - shown by the assertion in the main thread
            problems.append(problem)

    try:
        urls = [str(process.stdout and process.stdout.readline()).strip() for process in processes]
        threads = [
            threading.Thread(target=publish, args=(url, own))
            for url, own in zip(urls, "ab", strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        for url in urls:
            server = TSC.Server(url, use_server_version=True)
            with server.auth.sign_in(TSC.TableauAuth("ada", "correct horse")):
                items: list[Any] = list(TSC.Pager(server.datasources))
                assert len({item.id for item in items}) == len(items) == 1 + 2 * rounds
                assert len({item.webpage_url for item in items}) == len(items)
                [shared] = [item for item in items if item.name == "shared"]
                server.datasources.populate_revisions(shared)
                assert [int(one.revision_number) for one in shared.revisions] == list(
                    range(1, 2 * rounds + 1)
                )
                for item in items:
                    content = requests.get(f"{url}/download/{item.id}", timeout=30).content
                    assert content == path.read_bytes()
            server.session.close()
    finally:
        for process in processes:
            process.communicate("", timeout=30)
    assert [process.returncode for process in processes] == [0, 0]


def test_overwriting_while_reading_shows_old_or_new(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    publish: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """At every instant a reader gets one whole file, never none and never parts of two."""
    contents = [b"Hyper" + bytes([number]) * 300_000 for number in (1, 2)]
    paths = [tmp_path / f"{number}.hyper" for number in range(2)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    with make_sandbox(tmp_path / "data", kept_revisions=1) as sandbox:
        server = client(sandbox)
        item = publish(server, None, "A", path=paths[0])
        stop, seen = threading.Event(), []

        def read() -> None:
            while not stop.is_set():
                response = requests.get(f"{sandbox.url}/download/{item.id}", timeout=30)
                seen.append(response.content if response.ok else response.text.encode())

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for number in range(20):
                publish(server, None, "A", path=paths[number % 2])
        finally:
            stop.set()
            reader.join()
    assert seen
    assert set(seen) <= set(contents)
