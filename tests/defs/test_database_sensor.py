"""The sensor of databases, over real databases, a project of two of them and an instance."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from mds_tableau.database_sources import DatabaseSource
from mds_tableau.defs.database_sensor import database_sensor
from mds_tableau.pipeline import build_definitions
from mds_tableau.settings import load_settings
from tests.pipeline import ROOT, Workplace

pytestmark = pytest.mark.dbt

ORDERS, CUSTOMERS = dg.AssetKey(["raw", "orders"]), dg.AssetKey(["raw", "customers"])

SOURCES = {
    ORDERS: DatabaseSource(
        *("source.counter.raw.orders", "raw.orders", "models/sources.yml"),
        *("warehouse", "raw", "orders", "SHOP_DATABASE_URL", "orders"),
        increasing="order_id",
    ),
    CUSTOMERS: DatabaseSource(
        *("source.counter.raw.customers", "raw.customers", "models/sources.yml"),
        *("warehouse", "raw", "customers", "CRM_DATABASE_URL", "customers"),
    ),
}

PASSWORD = "hunter2-of-the-shop"

OF_ORDERS = {"raw/orders", "stg_orders", "sales", "dbt/run_results"} | {
    f"{stage}/sales" for stage in ("parquet", "hyper", "tableau")
}


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    """The definitions of a project whose sources are tables of two databases."""
    place = Workplace.create(
        tmp_path_factory.mktemp("counter"), ROOT / "tests" / "projects" / "counter"
    )
    with pytest.MonkeyPatch.context() as environment:
        for name, value in place.environment.items():
            environment.setenv(name, value)
        return build_definitions(load_settings(None))


class Ticks:
    """The sensor over two databases, with the cursor that Dagster would keep for it."""

    def __init__(
        self, definitions: dg.Definitions, instance: dg.DagsterInstance, folder: Path
    ) -> None:
        self.definitions, self.instance = definitions, instance
        self.shop, self.crm = folder / "shop.sqlite", folder / "crm.sqlite"
        self.cursor: str | None = None
        self.sources = dict(SOURCES)
        self.do(self.shop, "CREATE TABLE orders (order_id INTEGER, net REAL)")
        self.do(self.shop, "INSERT INTO orders VALUES (1, 0.5), (2, 1.5)")
        self.do(self.crm, "CREATE TABLE customers (customer_id INTEGER, name TEXT)")
        self.do(self.crm, "INSERT INTO customers VALUES (1, 'Ann')")

    def do(self, file: Path, sql: str) -> None:
        """Change a database."""
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(sql)

    def tick(self) -> dg.SensorResult:
        """Evaluate the sensor once, made anew as by a daemon that was started again."""
        sensor = database_sensor(self.sources, seconds=60, status=dg.DefaultSensorStatus.STOPPED)
        context = dg.build_sensor_context(
            cursor=self.cursor,
            instance=self.instance,
            definitions=self.definitions,
            sensor_name="databases_changed",
        )
        result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return result

    def run(self) -> set[str]:
        """Evaluate once, and return what the one run that is asked for builds."""
        [request] = self.tick().run_requests or ()
        return {key.to_user_string() for key in request.asset_selection or ()}

    def skipped(self) -> str:
        """Evaluate once, and return why no run was asked for."""
        result = self.tick()
        assert not result.run_requests
        return str(result.skip_reason.skip_message) if result.skip_reason else ""


@pytest.fixture
def ticks(
    counter: dg.Definitions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ticks]:
    """Everything was built once, and both databases were seen."""
    with dg.DagsterInstance.ephemeral() as instance:
        for key in counter.resolve_asset_graph().materializable_asset_keys:
            instance.report_runless_asset_event(dg.AssetMaterialization(key))
        found = Ticks(counter, instance, tmp_path)
        monkeypatch.setenv("SHOP_DATABASE_URL", str(found.shop))
        monkeypatch.setenv("CRM_DATABASE_URL", str(found.crm))
        assert {"tableau/sales", "tableau/people"} <= found.run()
        yield found


NONE = "None of 2 tables in databases has changed."


def test_newer_rows_start_a_run_of_what_is_made_of_them(ticks: Ticks) -> None:
    """A larger value of the increasing column is one run of its marts alone, and no second one."""
    assert ticks.skipped() == NONE
    ticks.do(ticks.shop, "INSERT INTO orders VALUES (3, 2.5)")
    assert ticks.run() == OF_ORDERS
    assert ticks.skipped() == NONE


def test_without_an_increasing_column_rows_are_counted(ticks: Ticks) -> None:
    """Another number of rows is a change."""
    ticks.do(ticks.crm, "INSERT INTO customers VALUES (2, 'Bo')")
    assert "tableau/people" in ticks.run()
    ticks.do(ticks.crm, "DELETE FROM customers")
    assert "tableau/people" in ticks.run()


def test_database_that_is_away_is_told_and_does_not_stop_the_other(
    ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason has no password; the other database goes on; back again, nothing has changed."""
    url = f"postgresql://ann:{PASSWORD}@127.0.0.1:1/shop"
    monkeypatch.setenv("SHOP_DATABASE_URL", url)
    said = ticks.skipped()
    assert said.startswith("Cannot tell whether raw.orders changed: ")
    assert "127.0.0.1" in said
    ticks.do(ticks.crm, "INSERT INTO customers VALUES (2, 'Bo')")
    assert "tableau/people" in ticks.run()
    assert PASSWORD not in said + str(ticks.cursor)
    monkeypatch.setenv("SHOP_DATABASE_URL", str(ticks.shop))
    assert ticks.skipped() == NONE


def test_what_cannot_be_asked_is_told_for_each_source(
    ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that is not set and a table that is not there are told together."""
    monkeypatch.delenv("SHOP_DATABASE_URL")
    ticks.do(ticks.crm, "DROP TABLE customers")
    said = ticks.skipped()
    assert "raw.orders changed: SHOP_DATABASE_URL is not set. Set it to the" in said
    assert "raw.customers changed: " in said
    assert "customers" in said.partition("raw.customers changed: ")[2]


def test_another_table_or_database_is_a_change(
    ticks: Ticks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is remembered is of the place that was asked, not of the source's name."""
    ticks.sources[CUSTOMERS] = replace(ticks.sources[CUSTOMERS], increasing="customer_id")
    assert "tableau/people" in ticks.run()
    other = ticks.shop.with_name("other.sqlite")
    other.write_bytes(ticks.shop.read_bytes())
    monkeypatch.setenv("SHOP_DATABASE_URL", str(other))
    assert ticks.run() == OF_ORDERS


def test_queries_are_left_to_the_schedules(ticks: Ticks) -> None:
    """A source that a query reads is not asked, and the sensor's description says so."""
    ticks.sources[CUSTOMERS] = replace(
        ticks.sources[CUSTOMERS], table="", query="select * from customers"
    )
    ticks.do(ticks.crm, "INSERT INTO customers VALUES (2, 'Bo')")
    assert ticks.skipped() == "None of 1 tables in databases has changed."
    sensor = database_sensor(ticks.sources, seconds=60, status=dg.DefaultSensorStatus.STOPPED)
    assert "Does not look at what a query reads: raw.customers." in str(sensor.description)


def test_table_that_grows_all_the_time_has_one_run_after_another(ticks: Ticks) -> None:
    """While a run of this sensor goes on, changes wait, and are then one run."""
    job = ticks.definitions.resolve_job_def("refresh_all")
    run = ticks.instance.create_run_for_job(
        job, status=DagsterRunStatus.STARTED, tags={"dagster/sensor_name": "databases_changed"}
    )
    ticks.do(ticks.shop, "INSERT INTO orders VALUES (3, 2.5)")
    assert ticks.skipped() == "raw.orders changed; waiting for the run that was started before."
    ticks.do(ticks.shop, "INSERT INTO orders VALUES (4, 2.5)")
    assert ticks.skipped() == "raw.orders changed; waiting for the run that was started before."
    ticks.instance.report_run_failed(run)
    assert ticks.run() == OF_ORDERS
