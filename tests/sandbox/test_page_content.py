"""What the page of a data source tells of its extract."""

import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp
from tableauhyperapi import Connection, HyperProcess, Telemetry

from mds_tableau.sandbox import Sandbox, SandboxConfig
from mds_tableau.sandbox.pages.datasource import Pages
from mds_tableau.sandbox.store import Store
from tests.sandbox.conftest import USERS
from tests.sandbox.html_page import HtmlPage
from tests.sandbox.many_types import COLUMNS, LONG, MARKUP, ROWS, write, write_many_types

pytestmark = pytest.mark.hyper

Publish = Callable[..., Any]
TYPE = "Type in Hyper"


@pytest.fixture(scope="module")
def many_types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An extract with every type of Hyper's."""
    return write_many_types(tmp_path_factory.mktemp("types") / "many.hyper")


@pytest.fixture
def page(
    opening: Sandbox,
    opener: TSC.Server,
    place: TSC.ProjectItem,
    publish: Publish,
    many_types: Path,
) -> HtmlPage:
    """The page of a data source with every type of Hyper's."""
    item = publish(opener, place.id, "Many types", path=many_types)
    return HtmlPage.load(f"{opening.url}/datasources/{item.id}")


@pytest.fixture
def alone(
    make_sandbox: Callable[..., Sandbox], tmp_path: Path, client: Callable[..., TSC.Server]
) -> Iterator[tuple[Sandbox, Callable[[Path], Any]]]:
    """A sandbox of the test's own, and what publishes a file to it."""
    with make_sandbox(tmp_path / "alone", open_extracts=True) as running:
        server = client(running)

        def send(path: Path) -> Any:
            return server.datasources.publish(
                TSC.DatasourceItem("", name="Sales"), path, "Overwrite"
            )

        yield running, send


def test_columns_of_every_type_are_told_with_their_values(page: HtmlPage) -> None:
    """Each column stands there with its type, nulls, distinct values and both ends."""
    rows = {row["Column"]: row for row in page.table(TYPE)}
    assert list(rows) == list(COLUMNS)
    expected = {
        # type, nulls, distinct, min, max
        "n": ("BIG_INT", "0", "30", "1", "30"),
        "v": ("TEXT", "5 16.7 %", "2", "x", "y"),
        "p": ("NUMERIC(12, 2)", "0", "30", "0.25", "7.50"),
        "b": ("BOOL", "0", "2", "false", "true"),
        "c": ("SMALL_INT", "0", "2", "0", "1"),
        'quote " <i>': ("INT", "0", "30", "1", "30"),
        "double": ("DOUBLE", "0", "30", "-Infinity", "NaN"),
        "float": ("FLOAT", "0", "30", "1", "30"),
        "wide number": (
            "NUMERIC(38, 4)",
            "0",
            "30",
            "12345678901234567891.1234",
            "12345678901234567920.1234",
        ),
        "day": ("DATE", "0", "30", "2024-01-02", "294276-01-01"),
        "moment": (
            "TIMESTAMP",
            "0",
            "30",
            "2024-01-01 01:00:00.000001",
            "2024-01-02 06:00:00.000001",
        ),
        "zoned": ("TIMESTAMP_TZ", "0", "30", "2024-01-01 22:00:00+00", "2024-01-30 22:00:00+00"),
        "time": ("TIME", "0", "30", "08:01:00", "08:30:00"),
        "span": ("INTERVAL", "0", "30", "P1D", "P30D"),
        "bytes": ("BYTES", "0", "1", "no order", "no order"),
        "json": ("JSON", "0", "1", "no order", "no order"),
        "place": ("TABLEAU.TABGEOGRAPHY", "0", "30", "no order", "no order"),
        "oid": ("OID", "0", "1", "7", "7"),
        "code": ("CHAR(5)", "0", "1", "ab", "ab"),
        "short": ("VARCHAR(20)", "0", "30", "ab1", "ab9"),
        "nothing": ("TEXT", "30 100 %", "0", "none", "none"),
    }
    for name, values in expected.items():
        row = rows[name]
        assert (row["Type"], row["Nulls"], row["Distinct"], row["Min"], row["Max"]) == values, name
    assert rows["text"]["Min"] == "empty"


def test_values_are_shown_as_bars_or_ranges(page: HtmlPage) -> None:
    """Few values are counted one by one; many that lie on a line are counted by ranges of it."""
    values = {row["Column"]: row["Values"] for row in page.table(TYPE)}
    assert values["v"] == "x 15 50.0 % y 10 33.3 %"
    assert values["b"] == "false 20 66.7 % true 10 33.3 %"
    assert values["place"] == values["span"] == "each value is there once"
    assert values["nothing"] == "no values"
    for column in ("n", "p", "float", "moment", "zoned", "time"):
        bars = page.bars(column)
        assert len(bars) == 20, column
        assert sum(int(re.findall(r": (\d+) rows", bar)[0]) for bar in bars) == ROWS
    assert page.bars("n")[:2] == ["1 to 2: 2 rows", "3 to 3: 1 rows"]
    assert page.bars("day") == [
        "2024-01-02 to 2024-01-30: 29 rows",
        "294276-01-01 to 294276-01-01: 1 rows",
    ]
    # The ends of the line may be further apart than the largest number.
    assert page.bars("extreme")[0] == "-1.7e+308 to -1.7e+308: 15 rows"
    assert sum(int(re.findall(r": (\d+) rows", bar)[0]) for bar in page.bars("double")) == ROWS - 2
    assert "2 not finite" in values["double"]


def test_first_rows_are_shown_as_they_are(page: HtmlPage) -> None:
    """NULL, nothing, the word NULL, markup, hidden characters and long texts can be told apart."""
    rows = {row["n"]: row for row in page.table(f"20 of {ROWS} rows")}
    assert rows["1"]["text"] == "tab\\thereU+0001U+202E"
    assert rows["2"]["text"] == "empty"
    assert rows["3"]["text"] == MARKUP
    assert rows["4"]["text"] == "ä" * 100 + f"… {LONG:,} characters"
    assert rows["5"]["text"] == rows["6"]["text"] == "NULL"
    texts = [
        row.xpath(".//td[last()]/span/@class")[0]
        for row in page.root.xpath("//table[caption[starts-with(., '20 of')]]/tbody/tr")[4:6]
    ]
    assert texts == ["null", "value"]
    assert not page.tags & {"script", "i"}


def test_each_table_has_its_part(page: HtmlPage) -> None:
    """An extract with two tables is shown with both, the empty one too."""
    titles = [title.text_content() for title in page.root.xpath("//h2")]
    assert titles == ["Table Extract.Extract", "Table Extract.Other", "Revisions"]
    assert "0 rows, 1 column." in " ".join(page.text.split())
    [row] = page.table(TYPE, 1)
    assert (row["Column"], row["Type"], row["Values"]) == ("only", "INT", "no values")
    assert "No rows." in page.text


def test_page_can_be_read_without_seeing_it(page: HtmlPage) -> None:
    """Tables have captions and scopes, what scrolls can be reached, ids and labels are whole."""
    root = page.root
    assert root.get("lang") == "en"
    assert root.xpath("//meta[@name='viewport']")
    tables = root.xpath("//table")
    assert len(tables) == 4
    for table in tables:
        assert table.xpath("string(caption)").strip()
        assert not table.xpath(".//th[not(@scope)]")
        region = table.getparent()
        assert (region.get("role"), region.get("tabindex")) == ("region", "0")
        assert region.get("aria-label") or region.get("aria-labelledby") in page.ids
    fragments = {link[1:] for link in page.links if link.startswith("#")}
    assert fragments
    assert fragments <= page.ids
    levels = [int(node.tag[1]) for node in root.xpath("//h1|//h2|//h3")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_many_values_in_many_rows_are_estimated(alone: Any, tmp_path: Path) -> None:
    """Above a million rows numbers of many values are estimates that say so; few are counted."""
    sandbox, send = alone
    item = send(
        write(
            tmp_path / "large.hyper",
            "CREATE TABLE large AS SELECT i AS each, 'row ' || i AS text, i % 5000 AS few,"
            " i % 3 = 0 AS flag FROM generate_series(1::bigint, 1000003::bigint) AS g(i)",
        )
    )
    page = HtmlPage.load(f"{sandbox.url}/datasources/{item.id}")
    rows = {row["Column"]: row for row in page.table(TYPE)}
    for column in ("each", "text"):
        found = re.fullmatch(r"≈ about ([\d,]+)", rows[column]["Distinct"])
        assert found
        assert int(found[1].replace(",", "")) == pytest.approx(1_000_003, rel=0.05)
    assert rows["few"]["Distinct"] == "5,000"
    assert rows["flag"]["Values"] == "false 666,669 66.7 % true 333,334 33.3 %"
    assert rows["text"]["Values"] == "too many values for bars"
    assert len(page.bars("each")) == 20


def test_more_columns_than_can_be_shown(alone: Any, tmp_path: Path) -> None:
    """A very wide table is shown by its first columns, and the page says so."""
    sandbox, send = alone
    columns = ", ".join(f"c{number} int" for number in range(500))
    item = send(write(tmp_path / "wide.hyper", f"CREATE TABLE wide ({columns})"))
    page = HtmlPage.load(f"{sandbox.url}/datasources/{item.id}")
    assert "500 columns, of which the first 300 are shown" in page.text
    assert len(page.table(TYPE)) == 300


def _config(folder: Path) -> SandboxConfig:
    return SandboxConfig(data_dir=folder / "sandbox", users=USERS)


class Hasty(Sandbox):
    """A sandbox whose pages take no time to look into an extract."""

    def application(self, store: Store, base_url: str) -> ASGIApp:
        app = super().application(store, base_url)
        assert isinstance(app, Starlette)
        app.router.routes.insert(0, Route("/datasources/{datasource_id}", Pages(store, 0).show))
        return app


def test_what_takes_long_goes_on_with_the_next_look(
    tmp_path: Path, client: Callable[..., TSC.Server], publish: Publish
) -> None:
    """A page whose time is over shows what it has, says so, and each load adds to it."""
    path = write(tmp_path / "a.hyper", "CREATE TABLE a AS SELECT 1 AS a, 2 AS b, 3 AS c")
    with Hasty(_config(tmp_path)) as sandbox:
        item = publish(client(sandbox), None, "Sales", path=path)
        shown = []
        for _ in range(4):
            page = HtmlPage.load(f"{sandbox.url}/datasources/{item.id}")
            waiting = [row.get("Nulls") for row in page.table(TYPE)].count("not profiled yet")
            shown.append((waiting, "Load the page again" in page.text))
            assert len(page.table("All 1 rows")) == 1
    assert shown == [(2, True), (1, True), (0, False), (0, False)]


def test_extract_that_cannot_be_read(alone: Any, many_types: Path) -> None:
    """A file that was damaged since, or is in use, is named on the page, which is no failure."""
    sandbox, send = alone
    item = send(many_types)
    url = f"{sandbox.url}/datasources/{item.id}"
    [stored] = (sandbox.config.data_dir / "files").iterdir()
    with (
        HyperProcess(
            Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
        ) as other,
        Connection(other.endpoint, stored),
    ):
        page = HtmlPage.load(url)
        assert page.response.status_code == 200
        assert "locked by another process" in page.text
        assert "load this page again" in page.text
    assert len(HtmlPage.load(url).table(TYPE)) == len(COLUMNS)
    assert send(many_types).id == item.id
    newest = max(
        (sandbox.config.data_dir / "files").iterdir(), key=lambda path: path.stat().st_mtime_ns
    )
    newest.write_bytes(newest.read_bytes()[:5000])
    page = HtmlPage.load(url)
    assert page.response.status_code == 200
    assert "Hyper cannot read this extract: could not load database" in page.text
    assert str(newest.parent) not in page.text
    assert len(page.table("2 kept")) == 2


def test_times_are_told_in_utc(
    tmp_path: Path,
    client: Callable[..., TSC.Server],
    publish: Publish,
    many_types: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine in another time zone shows the same times with a time zone."""
    monkeypatch.setenv("TZ", "America/New_York")
    with Sandbox(_config(tmp_path)) as sandbox:
        item = publish(client(sandbox), None, "Sales", path=many_types)
        page = HtmlPage.load(f"{sandbox.url}/datasources/{item.id}")
    [zoned] = [row for row in page.table(TYPE) if row["Column"] == "zoned"]
    assert zoned["Min"] == "2024-01-01 22:00:00+00"


def test_damaged_column_leaves_the_others_readable(alone: Any, tmp_path: Path) -> None:
    """Where only one column's values are damaged, the page says so there and tells the others."""
    sandbox, send = alone
    item = send(
        write(
            tmp_path / "damaged.hyper",
            "CREATE TABLE damaged AS SELECT i AS number, 'needle ' || i AS text"
            " FROM generate_series(1, 1000) AS g(i)",
        )
    )
    [stored] = (sandbox.config.data_dir / "files").iterdir()
    content = stored.read_bytes()
    assert content.count(b"needle") >= 1000
    stored.write_bytes(content.replace(b"needle", b"\xff" * len(b"needle")))
    page = HtmlPage.load(f"{sandbox.url}/datasources/{item.id}")
    number, text = page.table(TYPE)
    assert (number["Min"], number["Max"], number["Distinct"]) == ("1", "1000", "1,000")
    assert "Hyper cannot profile this column" in text["Nulls"]
    assert "Hyper cannot read the rows" in page.text


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a folder that a process works in")
def test_machine_on_which_hyper_does_not_start(
    tmp_path: Path,
    client: Callable[..., TSC.Server],
    publish: Publish,
    many_types: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without Hyper the page tells the facts, and why it does not tell the content."""
    config = _config(tmp_path)
    with Sandbox(config) as sandbox:
        item = publish(client(sandbox), None, "Sales", path=many_types)
    gone = tmp_path / "gone"
    gone.mkdir()
    with Sandbox(config) as sandbox:
        url = f"{sandbox.url}/datasources/{item.id}"
        with monkeypatch.context() as change:
            change.chdir(gone)  # Hyper does not start in a folder that is not there
            gone.rmdir()
            page = HtmlPage.load(url)
        assert page.response.status_code == 200
        assert "Hyper does not start on this machine" in page.text
        assert len(page.table("1 kept")) == 1
        assert len(HtmlPage.load(url).table(TYPE)) == len(COLUMNS)


def test_looking_changes_nothing(alone: Any, many_types: Path) -> None:
    """A file is served byte for byte as it was published, also after it was looked into."""
    sandbox, send = alone
    published = many_types.read_bytes()
    item = send(many_types)
    HtmlPage.load(f"{sandbox.url}/datasources/{item.id}")
    response = requests.get(f"{sandbox.url}/download/{item.id}", timeout=30)
    assert response.content == published


class Lending(Sandbox):
    """A sandbox that lends its state."""

    store: Store

    def application(self, store: Store, base_url: str) -> ASGIApp:
        self.store = store
        return super().application(store, base_url)


def test_metadata_is_told_while_somebody_looks(
    tmp_path: Path, client: Callable[..., TSC.Server], publish: Publish, many_types: Path
) -> None:
    """A page that reads an extract does not keep the Metadata API from telling its columns."""
    lending = Lending(_config(tmp_path))
    with lending as sandbox:
        server = client(sandbox)
        item = publish(server, None, "Sales", path=many_types)
        [stored] = (sandbox.config.data_dir / "files").iterdir()
        query = '{publishedDatasources(filter: {luid: "%s"}) {fields {name}}}'
        with lending.store.hyper.reading(stored):
            answer = server.metadata.query(query % item.id, abort_on_error=True)
    names = [one["name"] for one in answer["data"]["publishedDatasources"][0]["fields"]]
    assert names == [*COLUMNS, "only"]
