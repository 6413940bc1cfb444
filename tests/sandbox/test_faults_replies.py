import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name
from tableauserverclient.server.endpoint.exceptions import (
    InternalServerError,
    NonXMLResponseError,
    RedirectError,
)
from tableauserverclient.server.exceptions import ServerInfoEndpointNotFoundError

from mds_tableau.sandbox import Sandbox, faults

Publish = Callable[..., Any]


@pytest.fixture
def server(faulty: Sandbox, client: Callable[..., TSC.Server]) -> TSC.Server:
    """A TSC server signed in to the sandbox for faults."""
    return client(faulty)


def content(sandbox: Sandbox, item: Any) -> bytes:
    """Returns what the sandbox holds for a data source."""
    response = requests.get(f"{sandbox.url}/download/{item.id}", timeout=30)
    assert response.status_code == 200
    return response.content


def found(server: TSC.Server, name: str) -> list[Any]:
    """Returns the data sources of a name."""
    options = TSC.RequestOptions()
    options.filter.add(
        TSC.Filter(TSC.RequestOptions.Field.Name, TSC.RequestOptions.Operator.Equals, name)
    )
    return list(server.datasources.get(options)[0])


def test_rate_limit(server: TSC.Server, faulty: Sandbox) -> None:
    """429 has Tableau's code and a wait; TSC's iteration swallows it."""
    rule = faulty.faults.add(faults.Status(429, retry_after=7), "query_datasources")
    with pytest.raises(TSC.ServerResponseError) as caught:
        server.datasources.get()
    assert (caught.value.code, caught.value.summary) == ("429000", "Too Many Requests")
    assert caught.value.detail == (
        "Too many requests for 'api.rest.query_datasources'. Please retry after 7 seconds."
    )
    assert list(iter(server.datasources.filter(name="A"))) == []
    url = f"{faulty.url}/api/3.25/sites/{server.site_id}/datasources"
    response = requests.get(url, timeout=30)
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")
    assert rule.matched == len(faulty.faults.applied) == 3


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("body", ["auto", "xml", "html", "empty"])
def test_server_errors(server: TSC.Server, faulty: Sandbox, status: int, body: Any) -> None:
    """From 500 on TSC raises InternalServerError whatever the body is."""
    faulty.faults.add(faults.Status(status, body=body), "query_projects", nth=1)
    with pytest.raises(InternalServerError) as caught:
        server.projects.get()
    assert caught.value.code == status
    is_html = body == "html" or (body == "auto" and status != 500)
    assert ("<html>" in str(caught.value.content)) == is_html
    assert server.projects.get()[0]


@pytest.mark.parametrize("status", [401, 404, 413, 429])
def test_client_errors_that_are_no_xml(server: TSC.Server, faulty: Sandbox, status: int) -> None:
    """In HTML or without a body they are NonXMLResponseError."""
    for body in ("html", "empty"):
        faulty.faults.clear()
        faulty.faults.add(faults.Status(status, body=body), "query_projects")
        with pytest.raises(NonXMLResponseError):
            server.projects.get()


def test_client_errors_in_xml(server: TSC.Server, faulty: Sandbox) -> None:
    """Code, summary and detail are what the fault says; 401 is a failed sign-in."""
    fault = faults.Status(403, code=403004, summary="No", detail="Not <you>.")
    faulty.faults.add(fault, "get_datasource")
    with pytest.raises(TSC.ServerResponseError) as caught:
        server.datasources.get_by_id(str(uuid.uuid4()))
    assert (caught.value.code, caught.value.summary, caught.value.detail) == (
        "403004",
        "No",
        "Not <you>.",
    )
    faulty.faults.add(faults.Status(401, code=401000), "query_projects")
    with pytest.raises(TSC.FailedSignInError):
        server.projects.get()


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("when", ["before", "after"])
def test_gateway_error_with_the_work_done_or_not(
    server: TSC.Server,
    faulty: Sandbox,
    publish: Publish,
    extract: Callable[..., Path],
    status: int,
    when: Any,
) -> None:
    """Publishing raises the same in both cases; only what the sandbox holds tells them apart."""
    name, path = uuid.uuid4().hex, extract()
    item = publish(server, None, name)
    old = content(faulty, item)
    faulty.faults.add(faults.Status(status, when=when), "publish_datasource", nth=1)
    with pytest.raises(InternalServerError) as caught:
        publish(server, None, name, path=path)
    assert caught.value.code == status
    assert content(faulty, item) == (path.read_bytes() if when == "after" else old)
    server.datasources.populate_revisions(item)
    assert len(item.revisions) == (2 if when == "after" else 1)
    assert [record.kind for record in faulty.faults.applied] == ["status"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_lost_commit_of_an_upload(
    server: TSC.Server,
    faulty: Sandbox,
    publish: Publish,
    extract: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    when: Any,
) -> None:
    """An upload whose commit got no good answer is used up when it was done, and whole if not."""
    for variable in ("TSC_FILESIZE_LIMIT_MB", "TSC_CHUNK_SIZE_MB"):
        monkeypatch.setenv(variable, "1")
    path, name, seen = extract(2_500_000), uuid.uuid4().hex, []
    initiate = server.fileuploads.initiate

    def note() -> str:
        seen.append(str(initiate()))
        return seen[0]

    monkeypatch.setattr(server.fileuploads, "initiate", note)
    faulty.faults.add(faults.Status(504, when=when), "publish_datasource", nth=1)
    with pytest.raises(InternalServerError):
        publish(server, None, name, path=path)
    assert len(found(server, name)) == (1 if when == "after" else 0)
    url = (
        f"{faulty.url}/api/3.25/sites/{server.site_id}/datasources"
        f"?uploadSessionId={seen[0]}&datasourceType=hyper&overwrite=true"
    )
    again = requests.post(
        url,
        data=(
            "--b\r\nContent-Disposition: name=request_payload\r\n\r\n"
            f'<tsRequest><datasource name="{name}"/></tsRequest>\r\n--b--'
        ),
        headers={
            "x-tableau-auth": str(server.auth_token),
            "content-type": "multipart/mixed; boundary=b",
        },
        timeout=30,
    )
    assert again.status_code == (404 if when == "after" else 201)
    [item] = found(server, name)
    assert content(faulty, item) == path.read_bytes()


def test_login_page(server: TSC.Server, faulty: Sandbox, publish: Publish) -> None:
    """200 with HTML looks like an empty list, and breaks other calls in TSC's own ways."""
    faulty.faults.add(faults.LoginPage())
    assert server.datasources.get()[0] == []
    name = uuid.uuid4().hex
    with pytest.raises(IndexError):
        publish(server, None, name)
    with pytest.raises(IndexError):
        server.jobs.get_by_id(str(uuid.uuid4()))
    with pytest.raises(AttributeError):
        server.auth.sign_in(TSC.TableauAuth("ada", "correct horse"))
    faulty.faults.clear()
    faulty.faults.add(faults.LoginPage(well_formed=False), "query_datasources", nth=1)
    with pytest.raises(ET.ParseError):
        server.datasources.get()
    assert found(server, name) == []
    faulty.faults.add(faults.LoginPage("after"), "publish_datasource")
    with pytest.raises(IndexError):
        publish(server, None, name)
    assert len(found(server, name)) == 1


def test_broken_xml(server: TSC.Server, faulty: Sandbox, publish: Publish) -> None:
    """200 with half a document is a ParseError, with the work done or not."""
    name = uuid.uuid4().hex
    for when in ("before", "after"):
        faulty.faults.add(faults.BrokenXml(when), "publish_datasource", nth=1)
        with pytest.raises(ET.ParseError):
            publish(server, None, name)
        assert len(found(server, name)) == (1 if when == "after" else 0)


def test_server_info_fails_silently(faulty: Sandbox) -> None:
    """TSC stays at its oldest version when it cannot learn the server's, and says nothing."""
    for fault, version in (
        (faults.Status(503), "2.4"),
        (faults.Status(400), "2.4"),
        (faults.Disconnect(), "2.4"),
        (faults.BrokenXml(), "Unknown"),
    ):
        server = TSC.Server(faulty.url)
        faulty.faults.add(fault, "server_info", nth=1)
        server.use_server_version()
        assert server.version == version
        server.session.close()
    faulty.faults.add(faults.Status(404, code=404003), "server_info", nth=1)
    server = TSC.Server(faulty.url)
    with pytest.raises(ServerInfoEndpointNotFoundError):
        server.server_info.get()
    server.session.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_followed_with_the_body(
    server: TSC.Server,
    faulty: Sandbox,
    publish: Publish,
    extract: Callable[..., Path],
    status: Any,
) -> None:
    """TSC sends the same again to where it was sent, here another name of this machine."""
    port = faulty.url.rpartition(":")[2]
    location = f"http://localhost:{port}{{target}}"
    faulty.faults.add(faults.Redirect(status, location), "publish_datasource", nth=1)
    path = extract()
    item = publish(server, None, uuid.uuid4().hex, path=path)
    assert content(faulty, item) == path.read_bytes()
    server.datasources.populate_revisions(item)
    assert len(item.revisions) == 1


@pytest.mark.parametrize("location", ["{target}", ""])
def test_redirect_that_leads_nowhere(server: TSC.Server, faulty: Sandbox, location: str) -> None:
    """A loop and a redirect without an address end in TSC's RedirectError."""
    faulty.faults.add(faults.Redirect(location=location), "query_projects")
    with pytest.raises(RedirectError):
        server.projects.get()


def test_truncated_reply(server: TSC.Server, faulty: Sandbox, publish: Publish) -> None:
    """Told of its whole length it is a broken transfer, otherwise broken XML; the work is done."""
    name = uuid.uuid4().hex
    for number, (announced, error) in enumerate(
        ((True, requests.exceptions.ChunkedEncodingError), (False, ET.ParseError)), 1
    ):
        faulty.faults.add(faults.Truncate(150, announced), "publish_datasource", nth=1)
        with pytest.raises(error):
            publish(server, None, name)
        [item] = found(server, name)
        server.datasources.populate_revisions(item)
        assert len(item.revisions) == number
    faulty.faults.add(faults.Truncate(10**9), "query_projects")
    assert server.projects.get()[0]
