"""Dagster's own Tableau integration against the sandbox.

It is no dependency of this project; the version that belongs to the installed Dagster is put into
pytest's cache at the first run and used from there, and without a package index that is skipped. It
speaks HTTPS only and signs in with a connected app.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name

from mds_tableau.sandbox import Sandbox
from mds_tableau.sandbox.config import SeedWorkbook
from tests.certificates import self_signed
from tests.sandbox.conftest import CLIENT_ID, SECRET_ID, SECRET_VALUE, USERS, Exchange

AGENT = "dagster-tableau"
INSTALL_SECONDS = 240

PROGRAM = """
import json, sys
from dagster_tableau import TableauServerWorkspace
from dagster_tableau import load_tableau_asset_specs
server, client, secret, value, site = sys.argv[1:]
workspace = TableauServerWorkspace(
    server_name=server, connected_app_client_id=client, connected_app_secret_id=secret,
    connected_app_secret_value=value, username="ada", site_name=site,
)
specs = load_tableau_asset_specs(workspace)
with workspace.get_client() as client:
    [source] = client.get_data_sources()
    job = client.refresh_data_source(source.id)
    states = [client.get_job(job.id).finish_code for _ in range(2)]
shown = {spec.key.to_user_string(): sorted(d.asset_key.to_user_string() for d in spec.deps)
         for spec in specs}
print(json.dumps([shown, states]))
"""


@pytest.fixture(scope="session")
def library(request: pytest.FixtureRequest) -> Path:
    """The folder with dagster-tableau in it."""
    wanted = f"dagster-tableau=={version('dagster-dbt')}"
    folder = request.config.cache.mkdir(wanted.replace("=", "-"))
    if not (folder / "dagster_tableau").is_dir():
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
                *("--target", str(folder), wanted),
            ],
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"{wanted} cannot be installed here: {done.stderr.strip()[-200:]}")
    return folder


@pytest.fixture
def secure(make_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Iterator[tuple[Sandbox, Path]]:
    """A sandbox that speaks HTTPS, with a workbook, and its certificate."""
    certificate, key = self_signed(tmp_path)
    workbook = SeedWorkbook(name="Shop", datasource="Sales", dashboards=("All",))
    plain = make_sandbox(tmp_path / "data", workbooks=(workbook,))
    with type(plain)(plain.config, tls=(certificate, key)) as sandbox:
        yield sandbox, certificate


def test_workspace_is_loaded_and_refresh_is_followed(
    library: Path,
    secure: tuple[Sandbox, Path],
    publish: Callable[..., Any],
    exchanges: list[Exchange],
) -> None:
    """It finds the workbook's sheet and dashboard and what they are made from, and polls a job."""
    sandbox, certificate = secure
    options = {"verify": str(certificate)}
    server = TSC.Server(sandbox.url, use_server_version=True, http_options=options)
    with server.auth.sign_in(TSC.TableauAuth("ada", USERS["ada"], "Acme")):
        publish(server, None, "Sales")
    server.session.close()
    start = len(exchanges)
    address = sandbox.url.removeprefix("https://")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, address, CLIENT_ID, SECRET_ID, SECRET_VALUE, "Acme"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": str(library),
            "REQUESTS_CA_BUNDLE": str(certificate),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        },
    )
    assert done.returncode == 0, done.stderr
    exchanges[start:] = [replace(one, agent=AGENT) for one in exchanges[start:]]
    shown, states = json.loads(done.stdout.splitlines()[-1])
    assert shown == {
        "shop/sheet/sheet_1": ["sales"],
        "shop/dashboard/all": ["shop/sheet/sheet_1"],
        "sales": [],
    }
    # Its session is scoped, and a pushed extract is not refreshed.
    assert states == [-1, 1]
    assert requests.get(sandbox.url, timeout=30, verify=str(certificate)).status_code == 200
