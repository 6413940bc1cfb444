import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name
from defusedxml.ElementTree import fromstring

from mds_tableau.sandbox import Sandbox

Api = Callable[..., requests.Response]
CodeOf = Callable[[requests.Response], str]
NAMESPACE = "{http://tableau.com/api}"


def test_client_starts_at_an_old_version_and_finds_the_own(
    sandbox: Sandbox, client: Callable[..., TSC.Server]
) -> None:
    """TSC signs in at 2.4 and then speaks the version that the server told it."""
    server = TSC.Server(sandbox.url, use_server_version=True)
    assert server.version == "2.4"
    with server.auth.sign_in(TSC.TableauAuth("ada", "correct horse", "")):
        assert server.version == "3.25"
        server.datasources.get()
    server.session.close()


@pytest.mark.parametrize("version", ["2.0", "2.4", "3.6", "3.25"])
def test_every_version_up_to_the_own_is_served(
    sandbox: Sandbox, client: Callable[..., TSC.Server], version: str
) -> None:
    """Signing in and listing work at any version that a server of this one still accepts."""
    server = client(sandbox, version=version)
    assert server.version == version
    options = TSC.RequestOptions()
    options.filter.add(TSC.Filter("name", TSC.RequestOptions.Operator.Equals, "Default"))
    assert [project.name for project in server.projects.get(options)[0]] == ["Default"]


@pytest.mark.parametrize("version", ["3.26", "4.0", "1.9", "Unknown", "3.25.1"])
def test_no_other_version_is_served(api: Api, code_of: CodeOf, version: str) -> None:
    """A version that a server does not have is no resource of it."""
    response = api("GET", "/serverInfo", version)
    assert code_of(response) == "404003"
    assert f"Unknown resource '/{version}/serverInfo'" in response.text


@pytest.mark.parametrize("path", ["serverInfo", "serverinfo", "SERVERINFO"])
def test_server_info_needs_neither_session_nor_case(sandbox: Sandbox, path: str) -> None:
    """Anybody may ask for the server's version, in either spelling."""
    response = requests.get(f"{sandbox.url}/api/2.4/{path}", timeout=30)
    assert response.headers["content-type"] == "application/xml;charset=UTF-8"
    info = fromstring(response.content)[0]
    assert info.tag == f"{NAMESPACE}serverInfo"
    assert info.findtext(f"{NAMESPACE}restApiVersion") == "3.25"
    assert info.findtext(f"{NAMESPACE}productVersion") == "2025.1.0"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "workbooks"),
        ("PATCH", "datasources/0/data"),
        ("GET", "flows"),
        ("POST", "users"),
        ("PUT", "projects/0/default-permissions/datasources"),
        ("POST", "datasources/0/createExtract"),
        ("GET", "/sites"),
        ("GET", "/schedules"),
    ],
)
def test_what_is_missing_is_501_and_named(
    api: Api, code_of: CodeOf, server: TSC.Server, method: str, path: str
) -> None:
    """An operation that only a real server has is refused by its method and path."""
    response = api(method, path)
    assert code_of(response) == "501000"
    shown = path if path.startswith("/") else f"/sites/{server.site_id}/{path}"
    assert f"{method} /api/3.25{shown}" in response.text


def test_whole_other_apis_are_501_and_named(sandbox: Sandbox, code_of: CodeOf) -> None:
    """The same goes for addresses outside the versioned API."""
    for path in ("/api/metadata", "/api/-/pulse", "/vizportal/api"):
        response = requests.post(sandbox.url + path, timeout=30)
        assert code_of(response) == "501000"
        assert f"POST {path}" in response.text


@pytest.mark.parametrize(
    ("path", "options", "named"),
    [
        ("projects?page=2", {}, "'page'"),
        ("datasources?fields=datasource.name", {}, "datasource.name"),
        ("datasources?sort=size:asc", {}, "'size'"),
        ("datasources?filter=tableName:eq:x", {}, "'tableName'"),
        ("projects", {"headers": {"accept": "application/json"}}, "Accept"),
        ("projects", {"headers": {"content-type": "application/json"}}, "Content-Type"),
    ],
)
def test_unknown_details_are_501_and_named(
    api: Api, code_of: CodeOf, path: str, options: dict[str, Any], named: str
) -> None:
    """A parameter or form that the sandbox does not know is refused, not ignored."""
    response = api("GET", path, **options)
    assert code_of(response) == "501000"
    assert named in response.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/serverInfo"),
        ("GET", "/auth/signin"),
        ("GET", "/auth/signout"),
        ("PUT", "projects"),
        ("DELETE", "datasources"),
        ("POST", "datasources/0"),
        ("PUT", "datasources/0/content"),
        ("DELETE", "datasources/0/tags"),
        ("POST", "datasources/0/permissions"),
        ("POST", "datasources/0/revisions"),
        ("GET", "fileUploads"),
        ("POST", "fileUploads/0"),
        ("POST", "jobs/0"),
    ],
)
def test_wrong_method_is_405000(api: Api, code_of: CodeOf, method: str, path: str) -> None:
    """A method that no server has on a path is refused as such."""
    assert code_of(api(method, path)) == "405000"


@pytest.mark.parametrize("site_id", ["0", "00000000-0000-0000-0000-000000000000"])
def test_unknown_site_is_404000(api: Api, code_of: CodeOf, site_id: str) -> None:
    """A site that does not exist is not found."""
    assert code_of(api("GET", f"/sites/{site_id}/projects")) == "404000"


def test_session_is_for_one_site(
    sandbox: Sandbox, client: Callable[..., TSC.Server], api: Api, code_of: CodeOf
) -> None:
    """A session of one site does not open another."""
    other = client(sandbox, site="Acme")
    assert code_of(api("GET", f"/sites/{other.site_id}/projects")) == "404000"


@pytest.mark.parametrize(
    "body",
    [
        '<tsRequest><project name="{0}"/></tsRequest>',
        '<tsRequest xmlns="http://tableau.com/api"><project name="{0}"/></tsRequest>',
        '<t:tsRequest xmlns:t="http://tableau.com/api"><t:project name="{0}"/></t:tsRequest>',
        '<?xml version="1.0" encoding="UTF-8"?><!-- hello --><tsRequest'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        ' xsi:schemaLocation="a b"><project name="{0}"/></tsRequest>',
    ],
)
def test_requests_may_have_the_namespace_or_none(api: Api, body: str) -> None:
    """Requests are understood bare, as TSC sends them, and in Tableau's namespace."""
    name = uuid.uuid4().hex
    response = api("POST", "projects", data=body.format(name))
    assert response.status_code == 201
    created = fromstring(response.content).find(f"{NAMESPACE}project")
    assert created is not None
    assert created.get("name") == name


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no xml",
        '<tsRequest><project name="x"/>',
        '<tsRequest><project name="x"/></tsRequest><more/>',
        '<other><project name="x"/></other>',
        '<tsRequest xmlns="http://example.com/"><project name="x"/></tsRequest>',
        '<tsRequest><project xmlns="http://example.com/" name="x"/></tsRequest>',
        '<tsRequest><project name="x"><workbook/></project></tsRequest>',
        '<?xml version="1.0" encoding="no-such"?><tsRequest><project name="x"/></tsRequest>',
        b'<tsRequest><project name="\xff"/></tsRequest>',
        '<tsRequest><project name="&#0;"/></tsRequest>',
        '<!DOCTYPE x [<!ENTITY a "b">]><tsRequest><project name="&a;"/></tsRequest>',
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
        '<tsRequest><project name="&b;"/></tsRequest>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><tsRequest><project name="x"/></tsRequest>',
        "<tsRequest>" + " " * 1_100_000 + '<project name="x"/></tsRequest>',
    ],
)
def test_malformed_or_foreign_xml_is_400000(
    api: Api, code_of: CodeOf, body: str | bytes, server: TSC.Server
) -> None:
    """Broken XML, other namespaces, entities and document types are refused, and do nothing."""
    before = server.projects.get()[1].total_available
    assert code_of(api("POST", "projects", data=body)) == "400000"
    assert server.projects.get()[1].total_available == before


def test_reply_names_the_version_asked(api: Api) -> None:
    """The schema that a reply names is that of the version in the request's path."""
    assert "rest_api/ts-api_3_6.xsd" in api("GET", "projects", "3.6").text


def test_unprintable_path_gives_readable_xml(api: Api, code_of: CodeOf) -> None:
    """An error that repeats what was asked is well-formed whatever that was."""
    assert code_of(api("GET", "/nothing/%00%1b%ff%EF%BF%BE<&")) == "501000"


def test_foreign_host_is_refused(sandbox: Sandbox) -> None:
    """A browser that was led here under another name gets nothing."""
    for path in ("/", "/api/3.25/serverInfo"):
        headers = {"host": "evil.example.com"}
        response = requests.get(sandbox.url + path, headers=headers, timeout=30)
        assert (response.status_code, response.text) == (400, "Invalid host header")


def test_failure_inside_is_500000_without_its_reason(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    code_of: CodeOf,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """A client learns that the sandbox failed; only its log learns why."""
    broken = False

    def clock() -> float:
        if broken:
            raise ZeroDivisionError("the clock stopped")
        return 1_800_000_000.0

    with make_sandbox(tmp_path, clock=clock) as sandbox:
        server = client(sandbox)
        broken = True
        response = requests.get(
            f"{sandbox.url}/api/3.25/sites/{server.site_id}/projects",
            headers={"x-tableau-auth": server.auth_token},
            timeout=30,
        )
    assert code_of(response) == "500000"
    assert "clock" not in response.text
    assert "the clock stopped" in caplog.text


def test_refusal_reaches_a_client_that_is_still_sending(api: Api, code_of: CodeOf) -> None:
    """A request with a large body is answered, and not cut off, when its session is refused."""
    response = api(
        "POST",
        "datasources?datasourceType=hyper",
        data=b"x" * 20_000_000,
        headers={"x-tableau-auth": "unknown", "content-type": "multipart/mixed; boundary=b"},
    )
    assert code_of(response) == "401002"
