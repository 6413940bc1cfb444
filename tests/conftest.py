"""What all tests share: an environment without settings, a DuckDB, and two Hyper processes.

One Hyper is ours and converts; the other is opened by the official API alone and reads back.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import hypothesis
import pytest
from tableauhyperapi import Connection, HyperProcess, Telemetry

from mds_tableau.column_options import ColumnOptions
from mds_tableau.export import export_mart
from mds_tableau.export_plan import MartExport
from mds_tableau.hyper import Hyper
from mds_tableau.parquet import ParquetVersion
from mds_tableau.settings import TELEMETRY_OFF
from tests import fault_cases
from tests.postgres_server import NoServerError, postgres_server
from tests.type_cases import known
from tests.type_marts import Made, make
from tests.types_table import CASES

# machines that run tests are shared, and a slow example there says nothing
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.register_profile("long", deadline=None, max_examples=20_000)
hypothesis.settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option that writes the documents which tests make."""
    parser.addoption("--write-docs", action="store_true", help="write docs/types.md anew")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Shares out the tests, where there are several processes."""
    from tests.processes import Sharing

    return Sharing(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tells how many cases of the fault matrix there were, and what came of them."""
    stats = terminalreporter.stats
    if line := fault_cases.summary([*stats.get("passed", ()), *stats.get("failed", ())]):
        terminalreporter.write_line(line)


_KEPT = {"TABLEAU_REST_XSD"}
"""Variables that say where tests find something, and that the package does not read."""


@contextmanager
def _environment_without_settings() -> Iterator[None]:
    saved = dict(os.environ)
    for name in saved:
        is_ours = name.upper().startswith(("TABLEAU_", "MDS_", "DBT_")) or name == "DAGSTER_HOME"
        if is_ours and name not in _KEPT:
            del os.environ[name]
    os.environ.update(TELEMETRY_OFF)
    yield
    os.environ.clear()
    os.environ.update(saved)


@pytest.fixture(scope="session", autouse=True)
def _session_environment() -> Iterator[None]:
    """Hides the settings of whoever runs the tests from fixtures of the session."""
    with _environment_without_settings():
        yield


@pytest.fixture(scope="module", autouse=True)
def _module_environment() -> Iterator[None]:
    """Takes back what a fixture of a module has set, before the next module comes."""
    with _environment_without_settings():
        yield


@pytest.fixture(autouse=True)
def _test_environment() -> Iterator[None]:
    """Hides settings that another test or a fixture left behind, and takes back its own."""
    with _environment_without_settings():
        yield


@pytest.fixture(scope="session")
def hyper() -> Iterator[Hyper]:
    """A running Hyper that tests share."""
    with Hyper() as running:
        yield running


@pytest.fixture(scope="session")
def query_hyper() -> Iterator[Callable[..., list[list[Any]]]]:
    """Asks a `.hyper` by SQL through the official API, in a process of its own."""
    with HyperProcess(
        Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
    ) as process:

        def ask(path: Path, sql: str = 'SELECT * FROM "Extract"."Extract"') -> list[list[Any]]:
            with Connection(process.endpoint, path) as connection:
                rows: list[list[Any]] = connection.execute_list_query(sql)
                return rows

        yield ask


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a running PostgreSQL that tests share."""
    try:
        with postgres_server() as url:
            yield url
    except NoServerError as error:
        pytest.skip(f"no PostgreSQL: {error}")


@pytest.fixture
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory, in UTC."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


@pytest.fixture
def export(duck: duckdb.DuckDBPyConnection, tmp_path: Path) -> Callable[..., ParquetVersion]:
    """Makes a mart of a SELECT and exports it."""

    def run(
        select: str,
        *,
        folder: Path | None = None,
        options: Mapping[str, ColumnOptions] | None = None,
    ) -> ParquetVersion:
        duck.execute(f"CREATE OR REPLACE VIEW mart AS {select}")
        mart = MartExport("mart", '"mart"', "models/mart.sql", options or {}, compiled=select)
        return export_mart(duck, mart, folder or tmp_path / "parquet" / "mart")

    return run


@pytest.fixture(scope="session")
def every_type(hyper: Hyper, tmp_path_factory: pytest.TempPathFactory) -> list[Made]:
    """The table of types, in two extracts: Hyper is asked otherwise when it reads a geography."""
    made = []
    for is_geography in (False, True):
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            cases = [case for case in CASES if (case.hyper == "GEOGRAPHY") == is_geography]
            folder = tmp_path_factory.mktemp("every_type")
            made.append(make(connection, hyper, folder, known(connection, cases)))
    return made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    folder = tmp_path / "small disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not (mount and unmount) or subprocess.run([mount, *options], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here, so none can be filled")
    yield folder
    subprocess.run([unmount, "--lazy", str(folder)], check=True)
