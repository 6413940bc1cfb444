"""Dagster's UI in a real browser: the graph, "Materialize all", and what an asset shows.

What went wrong is seen there too, and what a person starts or switches on.
"""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser import CHROMIUM, QUIET
from tests.e2e.webserver import Webserver, make_home, serving
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


def test_what_a_person_sees_and_presses(page: Page, tmp_path: Path) -> None:
    """The graph shows every layer; "Materialize all" ends green; an asset shows what it holds.

    One extract is made from its page, and one that fails says first what to do.
    """
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
        for text in ("Sales", "NUMERIC(12,2)", "sales_value", "retail-analytics"):
            expect(page.get_by_text(text).first).to_be_visible()
        page.screenshot(path=tmp_path / "asset.png")
        _one_extract(page, webserver, place, tmp_path)
        _one_that_fails(page, webserver, place, tmp_path)
        _what_is_started(page, webserver, tmp_path)


def _materialize(page: Page, webserver: Webserver, asset: str) -> dg.DagsterRun:
    """Press "Materialize" on the page of an asset, and return the run when it has ended."""
    page.goto(f"{webserver.url}/assets/{asset}")
    before = webserver.wait_for_run().run_id
    page.get_by_role("button", name="Materialize").first.click()
    return webserver.wait_for_run(after=before)


def _one_extract(page: Page, webserver: Webserver, place: Workplace, shots: Path) -> None:
    """What one extract was made of, how large it is and how long it took, and that over time."""
    (place.data / "hyper" / "dim_campaign.hyper").unlink()
    run = _materialize(page, webserver, "hyper/dim_campaign")
    assert run.status == dg.DagsterRunStatus.SUCCESS
    page.goto(f"{webserver.url}/assets/hyper/dim_campaign?view=events")
    expect(page.get_by_text("Materialized in run").first).to_be_visible()
    expect(page.get_by_text(run.run_id[:8]).first).to_be_visible()
    page.goto(f"{webserver.url}/assets/hyper/dim_campaign")
    expect(page.get_by_text("Type A, B or C").first).to_be_visible()
    plots = page.get_by_role("button", name="Plots")
    plots.scroll_into_view_if_needed()
    page.screenshot(path=shots / "extract.png")
    for text in ("Row count", "27", "bytes", "seconds", "rows_per_second"):
        expect(page.get_by_text(text, exact=True).first).to_be_visible()
    plots.click()
    plot = page.locator("canvas").first
    expect(plot).to_be_visible()
    plot.scroll_into_view_if_needed()
    page.screenshot(path=shots / "plots.png")
    page.goto(f"{webserver.url}/assets/hyper/dim_campaign?view=checks")
    expect(page.get_by_text("27 rows in the mart and in the extract").first).to_be_visible()
    page.screenshot(path=shots / "check.png")


def _one_that_fails(page: Page, webserver: Webserver, place: Workplace, shots: Path) -> None:
    """Its page leads to the run, where the first lines of the error are advice."""
    with duckdb.connect(str(place.data / "warehouse.duckdb")) as connection:
        connection.execute("ALTER TABLE dim_campaign ADD COLUMN notes VARCHAR[]")
    run = _materialize(page, webserver, "parquet/dim_campaign")
    assert run.status == dg.DagsterRunStatus.FAILURE
    page.goto(f"{webserver.url}/assets/parquet/dim_campaign?view=events")
    expect(page.get_by_text("failed, and did not materialize this asset")).to_be_visible()
    page.screenshot(path=shots / "failed_asset.png")
    page.get_by_text("View logs").first.click()
    logs = page.get_by_role("dialog")
    expect(logs).to_contain_text("Stack Trace")
    page.screenshot(path=shots / "failed_logs.png")
    advice = logs.inner_text().partition("STEP_FAILURE")[2].partition("Stack Trace")[0]
    assert "Cannot export mart 'dim_campaign' (models/marts/dim_campaign.sql)" in advice
    assert "column 'notes' has type VARCHAR[], which a Hyper extract cannot hold" in advice
    assert "convert it in the model, or leave it out" in advice
    assert 'File "' not in advice
    page.goto(f"{webserver.url}/runs/{run.run_id}")
    report = page.get_by_text("NOT PUBLISHED dim_campaign").first
    expect(report).to_contain_text("Until then, the server still has 27 rows published")
    page.screenshot(path=shots / "failed_run.png")


def _what_is_started(page: Page, webserver: Webserver, shots: Path) -> None:
    """What runs by itself has its switch, and the job `rollback` lists the extracts."""
    page.goto(f"{webserver.url}/automation")
    for text in ("refresh_daily", "Scheduled At 06:30 AM UTC", "raw_files_changed"):
        expect(page.get_by_text(text).first).to_be_visible()
    page.screenshot(path=shots / "automation.png")
    page.goto(f"{webserver.url}/locations/mds_tableau.definitions/jobs/rollback/playground")
    expect(page.get_by_text('Missing required config entry "extract"')).to_be_visible()
    page.get_by_text("dry_run").first.click()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type("extract: ")
    page.keyboard.press("Control+Space")
    offered = page.locator(".CodeMirror-hints li")
    expect(offered.filter(has_text="fct_sales")).to_be_visible()
    page.screenshot(path=shots / "rollback.png")
    offered.filter(has_text="fct_sales").click()
    expect(page.get_by_role("button", name="Launch Run")).to_be_enabled()
