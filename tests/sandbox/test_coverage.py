"""COVERAGE.md against the operations and against what a run showed of them."""

import re
from pathlib import Path

import pytest

import mds_tableau.sandbox
from mds_tableau.sandbox.app import operations
from mds_tableau.sandbox.choices import listed
from mds_tableau.sandbox.jobs import Jobs
from tests.sandbox.conftest import Exchange
from tests.sandbox.documented_codes import DOCUMENTED
from tests.sandbox.routes import named, route_of
from tests.sandbox.test_schema import SCHEMA

PATH = Path(mds_tableau.sandbox.__file__).parent / "COVERAGE.md"
# How the clients name themselves; all but the first may be missing where tests run.
CLIENTS = {
    "client": "Tableau Server Client/",
    "tabcmd": "Tabcmd/",
    "dagster-tableau": "dagster-tableau",
}


def part(text: str, name: str) -> str:
    """Returns what stands between a part's marks."""
    match = re.search(rf"<!-- {name} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert match is not None, name
    return match[1]


def table(*rows: tuple[str, ...]) -> str:
    """Returns rows as a Markdown table, the first as its head."""
    head, *rest = rows
    lines = [head, tuple("---" for _ in head), *rest]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


ERRORS = 300


def operations_table(exchanges: list[Exchange]) -> str:
    """Returns the table of what is done and how it was checked."""
    asked = {
        name: {
            f"{one.method} {route_of(one.path)}"
            for one in exchanges
            if one.agent.startswith(agent) and one.status < ERRORS
        }
        for name, agent in CLIENTS.items()
    }
    replied = {
        f"{one.method} {route_of(one.path)}"
        for one in exchanges
        if one.body and one.status < ERRORS
    }
    checks = [*asked.items(), ("schema", replied), ("reference", set(DOCUMENTED))]
    rows = []
    for path, methods in operations(Jobs({})).items():
        for method, operation in methods.items():
            if operation is None:
                continue
            request = f"{method} {named(path)}"
            about = str(operation.run.__doc__).partition("\n")[0].partition(": ")[0].rstrip(".")
            shown = ", ".join(name for name, seen in checks if request in seen)
            rows.append((about, f"`{request}`", shown))
    return table(("operation", "request", "checked by"), *rows)


def refused_list() -> str:
    """Returns the list of what only a real server does."""
    return "".join(
        f"- `{method} {named(path)}`\n"
        for path, methods in operations(Jobs({})).items()
        for method, operation in methods.items()
        if operation is None
    )


def choices_table() -> str:
    """Returns the table of settings for what no evidence settles."""
    rows = [(f"`{name}`", f"`{default}`", question) for name, default, question in listed()]
    return table(("setting", "default", "what it decides"), *rows)


def written(name: str, text: str, *, write: bool) -> str:
    """Returns a part of COVERAGE.md, written anew where that was asked for."""
    document = PATH.read_text(encoding="utf-8")
    if write:
        old = f"<!-- {name} -->\n{part(document, name)}<!-- end -->"
        document = document.replace(old, f"<!-- {name} -->\n{text}<!-- end -->")
        PATH.write_text(document, encoding="utf-8", newline="\n")
    return part(document, name)


def test_coverage_lists_refusals_and_choices(request: pytest.FixtureRequest) -> None:
    """What is refused by name, and each setting with its default, stand in COVERAGE.md."""
    write = bool(request.config.getoption("--write-docs"))
    assert written("refused", refused_list(), write=write) == refused_list()
    assert written("choices", choices_table(), write=write) == choices_table()


def test_coverage_lists_every_operation() -> None:
    """Each operation stands in the table, and nothing else does."""
    requests = re.findall(
        r"`((?:GET|POST|PUT|DELETE) /[^`]*)`", part(PATH.read_text(), "operations")
    )
    assert set(requests) == set(DOCUMENTED)


@pytest.mark.skipif(not SCHEMA, reason="TABLEAU_REST_XSD does not name Tableau's REST schema")
def test_coverage_is_what_tests_of_this_run_showed(
    request: pytest.FixtureRequest, exchanges: list[Exchange]
) -> None:
    """How each operation was checked is what a run of all tests of the sandbox shows."""
    folder = Path(__file__).parent
    config = request.config
    chosen = {item.path.name for item in request.session.items if item.path.parent == folder}
    some = config.getoption("keyword") or config.getoption("markexpr") or config.getoption("lf")
    if (
        chosen < {path.name for path in folder.glob("test_*.py")}
        or some
        or "::" in str(config.args)
    ):
        pytest.skip("only a run of all tests of the sandbox shows how it was checked")
    text = operations_table(exchanges)
    missing = [
        name
        for name, agent in CLIENTS.items()
        if not any(one.agent.startswith(agent) for one in exchanges)
    ]
    write = bool(config.getoption("--write-docs")) and not missing
    known = written("operations", text, write=write)
    for name in missing:
        known = known.replace(f", {name}", "").replace(f"| {name} ", "| ")
    assert known == text
