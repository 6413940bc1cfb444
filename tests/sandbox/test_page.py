"""The page of what is published, and the downloads."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag

import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name

from mds_tableau.sandbox import Sandbox
from tests.sandbox.html_page import HtmlPage


def test_page_shows_what_is_published(
    sandbox: Sandbox, client: Callable[..., TSC.Server], publish: Callable[..., Any]
) -> None:
    """Each data source is listed where its webpageUrl points, with its page and a download."""
    for site in ("", "Acme"):
        server = client(sandbox, site=site)
        parent = server.projects.create(TSC.ProjectItem(uuid.uuid4().hex))
        child = server.projects.create(TSC.ProjectItem("Daily", parent_id=parent.id))
        publish(server, child.id, "Sales")
        item = publish(server, child.id, "Sales", description="each day")
        address, fragment = urldefrag(item.webpage_url)
        page = HtmlPage.load(address)
        [place] = page.root.xpath("//*[@id=$id]", id=fragment)
        assert f"/datasources/{item.id}" in place.xpath(".//a/@href")
        assert f"/download/{item.id}" in place.xpath(".//a/@href")
        for text in ("Sales", "each day", "1,000 bytes", "number 2", "ada"):
            assert text in place.text_content()
        assert f"{parent.name} / Daily" in page.text


def test_page_shows_moved_projects_below_their_new_parents(
    sandbox: Sandbox, server: TSC.Server, publish: Callable[..., Any]
) -> None:
    """A project stands below its parent even where the parent was made after it."""
    first: Any = server.projects.create(TSC.ProjectItem(f"First {uuid.uuid4().hex}"))
    below: Any = server.projects.create(TSC.ProjectItem("Below", parent_id=first.id))
    second: Any = server.projects.create(TSC.ProjectItem(f"Second {uuid.uuid4().hex}"))
    item = publish(server, below.id, "Sales")
    first.parent_id = second.id
    server.projects.update(first)
    path = f"{second.name} / {first.name} / Below"
    page = HtmlPage.load(sandbox.url)
    assert page.response.status_code == 200
    assert path in page.text
    assert path in HtmlPage.load(f"{sandbox.url}/datasources/{item.id}").text
    # The list of projects is in the order in which they were made, whatever their parents are.
    ids = [project.id for project in TSC.Pager(server.projects)]
    places = [ids.index(one.id) for one in (first, below, second)]
    assert places == sorted(places)


def test_pages_show_names_and_run_nothing_of_them(
    sandbox: Sandbox, server: TSC.Server, publish: Callable[..., Any]
) -> None:
    """Names with markup are text on the pages, whose policy allows neither script nor asset."""
    name = f"<script>alert('{uuid.uuid4().hex}')</script><img src=x onerror=\"1\">&amp;"
    project = server.projects.create(TSC.ProjectItem(name))
    item = publish(server, project.id, name, description=name)
    item.tags, item.certified, item.certification_note = {name}, True, name
    server.datasources.update(item)
    for path in ("/", f"/datasources/{item.id}"):
        page = HtmlPage.load(sandbox.url + path)
        assert page.text.count(name) >= 4
        assert not page.tags & {"script", "img", "link", "iframe", "form", "object"}
        assert not page.root.xpath("//@style | //@*[starts-with(name(), 'on')]")
        policy = page.response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_pages_name_characters_that_show_nothing(
    sandbox: Sandbox, server: TSC.Server, project: Any, publish: Callable[..., Any]
) -> None:
    """Characters that would be invisible, or turn the text around, stand there by name."""
    item = publish(server, project.id, "a\u202eb\u200bc👩\u200d💻", description="one\ntwo\tthree")
    page = HtmlPage.load(f"{sandbox.url}/datasources/{item.id}")
    assert "aU+202EbU+200Bc👩\u200d💻" in page.text
    assert "one\ntwo\\tthree" in page.text


def test_page_of_a_data_source_tells_what_is_known_of_it(
    sandbox: Sandbox,
    server: TSC.Server,
    project: Any,
    publish: Callable[..., Any],
    extract: Callable[..., Path],
) -> None:
    """Facts, and each kept revision with number, time, size, publisher and download, are there."""
    files = [extract(size) for size in (1000, 2000, 30_000)]
    for path in files:
        item = publish(server, project.id, "Sales", path=path, description="each day")
    item.tags, item.certified, item.certification_note = {"finance"}, True, "checked"
    server.datasources.update(item)
    page = HtmlPage.load(f"{sandbox.url}/datasources/{item.id}")
    for text in (project.name, "each day", "finance", "Certified", "checked", "ada", item.id):
        assert text in page.text
    rows = page.table("3 kept")
    assert [row["Number"] for row in rows] == ["3", "2", "1"]
    assert [row["Size"] for row in rows] == ["30.0 kB", "2,000 bytes", "1,000 bytes"]
    assert {row["Publisher"] for row in rows} == {"ada"}
    assert [row["Download"] for row in rows] == [".hyper Current", ".hyper", ".hyper"]
    server.datasources.populate_revisions(item)
    known = [f"{one.created_at:%Y-%m-%d %H:%M:%S}" for one in item.revisions]
    assert [row["Published"] for row in rows] == known[::-1]
    for number, path in enumerate(files, start=1):
        link = f"/download/{item.id}/{number}"
        assert link in page.links
        response = requests.get(sandbox.url + link, timeout=30)
        assert response.content == path.read_bytes()
        assert f"Sales (revision {number}).hyper" in response.headers["content-disposition"]
    assert (
        requests.get(f"{sandbox.url}/download/{item.id}", timeout=30).content == path.read_bytes()
    )


def test_extracts_that_are_not_opened_are_said_to_be(
    sandbox: Sandbox, server: TSC.Server, project: Any, publish: Callable[..., Any]
) -> None:
    """A sandbox that opens no extracts says so where their content would be."""
    item = publish(server, project.id, "Sales")
    page = HtmlPage.load(f"{sandbox.url}/datasources/{item.id}")
    assert page.response.status_code == 200
    assert "does not open extracts" in page.text


def test_what_is_not_there_is_not_found(
    sandbox: Sandbox, server: TSC.Server, project: Any, publish: Callable[..., Any]
) -> None:
    """Pages and downloads of what does not exist are a plain 404, the page with a way back."""
    item = publish(server, project.id, "Sales")
    for path in ("nothing", f"{item.id}/2", f"{item.id}/x", "nothing/1"):
        response = requests.get(f"{sandbox.url}/download/{path}", timeout=30)
        assert response.status_code == 404
        assert "could not be found" in response.text
    page = HtmlPage.load(f"{sandbox.url}/datasources/nothing")
    assert page.response.status_code == 404
    assert "could not be found" in page.text
    assert "/" in page.links
