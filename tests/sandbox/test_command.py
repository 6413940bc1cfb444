import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name
from click.testing import CliRunner

from mds_tableau.sandbox import Sandbox
from mds_tableau.sandbox.command import sandbox as command
from tests.certificates import self_signed


@contextmanager
def running(*options: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Runs the command until the block is left; gives its URL and the lines that it printed."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            "from mds_tableau.sandbox.command import sandbox; sandbox()",
            "--port",
            "0",
            "--data-dir",
            str(folder),
            *options,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while "Ctrl-C" not in lines[-1] and lines[-1]:
            lines.append(process.stdout.readline())
        ready = re.match(r"Sandbox ready at (\S+) \(API ", lines[0])
        assert ready is not None, process.communicate(timeout=30)
        yield ready[1], lines
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this machine, signed by itself, and its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.mark.hyper
def test_command_tells_how_to_sign_in(
    tmp_path: Path, publish: Callable[..., object], hyper: Callable[..., Path]
) -> None:
    """With nothing given, the lines that are printed are enough to sign in and publish."""
    with running(folder=tmp_path / "data") as (url, lines):
        values = dict(re.findall(r"export (\w+)=(.*)\n", "".join(lines)))
        assert values["TABLEAU_SERVER"] == url
        server = TSC.Server(url, use_server_version=True)
        auth = TSC.TableauAuth(
            values["TABLEAU_USERNAME"], values["TABLEAU_PASSWORD"], values["TABLEAU_SITE"]
        )
        with server.auth.sign_in(auth):
            publish(server, None, "By the command", path=hyper(tmp_path / "a.hyper", [(1, "a")]))
        server.session.close()
    assert (tmp_path / "data" / "sandbox.sqlite3").exists()


def test_command_serves_what_its_options_say(tmp_path: Path, tls_files: tuple[Path, Path]) -> None:
    """Site, user, token, connected app, version and TLS are served; no secret is printed."""
    options = [
        *("--site", "Acme", "--user", "ada:pass:word", "--token", "tok:token-secret"),
        *("--connected-app", f"client:id:{'v' * 40}", "--api-version", "3.21"),
        *("--tls", str(tls_files[0]), str(tls_files[1])),
    ]
    with running(*options, folder=tmp_path) as (url, lines):
        assert url.startswith("https://127.0.0.1:")
        text = "".join(lines)
        assert "(API 3.21, sites Default and Acme)" in text
        assert "export TABLEAU_TOKEN_NAME=tok" in text
        assert not re.search("pass:word|token-secret|vvvv", text)
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(url, timeout=30)
        for auth in (
            TSC.TableauAuth("ada", "pass:word", "acme"),
            TSC.PersonalAccessTokenAuth("tok", "token-secret", "Acme"),
        ):
            server = TSC.Server(
                url, use_server_version=True, http_options={"verify": str(tls_files[0])}
            )
            with server.auth.sign_in(auth):
                assert server.version == "3.21"
                assert server.projects.get()[0][0].name == "Default"
            server.session.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--user", "ada"], "--user is not 2 pieces"),
        (["--user", ":hush"], "--user is not 2 pieces"),
        (["--token", "tok:"], "--token is not 2 pieces"),
        (["--connected-app", f"client:{'hush' * 10}"], "--connected-app is not 3 pieces"),
        (["--connected-app", "client:id:hush"], "fewer than 32 characters"),
        (["--site", "a b"], "not a contentUrl"),
        (["--api-version", "latest"], "not a version"),
        (["--port", "70000"], "--port"),
        (["--tls", "cert.pem"], "--tls"),
        (["--tls", "cert.pem", "key.pem"], "--tls"),
    ],
)
def test_malformed_options_are_wrong_usage(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option of another form ends the command with 2, without showing a secret."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, options)
    assert list(tmp_path.iterdir()) == []
    assert result.exit_code == 2
    assert message in result.output
    assert "hush" not in result.output


def test_taken_port_is_a_message(sandbox: Sandbox, tmp_path: Path) -> None:
    """A port in use ends the command with 1 and a message; the folder may come from outside."""
    port = sandbox.url.rpartition(":")[2]
    folder = tmp_path / "from outside"
    result = CliRunner().invoke(command, ["--port", port], obj={"sandbox_dir": lambda: folder})
    assert result.exit_code == 1
    assert re.search(f"Error: Cannot start the sandbox on 127.0.0.1 port {port}: ", result.output)
