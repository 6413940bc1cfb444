import pytest
from tableauhyperapi import HyperException

from mds_tableau.column_names import MOST_COLUMNS, name_problems
from mds_tableau.columns import quote_identifier
from mds_tableau.hyper import Hyper

SYSTEM = ["ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"]
ALLOWED = ["CTID", "Xmin", "oid", " ", "a.b", 'a "b"', "a\nb", "ünï 😀", "select", "x" * 1000]


def refused_by_hyper(hyper: Hyper, names: list[str]) -> bool:
    """Whether Hyper makes no table with columns of these names."""
    columns = ", ".join(f"{quote_identifier(name)} INT" for name in names)
    with hyper.connect() as connection:
        try:
            connection.execute_command(f"CREATE TEMPORARY TABLE names ({columns})")
        except (HyperException, ValueError):
            return True
        return False


def test_ordinary_names_are_no_problem() -> None:
    """Nothing is said of names that an extract can hold, in any number up to the limit."""
    assert name_problems(["a", "b"]) == []
    assert name_problems([f"c{n}" for n in range(MOST_COLUMNS)]) == []


@pytest.mark.hyper
@pytest.mark.parametrize("name", ALLOWED)
def test_odd_names_are_no_problem(hyper: Hyper, name: str) -> None:
    """What Hyper takes for a name is let through."""
    assert name_problems(["a", name]) == []
    assert not refused_by_hyper(hyper, ["a", name])


@pytest.mark.hyper
@pytest.mark.parametrize("name", SYSTEM)
def test_names_of_hypers_own_columns_are_refused(hyper: Hyper, name: str) -> None:
    """The name is told, with one that is allowed; Hyper refuses the one and takes the other."""
    [problem] = name_problems(["a", name])
    assert problem.startswith(f"column '{name}' is called like one of Hyper's own columns (cmax, ")
    assert problem.endswith(f"). Rename it; '{name.upper()}' is allowed.")
    assert refused_by_hyper(hyper, ["a", name])
    assert not refused_by_hyper(hyper, ["a", name.upper()])


@pytest.mark.hyper
@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["a", "", "b"], "column number 2 has an empty name. Give it one."),
        (["a\0b"], r"column 'a\x00b' has the character U+0000 in its name. Rename it without."),
        (
            ["a", "b", "a", "a"],
            "3 columns are called 'a'. Rename all but one of them, or leave them out.",
        ),
        (
            [f"c{n}" for n in range(MOST_COLUMNS + 1)],
            "there are 16,385 columns, and an extract holds at most 16,384. Leave columns out, or "
            "make several extracts of them.",
        ),
    ],
    ids=["empty", "nul", "equal", "many"],
)
def test_names_that_hyper_refuses_are_refused(hyper: Hyper, names: list[str], problem: str) -> None:
    """Each has its sentence, with what to do."""
    assert name_problems(names) == [problem]
    assert refused_by_hyper(hyper, names)


def test_no_columns_are_refused() -> None:
    """An extract without columns shows nothing, although Hyper would make it."""
    assert name_problems([]) == ["there are no columns. Write at least one."]


def test_names_that_differ_only_in_case_are_refused() -> None:
    """Each group is told once, with all of its names."""
    told = "differ only in case, which Tableau may not tell apart. Rename"
    assert name_problems(["net", "day", "Net"]) == [f"columns 'net' and 'Net' {told} one."]
    assert name_problems(["ä", "x", "X", "Ä"]) == [
        f"columns 'ä' and 'Ä' {told} one.",
        f"columns 'x' and 'X' {told} one.",
    ]
    assert name_problems(["ab", "aB", "AB"]) == [f"columns 'ab', 'aB' and 'AB' {told} all but one."]


def test_all_problems_are_told_together() -> None:
    """One look is enough to find everything there is to rename."""
    problems = name_problems(["ctid", "", "a", "a", "A"])
    assert [problem.split()[0] for problem in problems] == ["column", "column", "2", "columns"]
    assert "'ctid'" in problems[0]
    assert "'a' and 'A'" in problems[3]
