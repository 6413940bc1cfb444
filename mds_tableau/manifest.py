"""Reads what the pipeline needs from a dbt manifest: models, their tests and their sources.

It knows dbt's artefact, not Dagster's view of it, and runs no dbt. What an extract is made of is
decided in `extracts`; preparing a missing or stale manifest belongs to `defs.project`.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mds_tableau.errors import ManifestError


@dataclass(frozen=True)
class Test:
    """A dbt test of error severity: when it fails, its mart is held back.

    Attributes:
        unique_id: Key in the manifest and in dbt's run results.
        name: The name that dbt prints.
    """

    __test__ = False  # not a class of pytest's

    unique_id: str
    name: str


@dataclass(frozen=True)
class MartColumn:
    """A column as the dbt project describes it.

    Attributes:
        name: Its name as it is written there.
        data_type: Its declared type, or "".
        description: Its description, or "".
        meta: Its `config.meta`, or its `meta` where an older dbt wrote only that.
    """

    name: str
    data_type: str
    description: str
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Mart:
    """A relation that dbt builds and that can be exported, one for each selected model.

    Attributes:
        unique_id: Key in the manifest, such as `model.retail.fct_sales`.
        name: Name of the model, with `_v2` behind it when it is a version.
        relation: Quoted name of the relation, such as `"warehouse"."main"."fct_sales"`.
        file: Path of the SQL file, relative to the dbt project.
        description: The model's description, as Markdown.
        materialized: `table`, `view`, `incremental`, `ephemeral` ...
        meta: The model's `config.meta`.
        tests: Tests of error severity on this relation.
        columns: The columns that the project describes; it need not describe any.
        yaml: Path of the YAML file that describes it, relative to the dbt project; "" for none.
        tags: Its tags, those of its folders included.
        owner: Who owns it: `meta.owner`, or the address or name of its group's owner; "" for none.
    """

    unique_id: str
    name: str
    relation: str
    file: str
    description: str
    materialized: str
    meta: Mapping[str, Any]
    tests: tuple[Test, ...]
    columns: tuple[MartColumn, ...] = ()
    yaml: str = ""
    tags: tuple[str, ...] = ()
    owner: str = ""


@dataclass(frozen=True)
class Source:
    """A dbt source that reads a file in place.

    Attributes:
        unique_id: Key in the manifest, such as `source.retail.raw.products`.
        name: `source name.table name`, as dbt writes it.
        location: What dbt-duckdb puts in place of the table: a path or glob, or a call such as
            `read_csv('...')`.
    """

    unique_id: str
    name: str
    location: str


@dataclass(frozen=True)
class SourceRelation:
    """What dbt calls a table of a source, and where it looks for it.

    Attributes:
        unique_id: Key in the manifest, such as `source.retail.shop.orders`.
        name: `source name.table name`, as dbt writes it.
        file: Path of the YAML file that describes it, relative to the dbt project.
        database: Name of the database that dbt looks in.
        schema: Its schema there.
        identifier: Its name there.
    """

    unique_id: str
    name: str
    file: str
    database: str
    schema: str
    identifier: str


@dataclass(frozen=True)
class SourceTable(SourceRelation):
    """A table of a dbt source, wherever its rows are.

    Attributes:
        meta: Its `config.meta`, or its `meta` where an older dbt wrote only that.
        source_meta: The meta of the source that it belongs to, which is part of `meta` too.
        is_file: Whether dbt-duckdb reads it from files in place.
    """

    meta: Mapping[str, Any]
    source_meta: Mapping[str, Any]
    is_file: bool


class Manifest:
    """A dbt manifest, read once.

    Args:
        content: The parsed `manifest.json`, format 12 (dbt 1.8 and later).
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read `manifest.json`.

        Raises:
            ManifestError: The file is missing or is not a dbt manifest.
        """
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise ManifestError(
                f"No dbt manifest at {path}. Run 'dbt parse' in the dbt project."
            ) from error
        except ValueError as error:
            raise ManifestError(
                f"{path} is not JSON ({error}). Delete it and run 'dbt parse' in the dbt project."
            ) from error
        if not isinstance(content, dict) or not {"nodes", "sources", "metadata"} <= content.keys():
            raise ManifestError(f"{path} is not a dbt manifest. Run 'dbt parse' again.")
        return cls(content)

    @property
    def project_name(self) -> str:
        """Name of the dbt project."""
        return str(self.content["metadata"].get("project_name", ""))

    @cached_property
    def marts(self) -> Mapping[str, Mart]:
        """Everything that dbt can build as a relation (models, seeds, snapshots), by unique id."""
        tests = self._tests
        return {
            unique_id: Mart(
                unique_id=unique_id,
                name=f"{node['name']}_v{node['version']}" if node.get("version") else node["name"],
                relation=node.get("relation_name") or "",
                file=node["original_file_path"],
                description=node.get("description") or "",
                materialized=node["config"].get("materialized", ""),
                meta=node["config"].get("meta") or {},
                tests=tests.get(unique_id, ()),
                columns=tuple(
                    MartColumn(
                        column["name"],
                        column.get("data_type") or "",
                        column.get("description") or "",
                        (column.get("config") or {}).get("meta") or column.get("meta") or {},
                    )
                    for column in node.get("columns", {}).values()
                ),
                # written as package://path
                yaml=(node.get("patch_path") or "").rpartition("://")[2],
                tags=tuple(node.get("tags") or ()),
                owner=self._owner(node),
            )
            for unique_id, node in self.content["nodes"].items()
            if node["resource_type"] in {"model", "seed", "snapshot"}
        }

    def _owner(self, node: Mapping[str, Any]) -> str:
        said = (node["config"].get("meta") or {}).get("owner")
        if isinstance(said, str):
            return said
        for group in self.content.get("groups", {}).values():
            if node.get("group") and group["name"] == node["group"]:
                owner = group["owner"]
                return str(owner.get("email") or owner.get("name") or "")
        return ""

    @cached_property
    def _tests(self) -> Mapping[str, tuple[Test, ...]]:
        found: dict[str, list[Test]] = {}
        for unique_id, node in self.content["nodes"].items():
            severity = str(node.get("config", {}).get("severity", "error"))
            if node["resource_type"] != "test" or severity.lower() != "error":
                continue
            test = Test(unique_id, node["name"])
            # a relationships test depends on both sides, and speaks of the side it is attached to
            attached = node.get("attached_node")
            for tested in [attached] if attached else node["depends_on"]["nodes"]:
                found.setdefault(tested, []).append(test)
        return {unique_id: tuple(tests) for unique_id, tests in found.items()}

    @cached_property
    def tests(self) -> frozenset[str]:
        """Unique ids of all tests and unit tests."""
        nodes = self.content["nodes"].items()
        tests = {unique_id for unique_id, node in nodes if node["resource_type"] == "test"}
        return frozenset(tests | self.content.get("unit_tests", {}).keys())

    def parents_of(self, unique_id: str) -> tuple[str, ...]:
        """Return the unique ids that a node is built from, sources included."""
        unit_tests = self.content.get("unit_tests", {})
        node = self.content["nodes"].get(unique_id) or unit_tests.get(unique_id, {})
        return tuple(node.get("depends_on", {}).get("nodes", ()))

    def tests_of(self, unique_id: str) -> tuple[str, ...]:
        """Return the unique ids of the tests and unit tests that stop what depends on a node."""
        unit_tests = [
            key
            for key, test in self.content.get("unit_tests", {}).items()
            if unique_id in test.get("depends_on", {}).get("nodes", ())
        ]
        return (*(test.unique_id for test in self._tests.get(unique_id, ())), *unit_tests)

    def behind(self, unique_ids: Collection[str]) -> frozenset[str]:
        """Return what is built or tested on top of some nodes or sources, at any distance."""
        found: set[str] = set()
        level = set(unique_ids)
        while level := {child for node in level for child in self._children.get(node, ())} - found:
            found |= level
        return frozenset(found)

    def above(self, unique_ids: Collection[str]) -> frozenset[str]:
        """Return the nodes and sources that some nodes are built from, at any distance."""
        found: set[str] = set()
        level = set(unique_ids)
        while level := {parent for node in level for parent in self.parents_of(node)} - found:
            found |= level
        return frozenset(found)

    @cached_property
    def _children(self) -> Mapping[str, list[str]]:
        children: dict[str, list[str]] = {}
        for part in ("nodes", "unit_tests"):
            for unique_id, node in self.content.get(part, {}).items():
                for parent in node.get("depends_on", {}).get("nodes", ()):
                    children.setdefault(parent, []).append(unique_id)
        return children

    def source_tables(self) -> Iterator[SourceTable]:
        """Yield the tables of all sources, by unique id."""
        for unique_id, node in sorted(self.content["sources"].items()):
            config = node.get("config") or {}
            meta = config.get("meta") or node.get("meta") or {}
            places = (config, config.get("meta") or {}, node.get("meta") or {})
            yield SourceTable(
                unique_id=unique_id,
                name=f"{node['source_name']}.{node['name']}",
                file=node.get("original_file_path") or "",
                database=node.get("database") or "",
                schema=node.get("schema") or "",
                identifier=node.get("identifier") or node["name"],
                meta=meta,
                source_meta=node.get("source_meta") or {},
                is_file=any("external_location" in place for place in places),
            )

    def sources(self) -> Iterator[Source]:
        """Yield the sources that dbt-duckdb reads from files in place."""
        for table in self.source_tables():
            if table.is_file:
                # dbt-duckdb renders the location into the name of the relation
                location = self.content["sources"][table.unique_id].get("relation_name") or ""
                yield Source(table.unique_id, table.name, location)
