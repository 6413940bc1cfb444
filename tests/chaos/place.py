"""A small project whose raw file changes, and what each of its marts has to hold then.

What is expected is computed here, from the same numbers as the raw file, by no code under test.
"""

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO

from tests.pipeline import ROOT, Workplace

Rows = list[tuple[str | None, ...]]

MARTS = {
    "order_lines": "order_lines",
    "revenue": "Revenue, daily",
    "customers_v2": "customers_v2",
    "price_list": "price_list",
    "arrivals": "arrivals",
}
"""Datasource of each extract; `price_list` never changes, `arrivals` is appended to."""
RELATIONS = {
    "order_lines": "prefix_reporting.order_lines",
    "revenue": 'prefix_reporting."Revenue per Day"',
    "customers_v2": "prefix_reporting.customers_v2",
    "price_list": "prefix_reporting.price_list",
    "arrivals": "prefix_reporting.arrivals",
}
APPENDED = "arrivals"

_NAMES = ("Ada", "Ben", "Zoë", "Ines", "Jürg", "Ok", "Ole")
_SOURCE = """
version: 2
sources:
  - name: raw
    tables:
      - name: orders
        config:
          meta:
            external_location: "{{ env_var('MDS_RAW_DIR') }}/orders.csv"
"""
_MODELS = {
    "core/clean_orders": """
select
    cast(order_id as bigint) as order_id,
    cast(state as bigint) as state,
    customer,
    cast(amount as decimal(10, 2)) as amount,
    cast(ordered_on as date) as ordered_on
from {{ source('raw', 'orders') }}
""",
    "reporting/order_lines": """
select order_id, state, cast(customer as varchar) as customer, amount, ordered_on
from {{ ref('clean_orders') }}
""",
    "reporting/arrivals": """
select order_id, state from {{ ref('clean_orders') }} where order_id % 100 = 0
""",
    "reporting/price_list": """
select cast(customer as varchar) as customer, cast(amount as decimal(10, 2)) as amount
from {{ ref('orders') }}
""",
}
_ARRIVALS = """
version: 2
models:
  - name: arrivals
    config:
      meta:
        tableau: {mode: MODE}
"""


@dataclass(frozen=True)
class Place:
    """The project in a temporary place, with an instance of its own.

    Attributes:
        work: Project, raw files and data.
        orders: Rows of the raw file in its first state.
    """

    work: Workplace
    orders: int
    appends: bool = field(default=False)

    @property
    def home(self) -> Path:
        """The folder of the Dagster instance."""
        return self.work.folder / "home"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file."""
        return self.work.project / "db" / "the shop.duckdb"

    @property
    def extracts(self) -> Mapping[str, str]:
        """Datasource of each extract that there is."""
        return {name: MARTS[name] for name in MARTS if self.appends or name != APPENDED}

    @classmethod
    def create(cls, folder: Path, *, orders: int = 2000, appends: bool = False) -> "Place":
        """Make the project, with nothing built."""
        work = Workplace.create(
            folder,
            ROOT / "tests" / "projects" / "shop",
            MDS_MARTS="reporting",
            DAGSTER_HOME=str(folder / "home"),
            # locks beside no project, and what processes leave in passing, are looked at too
            XDG_CACHE_HOME=str(folder / "cache"),
            TMPDIR=str(folder / "tmp"),
            # the client takes each file for a large one, which is uploaded before it is published
            TSC_FILESIZE_LIMIT_MB="0",
        )
        for name in ("home", "cache", "tmp"):
            (folder / name).mkdir()
        shutil.copy(ROOT / "data" / "dagster" / "dagster.yaml", folder / "home")
        models = work.project / "models"
        for name, sql in _MODELS.items():
            if appends or name != f"reporting/{APPENDED}":
                (models / f"{name}.sql").write_text(sql)
        (models / "core" / "sources.yml").write_text(_SOURCE)
        place = cls(work, orders, appends)
        if appends:
            # somebody has to have published it once
            place.append_with("overwrite")
        return place

    def append_with(self, mode: str) -> None:
        """Set the mode of the mart that is appended."""
        path = self.work.project / "models" / "reporting" / "arrivals.yml"
        path.write_text(_ARRIVALS.replace("MODE", mode))

    def write(self, state: int) -> None:
        """Put the raw file into a state, in which no row is as in another."""
        lines = [",".join(str(value) for value in order) for order in self._orders(state)]
        beside = self.work.raw / ".orders.tmp"
        text = "\n".join(["order_id,state,customer,amount,ordered_on", *lines, ""])
        beside.write_text(text, encoding="utf-8")
        beside.replace(self.work.raw / "orders.csv")

    def change_project(self, state: int) -> None:
        """Change a file of the project, so that the next run has dbt parse it."""
        path = self.work.project / "models" / "core" / "clean_orders.sql"
        path.write_text(f"{_MODELS['core/clean_orders']}-- {state}\n")

    def expected(self, extract: str, state: int) -> Rows:
        """Return the rows that an extract has to hold in a state, as sorted texts."""
        orders = self._orders(state)
        if extract == "price_list":
            return sorted([("Ada", "10.50"), ("Ben", "0.00"), ("Zoë", "99.99")], key=repr)
        if extract == APPENDED:
            rows: Rows = [(str(i), str(state)) for i, *_ in orders if i % 100 == 0]
        elif extract == "order_lines":
            rows = [tuple(str(value) for value in order) for order in orders]
        else:
            sums: dict[str, Decimal] = defaultdict(Decimal)
            counts: dict[str, int] = defaultdict(int)
            for _, _, customer, amount, day in orders:
                key = str(day) if extract == "revenue" else customer
                sums[key] += amount
                counts[key] += 1
            if extract == "revenue":
                rows = [(key, str(sums[key])) for key in sums]
            else:
                rows = [(key, str(counts[key]), str(sums[key])) for key in sums]
        return sorted(rows, key=repr)

    def _orders(self, state: int) -> Sequence[tuple[int, int, str, Decimal, date]]:
        return [
            (
                i,
                state,
                _NAMES[(i + state) % len(_NAMES)],
                Decimal((i * 37 + state * 1009) % 5000 + 1).scaleb(-2),
                date(2026, 1, 1) + timedelta(days=i % 60),
            )
            for i in range(1, self.orders + 3 * state + 1)
        ]

    def start(
        self, select: str = "*", said: "IO[bytes] | int" = subprocess.DEVNULL
    ) -> "subprocess.Popen[bytes]":
        """Start the main job as a user does, and do not wait for it."""
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "dagster", "asset", "materialize"),
                *("--select", select, "-m", "mds_tableau.definitions"),
            ],
            env={**os.environ, **self.work.environment},
            cwd=self.work.folder,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
