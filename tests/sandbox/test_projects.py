import uuid
from collections.abc import Callable

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name

from mds_tableau.sandbox import Sandbox

Api = Callable[..., requests.Response]
CodeOf = Callable[[requests.Response], str]


def named(server: TSC.Server, name: str) -> list[TSC.ProjectItem]:
    """Returns the projects of a name."""
    options = TSC.RequestOptions()
    options.filter.add(TSC.Filter("name", TSC.RequestOptions.Operator.Equals, name))
    return list(TSC.Pager(server.projects, options))


def test_projects_nest(server: TSC.Server, project: TSC.ProjectItem) -> None:
    """A project lies in the one that it names as parent; a top-level one names none."""
    child = server.projects.create(TSC.ProjectItem("Daily", "each day", parent_id=project.id))
    grandchild = server.projects.create(TSC.ProjectItem("Daily", parent_id=child.id))
    assert project.parent_id is None
    assert (child.parent_id, child.description) == (project.id, "each day")
    assert grandchild.parent_id == child.id
    assert project.owner_id == server.user_id
    assert grandchild.content_permissions == "ManagedByOwner"


def test_client_finds_a_project_by_its_path(server: TSC.Server, project: TSC.ProjectItem) -> None:
    """TSC walks down a path, one filtered query for each level."""
    child = server.projects.create(TSC.ProjectItem("Retail", parent_id=project.id))
    found = server.projects.get_by_path(f"{project.name}/Retail")
    assert found is not None
    assert found.id == child.id


def test_name_is_taken_once_in_each_parent(server: TSC.Server, project: TSC.ProjectItem) -> None:
    """A name may be used again below another parent only, whatever its case."""
    name = f"Straße {uuid.uuid4().hex}"
    server.projects.create(TSC.ProjectItem(name))
    server.projects.create(TSC.ProjectItem(name, parent_id=project.id))
    for parent_id in (None, project.id):
        with pytest.raises(TSC.ServerResponseError, match="409006") as caught:
            server.projects.create(TSC.ProjectItem(name.upper(), parent_id=parent_id))
        assert "already exists with the name" in caught.value.detail
    assert len(named(server, name)) == 2


def test_default_project_exists_on_each_site(
    sandbox: Sandbox, client: Callable[..., TSC.Server]
) -> None:
    """Both sites have a Default project, and they are two."""
    ids = set()
    for site in ("", "Acme"):
        [project] = named(client(sandbox, site=site), "Default")
        ids.add(project.id)
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ('name=""', "400000"),
        ('name="  "', "400000"),
        (f'name="{"x" * 256}"', "400000"),
        ('description="no name"', "400000"),
        ('name="x" contentPermissions="Everything"', "400000"),
        ('name="x" parentProjectId="00000000-0000-0000-0000-000000000000"', "404005"),
    ],
)
def test_bad_projects_are_refused(
    api: Api, code_of: CodeOf, server: TSC.Server, attributes: str, code: str
) -> None:
    """A project needs a name, a parent that exists and permissions that exist."""
    before = server.projects.get()[1].total_available
    response = api("POST", "projects", data=f"<tsRequest><project {attributes}/></tsRequest>")
    assert code_of(response) == code
    assert server.projects.get()[1].total_available == before


def test_owner_of_a_new_project(
    api: Api, code_of: CodeOf, sandbox: Sandbox, client: Callable[..., TSC.Server]
) -> None:
    """A project belongs to whom the request names, who must exist."""
    grace = client(sandbox, TSC.TableauAuth("Grace Hopper", "battery:staple", ""))
    body = '<tsRequest><project name="{}"><owner id="{}"/></project></tsRequest>'
    name = uuid.uuid4().hex
    assert api("POST", "projects", data=body.format(name, grace.user_id)).status_code == 201
    assert [project.owner_id for project in named(grace, name)] == [grace.user_id]
    assert code_of(api("POST", "projects", data=body.format("x", "nobody"))) == "404002"


def test_content_permissions_follow_the_version(api: Api, code_of: CodeOf) -> None:
    """Locking without the nested projects is known from version 3.8 on."""
    body = (
        f'<tsRequest><project name="{uuid.uuid4().hex}"'
        ' contentPermissions="LockedToProjectWithoutNested"/></tsRequest>'
    )
    assert code_of(api("POST", "projects", "3.7", data=body)) == "400008"
    response = api("POST", "projects", "3.8", data=body)
    assert 'contentPermissions="LockedToProjectWithoutNested"' in response.text


def test_samples_are_not_published(api: Api, code_of: CodeOf) -> None:
    """Asking for Tableau's samples in a project is refused; asking for none is not."""
    body = f'<tsRequest><project name="{uuid.uuid4().hex}"/></tsRequest>'
    assert code_of(api("POST", "projects?publishSamples=True", data=body)) == "501000"
    assert code_of(api("POST", "projects?publishSamples=maybe", data=body)) == "400008"
    assert api("POST", "projects?publishSamples=False", data=body).status_code == 201


def test_project_of_the_other_site_is_not_found(
    sandbox: Sandbox, client: Callable[..., TSC.Server], project: TSC.ProjectItem
) -> None:
    """A project's id means nothing on another site."""
    other = client(sandbox, site="Acme")
    with pytest.raises(TSC.ServerResponseError, match="404005"):
        other.projects.create(TSC.ProjectItem("Child", parent_id=project.id))
