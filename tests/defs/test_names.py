"""Names of models, where the rule of the package has to be Dagster's own."""

import dagster as dg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mds_tableau.errors import MartConfigError
from mds_tableau.extracts import step_name
from mds_tableau.manifest import Manifest
from mds_tableau.pipeline import build_definitions
from mds_tableau.project_extracts import plan_extracts
from tests.pipeline import Workplace


def _asset(name: str) -> dg.AssetsDefinition:
    @dg.asset(key=["tableau", name])
    def made() -> None:
        """Nothing is done."""

    return made


def _dagster_takes(*names: str) -> bool:
    try:
        assets = [_asset(name) for name in names]
        dg.Definitions(assets=assets).resolve_implicit_global_asset_job_def()
    except dg.DagsterInvalidDefinitionError:
        return False
    return True


def _we_take(*names: str) -> bool:
    nodes = {
        f"model.p.{name}": {
            "resource_type": "model",
            "name": name,
            "original_file_path": f"models/{name}.sql",
            "config": {"materialized": "table"},
        }
        for name in names
    }
    manifest = Manifest({"metadata": {}, "nodes": nodes, "sources": {}})
    try:
        plan_extracts(manifest, nodes, selection="*", project="Default").valid()
    except MartConfigError:
        return False
    return True


NAMES = st.text(st.sampled_from("aZ09_-.%'\" é/*²\n") | st.characters(codec="utf-8"), min_size=1)


# Dagster lets a newline at the end through, which no file of dbt's would have
@given(name=NAMES.filter(lambda name: len(name.encode()) <= 200 and not name.endswith("\n")))
@example(name="dim_Product.v1-2")
@example(name="dict")
@example(name="1")
def test_a_name_is_taken_when_dagster_takes_it(name: str) -> None:
    """We refuse exactly the names that Dagster can make no asset of."""
    assert _we_take(name) == _dagster_takes(name)


@given(name=st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True))
def test_a_step_has_the_name_that_dagster_gives_it(name: str) -> None:
    """What a message calls a step is what a run config has to call it."""
    assert step_name("tableau", name) == _asset(name).op.name


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (("a-b", "a_b"), False),
        (("a.b", "a_b"), False),
        (("a.b", "a-b"), False),
        (("a-b", "ab", "a_b_"), True),
    ],
)
def test_names_of_one_step_are_refused_as_dagster_does(
    names: tuple[str, ...], *, taken: bool
) -> None:
    """Models whose steps would have one name cannot be in one project."""
    assert _dagster_takes(*names) == taken
    assert _we_take(*names) == taken


@pytest.mark.dbt
def test_models_that_dagster_can_make_no_asset_of_are_told_by_their_files(shop: Workplace) -> None:
    """Models that are not exported too: odd letters, two names for one asset, a reserved word."""
    folder = shop.project / "models"
    for name in ("é", "a-b", "a_b", "lambda"):
        (folder / f"{name}.sql").write_text("select 1 as n", encoding="utf-8")
    with pytest.raises(MartConfigError, match="can make no assets") as caught:
        build_definitions(shop.settings())
    told = str(caught.value).splitlines()[1:-1]
    assert told == [
        "- models/a-b.sql, models/a_b.sql: Dagster calls all of them 'a_b'.",
        "- models/lambda.sql: 'lambda' is a word that Dagster keeps for itself.",
        "- models/é.sql: 'é' has characters that an asset cannot have.",
    ]
