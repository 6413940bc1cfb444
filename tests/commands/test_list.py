"""`mds-tableau list` on a running server, compared with what its client says."""

from pathlib import Path

import pytest
import tableauserverclient as TSC  # noqa: N812

from mds_tableau.columns import HyperType
from mds_tableau.extract_file import ExtractFile
from mds_tableau.published import record_published
from mds_tableau.sandbox import Sandbox, faults
from mds_tableau.tableau import About, Published, listing
from tests.commands.conftest import APP, PUBLISHER, TOKEN, Run, told

pytestmark = pytest.mark.hyper


def test_all_pages_of_all_projects_are_listed(
    on_server: Run, published: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each datasource is there once, with what the server tells of it, whatever the page's size."""
    monkeypatch.setattr(listing, "_PAGE", 1)
    listed = told(on_server("list", "--json"))
    assert [(one["project"], one["datasource"], one["revision"]) for one in listed] == [
        ("Archive/Daily", "Sales", 1),
        ("Default", "Only", 1),
        ("Retail/Daily", "Sales", 2),
    ]
    client = TSC.Server(published.url, use_server_version=True)
    with client.auth.sign_in(TSC.TableauAuth("ada", "a-password")):
        items = {item.id: item for item in TSC.Pager(client.datasources)}
    for one in listed:
        item = items.pop(one["id"])
        assert item.updated_at is not None
        assert one["updated"] == item.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert (one["megabytes"], one["url"]) == (item.size, item.webpage_url)
        assert (one["owner"], one["rows"]) == ("ada", None)
    assert not items


def test_one_project_is_listed_in_a_line_for_each_datasource(on_server: Run) -> None:
    """A project is named in any case, and its namesake elsewhere is not listed."""
    result = on_server("list", "--project", "retail/daily")
    assert result.exit_code == 0
    header, line, summary = result.stdout.splitlines()
    assert header.split()[:3] == ["project", "datasource", "updated"]
    assert line.split()[:2] == ["Retail/Daily", "Sales"]
    assert summary.startswith("1 datasource in project 'Retail/Daily' of http://127.0.0.1:")


def test_rows_that_were_published_from_here_are_known(
    on_server: Run, published: Sandbox, tmp_path: Path
) -> None:
    """Of the revision that is there, and not of another."""
    listed = {one["project"]: one for one in told(on_server("list", "--json"))}
    for project, behind in (("Default", 0), ("Retail/Daily", 1)):
        one = listed[project]
        made = ExtractFile(
            extract=one["id"],
            path=tmp_path,
            rows=1234,
            columns=(("n", HyperType("INT")),),
            not_null=(1234,),
            row_hash=0,
            bytes=1,
            sha256="",
            file_version=2,
            raised_by=(),
            fingerprint="",
            seconds=0.0,
            created_at="",
            warnings=(),
        )
        there = Published(
            published.url,
            "",
            project,
            one["datasource"],
            one["id"],
            one["url"],
            "overwrite",
            one["revision"] - behind,
            1,
            0.0,
            "2026-11-22T06:00:00+00:00",
        )
        target = f"{published.url}, the default site"
        record_published(
            tmp_path / "data/published", made, there, about=About(), target=target, run_id=""
        )
    rows = {one["project"]: one["rows"] for one in told(on_server("list", "--json"))}
    assert rows == {"Archive/Daily": None, "Default": 1234, "Retail/Daily": None}
    assert "1,234" in on_server("list").stdout


def test_app_and_publisher_may_list(run: Run, published: Sandbox) -> None:
    """A connected app asks for the scopes that listing needs, owners included."""
    app = dict(
        zip(
            ("CLIENT_ID", "SECRET_ID", "SECRET_VALUE"),
            APP,
            strict=True,
        )
    )
    ways = (
        {f"TABLEAU_CONNECTED_APP_{name}": value for name, value in app.items()}
        | {"TABLEAU_USERNAME": "ada"},
        {"TABLEAU_USERNAME": PUBLISHER.username, "TABLEAU_PASSWORD": PUBLISHER.password},
    )
    for way in ways:
        listed = told(run("list", "--json", TABLEAU_SERVER=published.url, **way))
        assert [one["owner"] for one in listed] == ["ada"] * 3


def test_what_the_server_refuses_is_not_an_empty_list(on_server: Run, published: Sandbox) -> None:
    """A server that fails ends the command, as an empty list would say that nothing is there."""
    published.faults.add(faults.Status(403), "query_datasources")
    try:
        result = on_server("list")
    finally:
        published.faults.clear()
    assert result.exit_code == 1
    assert "Listing the datasources failed" in result.stderr
    assert TOKEN.value not in result.output


def test_missing_project_is_told_with_its_neighbours(on_server: Run) -> None:
    """A misspelt project is an error that names the near ones."""
    result = on_server("list", "--project", "Retial/Daily")
    assert result.exit_code == 1
    assert "There is no project 'Retial/Daily'" in result.stderr
    assert "'Retail/Daily'" in result.stderr


def test_without_a_server_the_local_sandbox_is_listed(run: Run, tmp_path: Path) -> None:
    """Nothing is configured, nothing is published, and that is what is said."""
    result = run("list")
    assert result.exit_code == 0
    assert result.stdout == f"0 datasources on the local sandbox in {tmp_path}/data/sandbox\n"
