"""Random tables in random dialects, written by the standard library's writer of CSV."""

import csv
import io
import tempfile
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mds_tableau.errors import InputError
from tests.inputs.loading import load_csv

EXAMPLES = settings().max_examples if settings.get_current_profile_name() == "long" else 40
"""Enough to notice what is broken; --hypothesis-profile=long looks for what is rare."""

_TRICKY = st.sampled_from(
    [
        "",
        "0",
        "00",
        "-0",
        "1.0",
        "1e5",
        "NaN",
        "true",
        "NULL",
        '"',
        '""',
        "'",
        "\n",
        "\r\n",
        "\r",
        " ",
        " 1",
        "a,b",
        "1,5",
        "1.234,5",
        "1,234.5",
        "#x",
        "\\",
        "\t",
        "|",
        ";",
        "\ufeff",
        "💥",
        "2026-01-31",
        "31/01/2026",
        "01/02/2026",
        "2026-02-30",
        "08:30:00",
        "-1",
        "+1",
        ".5",
        "5.",
        "9223372036854775808",
        "0.12345678901234567890",
        "1.7976931348623157e+309",
        "1_0",
        "0x1",
    ]
)
_TEXT = st.one_of(
    _TRICKY,
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.dates().map(str),
    st.datetimes().map(str),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8),
)


@st.composite
def _tables(draw: st.DrawFn) -> tuple[list[list[str]], dict[str, Any], bool]:
    width = draw(st.integers(2, 4))
    # columns of one kind, so that types are chosen too
    kinds = [draw(st.sampled_from([_TEXT, *_COLUMNS])) for _ in range(width)]
    height = draw(st.integers(0, 6))
    rows = [[draw(kind) for kind in kinds] for _ in range(height)]
    dialect = {
        "delimiter": draw(st.sampled_from([",", ";", "\t", "|"])),
        "quotechar": draw(st.sampled_from(['"', "'"])),
        "lineterminator": draw(st.sampled_from(["\n", "\r\n"])),
        "quoting": draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    }
    if any("\r" in text for row in rows for text in row):
        # Python's writer leaves it bare where it ends no line, so that it reads as half of an end
        dialect["quoting"] = csv.QUOTE_ALL
    return rows, dialect, draw(st.booleans())


_COLUMNS = [
    st.integers(-(10**20), 10**20).map(str),
    st.integers(-9, 9).map(str),
    st.decimals(-(10**9), 10**9, places=2).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.dates().map(str),
    st.dates(date(1000, 1, 1)).map(lambda day: day.strftime("%d/%m/%Y")),
    st.datetimes().map(str),
    st.times().map(str),
    st.sampled_from(["true", "false"]),
    st.sampled_from(["1.234,50", "2,25", "7"]),
]


def _same(text: str, value: object) -> bool:
    """Whether a value is what a text says, by Python's own reading of it."""
    if value is None:
        return not text.strip(" ")
    if isinstance(value, str):
        return value == text
    text = text.strip(" ")
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    if isinstance(value, float):
        return value == float(text) and Decimal(repr(value)) == Decimal(text)
    if isinstance(value, (int, Decimal)):
        options = {text, text.replace(",", ""), text.replace(".", "").replace(",", ".")}
        return any(_number(option) == value for option in options)
    if isinstance(value, datetime):
        return value == datetime.fromisoformat(text)
    if isinstance(value, date):
        forms = {value.isoformat(), value.strftime("%d/%m/%Y"), value.strftime("%m/%d/%Y")}
        return text in forms
    return isinstance(value, time) and value == time.fromisoformat(text)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except ArithmeticError:
        return None


@settings(max_examples=EXAMPLES, deadline=None)
@given(_tables())
def test_random_tables_load_as_they_were_written(
    drawn: tuple[list[list[str]], dict[str, Any], bool],
) -> None:
    """Each text is loaded as itself or as a value that says the same; else the file is refused."""
    rows, dialect, is_said = drawn
    names = [f"name {index}" for index in range(len(rows[0]) if rows else 2)]
    out = io.StringIO(newline="")
    csv.writer(out, **dialect).writerows([names, *rows])
    said = {"delimiter": dialect["delimiter"]} if is_said else {}

    refused = ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            columns, loaded, _ = load_csv(
                Path(folder), out.getvalue().encode(), quote=dialect["quotechar"], **said
            )
        except InputError as error:
            refused = str(error)
    if refused:
        assert "day and the month" in refused or "byte order mark" in refused
        return

    assert list(columns) == names
    assert len(loaded) == len(rows)
    for texts, values in zip(rows, loaded, strict=True):
        for text, value in zip(texts, values, strict=True):
            assert _same(text, value), (text, value)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("text", ["x\ny", "\n\n", "x"])
def test_a_large_file_with_ends_of_lines_in_quotes(text: str, end: str, tmp_path: Path) -> None:
    """Ends of lines in quotes make no rows where DuckDB reads a file in several parts."""
    count = 300_000
    lines = [f'{n},"{text}, {n}"' for n in range(count)]
    content = end.join(["n,t", *lines]).encode()

    _, rows, _ = load_csv(tmp_path, content)

    assert len(content) > 4 << 20
    assert rows == [(n, f"{text}, {n}") for n in range(count)]


@pytest.mark.parametrize("late", ["00012", "1.5", "x", "1e3", "9223372036854775808", "-0.001"])
def test_a_value_far_behind_the_sample_is_kept(late: str, tmp_path: Path) -> None:
    """The types of the first rows are no reason to change a value that comes much later."""
    count = 30_000
    content = "n,v\n" + "".join(f"{n},{n}\n" for n in range(count)) + f"{count},{late}\n"

    _, rows, _ = load_csv(tmp_path, content.encode())

    assert len(rows) == count + 1
    assert _same(late, rows[-1][1])
    assert all(_same(str(n), value) for n, value in rows[:count])
