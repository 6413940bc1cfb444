import json
from pathlib import Path
from typing import Any

import pytest

from mds_tableau.errors import ManifestError
from mds_tableau.manifest import Manifest, Mart, MartColumn, Source, SourceTable, Test


def node(unique_id: str, **changes: Any) -> tuple[str, dict[str, Any]]:
    """A node of a manifest with what dbt always writes, by its unique id."""
    resource_type, _, name = unique_id.split(".")[:3]
    content = {
        "resource_type": resource_type,
        "name": name,
        "original_file_path": f"models/{name}.sql",
        "relation_name": f'"db"."main"."{name}"',
        "config": {"materialized": "table"},
        "depends_on": {"nodes": []},
    }
    return unique_id, {**content, **changes}


def manifest(*nodes: tuple[str, dict[str, Any]], **content: Any) -> Manifest:
    """A manifest of these nodes."""
    return Manifest({"metadata": {}, "sources": {}, "nodes": dict(nodes), **content})


def test_models_seeds_and_snapshots_are_marts() -> None:
    """Whatever dbt builds as a relation can be exported; tests and the rest cannot."""
    found = manifest(
        node("model.p.sales"),
        node("seed.p.codes"),
        node("snapshot.p.prices"),
        node("test.p.unique.abc"),
        node("analysis.p.idea"),
        node("operation.p.hook"),
    )
    assert list(found.marts) == ["model.p.sales", "seed.p.codes", "snapshot.p.prices"]


def test_a_mart_has_what_the_manifest_says() -> None:
    """Relation, file, description, materialization and meta are taken over."""
    config = {"materialized": "incremental", "meta": {"tableau": {"project": "Retail"}}}
    [mart] = manifest(node("model.p.sales", config=config, description="# Sales")).marts.values()
    assert mart == Mart(
        unique_id="model.p.sales",
        name="sales",
        relation='"db"."main"."sales"',
        file="models/sales.sql",
        description="# Sales",
        materialized="incremental",
        meta={"tableau": {"project": "Retail"}},
        tests=(),
    )


def test_a_mart_has_its_columns_as_described() -> None:
    """The config of a column wins over its `meta`, which an older dbt writes alone."""
    columns = {
        "new": {"name": "new", "meta": {"old": 1}, "config": {"meta": {"tableau": {"as": "text"}}}},
        "old": {"name": "old", "data_type": "int", "description": "Old.", "meta": {"old": 1}},
        "none": {"name": "none", "meta": None, "config": None, "data_type": None},
    }
    [mart] = manifest(node("model.p.sales", columns=columns)).marts.values()
    assert mart.columns == (
        MartColumn("new", "", "", {"tableau": {"as": "text"}}),
        MartColumn("old", "int", "Old.", {"old": 1}),
        MartColumn("none", "", "", {}),
    )


@pytest.mark.parametrize(
    ("patch_path", "yaml"),
    [("mds_retail://models/marts/_marts.yml", "models/marts/_marts.yml"), (None, "")],
)
def test_a_mart_knows_the_yaml_that_describes_it(patch_path: str | None, yaml: str) -> None:
    """The path is relative to the project, without the package; none for what is not described."""
    [mart] = manifest(node("model.p.sales", patch_path=patch_path)).marts.values()
    assert mart.yaml == yaml


@pytest.mark.parametrize(
    ("meta", "group", "owner"),
    [
        ({"owner": "ada"}, "finance", "ada"),
        ({"owner": {"name": "ada"}}, "finance", "finance@example.com"),
        ({}, "finance", "finance@example.com"),
        ({}, "sales", "The sales team"),
        ({}, None, ""),
    ],
)
def test_a_mart_has_an_owner(meta: dict[str, Any], group: str | None, owner: str) -> None:
    """It is named by the model's meta, else by the address or name of its group's owner."""
    unique_id, content = node("model.p.sales", config={"meta": meta}, group=group, tags=["daily"])
    groups = {
        "group.p.finance": {
            "name": "finance",
            "owner": {"email": "finance@example.com", "name": "Finance"},
        },
        "group.p.sales": {"name": "sales", "owner": {"email": None, "name": "The sales team"}},
    }
    read = manifest((unique_id, content))
    [mart] = Manifest({**read.content, "groups": groups}).marts.values()
    assert (mart.owner, mart.tags) == (owner, ("daily",))


def test_what_the_manifest_leaves_out_is_empty() -> None:
    """Missing values and null are empty text and no meta."""
    bare = node("model.p.m", config={"meta": None}, description=None, relation_name=None)
    [mart] = manifest(bare).marts.values()
    assert (mart.relation, mart.description, mart.materialized, mart.meta) == ("", "", "", {})
    assert (mart.columns, mart.yaml) == ((), "")


@pytest.mark.parametrize(
    ("version", "name"), [(None, "sales"), (2, "sales_v2"), ("next", "sales_vnext")]
)
def test_versions_of_a_model_are_told_apart(version: object, name: str) -> None:
    """A versioned model is named as dbt names its relation."""
    [mart] = manifest(node("model.p.sales.v2", version=version)).marts.values()
    assert mart.name == name


def test_a_mart_has_its_tests_of_error_severity() -> None:
    """Tests that only warn hold nothing back; a test without a severity is an error."""

    def test(name: str, **config: str) -> tuple[str, dict[str, Any]]:
        depends = {"nodes": ["model.p.sales"]}
        return node(f"test.p.{name}.1", config=config, depends_on=depends)

    found = manifest(
        node("model.p.sales"),
        test("unset"),
        test("upper", severity="ERROR"),
        test("lower", severity="error"),
        test("warns", severity="WARN"),
    )
    assert found.marts["model.p.sales"].tests == (
        Test("test.p.unset.1", "unset"),
        Test("test.p.upper.1", "upper"),
        Test("test.p.lower.1", "lower"),
    )


def test_a_generic_test_speaks_of_the_model_it_is_attached_to() -> None:
    """A relationships test depends on both sides and holds back one; a singular one all."""
    both = {"nodes": ["model.p.products", "model.p.sales"]}
    found = manifest(
        node("model.p.sales"),
        node("model.p.products"),
        node("test.p.relationships.1", depends_on=both, attached_node="model.p.sales"),
        node("test.p.singular", depends_on=both, attached_node=None),
    )
    tests = {key: [test.name for test in mart.tests] for key, mart in found.marts.items()}
    assert tests == {
        "model.p.sales": ["relationships", "singular"],
        "model.p.products": ["singular"],
    }


def test_parents_and_tests_of_a_node() -> None:
    """Parents include sources; tests of error severity and unit tests stop what depends on it."""
    of_sales = {"nodes": ["model.p.sales"]}
    found = manifest(
        node("model.p.sales", depends_on={"nodes": ["source.p.raw.sales", "model.p.stg"]}),
        node("test.p.unique.1", depends_on=of_sales),
        node("test.p.warns.1", depends_on=of_sales, config={"severity": "warn"}),
        unit_tests={
            "unit_test.p.sales.net": {"depends_on": of_sales},
            "unit_test.p.other.x": {"depends_on": {"nodes": ["model.p.other"]}},
        },
    )
    assert found.parents_of("model.p.sales") == ("source.p.raw.sales", "model.p.stg")
    assert found.parents_of("source.p.raw.sales") == ()
    assert found.tests_of("model.p.sales") == ("test.p.unique.1", "unit_test.p.sales.net")
    assert found.tests_of("model.p.stg") == ()


def test_what_is_behind_and_above() -> None:
    """At any distance, with sources, tests and unit tests, and without the nodes themselves."""
    found = manifest(
        node("model.p.stg", depends_on={"nodes": ["source.p.raw.a"]}),
        node("model.p.sales", depends_on={"nodes": ["model.p.stg"]}),
        node("model.p.other", depends_on={"nodes": ["source.p.raw.b"]}),
        node("test.p.x.1", depends_on={"nodes": ["model.p.sales", "model.p.other"]}),
        unit_tests={"unit_test.p.stg.u": {"depends_on": {"nodes": ["model.p.stg"]}}},
    )
    behind = {"model.p.stg", "model.p.sales", "test.p.x.1", "unit_test.p.stg.u"}
    assert found.behind(["source.p.raw.a"]) == behind
    assert found.behind([]) == found.behind(["test.p.x.1"]) == frozenset()
    assert found.above(["model.p.sales"]) == {"model.p.stg", "source.p.raw.a"}
    assert found.above(["unit_test.p.stg.u"]) == {"model.p.stg", "source.p.raw.a"}
    assert found.tests == {"test.p.x.1", "unit_test.p.stg.u"}


def test_a_table_of_a_source_has_what_the_manifest_says() -> None:
    """The config wins over `meta`, which an older dbt writes alone."""
    common = {
        "source_name": "raw",
        "name": "a",
        "database": "w",
        "schema": "s",
        "identifier": "A",
        "original_file_path": "models/s.yml",
        "source_meta": {"x": 1},
    }
    found = manifest(
        sources={
            "source.p.raw.a": {**common, "config": {"meta": {"y": 2}}, "meta": {"z": 3}},
            "source.p.raw.b": {"source_name": "raw", "name": "b", "meta": {"z": 3}},
        }
    )
    assert list(found.source_tables()) == [
        SourceTable(
            "source.p.raw.a", "raw.a", "models/s.yml", "w", "s", "A", {"y": 2}, {"x": 1}, False
        ),
        SourceTable("source.p.raw.b", "raw.b", "", "", "", "b", {"z": 3}, {}, False),
    ]


@pytest.mark.parametrize(
    "place",
    [
        {"config": {"external_location": "x"}},
        {"config": {"meta": {"external_location": "x"}}},
        {"config": {}, "meta": {"external_location": "x"}},
        {"meta": {"external_location": "x"}},
    ],
)
def test_sources_that_are_files_are_found(place: dict[str, Any]) -> None:
    """`external_location` may stand in the config or in a meta; other sources are tables."""
    common = {"source_name": "raw", "relation_name": "'in/a.csv'"}
    found = manifest(
        sources={
            "source.p.raw.a": {**common, "name": "a", **place},
            "source.p.raw.b": {**common, "name": "b", "config": None, "meta": None},
        }
    )
    assert list(found.sources()) == [Source("source.p.raw.a", "raw.a", "'in/a.csv'")]


def test_a_manifest_is_read_from_its_file(tmp_path: Path) -> None:
    """Reading gives what the content says."""
    path = tmp_path / "manifest.json"
    path.write_text(
        json.dumps({"metadata": {"project_name": "retail"}, "nodes": {}, "sources": {}})
    )
    assert Manifest.read(path).project_name == "retail"
    assert manifest().project_name == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"No dbt manifest at .*manifest\.json\. Run 'dbt parse' in the dbt project"),
        (b"", r"manifest\.json is not JSON \(.+\)\. Delete it and run 'dbt parse'"),
        (b'{"nodes": ', r"manifest\.json is not JSON \(.+\)\. Delete it and run 'dbt parse'"),
        (b"\xff\xfe", r"manifest\.json is not JSON \(.+\)\. Delete it and run 'dbt parse'"),
        (b"[]", r"manifest\.json is not a dbt manifest\. Run 'dbt parse' again"),
        (b'{"nodes": {}}', r"manifest\.json is not a dbt manifest\. Run 'dbt parse' again"),
    ],
)
def test_what_is_no_manifest_is_an_error(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    """A missing, cut-off or foreign file is named, with what to do."""
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        Manifest.read(path)
