"""One broken mart does not hold back the others, and is all that a re-execution does."""

from pathlib import Path

import dagster as dg
import pytest

from mds_tableau.pipeline import build_definitions
from tests.e2e.webserver import make_home, serving
from tests.pipeline import ROOT, Workplace, execute, failures, held_by_sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.dbt, pytest.mark.hyper]

GOOD = "select cast(campaign_id as bigint) as campaign_id, cast('x' as varchar) as note\n"
FROM = "from {{ ref('dim_campaign') }}\n"
TESTED = """\
models:
  - name: untrue
    columns:
      - name: note
        data_tests: [not_null]
"""
REEXECUTE = """
mutation ($parent: String!) {
  launchRunReexecution(
    reexecutionParams: {parentRunId: $parent, strategy: FROM_ASSET_FAILURE}
  ) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""


def _break(place: Workplace) -> None:
    place.write_model("wrong_sql", GOOD.replace("campaign_id as", "no_such_column as") + FROM)
    place.write_model("untrue", GOOD.replace("'x'", "null") + FROM)
    place.write_model("nested", GOOD.replace("cast('x' as varchar)", "['a', 'b']") + FROM)


def _mend(place: Workplace, note: str = "x") -> None:
    good = GOOD.replace("'x'", f"'{note}'") + FROM
    place.write_model("wrong_sql", good)
    place.write_model("untrue", good, TESTED)
    place.write_model("nested", good)


def test_healthy_extracts_arrive_and_the_broken_ones_are_named(tmp_path: Path) -> None:
    """Three marts, each broken in its own way, keep what they serve; all others are published.

    The run fails and its last lines name the three; once they are mended, a re-execution from
    failure does these and nothing else.
    """
    home = make_home(tmp_path / "home")
    place = Workplace.create(tmp_path, ROOT / "dbt_project", DAGSTER_HOME=str(home))
    _mend(place)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert failures(execute(build_definitions(place.settings()), "*", instance)) == {}

    _break(place)
    done = place.materialize(MDS_FORCE="true")
    assert done.returncode == 1
    report = done.stderr[done.stderr.rindex("9 of 12 extracts arrived.") :].splitlines()
    assert report[-1] == "Error: Materialization failed."
    text = "\n".join(report)
    assert "NOT PUBLISHED nested: Cannot export mart" in text
    assert "column 'note' has type VARCHAR[], which a Hyper extract cannot hold" in text
    assert "NOT PUBLISHED untrue: Mart 'untrue' (models/marts/untrue.sql) is held back" in text
    assert "dbt test 'not_null_untrue_note' failed (27 rows)" in text
    assert "NOT PUBLISHED wrong_sql: model wrong_sql failed" in text
    assert "no_such_column" in text
    assert text.count("Until then, the server still has 27 rows published 20") == 3
    held = held_by_sandbox(place.data, tmp_path / "first")
    revisions = {name: item.revision for name, item in held.items()}
    assert {name for name, revision in revisions.items() if revision == 1} == {
        "nested",
        "untrue",
        "wrong_sql",
    }
    assert set(revisions.values()) == {1, 2}

    with serving(place, home) as webserver:
        failed = webserver.wait_for_run(webserver.launch("refresh_all"))
        assert failed.status == dg.DagsterRunStatus.FAILURE
        # with other values than before, which would not have to be published again
        _mend(place, "y")
        answer = webserver.ask(REEXECUTE, parent=failed.run_id)["launchRunReexecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        run = webserver.wait_for_run(answer["run"]["runId"])
    with dg.DagsterInstance.from_config(str(home)) as instance:
        entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        keys = [entry.get_dagster_event().asset_key for entry in entries]
        done_keys = {key.to_user_string() for key in keys if key}
    assert run.status == dg.DagsterRunStatus.SUCCESS
    stages = {
        f"{stage}/{name}"
        for stage in ("parquet", "hyper", "tableau")
        for name in ("nested", "untrue", "wrong_sql")
    }
    # dbt built again the mart that it had not, and those that were mended since
    assert done_keys == stages | {"wrong_sql", "untrue", "nested"}
    held = held_by_sandbox(place.data, tmp_path / "second")
    mended = {name for name, item in held.items() if item.revision != revisions[name]}
    assert mended == {"nested", "untrue", "wrong_sql"}
