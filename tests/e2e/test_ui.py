"""Dagster's UI in a real browser: the graph, "Materialize all", and what an asset shows."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser import CHROMIUM, QUIET
from tests.e2e.webserver import make_home, serving
from tests.pipeline import ROOT, Workplace

pytestmark = [
    pytest.mark.browser,
    pytest.mark.e2e,
    pytest.mark.dbt,
    pytest.mark.hyper,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


@pytest.fixture
def page() -> Iterator[Page]:
    """A page in headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1800, "height": 1000})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        yield page
        browser.close()


def test_materialize_all_from_the_ui(page: Page, tmp_path: Path) -> None:
    """The graph shows every layer; "Materialize all" ends green; an asset shows what it holds."""
    home = make_home(tmp_path / "home")
    place = Workplace.create(tmp_path, ROOT / "dbt_project", DAGSTER_HOME=str(home))
    with serving(place, home) as webserver:
        page.goto(f"{webserver.url}/asset-groups")
        for group in ("raw", "staging", "marts", "dbt", "parquet", "hyper", "tableau"):
            expect(page.get_by_text(group, exact=True).first).to_be_visible()
        page.get_by_role("button", name="Materialize all").click()
        run = webserver.wait_for_run()
        run_id = run.run_id
        assert run.status == dg.DagsterRunStatus.SUCCESS
        page.goto(f"{webserver.url}/runs/{run_id}")
        expect(page.get_by_text("Success", exact=True).first).to_be_visible()
        page.screenshot(path=tmp_path / "run.png")
        page.goto(f"{webserver.url}/asset-groups")
        expect(page.get_by_text("marts", exact=True).first).to_be_visible()
        page.screenshot(path=tmp_path / "graph.png")
        page.goto(f"{webserver.url}/assets/tableau/fct_sales")
        for text in ("Sales", "NUMERIC(12,2)", "sales_value"):
            expect(page.get_by_text(text).first).to_be_visible()
        page.screenshot(path=tmp_path / "asset.png")
