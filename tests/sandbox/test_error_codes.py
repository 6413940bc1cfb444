"""The codes of a run against those of Tableau's reference.

The reference's tables are copied in `documented_codes`; `TABLEAU_REST_ERRORS` may name a file of
them, as JSON by the reference's names, which the copy is then compared with.
"""

import json
import os
from pathlib import Path

import pytest

from mds_tableau.sandbox.app import operations
from mds_tableau.sandbox.jobs import Jobs
from tests.sandbox.conftest import Exchange
from tests.sandbox.documented_codes import DOCUMENTED, EVERYWHERE, EXCEPTIONS
from tests.sandbox.routes import named, route_of

TABLES = os.environ.get("TABLEAU_REST_ERRORS", "")


def test_every_operation_has_its_codes() -> None:
    """Each operation of the sandbox is looked up in the reference, and nothing else is."""
    done = {
        f"{method} {named(path)}"
        for path, methods in operations(Jobs({})).items()
        for method, operation in methods.items()
        if operation is not None
    }
    assert set(DOCUMENTED) == done
    assert set(EXCEPTIONS) <= done


@pytest.mark.skipif(not TABLES, reason="TABLEAU_REST_ERRORS does not name the reference's tables")
def test_copied_codes_are_the_references() -> None:
    """The copy says what the tables say."""
    tables = json.loads(Path(TABLES).read_text(encoding="utf-8"))
    for operation, (name, codes) in DOCUMENTED.items():
        listed = {int(row["code"]) for row in tables[name] if row["code"]}
        assert listed - EVERYWHERE == codes, operation
        for code in EXCEPTIONS.get(operation, {}):
            assert code not in listed, operation


def test_codes_of_this_run_are_documented(exchanges: list[Exchange]) -> None:
    """No operation gave a code that the reference does not list, but for the written exceptions."""
    strange = set()
    for one in exchanges:
        operation = f"{one.method} {route_of(one.path)}"
        if not one.code or operation not in DOCUMENTED:
            continue
        known = EVERYWHERE | DOCUMENTED[operation][1] | set(EXCEPTIONS.get(operation, {}))
        if int(one.code) not in known:
            strange.add(f"{operation}: {one.code}")
    assert sorted(strange) == []
