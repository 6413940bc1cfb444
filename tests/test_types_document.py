"""Writes docs/types.md of what was really run, and tells when it is not what stands there."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb
import pytest
from tableauhyperapi import HyperException

from mds_tableau.column_options import ALLOWED_OPTIONS
from mds_tableau.column_types import plan_columns
from mds_tableau.columns import OLDEST_TABLEAU, Check, ColumnPlan, HyperType
from mds_tableau.errors import UnsupportedColumn
from mds_tableau.hyper import Hyper, library_version
from mds_tableau.hyper_sql import creating, declaring
from tests.type_cases import Case
from tests.type_marts import Made, declared
from tests.types_table import CASES, REFUSED

DOCUMENT = Path(__file__).parents[1] / "docs" / "types.md"
WRITE = "python -m pytest tests/test_types_document.py --write-docs"

MEANINGS = {
    "as: text": "The value as DuckDB writes it; moments with a zone in UTC.",
    "as: bigint": "A whole number of 64 bits.",
    "as: numeric": "A whole number of up to 38 digits.",
    "as: numeric(p,s)": "A number of p digits, s of them after the point; never rounded.",
    "as: double": "A floating-point number.",
    "as: json": "A nested value as JSON text.",
    "as: hex": "Bytes as text, two hexadecimal digits each.",
    "as: base64": "Bytes as text, in base 64.",
    "as: wkt": "A geometry as well-known text.",
    "as: geography": "A place on earth, for maps: from a geometry or from well-known text.",
    "as: seconds": "A duration, or a time of day, in seconds.",
    "as: microseconds": "A duration, or a time of day, in microseconds.",
    "infinity: null": "Infinite values, and NaN, become NULL.",
    "truncate: us": "Digits below a microsecond are cut off, towards the past.",
    "timezone: <zone>": "What a clock in that zone shows, without its offset.",
}
"""What each option does, in the order of the document."""

HEADER = """# Types

What becomes of each DuckDB type on its way from a mart to Parquet and into an extract: by default,
and by what is asked under `config.meta.tableau` of the column. The type and the option decide,
never the data of a day.

This file is written by a test from what was run:
`{write}`.
Measured with DuckDB {duckdb} and Hyper API {hyper}: values at the edges of each type went each way
below, and were read back from the extract by the official API. Nothing of it was seen in Tableau.

- **Cast**: what the export makes of the column, here `…`; nothing when it is as it is.
- **Parquet**: the type in the footer of the file.
- **Hyper**: the type in the extract, as Hyper declares it. Every column can hold NULL.
- **File**: the oldest version of a `.hyper` that holds the type, as Hyper says. As Tableau
  documents it, version 2 is opened by {oldest[2]};
  version 3 by {oldest[3]}; and each by later ones.
- A row that **stops** the export stops all of it, with the column, the number of rows, an example
  and what to do. A row that is **counted** is exported, and becomes a warning.
- What is told of single options holds for options together.

Of 0.0 and -0.0 in one column of type DOUBLE, Hyper keeps one sign; they are equal in every query.
"""


def file_version(hyper: Hyper, folder: Path, name: str) -> int:
    """The oldest version of a `.hyper` in which Hyper creates a column of a type."""
    for version in (2, 3):
        path = folder / f"{name}.{version}.hyper"
        with hyper.connect() as connection:
            connection.execute_command(creating(path, version))
        with hyper.connect(path) as connection:
            connection.execute_command('CREATE SCHEMA "Extract"')
            try:
                connection.execute_command(declaring([("v", HyperType.parse(name))]))
            except HyperException:
                continue
            return version
    pytest.fail(f"no version holds {name}")


def plan(case: Case) -> ColumnPlan:
    """The plan of a case."""
    [found] = plan_columns([("v", case.sql)], mart="m", file="m.sql", options={"v": case.options})
    return found


def options_table() -> list[str]:
    """The options that there are, each with the types that they suit."""
    types: dict[str, list[str]] = {word: [] for word in MEANINGS}
    for case in CASES:
        word = re.sub(r"numeric\(\d+,\d+\)", "numeric(p,s)", case.asked)
        word = re.sub(r"timezone: .*", "timezone: <zone>", word)
        head = "nested types" if word == "as: json" and case.sql != "JSON" else case.sql
        head = re.sub(r"\(.*", "", head).strip('"')
        if word in types and head not in types[word]:
            types[word].append(head)
    lines = ["| option | what it does | for |", "|---|---|---|"]
    for word, meaning in MEANINGS.items():
        note = " TIME WITH TIME ZONE takes only UTC." if word.startswith("timezone") else ""
        lines.append(f"| `{word}` | {meaning}{note} | {', '.join(types[word])} |")
    return lines


def section(cases: Iterable[Case], row: Callable[[Case], str]) -> str:
    """All ways of one type, and what is to be known of them."""
    lines = ["| asked | cast | Parquet | Hyper | file |", "|---|---|---|---|---|"]
    told: dict[str, list[str]] = {}
    for case in cases:
        lines.append(row(case))
        if ", " not in case.asked:
            for sentence in sentences(plan(case)):
                told.setdefault(sentence, []).append(f"`{case.asked}`" if case.asked else "nothing")
    bullets = [f"- Asked {', '.join(asked)}: {sentence}." for sentence, asked in told.items()]
    return "\n".join([*lines, *(["", *bullets] if bullets else [])])


def sentences(found: ColumnPlan) -> list[str]:
    """What a plan loses and looks at."""

    def of(checks: Iterable[Check], verb: str) -> list[str]:
        return [f"{verb} rows that {check.what}" for check in checks]

    return [
        *([f"**loses** {found.loses}"] if found.loses else []),
        *of((check for check in found.checks if check.stops), "**stops** at"),
        *of((check for check in found.checks if not check.stops), "**counts**"),
    ]


def refused_table() -> list[str]:
    """The types without a default, and what is said of them."""
    types: dict[str, list[str]] = {}
    for refused in REFUSED:
        with pytest.raises(UnsupportedColumn) as caught:
            plan_columns([("v", refused.sql)], mart="m", file="m.sql")
        said = str(caught.value).partition(" cannot hold. ")[2]
        types.setdefault(said, []).append(refused.sql)
    rows = [f"| {', '.join(names)} | {said} |" for said, names in types.items()]
    return ["| type | what is said |", "|---|---|", *rows]


def cell(text: str) -> str:
    """SQL in a cell of a table."""
    return f"`{text}`".replace("|", "\\|") if text else ""


def test_each_option_is_explained() -> None:
    """The words of the document are the words of the code."""
    known = ALLOWED_OPTIONS["as"].removeprefix("one of ").partition(", with")[0].split(", ")
    assert {word.partition(": ")[0] for word in MEANINGS} == set(ALLOWED_OPTIONS)
    assert [word.removeprefix("as: ") for word in MEANINGS if word.startswith("as")] == known


@pytest.mark.hyper
def test_the_document_says_what_was_run(
    every_type: list[Made], hyper: Hyper, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """docs/types.md is what this run would write."""
    if int(duckdb.__version__.partition(".")[0]) < 2:
        pytest.skip(f"DuckDB {duckdb.__version__} does not have all the types")
    versions = {
        name: file_version(hyper, tmp_path, name) for name in {case.hyper for case in CASES}
    }
    types = [declared(hyper, made.extract.path) for made in every_type]

    def row(case: Case) -> str:
        [(made, seen)] = [
            (made, seen) for made, seen in zip(every_type, types, strict=True) if case in made.names
        ]
        hyper_type = seen[made.names[case]][0]
        asked = f"`{case.asked}`" if case.asked else "nothing"
        cast = cell(made.column(case).cast)
        cells = (asked, cast, made.written(case), hyper_type, str(versions[hyper_type]))
        return f"| {' | '.join(cells)} |"

    header = HEADER.format(
        write=WRITE, duckdb=duckdb.__version__, hyper=library_version(), oldest=OLDEST_TABLEAU
    )
    lines = [*header.splitlines(), "", "## Options", "", *options_table(), "", "## Types", ""]
    alike: dict[str, list[str]] = {}
    for sql in dict.fromkeys(case.sql for case in CASES):
        ways = sorted(
            (case for case in CASES if case.sql == sql), key=lambda case: case.asked != ""
        )
        alike.setdefault(section(ways, row), []).append(sql)
    for body, names in alike.items():
        lines += [f"### {', '.join(names)}", "", *body.splitlines(), ""]
    lines += ["## Types without a default", "", *refused_table()]
    text = "\n".join(lines) + "\n"
    if request.config.getoption("--write-docs"):
        DOCUMENT.parent.mkdir(exist_ok=True)
        DOCUMENT.write_text(text, encoding="utf-8")
    current = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    assert current == text, f"docs/types.md is not what was run. Run: {WRITE}"
