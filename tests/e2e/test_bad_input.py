"""Bad input and bad settings: a clear error, nothing half-written, earlier artefacts untouched."""

import hashlib
import os
import shutil
import socket
from pathlib import Path

import dagster as dg
import pytest

from mds_tableau.errors import MartConfigError
from mds_tableau.pipeline import build_definitions
from mds_tableau.sandbox import Sandbox, SandboxConfig
from tests.pipeline import ROOT, Workplace, execute, failures

pytestmark = [pytest.mark.e2e, pytest.mark.dbt, pytest.mark.hyper]

ONE = "+key:tableau/dim_campaign"


@pytest.fixture(scope="module")
def published_once(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Our own project with the sample, in which `dim_campaign` is published, and a copy of it."""
    folder = tmp_path_factory.mktemp("bad_input")
    place = Workplace.create(folder / "place", ROOT / "dbt_project")
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(build_definitions(place.settings()), ONE, instance)
    assert failures(result) == {}
    shutil.copytree(place.folder, folder / "pristine")
    return place


@pytest.fixture
def place(published_once: Workplace) -> Workplace:
    """The place as it was when `dim_campaign` had been published."""
    shutil.rmtree(published_once.folder)
    shutil.copytree(published_once.folder.with_name("pristine"), published_once.folder)
    return published_once


def _artefacts(place: Workplace) -> dict[str, str]:
    """Return the digest of everything that the stages behind dbt left behind, but for locks."""
    folders = [place.data / name for name in ("parquet", "hyper", "published", "sandbox/files")]
    return {
        str(path.relative_to(place.data)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def _refused(place: Workplace, selection: str = ONE) -> dict[str, str]:
    """Run, and return what the failed steps say, having seen that nothing else changed."""
    before = _artefacts(place)
    assert before
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(build_definitions(place.settings()), selection, instance)
    assert not result.success
    assert _artefacts(place) == before
    return failures(result)


def test_missing_raw_file(place: Workplace) -> None:
    """A raw file that is gone stops what depends on it, and is named."""
    (place.raw / "campaign_descriptions.csv").unlink()
    [said] = _refused(place).values()
    assert "model stg_raw__campaign_descriptions" in said or "model dim_campaign" in said
    assert "campaign_descriptions.csv" in said


def test_csv_with_a_broken_row(place: Workplace) -> None:
    """A row that does not fit its columns stops what depends on it, with the file and the value."""
    file = place.raw / "campaign_descriptions.csv"
    lines = file.read_text().splitlines()
    lines[3] = lines[3].replace(lines[3].split(",")[0], "not-a-number", 1)
    file.write_text("\n".join(lines) + "\n")
    [said] = _refused(place).values()
    assert "campaign_descriptions.csv" in said
    assert "not-a-number" in said


def test_report_that_is_a_cent_off(place: Workplace) -> None:
    """A report of an office that differs from the tills by a cent stops its mart, and no other."""
    file = place.raw / "weekly_report_german.csv"
    content = file.read_bytes()
    assert content.count(b";8,97\r\n") == 1
    file.write_bytes(content.replace(b";8,97\r\n", b";8,98\r\n"))
    said = _refused(place, "+key:parquet/weekly_office_sales")
    assert set(said) == {"parquet__weekly_office_sales", "dbt__run_results_dbt_succeeded"}
    assert (
        "dbt test 'assert_offices_report_what_was_sold' failed (1 row)"
        in said["parquet__weekly_office_sales"]
    )


def test_nested_column(place: Workplace) -> None:
    """A column that Hyper cannot hold stops its mart with the column, its type and a remedy."""
    place.write_model(
        "dim_campaign",
        "select cast(campaign_id as bigint) as campaign_id, [1] as many\n"
        "from {{ ref('stg_raw__campaign_descriptions') }}\n",
    )
    (place.project / "models" / "marts" / "dim_campaign.yml").unlink()
    for unit in ("daily_sales", "campaign_performance"):
        (place.project / "models" / "marts" / f"{unit}.yml").unlink()
    said = _refused(place)["parquet__dim_campaign"]
    assert "column 'many' has type INTEGER[], which a Hyper extract cannot hold" in said
    assert "as: json" in said


def test_unknown_key_under_meta_tableau(place: Workplace) -> None:
    """An unknown key stops the definitions from loading, with the file and the nearest key."""
    before = _artefacts(place)
    yml = place.project / "models" / "marts" / "fct_sales.yml"
    yml.write_text(yml.read_text().replace("datasource:", "datasorce:"))
    with pytest.raises(MartConfigError, match=r"'datasorce'.*fct_sales.*Did you mean 'datasource'"):
        build_definitions(place.settings())
    assert _artefacts(place) == before


def test_unknown_project(place: Workplace) -> None:
    """A project that is not on the server stops the publish and lists what is near."""
    os.environ["TABLEAU_PROJECT"] = "Retail/Dialy"
    said = _refused(place, "key:tableau/dim_campaign")["tableau__dim_campaign"]
    assert "There is no project 'Retail/Dialy'" in said
    assert "Near: 'Retail/Daily'" in said


def test_wrong_credentials(place: Workplace, tmp_path: Path) -> None:
    """Refused credentials stop the publish, name the token and never its secret."""
    config = SandboxConfig(data_dir=tmp_path / "server", tokens={"night": "the-right-secret"})
    with Sandbox(config, host="127.0.0.1", port=0) as server:
        os.environ["TABLEAU_SERVER"] = server.url
        os.environ["TABLEAU_TOKEN_NAME"] = "night"
        os.environ["TABLEAU_TOKEN_VALUE"] = "the-wrong-secret"
        said = _refused(place, "key:tableau/dim_campaign")["tableau__dim_campaign"]
    assert "refused the sign-in of token 'night'" in said
    assert "the-wrong-secret" not in said


def test_server_that_is_not_there(place: Workplace) -> None:
    """A server that nobody answers at stops the publish and is named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and it does not listen
        port = taken.getsockname()[1]
        os.environ["TABLEAU_SERVER"] = f"http://127.0.0.1:{port}"
        os.environ["TABLEAU_USERNAME"] = "ada"
        os.environ["TABLEAU_PASSWORD"] = "a-password"
        said = _refused(place, "key:tableau/dim_campaign")["tableau__dim_campaign"]
    assert f"http://127.0.0.1:{port} cannot be reached" in said


def test_extract_that_was_never_built(place: Workplace) -> None:
    """Publishing an extract that is not there says how to build it."""
    said = _refused(place, "key:tableau/daily_sales")["tableau__daily_sales"]
    assert "--select '*tableau/daily_sales'" in said


def test_extract_that_changed_since_it_was_verified(place: Workplace) -> None:
    """A flipped bit in an extract is noticed before it is published."""
    path = place.data / "hyper" / "dim_campaign.hyper"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    said = _refused(place, "key:tableau/dim_campaign")["tableau__dim_campaign"]
    assert "has changed since it was verified" in said
