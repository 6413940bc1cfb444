"""A dbt project of another shape, by setting and beside a team's own `@dbt_assets`."""

import os
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

from mds_tableau.defs.project import dbt_resource, find_project, prepare
from mds_tableau.pipeline import build_definitions, extract_definitions
from mds_tableau.settings import child_environment
from tests.pipeline import (
    ROOT,
    Workplace,
    execute,
    failures,
    held_by_sandbox,
    rows_in_duckdb,
)

pytestmark = [pytest.mark.e2e, pytest.mark.dbt, pytest.mark.hyper]


@pytest.fixture
def shop(tmp_path: Path) -> Workplace:
    """No marts folder, schemas with a prefix, an alias, versions, quoted names, a seed."""
    project = ROOT / "tests" / "projects" / "shop"
    return Workplace.create(tmp_path / "the shop", project, MDS_MARTS="reporting")


def _same_as_the_warehouse(shop: Workplace, scratch: Path) -> None:
    held = held_by_sandbox(shop.data, scratch)
    assert set(held) == {"Revenue, daily", "customers_v2"}
    warehouse = shop.project / "db" / "the shop.duckdb"
    for datasource, relation in {
        "Revenue, daily": 'prefix_reporting."Revenue per Day"',
        "customers_v2": "prefix_reporting.customers_v2",
    }.items():
        assert held[datasource].rows == rows_in_duckdb(warehouse, relation)
    assert held["Revenue, daily"].columns == (
        ("Ordered On", "DATE"),
        ("Total Amount", "NUMERIC(38, 2)"),
    )


def test_another_project_by_setting(shop: Workplace, tmp_path: Path) -> None:
    """With MDS_DBT_PROJECT and a selection, any dbt-duckdb project is published unchanged."""
    definitions = build_definitions(shop.settings())
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(definitions, "*", instance)
    assert failures(result) == {}
    _same_as_the_warehouse(shop, tmp_path / "scratch")


MOMENTS = """
select
    cast(moment as date) as day,
    1 / 2 as half,
    (select value from (values (1), (null)) as given(value) order by value limit 1) as lowest,
    moment
from (values (timestamptz '2026-07-01 02:00:00+00')) as given(moment)
"""
"""What depends on three settings, and what does not."""


def _with_settings(shop: Workplace) -> Workplace:
    """The project with settings in its profile, and a view and a table that depend on them."""
    profile = shop.project / "profiles.yml"
    profile.write_text(
        profile.read_text()
        + "      config_options: {default_null_order: nulls_first, access_mode: automatic}\n"
        "      settings: {TimeZone: America/New_York, integer_division: true,\n"
        "                 http_proxy_password: hushed}\n"
    )
    reporting = shop.project / "models" / "reporting"
    for name in ("view", "table"):
        config = f"{{{{ config(materialized='{name}') }}}}"
        (reporting / f"as_{name}.sql").write_text(config + MOMENTS)
        (reporting / f"as_{name}.yml").write_text(
            f"models: [{{name: as_{name}, columns: [{{name: day, data_tests: "
            "[{accepted_values: {arguments: {values: ['2026-06-30']}}}]}]}]"
        )
    return shop


AS_TESTED = [("2026-06-30", "0", None, "2026-07-01 02:00:00+00")]


def test_views_are_read_with_the_settings_of_the_profile(shop: Workplace, tmp_path: Path) -> None:
    """A view is published as dbt tested it, like a table of it, and no setting is written down."""
    definitions = build_definitions(_with_settings(shop).settings())
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(definitions, "*", instance)
    assert failures(result) == {}
    held = held_by_sandbox(shop.data, tmp_path / "scratch")
    assert held["as_view"].rows == held["as_table"].rows == AS_TESTED
    derived = [*shop.data.rglob("*"), *(shop.project / "target").rglob("*")]
    assert not [path for path in derived if path.is_file() and b"hushed" in path.read_bytes()]
    assert "hushed" not in "".join(str(event) for event in result.all_events)


class TeamTranslator(DagsterDbtTranslator):
    """A team's own names for its assets."""

    def get_asset_key(self, dbt_resource_props: Any) -> dg.AssetKey:
        """Put everything below `team`."""
        return super().get_asset_key(dbt_resource_props).with_prefix("team")


def _team(shop: Workplace) -> dg.Definitions:
    settings = shop.settings()
    warehouse = shop.project / "db" / "the shop.duckdb"
    warehouse.parent.mkdir(exist_ok=True)
    # dagster-dbt's own preparation takes dbt from PATH, as in an activated environment
    os.environ["PATH"] = child_environment()["PATH"]
    project = DbtProject(project_dir=shop.project)
    project.preparer.prepare(project)

    @dbt_assets(
        manifest=project.manifest_path, project=project, dagster_dbt_translator=TeamTranslator()
    )
    def team_assets(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Any:
        yield from dbt.cli(["build"], context=context).stream()

    own = dg.Definitions(assets=[team_assets], resources={"dbt": dbt_resource(project)})
    return dg.Definitions.merge(
        own,
        extract_definitions(
            project.manifest_path,
            duckdb_path=warehouse,
            translator=TeamTranslator(),
            settings=settings,
        ),
    )


def test_right_half_beside_a_teams_own_dbt_assets(shop: Workplace, tmp_path: Path) -> None:
    """One call adds the extracts to a project that has its own dbt assets and translator."""
    definitions = _team(shop)
    graph = definitions.resolve_asset_graph()
    parquet = graph.get(dg.AssetKey(["parquet", "revenue"]))
    assert parquet.parent_keys == {dg.AssetKey(["team", "reporting", "revenue"])}
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(definitions, "*", instance)
    assert failures(result) == {}
    _same_as_the_warehouse(shop, tmp_path / "scratch")


def _rows(part: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(
            "SELECT COLUMNS(*)::VARCHAR FROM read_parquet(?)", [str(part)]
        ).fetchall()


def test_views_of_a_team_are_read_with_the_settings_it_names(shop: Workplace) -> None:
    """What the profile of a team says is not known, so it is said in the call."""
    settings = _with_settings(shop).settings()
    prepared = prepare(find_project(settings), "as_view")
    prepared.warehouse.parent.mkdir()
    session = {"TimeZone": "America/New_York", "integer_division": True}
    with duckdb.connect(str(prepared.warehouse)) as connection:
        for name, value in session.items():
            connection.execute(f"SET {name} = '{value}'")
        connection.execute("CREATE SCHEMA prefix_reporting")
        connection.execute(f"CREATE VIEW prefix_reporting.as_view AS {MOMENTS}")
    os.environ["MDS_MARTS"] = "as_view"
    definitions = extract_definitions(
        prepared.manifest.content,
        duckdb_path=prepared.warehouse,
        duckdb_settings={**session, "default_null_order": "nulls_first"},
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(definitions, "parquet/as_view", instance)
    assert failures(result) == {}
    [part] = (shop.data / "parquet" / "as_view").rglob("*.parquet")
    assert _rows(part) == AS_TESTED


def test_failed_check_of_the_team_holds_the_export_back(shop: Workplace) -> None:
    """After a team's dbt test failed, exporting that mart alone is refused; others are exported."""
    model = shop.project / "models" / "reporting" / "finance" / "customers_v2.sql"
    model.write_text(model.read_text().replace("cast(customer as", "cast('same' as"))
    definitions = _team(shop)
    with dg.DagsterInstance.ephemeral() as instance:
        execute(definitions, "kind:dbt", instance)
        result = execute(definitions, "key:parquet/*", instance)
    said = failures(result)
    assert set(said) == {"parquet__customers_v2"}
    assert "dbt test 'unique_customers_v2_customer' failed" in said["parquet__customers_v2"]
