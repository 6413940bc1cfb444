import re
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
Multipart = Callable[..., dict[str, Any]]
MEGABYTE = 1024 * 1024


@pytest.fixture
def upload_id(server: TSC.Server) -> str:
    """A new upload session."""
    return str(server.fileuploads.initiate())


@pytest.fixture
def append(api: Api, multipart: Multipart, upload_id: str) -> Callable[..., requests.Response]:
    """Appends some bytes to the upload session."""

    def send(content: bytes, xml: str = "") -> requests.Response:
        request = multipart(xml, ("tableau_file", "file", content))
        return api("PUT", f"fileUploads/{upload_id}", **request)

    return send


@pytest.fixture
def commit(api: Api, multipart: Multipart) -> Callable[..., requests.Response]:
    """Publishes what an upload session holds."""

    def send(
        upload_id: str, name: str, project: TSC.ProjectItem, more: str = ""
    ) -> requests.Response:
        xml = (
            f'<tsRequest><datasource name="{name}"><project id="{project.id}"/></datasource>'
            "</tsRequest>"
        )
        query = f"uploadSessionId={upload_id}&datasourceType=hyper{more}"
        return api("POST", f"datasources?{query}", **multipart(xml))

    return send


def test_large_file_arrives_in_pieces(
    server: TSC.Server,
    project: TSC.ProjectItem,
    extract: Callable[..., Path],
    stored: Callable[[str | None], bytes],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    replies: list[tuple[str, bytes]],
) -> None:
    """TSC's chunked upload makes the same file, and its pieces leave the disk."""
    monkeypatch.setenv("TSC_CHUNK_SIZE_MB", "1")
    monkeypatch.setenv("TSC_FILESIZE_LIMIT_MB", "1")
    before = set((sandbox.config.data_dir / "files").iterdir())
    path = extract(3 * MEGABYTE + 17)
    start = len(replies)
    item = server.datasources.publish(
        TSC.DatasourceItem(project.id, name="Large"), path, "CreateNew"
    )
    sizes = re.findall(rb'fileSize="(\d+)"', b"".join(body for _, body in replies[start:]))
    assert sizes == [b"0", b"1", b"2", b"3", b"3"]
    assert len(set((sandbox.config.data_dir / "files").iterdir()) - before) == 1
    assert stored(item.id) == path.read_bytes()


def test_session_id_has_its_form(api: Api) -> None:
    """A new session answers 201 with an id of the schema's form and nothing in it."""
    response = api("POST", "fileUploads", headers={"content-type": "text/xml"})
    upload = fromstring(response.content)[0]
    assert response.status_code == 201
    assert re.fullmatch("[0-9]+:[0-9a-f]+-[0-9]+:[0-9]+", str(upload.get("uploadSessionId")))
    assert upload.get("fileSize") == "0"


def test_piece_sent_twice_is_there_twice(
    append: Callable[..., requests.Response],
    commit: Callable[..., requests.Response],
    project: TSC.ProjectItem,
    upload_id: str,
    stored: Callable[[str | None], bytes],
) -> None:
    """Nothing recognizes a repeated piece."""
    for piece in (b"Hyper", b"one", b"one"):
        assert append(piece).status_code == 200
    response = commit(upload_id, "Twice", project)
    assert response.status_code == 201
    assert stored(fromstring(response.content)[0].get("id")) == b"Hyperoneone"


def test_percent_encoded_session_ids_are_understood(
    append: Callable[..., requests.Response],
    commit: Callable[..., requests.Response],
    project: TSC.ProjectItem,
    upload_id: str,
) -> None:
    """Clients that encode the colons of an id mean the same session."""
    append(b"Hyper")
    assert commit(upload_id.replace(":", "%3A"), "Encoded", project).status_code == 201


def test_session_is_used_up_by_publishing(
    append: Callable[..., requests.Response],
    commit: Callable[..., requests.Response],
    code_of: CodeOf,
    project: TSC.ProjectItem,
    upload_id: str,
) -> None:
    """A published session takes no more pieces and cannot be published again."""
    append(b"Hyper")
    assert commit(upload_id, "Once", project).status_code == 201
    assert code_of(commit(upload_id, "Once", project, "&overwrite=true")) == "404015"
    assert code_of(append(b"more")) == "404015"


def test_refused_publish_leaves_the_session(
    append: Callable[..., requests.Response],
    commit: Callable[..., requests.Response],
    code_of: CodeOf,
    project: TSC.ProjectItem,
    upload_id: str,
    publish: Callable[..., Any],
    server: TSC.Server,
) -> None:
    """A session can still be published after a conflict was refused."""
    publish(server, project.id, "Taken")
    append(b"Hyper")
    assert code_of(commit(upload_id, "Taken", project)) == "403007"
    assert commit(upload_id, "Taken", project, "&overwrite=true").status_code == 201


@pytest.mark.parametrize("pieces", [[], [b"no extract"]])
def test_what_is_no_extract_is_refused_by_the_session_id(
    append: Callable[..., requests.Response],
    commit: Callable[..., requests.Response],
    code_of: CodeOf,
    project: TSC.ProjectItem,
    upload_id: str,
    pieces: list[bytes],
) -> None:
    """An upload that is empty or something else is a problem named by its session."""
    for piece in pieces:
        append(piece)
    response = commit(upload_id, "Bad", project)
    assert code_of(response) == "400011"
    assert f"There was a problem publishing the file '{upload_id}'." in response.text


@pytest.mark.parametrize(
    ("query", "code"),
    [("", "400010"), ("&datasourceType=exe", "400010"), ("&datasourceType=tds", "501000")],
)
def test_session_needs_a_file_type(
    api: Api, multipart: Multipart, code_of: CodeOf, upload_id: str, query: str, code: str
) -> None:
    """An upload session has no file name, so the type has to be told."""
    request = multipart('<tsRequest><datasource name="x"/></tsRequest>')
    assert (
        code_of(api("POST", f"datasources?uploadSessionId={upload_id}{query}", **request)) == code
    )


def test_piece_may_not_be_too_large(
    append: Callable[..., requests.Response], code_of: CodeOf, sandbox: Sandbox
) -> None:
    """A piece above 64 MB is refused, with the limit in the detail, and not kept."""
    before = set((sandbox.config.data_dir / "files").iterdir())
    response = append(bytes(64 * MEGABYTE + 1))
    assert code_of(response) == "400016"
    assert "64 MB" in response.text
    assert set((sandbox.config.data_dir / "files").iterdir()) <= before


def test_piece_is_nothing_but_a_file(
    api: Api,
    multipart: Multipart,
    append: Callable[..., requests.Response],
    code_of: CodeOf,
    upload_id: str,
) -> None:
    """A payload with something in it is refused, and so is no file or two of them."""
    assert code_of(append(b"x", "<tsRequest/>")) == "400019"
    file = ("tableau_file", "file", b"x")
    for files in ([], [file, file]):
        response = api("PUT", f"fileUploads/{upload_id}", **multipart("", *files))
        assert code_of(response) == "400020"


def test_session_is_the_sites(
    api: Api,
    sandbox: Sandbox,
    client: Callable[..., TSC.Server],
    code_of: CodeOf,
    multipart: Multipart,
) -> None:
    """An upload session is unknown on another site."""
    foreign = client(sandbox, site="Acme").fileuploads.initiate()
    request = multipart("", ("tableau_file", "file", b"x"))
    assert code_of(api("PUT", f"fileUploads/{foreign}", **request)) == "404015"
