"""Writes the weekly reports of two offices, as their spreadsheets would export them.

The figures are the retailer's own sales; only the form is the offices'. The demo writes them from
the full tables and `data/make_sample.py` from the sample; how they are read stands in the dbt
project, as for every other raw file.
"""

import csv
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

import duckdb


@dataclass(frozen=True)
class Office:
    """An office and the form of its reports.

    Attributes:
        parity: Remainder of the numbers of its stores, divided by two.
        encoding: Of the file, as Python calls it.
        delimiter: Between two fields.
        quoting: Which fields are quoted, as the module `csv` says it.
        header: Names of store, week, last sale, baskets, quantity and sales value.
        day: Format of a date.
        thousands: Between groups of three digits; the decimal separator is a comma in both.
    """

    parity: int
    encoding: str
    delimiter: str
    quoting: Literal[0, 1]
    header: tuple[str, ...]
    day: str
    thousands: str

    def number(self, value: int | Decimal) -> str:
        """Return a number as the office writes it.

        >>> OFFICES["weekly_report_german"].number(Decimal("1234.50"))
        '1.234,50'
        """
        # by a letter that no number has, as a point of one office is a comma of the other
        return f"{value:,}".replace(",", "T").replace(".", ",").replace("T", self.thousands)


OFFICES: Final = {
    "weekly_report_german": Office(
        parity=0,
        encoding="cp1252",
        delimiter=";",
        quoting=csv.QUOTE_MINIMAL,
        header=("Geschäft", "Woche", "Letzter Verkauf", "Kassenbons", "Stück", "Umsatz USD"),
        day="%d.%m.%Y",
        thousands=".",
    ),
    "weekly_report_hungarian": Office(
        parity=1,
        encoding="utf-8-sig",
        delimiter="\t",
        quoting=csv.QUOTE_ALL,
        header=("Üzlet", "Hét", "Utolsó eladás", "Nyugták", "Mennyiség", "Forgalom USD"),
        day="%Y. %m. %d.",
        thousands=" ",
    ),
}
"""The offices by the name of their file. Which store reports to which is our choice."""


def write_report(
    connection: duckdb.DuckDBPyConnection, transactions: str, name: str, path: Path
) -> int:
    """Write the report of one office and return its rows.

    Args:
        connection: Where the transactions are.
        transactions: Relation with them, as it stands in SQL.
        name: Name of the report, one of `OFFICES`.
        path: The file to write.
    """
    office = OFFICES[name]
    found = connection.execute(
        "SELECT store_id, week, max(CAST(transaction_timestamp AS DATE)), "  # noqa: S608
        "count(DISTINCT basket_id), CAST(sum(quantity) AS BIGINT), "
        # the cents that were meant, before they are added up
        "sum(CAST(round(sales_value, 2) AS DECIMAL(12, 2))) "
        f"FROM {transactions} WHERE store_id % 2 = {office.parity} "
        "GROUP BY store_id, week ORDER BY store_id, week"
    ).fetchall()
    with path.open("w", encoding=office.encoding, newline="") as file:
        writer = csv.writer(
            file, delimiter=office.delimiter, quoting=office.quoting, lineterminator="\r\n"
        )
        writer.writerow(office.header)
        for store, week, last, baskets, quantity, value in found:
            numbers = [office.number(number) for number in (baskets, quantity, value)]
            writer.writerow([store, week, f"{last:{office.day}}", *numbers])
    return len(found)
