"""The count of the fault matrix at the end of a run, from what its tests record.

Reports carry it, so that it is complete whichever process a test ran in. The cases themselves stand
in `tests/tableau/test_fault_matrix.py`.
"""

from collections import Counter
from collections.abc import Iterable

import pytest

CASE_PROPERTY = "fault case"
"""Property of a test: what came of its case."""

CASES_PROPERTY = "fault cases"
"""Property of a test: how many cases there are."""

ARRIVED = "arrived once"
REFUSED = "refused with the old extract kept"


def summary(reports: Iterable[pytest.TestReport]) -> str:
    """Return one line on the cases among some reports, "" where there are none."""
    cases, ended = 0, Counter[str]()
    for report in reports:
        properties = dict(report.user_properties)
        if report.when == "call" and CASES_PROPERTY in properties:
            cases = int(str(properties[CASES_PROPERTY]))
            if report.passed:
                ended[str(properties[CASE_PROPERTY])] += 1
    if not cases:
        return ""
    counts = ", ".join(f"{ended[name]} {name}" for name in (ARRIVED, REFUSED))
    return f"fault matrix: {ended.total()} of {cases} cases: {counts}"
