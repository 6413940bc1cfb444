"""Sandboxes, clients and files for the sandbox's tests.

One sandbox serves most tests of a run, each in a project of its own; tests about the whole of a
sandbox start their own. Every exchange of a run is kept for the tests of the schema,
of error codes and of COVERAGE.md.
"""

import itertools
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name
from defusedxml.ElementTree import fromstring
from starlette.types import ASGIApp, Message, Receive, Scope, Send
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

from mds_tableau.sandbox import Sandbox, SandboxConfig
from mds_tableau.sandbox.config import SeedWorkbook
from mds_tableau.sandbox.store import Store

USERS = {"ada": "correct horse", "Grace Hopper": "battery:staple"}
TOKENS = {"first": "token-secret-1", "second": "token-secret-2"}
CLIENT_ID, SECRET_ID, SECRET_VALUE = "client-1", "secret-1", "0123456789abcdef" * 3
NAMESPACE = "{http://tableau.com/api}"


@dataclass(frozen=True)
class Exchange:
    """One request of a run and how it was answered.

    Attributes:
        method: Such as GET.
        path: The request's path.
        agent: The client.
        status: The HTTP status of the answer.
        body: The answer's XML, where it is XML.
    """

    method: str
    path: str
    agent: str
    status: int
    body: bytes

    @property
    def code(self) -> str:
        """Tableau's code of an error, "" for other answers."""
        match = re.search(rb'<error code="(\d+)"', self.body)
        return match[1].decode() if match else ""


class Recorder:
    """Wraps an application and keeps each exchange."""

    def __init__(
        self, app: ASGIApp, exchanges: list[Exchange], replies: list[tuple[str, bytes]]
    ) -> None:
        self.app = app
        self.exchanges = exchanges
        self.replies = replies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_xml, status, body = False, 0, bytearray()

        async def keep(message: Message) -> None:
            nonlocal is_xml, status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = dict(message["headers"])
                is_xml = headers.get(b"content-type", b"").startswith(b"application/xml")
            elif is_xml:
                body.extend(message.get("body", b""))
            await send(message)

        await self.app(scope, receive, keep)
        agent = dict(scope["headers"]).get(b"user-agent", b"").decode()
        exchange = Exchange(scope["method"], scope["path"], agent, status, bytes(body))
        self.exchanges.append(exchange)
        if body:
            self.replies.append((f"{scope['method']} {scope['path']}", bytes(body)))


@pytest.fixture(scope="session")
def exchanges() -> list[Exchange]:
    """What was asked and answered in this run so far."""
    return []


@pytest.fixture(scope="session")
def replies() -> list[tuple[str, bytes]]:
    """What was asked, and the XML that was replied, in this run so far."""
    return []


@pytest.fixture(scope="session")
def make_sandbox(
    exchanges: list[Exchange], replies: list[tuple[str, bytes]]
) -> Callable[..., Sandbox]:
    """Makes a sandbox, not started, whose replies are recorded."""

    class RecordingSandbox(Sandbox):
        def application(self, store: Store, base_url: str) -> ASGIApp:
            return Recorder(super().application(store, base_url), exchanges, replies)

    def make(data_dir: Path, **changes: Any) -> Sandbox:
        values: dict[str, Any] = {
            "data_dir": data_dir,
            "site": "Acme",
            "users": USERS,
            "tokens": TOKENS,
            "connected_apps": {(CLIENT_ID, SECRET_ID): SECRET_VALUE},
            # Most tests publish something that only begins like an extract; see `opening`.
            "open_extracts": False,
        }
        return RecordingSandbox(SandboxConfig(**{**values, **changes}))

    return make


@pytest.fixture(scope="session")
def sandbox(
    make_sandbox: Callable[..., Sandbox], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox]:
    """A running sandbox that tests share."""
    with make_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture(scope="session")
def running_faulty(
    make_sandbox: Callable[..., Sandbox], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox]:
    """A running sandbox for tests of faults; what it replies is not recorded."""
    config = make_sandbox(tmp_path_factory.mktemp("faulty")).config
    with Sandbox(config) as running:
        yield running


@pytest.fixture
def faulty(running_faulty: Sandbox) -> Iterator[Sandbox]:
    """A running sandbox whose faults are the test's own."""
    yield running_faulty
    running_faulty.faults.clear()


@pytest.fixture(scope="session")
def opening(
    make_sandbox: Callable[..., Sandbox], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox]:
    """A running sandbox that opens what is published, as sandboxes do unless told otherwise.

    It has a user who is no administrator, and a workbook.
    """
    folder = tmp_path_factory.mktemp("opening")
    workbook = SeedWorkbook(
        name="Shop & more", datasource="Sales", sheets=("Daily", "Weekly"), dashboards=("All",)
    )
    with make_sandbox(
        folder,
        open_extracts=True,
        publishers=frozenset({"Grace Hopper"}),
        projects=("Retail/Daily",),
        workbooks=(workbook,),
    ) as running:
        yield running


@pytest.fixture
def opener(opening: Sandbox, client: Callable[..., TSC.Server]) -> TSC.Server:
    """A TSC server signed in to the sandbox that opens extracts, as an administrator."""
    return client(opening)


@pytest.fixture
def place(opener: TSC.Server) -> TSC.ProjectItem:
    """A new project in the sandbox that opens extracts."""
    return opener.projects.create(TSC.ProjectItem(f"Project {uuid.uuid4().hex[:8]}"))


@pytest.fixture
def ask() -> Callable[..., requests.Response]:
    """Sends one request with a TSC server's session, below its site for paths without a slash."""

    def send(server: TSC.Server, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"x-tableau-auth": server.auth_token, **options.pop("headers", {})}
        site = f"/sites/{server.site_id}/"
        return requests.request(
            method,
            f"{server.server_address}/api/3.25{path if path.startswith('/') else site + path}",
            headers=headers,
            timeout=30,
            **options,
        )

    return send


@pytest.fixture
def client() -> Iterator[Callable[..., TSC.Server]]:
    """Signs in to a sandbox with TSC, as ada unless told otherwise; signs out at the end."""
    servers: list[TSC.Server] = []

    def sign_in(
        sandbox: Sandbox, auth: Any = None, site: str = "", version: str = ""
    ) -> TSC.Server:
        server = TSC.Server(sandbox.url, use_server_version=not version)
        if version:
            server.version = version
        server.auth.sign_in(auth or TSC.TableauAuth("ada", USERS["ada"], site))
        servers.append(server)
        return server

    yield sign_in
    for server in servers:
        server.session.close()


@pytest.fixture
def server(sandbox: Sandbox, client: Callable[..., TSC.Server]) -> TSC.Server:
    """A TSC server signed in to the shared sandbox's Default site."""
    return client(sandbox)


@pytest.fixture
def project(server: TSC.Server) -> TSC.ProjectItem:
    """A new project in the shared sandbox."""
    return server.projects.create(TSC.ProjectItem(f"Project {uuid.uuid4().hex[:8]}"))


@pytest.fixture
def api(sandbox: Sandbox, server: TSC.Server) -> Callable[..., requests.Response]:
    """Sends one request to the shared sandbox, below the site for paths without a slash."""

    def send(method: str, path: str, version: str = "3.25", **options: Any) -> requests.Response:
        headers = {"x-tableau-auth": server.auth_token, **options.pop("headers", {})}
        site = f"/sites/{server.site_id}/"
        return requests.request(
            method,
            f"{sandbox.url}/api/{version}{path if path.startswith('/') else site + path}",
            headers={name: value for name, value in headers.items() if value is not None},
            timeout=30,
            **options,
        )

    return send


@pytest.fixture(scope="session")
def code_of() -> Callable[[requests.Response], str]:
    """Returns the code of an error reply, after checking that it agrees with the HTTP status."""

    def read(response: requests.Response) -> str:
        error = fromstring(response.content).find(f"{NAMESPACE}error")
        assert error is not None, response.text
        code = str(error.get("code"))
        assert code.startswith(str(response.status_code))
        return code

    return read


@pytest.fixture(scope="session")
def multipart() -> Callable[..., dict[str, Any]]:
    """Makes the body and headers of a publish request, as other clients than TSC write them."""

    def make(payload: str | bytes | None, *files: tuple[str, str, bytes]) -> dict[str, Any]:
        parts = [] if payload is None else [("request_payload", "", payload)]
        body = b""
        for name, filename, content in [*parts, *files]:
            content = content.encode() if isinstance(content, str) else content
            head = f'--b\r\nContent-Disposition: name="{name}"; filename="{filename}"\r\n\r\n'
            body += head.encode() + content + b"\r\n"
        return {
            "data": body + b"--b--",
            "headers": {"content-type": 'multipart/mixed; boundary="b"'},
        }

    return make


@pytest.fixture
def extract(tmp_path: Path) -> Callable[..., Path]:
    """Makes a file that looks like an extract; each has content of its own."""
    numbers = itertools.count()

    def make(size: int = 1000, name: str | None = None) -> Path:
        number = next(numbers)
        path = tmp_path / (name or f"extract {number}.hyper")
        content = b"Hyper" + number.to_bytes(4, "big") + uuid.uuid4().bytes
        path.write_bytes((content * (size // len(content) + 1))[:size])
        return path

    return make


@pytest.fixture
def publish(extract: Callable[..., Path]) -> Callable[..., Any]:
    """Publishes a new file with TSC; returns the data source, or the job."""

    def send(
        server: TSC.Server,
        project_id: str | None,
        name: str,
        mode: str = "Overwrite",
        **options: Any,
    ) -> Any:
        path = options.pop("path", None) or extract()
        item = TSC.DatasourceItem(project_id or "", name=name)
        item.description = options.pop("description", None)
        return server.datasources.publish(item, path, mode, **options)

    return send


@pytest.fixture
def stored(sandbox: Sandbox) -> Callable[[str | None], bytes]:
    """Returns the bytes that the shared sandbox serves for a data source."""

    def read(datasource_id: str | None) -> bytes:
        response = requests.get(f"{sandbox.url}/download/{datasource_id}", timeout=30)
        assert response.status_code == 200
        return response.content

    return read


@pytest.fixture
def make_jwt() -> Callable[..., str]:
    """Makes a connected app's JWT; keyword arguments change its claims, None removes one."""

    def make(
        secret: str = SECRET_VALUE, headers: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        claims = {
            "iss": CLIENT_ID,
            "sub": "ada",
            "aud": "tableau",
            "exp": int(time.time()) + 300,
            "jti": uuid.uuid4().hex,
            "scp": ["tableau:content:read"],
            **changes,
        }
        named = {"kid": SECRET_ID, "iss": CLIENT_ID, **(headers or {})}
        return jwt.encode(
            {name: value for name, value in claims.items() if value is not None},
            secret,
            "HS256",
            {name: value for name, value in named.items() if value is not None},
        )

    return make


@pytest.fixture(scope="session")
def hyper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Writes a real extract with some rows, or asks one for its rows."""
    table = TableDefinition(
        TableName("Extract", "Extract"),
        [TableDefinition.Column("n", SqlType.int()), TableDefinition.Column("t", SqlType.text())],
    )
    folder = tmp_path_factory.mktemp("hyper")
    with HyperProcess(
        Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
    ) as process:

        def run(path: Path, rows: list[tuple[int, str]] | None = None) -> Any:
            mode = CreateMode.NONE if rows is None else CreateMode.CREATE
            path = path if path.is_absolute() else folder / path
            with Connection(process.endpoint, path, mode) as connection:
                if rows is None:
                    return [
                        tuple(row)
                        for row in connection.execute_list_query(
                            f"SELECT n, t FROM {table.table_name} ORDER BY n"
                        )
                    ]
                connection.catalog.create_schema("Extract")
                connection.catalog.create_table(table)
                with Inserter(connection, table) as inserter:
                    inserter.add_rows(rows)
                    inserter.execute()
            return path

        yield run


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests about the whole run last, so that they see all others in any order."""
    items.sort(key=lambda item: "_of_this_run_" in item.name)
