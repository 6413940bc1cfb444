"""A mart that lost rows does not take the place of what analysts see, unless somebody says so."""

import logging
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import yaml

from mds_tableau.defs.stages import FORCE
from mds_tableau.pipeline import build_definitions, extract_definitions
from tests.pipeline import ROOT, Held, Workplace, execute, failures, held_by_sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.dbt, pytest.mark.hyper]

STEP = "tableau__revenue"
STAGES = ("parquet", "hyper", "tableau")


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A small project built by dbt, whose mart `revenue` has a row for each of ten days.

    Beside it there is a copy.
    """
    folder = tmp_path_factory.mktemp("row_falls")
    place = Workplace.create(
        folder / "the shop", ROOT / "tests" / "projects" / "shop", MDS_MARTS="reporting"
    )
    lines = [f"{day},Ada,10.50,2026-01-{day:02}" for day in range(1, 11)]
    seed = place.project / "seeds" / "orders.csv"
    seed.write_text("\n".join(["order_id,customer,amount,ordered_on", *lines, ""]))
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(build_definitions(place.settings()), "kind:dbt", instance)
    assert failures(result) == {}
    shutil.copytree(place.folder, folder / "pristine")
    return place


@pytest.fixture
def shop(built_once: Workplace) -> Workplace:
    """The project as dbt had built it; nothing is exported or published yet."""
    shutil.rmtree(built_once.folder)
    shutil.copytree(built_once.folder.with_name("pristine"), built_once.folder)
    return built_once


def _warehouse(shop: Workplace) -> Path:
    return shop.project / "db" / "the shop.duckdb"


def _keep(shop: Workplace, days: int) -> None:
    """Leave the mart only its rows of the first so many days."""
    with duckdb.connect(str(_warehouse(shop))) as connection:
        connection.execute(
            'DELETE FROM prefix_reporting."Revenue per Day" WHERE day("Ordered On") > ?', [days]
        )


def _publish(shop: Workplace, extracts: str = "revenue") -> dict[str, str]:
    """Export, convert and publish what the warehouse has; return what the failed steps say."""
    stages = " or ".join(f"key:{stage}/{extracts}" for stage in STAGES)
    with dg.DagsterInstance.ephemeral() as instance:
        return failures(execute(build_definitions(shop.settings()), stages, instance))


def _publish_with(shop: Workplace, config: Mapping[str, Any]) -> dict[str, str]:
    """Publish `revenue` again with a run config, as the UI does."""
    job = build_definitions(shop.settings()).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(["tableau", "revenue"])],
            run_config=config,
            raise_on_error=False,
        )
    return failures(result)


def _held(shop: Workplace) -> Held:
    return held_by_sandbox(shop.data, shop.folder / "scratch")["Revenue, daily"]


def test_empty_mart_is_published_only_when_it_may_be(shop: Workplace) -> None:
    """Without rows it is refused, also the first time; the server keeps what it has.

    What has rows again is published as always, and so is an empty mart that may be empty.
    """
    whole = _warehouse(shop).read_bytes()
    _keep(shop, 0)
    [(step, said)] = _publish(shop, "*").items()
    assert step == STEP
    assert "mart 'revenue' (models/reporting/revenue.sql) has no rows" in said
    # the other mart of the project is not held back
    assert set(held_by_sandbox(shop.data, shop.folder / "scratch")) == {"customers_v2"}

    _warehouse(shop).write_bytes(whole)
    assert _publish(shop) == {}
    before = _held(shop)
    assert len(before.rows) == 10

    _keep(shop, 0)
    assert set(_publish(shop)) == {STEP}
    assert _held(shop) == before

    yml = shop.project / "models" / "reporting" / "reporting.yml"
    assert f"({yml.relative_to(shop.project).as_posix()})" in said
    yml.write_text(
        yml.read_text().replace("tableau:\n", "tableau:\n          allow_empty: true\n", 1)
    )
    assert _publish(shop) == {}
    after = _held(shop)
    assert (after.rows, after.id, after.revision) == ([], before.id, before.revision + 1)


def test_fall_of_rows_is_let_through_once(shop: Workplace) -> None:
    """It is refused until the run config or the command of the message lets it through.

    After that the rows that are there count, so that the next run is a run like any other.
    """
    assert _publish(shop) == {}
    before = _held(shop)
    _keep(shop, 4)
    [(step, said)] = _publish(shop).items()
    assert step == STEP
    assert "it has 4 rows, 60.0% fewer than the 10 that the server has since" in said
    assert _held(shop) == before
    # publishing again what was refused is refused too
    assert set(_publish_with(shop, {})) == {STEP}

    [config] = re.findall(r"run config `(.*)` in the UI", said)
    assert _publish_with(shop, yaml.safe_load(config)) == {}
    after = _held(shop)
    assert (len(after.rows), after.revision) == (4, before.revision + 1)

    _keep(shop, 1)
    [said] = _publish(shop).values()
    assert "it has 1 row, 75.0% fewer than the 4" in said
    [command] = re.findall(r"on the command line: mds-tableau (.*)$", said)
    done = shop.run("mds_tableau", *shlex.split(command))
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(_held(shop).rows) == 1
    assert _publish(shop) == {}


def test_limit_of_setting_and_model_beside_a_teams_own_assets(shop: Workplace) -> None:
    """The setting counts where a team runs dbt itself, and the model's own limit before it."""
    assert _publish(shop) == {}
    _keep(shop, 8)
    os.environ["MDS_MAX_ROW_FALL"] = "0.1"
    stages = " or ".join(f"key:{stage}/revenue" for stage in STAGES)

    def publish() -> dict[str, str]:
        definitions = extract_definitions(
            shop.project / "target" / "manifest.json",
            duckdb_path=_warehouse(shop),
            settings=shop.settings(),
        )
        with dg.DagsterInstance.ephemeral() as instance:
            return failures(execute(definitions, stages, instance))

    [said] = publish().values()
    assert "it has 8 rows, 20.0% fewer than the 10" in said
    assert "At most 10% may be lost in one publish: that is 0.1 from MDS_MAX_ROW_FALL." in said
    yml = shop.project / "models" / "reporting" / "reporting.yml"
    yml.write_text(
        yml.read_text().replace("tableau:\n", "tableau:\n          max_row_fall: 0.2\n", 1)
    )
    build_definitions(shop.settings())  # parses the project again
    assert publish() == {}
    assert len(_held(shop).rows) == 8


def test_what_is_left_in_another_project_is_told_once(shop: Workplace) -> None:
    """The old datasource stays for its workbooks, and the log says so when the project changes."""
    assert _publish(shop) == {}
    yml = shop.project / "models" / "reporting" / "reporting.yml"
    yml.write_text(
        yml.read_text().replace("tableau:\n", "tableau:\n          project: Retail/Daily\n", 1)
    )
    told = "Extract 'revenue' was 'Revenue, daily' in 'Default' until now"
    levels: list[list[str | int]] = []
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            selection = " or ".join(f"key:{stage}/revenue" for stage in STAGES)
            result = execute(build_definitions(shop.settings()), selection, instance)
            assert failures(result) == {}
            entries = instance.all_logs(result.run_id)
            levels.append([entry.level for entry in entries if told in entry.user_message])
    assert levels == [[logging.WARNING], []]


def test_a_column_of_another_type_is_published_with_a_warning(shop: Workplace) -> None:
    """It is right as it is, but workbooks may break, so the log and the metadata tell."""
    assert _publish(shop, "*") == {}
    model = shop.project / "models" / "reporting" / "finance" / "customers_v2.sql"
    model.write_text(model.read_text().replace("as bigint) as orders", "as varchar) as orders"))
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(build_definitions(shop.settings()), "*", instance, **{FORCE: "true"})
        entries = instance.all_logs(result.run_id)
    assert failures(result) == {}
    told = (
        "Column 'orders' of extract 'customers_v2' is TEXT now, and was BIG_INT when it was "
        "published last. Workbooks that use it may break."
    )
    assert [entry.level for entry in entries if told in entry.user_message] == [logging.WARNING]
    for name, changes in {"customers_v2": [told], "revenue": []}.items():
        [event] = result.asset_materializations_for_node(f"tableau__{name}")
        assert event.metadata["changed_columns"].value == changes
