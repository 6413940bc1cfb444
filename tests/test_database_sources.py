"""`meta.ingest`: what it says of sources, and what is wrong with it."""

from typing import Any

import pytest

from mds_tableau.database_sources import DatabaseSource, database_sources
from mds_tableau.errors import MartConfigError, refuse
from mds_tableau.manifest import Manifest


def sources(*tables: tuple[str, dict[str, Any] | None], **common: Any) -> Manifest:
    """A manifest with tables of the source `raw`, as dbt writes them; `common` is its ingest."""
    content: dict[str, Any] = {}
    source_meta = {"ingest": common} if common else {}
    for name, changes in tables:
        changes = dict(changes or {})
        own = {"ingest": changes.pop("ingest")} if "ingest" in changes else {}
        content[f"source.p.raw.{name}"] = {
            "source_name": "raw",
            "name": name,
            "identifier": name,
            "database": "warehouse",
            "schema": "raw",
            "original_file_path": "models/sources.yml",
            "source_meta": source_meta,
            "config": {"meta": {**source_meta, **own}},
            **changes,
        }
    orders = {
        "resource_type": "model",
        "name": "fct_orders",
        "original_file_path": "models/fct_orders.sql",
        "relation_name": '"warehouse"."main"."fct_orders"',
        "config": {},
    }
    return Manifest({"metadata": {}, "nodes": {"model.p.fct_orders": orders}, "sources": content})


def found_in(manifest: Manifest) -> tuple[DatabaseSource, ...]:
    """The sources, if nothing is wrong."""
    found = database_sources(manifest)
    refuse(found.errors)
    return found.sources


def test_a_source_says_once_what_holds_for_its_tables() -> None:
    """A table adds to it, or is left out; its own name is the default, quoted if need be."""
    found = found_in(
        sources(
            ("customers", None),
            ("items", {"ingest": {"query": "select 1 as a", "types": {"a": "BIGINT"}}}),
            ("notes", {"ingest": False}),
            ("orders", {"ingest": {"table": "public.orders", "increasing": "order_id"}}),
            ("x", {"identifier": "Order Lines"}),
            connection="SHOP_DATABASE_URL",
        )
    )
    assert [(s.name, s.table, s.query, s.increasing) for s in found] == [
        ("raw.customers", "customers", "", ""),
        ("raw.items", "", "select 1 as a", ""),
        ("raw.orders", "public.orders", "", "order_id"),
        ("raw.x", '"Order Lines"', "", ""),
    ]
    assert found[1] == DatabaseSource(
        unique_id="source.p.raw.items",
        name="raw.items",
        file="models/sources.yml",
        database="warehouse",
        schema="raw",
        identifier="items",
        connection="SHOP_DATABASE_URL",
        query="select 1 as a",
        types={"a": "BIGINT"},
    )


def test_sources_without_it_are_none_of_ours() -> None:
    """Files, and tables that somebody else loads, are left alone."""
    assert found_in(sources(("a", None), ("b", {"config": {}}))) == ()


@pytest.mark.parametrize(
    ("ingest", "said"),
    [
        (True, r"meta\.ingest of .* is True\. It must be false, or a mapping of connection, table"),
        ({"table": "a"}, r"has no connection\. Give the name of an environment variable"),
        ({"conection": "A"}, r"Unknown key 'conection' .* Did you mean 'connection'\?"),
        ({"connection": "A", "tabel": "a"}, r"Unknown key 'tabel' .* Did you mean 'table'\?"),
        ({"connection": "A", "table": ""}, r"ingest\.table of .* is ''\. It must be a text"),
        (
            {"connection": "A", "increasing": 3},
            r"ingest\.increasing of .* is 3\. It must be a text",
        ),
        ({"connection": "A", "query": "drop table a"}, r"a query that begins with SELECT or WITH"),
        ({"connection": "A", "types": ["a"]}, r"a mapping of column names to types of DuckDB"),
        (
            {"connection": "A", "types": {"a": 1}},
            r"ingest\.types of .* is \{'a': 1\}\. It must be a mapping",
        ),
        (
            {"connection": "A", "query": "select 1", "increasing": "id"},
            r"increasing of .* stands beside a query\. Only of a table newer rows",
        ),
        ({"connection": "A", "query": "select 1", "table": "t"}, r"has a table and a query"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_advice(ingest: object, said: str) -> None:
    """Each message names the source and its file."""
    with pytest.raises(MartConfigError, match=said) as error:
        found_in(sources(("orders", {"ingest": ingest})))
    assert "the dbt source 'raw.orders' (models/sources.yml)" in str(error.value)


def test_a_url_in_the_place_of_a_variable_is_not_repeated() -> None:
    """It may hold a password, and the message goes into logs."""
    wrong = {"connection": "postgresql://ann:hunter2@db/shop"}
    with pytest.raises(MartConfigError, match="the name of an environment variable") as error:
        found_in(sources(("orders", {"ingest": wrong})))
    assert "hunter2" not in str(error.value)
    assert "postgresql" not in str(error.value)


def test_a_table_that_somebody_else_makes_is_refused() -> None:
    """A model's, another source's, and one whose location is a file."""
    main = {"schema": "main", "ingest": {"connection": "A"}}
    with pytest.raises(MartConfigError) as error:
        found_in(
            sources(
                ("FCT_ORDERS", main),
                ("a", {"ingest": {"connection": "A"}}),
                ("b", {"identifier": "A", "ingest": {"connection": "A"}}),
            )
        )
    assert str(error.value).splitlines()[1:] == [
        "- The dbt source 'raw.FCT_ORDERS' (models/sources.yml) would be read into "
        '"warehouse"."main"."FCT_ORDERS", which models/fct_orders.sql makes too. Give the source '
        "another schema or identifier.",
        "- The dbt source 'raw.b' (models/sources.yml) would be read into "
        '"warehouse"."raw"."A", which \'raw.a\' (models/sources.yml) makes too. Give the source '
        "another schema or identifier.",
    ]
    meta = {"ingest": {"connection": "A"}, "external_location": "x.csv"}
    with pytest.raises(MartConfigError, match="and an external_location"):
        found_in(sources(("f", {"config": {"meta": meta}})))


def test_all_problems_are_told_together() -> None:
    """One line for each, of all sources."""
    with pytest.raises(MartConfigError) as error:
        found_in(sources(("a", {"ingest": {"x": 1}}), ("b", {"ingest": {"connection": "a b"}})))
    assert len(str(error.value).splitlines()) == 4


def test_what_is_right_is_there_beside_what_is_wrong() -> None:
    """So that a doctor can try its connection; and it is compared with what others make."""
    good = {"connection": "A"}
    found = database_sources(
        sources(
            ("a", {"ingest": {"x": 1}}),
            ("b", {"ingest": good}),
            ("fct_orders", {"schema": "main", "ingest": good}),
        )
    )
    assert [one.name for one in found.sources] == ["raw.b", "raw.fct_orders"]
    [error] = found.errors
    assert "Unknown key 'x'" in str(error)
    assert "which models/fct_orders.sql makes too" in str(error)
