import re
from pathlib import Path

import mds_tableau.sandbox
from mds_tableau.sandbox.app import operations
from mds_tableau.sandbox.jobs import Jobs


def test_coverage_lists_every_operation() -> None:
    """Each operation, done or refused, stands in COVERAGE.md, and nothing else does."""
    text = (Path(mds_tableau.sandbox.__file__).parent / "COVERAGE.md").read_text(encoding="utf-8")
    table, _, refused = text.partition("## Refused by name")
    pattern = r"`((?:GET|POST|PUT|DELETE) /(?:sites|auth|serverInfo)[^`]*)`"
    done: set[str] = set()
    missing: set[str] = set()
    for path, methods in operations(Jobs({})).items():
        for method, operation in methods.items():
            (missing if operation is None else done).add(f"{method} {path}")
    assert set(re.findall(pattern, table)) == done
    assert set(re.findall(pattern, refused)) == missing
