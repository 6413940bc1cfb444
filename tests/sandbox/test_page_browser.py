"""The sandbox's pages in a real browser, used by the keyboard alone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tableauserverclient as TSC  # noqa: N812 - its documentation's name
from playwright.sync_api import Page, expect, sync_playwright

from mds_tableau.sandbox import Sandbox
from tests.browser import CHROMIUM, QUIET
from tests.sandbox.many_types import COLUMNS, write_many_types

pytestmark = [
    pytest.mark.browser,
    pytest.mark.hyper,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]
FOCUS = "document.activeElement"


@pytest.fixture(scope="module")
def many_types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An extract with every type of Hyper's."""
    return write_many_types(tmp_path_factory.mktemp("types") / "many.hyper")


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about, the policy's violations included."""
    return []


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, complaints: list[str]) -> Iterator[Page]:
    """A narrow page in headless Chromium, in both colour schemes."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 400, "height": 800}, color_scheme=request.param)
        page.set_default_timeout(30_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda asked: complaints.append(f"{asked.url} failed"))
        yield page
        browser.close()


def press_until(page: Page, key: str, reached: str) -> None:
    """Presses a key until something is true of what has the focus."""
    for _ in range(200):
        if page.evaluate(f"{FOCUS}.{reached}"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} never leads to {reached}")


def test_what_arrived_is_found_by_the_keyboard_alone(
    opening: Sandbox,
    opener: TSC.Server,
    place: TSC.ProjectItem,
    publish: Callable[..., Any],
    many_types: Path,
    page: Page,
    complaints: list[str],
    tmp_path: Path,
) -> None:
    """From the webpageUrl to the rows with Tab, Enter and arrows; nothing breaks the policy."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    item = publish(opener, place.id, "Many types", path=many_types, description="all")
    page.goto(item.webpage_url)
    # The first stop after the place that the address names is the data source's own page.
    page.keyboard.press("Tab")
    assert page.evaluate(f"{FOCUS}.textContent") == "Many types"
    assert page.evaluate(f"getComputedStyle({FOCUS}).outlineStyle") == "solid"
    page.screenshot(path=tmp_path / "overview.png", full_page=True)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Many types", level=1)).to_be_visible()

    page.keyboard.press("Tab")
    assert page.evaluate(f"{FOCUS}.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate(f"{FOCUS}.id") == "content"
    press_until(page, "Tab", "matches('.scroll')")
    press_until(page, "ArrowRight", "scrollLeft > 0")
    page.screenshot(path=tmp_path / "datasource.png", full_page=True)

    columns = page.get_by_role("table", name="Type in Hyper").first
    for name in COLUMNS:
        expect(columns.get_by_role("rowheader", name=name, exact=True)).to_have_count(1)
    expect(page.get_by_role("region", name="First rows").first).to_be_visible()
    expect(columns.get_by_role("img", name="1 to 2: 2").first).to_be_visible()
    # The page itself never scrolls sideways: only what is meant to does.
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert paper == ("rgb(20, 24, 29)" if dark else "rgb(255, 255, 255)")

    press_until(page, "Tab", f"matches('a[href=\"/download/{item.id}/1\"]')")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "Many types (revision 1).hyper"
    assert Path(download.value.path()).read_bytes() == many_types.read_bytes()
    assert not [text for text in complaints if "/download/" not in text]
    pages = [f"{opening.url}/", f"{opening.url}/datasources/{item.id}"]
    assert [url.partition("#")[0] for url in asked if "/download/" not in url] == pages
