"""Tables of two databases to Tableau; one that cannot be read keeps back what is built of it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from mds_tableau.pipeline import build_definitions
from tests.e2e.webserver import make_home
from tests.pipeline import ROOT, Workplace, execute, failures, held_by_sandbox, rows_in_duckdb
from tests.postgres_server import fresh_database, run_sql

pytestmark = [pytest.mark.e2e, pytest.mark.dbt, pytest.mark.hyper]

PASSWORD = "hunter2-of-the-shop"


def _run_sqlite(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def _metadata(result: dg.ExecuteInProcessResult, key: str) -> dict[str, object]:
    [event] = [
        event
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey.from_user_string(key)
    ]
    return {k: v.value for k, v in event.materialization.metadata.items()}


def test_from_the_databases_to_the_server(postgres: str, tmp_path: Path) -> None:
    """What is read is published; a source that fails stops its own mart, and says so at the end."""
    shop = fresh_database(postgres, "counter")
    run_sql(
        shop,
        "CREATE TABLE orders (order_id int, customer_id int, net numeric(10,2))",
        "INSERT INTO orders SELECT n, n % 2, n + 0.5 FROM generate_series(1, 5) AS n",
    )
    people = tmp_path / "people.sqlite"
    _run_sqlite(
        people,
        "CREATE TABLE customers (customer_id INTEGER, name TEXT)",
        "INSERT INTO customers VALUES (0, 'Ann'), (1, 'Zoë')",
    )
    home = make_home(tmp_path / "home")
    place = Workplace.create(
        tmp_path / "counter",
        ROOT / "tests" / "projects" / "counter",
        SHOP_DATABASE_URL=shop.replace("postgres@", f"postgres:{PASSWORD}@"),
        CRM_DATABASE_URL=str(people),
    )
    warehouse = place.data / "warehouse.duckdb"
    definitions = build_definitions(place.settings())
    graph = definitions.resolve_asset_graph()
    orders = graph.get(dg.AssetKey(["raw", "orders"]))
    assert (orders.group_name, orders.is_materializable) == ("raw", True)
    assert orders.child_keys == {dg.AssetKey(["stg_orders"])}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        first = execute(definitions, "*", instance)
        assert failures(first) == {}
        assert _metadata(first, "raw/orders") | {"mode": "full", "rows_read": 5} == _metadata(
            first, "raw/orders"
        )
        held = held_by_sandbox(place.data, tmp_path / "first")
        assert held["sales"].rows == rows_in_duckdb(warehouse, "main.sales")
        assert held["people"].rows == [("0", "Ann"), ("1", "Zoë")]

        # the shop gets what no decimal can be, the people get one more
        run_sql(shop, "INSERT INTO orders VALUES (6, 1, 'NaN')")
        _run_sqlite(people, "INSERT INTO customers VALUES (2, 'Łuk')")
        broken = execute(definitions, "*", instance)
        said = failures(broken)
        assert list(said) == ["dbt__run_results_dbt_succeeded"]
        assert (
            "source raw.orders: Cannot read the dbt source 'raw.orders'"
            in said["dbt__run_results_dbt_succeeded"]
        )
        held = held_by_sandbox(place.data, tmp_path / "second")
        assert (held["sales"].revision, len(held["sales"].rows)) == (1, 5)
        assert (held["people"].revision, len(held["people"].rows)) == (2, 3)
        assert len(rows_in_duckdb(warehouse, "raw.orders")) == 5
        refused = failures(execute(definitions, "parquet/sales", instance))["parquet__sales"]
        assert "'sales' (models/marts/sales.sql) is held back" in refused
        assert "dbt source 'raw.orders'" in refused

        # who builds the model alone has it of what is there, and is told
        alone = execute(definitions, "sales", instance)
        assert failures(alone) == {}
        logged = [entry.user_message for entry in instance.all_logs(alone.run_id)]
        [warning] = [text for text in logged if "is as of the time before" in text]
        assert "source 'raw.orders' is not read in this run, and could not be read" in warning

        run_sql(shop, "UPDATE orders SET net = 6.5 WHERE order_id = 6")
        mended = execute(definitions, "*tableau/sales", instance)
        assert failures(mended) == {}
        found = _metadata(mended, "raw/orders")
        assert (found["mode"], found["rows_read"], found["dagster/row_count"]) == (
            "increasing",
            2,
            6,
        )
        assert found["largest"] == "6"
        assert len(rows_in_duckdb(warehouse, "raw.orders")) == 6
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if PASSWORD.encode() in path.read_bytes()] == []
