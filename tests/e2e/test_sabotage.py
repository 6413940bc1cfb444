"""Whatever happens to a file between two stages: what arrives is right, or nothing arrives."""

import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import tableauserverclient as TSC  # noqa: N812

from mds_tableau.defs.stages import FORCE
from mds_tableau.errors import SettingsError
from mds_tableau.parquet import MANIFEST
from mds_tableau.pipeline import build_definitions
from mds_tableau.sandbox import Sandbox, SandboxConfig
from mds_tableau.settings import load_settings
from tests.pipeline import (
    ROOT,
    Workplace,
    execute,
    failures,
    held_by_sandbox,
    rows_in_duckdb,
)

pytestmark = [pytest.mark.e2e, pytest.mark.dbt, pytest.mark.hyper]

TO_PARQUET = "+key:parquet/*"
TO_HYPER = "key:hyper/*"
FROM_PARQUET = "key:hyper/* or key:tableau/*"
FROM_HYPER = "key:tableau/*"

DATASOURCE = "Revenue, daily"
MORE = (
    "select\n    cast(count(*) as bigint) as orders,\n"
    "    cast(count(distinct customer) as bigint) as customers,"
)


@pytest.fixture(scope="module")
def published_once(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A small project whose marts were published; since then its seed grew, and they are Parquet.

    Beside it there is a copy.
    """
    folder = tmp_path_factory.mktemp("sabotage")
    project = ROOT / "tests" / "projects" / "shop"
    place = Workplace.create(folder / "the shop", project, MDS_MARTS="reporting")
    model = place.project / "models" / "reporting" / "revenue.sql"
    # two columns of one type, for the swap
    model.write_text(model.read_text().replace("select", MORE, 1))
    assert failures(run(place, "*")) == {}
    with (place.project / "seeds" / "orders.csv").open("a") as seed:
        seed.write("\n90,Ada,7.25,2026-01-20\n91,Ada,1.00,2026-01-20\n")
    assert failures(run(place, TO_PARQUET)) == {}
    shutil.copytree(place.folder, folder / "pristine")
    return place


@pytest.fixture
def shop(published_once: Workplace) -> Workplace:
    """The place as it was when its marts had been exported anew."""
    shutil.rmtree(published_once.folder)
    shutil.copytree(published_once.folder.with_name("pristine"), published_once.folder)
    return published_once


def run(place: Workplace, selection: str, **tags: str) -> dg.ExecuteInProcessResult:
    """Execute assets in this process, in an instance that remembers nothing."""
    with dg.DagsterInstance.ephemeral() as instance:
        return execute(build_definitions(place.settings()), selection, instance, **tags)


def on_the_server(place: Workplace, scratch: Path) -> dict[str, str]:
    """Digest of the `.hyper` that the server gives out for each datasource."""
    config = SandboxConfig(data_dir=place.data / "sandbox", tokens={"look": "look-secret"})
    digests = {}
    with Sandbox(config, host="127.0.0.1", port=0) as sandbox:
        server = TSC.Server(sandbox.url, use_server_version=True)
        with server.auth.sign_in(TSC.PersonalAccessTokenAuth("look", "look-secret")):
            for item in TSC.Pager(server.datasources):
                scratch.mkdir(parents=True, exist_ok=True)
                archive = server.datasources.download(str(item.id), str(scratch / str(item.id)))
                with zipfile.ZipFile(archive) as opened:
                    [name] = [name for name in opened.namelist() if name.endswith(".hyper")]
                    digests[str(item.name)] = sha256(opened.read(name)).hexdigest()
    return digests


def kept(place: Workplace) -> dict[str, bytes]:
    """The files that the last good run left of the extract `revenue`."""
    files = [place.data / "hyper" / f"revenue.{kind}" for kind in ("hyper", "json")]
    files.append(place.data / "published" / "revenue.json")
    return {path.name: path.read_bytes() for path in files}


def is_as_in_the_warehouse(place: Workplace, scratch: Path) -> None:
    """The server has every mart as it was built last."""
    held = held_by_sandbox(place.data, scratch)
    warehouse = place.project / "db" / "the shop.duckdb"
    assert held[DATASOURCE].rows == rows_in_duckdb(warehouse, 'prefix_reporting."Revenue per Day"')
    assert held["customers_v2"].rows == rows_in_duckdb(warehouse, "prefix_reporting.customers_v2")
    assert len(held[DATASOURCE].rows) == 3


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    """Cut off the last bytes of a file."""
    os.truncate(path, path.stat().st_size - 9)


def newest_parquet(place: Workplace) -> Path:
    """The only part of the newest version of the mart `revenue`."""
    *_, folder = sorted((place.data / "parquet" / "revenue").glob("*Z"))
    [path] = folder.glob("*.parquet")
    return path


def swap(path: Path) -> None:
    """Swap two columns of a part, and have its manifest say what is right of the new file."""
    swapped = path.with_suffix(".swapped")
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * REPLACE (orders AS customers, customers AS orders) FROM '{path}') "
            f"TO '{swapped}' (FORMAT parquet, COMPRESSION zstd)"
        ).fetchall()
    swapped.replace(path)
    manifest = json.loads((path.parent / MANIFEST).read_text())
    content = path.read_bytes()
    manifest["parts"][0].update(bytes=len(content), sha256=sha256(content).hexdigest())
    (path.parent / MANIFEST).write_text(json.dumps(manifest))


def checked(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """The evaluations of `equals_mart`, by extract."""
    return {
        evaluation.asset_key.path[1]: evaluation
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.check_name == "equals_mart"
    }


def metadata_of(evaluation: dg.AssetCheckEvaluation) -> dict[str, object]:
    """The metadata of an evaluation as plain values; of a table, its records."""
    plain: dict[str, object] = {}
    for name, value in evaluation.metadata.items():
        if isinstance(value, dg.TableMetadataValue):
            plain[name] = [dict(record.data) for record in value.records]
        else:
            plain[name] = value.value
    return plain


def command_in(said: str) -> str:
    """The selection that a message tells to run."""
    [selection] = re.findall(r"--select '([^']+)'", said)
    return str(selection)


def drop_the_mart(shop: Workplace) -> None:
    """Take the relation of the mart `revenue` out of the warehouse."""
    with duckdb.connect(str(shop.project / "db" / "the shop.duckdb")) as connection:
        connection.execute('DROP TABLE prefix_reporting."Revenue per Day"')


def put_the_other_mart(part: Path) -> None:
    """Put the Parquet version of the other mart where that of this one is."""
    version = part.parent
    other = max(version.parents[1].joinpath("customers_v2").iterdir())
    shutil.rmtree(version)
    shutil.copytree(other, version)


def put_the_other_extract(path: Path) -> None:
    """Put the extract of the other mart, with its record, where that of this one is."""
    for suffix in (".hyper", ".json"):
        shutil.copy(path.with_name(f"customers_v2{suffix}"), path.with_suffix(suffix))


def remove_the_parquet(shop: Workplace) -> None:
    """Take away all versions of the mart `revenue`."""
    shutil.rmtree(shop.data / "parquet" / "revenue")


@pytest.mark.parametrize(
    ("sabotage", "selection"),
    [(drop_the_mart, "key:parquet/revenue"), (remove_the_parquet, "key:hyper/revenue")],
)
def test_what_is_not_there_comes_by_the_command_of_the_message(
    shop: Workplace, tmp_path: Path, sabotage: Callable[[Workplace], object], selection: str
) -> None:
    """Run as it is told, it builds what is missing, and the mart arrives."""
    sabotage(shop)
    [said] = failures(run(shop, selection)).values()
    assert failures(run(shop, command_in(said))) == {}
    held = held_by_sandbox(shop.data, tmp_path / "mended")
    warehouse = shop.project / "db" / "the shop.duckdb"
    assert held[DATASOURCE].rows == rows_in_duckdb(warehouse, 'prefix_reporting."Revenue per Day"')
    assert len(held[DATASOURCE].rows) == 3


@pytest.mark.parametrize(
    ("sabotage", "message"),
    [
        (flip, "has changed since it was verified. Export the mart again, for example with"),
        (truncate, " bytes. Export the mart again, for example with"),
        (Path.unlink, "is missing; its manifest says"),
        (swap, "the Parquet no longer holds what was exported of it. Nothing was kept of it; the"),
        (put_the_other_mart, "holds mart 'customers_v2', as its manifest says, and not 'revenue'"),
    ],
)
def test_parquet_that_was_changed_is_not_published(
    shop: Workplace, tmp_path: Path, sabotage: Callable[[Path], object], message: str
) -> None:
    """The mart's last extract stays on disk and server; the other mart arrives, the next run too.

    Only the values tell of swapped columns when the manifest lists the file as it is now.
    """
    before, served = kept(shop), on_the_server(shop, tmp_path / "before")
    sabotage(newest_parquet(shop))

    result = run(shop, FROM_PARQUET)
    [(step, said)] = failures(result).items()
    assert step == "hyper__revenue"
    assert message in said
    assert "xport the mart again" in said
    assert kept(shop) == before
    after = on_the_server(shop, tmp_path / "after")
    assert after[DATASOURCE] == served[DATASOURCE]
    assert after["customers_v2"] != served["customers_v2"]
    started = {event.step_key for event in result.all_events if event.is_step_start}
    assert "tableau__customers_v2" in started
    assert "tableau__revenue" not in started
    assert not list((shop.data / "hyper").glob(".*.tmp*"))

    assert failures(run(shop, command_in(said))) == {}
    is_as_in_the_warehouse(shop, tmp_path / "mended")


@pytest.mark.parametrize(
    ("sabotage", "message"),
    [
        (flip, "has changed since it was verified. It is not published; build it again, for"),
        (truncate, "were verified when it was made. Build it again, for example with --select"),
        (Path.unlink, "There is no extract"),
        (lambda path: path.with_suffix(".json").write_text("{}"), "Build it again, for example"),
        (put_the_other_extract, "is the record of extract 'customers_v2', so the file beside it"),
    ],
)
def test_an_extract_that_was_changed_is_not_published(
    shop: Workplace, tmp_path: Path, sabotage: Callable[[Path], object], message: str
) -> None:
    """The server keeps what it has, the message names the command, and the next run is right."""
    assert failures(run(shop, TO_HYPER)) == {}
    served = on_the_server(shop, tmp_path / "before")
    published = (shop.data / "published" / "revenue.json").read_bytes()
    sabotage(shop.data / "hyper" / "revenue.hyper")

    [(step, said)] = failures(run(shop, FROM_HYPER)).items()
    assert step == "tableau__revenue"
    assert message in said
    after = on_the_server(shop, tmp_path / "after")
    assert after[DATASOURCE] == served[DATASOURCE]
    assert after["customers_v2"] != served["customers_v2"]
    assert (shop.data / "published" / "revenue.json").read_bytes() == published

    assert failures(run(shop, command_in(said))) == {}
    is_as_in_the_warehouse(shop, tmp_path / "mended")


def test_the_check_of_an_extract_has_its_figures(shop: Workplace) -> None:
    """Rows, values of each column and hashes of mart and extract stand in its metadata."""
    result = run(shop, FROM_PARQUET)
    assert failures(result) == {}
    checks = checked(result)
    assert set(checks) == {"revenue", "customers_v2"}
    assert all(check.passed and check.blocking for check in checks.values())
    metadata = metadata_of(checks["revenue"])
    manifest = json.loads((newest_parquet(shop).parent / MANIFEST).read_text())
    assert metadata.pop("columns") == [
        {
            "column": name,
            "values_in_mart": 3,
            "nulls_in_mart": 0,
            "values_in_extract": 3,
            "nulls_in_extract": 0,
            "differs": False,
        }
        for name in ("orders", "customers", "Ordered On", "Total Amount")
    ]
    assert metadata == {
        "compared": "every value",
        "rows_in_mart": 3,
        "rows_in_extract": 3,
        "row_hash_in_mart": manifest["row_hash"],
        "row_hash_in_extract": manifest["row_hash"],
    }


def test_the_check_of_an_extract_fails_with_its_figures(shop: Workplace) -> None:
    """What differs is recorded as failed with what was found, before the step fails."""
    manifest = json.loads((newest_parquet(shop).parent / MANIFEST).read_text())
    swap(newest_parquet(shop))
    checks = checked(run(shop, FROM_PARQUET))
    assert {name: check.passed for name, check in checks.items()} == {
        "revenue": False,
        "customers_v2": True,
    }
    failed = checks["revenue"]
    assert failed.severity == dg.AssetCheckSeverity.ERROR
    assert failed.description is not None
    assert failed.description.startswith("The extract of mart 'revenue' differs from the mart:")
    metadata = metadata_of(failed)
    assert (metadata["rows_in_mart"], metadata["rows_in_extract"]) == (3, 3)
    assert metadata["row_hash_in_mart"] == manifest["row_hash"]
    assert metadata["row_hash_in_extract"] != manifest["row_hash"]


def test_counts_alone_are_compared_where_that_is_asked_for(shop: Workplace, tmp_path: Path) -> None:
    """Then the metadata says so, and a swap of columns is not seen; another count still is."""
    swap(newest_parquet(shop))
    os.environ["MDS_VERIFY"] = "rows"
    result = run(shop, FROM_PARQUET)
    assert failures(result) == {}
    metadata = metadata_of(checked(result)["revenue"])
    assert metadata.pop("columns")
    assert metadata == {
        "compared": "rows and values counted",
        "rows_in_mart": 3,
        "rows_in_extract": 3,
    }
    path = newest_parquet(shop).parent / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["columns"][0]["not_null"] = 2
    path.write_text(json.dumps(manifest))
    result = run(shop, FROM_PARQUET, **{FORCE: "true"})
    [said] = failures(result).values()
    assert "differs from the mart: column 'orders' has 3 values for 2." in said
    metadata = metadata_of(checked(result)["revenue"])
    assert isinstance(metadata["columns"], list)
    assert [record["differs"] for record in metadata["columns"]] == [True, False, False, False]

    del os.environ["MDS_VERIFY"]
    assert failures(run(shop, "*")) == {}
    is_as_in_the_warehouse(shop, tmp_path / "mended")


@pytest.mark.parametrize("value", ["maybe", "EXACT", "none", "0", "exact, rows"])
def test_another_way_to_compare_is_no_setting(value: str) -> None:
    """There is none that compares nothing; what is allowed is told."""
    os.environ["MDS_VERIFY"] = value
    with pytest.raises(
        SettingsError, match=rf"MDS_VERIFY is '{value}'; it must be exact or rows\."
    ):
        load_settings(None)
