"""A server with published extracts, and what types commands."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mds_tableau.cli import main
from mds_tableau.hyper import Hyper
from mds_tableau.sandbox import Sandbox, SandboxConfig
from mds_tableau.tableau import Password, Token, publish, sign_in

TOKEN = Token("looker", "a-secret-of-a-token")
APP = ("client-1", "secret-1", "0123456789abcdef0123456789abcdef0123456789ab")
PUBLISHER = Password("grace", "battery-staple")

Run = Callable[..., Result]
Make = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Types a command, in this process; nothing is set but the data folder and what is given."""

    def typed(*arguments: object, **variables: str) -> Result:
        with pytest.MonkeyPatch.context() as environment:
            environment.chdir(tmp_path)
            for name, value in {"MDS_DATA_DIR": str(tmp_path / "data"), **variables}.items():
                environment.setenv(name, value)
            return CliRunner().invoke(main, list(map(str, arguments)))

    return typed


@pytest.fixture(scope="session")
def make_hyper(hyper: Hyper) -> Make:
    """Makes a `.hyper` by SQL alone, as other programs do, with none of our ways of making one."""

    def make(path: Path, *commands: str, version: int = 4) -> Path:
        with hyper.connect() as connection:
            connection.execute_command(f'CREATE DATABASE "{path}" WITH VERSION {version}')
        with hyper.connect(path) as connection:
            for command in commands:
                connection.execute_command(command)
        return path

    return make


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A server with two projects of one name, a token, an app, and a user who may do little."""
    config = SandboxConfig(
        data_dir=tmp_path_factory.mktemp("server"),
        users={"ada": "a-password", PUBLISHER.username: PUBLISHER.password},
        publishers=frozenset({PUBLISHER.username}),
        tokens={TOKEN.name: TOKEN.value},
        connected_apps={APP[:2]: APP[2]},
        projects=("Retail/Daily", "Archive/Daily"),
    )
    with Sandbox(config, host="127.0.0.1", port=0) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def extracts(make_hyper: Make, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two extracts: one with texts that are hard to write as CSV, and an older one of one row."""
    folder = tmp_path_factory.mktemp("extracts")
    table = (
        'CREATE TABLE "Extract"."Extract" ("id" int, "Name" text, "name" text, "at" timestamptz)'
    )
    begin = ('CREATE SCHEMA "Extract"', table)
    insert = 'INSERT INTO "Extract"."Extract" VALUES'
    rows = (
        "(1, 'a \"b\", c', NULL, timestamptz '2026-01-02 03:04:05.5+01')",
        "(2, '', 'line' || chr(10) || 'end', NULL)",
        "(3, NULL, 'Größe 💾', NULL)",
    )
    return [
        make_hyper(folder / "old.hyper", *begin, f"{insert} (0, 'old', NULL, NULL)"),
        make_hyper(folder / "new.hyper", *begin, *(f"{insert} {row}" for row in rows)),
    ]


@pytest.fixture(scope="module")
def published(server: Sandbox, extracts: list[Path]) -> Sandbox:
    """The server, with `Sales` in each Daily (in one of them twice), and `Only` in Default."""
    old, new = extracts
    with sign_in(server.url, "", TOKEN) as session:
        for path, name, project in (
            (old, "Sales", "Retail/Daily"),
            (new, "Sales", "Retail/Daily"),
            (old, "Sales", "Archive/Daily"),
            (new, "Only", "Default"),
        ):
            publish(session, path, datasource=name, project=project)
    return server


@pytest.fixture
def on_server(run: Run, published: Sandbox) -> Run:
    """Types a command for that server."""

    def typed(*arguments: object, **variables: str) -> Result:
        way = {"TABLEAU_TOKEN_NAME": TOKEN.name, "TABLEAU_TOKEN_VALUE": TOKEN.value}
        return run(*arguments, **{"TABLEAU_SERVER": published.url, **way, **variables})

    return typed


def told(result: Result) -> Any:
    """What a command that went well printed as JSON."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port of this machine where nobody listens, and that nobody else gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])
