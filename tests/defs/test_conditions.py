"""When an extract follows its mart by itself: Dagster's own evaluation, over a real instance."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest

from mds_tableau.defs.conditions import SENSOR, rebuilt_sensor, when_rebuilt
from mds_tableau.pipeline import extract_definitions
from tests.pipeline import Workplace

RESULTS = "dbt/run_results"
STAGES = ("parquet", "hyper", "tableau")


def extract(mart: str) -> list[str]:
    """Keys of the assets of an extract."""
    return [f"{stage}/{mart}" for stage in STAGES]


def evaluate(
    definitions: dg.Definitions, instance: dg.DagsterInstance, cursor: Any = None
) -> tuple[Any, set[str]]:
    """Evaluate what the sensor looks at, and return what is remembered and what is asked for."""
    sensor = definitions.get_repository_def().get_sensor_def(SENSOR)
    assert isinstance(sensor, dg.AutomationConditionSensorDefinition)
    found = dg.evaluate_automation_conditions(
        definitions, instance, asset_selection=sensor.asset_selection, cursor=cursor
    )
    keys = [result.key for result in found.results]
    asked = {key.to_user_string() for key in keys if found.get_num_requested(key)}
    return found.cursor, asked


class House:
    """Two marts, their extracts and an instance: what is built by whom, and what is then asked for.

    Attributes:
        broken: Marts that dbt cannot build, and extracts that cannot be published.
        midway: Called when dbt has built the marts, and their tests have not run.
    """

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.broken: set[str] = set()
        self.midway: Callable[[], object] = lambda: None
        self.cursor: Any = None
        specs = [dg.AssetSpec(key.split("/"), skippable=True) for key in ("dim", "fct", RESULTS)]

        @dg.multi_asset(
            specs=specs, check_specs=[dg.AssetCheckSpec("unique", asset="fct")], can_subset=True
        )
        def dbt(context: dg.AssetExecutionContext) -> Iterator[Any]:
            for key in sorted(context.selected_asset_keys):
                if key.to_user_string() not in self.broken:
                    yield dg.MaterializeResult(asset_key=key)
            self.midway()
            for check in context.selected_asset_check_keys:
                yield dg.AssetCheckResult(
                    asset_key=check.asset_key, check_name=check.name, passed=True
                )

        exports = when_rebuilt(
            [one for mart in ("dim", "fct") for one in self._exports(mart)],
            after=[dg.AssetKey(["dbt", "run_results"])],
        )
        self.definitions = dg.Definitions(
            assets=[dbt, *exports],
            jobs=[dg.define_asset_job("refresh_all")],
            sensors=[rebuilt_sensor(exports, seconds=60, status=dg.DefaultSensorStatus.STOPPED)],
        )
        self.repository = self.definitions.get_repository_def()

    def _exports(self, mart: str) -> list[dg.AssetsDefinition]:
        @dg.asset(key=["parquet", mart], deps=[mart, RESULTS.split("/")])
        def parquet() -> None:
            pass

        @dg.asset(
            key=["hyper", mart],
            deps=[["parquet", mart]],
            check_specs=[
                dg.AssetCheckSpec("equal", asset=dg.AssetKey(["hyper", mart]), blocking=True)
            ],
        )
        def hyper() -> Iterator[Any]:
            yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])

        @dg.asset(key=["tableau", mart], deps=[["hyper", mart]])
        def tableau() -> None:
            if f"tableau/{mart}" in self.broken:
                raise dg.Failure("refused", allow_retries=False)

        return [parquet, hyper, tableau]

    def run(self, *keys: str) -> None:
        """Build some assets in one run; without any, all."""
        selection = [dg.AssetKey(key.split("/")) for key in keys]
        job = self.repository.get_job("refresh_all")
        if selection:
            found = self.repository.get_implicit_job_def_for_assets(selection)
            assert found is not None
            job = found
        job.execute_in_process(
            instance=self.instance, asset_selection=selection or None, raise_on_error=False
        )

    def requested(self) -> set[str]:
        """Evaluate the conditions as the daemon does, and return what is asked for."""
        self.cursor, found = evaluate(self.definitions, self.instance, self.cursor)
        return found


@pytest.fixture
def house() -> Iterator[House]:
    """Everything was built once, and the conditions were evaluated before and after."""
    with dg.DagsterInstance.ephemeral() as instance:
        found = House(instance)
        assert found.requested() == set()
        found.run()
        assert found.requested() == set()
        yield found


def test_model_that_was_rebuilt_alone_has_its_extract_published(house: House) -> None:
    """The three stages are asked for once, whether or not dbt's results are told with it."""
    for also in ([], [RESULTS]):
        house.run("fct", *also)
        assert house.requested() == set(extract("fct"))
        assert house.requested() == set()
        house.run(*extract("fct"))
        assert house.requested() == set()


def test_run_that_publishes_is_not_followed_by_another(house: House) -> None:
    """A whole run, or one of a mart with its extract, asks for nothing, during and after it."""
    seen = []
    house.midway = lambda: seen.append(house.requested())
    house.run()
    house.run("fct", RESULTS, *extract("fct"))
    assert seen == [set(), set()]
    assert house.requested() == set()


def test_run_for_one_extract_that_rebuilds_another_mart_is_followed(house: House) -> None:
    """A schedule rebuilds a mart that another's extract needs; that extract follows."""
    house.run("dim", "fct", RESULTS, *extract("fct"))
    assert house.requested() == set(extract("dim"))


def test_model_that_failed_has_nothing_published(house: House) -> None:
    """What dbt could not build is not asked for, nor is the other extract for dbt's results."""
    house.broken = {"fct"}
    house.run("fct", RESULTS)
    assert house.requested() == set()


def test_tests_of_the_model_are_waited_for(house: House) -> None:
    """Between a model and its tests nothing is asked for; after them it is."""
    seen = []
    house.midway = lambda: seen.append(house.requested())
    house.run("fct", RESULTS)
    assert seen == [set()]
    assert house.requested() == set(extract("fct"))


def test_publish_that_failed_is_not_tried_for_ever(house: House) -> None:
    """What failed waits for the next time that the mart is rebuilt."""
    house.broken = {"tableau/fct"}
    house.run("fct")
    assert house.requested() == set(extract("fct"))
    house.run(*extract("fct"))
    assert [house.requested() for _ in range(3)] == [set()] * 3
    house.run("fct")
    assert house.requested() == set(extract("fct"))


def test_what_was_made_halfway_is_finished(house: House) -> None:
    """Parquet that somebody makes alone is converted and published."""
    house.run("parquet/fct")
    assert house.requested() == {"hyper/fct", "tableau/fct"}


def test_two_rebuilds_between_two_looks_are_one_request(house: House) -> None:
    """However often a mart was rebuilt, its extract is asked for once."""
    house.run("fct")
    house.run("fct")
    assert house.requested() == set(extract("fct"))
    assert house.requested() == set()


@pytest.mark.dbt
def test_conditions_and_sensor_are_on_the_extracts_of_our_project(
    definitions: dg.Definitions, place: Workplace
) -> None:
    """Each stage of each extract has one, nothing else has, and a rebuilt mart is followed."""
    graph = definitions.resolve_asset_graph()
    having = {key for key in graph.get_all_asset_keys() if graph.get(key).automation_condition}
    marts = [file.stem for file in (place.project / "models" / "marts").glob("*.sql")]
    assert {key.to_user_string() for key in having} == {
        key for mart in marts for key in extract(mart)
    }
    assert _follows(definitions) == set(extract("dim_product"))


@pytest.mark.dbt
def test_extracts_of_a_team_with_its_own_dbt_assets_follow_too(
    definitions: dg.Definitions, place: Workplace
) -> None:
    """The right half alone has the same conditions, and a sensor of its own that is off."""
    half = extract_definitions(
        place.project / "target" / "manifest.json",
        duckdb_path=place.data / "warehouse.duckdb",
        settings=place.settings(),
    )
    # the marts stand for assets of another code location
    assert _follows(half) == set(extract("dim_product"))
    sensor = half.get_repository_def().get_sensor_def(SENSOR)
    assert sensor.default_status == dg.DefaultSensorStatus.STOPPED


def _follows(definitions: dg.Definitions) -> set[str]:
    """What is asked for when the mart dim_product was rebuilt."""
    with dg.DagsterInstance.ephemeral() as instance:
        cursor, asked = evaluate(definitions, instance)
        assert asked == set()
        for key in (["dim_product"], ["dbt", "run_results"]):
            instance.report_runless_asset_event(dg.AssetMaterialization(dg.AssetKey(key)))
        return evaluate(definitions, instance, cursor)[1]
