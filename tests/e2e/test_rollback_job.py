"""An earlier version comes back through Dagster, until the mart is published again."""

from pathlib import Path

import dagster as dg
import duckdb
import pytest

from mds_tableau.pipeline import build_definitions
from tests.pipeline import ROOT, Workplace, execute, failures, held_by_sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.dbt, pytest.mark.hyper]


def test_a_bad_day_is_undone_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """The job publishes what was there before; then the mart is published again as it is.

    An unchanged publish makes no version, and what is said of it is in the log and on the asset.
    """
    shop = Workplace.create(
        tmp_path / "shop", ROOT / "tests" / "projects" / "shop", MDS_MARTS="revenue"
    )
    definitions = build_definitions(shop.settings())
    with dg.DagsterInstance.ephemeral() as instance:

        def run(selection: str) -> None:
            assert failures(execute(definitions, selection, instance)) == {}

        run("*")
        run("parquet/revenue*")
        good = held_by_sandbox(shop.data, tmp_path / "good")["Revenue, daily"]
        kept = shop.data / "versions" / "revenue"
        assert len(list(kept.iterdir())) == 1
        # a bad day
        with duckdb.connect(str(shop.project / "db" / "the shop.duckdb")) as connection:
            [[relation]] = connection.execute(
                'SELECT format(\'"{}"."{}"\', schema_name, table_name) FROM duckdb_tables() '
                "WHERE table_name = 'Revenue per Day'"
            ).fetchall()
            connection.execute(f'UPDATE {relation} SET "Total Amount" = 0')
        run("parquet/revenue*")
        bad = held_by_sandbox(shop.data, tmp_path / "bad")["Revenue, daily"]
        assert (bad.rows == good.rows, bad.revision) == (False, 2)
        result = definitions.resolve_job_def("rollback").execute_in_process(
            instance=instance,
            run_config={"ops": {"publish_earlier_version": {"config": {"extract": "revenue"}}}},
        )
        [event] = result.get_asset_materialization_events()
        assert event.materialization.asset_key == dg.AssetKey(["tableau", "revenue"])
        said = [entry.user_message for entry in instance.all_logs(result.run_id)]
        assert any("Analysts now see in 'Revenue, daily' in 'Default'" in line for line in said)
        back = held_by_sandbox(shop.data, tmp_path / "back")["Revenue, daily"]
        assert (back.rows, back.revision, back.id) == (good.rows, 3, good.id)
        run("parquet/revenue*")
        again = held_by_sandbox(shop.data, tmp_path / "again")["Revenue, daily"]
        assert (again.rows, again.revision) == (bad.rows, 4)
        assert len(list(kept.iterdir())) == 4
        # what does not exist is said plainly
        failed = definitions.resolve_job_def("rollback").execute_in_process(
            instance=instance,
            run_config={
                "ops": {"publish_earlier_version": {"config": {"extract": "revenue", "to": "1999"}}}
            },
            raise_on_error=False,
        )
        assert "No version is kept of '1999'" in failures(failed)["rollback"]
