"""`mds-tableau pull` from a running server, compared with what was published."""

import zipfile
from pathlib import Path

import duckdb
import pytest

from mds_tableau.errors import ExtractError
from mds_tableau.hyper import Hyper
from mds_tableau.hyper_contents import write_parquet
from mds_tableau.packaged import take_extract
from mds_tableau.pull import default_output
from mds_tableau.sandbox import Sandbox, SandboxConfig, faults
from mds_tableau.tableau import Password, publish, sign_in
from tests.commands.conftest import APP, Make, Run, told

pytestmark = pytest.mark.hyper

CSV = """id,Name,name,at
1,"a ""b"", c",,2026-01-02 02:04:05.5+00
2,"","line
end",
3,,Größe 💾,
"""
"""What the newer extract is as CSV: NULL is nothing, and an empty text is quoted."""


def names(folder: Path) -> set[str]:
    """The files of a folder, but for the data folder."""
    return {one.name for one in folder.iterdir()} - {"data"}


def test_the_extract_comes_back_byte_for_byte(
    on_server: Run, extracts: list[Path], tmp_path: Path
) -> None:
    """Its name is found in any case, and nothing else is left beside it."""
    pulled = told(on_server("pull", "only", "--json"))
    assert pulled["datasource"] == "Only"
    assert (pulled["project"], pulled["rows"]) == ("Default", 3)
    assert (tmp_path / "only.hyper").read_bytes() == extracts[1].read_bytes()
    assert (tmp_path / "only.hyper").stat().st_mode & 0o777 == 0o644
    assert names(tmp_path) == {"only.hyper"}


def test_parquet_has_all_values(on_server: Run, tmp_path: Path) -> None:
    """What DuckDB reads of the Parquet is what was put into the extract."""
    on_server("pull", "Only", "--to", "parquet", "--output", tmp_path / "a.parquet")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(
            'SELECT #1, #2, #3, CAST("at" AS VARCHAR) FROM read_parquet(?) ORDER BY 1',
            [str(tmp_path / "a.parquet")],
        ).fetchall()
    assert rows == [
        (1, 'a "b", c', None, "2026-01-02 02:04:05.5+00"),
        (2, "", "line\nend", None),
        (3, None, "Größe 💾", None),
    ]


def test_csv_has_the_dialect_of_the_documents(on_server: Run, tmp_path: Path) -> None:
    """Quotes are doubled, NULL is nothing, an empty text is quoted, names keep their case."""
    assert told(on_server("pull", "Only", "--to", "csv", "--json"))["rows"] == 3
    assert (tmp_path / "Only.csv").read_bytes().decode() == CSV
    assert names(tmp_path) == {"Only.csv"}


def test_long_texts_go_through_csv(
    make_hyper: Make, published: Sandbox, on_server: Run, tmp_path: Path
) -> None:
    """A text longer than the lines that DuckDB reads by default is written and counted."""
    path = make_hyper(
        tmp_path / "long.hyper",
        "CREATE TABLE long (t text)",
        """INSERT INTO long VALUES (repeat('"' || chr(10), 3000000)), (NULL), ('')""",
    )
    with sign_in(published.url, "", Password("ada", "a-password")) as session:
        made = publish(session, path, datasource="Long", project="Default")
        try:
            assert told(on_server("pull", "Long", "--to", "csv", "--json"))["rows"] == 3
        finally:
            session.client.datasources.delete(made.id)
    text = (tmp_path / "Long.csv").read_bytes().decode()
    assert text == 't\n"' + '""\n' * 3_000_000 + '"\n\n""\n'


def test_types_that_parquet_has_not_become_text(
    hyper: Hyper, make_hyper: Make, tmp_path: Path
) -> None:
    """They are named, and hold what Hyper makes of them."""
    path = make_hyper(
        tmp_path / "odd.hyper",
        "CREATE TABLE odd (i interval, g tableau.tabgeography, c char(1), o oid, n int)",
        "INSERT INTO odd VALUES (interval '1 month', "
        "CAST('POINT(8.5 47.3)' AS tableau.tabgeography), CAST('x' AS char(1)), 7, 1)",
    )
    rows, as_text = write_parquet(hyper, path, tmp_path / "odd.parquet")
    assert (rows, as_text) == (1, ("i", "g", "c", "o"))
    [row] = duckdb.execute("FROM read_parquet(?)", [str(tmp_path / "odd.parquet")]).fetchall()
    assert row == ("P1M", "POINT(8.5000000 47.3000000)", "x", "7", 1)


def test_ambiguous_name_lists_the_projects(on_server: Run, tmp_path: Path) -> None:
    """A name that is in two projects needs the project, which settles it."""
    result = on_server("pull", "sales")
    assert result.exit_code == 1
    assert "in the projects 'Archive/Daily', 'Retail/Daily'" in _sorted_paths(result.stderr)
    assert told(on_server("pull", "sales", "-p", "archive/daily", "--json"))["rows"] == 1
    assert names(tmp_path) == {"sales.hyper"}


def _sorted_paths(text: str) -> str:
    return text.replace("'Retail/Daily', 'Archive/Daily'", "'Archive/Daily', 'Retail/Daily'")


def test_missing_name_is_told_with_its_neighbours(on_server: Run, tmp_path: Path) -> None:
    """A misspelt name is an error that names the near ones, and nothing is written."""
    result = on_server("pull", "Olny")
    assert result.exit_code == 1
    assert "There is no datasource 'Olny' in any project of the default site" in result.stderr
    assert "Near: 'Only'." in result.stderr
    assert names(tmp_path) == set()


def test_a_file_that_is_there_stays(on_server: Run, tmp_path: Path) -> None:
    """It is replaced with --force only, and not by a wrong name, folder or revision."""
    mine = tmp_path / "mine.csv"
    mine.write_text("mine")
    result = on_server("pull", "Only", "--to", "csv", "-o", mine)
    assert (result.exit_code, mine.read_text()) == (1, "mine")
    assert "is there already. Give another file with --output, or --force" in result.stderr
    assert on_server("pull", "Only", "--revision", 9, "-o", mine, "--force").exit_code == 1
    assert mine.read_text() == "mine"
    assert on_server("pull", "Only", "-o", tmp_path / "no/file.hyper").exit_code == 2
    assert on_server("pull", "Only", "-o", tmp_path, "--force").exit_code == 2
    assert on_server("pull", "Only", "--to", "csv", "-o", mine, "--force").exit_code == 0
    assert mine.read_text() == CSV
    assert names(tmp_path) == {"mine.csv"}


def test_revisions_are_found_by_number(
    on_server: Run, extracts: list[Path], tmp_path: Path
) -> None:
    """Older ones and the newest, which a server gives without its number; others are told."""
    for revision, path in enumerate(extracts, 1):
        output = tmp_path / f"{revision}.hyper"
        arguments = ("pull", "Sales", "-p", "Retail/Daily", "-o", output, "--revision", revision)
        assert on_server(*arguments).exit_code == 0
        assert output.read_bytes() == path.read_bytes()
    result = on_server("pull", "Sales", "-p", "Retail/Daily", "--revision", 3)
    assert result.exit_code == 1
    assert "There is no revision 3; there are: 1, 2." in result.stderr


def test_app_may_download(run: Run, published: Sandbox, tmp_path: Path) -> None:
    """A connected app asks for the scope that a download needs."""
    names = ("CLIENT_ID", "SECRET_ID", "SECRET_VALUE")
    app = {f"TABLEAU_CONNECTED_APP_{name}": v for name, v in zip(names, APP, strict=True)}
    given = {"TABLEAU_SERVER": published.url, "TABLEAU_USERNAME": "ada", **app}
    assert run("pull", "Only", **given).exit_code == 0
    assert (tmp_path / "Only.hyper").is_file()


@pytest.mark.parametrize("is_passing", [True, False])
def test_a_download_that_breaks_off_is_repeated_or_told(
    on_server: Run, published: Sandbox, extracts: list[Path], tmp_path: Path, is_passing: bool
) -> None:
    """What came before the break is in no file; what breaks each time leaves the old file."""
    output = tmp_path / "kept.hyper"
    output.write_text("mine")
    when = {"nth": 1} if is_passing else {}
    published.faults.add(faults.Truncate(5000), "download_datasource", **when)
    try:
        result = on_server("pull", "Only", "--output", output, "--force")
    finally:
        applied = len(published.faults.applied)
        published.faults.clear()
    assert applied == (1 if is_passing else 3)
    assert names(tmp_path) == {"kept.hyper"}
    if is_passing:
        assert result.exit_code == 0
        assert output.read_bytes() == extracts[1].read_bytes()
    else:
        assert result.exit_code == 1
        assert "Downloading the datasource failed" in result.stderr
        assert output.read_text() == "mine"


def test_extract_that_cannot_be_read_is_not_kept(run: Run, tmp_path: Path) -> None:
    """A file that a server took without a look at it does not take the place of a good one."""
    config = SandboxConfig(data_dir=tmp_path / "data", users={"ada": "pw"}, open_extracts=False)
    broken = tmp_path / "broken.hyper"
    broken.write_bytes(b"Hyper\x08\x00\x00\x01\x00\x02\x00" + bytes(100))
    before = broken.read_bytes()
    with Sandbox(config, host="127.0.0.1", port=0) as server:
        with sign_in(server.url, "", Password("ada", "pw")) as session:
            publish(session, broken, datasource="Broken", project="Default")
        way = {"TABLEAU_USERNAME": "ada", "TABLEAU_PASSWORD": "pw"}
        for form in ("hyper", "csv"):
            arguments = ("pull", "Broken", "--to", form, "-o", broken, "--force")
            result = run(*arguments, TABLEAU_SERVER=server.url, **way)
            assert result.exit_code == 1
            assert "'Broken' in 'Default' was downloaded and cannot be kept" in result.stderr
    assert broken.read_bytes() == before
    assert names(tmp_path) == {"broken.hyper"}


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"a.tds": b"<a/>"}, "the data of a live connection is in the database"),
        ({"a.tds": b"", "Data/a.tde": b""}, r"an extract of the format before Hyper \(.tde\)"),
        ({"Data/a.hyper": b"1", "Data/b.HYPER": b"2"}, r"has 2 extracts \('Data/a.hyper', 'Data"),
    ],
)
def test_package_without_one_extract_is_refused(
    tmp_path: Path, members: dict[str, bytes], reason: str
) -> None:
    """None, one of the old format, and several are told apart."""
    with zipfile.ZipFile(tmp_path / "package", "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    with pytest.raises(ExtractError, match=reason):
        take_extract(tmp_path / "package", tmp_path / "extract.hyper", what="'Sales'")
    assert names(tmp_path) == {"package"}


def test_package_may_be_damaged_or_none(tmp_path: Path, extracts: list[Path]) -> None:
    """A flipped byte is noticed; an extract that comes without a package is taken as it is."""
    package, target = tmp_path / "package", tmp_path / "extract.hyper"
    with zipfile.ZipFile(package, "w") as zipped:
        zipped.write(extracts[0], "../../escape.hyper")
    take_extract(package, target, what="'Sales'")
    assert target.read_bytes() == extracts[0].read_bytes()
    damaged = bytearray(package.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    package.write_bytes(damaged)
    with pytest.raises(ExtractError, match="What the server sent of 'Sales' is damaged"):
        take_extract(package, target, what="'Sales'")
    take_extract(extracts[0], target, what="'Sales'")
    assert target.read_bytes() == extracts[0].read_bytes()
    package.write_bytes(b"<?xml version='1.0'?><datasource/>")
    with pytest.raises(ExtractError, match="has no extract in what the server sent"):
        take_extract(package, target, what="'Sales'")
    assert names(tmp_path) == {"package", "extract.hyper"}


def test_several_tables_become_no_file(hyper: Hyper, make_hyper: Make, tmp_path: Path) -> None:
    """Which of them is meant cannot be told, so they are named with the way out."""
    path = make_hyper(tmp_path / "two.hyper", "CREATE TABLE b (n int)", "CREATE TABLE a (n int)")
    with pytest.raises(ExtractError, match=r"has 2 tables \('public.a', 'public.b'\).*--to hyper"):
        write_parquet(hyper, path, tmp_path / "two.parquet")


def test_default_name_is_one_of_a_file() -> None:
    """What a file's name cannot have is replaced, so that no name leaves the folder."""
    assert default_output("../../etc: a/b?", "csv") == Path("_.._etc_ a_b_.csv")
    assert default_output("...", "hyper") == Path("datasource.hyper")
    assert default_output("Größe", "parquet") == Path("Größe.parquet")
