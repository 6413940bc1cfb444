"""The `publish` command as a user runs it, into the local sandbox or onto a server."""

import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
import tableauserverclient as TSC  # noqa: N812
from click.testing import CliRunner, Result

from mds_tableau.cli import main
from mds_tableau.sandbox import Sandbox, SandboxConfig
from tests.pipeline import Held, held_by_sandbox

pytestmark = pytest.mark.hyper

SALES = "id,zip,net,day\n1,00123,1.50,2026-01-31\n2,04567,-0.25,2026-02-28\n3,,,\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a file of sales."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sales.csv").write_text(SALES)
    return tmp_path


def run(*arguments: str, **how: Any) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["publish", *arguments], **how)


def held(here: Path) -> dict[str, Held]:
    """What the sandbox has, as a bystander sees it."""
    return held_by_sandbox(here / "data", here / "scratch")


def test_a_file_becomes_a_datasource_and_then_the_next_revision(here: Path) -> None:
    """With the words of the README it arrives value for value; once more, its data is replaced."""
    words = ("--input", "sales.csv", "--name", "SalesData", "--project", "Analytics")
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert "Published 3 rows of sales.csv as 'SalesData' in 'Analytics' (overwrite" in result.stdout
    assert "Column 'zip' stays text" in result.stderr
    seen = held(here)["SalesData"]
    assert (seen.project, seen.revision) == ("Analytics", 1)
    assert seen.columns == (
        ("id", "BIG_INT"),
        ("zip", "TEXT"),
        ("net", "NUMERIC(18, 2)"),
        ("day", "DATE"),
    )
    assert seen.rows == [
        ("1", "00123", "1.50", "2026-01-31"),
        ("2", "04567", "-0.25", "2026-02-28"),
        ("3", None, None, None),
    ]
    again = json.loads(run(*words, "--json", "--force").stdout)
    assert (again["published"]["mode"], again["published"]["revision"]) == ("replace", 2)
    assert (again["rows"], again["published"]["id"]) == (3, seen.id)
    # nothing is left of what it took
    assert not list((here / "data" / "one_shot").glob(".publish-*"))


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_an_output_that_cannot_be_is_refused_before_anything_is_published(here: Path) -> None:
    """The message is of that file and of no other place, and nothing is left of it."""
    result = run("-i", "sales.csv", "-n", "S", "--output", "/proc/x.hyper")
    assert result.exit_code == 2, result.output
    assert "--output /proc/x.hyper cannot be written" in result.stderr
    assert "one_shot" not in result.stderr
    assert "MDS_DATA_DIR" not in result.stderr
    assert not (here / "data" / "sandbox").exists()


def test_an_output_that_does_not_fit_is_refused_before_anything_is_published(
    here: Path, small_disk: Path
) -> None:
    """What was kept there before stays, and the server has nothing of it."""
    with (small_disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while ballast.write(bytes(4096)):
            pass
    result = run("-i", "sales.csv", "-n", "S", "--output", str(small_disk / "s.hyper"), "--json")
    assert result.exit_code == 1, result.output
    said = json.loads(result.stdout)
    assert said["error"] == "NoRoom"
    assert f"--output {small_disk / 's.hyper'} cannot be written" in said["message"]
    assert "MDS_DATA_DIR" not in said["message"]
    assert not (here / "data" / "sandbox").exists()
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


def test_what_is_taken_and_what_it_becomes_can_be_said(
    here: Path, query_hyper: Callable[..., list[list[Any]]]
) -> None:
    """Columns, names, rows, types and options are as asked, in a file that is only kept."""
    result = run(
        *("-i", "sales.csv", "-n", "S", "--columns", "day,zip,id", "--rename", "zip=Postal code"),
        *("--where", "id < 3", "--type", "id=HUGEINT", "--ask", "id=as: text"),
        *("--output", "out.hyper", "--no-publish", "--json"),
    )
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["published"], told["output"]) == (None, "out.hyper")
    assert told["columns"] == {"day": "DATE", "Postal code": "TEXT", "id": "TEXT"}
    rows = query_hyper(here / "out.hyper", 'SELECT "Postal code", id FROM "Extract"."Extract"')
    assert sorted(rows) == [["00123", "1"], ["04567", "2"]]
    assert not (here / "data" / "sandbox").exists()


def test_dry_run_shows_the_plan_and_makes_nothing(here: Path) -> None:
    """What would become of each column is shown, and no server is asked."""
    result = run("-i", "sales.csv", "-n", "S", "--dry-run")
    assert result.exit_code == 0, result.output
    for text in ("S: of sales.csv, to project 'Default'", "NUMERIC(18,2)", "file version 2"):
        assert text in result.stdout
    assert not (here / "data" / "sandbox").exists()


def test_dry_run_refuses_rows_as_publishing_does(here: Path) -> None:
    """Message, exit code and what scripts read are the same, with what lets it through."""
    words = ("-i", "sales.csv", "-n", "S")
    assert run(*words).exit_code == 0
    head, first, *_ = SALES.splitlines()
    types = ("id=BIGINT", "net=NUMERIC(18,2)", "day=DATE")
    typed = (*(word for one in types for word in ("--type", one)), "--json")
    for rows, more, code in (
        ((), (), 3),
        ((), ("--allow-empty",), 0),
        ((), ("--no-publish", "-o", "s.hyper"), 0),
        ((first,), (), 3),
        ((first,), ("--allow-row-fall",), 0),
        ((first,), ("-p", "Elsewhere"), 0),
        ((), ("--mode", "append"), 0),
    ):
        (here / "sales.csv").write_text("\n".join([head, *rows]) + "\n")
        dry = run(*words, *typed, *more, "--dry-run")
        assert dry.exit_code == code, dry.output
        if code:
            wet = run(*words, *typed, *more)
            assert (wet.exit_code, wet.output) == (code, dry.output)
            assert json.loads(dry.stdout)["error"] in {"EmptyExtract", "RowsFell"}
    assert held(here)["S"].revision == 1


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_dry_run_refuses_other_columns_as_publishing_does(here: Path, mode: str) -> None:
    """Of what was published from here, where the data alone is to be changed."""
    words = ("-i", "sales.csv", "-n", "S", "--json")
    assert run(*words).exit_code == 0
    (here / "sales.csv").write_text(SALES.replace("1.50", "1.75"))
    assert run(*words, "--mode", mode, "--dry-run").exit_code == 0
    other = (*words, "--rename", "net=Net")
    dry, wet = run(*other, "--mode", mode, "--dry-run"), run(*other, "--mode", mode)
    assert json.loads(dry.stdout)["error"] == "SchemaChanged"
    assert (dry.exit_code, json.loads(dry.stdout)) == (wet.exit_code, json.loads(wet.stdout))
    assert run(*other, "--dry-run").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--query", "SELECT DATE 'infinity' AS day"),
        # what is computed of a value may fail as late as when it is read
        ("--table", "texts", "--where", "CAST(text AS INTEGER) > 1"),
    ],
)
def test_dry_run_refuses_values_as_publishing_does(here: Path, words: tuple[str, ...]) -> None:
    """With the same message and exit code."""
    with duckdb.connect("shop.duckdb") as connection:
        connection.execute("CREATE TABLE texts AS SELECT 'x' AS text")
    arguments = ("-i", "shop.duckdb", "-n", "S", *words, "--json")
    wet, dry = run(*arguments), run(*arguments, "--dry-run")
    assert wet.exit_code == 3, wet.output
    assert (dry.exit_code, dry.output) == (wet.exit_code, wet.output)


def test_dry_run_warns_of_values_as_publishing_does(here: Path) -> None:
    """What somebody should look at is known before anything is made."""
    with duckdb.connect("shop.duckdb") as connection:
        connection.execute("CREATE TABLE t AS SELECT 'nan'::DOUBLE AS n")
    arguments = ("-i", "shop.duckdb", "-n", "S", "--table", "t", "--json")
    dry, wet = run(*arguments, "--dry-run"), run(*arguments)
    assert (dry.exit_code, wet.exit_code) == (0, 0), (dry.output, wet.output)
    [warning] = json.loads(dry.stdout)["warnings"]
    assert json.loads(wet.stdout)["warnings"] == [warning]
    assert dry.stderr == wet.stderr == f"Warning: {warning}\n"


def test_each_table_becomes_a_datasource_and_one_that_fails_stops_no_other(here: Path) -> None:
    """Several tables of a DuckDB file go in one run; what is refused is told in the end."""
    with duckdb.connect("shop.duckdb") as connection:
        connection.execute("CREATE TABLE a AS SELECT 1 AS id")
        connection.execute("CREATE TABLE b AS SELECT [1, 2] AS many")
        connection.execute("CREATE TABLE c AS SELECT 'x' AS name FROM range(2)")
    result = run("-i", "shop.duckdb", "-n", "Shop", "--tables", "a", "b", "c")
    assert result.exit_code == 3
    assert "column 'many' has type INTEGER[]" in result.stderr
    assert "Ask for as: json with --ask 'COLUMN=...'" in result.stderr
    assert {name: len(one.rows) for name, one in held(here).items()} == {
        "Shop - a": 1,
        "Shop - c": 2,
    }
    asked = run("-i", "shop.duckdb", "-n", "B", "--table", "b", "--ask", "many=as: json")
    assert asked.exit_code == 0, asked.output
    assert held(here)["B"].rows == [("[1,2]",)]


def test_rows_that_are_gone_stop_it_until_that_is_allowed(here: Path) -> None:
    """A file with far fewer rows, or none, leaves what analysts see, and says what to say."""
    words = ("-i", "sales.csv", "-n", "S")
    assert run(*words).exit_code == 0
    (here / "sales.csv").write_text("\n".join(SALES.splitlines()[:2]) + "\n")
    result = run(*words, "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["error"] == "RowsFell"
    assert "say --allow-row-fall." in result.stderr
    (here / "sales.csv").write_text(SALES.splitlines()[0] + "\n")
    result = run(*words, "--type", "id=BIGINT", "--allow-row-fall")
    assert (result.exit_code, "say --allow-empty" in result.stderr) == (3, True)
    assert (held(here)["S"].revision, len(held(here)["S"].rows)) == (1, 3)
    assert run(*words, "--type", "id=BIGINT", "--allow-empty").exit_code == 0
    assert held(here)["S"].rows == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("-i", "sales.csv"), 2, "Missing option '--name'"),
        (("-i", "sales.csv", "-n", "S", "--no-publish"), 2, "--no-publish needs --output"),
        (("-i", "sales.csv", "-n", "S", "--type", "net"), 2, "'net' is not of the form COLUMN="),
        (("-i", "gone.csv", "-n", "S"), 2, "gone.csv"),
        (("-i", "*.parquet", "-n", "S"), 2, "No file matches"),
        (("-i", ".", "-n", "S", "--format", "jsonl"), 2, "has no jsonl files"),
        (("-i", "sales.csv", "-n", "S", "--columns", "nett"), 2, "Did you mean 'net'?"),
        (("-i", "sales.csv", "-n", "S", "--rename", "nett=x"), 2, "Did you mean 'net'?"),
        (("-i", "sales.csv", "-n", "S", "--where", "net >"), 2, "--where 'net >' cannot be read"),
        (("-i", "sales.csv", "-n", "S", "--where", "1); DROP TABLE input; --"), 2, "--where"),
        (("-i", "sales.csv", "-n", "S", "--ask", "net=as: jsn"), 2, "net"),
        (("-i", "sales.csv", "-n", "S", "--type", "nett=DATE"), 2, "there is no column 'nett'"),
        (("-i", "sales.csv", "-n", "S", "--type", "net=MONEY"), 2, "MONEY is no type"),
        (("-i", "sales.csv", "-n", "S", "--delimiter", "long"), 2, "--delimiter 'long'"),
        (("-i", "sales.csv", "-n", "S", "--encoding", "klingon"), 2, "--encoding klingon"),
        (("-i", "sales.csv", "-n", "S", "--output", "gone/x.hyper"), 2, "there is no folder"),
        (("-i", "sales.csv", "-n", "S", "--table", "t"), 2, "neither a SQLite nor a DuckDB file"),
        (("-i", "gone.duckdb", "-n", "S", "--table", "t"), 2, "Cannot open gone.duckdb"),
        (("-i", "env:NOT_THERE", "-n", "S", "--table", "t"), 2, "no such environment variable"),
        (("-i", "env:NOT_THERE", "-n", "S"), 2, "no such environment variable"),
        (("-i", "sales.csv", "-n", "S", "--server", "ftp://x"), 2, "TABLEAU_SERVER is 'ftp://x'"),
        (("-i", "sales.csv", "-n", "S", "--type", "day=INTEGER"), 3, "day"),
    ],
)
def test_what_is_wrong_is_said_and_has_its_exit_code(
    here: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """2 is wrong usage, 3 refused data; never a traceback, and nothing is left behind."""
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert said in result.output
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)
    assert not (here / "data" / "sandbox").exists()
    # scripts have it as an object, and people as before
    scripted = run(*arguments, "--json")
    assert scripted.exit_code == code
    assert result.stderr.endswith(scripted.stderr)  # less the progress
    [line] = scripted.stdout.splitlines()
    assert set(json.loads(line)) == {"error", "message"}
    assert said in json.loads(line)["message"]
    assert (json.loads(line)["error"] == "UsageError") == (code == 2)


def test_what_fails_outside_of_options_and_data_has_the_exit_code_1(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that is wrong, or a server that is not there, is neither usage nor data."""
    monkeypatch.setenv("MDS_READ_TIMEOUT", "never")
    wrong = run("-i", "sales.csv", "-n", "S", "--server", "http://127.0.0.1:1")
    assert (wrong.exit_code, "MDS_READ_TIMEOUT" in wrong.output) == (1, True)
    monkeypatch.delenv("MDS_READ_TIMEOUT")
    (here / "secret").write_bytes(b"\xff\xfe\x00")
    token = ("--server", "http://127.0.0.1:1", "--token-name", "ci", "--token-file", "secret")
    unread = run("-i", "sales.csv", "-n", "S", *token)
    assert (unread.exit_code, "--token-file secret cannot be read" in unread.output) == (2, True)


def test_a_database_without_a_table_is_told_which_there_are(here: Path) -> None:
    """Its tables are listed, and what to say, whatever kind of file it is."""
    with duckdb.connect("shop.duckdb") as connection:
        connection.execute("CREATE TABLE orders AS SELECT 1 AS id")
    result = run("-i", "shop.duckdb", "-n", "Shop")
    assert result.exit_code == 2
    assert "--input shop.duckdb is a database. Say what to read of it: --table orders," in (
        result.stderr
    )
    assert "It has 1 table:\n- orders" in result.stderr
    with sqlite3.connect("shop.db") as lite:
        lite.execute("CREATE TABLE a (id)")
        lite.execute('CREATE TABLE "two words" (id)')
    result = run("-i", "shop.db", "-n", "Shop", "--json")
    assert (result.exit_code, json.loads(result.stdout)["error"]) == (2, "UsageError")
    assert '2 tables:\n- "two words"\n- a' in result.stderr
    query = run("-i", "shop.duckdb", "-n", "Shop", "--query", "SELECT nothing FROM orders")
    assert (query.exit_code, "shop.duckdb refuses: Binder Error" in query.stderr) == (2, True)


def test_tables_that_would_be_one_datasource_are_refused(here: Path) -> None:
    """A server does not tell names apart by case, so that one would take the place of the other."""
    with duckdb.connect("shop.duckdb") as connection:
        connection.execute("CREATE TABLE a AS SELECT 1 AS id")
    result = run("-i", "shop.duckdb", "-n", "Shop", "--tables", "a", "A")
    assert result.exit_code == 2
    assert "several datasources of one name: Shop - A, Shop - a" in result.stderr
    assert not (here / "data" / "sandbox").exists()


def test_passwords_are_no_options(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL with a password is refused on the command line, and never shown from a variable."""
    url = "postgresql://ann:hunter2@127.0.0.1:1/shop"
    result = run("-i", url, "-n", "S", "--table", "t")
    assert (result.exit_code, "env:NAME" in result.output) == (2, True)
    monkeypatch.setenv("SHOP", url)
    unreachable = run("-i", "env:SHOP", "-n", "S", "--table", "t")
    assert unreachable.exit_code == 1
    assert "hunter2" not in result.output + unreachable.output


def test_a_server_is_signed_in_to_with_what_is_said(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags name server and token, the secret is in a file, and one way wins over others."""
    monkeypatch.setenv("TABLEAU_USERNAME", "somebody")
    monkeypatch.setenv("TABLEAU_PASSWORD", "else")
    (here / "secret").write_text("a-secret-of-a-token\n")
    config = SandboxConfig(data_dir=tmp_path / "server", tokens={"ci": "a-secret-of-a-token"})
    with Sandbox(config, host="127.0.0.1", port=0) as server:
        words = ("-i", "sales.csv", "-n", "S", "--server", server.url, "--token-name", "ci")
        result = run(*words, "--token-file", "secret", "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["published"]["server"] == server.url
        (here / "secret").write_text("wrong-secret")
        refused = run(*words, "--token-file", "secret")
        assert (refused.exit_code, "refused the sign-in of token 'ci'" in refused.output) == (
            1,
            True,
        )
        missing = run(*words, "--token-file", "secret", "--project", "Nowhere")
        assert "secret" not in (refused.output + missing.output).replace("the secret", "")


def test_what_the_publisher_warns_of_is_said(here: Path) -> None:
    """An owner who is not there is a warning on the terminal, and in what scripts read."""
    words = ("-i", "sales.csv", "-n", "S", "--owner", "nobody")
    assert "Warning: There is no user 'nobody'" in run(*words).stderr
    [warning] = json.loads(run(*words, "--json", "--force").stdout)["warnings"]
    assert warning.startswith("There is no user 'nobody'")


def test_what_the_server_holds_already_is_not_sent_again(here: Path) -> None:
    """It is said since when it is there; other rows or other words are a new revision."""
    words = ("-i", "sales.csv", "-n", "S")
    assert run(*words).exit_code == 0
    same = run(*words)
    assert same.exit_code == 0
    assert "Unchanged: 'S' in 'Default' holds these 3 rows of sales.csv since 20" in same.stdout
    told = json.loads(run(*words, "--json", "-o", "s.hyper").stdout)
    assert (told["unchanged"], told["published"]["revision"]) == (True, 1)
    assert (here / "s.hyper").stat().st_size == told["extract_bytes"]
    assert held(here)["S"].revision == 1
    # the same rows in another order are the same data
    head, *rows = SALES.splitlines()
    (here / "sales.csv").write_text("\n".join([head, *reversed(rows)]))
    assert "Unchanged" in run(*words).stdout
    assert "revision 2" in run(*words, "--tag", "new").stdout
    (here / "sales.csv").write_text(SALES + "4,1,1.00,2026-03-01\n")
    assert "revision 3" in run(*words, "--tag", "new").stdout
    assert len(held(here)["S"].rows) == 4


def test_rows_that_arrived_and_are_not_written_down_are_not_appended_again(here: Path) -> None:
    """It is told that the server has them; the next time somebody has to look."""
    words = ("-i", "sales.csv", "-n", "S", "--json")
    assert run(*words).exit_code == 0
    [record] = (here / "data" / "one_shot").glob("*/S.json")
    record.unlink()
    record.mkdir()
    appended = run(*words, "--mode", "append")
    told = json.loads(appended.stdout)
    assert (appended.exit_code, told["error"]) == (1, "NotWrittenDown")
    for text in ("The server has it", "3 rows", "'S' in 'Default'", "revision 2", str(record)):
        assert text in told["message"]
    assert "othing was published" not in told["message"]
    assert len(held(here)["S"].rows) == 6
    again = run(*words, "--mode", "append")
    assert (again.exit_code, json.loads(again.stdout)["error"]) == (3, "AppendedAlready")
    record.rmdir()
    still = run(*words, "--mode", "append")
    assert (still.exit_code, json.loads(still.stdout)["error"]) == (3, "AppendedAlready")
    assert len(held(here)["S"].rows) == 6
    # who has looked goes on
    (here / "sales.csv").write_text(SALES.replace("1.50", "1.75"))
    assert run(*words, "--mode", "append").exit_code == 0
    assert not list(record.parent.glob("*.appending"))
    assert len(held(here)["S"].rows) == 9


def luid_of_default(server: Sandbox) -> str:
    """LUID of the project Default, asked over the API."""
    client = TSC.Server(server.url, use_server_version=True)
    with client.auth.sign_in(TSC.PersonalAccessTokenAuth("ci", "a-secret-of-a-token")):
        [project] = [one for one in TSC.Pager(client.projects) if one.name == "Default"]
    return str(project.id)


def test_however_it_is_named_it_is_the_same_datasource(here: Path, tmp_path: Path) -> None:
    """Rows that fell, rows that were appended and what is unchanged are known of it each time."""
    (here / "secret").write_text("a-secret-of-a-token\n")
    config = SandboxConfig(data_dir=tmp_path / "server", tokens={"ci": "a-secret-of-a-token"})
    with Sandbox(config, host="127.0.0.1", port=0) as server:
        local = server.url.replace("127.0.0.1", "localhost")
        luid = luid_of_default(server)
        common = ("-i", "sales.csv", "--token-name", "ci", "--token-file", "secret", "--json")
        spelled = [
            ("--server", local, "-p", "Default", "-n", "S"),
            ("--server", f"{local.replace('localhost', 'LOCALHOST')}/", "-p", "default", "-n", "S"),
            ("--server", local.replace("http", "HTTP"), "-p", " dEfault ", "-n", "s"),
            ("--server", local, "-p", luid, "-n", "S"),
            ("--server", local, "-p", f" {luid.upper()}", "-n", "S"),
        ]
        for first, others in ((spelled[0], spelled[1:]), (spelled[3], spelled[:1])):
            (here / "sales.csv").write_text(SALES)
            done = run(*common, *first, "--force")
            assert done.exit_code == 0, done.output
            for words in others:
                (here / "sales.csv").write_text(SALES)
                same = run(*common, *words)
                assert json.loads(same.stdout).get("unchanged"), same.output
                again = run(*common, *words, "--mode", "append")
                assert json.loads(again.stdout)["error"] == "AppendedAlready", words
                (here / "sales.csv").write_text(SALES.splitlines()[0] + "\n1,a,1.50,2026-01-31\n")
                for more in ((), ("--dry-run",)):
                    fell = run(*common, *words, *more)
                    assert json.loads(fell.stdout)["error"] == "RowsFell", words
            # the other way round: what is known first is of the LUID
            shutil.rmtree(here / "data")


def test_nothing_is_left_of_an_append_to_what_is_not_there(here: Path) -> None:
    """No project is made for it, and the message says what to do first."""
    result = run("-i", "sales.csv", "-n", "S", "--project", "New/One", "--mode", "append")
    assert result.exit_code == 1
    assert "'New/One' failed: there is no such project yet" in result.stderr
    assert "New" not in projects_of_sandbox(here)
    assert run("-i", "sales.csv", "-n", "S", "--project", "New/One").exit_code == 0
    assert "New" in projects_of_sandbox(here)


def projects_of_sandbox(here: Path) -> set[str]:
    """Names of the projects that the sandbox has, asked over its API."""
    config = SandboxConfig(data_dir=here / "data" / "sandbox", tokens={"eye": "a-secret-of-an-eye"})
    with Sandbox(config, host="127.0.0.1", port=0) as sandbox:
        client = TSC.Server(sandbox.url, use_server_version=True)
        with client.auth.sign_in(TSC.PersonalAccessTokenAuth("eye", "a-secret-of-an-eye")):
            return {str(project.name) for project in TSC.Pager(client.projects)}


def test_the_sandbox_is_named_by_the_address_that_shows_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the port that it has while it is published to, in results and in errors."""
    monkeypatch.setenv("MDS_SANDBOX_PORT", "8899")
    told = json.loads(run("-i", "sales.csv", "-n", "S", "--json").stdout)["published"]
    assert told["server"] == "http://127.0.0.1:8899"
    assert told["url"].startswith("http://127.0.0.1:8899/#/datasources/")
    nowhere = "11111111-1111-1111-1111-111111111111"
    result = run("-i", "sales.csv", "-n", "S", "--project", nowhere)
    assert result.exit_code == 1
    assert set(re.findall(r"127\.0\.0\.1:\d+", result.output)) == {"127.0.0.1:8899"}


def test_a_sheet_becomes_a_datasource(here: Path) -> None:
    """Options are as for other files; what may not be is wrong usage or refused data."""
    workbook = openpyxl.Workbook()
    sheet = workbook.create_sheet("Sales 2026")
    sheet.append(["id", "net", "day", "note"])
    sheet.append([1, 0.1 + 0.2, date(2026, 1, 31), "a"])
    sheet.append([2, 2.5, date(2026, 2, 28), None])
    sheet.append([3, -1, None, "#N/A"])
    workbook.save(here / "sales.xlsx")
    several = run("-i", "sales.xlsx", "-n", "S")
    assert (several.exit_code, "- Sheet\n- Sales 2026" in several.stderr) == (2, True)
    words = ("-i", "sales.xlsx", "-n", "S", "--sheet", "Sales 2026")
    error = run(*words)
    assert (error.exit_code, "'Sales 2026'!D4 holds the error #N/A" in error.stderr) == (3, True)
    shape = ("--null", "#N/A", "--where", "id > '1'", "--rename", "net=Net", "--type", "id=VARCHAR")
    result = run(*words, *shape, "--columns", "id,net,day,note")
    assert result.exit_code == 0, result.output
    seen = held(here)["S"]
    assert seen.columns == (("id", "TEXT"), ("Net", "DOUBLE"), ("day", "DATE"), ("note", "TEXT"))
    assert seen.rows == [("2", "2.5", "2026-02-28", None), ("3", "-1", None, None)]
    other = run("-i", "sales.csv", "-n", "S", "--sheet", "x")
    assert (other.exit_code, "--sheet is for Excel files" in other.stderr) == (2, True)


def test_standard_input_is_read(here: Path) -> None:
    """What another program writes is published as a file would be."""
    result = run("-i", "-", "--format", "csv", "-n", "S", "--quiet", input=SALES)
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    assert len(held(here)["S"].rows) == 3


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_a_full_disk_is_told(
    here: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Where nothing can be written the folder is named, and what to do; --json has it too."""
    with (small_disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while ballast.write(bytes(4096)):
            pass
    monkeypatch.setenv("MDS_DATA_DIR", str(small_disk))
    result = run("-i", "sales.csv", "-n", "Full", "--json", *words)
    assert result.exit_code == 1, result.output
    assert not isinstance(result.exception, (OSError, duckdb.Error))
    said = json.loads(result.stdout)
    assert str(small_disk) in said["message"]
    assert "MDS_DATA_DIR" in said["message"]


def test_a_data_folder_that_is_a_file_is_told(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting is named before anything is begun."""
    monkeypatch.setenv("MDS_DATA_DIR", str(here / "sales.csv"))
    result = run("-i", "sales.csv", "-n", "S", "--json")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said["error"] == "SettingsError"
    assert "MDS_DATA_DIR is" in said["message"]


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name_is_wrong_usage(here: Path, name: str) -> None:
    """It is said before anything is read."""
    result = run("-i", "sales.csv", "-n", name)
    assert (result.exit_code, "--name is empty" in result.output) == (2, True)


def test_a_dry_run_can_be_read_by_programs(here: Path) -> None:
    """What would become of each column is one JSON object, and nothing else is printed."""
    said = json.loads(run("-i", "sales.csv", "-n", "S", "-p", "P", "--dry-run", "--json").stdout)
    assert (said["name"], said["project"], said["origin"]) == ("S", "P", "sales.csv")
    types = {each["name"]: (each["source_type"], each["hyper_type"]) for each in said["columns"]}
    assert types["zip"] == ("VARCHAR", "TEXT")
    assert types["day"] == ("DATE", "DATE")
    assert all("note" in each for each in said["columns"])


@pytest.mark.parametrize(
    "content", ["postgresql:/ann:hunter2@127.0.0.1/shop", "host=127.0.0.1 password=hunter2"]
)
def test_a_malformed_variable_is_not_shown(
    here: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """It is called by its name."""
    monkeypatch.setenv("SHOP", content)
    for words in (("--table", "t"), ("--query", "SELECT 1"), ()):
        result = run("-i", "env:SHOP", "-n", "S", *words)
        assert result.exit_code == 2
        assert "SHOP is neither a database's URL" in result.output
        assert "hunter2" not in result.output
