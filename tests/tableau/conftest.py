"""A running sandbox and a small extract for the tests of the publisher."""

import socket
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from mds_tableau.conversion import convert
from mds_tableau.export import export_mart
from mds_tableau.export_plan import MartExport
from mds_tableau.hyper import Hyper
from mds_tableau.sandbox import Sandbox, SandboxConfig
from mds_tableau.tableau import Session, Token, sign_in

TOKEN = Token("publisher", "a-secret-of-a-token")
APP = ("client-1", "secret-1", "0123456789abcdef0123456789abcdef0123456789ab")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox with one of each kind of credentials and a site `retail`."""
    config = SandboxConfig(
        data_dir=tmp_path / "sandbox",
        site="retail",
        users={"ada": "a-password"},
        tokens={TOKEN.name: TOKEN.value},
        connected_apps={APP[:2]: APP[2]},
    )
    with Sandbox(config, host="127.0.0.1", port=0) as sandbox:
        yield sandbox


@pytest.fixture
def session(server: Sandbox) -> Iterator[Session]:
    """A session on the default site."""
    with sign_in(server.url, "", TOKEN) as session:
        yield session


@pytest.fixture(scope="session")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `.hyper` of 1,000 rows."""
    folder = tmp_path_factory.mktemp("extract")
    with duckdb.connect() as connection, Hyper() as hyper:
        connection.execute("CREATE TABLE t AS SELECT range AS id FROM range(1000)")
        version = export_mart(connection, MartExport("t", "t", "t.sql"), folder / "parquet")
        return convert(hyper, version, extract="t", folder=folder).path


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port of this machine where nobody listens, and that nobody else gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])
