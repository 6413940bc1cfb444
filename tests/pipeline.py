"""What the tests of the whole pipeline share.

Projects in a temporary place, runs, and a look at the server that uses no code under test.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import tableauserverclient as TSC  # noqa: N812
from tableauhyperapi import Connection, HyperProcess, TableName, Telemetry, escape_name

from mds_tableau.sandbox import Sandbox, SandboxConfig
from mds_tableau.settings import Settings, load_settings

ROOT = Path(__file__).parents[1]
DERIVED = shutil.ignore_patterns("target", "logs", "dbt_packages", ".user.yml")


@dataclass(frozen=True)
class Workplace:
    """A dbt project, raw files and a data folder in a temporary place.

    Attributes:
        folder: Where they are.
        environment: Variables that a command needs to work there.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        """The dbt project, which a test may change."""
        return self.folder / "dbt_project"

    @property
    def raw(self) -> Path:
        """The raw files, which a test may change."""
        return self.folder / "raw"

    @property
    def data(self) -> Path:
        """Everything derived."""
        return self.folder / "data"

    @classmethod
    def create(cls, folder: Path, project: Path, **environment: str) -> "Workplace":
        """Copy a project and the sample of raw files to `folder`."""
        shutil.copytree(project, folder / "dbt_project", ignore=DERIVED)
        shutil.copytree(ROOT / "data" / "raw", folder / "raw")
        return cls(
            folder,
            {
                "MDS_DBT_PROJECT": str(folder / "dbt_project"),
                "MDS_RAW_DIR": str(folder / "raw"),
                "MDS_DATA_DIR": str(folder / "data"),
                "DAGSTER_DISABLE_TELEMETRY": "1",
                "DO_NOT_TRACK": "1",
                **environment,
            },
        )

    def settings(self) -> Settings:
        """Return the settings of this place; `os.environ` is set to them, as a test restores it."""
        os.environ.update(self.environment)
        return load_settings(None)

    def run(self, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in a process of its own, in this place."""
        return subprocess.run(
            [sys.executable, "-m", *command],
            env={**os.environ, **self.environment, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def materialize(self, select: str = "*", **environment: str) -> Any:
        """Run the main job as a user does, in a process of its own."""
        return self.run(
            *("dagster", "asset", "materialize"),
            *("--select", select, "-m", "mds_tableau.definitions"),
            **environment,
        )

    def write_model(self, name: str, sql: str, yml: str = "") -> None:
        """Add or replace a mart of our own project."""
        marts = self.project / "models" / "marts"
        (marts / f"{name}.sql").write_text(sql)
        if yml:
            (marts / f"{name}.yml").write_text(yml)


def execute(
    definitions: dg.Definitions, selection: str, instance: dg.DagsterInstance, **tags: str
) -> dg.ExecuteInProcessResult:
    """Execute assets in this process and return what came of it, failed or not."""
    job = definitions.resolve_implicit_global_asset_job_def()
    keys = dg.AssetSelection.from_string(selection).resolve(definitions.resolve_asset_graph())
    return job.execute_in_process(
        instance=instance, asset_selection=sorted(keys), raise_on_error=False, tags=tags
    )


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Return what each failed step says, by step."""
    said = {}
    for event in result.all_events:
        if event.is_step_failure and event.step_key:
            data = event.step_failure_data
            user = data.user_failure_data
            said[event.step_key] = str(user.description if user else data.error)
    return said


@dataclass(frozen=True)
class Held:
    """What the server holds of one datasource.

    Attributes:
        id: Its LUID.
        project: Name of its project.
        revision: Its newest revision.
        columns: Name and Hyper type of each column.
        rows: Its rows, as sorted texts.
    """

    id: str
    project: str
    revision: int
    columns: tuple[tuple[str, str], ...]
    rows: list[tuple[str | None, ...]]


def held_by_sandbox(data: Path, scratch: Path) -> dict[str, Held]:
    """Ask the sandbox over a data folder for everything it holds, by name of the datasource.

    The extracts are downloaded with the client and read with Hyper's own API.
    """
    config = SandboxConfig(data_dir=data / "sandbox", tokens={"look": "look-secret"})
    with (
        Sandbox(config, host="127.0.0.1", port=0) as sandbox,
        HyperProcess(
            Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
        ) as hyper,
    ):
        server = TSC.Server(sandbox.url, use_server_version=True)
        with server.auth.sign_in(TSC.PersonalAccessTokenAuth("look", "look-secret")):
            return {
                str(item.name): _held(server, hyper, item, scratch)
                for item in TSC.Pager(server.datasources)
            }


def _held(server: Any, hyper: HyperProcess, item: Any, scratch: Path) -> Held:
    scratch.mkdir(parents=True, exist_ok=True)
    archive = server.datasources.download(item.id, str(scratch / item.id))
    with zipfile.ZipFile(archive) as opened:
        [name] = [name for name in opened.namelist() if name.endswith(".hyper")]
        extract = Path(opened.extract(name, scratch / f"{item.id}.d"))
    server.datasources.populate_revisions(item)
    with Connection(hyper.endpoint, str(extract)) as connection:
        table = TableName("Extract", "Extract")
        definition = connection.catalog.get_table_definition(table)
        columns = tuple((c.name.unescaped, str(c.type)) for c in definition.columns)
        texts = ", ".join(f"CAST({escape_name(name)} AS TEXT)" for name, _ in columns)
        rows = connection.execute_list_query(f"SELECT {texts} FROM {table}")
    return Held(
        id=item.id,
        project=item.project_name,
        revision=max(int(revision.revision_number) for revision in item.revisions),
        columns=columns,
        rows=sorted((tuple(row) for row in rows), key=repr),
    )


def rows_in_duckdb(warehouse: Path, relation: str) -> list[tuple[str | None, ...]]:
    """Return the rows of a relation as sorted texts, in the form that Hyper prints them."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        texts = ", ".join(_as_hyper_prints(name, of_type) for name, of_type, *_ in described)
        rows = connection.execute(f"SELECT {texts} FROM {relation}").fetchall()
    return sorted((tuple(row) for row in rows), key=repr)


def _as_hyper_prints(name: str, of_type: str) -> str:
    quoted = escape_name(name)
    if of_type == "BOOLEAN":
        return f"CASE {quoted} WHEN true THEN 'true' WHEN false THEN 'false' END"
    if of_type == "DOUBLE":
        # shortest text that gives the number back, without an exponent or a needless ".0"
        return f"regexp_replace(CAST({quoted} AS VARCHAR), '\\.0$', '')"
    return f"CAST({quoted} AS VARCHAR)"
