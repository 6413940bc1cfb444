"""The sensor of raw files, over the definitions of our own project and an instance of Dagster."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from mds_tableau.defs.file_sensor import file_sensor
from mds_tableau.manifest import Source

pytestmark = pytest.mark.dbt

PRODUCTS, CAMPAIGNS = dg.AssetKey(["raw", "products"]), dg.AssetKey(["raw", "campaigns"])

OF_PRODUCTS = {
    *("stg_raw__products", "dim_product", "daily_sales"),
    *(
        f"{stage}/{name}"
        for stage in ("parquet", "hyper", "tableau")
        for name in ("dim_product", "daily_sales")
    ),
    "dbt/run_results",
}
"""What is built of raw/products."""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance where everything was built once."""
    with dg.DagsterInstance.ephemeral() as found:
        yield found


class Ticks:
    """A sensor over folders, with the cursor that Dagster would keep for it."""

    def __init__(
        self, definitions: dg.Definitions, instance: dg.DagsterInstance, folder: Path
    ) -> None:
        self.definitions, self.instance, self.folder = definitions, instance, folder
        self.cursor: str | None = None
        self.raw = folder / "raw"
        self.raw.mkdir()
        self.pattern = {PRODUCTS: "raw/*.csv", CAMPAIGNS: "others/**/*.csv"}
        (folder / "others").mkdir()
        self.restart()

    def restart(self) -> None:
        """Make the sensor anew, as a daemon that was started again."""
        self.sensor = file_sensor(
            {
                key: Source(f"source.p.{key.path[-1]}", f"raw.{key.path[-1]}", pattern)
                for key, pattern in self.pattern.items()
            },
            base=self.folder,
            cache=self.folder / "fingerprints.json",
            seconds=60,
            status=dg.DefaultSensorStatus.STOPPED,
        )

    def tick(self) -> dg.SensorResult:
        """Evaluate the sensor once."""
        context = dg.build_sensor_context(
            cursor=self.cursor,
            instance=self.instance,
            definitions=self.definitions,
            sensor_name="raw_files_changed",
        )
        result = self.sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return result

    def runs(self) -> list[dg.RunRequest]:
        """Evaluate once, and return what it asks for."""
        return list(self.tick().run_requests or ())

    def skipped(self) -> str:
        """Evaluate once, and return why no run was asked for."""
        result = self.tick()
        assert not result.run_requests
        return str(result.skip_reason.skip_message) if result.skip_reason else ""

    def settle(self) -> dg.RunRequest:
        """Evaluate twice, and return the one run that is asked for."""
        self.skipped()
        [request] = self.runs()
        return request


@pytest.fixture
def ticks(definitions: dg.Definitions, instance: dg.DagsterInstance, tmp_path: Path) -> Ticks:
    """The sensor over an empty folder; everything was built once."""
    for key in definitions.resolve_asset_graph().materializable_asset_keys:
        instance.report_runless_asset_event(dg.AssetMaterialization(key))
    return Ticks(definitions, instance, tmp_path)


def names(request: dg.RunRequest) -> set[str]:
    """What a run builds."""
    return {key.to_user_string() for key in request.asset_selection or ()}


def test_nothing_to_read_is_a_skip_with_a_reason(ticks: Ticks) -> None:
    """Without raw files no run starts, and the reason says so."""
    assert ticks.skipped() == "There are no raw files."


def test_new_file_starts_one_run_of_what_is_made_of_it(ticks: Ticks) -> None:
    """The first look only notes a file, the second starts one run, the third finds nothing new."""
    (ticks.raw / "a.csv").write_text("1")
    assert ticks.skipped() == "raw.products changed; waiting until the next look finds the same."
    [request] = ticks.runs()
    assert names(request) == OF_PRODUCTS
    assert request.tags["mds_tableau/changed"] == "raw/products"
    assert ticks.skipped() == "None of 1 raw files is new or changed."


def test_what_was_never_built_is_built_with_it(
    definitions: dg.Definitions, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """On a new instance, the run has the models of other sources too that a mart is built of."""
    ticks = Ticks(definitions, instance, tmp_path)
    (ticks.raw / "a.csv").write_text("1")
    built = names(ticks.settle())
    assert built > OF_PRODUCTS
    assert {"stg_raw__transactions", "fct_sales"} <= built
    assert "tableau/fct_promotions" not in built


def test_two_sources_start_one_run_and_each_only_its_own(ticks: Ticks) -> None:
    """What changes together is one run; what changes alone leaves the other's marts alone."""
    (ticks.raw / "a.csv").write_text("1")
    (ticks.folder / "others" / "b.csv").write_text("1")
    request = ticks.settle()
    assert names(request) > OF_PRODUCTS | {"tableau/dim_household", "tableau/campaign_performance"}
    (ticks.folder / "others" / "b.csv").write_text("22")
    request = ticks.settle()
    assert "tableau/dim_household" in names(request)
    assert "tableau/dim_product" not in names(request)


def test_file_that_is_being_written_is_left_alone(ticks: Ticks) -> None:
    """While a file grows between two looks no run starts; when it rests, one does."""
    file = ticks.raw / "a.csv"
    for size in range(1, 4):
        file.write_text("x" * size)
        assert "waiting" in ticks.skipped()
    assert len(ticks.runs()) == 1


def test_growing_file_holds_up_its_own_source_only(ticks: Ticks) -> None:
    """A source that rests starts a run although another still changes."""
    growing = ticks.raw / "log.csv"
    growing.write_text("1")
    (ticks.raw / "done.csv").write_text("1")
    (ticks.folder / "others" / "b.csv").write_text("1")
    ticks.tick()
    growing.write_text("12")
    [request] = ticks.runs()
    assert request.tags["mds_tableau/changed"] == "raw/campaigns"


def test_source_that_never_rests_is_told_after_half_an_hour(ticks: Ticks) -> None:
    """At one look a minute, the 31st in a row says which file, and what to do."""
    file = ticks.raw / "log.csv"
    said = []
    for size in range(1, 33):
        file.write_text("x" * size)
        said.append(ticks.skipped())
    assert len(set(said[:30])) == 1
    assert said[30] == (
        "raw.products has changed at 31 looks in a row, and no run is started before it rests. "
        "Last written: log.csv. Have it written beside and then moved into place."
    )
    assert len(ticks.runs()) == 1


def test_file_that_is_replaced_while_it_is_read_starts_another_run(ticks: Ticks) -> None:
    """A file that changes after its run was asked for starts another, with a key of its own."""
    file = ticks.raw / "a.csv"
    file.write_text("1")
    first = ticks.settle()
    beside = ticks.raw / "a.tmp"
    beside.write_text("2")
    beside.replace(file)
    second = ticks.settle()
    assert first.run_key != second.run_key


def test_file_that_goes_back_to_what_it_was_starts_another_run(ticks: Ticks) -> None:
    """Restoring an old file with its old time of change is a change like any other."""
    file, kept = ticks.raw / "a.csv", ticks.folder / "kept"
    file.write_text("1")
    shutil.copy2(file, kept)
    keys = [ticks.settle().run_key]
    file.write_text("2")
    keys.append(ticks.settle().run_key)
    shutil.copy2(kept, file)
    keys.append(ticks.settle().run_key)
    assert len(set(keys)) == 3


def test_file_that_is_written_again_with_the_same_content_starts_nothing(ticks: Ticks) -> None:
    """A nightly copy of what was there already is noticed, told, and no run."""
    file = ticks.raw / "a.csv"
    file.write_text("1")
    ticks.settle()
    os.utime(file, ns=(1, 1))
    ticks.skipped()
    assert ticks.skipped() == "raw.products was written again with the content that it had."
    assert ticks.skipped() == "None of 1 raw files is new or changed."


def test_flood_of_files_starts_one_run(ticks: Ticks) -> None:
    """A thousand new files start one run, and what is remembered does not grow with them."""
    for number in range(1000):
        (ticks.raw / f"{number:04}.csv").write_text("1")
    assert names(ticks.settle()) == OF_PRODUCTS
    assert ticks.skipped() == "None of 1000 raw files is new or changed."
    assert len(ticks.cursor or "") < 1000


def test_removed_file_is_a_change_of_what_is_left(ticks: Ticks) -> None:
    """When one of two files goes away, what is made of them is made of the other."""
    (ticks.raw / "a.csv").write_text("1")
    (ticks.raw / "b.csv").write_text("1")
    ticks.settle()
    (ticks.raw / "a.csv").unlink()
    assert names(ticks.settle()) == OF_PRODUCTS


def test_empty_mount_starts_nothing_and_nothing_again_when_it_is_back(ticks: Ticks) -> None:
    """All files gone is no reason for a run but told; back as they were, they are nothing new."""
    (ticks.raw / "a.csv").write_text("1")
    ticks.settle()
    away = ticks.folder / "away"
    ticks.raw.rename(away)
    ticks.raw.mkdir()
    for _ in range(3):
        assert ticks.skipped() == (
            "There is no file any more of raw.products. Nothing is started for this; if files are "
            "on a network drive, see that it is there."
        )
    ticks.raw.rmdir()
    away.rename(ticks.raw)
    assert ticks.skipped() == "None of 1 raw files is new or changed."
    (ticks.raw / "a.csv").write_text("22")
    ticks.settle()


def test_folder_that_is_not_there_is_told_and_does_not_stop_others(ticks: Ticks) -> None:
    """A mount point that went away is told at each look; the other source goes on."""
    (ticks.raw / "a.csv").write_text("1")
    (ticks.folder / "others" / "b.csv").write_text("1")
    ticks.settle()
    away = ticks.folder / "away"
    ticks.raw.rename(away)
    said = f"Cannot look at the files of raw.products: No such file or directory ({ticks.raw}). "
    assert ticks.skipped().startswith(said)
    (ticks.folder / "others" / "b.csv").write_text("22")
    request = ticks.settle()
    assert request.tags["mds_tableau/changed"] == "raw/campaigns"
    away.rename(ticks.raw)
    assert ticks.skipped() == "None of 2 raw files is new or changed."


@pytest.mark.parametrize("what", ["listing", "file"])
def test_drive_that_answers_with_errors_is_told_and_recovers(ticks: Ticks, what: str) -> None:
    """A folder that cannot be listed, or a file that cannot be looked at, is not a change."""
    (ticks.raw / "a.csv").write_text("1")
    ticks.settle()
    # a link to itself is what the file system itself refuses to look at, whoever asks
    kept = ticks.folder / "kept"
    place = ticks.raw if what == "listing" else ticks.raw / "a.csv"
    place.rename(kept)
    place.symlink_to(place)
    assert "Too many levels of symbolic links" in ticks.skipped()
    assert "see that the drive is there and may be read" in ticks.skipped()
    place.unlink()
    kept.rename(place)
    assert ticks.skipped() == "None of 1 raw files is new or changed."


def test_what_is_remembered_survives_a_restart(ticks: Ticks) -> None:
    """A daemon that is started between two looks goes on, and starts nothing twice."""
    (ticks.raw / "a.csv").write_text("1")
    ticks.tick()
    ticks.restart()
    assert len(ticks.runs()) == 1
    ticks.restart()
    assert ticks.skipped() == "None of 1 raw files is new or changed."


@pytest.mark.parametrize("cursor", ['{"before": {"a": [1, 2]}, "done": {}}', "nonsense"])
def test_cursor_of_an_older_release_is_safe(ticks: Ticks, cursor: str) -> None:
    """What cannot be read counts as nothing known: one run at most, and then none."""
    (ticks.raw / "a.csv").write_text("1")
    ticks.cursor = cursor
    ticks.settle()
    assert ticks.skipped() == "None of 1 raw files is new or changed."


def test_look_that_is_repeated_asks_for_the_same_run(ticks: Ticks) -> None:
    """When a daemon dies before it has kept the cursor, the next one asks by the same key."""
    (ticks.raw / "a.csv").write_text("1")
    ticks.tick()
    before = ticks.cursor
    [first] = ticks.runs()
    ticks.cursor = before
    [second] = ticks.runs()
    assert first.run_key == second.run_key


def test_while_its_run_goes_on_no_other_is_started(ticks: Ticks) -> None:
    """Changes are kept until the run has ended, and are then one run."""
    (ticks.raw / "a.csv").write_text("1")
    ticks.settle()
    job = ticks.definitions.resolve_job_def("refresh_all")
    run = ticks.instance.create_run_for_job(
        job,
        status=DagsterRunStatus.STARTED,
        tags={"dagster/sensor_name": "raw_files_changed"},
    )
    for text in ("22", "333"):
        (ticks.raw / "a.csv").write_text(text)
        ticks.tick()
        assert ticks.skipped() == (
            "raw.products changed; waiting for the run that was started before."
        )
    ticks.instance.report_run_failed(run)
    assert len(ticks.runs()) == 1


def test_drive_of_many_sources_is_told_once(ticks: Ticks) -> None:
    """What several sources have in common is one sentence, which names the first of them."""
    ticks.pattern = {
        dg.AssetKey(["raw", name]): f"away/{name}*.csv"
        for name in ("campaigns", "coupons", "demographics", "products")
    }
    ticks.restart()
    said = ticks.skipped()
    assert said.startswith(
        "Cannot look at the files of raw.campaigns, raw.coupons, raw.demographics and 1 more: No "
    )
    assert said.count("Cannot look") == 1
