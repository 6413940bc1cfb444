import io
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name
from defusedxml.ElementTree import fromstring

from mds_tableau.sandbox import Sandbox

Publish = Callable[..., Any]


@pytest.mark.hyper
def test_downloaded_package_holds_the_extract(
    server: TSC.Server,
    project: TSC.ProjectItem,
    publish: Publish,
    hyper: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """What TSC downloads is a .tdsx with the extract in it, which Hyper opens with all its rows."""
    rows = [(1, "Größe"), (2, "it's"), (3, "💾")]
    path = hyper(tmp_path / "rows.hyper", rows)
    item = publish(server, project.id, "Sales", path=path)
    saved = Path(server.datasources.download(item.id, str(tmp_path / "saved")))
    assert saved.name == "saved.tdsx"
    with zipfile.ZipFile(saved) as package:
        assert package.testzip() is None
        assert package.namelist() == ["Sales.tds", "Data/Extracts/Sales.hyper"]
        assert fromstring(package.read("Sales.tds")).get("formatted-name") == "Sales"
        extract = Path(package.extract("Data/Extracts/Sales.hyper", tmp_path))
    assert extract.read_bytes() == path.read_bytes()
    assert hyper(extract) == rows


@pytest.mark.hyper
@pytest.mark.parametrize("as_job", [False, True])
def test_real_extracts_are_accepted(
    server: TSC.Server,
    project: TSC.ProjectItem,
    publish: Publish,
    hyper: Callable[..., Any],
    stored: Callable[[str | None], bytes],
    tmp_path: Path,
    as_job: bool,
) -> None:
    """A file that Hyper wrote passes the look at its content, and overwriting replaces its rows."""
    first = hyper(tmp_path / "first.hyper", [(1, "old")])
    second = hyper(tmp_path / "second.hyper", [(1, "new"), (2, "new")])
    publish(server, project.id, "A", path=first)
    result = publish(server, project.id, "A", path=second, as_job=as_job)
    if as_job:
        server.jobs.wait_for_job(result)
    [item] = server.datasources.filter(name="A", project_name=project.name)
    served = tmp_path / "served.hyper"
    served.write_bytes(stored(item.id))
    assert hyper(served) == [(1, "new"), (2, "new")]


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ('a"b', "a_b"),
        ("../../up", "_.._up"),
        ("Größe 💾", "Größe 💾"),
        ("a\\b/c", "a_b_c"),
        ("...", "datasource"),
    ],
)
def test_odd_names_are_downloadable(
    server: TSC.Server,
    project: TSC.ProjectItem,
    publish: Publish,
    tmp_path: Path,
    name: str,
    member: str,
) -> None:
    """Whatever the name, the download ends in .tdsx and stays inside its folders."""
    item = publish(server, project.id, name)
    saved = Path(server.datasources.download(item.id, str(tmp_path)))
    assert (saved.parent, saved.suffix) == (tmp_path, ".tdsx")
    with zipfile.ZipFile(saved) as package:
        assert package.namelist()[1] == f"Data/Extracts/{member}.hyper"


def test_download_names_its_parts(
    api: Callable[..., requests.Response], server: TSC.Server, publish: Publish
) -> None:
    """The header has the part's name and the file's, as clients look for both."""
    item = publish(server, None, uuid.uuid4().hex)
    response = api("GET", f"datasources/{item.id}/content")
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"] == (
        f'name="tableau_datasource"; filename="{item.name}.tdsx"'
    )


def test_download_without_extract_has_the_description_only(
    api: Callable[..., requests.Response],
    code_of: Callable[[requests.Response], str],
    server: TSC.Server,
    publish: Publish,
) -> None:
    """A package without its extract holds the .tds; asking for it with is the default."""
    item = publish(server, None, uuid.uuid4().hex)
    content = f"datasources/{item.id}/content"
    response = api("GET", f"{content}?includeExtract=False")
    with zipfile.ZipFile(io.BytesIO(response.content)) as package:
        assert [name.rpartition(".")[2] for name in package.namelist()] == ["tds"]
    assert code_of(api("GET", f"{content}?includeExtract=0")) == "400008"
    assert api("GET", f"{content}?includeExtract=True").content[:2] == b"PK"


def test_downloads_leave_nothing_behind(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    publish: Publish,
    tmp_path: Path,
) -> None:
    """After downloads only the revisions' own files are on disk."""
    with make_sandbox(tmp_path / "data") as sandbox:
        server = client(sandbox)
        item = publish(server, None, "A")
        server.datasources.download(item.id, str(tmp_path / "a"))
        requests.get(f"{sandbox.url}/download/{item.id}", timeout=30)
    assert len(list((tmp_path / "data" / "files").iterdir())) == 1
