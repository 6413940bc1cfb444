"""Our own project, prepared once for the tests that only look at its definitions."""

import os
from pathlib import Path

import dagster as dg
import pytest

from mds_tableau.pipeline import build_definitions
from tests.pipeline import ROOT, Workplace


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Our own project and the sample, for tests that change neither."""
    return Workplace.create(tmp_path_factory.mktemp("place"), ROOT / "dbt_project")


@pytest.fixture(scope="session")
def definitions(place: Workplace) -> dg.Definitions:
    """The definitions of our own project."""
    saved = dict(os.environ)
    try:
        return build_definitions(place.settings())
    finally:
        os.environ.clear()
        os.environ.update(saved)


@pytest.fixture
def shop(tmp_path: Path) -> Workplace:
    """A project of another shape: no marts folder, schemas, aliases, versions, quoted names."""
    place = Workplace.create(
        tmp_path / "shop", ROOT / "tests" / "projects" / "shop", MDS_MARTS="reporting"
    )
    (place.project / "db").mkdir()
    return place
