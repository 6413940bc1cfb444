"""Users, groups, sites, sessions, workbooks, and the Metadata API."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name

from mds_tableau.sandbox import Sandbox
from mds_tableau.sandbox.selections import NotUnderstood, read

Ask = Callable[..., requests.Response]
CodeOf = Callable[[requests.Response], str]
Publish = Callable[..., Any]
NOBODY = "00000000-0000-0000-0000-000000000000"

# As dagster-tableau 0.29 asks.
WORKBOOK = """
query workbooks($luid: String!) {
  workbooks(filter: {luid: $luid}) {
    luid name createdAt updatedAt uri projectName projectLuid
    sheets {
      luid id name createdAt updatedAt path
      parentEmbeddedDatasources {
        id name hasExtracts
        parentPublishedDatasources { id luid name hasExtracts }
      }
    }
    dashboards { luid id name createdAt updatedAt path sheets { luid id } }
  }
}"""


def test_users_and_groups_are_shown(opener: TSC.Server, ask: Ask, code_of: CodeOf) -> None:
    """The configuration's users are there with their roles, and are one group."""
    users, page = opener.users.get()
    roles = {user.name: user.site_role for user in users}
    assert roles == {"ada": "ServerAdministrator", "Grace Hopper": "Creator"}
    assert page.total_available == 2
    assert opener.users.get_by_id(opener.user_id).name == "ada"
    assert [user.name for user in opener.users.filter(name="ada")] == ["ada"]
    [group] = opener.groups.get()[0]
    assert (group.name, group.domain_name) == ("All Users", "local")
    opener.groups.populate_users(group)
    assert {user.name for user in group.users} == set(roles)
    assert code_of(ask(opener, "GET", f"users/{NOBODY}")) == "404002"
    assert code_of(ask(opener, "GET", f"groups/{NOBODY}/users")) == "404012"
    for path in ("users", "groups", f"groups/{group.id}/users"):
        assert code_of(ask(opener, "GET", f"{path}?pageSize=0")) == "400007"
        assert code_of(ask(opener, "GET", f"{path}?pageSize=1001")) == "403014"
        assert code_of(ask(opener, "GET", f"{path}?pageNumber=7")) == "400006"


def test_site_and_session_are_shown(opener: TSC.Server, ask: Ask, code_of: CodeOf) -> None:
    """Whoever is signed in can ask where and as whom."""
    site = opener.sites.get_by_id(opener.site_id)
    assert (site.id, site.name, site.content_url) == (opener.site_id, "Default", "")
    assert (site.state, site.revision_limit) == ("Active", 25)
    text = ask(opener, "GET", "/sessions/current").text
    assert opener.site_id in text
    assert 'name="ada" siteRole="ServerAdministrator"' in text
    assert code_of(ask(opener, "GET", f"/sites/{opener.site_id}?key=name")) == "501000"
    assert code_of(ask(opener, "GET", f"/sites/{NOBODY}")) == "404000"


def test_switching_sites_ends_the_session(
    sandbox: Sandbox, client: Callable[..., TSC.Server], ask: Ask, code_of: CodeOf
) -> None:
    """The new session is for the other site, and the old token is worth nothing."""
    server, other = client(sandbox), client(sandbox, site="Acme")
    old = server.auth_token
    site = TSC.SiteItem("Acme", "acme")
    server.auth.switch_site(site)
    assert (server.site_id, server.user_id) == (other.site_id, other.user_id)
    server.projects.get()
    gone = ask(server, "GET", "projects", headers={"x-tableau-auth": old})
    assert code_of(gone) == "401002"
    for url, code in {"acme": "403070", "nowhere": "401003"}.items():
        xml = f'<tsRequest><site contentUrl="{url}"/></tsRequest>'
        assert code_of(ask(server, "POST", "/auth/switchSite", data=xml)) == code
    assert code_of(ask(server, "POST", "/auth/switchSite", data="")) == "400000"
    server.projects.get()


def test_workbooks_are_shown(opener: TSC.Server, ask: Ask, code_of: CodeOf) -> None:
    """The configuration's workbooks are there with their views."""
    workbook: Any = opener.workbooks.get()[0][0]
    assert (workbook.name, workbook.project_name) == ("Shop & more", "Default")
    assert [one.id for one in opener.workbooks.filter(name="Shop*")] == [workbook.id]
    fetched = opener.workbooks.get_by_id(workbook.id)
    assert [view.name for view in fetched.views] == ["Daily", "Weekly", "All"]
    opener.workbooks.populate_views(workbook)
    assert [view.sheet_type for view in workbook.views] == ["worksheet", "worksheet", "dashboard"]
    view = opener.views.get_by_id(workbook.views[0].id)
    assert (view.name, view.workbook_id) == ("Daily", workbook.id)
    for path in (f"workbooks/{NOBODY}", f"workbooks/{NOBODY}/views", f"views/{NOBODY}"):
        assert code_of(ask(opener, "GET", path)) == "404006"
    own = f"workbooks/{workbook.id}/views?includeUsageStatistics"
    assert code_of(ask(opener, "GET", f"{own}=maybe")) == "400008"
    assert code_of(ask(opener, "GET", f"{own}=true")) == "501000"


@pytest.mark.hyper
def test_metadata_of_a_workbook(
    opener: TSC.Server, publish: Publish, hyper: Callable[..., Path], tmp_path: Path
) -> None:
    """The question of dagster-tableau gets the workbook's sheets and what they are made from."""
    item = publish(opener, None, "Sales", path=hyper(tmp_path / "a.hyper", [(1, "a")]))
    workbook: Any = opener.workbooks.get()[0][0]
    answer = opener.metadata.query(WORKBOOK, {"luid": workbook.id}, abort_on_error=True)
    [seen] = answer["data"]["workbooks"]
    assert (seen["name"], seen["projectName"]) == ("Shop & more", "Default")
    assert [sheet["name"] for sheet in seen["sheets"]] == ["Daily", "Weekly"]
    [embedded] = seen["sheets"][0]["parentEmbeddedDatasources"]
    assert [one["luid"] for one in embedded["parentPublishedDatasources"]] == [item.id]
    [dashboard] = seen["dashboards"]
    assert [sheet["luid"] for sheet in dashboard["sheets"]] == [
        sheet["luid"] for sheet in seen["sheets"]
    ]
    assert set(seen["dashboards"][0]["sheets"][0]) == {"luid", "id"}
    nothing = opener.metadata.query(WORKBOOK, {"luid": NOBODY})
    assert nothing == {"data": {"workbooks": []}}


@pytest.mark.hyper
def test_metadata_of_a_data_source(
    opener: TSC.Server, publish: Publish, hyper: Callable[..., Path], tmp_path: Path
) -> None:
    """A published data source is told with the columns of its extract."""
    path = hyper(tmp_path / "a.hyper", [(1, "a")])
    item = publish(opener, None, "Fields", path=path, description="about")
    query = (
        '{publishedDatasources(filter: {luid: "%s"}) '
        "{luid name description fields {name ... on ColumnField {description}}"
        " upstreamTables {name}}}"
    )
    answer = opener.metadata.query(query % item.id, abort_on_error=True)
    assert answer["data"]["publishedDatasources"] == [
        {
            "luid": item.id,
            "name": "Fields",
            "description": "about",
            "fields": [{"name": "n", "description": None}, {"name": "t", "description": None}],
            "upstreamTables": [],
        }
    ]


@pytest.mark.parametrize(
    "query",
    [
        "{workbooks {luid}}",
        '{flows(filter: {luid: "x"}) {luid}}',
        '{workbooks(filter: {name: "x"}) {luid}}',
        '{workbooks(filter: {luid: "%s"}) {color}}',
        '{workbooks(filter: {luid: "%s"}) {sheets}}',
        '{workbooks(filter: {luid: "%s"}) {other: name}}',
        '{workbooks(filter: {luid: "%s"}) {name}',
        'mutation {workbooks(filter: {luid: "%s"}) {name}}',
    ],
)
def test_other_questions_are_501(opener: TSC.Server, query: str) -> None:
    """What is not one of the two questions is refused, not answered with nothing."""
    workbook: Any = opener.workbooks.get()[0][0]
    response = requests.post(
        f"{opener.server_address}/api/metadata/graphql",
        json={"query": query.replace("%s", str(workbook.id))},
        headers={"x-tableau-auth": opener.auth_token},
        timeout=30,
    )
    assert response.status_code == 501
    assert "none of them" in response.json()["errors"][0]["message"]


def test_metadata_needs_a_session(opening: Sandbox, code_of: CodeOf) -> None:
    """The Metadata API is for those who are signed in; a body that is no JSON is refused."""
    url = f"{opening.url}/api/metadata/graphql"
    assert code_of(requests.post(url, json={"query": "{}"}, timeout=30)) == "401000"
    headers = {"x-tableau-auth": "unknown"}
    assert code_of(requests.post(url, data=b"x", headers=headers, timeout=30)) == "401002"


def test_reading_a_query() -> None:
    """Fields, arguments, variables, lists and inline fragments are understood."""
    asked = read(
        'query q($l: String) { a(f: {l: $l, m: ["x", "y\\"z"]})'
        " { b, c { ...on T { d } } } # end\n }",
        {"l": 1},
    )
    assert asked.fields["a"].arguments == {"f": {"l": 1, "m": ["x", 'y"z']}}
    assert list(asked.fields["a"].fields) == ["b", "c"]
    assert list(asked.fields["a"].fields["c"].fields) == ["d"]


@pytest.mark.parametrize(
    "query", ["", "{", "{a", "{a}}", "{a @skip}", "{a(b: 1)}", "{1}", "{...F}"]
)
def test_other_queries_are_not_understood(query: str) -> None:
    """More of GraphQL than that is refused."""
    with pytest.raises(NotUnderstood):
        read(query, {})
