import uuid
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urldefrag

import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name

from mds_tableau.sandbox import Sandbox


class Page(HTMLParser):
    """Collects a page's tags, ids, links and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in {"id", "href"}:
                {"id": self.ids, "href": self.links}[name].add(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page_shows_what_is_published(
    sandbox: Sandbox, client: Callable[..., TSC.Server], publish: Callable[..., Any]
) -> None:
    """Each data source stands on the page, where its webpageUrl points, with a download."""
    for site in ("", "Acme"):
        server = client(sandbox, site=site)
        parent = server.projects.create(TSC.ProjectItem(uuid.uuid4().hex))
        child = server.projects.create(TSC.ProjectItem("Daily", parent_id=parent.id))
        publish(server, child.id, "Sales")
        item = publish(server, child.id, "Sales", description="each day")
        address, fragment = urldefrag(item.webpage_url)
        page = Page(requests.get(address, timeout=30).text)
        assert fragment in page.ids
        assert f"/download/{item.id}" in page.links
        for text in (f"{parent.name} / Daily", "1,000 bytes", "number 2", item.id, "each day"):
            assert text in page.text


def test_page_shows_names_and_runs_nothing_of_them(
    sandbox: Sandbox, server: TSC.Server, publish: Callable[..., Any]
) -> None:
    """Names with markup are text on the page, and its policy allows neither script nor asset."""
    name = f"<script>alert('{uuid.uuid4().hex}')</script><img src=x onerror=\"1\">&amp;"
    project = server.projects.create(TSC.ProjectItem(name))
    publish(server, project.id, name, description=name)
    response = requests.get(sandbox.url, timeout=30)
    page = Page(response.text)
    assert page.text.count(name) == 4
    assert not page.tags & {"script", "img", "link", "iframe", "form"}
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_download_of_nothing_is_not_found(sandbox: Sandbox) -> None:
    """The page's download of what does not exist is a plain 404."""
    response = requests.get(f"{sandbox.url}/download/nothing", timeout=30)
    assert response.status_code == 404
    assert "could not be found" in response.text
