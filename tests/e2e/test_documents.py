"""The commands of the README and of docs/ do what they say, run as they are written.

Each document is read by a reader of its own: in a fresh copy of the project with the sample, beside
the files and the database that the document speaks of. A command is run, or it stands below with
the reason why not; both lists are held complete.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import duckdb
import pytest
import tableauserverclient as TSC  # noqa: N812
import xlsxwriter

from mds_tableau.sandbox import Sandbox, SandboxConfig
from tests.pipeline import DERIVED, ROOT
from tests.postgres_server import fresh_database, run_sql

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.dbt,
    pytest.mark.hyper,
    pytest.mark.skipif(sys.platform == "win32", reason="the commands are those of a POSIX shell"),
]

OTHER_LANGUAGES: Final = {
    "text": "what is shown, not typed",
    "yaml": "part of a dbt project; tests/test_docs.py holds its keys",
    "sql": "a model of a dbt project",
    "ini": "lines of .env",
    "json": "part of a manifest",
    "python": "part of a program",
    "cron": "a line of a crontab; tests/test_deploy.py reads those of deploy/",
    "bat": "for the command line of Windows, which these tests have not",
}
"""What else stands in a block, and why it is not run. A block without a language is an error."""

NOT_RUN: Final = {
    "make demo": "takes minutes; .ci/run runs it",
    "make up": "serves until it is stopped; tests/e2e/test_up.py does it",
    "make sandbox": "serves until it is stopped; tests/sandbox/test_command.py does it",
    "make test": "is these tests",
    "make setup": "made the environment that these tests run in",
    "export SALES_DATABASE=*": "the variable has the URL of the tests' own PostgreSQL",
    "sudo *": "changes the machine; tests/test_deploy.py reads what is installed",
    "systemctl *": "asks a running systemd",
    "journalctl *": "asks a running systemd",
    "dagster-daemon run *": "runs until it is stopped",
    **dict.fromkeys(
        (
            "useradd *",
            "git clone *",
            "python3 -m venv *",
            "cp *",
            "install *",
            "editor *",
            "chown *",
            "as_service*",
            "cd /srv/*",
            "git pull",
            ".venv/bin/pip install *",
        ),
        "sets up a machine, as root; tests/test_deploy.py reads what is installed",
    ),
    "curl *": "asks a sandbox that serves; tests/sandbox/test_faults.py sends the same",
}
"""Commands that are not run, as patterns, and why."""

DATABASES: Final = "docs/database-sources.md"

OF_MARTS: Final = {
    "README.md": {
        "mds-tableau refresh daily_sales": {"Daily Sales"},
        "MDS_DBT_PROJECT=../analytics": {"Revenue, daily", "customers_v2"},
    },
    DATABASES: {"mds-tableau refresh": {"sales"}, "read_all": {"sales"}},
}
"""What has to be in the sandbox after a run of marts whose command has those words."""

DOCUMENTS: Final = ("README.md", *sorted(f"docs/{page.name}" for page in ROOT.glob("docs/*.md")))


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: What stands behind the fence.
        line: Number of that line.
        text: What is within.
    """

    language: str
    line: int
    text: str

    def commands(self) -> Iterator[str]:
        """Yield each command as one line, without the comment behind it."""
        for line in self.text.replace("\\\n", "").splitlines():
            words = re.sub(r"(^|\s+)#\s.*$", "", line)
            if words.strip():
                yield re.sub(r"\s+", " ", words).strip()


def _blocks(document: str) -> list[Block]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return [
        Block(found[1], text[: found.start()].count("\n") + 1, found[2])
        for found in re.finditer(r"^ *```(.*)\n((?:.*\n)*?) *```$", text, re.MULTILINE)
    ]


def _commands(document: str) -> list[str]:
    return [
        command
        for block in _blocks(document)
        if block.language == "sh"
        for command in block.commands()
    ]


def _is_run(command: str) -> bool:
    return not any(fnmatchcase(command, pattern) for pattern in NOT_RUN)


RUN: Final = [document for document in DOCUMENTS if any(map(_is_run, _commands(document)))]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_block_says_what_it_is(document: str) -> None:
    """A block without a language, or with another one, would be commands that nobody runs."""
    for block in _blocks(document):
        said = f"{document}, line {block.line}: ```{block.language}"
        assert block.language in {"sh", *OTHER_LANGUAGES}, said
        if block.language not in {"sh", "bat", "cron", "text"}:
            assert not re.search(r"^\s*(mds-tableau|dagster|make) ", block.text, re.M), said


def test_what_is_not_run_is_still_there() -> None:
    """No reason and no expectation is left of a command that is gone."""
    every = [command for document in DOCUMENTS for command in _commands(document)]
    for pattern in NOT_RUN:
        assert any(fnmatchcase(command, pattern) for command in every), pattern
    for document in set(OF_MARTS) & set(DOCUMENTS):
        for words in OF_MARTS[document]:
            assert any(words in command for command in _commands(document)), words


@pytest.fixture
def orders(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Gives the URL of a database with orders; its server starts when it is asked for."""

    def url() -> str:
        made = fresh_database(request.getfixturevalue("postgres"), "documents")
        run_sql(
            made,
            "CREATE SCHEMA sales",
            "CREATE TABLE sales.orders (id bigint, age int, net numeric(12,2), day date)",
            "INSERT INTO sales.orders SELECT i, i % 30, i / 4.0, date '2026-01-01' + i "
            "FROM generate_series(1, 100) AS t(i)",
            # those of docs/database-sources.md
            "CREATE TABLE customers AS SELECT 1 AS customer_id, 'Ada' AS name",
            "CREATE TABLE notes AS SELECT 'not read' AS note",
            "CREATE TABLE orders AS SELECT id AS order_id, 1 AS customer_id, net FROM sales.orders",
        )
        return made

    return url


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A copy of the project with the sample, and the files that the documents speak of."""
    project = tmp_path / "project"
    shutil.copytree(ROOT / "dbt_project", project / "dbt_project", ignore=DERIVED)
    shutil.copytree(ROOT / "data" / "raw", project / "data" / "raw")
    (project / "data" / "dagster").mkdir()
    shutil.copy(ROOT / "data" / "dagster" / "dagster.yaml", project / "data" / "dagster")
    shutil.copytree(ROOT / "deploy", project / "deploy")
    shutil.copy(ROOT / "workspace.yaml", project)
    (project / ".venv").symlink_to(sys.prefix)
    shutil.copy(ROOT / "data" / "raw" / "weekly_report_german.csv", project / "umsatz.csv")
    sales = project / "data" / "raw" / "transactions.parquet"
    columns = "CAST(transaction_timestamp AS DATE) AS day, store_id, sales_value AS net"
    (project / "daily").mkdir()
    with duckdb.connect(project / "warehouse.duckdb") as connection:
        connection.execute(f"CREATE TABLE fct_sales AS SELECT {columns} FROM '{sales}' LIMIT 500")
        connection.execute("CREATE TABLE dim_store AS SELECT DISTINCT store_id FROM fct_sales")
        connection.execute(f"COPY fct_sales TO '{project}/sales.csv'")
        with xlsxwriter.Workbook(project / "plan.xlsx") as workbook:
            sheet = workbook.add_worksheet("Sales 2026")
            for number, row in enumerate([["Plan"], [], ["store", "net"], [1, 2.5], [2, "n/a"]]):
                sheet.write_row(number, 0, row)
        for part in (0, 1):
            half = f"FROM fct_sales WHERE store_id % 2 = {part}"
            connection.execute(f"COPY ({half}) TO '{project}/daily/{part}.parquet'")
    shop = tmp_path / "analytics"
    shutil.copytree(ROOT / "tests" / "projects" / "shop", shop, ignore=DERIVED)
    configured = shop / "dbt_project.yml"
    configured.write_text(
        configured.read_text().replace(
            "    reporting:\n", "    reporting:\n      +tags: [tableau]\n"
        )
    )
    return project


def _write_models(document: str, project: Path) -> None:
    """Leave a dbt project with nothing but the sources and the model that a document shows."""
    shutil.rmtree(project / "models")
    shutil.rmtree(project / "tests")
    (project / "models" / "marts").mkdir(parents=True)
    for language, path in (("yaml", "sources.yml"), ("sql", "marts/sales.sql")):
        [first, *_] = [block for block in _blocks(document) if block.language == language]
        (project / "models" / path).write_text(textwrap.dedent(first.text))


def _in_sandbox(data: Path) -> Counter[str]:
    """Ask the sandbox over a data folder for its datasources and the revisions of each."""
    if not (data / "sandbox").exists():
        return Counter()
    config = SandboxConfig(data_dir=data / "sandbox", tokens={"look": "look-secret"})
    with Sandbox(config, host="127.0.0.1", port=0) as sandbox:
        server = TSC.Server(sandbox.url, use_server_version=True)
        with server.auth.sign_in(TSC.PersonalAccessTokenAuth("look", "look-secret")):
            there: Counter[str] = Counter()
            for item in TSC.Pager(server.datasources):
                server.datasources.populate_revisions(item)
                there[str(item.name)] = len(item.revisions)
            return there


def _published(document: str, command: str) -> list[str]:
    """Return the datasources that a command says it publishes."""
    words = shlex.split(command)
    if {"materialize", "refresh"} & set(words):
        known = OF_MARTS[document].items()
        [names] = [names for some, names in known if some in command]
        return sorted(names)
    if words[:2] != ["mds-tableau", "publish"] or {"--dry-run", "--no-publish"} & set(words):
        return []
    [name] = [words[i + 1] for i, word in enumerate(words) if word in {"-n", "--name"}]
    if "--tables" not in words:
        return [name]
    tables = words[words.index("--tables") + 1 :]
    return [f"{name} - {table}" for table in tables]


def _run(commands: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    """Type commands into one shell, so that folder and variables stay, as for whoever reads."""
    script = folder.parent / "script.sh"
    codes, out = folder.parent / "codes", folder.parent / "out"
    script.write_text(
        "".join(
            f"{command} >'{out}-{number}' 2>&1\necho $? >>'{codes}'\n"
            for number, command in enumerate(commands)
        )
    )
    shell = shutil.which("bash")
    assert shell, "there is no bash"
    subprocess.run([shell, str(script)], cwd=folder, env=environment, check=True)
    for number, (command, code) in enumerate(zip(commands, codes.read_text().split(), strict=True)):
        said = Path(f"{out}-{number}").read_text(encoding="utf-8", errors="replace")
        assert code == "0", f"{command}\nends with {code} and says:\n{said[-3000:]}"


@pytest.mark.parametrize("document", RUN)
def test_commands_do_what_they_say(document: str, reader: Path, orders: Callable[[], str]) -> None:
    """Each command ends well, and all that is published, and only that, is in the sandbox."""
    commands = list(filter(_is_run, _commands(document)))
    environment = {
        **os.environ,
        # what is published twice is counted twice
        "MDS_FORCE": "true",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(reader.parent),
    }
    if any("SALES_DATABASE" in command for command in commands):
        environment["SALES_DATABASE"] = orders()
    if document == DATABASES:
        environment["SHOP_DATABASE_URL"] = orders()
        _write_models(document, reader / "dbt_project")
    _run(commands, reader, environment)
    elsewhere = [command for command in commands if "../analytics/data" in command]
    for folder, typed in (
        (reader / "data", [command for command in commands if command not in elsewhere]),
        (reader.parent / "analytics" / "data", elsewhere),
    ):
        wanted = Counter(name for command in typed for name in _published(document, command))
        assert _in_sandbox(folder) == wanted
    for command in commands:
        words = shlex.split(command)
        if "--output" in words:
            assert (reader / words[words.index("--output") + 1]).stat().st_size
