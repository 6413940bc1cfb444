"""Runs of extracts that cost nothing: assets of the same keys, which do what a test wants.

The runs, their instance and what is left of them are real; only what an extract is made of is not.
"""

import atexit
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import dagster as dg

from mds_tableau.defs.failing import told_plainly
from mds_tableau.defs.report import Reporter
from mds_tableau.defs.stages import Folders
from mds_tableau.manifest import Manifest
from mds_tableau.settings import Settings, load_settings
from tests.alerts.catchers import Catcher
from tests.e2e.webserver import make_home
from tests.pipeline import execute
from tests.test_project_extracts import model, plan

Act = Callable[[], object]


@dataclass
class Shop:
    """Some extracts, and the instance that their runs are on.

    Attributes:
        folder: Where everything is.
        instance: The instance.
        reporter: Tells what a run did.
        acts: What a stage does, by its key; nothing where nothing is said.
    """

    folder: Path
    instance: dg.DagsterInstance
    reporter: Reporter
    acts: dict[str, Act] = field(default_factory=dict)

    def settings(self, hook: Catcher | None = None, **given: str) -> Settings:
        """The settings of this place, with alerts to a web hook."""
        urls = {"mds_notify": hook.url} if hook else {}
        return load_settings(None, mds_data_dir=str(self.folder / "data"), **urls, **given)

    def definitions(self) -> dg.Definitions:
        """Three assets for each extract."""
        assets = []
        for extract in self.reporter.extracts:
            before = None
            for stage in ("parquet", "hyper", "tableau"):
                key = dg.AssetKey([stage, extract.name])
                assets.append(self._asset(key, before))
                before = key
        return dg.Definitions(assets=assets, executor=dg.in_process_executor)

    def _asset(self, key: dg.AssetKey, before: dg.AssetKey | None) -> dg.AssetsDefinition:
        @dg.asset(key=key, deps=[before] if before else [])
        def stage() -> None:
            with told_plainly():
                self.acts.get(key.to_user_string(), lambda: None)()

        return stage

    def run(self, selection: str = 'key:"tableau/*"', **tags: str) -> dg.ExecuteInProcessResult:
        """Execute assets, failed or not."""
        return execute(self.definitions(), selection, self.instance, **tags)

    def files(self) -> Iterator[bytes]:
        """Content of each file that was left anywhere."""
        yield from (path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


@cache
def _empty_home() -> Path:
    # its databases take seconds to make
    home = make_home(Path(mkdtemp(prefix="mds-home-")) / "home")
    atexit.register(shutil.rmtree, home.parent, ignore_errors=True)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_run_records(limit=1)
        instance.get_asset_records([])
    return home


@contextmanager
def shop(folder: Path, *names: str, deadline: str = "") -> Iterator[Shop]:
    """Extracts of these names, named and placed as people do it."""
    metas = {
        name: {
            "datasource": name.capitalize(),
            "project": "Retail/Daily",
            **({"deadline": deadline} if deadline else {}),
        }
        for name in names
    }
    extracts = plan(*(model(name, meta) for name, meta in metas.items()))
    manifest = Manifest({"metadata": {"project_name": "retail"}, "nodes": {}, "sources": {}})
    folders = Folders(folder / "data", "the local sandbox", 0.5)
    home = shutil.copytree(_empty_home(), folder / "home")
    os.environ["DAGSTER_HOME"] = str(home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield Shop(folder, instance, Reporter(extracts, manifest, dict, folders))


def raising(error: Exception) -> Act:
    """What a stage does that fails so."""

    def act() -> None:
        raise error

    return act


def tick(sensor: dg.SensorDefinition | None, instance: dg.DagsterInstance) -> str:
    """Evaluate a sensor as Dagster does, and return what it says."""
    assert sensor is not None
    result: Any = sensor(dg.build_sensor_context(instance=instance))
    assert isinstance(result, dg.SkipReason)
    return str(result.skip_message)
