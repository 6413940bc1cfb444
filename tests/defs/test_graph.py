"""The asset graph, so that no key, group or dependency changes by accident."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

pytestmark = pytest.mark.dbt

SNAPSHOT = Path(__file__).with_name("graph.txt")


def _line(graph: Any, key: dg.AssetKey) -> str:
    node = graph.get(key)
    checks = sorted(f"{'!' if graph.get(c).blocking else ''}{c.name}" for c in node.check_keys)
    parts = {
        "group": node.group_name,
        "kinds": " ".join(sorted(node.kinds)),
        "owners": " ".join(node.owners),
        "after": " ".join(sorted(parent.to_user_string() for parent in node.parent_keys)) or "-",
        "checks": f"{len(checks)}, {sum(c.startswith('!') for c in checks)} of them blocking",
    }
    return f"{key.to_user_string()}\n" + "".join(f"    {k}: {v}\n" for k, v in parts.items())


def test_graph_is_as_written_down(definitions: dg.Definitions) -> None:
    """Keys, groups, kinds, owners, dependencies and checks equal the snapshot.

    After a change that was meant, write the text that this test prints to `graph.txt`.
    """
    graph = definitions.resolve_asset_graph()
    keys = sorted(graph.get_all_asset_keys(), key=lambda key: list(key.path))
    text = "".join(_line(graph, key) for key in keys)
    assert SNAPSHOT.read_text(encoding="utf-8") == text, text


def test_every_asset_says_what_it_is(definitions: dg.Definitions) -> None:
    """Each asset has a group, kinds, owners and a description; all but one have columns."""
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.group_name != "default", key
        assert node.kinds, key
        assert node.owners, key
        assert node.description, key
        assert "select " not in node.description.lower(), key
        if key != dg.AssetKey(["dbt", "run_results"]):
            assert node.metadata.get("dagster/column_schema"), key


def test_dbt_and_exports_share_a_pool(definitions: dg.Definitions) -> None:
    """Whatever opens the DuckDB file is in the pool `duckdb`, and nothing else is in a pool."""
    pooled = {
        assets.op.name: assets.op.pool
        for assets in definitions.assets or ()
        if isinstance(assets, dg.AssetsDefinition)
    }
    for name, pool in pooled.items():
        wanted = "duckdb" if name == "dbt" or name.startswith("parquet__") else None
        assert pool == wanted, name
