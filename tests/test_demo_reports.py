"""The reports of two offices: real figures, in the form in which spreadsheets export them."""

import csv
import io
from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from mds_tableau.demo import place_data
from mds_tableau.demo_reports import OFFICES, write_report
from tests.pipeline import ROOT

RAW = ROOT / "data" / "raw"
Row = tuple[int, int, date, int, int, Decimal]


def _sold(transactions: Path, parity: int) -> list[Row]:
    """Add up what was sold, without SQL."""
    with duckdb.connect() as connection:
        found = connection.sql(f"FROM '{transactions}'")
        table = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    groups = defaultdict(list)
    for row in table:
        if row["store_id"] % 2 == parity:
            groups[row["store_id"], row["week"]].append(row)
    return [
        (
            *key,
            max(row["transaction_timestamp"].date() for row in rows),
            len({row["basket_id"] for row in rows}),
            sum(row["quantity"] for row in rows),
            sum((Decimal(f"{row['sales_value']:.2f}") for row in rows), Decimal(0)),
        )
        for key, rows in sorted(groups.items())
    ]


def _read(content: bytes, name: str) -> list[Row]:
    """Read a report by what `data/README.md` says of its form alone."""
    if name.endswith("german"):
        text, delimiter, thousands, day = content.decode("cp1252"), ";", ".", "%d.%m.%Y"
    else:
        assert content.startswith(b"\xef\xbb\xbf")
        text, delimiter, thousands, day = content[3:].decode(), "\t", " ", "%Y. %m. %d."
    assert text.count("\n") == text.count("\r\n")

    def number(written: str) -> Decimal:
        return Decimal(written.replace(thousands, "").replace(",", "."))

    _, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return [
        (
            int(store),
            int(week),
            datetime.strptime(last, day).date(),
            int(number(baskets)),
            int(number(quantity)),
            number(value),
        )
        for store, week, last, baskets, quantity, value in rows
    ]


@pytest.mark.parametrize("name", OFFICES)
def test_committed_reports_are_what_the_sample_sold(name: str, tmp_path: Path) -> None:
    """Each figure of the committed file is of the transactions beside it, and so is each byte."""
    content = (RAW / f"{name}.csv").read_bytes()
    assert _read(content, name) == _sold(RAW / "transactions.parquet", OFFICES[name].parity)
    with duckdb.connect() as connection:
        relation = f"'{RAW / 'transactions.parquet'}'"
        rows = write_report(connection, relation, name, tmp_path / "again.csv")
    assert rows == content.count(b"\r\n") - 1
    assert (tmp_path / "again.csv").read_bytes() == content


def test_each_report_has_what_makes_its_form_hard() -> None:
    """An umlaut in a single byte and a byte order mark, thousands, commas, and quotes or none."""
    german = (RAW / "weekly_report_german.csv").read_bytes()
    assert german.startswith(b"Gesch\xe4ft;Woche;")
    assert b";44.955;" in german
    assert b'"' not in german
    hungarian = (RAW / "weekly_report_hungarian.csv").read_bytes()
    assert hungarian.startswith('\ufeff"Üzlet"\t"Hét"\t'.encode())
    assert b'\t"23 527"\t' in hungarian
    # what CP1252 has and Latin-1, as which DuckDB reads it, has not
    assert not set(german) & set(range(0x80, 0xA0))


def test_thousands_and_cents_of_an_amount_are_written(tmp_path: Path) -> None:
    """Amounts above a thousand, which the sample lacks, are grouped; cents have two digits."""
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE sold AS SELECT 1 + i % 2 AS store_id, 7 AS week, i AS basket_id, "
            "500000 AS quantity, 1234567.05::DOUBLE AS sales_value, "
            "TIMESTAMP '2017-02-03 23:59:59' AS transaction_timestamp FROM range(4) t(i)"
        )
        written = {}
        for name in OFFICES:
            write_report(connection, "sold", name, tmp_path / name)
            written[name] = (tmp_path / name).read_bytes().splitlines()[1]
    assert written == {
        "weekly_report_german": b"2;7;03.02.2017;2;1.000.000;2.469.134,10",
        "weekly_report_hungarian": b'"1"\t"7"\t"2017. 02. 03."\t"2"\t"1 000 000"\t"2 469 134,10"',
    }


def test_demo_puts_the_reports_of_the_full_tables_in_place(tmp_path: Path) -> None:
    """They add up to the full year to the cent; what is there already stays as it is."""
    place_data(tmp_path)
    total = sum(
        (
            row[-1]
            for name in OFFICES
            for row in _read((tmp_path / f"{name}.csv").read_bytes(), name)
        ),
        Decimal(0),
    )
    assert total == Decimal("4596039.58")
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in RAW.iterdir()}
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    place_data(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
