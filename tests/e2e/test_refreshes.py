"""What a refresh leaves of the datasource that analysts work with, run after run."""

from pathlib import Path

import dagster as dg
import pytest
import tableauserverclient as TSC  # noqa: N812

from mds_tableau.defs.stages import FORCE
from mds_tableau.pipeline import build_definitions
from mds_tableau.sandbox import Sandbox, SandboxConfig
from tests.pipeline import ROOT, Held, Workplace, execute, failures, held_by_sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.dbt, pytest.mark.hyper]


def _refresh(shop: Workplace, **tags: str) -> tuple[str, list[str]]:
    """Run the whole job; return how the mart `revenue` was published, and the log of the run."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(build_definitions(shop.settings()), "*", instance, **tags)
        assert failures(result) == {}
        [made] = result.asset_materializations_for_node("tableau__revenue")
        entries = instance.all_logs(result.run_id)
    return str(made.metadata["mode"].value), [entry.user_message for entry in entries]


def test_data_is_replaced_until_the_columns_change(tmp_path: Path) -> None:
    """The first publish and one with other columns overwrite; others change the data only."""
    shop = Workplace.create(
        tmp_path / "shop", ROOT / "tests" / "projects" / "shop", MDS_MARTS="revenue"
    )
    assert _refresh(shop)[0] == "overwrite"
    mode, said = _refresh(shop, **{FORCE: "true"})
    assert mode == "replace"
    # the core's own lines are in the log, each once
    assert len([line for line in said if "bytes uploaded" in line]) == 1
    model = shop.project / "models" / "reporting" / "revenue.sql"
    model.write_text(f"select *, 1 as added from ({model.read_text()})")
    assert _refresh(shop)[0] == "overwrite"
    yml = shop.project / "models" / "reporting" / "reporting.yml"
    yml.write_text(yml.read_text().replace("tableau:\n", "tableau:\n          mode: append\n", 1))
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(build_definitions(shop.settings()), "*", instance)
    [(step, text)] = failures(result).items()
    assert step == "tableau__revenue"
    assert "is not appended, because it holds the same" in text


def _unchanged(shop: Workplace, select: str = "*", **tags: str) -> list[str]:
    """Run the job; return which assets of `revenue` say that nothing of them has changed."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(build_definitions(shop.settings()), select, instance, **tags)
    assert failures(result) == {}
    return [
        event.asset_key.path[0]
        for event in result.get_asset_materialization_events()
        if event.asset_key
        and event.asset_key.path[-1] == "revenue"
        and event.materialization.metadata.get("unchanged") == dg.MetadataValue.bool(True)
    ]


def _revenue(shop: Workplace, scratch: Path) -> Held:
    return held_by_sandbox(shop.data, scratch)["Revenue, daily"]


def test_what_did_not_change_is_not_made_again(tmp_path: Path) -> None:
    """A mart that holds the same is not exported, converted or uploaded, unless that is asked for.

    Nor is what the server holds taken for ours when somebody has published since, or deleted it.
    """
    shop = Workplace.create(
        tmp_path / "shop", ROOT / "tests" / "projects" / "shop", MDS_MARTS="revenue"
    )
    assert _unchanged(shop) == []
    first = _revenue(shop, tmp_path / "1")
    files = {path: path.stat().st_mtime_ns for path in shop.data.rglob("revenue/*/part*")}
    files |= {path: path.stat().st_mtime_ns for path in shop.data.glob("hyper/*.hyper")}
    assert len(files) == 2
    assert _unchanged(shop) == ["parquet", "hyper", "tableau"]
    assert _revenue(shop, tmp_path / "2") == first
    assert {path: path.stat().st_mtime_ns for path in files} == files
    # asked for
    assert _unchanged(shop, "parquet/revenue*", **{FORCE: "true"}) == []
    second = _revenue(shop, tmp_path / "3")
    assert (second.revision, second.rows) == (first.revision + 1, first.rows)
    # a file that has rotted since is not taken for good, and neither is one that is gone
    _rot(next((shop.data / "hyper").glob("*.hyper")))
    assert _unchanged(shop, "parquet/revenue*") == ["parquet", "tableau"]
    for part in shop.data.rglob("revenue/*/part*"):
        _rot(part)
    (shop.data / "hyper" / "revenue.hyper").unlink()
    assert _unchanged(shop, "parquet/revenue*") == ["tableau"]
    # somebody else has published
    with Sandbox(
        SandboxConfig(data_dir=shop.data / "sandbox", tokens={"x": "y"}), host="127.0.0.1", port=0
    ) as sandbox:
        server = TSC.Server(sandbox.url, use_server_version=True)
        with server.auth.sign_in(TSC.PersonalAccessTokenAuth("x", "y")):
            item = server.datasources.get_by_id(first.id)
            server.datasources.publish(
                TSC.DatasourceItem(item.project_id, name=item.name),
                shop.data / "hyper" / "revenue.hyper",
                TSC.Server.PublishMode.Overwrite,
            )
            assert _unchanged(shop, "parquet/revenue*") == ["parquet", "hyper"]
            third = server.datasources.get_by_id(first.id)
            server.datasources.delete(str(third.id))
    assert _unchanged(shop, "parquet/revenue*") == ["parquet", "hyper"]
    last = _revenue(shop, tmp_path / "4")
    assert (last.id != first.id, last.rows) == (True, first.rows)


def _rot(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
