import pytest
from hypothesis import given
from hypothesis import strategies as st

from mds_tableau.sandbox.errors import ApiError
from mds_tableau.sandbox.filters import (
    Condition,
    Field,
    apply_filter,
    apply_sort,
    paginate,
    parse_filter,
    to_flag,
    to_time,
)

FIELDS = {
    "name": Field(frozenset({"eq", "in"}), lambda row: row["name"], wildcard=True),
    "createdAt": Field(frozenset({"eq", "gt", "lte"}), lambda row: row["at"], to_time),
    "isCertified": Field(frozenset({"eq"}), lambda row: row["certified"], to_flag),
    "size": Field(frozenset({"gte", "lt"}), lambda row: row["size"], int),
    "tags": Field(frozenset({"eq"})),
}
ROWS = [
    {"name": "a", "at": "2026-01-01T00:00:00Z", "certified": True, "size": 1},
    {"name": "B*", "at": "2026-01-02T00:00:00Z", "certified": False, "size": 10},
    {"name": "a:b [c]", "at": "2026-01-03T00:00:00Z", "certified": False, "size": 9},
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("name:eq:a", (Condition("name", "eq", ("a",)),)),
        ("name:eq:", (Condition("name", "eq", ("",)),)),
        ("name:eq:a:b", (Condition("name", "eq", ("a:b",)),)),
        ("name:in:[a,b c]", (Condition("name", "in", ("a", "b c")),)),
        (
            "name:in:[a,b],size:gte:1",
            (Condition("name", "in", ("a", "b")), Condition("size", "gte", ("1",))),
        ),
        ("name:eq:a [x, y]", (Condition("name", "eq", ("a [x, y]",)),)),
        ("name:eq:a[b,size:gte:1", (Condition("name", "eq", ("a[b,size:gte:1",)),)),
        ("name:eq:a,name:eq:b", (Condition("name", "eq", ("b",)),)),
    ],
)
def test_filter_is_split_into_conditions(text: str, expected: tuple[Condition, ...]) -> None:
    """Commas outside brackets separate conditions, and the first two colons their parts."""
    assert parse_filter(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "name:eq",
        ":eq:a",
        "name::a",
        "name:eq:a,b",
        "name:eq:a,",
        ",",
        "name:in:a",
        "name:in:[a",
    ],
)
def test_filter_of_another_form_is_refused(text: str) -> None:
    """What is not field:operator:value is an error; above all a name with a comma is."""
    with pytest.raises(ApiError, match=r"^400065: "):
        parse_filter(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name:eq:a", ["a"]),
        ("name:eq:A", []),
        ("name:eq:B*", ["B*"]),
        ("name:eq:a*", ["a", "a:b [c]"]),
        ("name:eq:*[c]", ["a:b [c]"]),
        ("name:eq:a:b [c]", ["a:b [c]"]),
        ("name:in:[a,B*,z]", ["a", "B*"]),
        ("createdAt:gt:2026-01-01T00:00:00Z", ["B*", "a:b [c]"]),
        ("createdAt:lte:2026-01-02T00:00:00Z,isCertified:eq:false", ["B*"]),
        ("isCertified:eq:True", ["a"]),
        ("size:gte:9", ["B*", "a:b [c]"]),
        ("size:lt:10", ["a", "a:b [c]"]),
    ],
)
def test_filter_keeps_the_rows_that_fulfil_it(text: str, expected: list[str]) -> None:
    """Values are compared by case and as what they are; all conditions must hold."""
    assert [row["name"] for row in apply_filter(ROWS, parse_filter(text), FIELDS)] == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("projectId:eq:x", 400065),
        ("Name:eq:x", 400065),
        ("name:gt:x", 400065),
        ("name:cieq:x", 400065),
        ("name:has:x", 400065),
        ("createdAt:gt:yesterday", 400065),
        ("isCertified:eq:maybe", 400065),
        ("size:gte:many", 400065),
        ("tags:eq:x", 501000),
    ],
)
def test_unsupported_conditions_are_refused(text: str, code: int) -> None:
    """An unknown field, operator or value is an error, and a field that is not kept is 501."""
    with pytest.raises(ApiError, match=f"^{code}: "):
        apply_filter(ROWS, parse_filter(text), FIELDS)


@given(st.text())
def test_filter_never_fails_otherwise(text: str) -> None:
    """Whatever is written as a filter, it is either understood or refused."""
    codes: set[int] = set()
    conditions: tuple[Condition, ...] = ()
    try:
        conditions = parse_filter(text)
    except ApiError as error:
        codes.add(error.code)
    assert codes <= {400065}
    assert all(condition.field and condition.operator for condition in conditions)


@given(st.text().filter(lambda name: not set(name) & set(",[]*")))
def test_filter_finds_any_name_without_its_own_signs(name: str) -> None:
    """A name is found as it is written, unless it has signs of the filter's syntax in it."""
    rows = [{"name": name}, {"name": name + "x"}]
    assert apply_filter(rows, parse_filter(f"name:eq:{name}"), FIELDS) == rows[:1]


@given(st.lists(st.text().filter(lambda name: not set(name) & set(",[]")), min_size=1))
def test_filter_finds_any_of_several_names(names: list[str]) -> None:
    """A bracketed list finds each name in it, and no other."""
    rows = [*({"name": name} for name in names), {"name": "".join(names) + "x"}]
    found = apply_filter(rows, parse_filter(f"name:in:[{','.join(names)}]"), FIELDS)
    assert {row["name"] for row in found} == set(names)


@given(st.lists(st.integers()), st.integers(1, 7))
def test_pages_together_are_the_list(values: list[int], size: int) -> None:
    """Pages from the first to the last hold each row once and in order; there is none after."""
    rows = [{"value": value} for value in values]
    pages = max(1, -(-len(rows) // size))
    seen = []
    for number in range(1, pages + 1):
        page = paginate(rows, {"pageSize": str(size), "pageNumber": str(number)})
        assert (page.number, page.size, page.total) == (number, size, len(rows))
        seen += page.rows
    assert seen == rows
    with pytest.raises(ApiError, match=f"^400006: .*'{pages * size}'"):
        paginate(rows, {"pageSize": str(size), "pageNumber": str(pages + 1)})


def test_sorting_by_several_fields() -> None:
    """The first field decides, the next one only among equals."""
    rows = [{"name": name, "at": at} for name, at in [("b", "1"), ("A", "1"), ("b", "2")]]
    fields = {
        "name": Field(frozenset(), lambda row: row["name"]),
        "updatedAt": Field(frozenset(), lambda row: row["at"]),
    }
    ordered = apply_sort(rows, "name:asc,updatedAt:desc", fields)
    assert [(row["name"], row["at"]) for row in ordered] == [("A", "1"), ("b", "2"), ("b", "1")]


@pytest.mark.parametrize(
    ("text", "code"), [("name", 400000), ("name:up", 400000), ("size:asc", 501000), (",", 400000)]
)
def test_other_sort_expressions_are_refused(text: str, code: int) -> None:
    """A sort expression needs a direction, and a field that the sandbox sorts by."""
    with pytest.raises(ApiError, match=f"^{code}: "):
        apply_sort(ROWS, text, FIELDS)
