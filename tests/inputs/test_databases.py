"""Which reader is taken, what is refused before one is, and that no password is ever shown."""

import builtins
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mds_tableau.errors import InputError, MdsTableauError, UsageError
from mds_tableau.inputs.database_reader import DatabaseInput
from mds_tableau.inputs.database_url import FromVariable, place, scrubbed, shown, with_parameters
from mds_tableau.inputs.databases import load_database, tables_of, watermark
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
    assert f'pip install -c constraints.txt -e ".[{extra}]"' in str(error.value)
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
        ("postgresql://db/shop", "postgresql://db", "shop at db"),
        ("postgresql://ann@db:5433/shop", "postgresql://db:5433", "shop at db:5433"),
        ("postgresql://ann:s3cret@db/shop", "postgresql://db", "shop at db"),
        ("postgresql://ann:s3/c@r#t@db/shop", "the database", "the database"),
        (
            "postgresql:///shop?host=/run/pg&password=s3cret",
            "postgresql://",
            "shop at /run/pg",
        ),
        (
            "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Ds3cret",
            "mssql+pyodbc://",
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
    assert "***" in said or said.endswith("postgresql://db")
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


MALFORMED = [
    "postgresql:/ann:hunter2@127.0.0.1/shop",
    "ann:hunter2@127.0.0.1/shop",
    "postgresql://ann:hun?ter2@127.0.0.1:5999/shop",
    "postgresql://ann:12?hunter2@127.0.0.1:5999/shop",
    "postgresql://ann:h@nter2@127.0.0.1:1/shop",
    "postgresql://ann:hunter2%zz@127.0.0.1:1/shop",
    "jdbc:postgresql://127.0.0.1/shop?user=ann&password=hunter2",
    "host=127.0.0.1 password=hunter2 dbname=x",
    "hunter2",
]


@pytest.mark.parametrize("content", MALFORMED)
def test_malformed_variable_is_not_shown(content: str, duck: duckdb.DuckDBPyConnection) -> None:
    """What cannot be understood is refused by the variable's name, and nothing of it is shown."""
    url = FromVariable(content, "SHOP")
    asked = DatabaseInput(url, table="t")
    for ask in (
        lambda: load_database(duck, asked, table="t"),
        lambda: tables_of(url),
        lambda: watermark(url, "t"),
    ):
        with pytest.raises(UsageError, match=r"SHOP .*scheme://user:password@host:port") as error:
            ask()
        said = f"{error.value} {asked!r} {shown(url)} {place(url)}"
        assert not re.search("hunter2|hun|ter2|nter2|ann:|127", said)


@pytest.mark.parametrize("content", [each for each in MALFORMED if "@" in each or "=" in each])
def test_malformed_text_is_not_shown(content: str) -> None:
    """Nor is it shown where it came from elsewhere."""
    with pytest.raises(UsageError, match="scheme://user:password@host:port") as error:
        tables_of(content)
    assert not re.search("hunter2|hun|ter2|nter2|ann:|127", str(error.value))


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_path_in_variable_is_not_shown(kind: str, tmp_path: Path) -> None:
    """A file that is not there, or is none, is called by the variable, too."""
    wrong = tmp_path / "hunter2.db"
    with pytest.raises(InputError, match="SHOP") as gone:
        tables_of(FromVariable(f"{kind}:///{wrong}", "SHOP"))
    wrong.write_text("something else, of some length")
    with pytest.raises(InputError, match="SHOP") as odd:
        tables_of(FromVariable(f"{kind}:///{wrong}", "SHOP"))
    with pytest.raises(InputError, match="SHOP") as bare:
        tables_of(FromVariable(str(wrong), "SHOP"))
    assert not any("hunter2" in str(error.value) for error in (gone, odd, bare))


PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=24)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    password=PASSWORDS,
    kind=st.sampled_from(["postgresql", "postgresql+psycopg", "mysql", "nosuch"]),
    is_encoded=st.booleans(),
    is_parameter=st.booleans(),
    is_named=st.booleans(),
)
def test_random_passwords_are_not_shown(
    password: str, kind: str, is_encoded: bool, is_parameter: bool, is_named: bool
) -> None:
    """No password is in an error, however it stands in a URL and whoever parses that."""
    assume(password not in "postgresql+psycopg://127.0.0.1:1/shop?user=ann&password=")
    word = quote(password, safe="") if is_encoded else password
    url = f"{kind}://ann:{word}@127.0.0.1:1/shop"
    if is_parameter:
        url = f"{kind}://127.0.0.1:1/shop?user=ann&password={word}"
    if is_named:
        url = FromVariable(url, "SHOP")
    with pytest.raises(MdsTableauError) as error:
        tables_of(url)
    assert password not in str(error.value)
    assert word not in str(error.value)
    assert not is_named or "SHOP" in str(error.value) or "127.0.0.1" not in str(error.value)
