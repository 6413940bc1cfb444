"""Changing what is said about data sources: names, owners, tags, permissions and connections."""

import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name

from mds_tableau.sandbox import Sandbox
from mds_tableau.sandbox.choices import Choices

Ask = Callable[..., requests.Response]
CodeOf = Callable[[requests.Response], str]
Publish = Callable[..., Any]
NOBODY = "00000000-0000-0000-0000-000000000000"
Capability = TSC.Permission.Capability
Mode = TSC.Permission.Mode


@pytest.fixture
def item(server: TSC.Server, project: TSC.ProjectItem, publish: Publish) -> Any:
    """A published data source."""
    return publish(server, project.id, "Sales", description="old")


@pytest.fixture
def limited(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    tmp_path: Path,
) -> Any:
    """An administrator's session and a publisher's, on a sandbox of their own."""
    with make_sandbox(tmp_path / "limited", publishers=frozenset({"Grace Hopper"})) as sandbox:
        other = TSC.TableauAuth("Grace Hopper", "battery:staple")
        yield client(sandbox), client(sandbox, other)


def body(attributes: str, children: str = "") -> str:
    """Returns the body of an update."""
    return f"<tsRequest><datasource {attributes}>{children}</datasource></tsRequest>"


def test_update_changes_what_is_said(
    server: TSC.Server,
    project: TSC.ProjectItem,
    item: Any,
    sandbox: Sandbox,
    client: Callable[..., TSC.Server],
) -> None:
    """Name, description, certification, owner and project change; id and contentUrl do not."""
    other = client(sandbox, TSC.TableauAuth("Grace Hopper", "battery:staple"))
    child = server.projects.create(TSC.ProjectItem("Child", parent_id=project.id))
    fetched = server.datasources.get_by_id(item.id)
    fetched.name, fetched.description = "Sales, new", "new"
    fetched.certified, fetched.certification_note = True, "checked"
    fetched.owner_id, fetched.project_id = other.user_id, child.id
    fetched.tags = {"a", "b c"}
    server.datasources.update(fetched)
    seen = server.datasources.get_by_id(item.id)
    assert (seen.name, seen.description) == ("Sales, new", "new")
    assert (seen.certified, seen.certification_note) == (True, "checked")
    assert (seen.owner_id, seen.project_id, seen.tags) == (other.user_id, child.id, {"a", "b c"})
    assert (seen.content_url, seen.created_at) == (item.content_url, item.created_at)
    server.datasources.populate_revisions(seen)
    assert len(seen.revisions) == 1


def test_update_of_an_unfetched_item_is_refused(server: TSC.Server, item: Any) -> None:
    """TSC sends isCertified="none" for an item that it did not fetch; that is 400000."""
    unfetched = TSC.DatasourceItem(item.project_id or "", name="Sales")
    unfetched._id = item.id
    with pytest.raises(TSC.ServerResponseError, match=r"400000(.|\n)*isCertified"):
        server.datasources.update(unfetched)


@pytest.mark.parametrize(
    ("xml", "code"),
    [
        ("", "400000"),
        ("<tsRequest><workbook/></tsRequest>", "400000"),
        (body('name=" "'), "400000"),
        (body('isCertified="none"'), "400000"),
        (body("", f'<owner id="{NOBODY}"/>'), "404002"),
        (body("", f'<project id="{NOBODY}"/>'), "404005"),
        (body('name="taken"'), "409015"),
        (body('name="TAKEN"'), "409015"),
        (body('encryptExtracts="true"'), "501000"),
        (body('color="red"'), "501000"),
    ],
)
def test_bad_updates_have_codes(
    server: TSC.Server,
    item: Any,
    publish: Publish,
    ask: Ask,
    code_of: CodeOf,
    xml: str,
    code: str,
) -> None:
    """An update that cannot be done is refused, and changes nothing."""
    publish(server, item.project_id, "taken")
    assert code_of(ask(server, "PUT", f"datasources/{item.id}", data=xml)) == code
    seen = server.datasources.get_by_id(item.id)
    assert (seen.name, seen.description) == ("Sales", "old")
    assert code_of(ask(server, "PUT", f"datasources/{NOBODY}", data=body("name='x'"))) == "404004"


def test_publishers_change_only_what_is_theirs(
    limited: tuple[TSC.Server, TSC.Server], publish: Publish, ask: Ask, code_of: CodeOf
) -> None:
    """Each change that a user may not make has its own code; the owner of an item may make it."""
    admin, other = limited
    item: Any = publish(admin, None, "Sales")
    place = admin.projects.get()[0][0]
    own = f"datasources/{item.id}"
    rule = "<tsRequest><permissions/></tsRequest>"
    refused = {
        ("PUT", own, body('name="x"')): "403032",
        ("DELETE", own, None): "403004",
        ("PUT", f"{own}/tags", "<tsRequest><tags/></tsRequest>"): "403004",
        ("DELETE", f"{own}/tags/x", None): "403004",
        ("PUT", f"{own}/permissions", rule): "403004",
        ("DELETE", f"{own}/permissions/users/{other.user_id}/Read/Allow", None): "403004",
        ("PUT", f"{own}/connections/{NOBODY}", "<tsRequest><connection/></tsRequest>"): "403023",
        ("DELETE", f"{own}/revisions/1", None): "403004",
        ("POST", f"{own}/refresh", ""): "403032",
        ("POST", "projects", '<tsRequest><project name="x"/></tsRequest>'): "403045",
        ("PUT", f"projects/{place.id}", '<tsRequest><project name="x"/></tsRequest>'): "403004",
        ("DELETE", f"projects/{place.id}", None): "403004",
        ("GET", f"users/{admin.user_id}", None): "403133",
    }
    for (method, path, data), code in refused.items():
        assert code_of(ask(other, method, path, data=data)) == code, (method, path)
    for name in ("Sales", "More"):
        with pytest.raises(TSC.ServerResponseError, match="403007"):
            publish(other, None, name)
    job = publish(admin, None, "Sales", as_job=True)
    assert code_of(ask(other, "PUT", f"jobs/{job.id}")) == "403032"

    item = admin.datasources.get_by_id(item.id)
    item.owner_id = other.user_id
    admin.datasources.update(item)
    mine = other.datasources.get_by_id(item.id)
    mine.name = "Mine"
    other.datasources.update(mine)
    publish(other, None, "Mine")
    target = admin.projects.create(TSC.ProjectItem("Target"))
    for attributes, code in (
        (f'<owner id="{admin.user_id}"/>', "403027"),
        (f'<project id="{target.id}"/>', "403030"),
    ):
        assert code_of(ask(other, "PUT", own, data=body("", attributes))) == code
    grantee = TSC.UserItem.as_reference(other.user_id)
    allowed = TSC.PermissionsRule(grantee, {Capability.Write: Mode.Allow})
    admin.projects.update_permissions(target, [allowed])
    mine.project_id = target.id
    other.datasources.update(mine)
    publish(other, target.id, "More")


def test_tags_are_added_and_removed(server: TSC.Server, item: Any) -> None:
    """All tags are told after adding; case does not make another; a removed one is gone."""
    assert server.datasources.add_tags(item, ["b", "two words", "a,b"]) == {"a,b", "two words", "b"}
    assert server.datasources.add_tags(item, "B") == {"a,b", "two words", "b"}
    server.datasources.delete_tags(item, "two words")
    assert server.datasources.get_by_id(item.id).tags == {"a,b", "b"}
    found = server.datasources.filter(tags="b", project_name=item.project_name)
    assert [one.id for one in found] == [item.id]
    assert list(server.datasources.filter(tags="two", project_name=item.project_name)) == []


@pytest.mark.parametrize(
    ("label", "stored"),
    [
        ("x", {"x"}),
        ("y z", {"y", "z"}),
        ("y, z", {"y", "z"}),
        ("&quot;y z&quot;", {"y z"}),
        ("&quot;y, z&quot;", {"y, z"}),
        ("é/%", {"é/%"}),
    ],
)
def test_unquoted_labels_are_split(
    server: TSC.Server, item: Any, ask: Ask, label: str, stored: set[str]
) -> None:
    """Labels without quotes are split at spaces and commas; quotes are taken off."""
    xml = f'<tsRequest><tags><tag label="{label}"/></tags></tsRequest>'
    assert ask(server, "PUT", f"datasources/{item.id}/tags", data=xml.encode()).status_code == 200
    assert server.datasources.get_by_id(item.id).tags == stored
    for one in stored:
        server.datasources.delete_tags(item, one)
    assert server.datasources.get_by_id(item.id).tags == set()


def test_bad_tags_have_codes(server: TSC.Server, item: Any, ask: Ask, code_of: CodeOf) -> None:
    """Empty labels, unknown tags and unknown data sources are refused."""
    path = f"datasources/{item.id}/tags"
    long = f'<tsRequest><tags><tag label="{"x" * 201}"/></tags></tsRequest>'
    empty = '<tsRequest><tags><tag label="&quot;&quot;"/></tags></tsRequest>'
    for xml in ("", long, empty, "<tsRequest><tags><label/></tags></tsRequest>"):
        assert code_of(ask(server, "PUT", path, data=xml)) == "400000"
    assert code_of(ask(server, "DELETE", f"{path}/nothing")) == "404007"
    none = f"datasources/{NOBODY}/tags"
    assert code_of(ask(server, "PUT", none, data="<tsRequest><tags/></tsRequest>")) == "404004"
    assert code_of(ask(server, "DELETE", f"{none}/x")) == "404004"


def test_permissions_are_added_shown_and_removed(
    server: TSC.Server, project: TSC.ProjectItem, item: Any
) -> None:
    """Rules for users and groups are kept for data sources and projects alike."""
    group: Any = server.groups.get()[0][0]
    user = TSC.UserItem.as_reference(str(server.user_id))
    kept: tuple[tuple[Any, Any, str], ...] = (
        (server.datasources, item, Capability.Connect),
        (server.projects, project, Capability.Write),
    )
    for endpoint, one, capability in kept:
        rules = [
            TSC.PermissionsRule(group, {Capability.Read: Mode.Allow, capability: Mode.Deny}),
            TSC.PermissionsRule(user, {Capability.Read: Mode.Allow}),
        ]
        endpoint.update_permissions(one, rules)
        endpoint.populate_permissions(one)
        seen = {rule.grantee.id: rule.capabilities for rule in one.permissions}
        assert seen == {
            group.id: {Capability.Read: Mode.Allow, capability: Mode.Deny},
            server.user_id: {Capability.Read: Mode.Allow},
        }
        remove = TSC.PermissionsRule(group, {capability: Mode.Deny})
        if endpoint is server.datasources:
            server.datasources.delete_permission(item, remove)
        else:
            server.projects.delete_permission(project, [remove])
        endpoint.populate_permissions(one)
        assert {rule.grantee.id: len(rule.capabilities) for rule in one.permissions} == {
            group.id: 1,
            server.user_id: 1,
        }
    server.projects.populate_datasource_default_permissions(project)
    assert project.default_datasource_permissions == []


def rule_for(grantee: str, name: str, mode: str = "Allow") -> str:
    """Returns the body that adds one rule."""
    return (
        f"<tsRequest><permissions><granteeCapabilities>{grantee}<capabilities>"
        f'<capability name="{name}" mode="{mode}"/></capabilities></granteeCapabilities>'
        "</permissions></tsRequest>"
    )


def test_bad_permissions_have_codes(
    server: TSC.Server,
    project: TSC.ProjectItem,
    item: Any,
    ask: Ask,
    code_of: CodeOf,
) -> None:
    """Unknown capabilities, grantees and items are refused, and so is the opposite of a rule."""
    user = f'<user id="{server.user_id}"/>'
    for path, foreign in (
        (f"datasources/{item.id}", "Filter"),
        (f"projects/{project.id}", "Connect"),
    ):
        rules = f"{path}/permissions"
        assert ask(server, "PUT", rules, data=rule_for(user, "Read")).status_code == 200
        for xml, code in {
            "": "400000",
            rule_for("", "Read"): "400000",
            rule_for(user, foreign): "400009",
            rule_for(user, "Read", "Deny"): "400009",
            rule_for(user, "Fly"): "404013",
            f'<tsRequest><permissions><project id="{NOBODY}"/></permissions></tsRequest>': "404009",
            rule_for(user, "Read", "Perhaps"): "404013",
            rule_for(f'<user id="{NOBODY}"/>', "Read"): "404002",
            rule_for(f'<group id="{NOBODY}"/>', "Read"): "404012",
        }.items():
            assert code_of(ask(server, "PUT", rules, data=xml)) == code, xml
        for rest, code in {
            f"users/{server.user_id}/{foreign}/Allow": "400009",
            f"users/{server.user_id}/Read/Deny": "404013",
            f"users/{NOBODY}/Read/Allow": "404002",
            f"groups/{NOBODY}/Read/Allow": "404012",
            f"robots/{NOBODY}/Read/Allow": "404013",
        }.items():
            assert code_of(ask(server, "DELETE", f"{rules}/{rest}")) == code, rest
    for kind, code in (("datasources", "404004"), ("projects", "404005")):
        assert code_of(ask(server, "GET", f"{kind}/{NOBODY}/permissions")) == code
        xml = rule_for(user, "Read")
        assert code_of(ask(server, "PUT", f"{kind}/{NOBODY}/permissions", data=xml)) == code
        path = f"{kind}/{NOBODY}/permissions/users/{server.user_id}/Read/Allow"
        assert code_of(ask(server, "DELETE", path)) == code
    path = f"projects/{NOBODY}/default-permissions/datasources"
    assert code_of(ask(server, "GET", path)) == "404005"


def test_locked_projects_lock_their_content(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    publish: Publish,
    ask: Ask,
    code_of: CodeOf,
    tmp_path: Path,
) -> None:
    """A locked project's items have no rules set; elsewhere a rule may become its opposite."""
    with make_sandbox(
        tmp_path, choices=Choices(opposite_permission="change", locked_permissions_code=400009)
    ) as sandbox:
        server = client(sandbox)
        locked = server.projects.create(
            TSC.ProjectItem("Locked", content_permissions="LockedToProject")
        )
        user = f'<user id="{server.user_id}"/>'
        path = f"datasources/{publish(server, locked.id, 'A').id}/permissions"
        assert code_of(ask(server, "PUT", path, data=rule_for(user, "Read"))) == "400009"
        path = f"datasources/{publish(server, None, 'A').id}/permissions"
        ask(server, "PUT", path, data=rule_for(user, "Read"))
        answer = ask(server, "PUT", path, data=rule_for(user, "Read", "Deny"))
        assert 'mode="Deny"' in answer.text
        assert 'mode="Allow"' not in answer.text


def test_connection_is_shown_and_changed(
    server: TSC.Server, item: Any, ask: Ask, code_of: CodeOf
) -> None:
    """A data source has one connection, whose address and user can be set; passwords cannot."""
    server.datasources.populate_connections(item)
    [connection] = item.connections
    assert (connection.connection_type, connection.server_address) == ("hyper", "")
    connection.server_address, connection.server_port = "db.example.com", "5432"
    connection.username, connection.embed_password = "reader", True
    server.datasources.update_connection(item, connection)
    server.datasources.populate_connections(item)
    [seen] = item.connections
    assert (seen.id, seen.server_address, seen.server_port) == (
        connection.id,
        "db.example.com",
        "5432",
    )
    assert (seen.username, seen.embed_password) == ("reader", True)
    path = f"datasources/{item.id}/connections"
    for xml, code in {
        "": "400000",
        '<tsRequest><connection serverPort="x"/></tsRequest>': "400000",
        '<tsRequest><connection embedPassword="x"/></tsRequest>': "400000",
        '<tsRequest><connection password="x"/></tsRequest>': "501000",
    }.items():
        assert code_of(ask(server, "PUT", f"{path}/{seen.id}", data=xml)) == code
    nothing = "<tsRequest><connection/></tsRequest>"
    assert code_of(ask(server, "PUT", f"{path}/{NOBODY}", data=nothing)) == "404004"
    none = f"datasources/{NOBODY}/connections"
    assert code_of(ask(server, "PUT", f"{none}/{seen.id}", data=nothing)) == "404004"
    assert code_of(ask(server, "GET", none)) == "404011"


def test_revisions_are_downloaded_and_removed(
    server: TSC.Server,
    item: Any,
    publish: Publish,
    extract: Callable[..., Path],
    ask: Ask,
    code_of: CodeOf,
    sandbox: Sandbox,
    tmp_path: Path,
) -> None:
    """An old revision's content can be had until it is removed; the current one stays."""
    path = extract()
    publish(server, item.project_id, "Sales", path=path)
    publish(server, item.project_id, "Sales")
    packed = server.datasources.download_revision(item.id, "2", str(tmp_path / "old"))
    with zipfile.ZipFile(packed) as package:
        assert package.read("Data/Extracts/Sales.hyper") == path.read_bytes()
    server.datasources.delete_revision(item.id, "2")
    kept = {one.read_bytes() for one in (sandbox.config.data_dir / "files").iterdir()}
    assert path.read_bytes() not in kept
    server.datasources.populate_revisions(item)
    assert [one.revision_number for one in item.revisions] == ["1", "3"]
    own = f"datasources/{item.id}/revisions"
    assert code_of(ask(server, "DELETE", f"{own}/3")) == "403055"
    for number in ("2", "4", "x", "9" * 30):
        assert code_of(ask(server, "DELETE", f"{own}/{number}")) == "404024"
        assert code_of(ask(server, "GET", f"{own}/{number}/content")) == "404024"
    none = f"datasources/{uuid.uuid4()}/revisions"
    assert code_of(ask(server, "DELETE", f"{none}/1")) == "404006"
    assert code_of(ask(server, "GET", f"{none}/1/content")) == "404004"
