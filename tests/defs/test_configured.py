"""Whatever is wrong with what is configured is told at once, and to whoever looks at it."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from mds_tableau.cli import main
from mds_tableau.definitions import _loaded
from mds_tableau.errors import (
    ConfigurationError,
    ManifestError,
    MdsTableauError,
    ScheduleError,
    SettingsError,
)
from mds_tableau.pipeline import build_definitions, extract_definitions
from mds_tableau.plan_command import show_plan
from tests.pipeline import ROOT, Workplace

pytestmark = pytest.mark.dbt

MARTS_YML = """
models:
  - name: sales
    config: {meta: {tableau: {projct: Retail, schedule: hourly}}}
    columns:
      - name: day
        config: {meta: {tableau: {truncate: ms}}}
  - name: people
    config: {meta: {tableau: {datasource: Twice}}}
  - name: more
    config: {meta: {tableau: {datasource: twice, schedule: dayly}}}
"""
SCHEDULES_YML = """
schedules:
  weekdays: {cron: "0 7 31 6 *", select: "tga:us"}
  month: {cron: "0 5 1 * *", timezone: Europe/Lodnon}
"""
WRONG = {
    "MDS_KEEP": "many",
    "MDS_DEADLINE": "noon",
    "MDS_TIMEZONE": "Mars/Olympus",
    "TABLEAU_TOKEN_NAME": "night",
}
SETTINGS = ("MDS_KEEP is 'many'", "MDS_DEADLINE is 'noon'", "MDS_TIMEZONE is", "TABLEAU_SERVER is")
REST = (
    "Unknown key 'projct' under meta.tableau of 'sales'",
    "meta.tableau.truncate of column 'day' of 'sales'",
    "2 extracts go to the datasource",
    "'lambda' is a word that Dagster keeps for itself",
    "meta.ingest of the dbt source 'raw.orders'",
    "which models/staging/stg_orders.sql makes too",
    "that never happens",
    "'tga' is not a valid method name",
    "has timezone 'Europe/Lodnon'",
    "meta.tableau.schedule of 'more'",
    "meta.tableau.schedule of 'sales'",
)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A project with something wrong in each place where something can be."""
    place = Workplace.create(
        tmp_path_factory.mktemp("broken"), ROOT / "tests" / "projects" / "counter"
    )
    models = place.project / "models"
    for name in ("more", "lambda"):
        (models / "marts" / f"{name}.sql").write_text("select 1 as n")
    (models / "marts" / "marts.yml").write_text(MARTS_YML)
    sources = models / "staging" / "sources.yml"
    sources.write_text(
        sources.read_text()
        .replace("table: public.orders", "tabel: public.orders")
        .replace("- name: raw", "- name: raw\n    schema: main")
        .replace("- name: customers", "- name: customers\n        identifier: stg_orders")
    )
    (place.project / "schedules.yml").write_text(SCHEDULES_YML)
    return place


@pytest.fixture(autouse=True)
def _loaded_anew() -> Iterator[None]:
    """What is loaded once for a process is loaded once for a test."""
    _loaded.cache_clear()
    yield
    _loaded.cache_clear()


def load(place: Workplace, **environment: str) -> str:
    """What is said when Dagster loads the definitions."""
    os.environ.update({**place.environment, **environment})
    os.chdir(place.folder)
    with pytest.raises(MdsTableauError) as error:
        _loaded()
    return str(error.value)


def test_all_of_it_is_told_in_one_message(broken: Workplace) -> None:
    """Each in the words of its own error, and once."""
    said = load(broken, **WRONG)
    assert {text: said.count(text) for text in (*SETTINGS, *REST)} == dict.fromkeys(
        (*SETTINGS, *REST), 1
    )
    heads = [line for line in said.splitlines() if not line.startswith("- ")]
    assert heads[0] == "Settings are missing or wrong; see .env.example for all of them."
    assert "The dbt project cannot be exported as it is:" in heads
    assert "Sources of the dbt project cannot be ingested as they are:" in heads
    assert "The schedules cannot be used as they are:" in heads


def test_plan_and_doctor_say_what_loading_says(broken: Workplace) -> None:
    """The same message from the one, a line for each place from the other."""
    said = load(broken, **WRONG)
    with pytest.raises(ConfigurationError) as planned:
        show_plan(None, "", Console(file=io.StringIO()))
    assert str(planned.value) == said
    result = CliRunner().invoke(main, ["doctor", "--json"])
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    of_project = [one["found"] for one in found if one["check"] == "dbt project"]
    assert "\n".join(of_project) == said[said.index("The dbt project cannot") :]
    of_settings = "\n".join(one["found"] for one in found if one["check"] == "settings")
    assert all(text in of_settings for text in SETTINGS)
    # those that are valid are tried all the same
    [database] = [one["found"] for one in found if one["check"] == "databases"]
    assert database == "CRM_DATABASE_URL is not set"


def test_where_the_project_cannot_be_read_the_rest_is_told(
    tmp_path: Path, broken: Workplace
) -> None:
    """Settings, and what `schedules.yml` says wrong by itself."""
    (tmp_path / "schedules.yml").write_text(SCHEDULES_YML)
    said = load(broken, **WRONG, MDS_DBT_PROJECT=str(tmp_path))
    for text in (*SETTINGS, "There is no dbt project in", "that never happens", "Europe/Lodnon"):
        assert said.count(text) == 1, text
    assert "tga" not in said.replace("select: 'tga", "")


@pytest.mark.parametrize(
    ("environment", "error", "said"),
    [
        ({"MDS_KEEP": "many"}, SettingsError, "MDS_KEEP is 'many'"),
        ({"MDS_MARTS": "fqn:nothing"}, ManifestError, "names no model"),
        ({"MDS_SCHEDULE": "0 7 31 6 *"}, ScheduleError, "MDS_SCHEDULE is '0 7 31 6 *'"),
    ],
)
def test_one_thing_that_is_wrong_is_an_error_of_its_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    error: Any,
    said: str,
) -> None:
    """With its class, for whoever looks at that, and nothing about what is right."""
    place = Workplace.create(tmp_path, ROOT / "tests" / "projects" / "counter")
    for name, value in {**place.environment, **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        build_definitions()
    assert said in str(caught.value)
    assert type(caught.value) is error


def test_a_team_with_its_own_dbt_assets_is_told_together(broken: Workplace) -> None:
    """Settings and what is said of marts; schedules and sources are none of its business."""
    load(broken)
    os.environ.update(WRONG)
    with pytest.raises(ConfigurationError) as caught:
        extract_definitions(
            broken.project / "target" / "manifest.json", duckdb_path=broken.folder / "x.duckdb"
        )
    said = str(caught.value)
    assert all(text in said for text in (*SETTINGS, *REST[:3]))
    assert "schedules" not in said
    assert "ingest" not in said


def test_asking_for_less_does_not_have_dbt_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`prune` wants no selections of schedules, and leaves what is known of them."""
    place = Workplace.create(tmp_path, ROOT / "tests" / "projects" / "counter")
    (place.project / "schedules.yml").write_text(
        "schedules: {often: {cron: '0 * * * *', select: sales}}"
    )
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    build_definitions()
    kept = place.project / "target" / "mds_tableau.json"
    before = kept.stat().st_mtime_ns
    assert CliRunner().invoke(main, ["prune"]).exit_code == 0
    assert kept.stat().st_mtime_ns == before
