"""The `plan` command as a user runs it, on our own project and on one of another shape."""

import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from rich.console import Console

from mds_tableau.defs.project import find_project, prepare
from mds_tableau.pipeline import build_definitions
from mds_tableau.plan import PLAN_HEADER
from mds_tableau.plan_command import show_plan
from tests.pipeline import ROOT, Workplace, execute, failures

pytestmark = [pytest.mark.e2e, pytest.mark.dbt]

MAIN = "import sys; from mds_tableau.cli import main; main(prog_name='mds-tableau')"


def command(place: Workplace, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a process of its own, with its output in a pipe."""
    return subprocess.run(
        [sys.executable, "-c", MAIN, "plan", *arguments],
        env={**os.environ, **place.environment},
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=False,
    )


def shown(place: Workplace, width: int, selection: str = "") -> tuple[int, str]:
    """Show the plan in a terminal of that width; return the exit code and what is seen."""
    console = Console(file=io.StringIO(), width=width)
    code = show_plan(place.settings(), selection, console)
    assert isinstance(console.file, io.StringIO)
    return code, console.file.getvalue()


def columns_of(place: Workplace) -> dict[str, list[tuple[str, str]]]:
    """Name and type of each column of each selected mart, asked of DuckDB."""
    settings = place.settings()
    prepared = prepare(find_project(settings), settings.mds_marts)
    with duckdb.connect(str(prepared.warehouse), read_only=True) as connection:
        return {
            mart.name: [
                (row[0], row[1])
                for row in connection.execute(f"DESCRIBE {mart.relation}").fetchall()
            ]
            for unique_id, mart in prepared.manifest.marts.items()
            if unique_id in prepared.selected and mart.meta.get("tableau") is not False
        }


@pytest.fixture
def shop(tmp_path: Path) -> Workplace:
    """A project of another shape, with quoted names, an alias and versions; not built."""
    return Workplace.create(
        tmp_path / "the shop", ROOT / "tests" / "projects" / "shop", MDS_MARTS="reporting"
    )


def build(place: Workplace) -> None:
    """Build the project as the pipeline does, up to the marts."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(build_definitions(place.settings()), "kind:dbt", instance)
    assert failures(result) == {}


@pytest.fixture(scope="module")
def retail(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Our own project, built on the sample."""
    place = Workplace.create(tmp_path_factory.mktemp("retail"), ROOT / "dbt_project")
    build(place)
    return place


def lines_of(text: str, name: str) -> list[str]:
    """The lines that begin with the name of a column."""
    return [line for line in text.splitlines() if re.match(rf" *{re.escape(name)}( |$)", line)]


def test_every_column_of_our_own_project_is_listed(retail: Workplace) -> None:
    """With its type in the mart and in the extract, in one line of what stands in a pipe."""
    done = command(retail)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "…" not in done.stdout
    # the folder of the sandbox is named, and is as long as it happens to be
    text = done.stdout.replace(str(retail.data), "data")
    assert max(map(len, text.splitlines())) <= 160
    marts = columns_of(retail)
    assert len(marts) == 9
    blocks = re.split(r"^(\w+): ", done.stdout, flags=re.MULTILINE)[1:]
    told = dict(zip(blocks[::2], blocks[1::2], strict=True))
    assert set(told) == set(marts)
    for mart, columns in marts.items():
        for name, of_type in columns:
            [line] = lines_of(told[mart], name)
            assert of_type in line
    assert "NUMERIC(12,2)" in told["fct_sales"]
    assert told["fct_sales"].startswith("datasource 'Sales' in project 'Retail' on the local sand")
    assert "file version 3, raised by sales_value, gross_value; opens in" in told["daily_sales"]


def test_a_selection_shows_its_extracts_alone(retail: Workplace) -> None:
    """As dbt selects; what is no extract is not shown, and nothing at all is an error."""
    names = re.compile(r"^(\w+): ", re.MULTILINE)
    assert names.findall(command(retail, "--select", "fct_sales").stdout) == ["fct_sales"]
    _, text = shown(retail, 160, "dim_campaign+")
    assert set(names.findall(text)) >= {"dim_campaign", "campaign_performance"}
    _, text = shown(retail, 160, "fct_sales dim_household")
    assert names.findall(text) == ["dim_household", "fct_sales"]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ("fct_sale", "The selection 'fct_sale' names no extract. There are: campaign_performance,"),
        ("stg_raw__products", "names no extract. There are: campaign_performance, daily_sales"),
        ("nonsense:x", "The selection 'nonsense:x' cannot be read: 'nonsense' is not a valid"),
    ],
)
def test_a_selection_of_nothing_is_an_error(
    retail: Workplace, selection: str, message: str
) -> None:
    """What was asked is told with what there is, in one line and without a traceback."""
    done = command(retail, "--select", selection)
    assert (done.returncode, done.stdout) == (1, "")
    # what stands before it is dbt's
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert message in last
    assert "Traceback" not in done.stderr


def test_nothing_is_known_before_the_marts_are_built(shop: Workplace) -> None:
    """That is told with a command, which builds them and publishes nothing; dbt is silent."""
    done = command(shop)
    assert (done.returncode, done.stderr) == (0, "")
    assert "not built yet, so that its columns are not known" in done.stdout
    assert "2 of 2 are not built yet: " in done.stdout
    words = shlex.split(done.stdout.splitlines()[-1])
    assert words[:3] == ["mds-tableau", "refresh", "--select"]
    built = shop.run("mds_tableau", *words[1:])
    assert built.returncode == 0, built.stderr
    assert {path.name for path in shop.data.iterdir()}.isdisjoint({"parquet", "hyper", "sandbox"})
    after = command(shop)
    assert (after.returncode, "not built" in after.stdout, after.stderr) == (0, False, "")
    # of one that is added the command is about it alone, and tells when it cannot be built
    (shop.project / "models" / "reporting" / "added.sql").write_text("select no_such_column")
    one = command(shop)
    assert (one.returncode, one.stderr) == (0, "")
    assert "1 of 3 are not built yet: added." in one.stdout
    words = shlex.split(one.stdout.splitlines()[-1])
    assert "revenue" not in words[3]
    assert shop.run("mds_tableau", *words[1:]).returncode == 1


def test_another_project_with_what_is_asked_for_its_columns(shop: Workplace) -> None:
    """Aliases, quoted names and versions are shown, and an option shows as what it does."""
    yml = shop.project / "models" / "reporting" / "reporting.yml"
    yml.write_text(
        yml.read_text().replace(
            "      - name: customer\n",
            "      - name: orders\n"
            "        config: {meta: {tableau: {as: text}}}\n"
            "      - name: customer\n",
        )
    )
    build(shop)
    code, text = shown(shop, 160)
    assert code == 0
    assert set(columns_of(shop)) == {"revenue", "customers_v2"}
    assert "revenue: datasource 'Revenue, daily' in project 'Default' on the local sandbox" in text
    [line] = lines_of(text, "Total Amount")
    assert re.split(r" {2,}", line.strip())[:2] == ["Total Amount", "DECIMAL(38,2)"]
    [line] = lines_of(text, "orders")
    assert re.split(r" {2,}", line.strip()) == [
        *("orders", "BIGINT", "::VARCHAR", "BYTE_ARRAY (UTF8)", "TEXT")
    ]


def test_all_that_is_refused_is_told(shop: Workplace) -> None:
    """With exit code 1, the other extracts beside it, and how many of how many at the end."""
    reporting = shop.project / "models" / "reporting"
    (reporting / "nested.sql").write_text("select [1] as many, 'x'::blob as bytes")
    (reporting / "twins.sql").write_text('select 1 as "A", 2 as "a"')
    build(shop)
    done = command(shop)
    assert done.returncode == 1
    text = done.stdout
    assert "Cannot export mart 'nested' (models/reporting/nested.sql):" in text
    assert "- column 'many' has type INTEGER[], which a Hyper extract cannot hold." in text
    assert "- column 'bytes' has type BLOB, which a Hyper extract cannot hold." in text
    assert "mart 'twins' (models/reporting/twins.sql):\n- the query selects 'A' and 'a'" in text
    assert lines_of(text, "Total Amount")
    assert text.splitlines()[-1] == "2 of 4 are refused: nested, twins."
    assert command(shop, "--select", "revenue").returncode == 0


@pytest.mark.hyper
def test_the_plan_is_in_the_metadata_of_the_extract(shop: Workplace) -> None:
    """The same table, as the columns were when the extract was made."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute(build_definitions(shop.settings()), "+key:hyper/*", instance)
    assert failures(result) == {}
    [materialization] = result.asset_materializations_for_node("hyper__revenue")
    plan = materialization.metadata["plan"]
    assert isinstance(plan, dg.TableMetadataValue)
    assert [column.name for column in plan.schema.columns] == list(PLAN_HEADER)
    [by_day, amount] = [dict(record.data) for record in plan.records]
    assert amount == {
        "column": "Total Amount",
        "duckdb_type": "DECIMAL(38,2)",
        "cast": "",
        "parquet_type": "FIXED_LEN_BYTE_ARRAY (DECIMAL)",
        "hyper_type": "NUMERIC(38,2)",
        "lost_or_checked": "",
    }
    assert (by_day["column"], by_day["hyper_type"]) == ("Ordered On", "DATE")
    _, text = shown(shop, 300, "revenue")
    assert all(str(value) in text for record in (by_day, amount) for value in record.values())
