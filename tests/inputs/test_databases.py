"""Which reader is taken, what is refused before one is, and that no password is ever shown."""

import builtins
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mds_tableau.errors import InputError
from mds_tableau.inputs.database_url import place, scrubbed, shown, with_parameters
from mds_tableau.inputs.databases import DatabaseInput, load_database, tables_of
from mds_tableau.inputs.tables import TableName, find_table


@pytest.mark.parametrize(
    ("url", "extra"),
    [
        ("postgresql://ann:hunter2@host/db", "postgres"),
        ("sqlite:////nowhere.sqlite", "sqlite"),
        ("mysql+pymysql://ann:hunter2@host/db", "sql"),
    ],
)
def test_missing_packages(
    duck: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, url: str, extra: str
) -> None:
    """Without the packages of a reader, the message says which extra to install."""
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] in {"pyarrow", "sqlalchemy"} or name.startswith("adbc_"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError) as error:
        load_database(duck, DatabaseInput(url, table="t"), table="t")
    monkeypatch.undo()
    assert f"pip install 'mds_tableau[{extra}]'" in str(error.value)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("given", [{}, {"table": "t", "query": "SELECT 1"}])
def test_table_or_query(duck: duckdb.DuckDBPyConnection, given: dict[str, Any]) -> None:
    """Exactly one of a table and a query has to be given."""
    with pytest.raises(InputError, match="either a table or a query"):
        load_database(duck, DatabaseInput("shop.sqlite", **given), table="t")


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), (b"", "neither a SQLite nor a DuckDB file"), (b"a,b\n", "neither")],
)
def test_file_that_is_no_database(tmp_path: Path, content: bytes | None, said: str) -> None:
    """A path is looked into, and what is no database is told."""
    path = tmp_path / "sales.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        tables_of(str(path))


@pytest.mark.parametrize("url", ["sqlite:///{}/no.sqlite", "duckdb:///{}/no.duckdb"])
def test_file_that_is_not_there(tmp_path: Path, url: str) -> None:
    """A URL of a file that is not there does not make one."""
    with pytest.raises(InputError, match="There is no file"):
        tables_of(url.format(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "is_shown", "is_placed"),
    [
        ("postgresql://db/shop", "postgresql://db/shop", "shop at db"),
        ("postgresql://ann@db:5433/shop", "postgresql://ann@db:5433/shop", "shop at db:5433"),
        ("postgresql://ann:s3cret@db/shop", "postgresql://ann:***@db/shop", "shop at db"),
        ("postgresql://ann:s3/c@r#t@db/shop", "postgresql://ann:***@db/shop", "shop at db"),
        (
            "postgresql:///shop?host=/run/pg&password=s3cret",
            "postgresql:///shop?host=/run/pg&password=***",
            "shop at /run/pg",
        ),
        (
            "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Ds3cret",
            "mssql+pyodbc:///?odbc_connect=***",
            "the mssql+pyodbc server",
        ),
    ],
)
def test_url_without_secrets(url: str, is_shown: str, is_placed: str) -> None:
    """What is shown of a URL holds no password, wherever it stands in it."""
    assert shown(url) == is_shown
    assert place(url) == is_placed
    assert "s3" not in repr(DatabaseInput(url, table="t"))


@pytest.mark.parametrize(
    "message",
    [
        "cannot parse postgresql://ann:p%40ss@db/shop",
        "password p@ss is wrong",
        "host=db user=ann password='p@ss' dbname=shop",
        "host=db password=other",
    ],
)
def test_message_without_secrets(message: str) -> None:
    """Neither form of a password is left in a message of a driver."""
    said = scrubbed(message, "postgresql://ann:p%40ss@db/shop")
    assert "***" in said
    assert not any(secret in said for secret in ("p@ss", "p%40ss", "other"))


def test_parameters_are_not_overruled() -> None:
    """What a URL says itself about time-outs stays."""
    url = "postgresql://db/shop?connect_timeout=5"
    assert with_parameters(url, {"connect_timeout": "30"}) == url
    assert with_parameters(url, {"keepalives": "1"}) == f"{url}&keepalives=1"


NAMES = [
    TableName("public", "orders"),
    TableName("public", "Orders"),
    TableName("old", "orders", visible=False),
    TableName("old", "a.b", visible=False),
]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("orders", NAMES[0]),
        ("Orders", NAMES[1]),
        ("OLD.Orders", NAMES[2]),
        ('old."a.b"', NAMES[3]),
        (' "old" . "orders" ', NAMES[2]),
    ],
)
def test_name_that_is_meant(wanted: str, found: TableName) -> None:
    """A name finds the table as it is written before it finds one that differs in case."""
    assert find_table(wanted, NAMES, place="shop") == found


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("", "is no name of a table"),
        ("old.", "is no name of a table"),
        ('"open', "is no name of a table"),
        ("oRDERS", "Several tables"),
        ('"oRDERS"', "has no table"),
        ("a.b", "There are: "),
    ],
)
def test_name_that_means_none(wanted: str, said: str) -> None:
    """A name that is none, means several or nothing is told."""
    with pytest.raises(InputError, match=said):
        find_table(wanted, NAMES, place="shop")


def test_many_tables_are_not_all_listed() -> None:
    """Of many tables a message names a dozen, and says how many more there are."""
    many = [TableName("", f"table_{n:03}") for n in range(100)]
    with pytest.raises(InputError, match=r"table_011 and 88 more\.$"):
        find_table("nothing", many, place="shop")
