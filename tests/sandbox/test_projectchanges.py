"""Changing and deleting projects."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name

from mds_tableau.sandbox import Sandbox

Ask = Callable[..., requests.Response]
CodeOf = Callable[[requests.Response], str]
NOBODY = "00000000-0000-0000-0000-000000000000"


def test_project_is_changed_and_moved(server: TSC.Server, project: Any) -> None:
    """Name, description, permissions' keeper and parent change; asking for it changes nothing."""
    child: Any = server.projects.create(TSC.ProjectItem("Child", parent_id=project.id))
    before = server.projects.get_by_id(child.id)
    assert (before.name, before.parent_id) == ("Child", project.id)
    other = server.projects.create(TSC.ProjectItem(uuid.uuid4().hex))
    child.name, child.description, child.parent_id = "Renamed", "new", other.id
    child.content_permissions = "LockedToProject"
    server.projects.update(child)
    after = server.projects.get_by_id(child.id)
    assert (after.name, after.description, after.parent_id) == ("Renamed", "new", other.id)
    assert after.content_permissions == "LockedToProject"


def body(attributes: str) -> str:
    """Returns the body of an update."""
    return f"<tsRequest><project {attributes}/></tsRequest>"


def test_bad_changes_have_codes(
    server: TSC.Server, project: Any, ask: Ask, code_of: CodeOf
) -> None:
    """Changes that cannot be made are refused, and the project stays as it was."""
    child: Any = server.projects.create(TSC.ProjectItem("Child", parent_id=project.id))
    server.projects.create(TSC.ProjectItem("Taken", parent_id=project.id))
    path = f"projects/{child.id}"
    owner = f'<tsRequest><project><owner id="{NOBODY}"/></project></tsRequest>'
    for xml, code in {
        "": "400000",
        body('name=""'): "400000",
        body('contentPermissions="x"'): "400000",
        body(f'parentProjectId="{child.id}"'): "400000",
        body(f'parentProjectId="{NOBODY}"'): "404005",
        body(f'id="{NOBODY}"'): "404009",
        body('name="taken"'): "409006",
        body('color="red"'): "501000",
        owner: "404002",
    }.items():
        assert code_of(ask(server, "PUT", path, data=xml)) == code, xml
    assert code_of(ask(server, "PUT", f"projects/{NOBODY}", data=body(""))) == "404005"
    default: Any = server.projects.filter(name="Default")[0]
    renamed = ask(server, "PUT", f"projects/{default.id}", data=body('name="x"'))
    assert code_of(renamed) == "403005"
    assert code_of(ask(server, "PUT", f"{path}?publishSamples=true", data=body(""))) == "501000"
    assert server.projects.get_by_id(child.id).name == "Child"


def test_project_is_deleted_with_all_that_is_in_it(
    server: TSC.Server,
    project: Any,
    publish: Callable[..., Any],
    sandbox: Sandbox,
    ask: Ask,
    code_of: CodeOf,
) -> None:
    """Nested projects and their data sources go too, from the disk as well; Default stays."""
    before = set((sandbox.config.data_dir / "files").iterdir())
    child: Any = server.projects.create(TSC.ProjectItem("Child", parent_id=project.id))
    items = [publish(server, one.id, "A") for one in (project, child)]
    server.projects.delete(project.id)
    for one in (project, child):
        assert code_of(ask(server, "DELETE", f"projects/{one.id}")) == "404005"
    for item in items:
        assert code_of(ask(server, "GET", f"datasources/{item.id}")) == "404004"
    assert set((sandbox.config.data_dir / "files").iterdir()) <= before
    default: Any = server.projects.filter(name="Default")[0]
    with pytest.raises(TSC.ServerResponseError, match="403003"):
        server.projects.delete(default.id)
