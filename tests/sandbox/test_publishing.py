import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mds_tableau.sandbox import Sandbox

Api = Callable[..., requests.Response]
CodeOf = Callable[[requests.Response], str]
Publish = Callable[..., Any]
MEGABYTE = 1024 * 1024

XML_TEXT = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="￾￿")


def revision_numbers(server: TSC.Server, item: TSC.DatasourceItem) -> list[int]:
    """Returns the numbers of a data source's revisions."""
    server.datasources.populate_revisions(item)
    return [int(revision.revision_number or 0) for revision in item.revisions]


def payload(attributes: str, project_id: str | None = None) -> str:
    """Returns a publish request's XML."""
    project = f'<project id="{project_id}"/>' if project_id else ""
    return f"<tsRequest><datasource {attributes}>{project}</datasource></tsRequest>"


def test_published_data_source_is_what_was_sent(
    server: TSC.Server,
    project: TSC.ProjectItem,
    extract: Callable[..., Path],
    stored: Callable[[str | None], bytes],
) -> None:
    """The server holds the file byte for byte, and tells what the client said about it."""
    item = TSC.DatasourceItem(project.id, name="Sales")
    item.description = "each day's"
    item.certified = True
    item.certification_note = "checked"
    path = extract(MEGABYTE + 1)
    created = server.datasources.publish(item, path, "CreateNew")
    assert created.id is not None
    fetched = server.datasources.get_by_id(created.id)
    for seen in (created, fetched):
        assert (seen.name, seen.project_id, seen.project_name) == (
            "Sales",
            project.id,
            project.name,
        )
        assert (seen.description, seen.certification_note) == ("each day's", "checked")
        assert (seen.certified, seen.has_extracts, seen.datasource_type) == (True, True, "hyper")
        assert seen.owner_id == server.user_id
        assert seen.created_at == seen.updated_at
        assert seen.created_at is not None
    assert stored(created.id) == path.read_bytes()
    assert revision_numbers(server, created) == [1]


def test_size_is_told_in_megabytes(api: Api, server: TSC.Server, publish: Publish) -> None:
    """A started megabyte counts as a whole one."""
    response = api("GET", f"datasources/{publish(server, None, 'Small').id}")
    assert 'size="1"' in response.text


def test_without_a_project_it_is_published_to_default(server: TSC.Server, publish: Publish) -> None:
    """A data source that names no project lies in the Default project."""
    assert publish(server, None, uuid.uuid4().hex).project_name == "Default"


def test_overwriting_keeps_what_others_refer_to(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    publish: Publish,
    tmp_path: Path,
) -> None:
    """Id, contentUrl, webpageUrl, creation and certification stay; content and update are new."""
    now = 1_800_000_000.0
    with make_sandbox(tmp_path / "data", clock=lambda: now) as sandbox:
        server = client(sandbox)
        item = TSC.DatasourceItem(server.projects.get()[0][0].id, name="Daily Sales")
        item.description, item.certified, item.certification_note = "old", True, "good"
        path = tmp_path / "a.hyper"
        path.write_bytes(b"Hyper one")
        first = server.datasources.publish(item, path, "CreateNew")
        now += 60
        path.write_bytes(b"Hyper two, longer")
        second = publish(server, first.project_id, "daily SALES", path=path)
        same = ("id", "content_url", "webpage_url", "created_at", "owner_id", "project_id")
        assert [getattr(first, name) for name in same] == [getattr(second, name) for name in same]
        assert (second.certified, second.certification_note) == (True, "good")
        assert second.updated_at.timestamp() == now
        assert second.name == "daily SALES"
        assert revision_numbers(server, second) == [1, 2]
        response = requests.get(f"{sandbox.url}/download/{first.id}", timeout=30)
        assert response.content == b"Hyper two, longer"


def test_description_is_erased_when_omitted(
    server: TSC.Server, project: TSC.ProjectItem, publish: Publish
) -> None:
    """A description that is not sent again is gone after overwriting."""
    publish(server, project.id, "A", description="old")
    assert not publish(server, project.id, "A").description


@pytest.mark.parametrize("as_job", [False, True])
def test_existing_one_needs_overwrite(
    server: TSC.Server,
    project: TSC.ProjectItem,
    publish: Publish,
    stored: Callable[[str | None], bytes],
    as_job: bool,
) -> None:
    """Creating what exists is refused at once, also for a job, and changes nothing."""
    item = publish(server, project.id, "A")
    before = stored(item.id)
    with pytest.raises(TSC.ServerResponseError, match="403007") as caught:
        publish(server, project.id, "a", "CreateNew", as_job=as_job)
    assert caught.value.detail == (
        "The datasource 'a' already exists and may not be overwritten without the 'overwrite'"
        " flag set to 'true'."
    )
    assert stored(item.id) == before
    assert revision_numbers(server, item) == [1]


def test_same_name_in_another_project_is_another(
    server: TSC.Server, project: TSC.ProjectItem, publish: Publish
) -> None:
    """Data sources are told apart by project and name; the second contentUrl is numbered."""
    child = server.projects.create(TSC.ProjectItem("Child", parent_id=project.id))
    name = f"Same & {uuid.uuid4().hex}"
    items = [publish(server, one.id, name) for one in (project, child)]
    stem = name.replace(" & ", "")
    assert [item.content_url for item in items] == [stem, f"{stem}_1"]
    options = TSC.RequestOptions().filter
    found = server.datasources.filter(name=name)
    assert {(item.id, item.project_id) for item in found} == {
        (item.id, item.project_id) for item in items
    }
    assert options == set()


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(name=st.text(XML_TEXT, min_size=1, max_size=40).filter(str.strip))
def test_any_name_survives_the_way_there_and_back(
    server: TSC.Server, extract: Callable[..., Path], publish: Publish, name: str
) -> None:
    """Quotes, ampersands, brackets, emoji and anything else in a name come back as sent."""
    item = publish(server, None, name, path=extract())
    assert item.name == name
    assert server.datasources.get_by_id(item.id).name == name
    assert item.id in {one.id for one in TSC.Pager(server.datasources)}
    server.datasources.delete(item.id)


@pytest.mark.parametrize(
    "name", ['"quoted"', "a&b", "<tag>", "Ünï ☃", "💾 disk", "a:b", "x*y", "a/b"]
)
def test_filter_finds_odd_names(
    server: TSC.Server, project: TSC.ProjectItem, publish: Publish, name: str
) -> None:
    """A filtered query finds a data source by name and project, whatever the name looks like."""
    item = publish(server, project.id, name)
    found = server.datasources.filter(name=name, project_name=project.name)
    assert [one.id for one in found] == [item.id]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("overwrite=maybe", "400008"),
        ("append=1", "400008"),
        ("createnew=yes", "400008"),
        ("asJob=yes", "400008"),
        ("overwrite=true&append=true", "400055"),
        ("overwrite=true&replace=true", "400055"),
        ("append=true&replace=true", "400055"),
        ("append=true", "404004"),
        ("replace=yes", "400008"),
        ("skipConnectionCheck=true", "501000"),
        ("datasourceType=tdsx", "400010"),
        ("uploadSessionId=1:a-1:0&datasourceType=hyper", "400010"),
    ],
)
def test_bad_parameters_have_codes(
    api: Api, code_of: CodeOf, multipart: Callable[..., dict[str, Any]], query: str, code: str
) -> None:
    """Parameters that contradict each other, the file, or the sandbox's abilities are refused."""
    request = multipart(payload('name="x"'), ("tableau_datasource", "x.hyper", b"Hyper"))
    assert code_of(api("POST", f"datasources?{query}", **request)) == code


@pytest.mark.parametrize(
    ("xml", "code"),
    [
        (None, "400000"),
        ("", "400000"),
        ("<tsRequest>", "400000"),
        ("<tsRequest><workbook/></tsRequest>", "400000"),
        (payload('name=""'), "400000"),
        (payload("description='no name'"), "400000"),
        (payload('name="x" isCertified="none"'), "400000"),
        (payload('name="x" useRemoteQueryAgent="2"'), "400000"),
        ('<tsRequest><datasource name="x"><project/></datasource></tsRequest>', "400000"),
        ('<tsRequest><datasource name="x"><views/></datasource></tsRequest>', "400000"),
        (payload('name="x"', "00000000-0000-0000-0000-000000000000"), "404005"),
        (
            '<tsRequest><datasource name="x"><connectionCredentials name="a" password="b"/>'
            "</datasource></tsRequest>",
            "501000",
        ),
        ("x" * (MEGABYTE + 1), "400000"),
    ],
)
def test_bad_payloads_have_codes(
    api: Api,
    code_of: CodeOf,
    multipart: Callable[..., dict[str, Any]],
    xml: str | None,
    code: str,
) -> None:
    """A payload has to be there, well-formed, and to mean something."""
    request = multipart(xml, ("tableau_datasource", "x.hyper", b"Hyper"))
    assert code_of(api("POST", "datasources?datasourceType=hyper", **request)) == code


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([], "400000"),
        ([("tableau_datasource", "x.hyper", b"Hyper")] * 2, "400010"),
        ([("tableau_datasource", "x", b"Hyper")], "400010"),
        ([("tableau_datasource", "x.csv", b"a,b")], "400010"),
        ([("tableau_datasource", "x.tds", b"<datasource/>")], "501000"),
        ([("tableau_datasource", "x.tdsx", b"PK")], "400011"),
        ([("tableau_datasource", "x.parquet", b"PAR1")], "501000"),
        ([("tableau_datasource", "x.hyper", b"SQLite format 3")], "400011"),
        ([("tableau_datasource", "x.hyper", b"")], "400011"),
        ([("tableau_datasource", "x.hyper", b"Hyper" + bytes(64 * MEGABYTE))], None),
    ],
)
def test_bad_attachments_have_codes(
    api: Api,
    code_of: CodeOf,
    sandbox: Sandbox,
    multipart: Callable[..., dict[str, Any]],
    files: list[tuple[str, str, bytes]],
    code: str | None,
) -> None:
    """Exactly one file, of Hyper's, is published; a refused one leaves nothing on disk."""
    before = set((sandbox.config.data_dir / "files").iterdir())
    response = api("POST", "datasources", **multipart(payload('name="x"'), *files))
    if code is None:  # too large for one request: the gateway's answer, not Tableau's
        assert response.status_code == 413
        assert "text/html" in response.headers["content-type"]
    else:
        assert code_of(response) == code
    assert set((sandbox.config.data_dir / "files").iterdir()) <= before


@pytest.mark.parametrize(
    "change",
    [
        {"headers": {"content-type": "text/xml"}},
        {"headers": {"content-type": "multipart/mixed"}},
        {"headers": {"content-type": "multipart/mixed; boundary=" + "x" * 300}},
        {"data": b"--b\r\nContent-Disposition: name=a\r\n\r\ncut off"},
        {"data": b"nothing of the kind"},
        {"data": b""},
        {"data": b"--b\r\nContent-Type: text/xml\r\n\r\nno name\r\n--b--"},
        {"data": iter([b"--b--"])},
    ],
)
def test_malformed_multipart_is_400019(
    api: Api,
    code_of: CodeOf,
    multipart: Callable[..., dict[str, Any]],
    change: dict[str, Any],
) -> None:
    """A body that cannot be split, or whose length is not told, is refused as malformed."""
    request = multipart(payload('name="x"'), ("tableau_datasource", "x.hyper", b"Hyper"))
    assert code_of(api("POST", "datasources", **{**request, **change})) == "400019"


def test_file_name_is_never_a_path(
    api: Api,
    sandbox: Sandbox,
    multipart: Callable[..., dict[str, Any]],
) -> None:
    """A file name that climbs out of the folder is a name like any other."""
    name = "../../" * 5 + "tmp/ü%22b.hyper"
    file = ("tableau_datasource", name, b"Hyper")
    request = multipart(payload(f'name="{uuid.uuid4().hex}"'), file)
    assert api("POST", "datasources", **request).status_code == 201


def test_only_the_last_revisions_are_kept(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    publish: Publish,
    tmp_path: Path,
) -> None:
    """Old revisions leave the list and the disk; numbers go on."""
    with make_sandbox(tmp_path / "data", kept_revisions=3) as sandbox:
        server = client(sandbox)
        for _ in range(5):
            item = publish(server, None, "A")
        server.datasources.populate_revisions(item)
        assert [
            (revision.revision_number, revision.current, revision.deleted, revision.user_name)
            for revision in item.revisions
        ] == [("3", False, False, "ada"), ("4", False, False, "ada"), ("5", True, False, "ada")]
        assert len(list((tmp_path / "data" / "files").iterdir())) == 3
        response = requests.get(
            f"{sandbox.url}/api/3.25/sites/{server.site_id}/datasources/{item.id}/revisions",
            {"pageSize": 2, "pageNumber": 2},
            headers={"x-tableau-auth": server.auth_token},
            timeout=30,
        )
        assert 'pageNumber="2" pageSize="2" totalAvailable="3"' in response.text
        assert 'current="true" sizeInBytes="1000"' in response.text


def test_deleted_data_source_is_gone(
    sandbox: Sandbox, server: TSC.Server, publish: Publish, api: Api, code_of: CodeOf
) -> None:
    """Nothing of a deleted data source can be had, and its files leave the disk."""
    before = set((sandbox.config.data_dir / "files").iterdir())
    item = publish(server, None, uuid.uuid4().hex)
    server.datasources.delete(item.id)
    for path in ("", "/content", "/revisions"):
        assert code_of(api("GET", f"datasources/{item.id}{path}")) == "404004"
    assert code_of(api("DELETE", f"datasources/{item.id}")) == "404004"
    assert requests.get(f"{sandbox.url}/download/{item.id}", timeout=30).status_code == 404
    assert set((sandbox.config.data_dir / "files").iterdir()) <= before


def test_data_source_of_the_other_site_is_not_found(
    sandbox: Sandbox, server: TSC.Server, client: Callable[..., TSC.Server], publish: Publish
) -> None:
    """A data source's id means nothing on another site, and numbers count for each site."""
    other = client(sandbox, site="Acme")
    item = publish(other, None, uuid.uuid4().hex)
    assert f"{sandbox.url}/#/site/Acme/datasources/" in item.webpage_url
    with pytest.raises(TSC.ServerResponseError, match="404004"):
        server.datasources.get_by_id(item.id)
    with pytest.raises(TSC.ServerResponseError, match="404004"):
        server.datasources.delete(item.id)
    other.datasources.get_by_id(item.id)


def test_webpage_address_may_be_another(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    publish: Publish,
    tmp_path: Path,
) -> None:
    """Links to web pages begin with the public address where one is given."""
    with make_sandbox(tmp_path, public_url="https://tableau.example.com/") as sandbox:
        item = publish(client(sandbox), None, "A")
        assert item.webpage_url == "https://tableau.example.com/#/datasources/1"
