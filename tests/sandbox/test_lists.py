from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name

from mds_tableau.sandbox import Sandbox

NAMES = ["b", "A", "c, d", "c", "e*"]


@pytest.fixture(scope="module")
def listed(
    make_sandbox: Callable[..., Sandbox], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TSC.Server]:
    """A server with five data sources, the last of them in a second project, a minute apart."""
    now = 1_800_000_000.0
    folder = tmp_path_factory.mktemp("lists")
    path = folder / "a.hyper"
    path.write_bytes(b"Hyper")
    with make_sandbox(folder / "data", clock=lambda: now) as sandbox:
        server = TSC.Server(sandbox.url, use_server_version=True)
        server.auth.sign_in(TSC.TableauAuth("ada", "correct horse", ""))
        second = server.projects.create(TSC.ProjectItem("Second"))
        for name in NAMES:
            project_id = second.id if name == NAMES[-1] else ""
            server.datasources.publish(TSC.DatasourceItem(project_id, name=name), path, "CreateNew")
            now += 60
        yield server
        server.session.close()


def get(server: TSC.Server, query: str, kind: str = "datasources") -> requests.Response:
    """Asks for a list with a query string as it stands."""
    return requests.get(
        f"{server.server_address}/api/3.25/sites/{server.site_id}/{kind}?{query}",
        headers={"x-tableau-auth": server.auth_token},
        timeout=30,
    )


@pytest.mark.parametrize("size", [1, 2, 4, 5, 6, 1000])
def test_pager_sees_each_row_once_at_any_page_size(listed: TSC.Server, size: int) -> None:
    """TSC's pager walks through all pages in the order of publishing."""
    options = TSC.RequestOptions(pagesize=size)
    assert [item.name for item in TSC.Pager(listed.datasources, options)] == NAMES


def test_list_tells_its_total(listed: TSC.Server) -> None:
    """A list begins with page, page size and the number of all rows."""
    page = listed.datasources.get()[1]
    assert (page.page_number, page.page_size, page.total_available) == (1, 100, 5)
    assert len(listed.datasources.filter(name="b")) == 1


@pytest.mark.parametrize("kind", ["datasources", "projects"])
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("pageSize=1001", "403014"),
        ("pageSize=0", "400007"),
        ("pageSize=ten", "400007"),
        ("pageNumber=0", "400006"),
        ("pageNumber=-1", "400006"),
        ("pageNumber=1.5", "400006"),
        ("pageNumber=2", "400006"),
        ("pageNumber=99&pageSize=100", "400006"),
        ("filter=name", "400065"),
        ("filter=name:like:x", "400065"),
        ("filter=projectId:eq:x", "400065"),
        ("sort=name", "400000"),
    ],
)
def test_bad_pages_and_filters_have_codes(
    listed: TSC.Server,
    code_of: Callable[[requests.Response], str],
    kind: str,
    query: str,
    code: str,
) -> None:
    """Each way of asking for no possible page, or for nonsense, has its code."""
    assert code_of(get(listed, query, kind)) == code


def test_past_the_end_names_the_start_index(listed: TSC.Server) -> None:
    """The detail says which row the page would have begun with."""
    text = get(listed, "pageSize=100&pageNumber=100").text
    assert "The start index '9900' is greater than or equal to the total count." in text


def test_first_page_of_nothing_is_empty(listed: TSC.Server) -> None:
    """Page 1 is always a page, even when nothing is found."""
    assert list(listed.datasources.filter(name="nothing")) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filter=name:in:[A,b,zzz]", ["b", "A"]),
        ("filter=name:eq:a", []),
        ("filter=name%3Aeq%3Ae*%2CprojectName%3Aeq%3ASecond", ["e*"]),
        ("filter=projectName:eq:Second", ["e*"]),
        ("filter=projectName:in:[Second,Default]&sort=name:desc", ["e*", "c, d", "c", "b", "A"]),
        ("sort=name:asc", ["A", "b", "c", "c, d", "e*"]),
        ("sort=createdAt:desc&pageSize=2", ["e*", "c"]),
        ("filter=createdAt:gt:2027-01-15T08:02:00Z", ["c", "e*"]),
        ("filter=size:gte:1,isCertified:eq:false,type:eq:hyper&fields=_all_", NAMES),
        ("filter=ownerName:eq:ada,contentUrl:eq:cd", ["c, d"]),
    ],
)
def test_filters_and_sorting_on_the_wire(
    listed: TSC.Server, query: str, expected: list[str]
) -> None:
    """Filters arrive percent-encoded or not, and are applied before sorting and paging."""
    response = get(listed, query)
    assert response.status_code == 200
    found = TSC.DatasourceItem.from_response(response.content, listed.namespace)
    assert [item.name for item in found] == expected


def test_name_with_a_comma_cannot_be_asked_for(listed: TSC.Server) -> None:
    """A filter for such a name is an error, and the documented wildcard is the way around it."""
    options = TSC.RequestOptions()
    options.filter.add(TSC.Filter("name", TSC.RequestOptions.Operator.Equals, "c, d"))
    with pytest.raises(TSC.ServerResponseError, match="400065"):
        listed.datasources.get(options)
    assert [item.name for item in listed.datasources.filter(name="c*")] == ["c, d", "c"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filter=topLevelProject:eq:true&sort=name:desc", ["Second", "Default"]),
        ("filter=topLevelProject:eq:false", []),
        ("filter=parentProjectId:eq:00000000-0000-0000-0000-000000000000", []),
        ("filter=name:in:[Second]&fields=_default_", ["Second"]),
    ],
)
def test_project_filters(listed: TSC.Server, query: str, expected: list[str]) -> None:
    """Projects have filters of their own."""
    response = get(listed, query, "projects")
    found: Any = TSC.ProjectItem.from_response(response.content, listed.namespace)
    assert [item.name for item in found] == expected


def test_old_versions_send_filters_unencoded(
    listed: TSC.Server, tmp_path: Path, client: Callable[..., TSC.Server]
) -> None:
    """Below 3.7 TSC pastes a filter into the address as it is; it is understood all the same."""
    server = TSC.Server(listed.server_address)
    server.version = "3.6"
    with server.auth.sign_in(TSC.TableauAuth("ada", "correct horse", "")):
        options = TSC.RequestOptions()
        options.filter.add(TSC.Filter("projectName", TSC.RequestOptions.Operator.Equals, "Second"))
        assert [item.name for item in server.datasources.get(options)[0]] == ["e*"]
    server.session.close()
