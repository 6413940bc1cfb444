from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mds_tableau.column_options import ALLOWED_OPTIONS, ColumnOptions, parse_options

WHERE = "column 'x' of 'sales' (models/marts/_marts.yml)"
AS = (
    "It must be one of text, bigint, numeric, numeric(p,s), double, json, hex, base64, wkt, "
    "geography, seconds, microseconds, with p from 1 to 38 and s from 0 to p."
)


def problems(meta: object) -> list[str]:
    """The sentences about what is wrong."""
    found = parse_options(meta, where=WHERE)
    assert isinstance(found, list)
    assert found
    return found


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        *(
            ({"as": word}, ColumnOptions(as_=word))
            for word in (
                *("text", "bigint", "numeric", "double", "json", "hex", "base64", "wkt"),
                *("geography", "seconds", "microseconds"),
                *("numeric(1,0)", "numeric(38,38)", "numeric(12,2)"),
            )
        ),
        ({"as": " numeric ( 12 ,\t2 ) "}, ColumnOptions(as_="numeric(12,2)")),
        ({"as": "numeric(012,02)"}, ColumnOptions(as_="numeric(12,2)")),
        ({"infinity": None}, ColumnOptions(infinity="null")),
        ({"infinity": "null"}, ColumnOptions(infinity="null")),
        ({"truncate": "us"}, ColumnOptions(truncate="us")),
        ({"timezone": "Europe/London"}, ColumnOptions(timezone="Europe/London")),
        (
            {"infinity": None, "truncate": "us", "timezone": "UTC"},
            ColumnOptions(infinity="null", truncate="us", timezone="UTC"),
        ),
    ],
)
def test_what_may_be_asked(meta: dict[str, Any], expected: ColumnOptions) -> None:
    """Each key with each of its words, and those that go together."""
    assert parse_options(meta, where=WHERE) == expected


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("txt", " Did you mean 'text'?"),
        ("TEXT", " Did you mean 'text'?"),
        ("base46", " Did you mean 'base64'?"),
        ("numerc(12,2)", " Did you mean 'numeric(p,s)'?"),
        ("colour", ""),
        ("", ""),
        (None, ""),
        (64, ""),
        (["text"], ""),
        ("numeric(p,s)", ""),
        ("numeric(0,0)", ""),
        ("numeric(39,0)", ""),
        ("numeric(2,3)", ""),
        ("numeric(12)", ""),
        ("numeric(²,1)", ""),
    ],
)
def test_what_a_column_cannot_be(value: object, hint: str) -> None:
    """The message has the word, all that are allowed, and the nearest."""
    assert problems({"as": value}) == [f"meta.tableau.as of {WHERE} is {value!r}. {AS}{hint}"]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("infinity", "NULL", "It must be null."),
        ("infinity", False, "It must be null."),
        ("infinity", 0, "It must be null."),
        ("truncate", "ms", "It must be us."),
        ("truncate", None, "It must be us."),
        ("timezone", "", "It must be the IANA name of a time zone, such as Europe/London."),
        (
            "timezone",
            "Europe/Lodnon",
            "It must be the IANA name of a time zone, such as Europe/London. "
            "Did you mean 'Europe/London'?",
        ),
        (
            "timezone",
            "europe/london",
            "It must be the IANA name of a time zone, such as Europe/London. "
            "Did you mean 'Europe/London'?",
        ),
        ("timezone", 2, "It must be the IANA name of a time zone, such as Europe/London."),
        ("timezone", ["UTC"], "It must be the IANA name of a time zone, such as Europe/London."),
    ],
)
def test_other_words_are_a_problem(key: str, value: object, expected: str) -> None:
    """Only what is listed is taken; the message says what that is."""
    [line] = problems({key: value})
    assert line.startswith(f"meta.tableau.{key} of {WHERE} is {value!r}. {expected}")


@pytest.mark.parametrize("name", ["../etc/passwd", "posix/UTC", "Europe", "/UTC"])
def test_a_file_is_no_time_zone(name: str) -> None:
    """A path to something else among the zones is refused like any other word."""
    [line] = problems({"timezone": name})
    assert f"is {name!r}. It must be the IANA name of a time zone" in line


@pytest.mark.parametrize(
    ("key", "hint"),
    [("ass", " Did you mean 'as'?"), ("time_zone", " Did you mean 'timezone'?"), (7, ""), ("", "")],
)
def test_unknown_keys_are_a_problem(key: object, hint: str) -> None:
    """The message has the key, all that are allowed, and the nearest."""
    assert problems({key: "text"}) == [
        f"Unknown key '{key}' under meta.tableau of {WHERE}. "
        f"Allowed: as, infinity, truncate, timezone.{hint}"
    ]


@pytest.mark.parametrize("meta", [{}, None, True, False, "text", ["as"], 0])
def test_what_is_no_mapping_is_a_problem(meta: object) -> None:
    """An empty mapping asks for nothing, and was meant to ask for something."""
    assert problems(meta) == [
        f"meta.tableau of {WHERE} is {meta!r}. "
        "It must be a mapping of as, infinity, truncate, timezone."
    ]


def test_as_stands_alone() -> None:
    """What a column becomes is said once: beside it nothing else is allowed."""
    assert problems({"timezone": "UTC", "as": "text", "infinity": None}) == [
        f"meta.tableau.as of {WHERE} stands beside timezone, infinity. It says already what the "
        "column becomes: remove one or the other."
    ]


def test_all_problems_of_a_column_are_told_together() -> None:
    """Bad words, unknown keys and what does not go together are each a sentence of their own."""
    heads = [line.split(" of ")[0] for line in problems({"as": "x", "truncate": 1, "y": 2})]
    assert heads == [
        "meta.tableau.as",
        "meta.tableau.truncate",
        "Unknown key 'y' under meta.tableau",
        "meta.tableau.as",
    ]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=15)
ANYTHING = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(), SCALARS, max_size=2)


@given(
    meta=ANYTHING | st.dictionaries(st.sampled_from(sorted(ALLOWED_OPTIONS)) | SCALARS, ANYTHING)
)
def test_whatever_yaml_says_is_read_or_told(meta: object) -> None:
    """There are options that ask for something, or sentences that name the place; no error."""
    found = parse_options(meta, where=WHERE)
    if isinstance(found, ColumnOptions):
        assert found != ColumnOptions()
    else:
        assert found
        assert all(WHERE in line for line in found)


def test_a_numeric_without_quotes_is_told_to_be_quoted() -> None:
    """YAML makes two keys of it between braces, and one sentence says what to write."""
    meta = yaml.safe_load("{as: numeric(18,2)}")
    assert meta == {"as": "numeric(18", "2)": None}
    assert parse_options(meta, where="column 'net'") == [
        "meta.tableau of column 'net' has keys 'as' and '2)', because between braces YAML splits "
        "at the comma. Quote the value: as: 'numeric(18,2)'."
    ]
    quoted = yaml.safe_load("{as: 'numeric(18,2)'}")
    assert parse_options(quoted, where="column 'net'") == ColumnOptions(as_="numeric(18,2)")
