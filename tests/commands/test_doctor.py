"""`mds-tableau doctor`: what it looks at on this machine, and how checks are run."""

import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest
from click.testing import Result

from mds_tableau.doctor import run as run_check
from mds_tableau.doctor_findings import Check, Finding
from mds_tableau.errors import ExtractError
from tests.commands.conftest import Run
from tests.pipeline import DERIVED, ROOT

pytestmark = pytest.mark.hyper


def statuses(result: Result) -> dict[str, str]:
    """The status of each check that was printed as JSON."""
    return {one["check"]: one["status"] for one in json.loads(result.stdout)}


def of(result: Result, check: str) -> list[dict[str, str]]:
    """What was found of one check."""
    return [one for one in json.loads(result.stdout) if one["check"] == check]


def test_a_machine_without_settings_is_well(run: Run, tmp_path: Path) -> None:
    """All is ok with the local sandbox; that no dbt project is there is worth a word."""
    result = run("doctor", "--json")
    assert result.exit_code == 0
    assert statuses(result) == {
        "settings": "ok",
        "python": "ok",
        "libraries": "ok",
        "hyper": "ok",
        "data folder": "ok",
        "dagster": "ok",
        "dbt project": "warn",
        "sandbox": "ok",
        "project": "ok",
        "rights": "ok",
    }
    for one in json.loads(result.stdout):
        assert set(one) == {"check", "status", "found", "advice"}
        assert bool(one["advice"]) == (one["status"] != "ok")
    lines = run("doctor").stdout.splitlines()
    assert lines[0].split() == ["ok", "settings", "complete,", "for", *lines[0].split()[4:]]
    assert f"the local sandbox in {tmp_path}/data/sandbox" in lines[0]
    assert lines[-1] == "Nothing fails."


def test_each_half_given_setting_is_a_line_and_hides_no_other(run: Run, tmp_path: Path) -> None:
    """All problems are told, with what can be looked at, and what cannot says why."""
    result = run(
        "doctor",
        "--json",
        TABLEAU_SERVER="https://tableau.test",
        TABLEAU_TOKEN_NAME="looker",
        TABLEAU_CA_BUNDLE=str(tmp_path / "missing.pem"),
        MDS_CONNECT_TIMEOUT="soon",
        MDS_TIMEZONE="Mars/Olympus",
    )
    assert result.exit_code == 1
    found = [one["found"] for one in of(result, "settings")]
    assert [text.split()[0].rstrip(":") for text in found] == [
        "MDS_CONNECT_TIMEOUT",
        "TABLEAU_TOKEN_VALUE",
        "TABLEAU_CA_BUNDLE",
        "MDS_TIMEZONE",
    ]
    assert statuses(result) | {"hyper": "ok", "data folder": "ok"} == statuses(result)
    assert [one["found"] for one in of(result, "sign-in")] == ["not tried"]
    assert "First mend the settings" in of(result, "server")[0]["advice"]


def test_misspelt_settings_are_told(run: Run, tmp_path: Path) -> None:
    """What nobody reads would change nothing, silently; what others may read is let be."""
    (tmp_path / ".env").write_text("TABLEAU_PROJCT=Sales\nMDS_KEPE=3\nMDS_SALES_DATABASE=x\n")
    with pytest.MonkeyPatch.context() as environment:
        # what is read of .env is in the environment after it
        for name in ("TABLEAU_PROJCT", "MDS_KEPE", "MDS_SALES_DATABASE"):
            environment.setenv(name, "")
            environment.delenv(name)
        result = run("doctor", "--json")
    told = {one["found"].split()[0]: one["advice"] for one in of(result, "settings")}
    assert told.pop("complete,") == ""
    assert told == {
        "TABLEAU_PROJCT": "Did you mean TABLEAU_PROJECT?",
        "MDS_KEPE": "Did you mean MDS_KEEP?",
    }
    assert result.exit_code == 0


def test_env_file_that_is_no_text_is_told(run: Run, tmp_path: Path) -> None:
    """It is one line that fails, and the rest is looked at as if it were not there."""
    (tmp_path / ".env").write_bytes(b"MDS_TIMEZONE=\xff")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    [one] = of(result, "settings")
    assert (one["status"], ".env is not UTF-8" in one["found"]) == ("fail", True)
    assert statuses(result)["sandbox"] == "ok"


def test_libraries_of_a_wrong_version_are_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is installed is compared with what the package asks for, one line for each."""
    folder = tmp_path / "older" / "requests-2.0.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: requests\nVersion: 2.0.0\n")
    monkeypatch.setattr(sys, "path", [str(folder.parent), *sys.path])
    result = run("doctor", "--json")
    assert result.exit_code == 1
    bad, good = of(result, "libraries")
    assert bad["found"] == "requests 2.0.0 is installed, and >=2.32 is needed"
    assert "pip install" in bad["advice"]
    assert (good["status"], "tableauserverclient 0.42" in good["found"]) == ("ok", True)


def test_data_folder_that_is_a_file_fails(run: Run, tmp_path: Path) -> None:
    """It is told, with the variable to set; what lies in it fails for itself."""
    (tmp_path / "file").write_text("")
    result = run("doctor", "--json", MDS_DATA_DIR=str(tmp_path / "file/data"))
    [one] = of(result, "data folder")
    assert (one["status"], one["advice"]) == ("fail", "Set MDS_DATA_DIR to a folder.")
    assert statuses(result)["sandbox"] == "fail"


def test_small_disk_fails(run: Run, small_disk: Path) -> None:
    """A disk that no mart has place on is told before a run fills it."""
    [one] = of(run("doctor", "--json", MDS_DATA_DIR=str(small_disk)), "data folder")
    assert one["status"] == "fail"
    assert "0.0 GiB free" in one["found"]


@pytest.mark.dbt
def test_dbt_project_is_parsed(run: Run, tmp_path: Path) -> None:
    """One that parses tells how many marts are selected; one that cannot be read, why."""
    shop = tmp_path / "shop"
    shutil.copytree(Path(__file__).parents[1] / "projects" / "shop", shop)
    given = {"MDS_DBT_PROJECT": str(shop), "MDS_MARTS": "fqn:*.reporting.*"}
    [one] = of(run("doctor", "--json", **given), "dbt project")
    assert one["status"] == "ok"
    assert "'fqn:*.reporting.*' selects" in one["found"]
    (shop / "profiles.yml").write_text("shop: {target: gone, outputs: {}}")
    [one] = of(run("doctor", "--json", **given), "dbt project")
    assert one["status"] == "fail"
    assert "The dbt profile cannot be read" in one["found"]


def test_dbt_project_that_was_named_has_to_be_there(run: Run, tmp_path: Path) -> None:
    """A path that was set is meant, so that nothing there is a failure."""
    result = run("doctor", "--json", MDS_DBT_PROJECT=str(tmp_path / "gone"))
    assert result.exit_code == 1
    assert "There is no dbt project in" in of(result, "dbt project")[0]["found"]


def test_check_that_breaks_or_hangs_is_one_that_fails() -> None:
    """Findings before an error are kept, and what never answers is given up in time."""

    def breaks() -> list[Finding]:
        raise ExtractError("Hyper does not start: no memory")

    assert run_check(Check("hyper", breaks)) == [
        Finding("hyper", "fail", "Hyper does not start: no memory")
    ]
    ended = Event()

    def hangs() -> list[Finding]:
        ended.wait()
        return []

    [one] = run_check(Check("data folder", hangs), seconds=0.05)
    ended.set()
    assert (one.check, one.status) == ("data folder", "fail")
    assert one.found == "no answer within 0.05 seconds"


def test_each_connection_of_the_sources_is_a_line(run: Run, tmp_path: Path) -> None:
    """It answers, cannot be reached, or is not set; no password is shown."""
    project = tmp_path / "counter"
    shutil.copytree(ROOT / "tests" / "projects" / "counter", project, ignore=DERIVED)
    with closing(sqlite3.connect(tmp_path / "people.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE customers (customer_id INTEGER, name TEXT)")
    given = {
        "MDS_DBT_PROJECT": str(project),
        "SHOP_DATABASE_URL": "postgresql://ann:hunter2@127.0.0.1:1/shop",
        "CRM_DATABASE_URL": str(tmp_path / "people.sqlite"),
    }
    result = run("doctor", "--json", **given)
    crm, shop = of(result, "databases")
    assert (crm["status"], crm["found"]) == (
        "ok",
        "CRM_DATABASE_URL: it answers and has 1 table",
    )
    assert shop["status"] == "fail"
    assert "SHOP_DATABASE_URL: Cannot reach it: " in shop["found"]
    assert "hunter2" not in result.stdout
    result = run("doctor", "--json", **{**given, "CRM_DATABASE_URL": ""})
    crm, _ = of(result, "databases")
    assert (crm["status"], crm["found"]) == ("fail", "CRM_DATABASE_URL is not set")
