"""Nasty CSV files: bytes, options, and the table that they are or the error that they give."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Any, Final


@dataclass(frozen=True)
class Good:
    """A file that loads as exactly this table, with notes that hold these words."""

    content: bytes
    columns: dict[str, str]
    rows: list[tuple[Any, ...]]
    notes: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bad:
    """A file that is refused with all of these words."""

    content: bytes
    words: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)


INT, TEXT, DEC2 = "BIGINT", "VARCHAR", "DECIMAL(18,2)"
TWO = {"a": INT, "b": INT}
ROW = [(1, 2)]


def column(name: str, *texts: str) -> bytes:
    """Return a CSV file of one column beside a number."""
    return "\n".join([f"n,{name}", *(f'{n},"{text}"' for n, text in enumerate(texts))]).encode()


def typed(
    kind: str, texts: tuple[str, ...], values: tuple[Any, ...], *notes: str, **options: Any
) -> Good:
    """Return the case of one column beside a number."""
    columns = {"n": INT, "v": kind}
    return Good(column("v", *texts), columns, list(enumerate(values)), notes, options)


def stays(texts: tuple[str, ...], *notes: str, **options: Any) -> Good:
    """Return the case of one column that stays text."""
    return typed(TEXT, texts, texts, *notes, **options)


GOOD: Final = {
    "plain": Good(b"a,b\n1,2\n", TWO, ROW),
    "no end of the last line": Good(b"a,b\n1,2", TWO, ROW),
    "lines end in CR LF": Good(b"a,b\r\n1,2\r\n", TWO, ROW),
    "lines end in CR": Good(b"a,b\r1,2\r", TWO, ROW),
    "lines end in three ways": Good(b"a,b\r\n1,2\n1,2\r1,2\n", TWO, ROW * 3),
    "mixed ends around quoted ends": Good(
        b'a,b\r\n1,"x\r\ny"\n2,"x\ny"\r\n3,"x""\r""y"\n',
        {"a": INT, "b": TEXT},
        [(1, "x\r\ny"), (2, "x\ny"), (3, 'x"\r"y')],
    ),
    "blank lines between rows": Good(b"a,b\n\n1,2\n\n\n1,2\n\n", TWO, ROW * 2),
    "blank lines before the header": Good(b"\n\na,b\n1,2\n", TWO, ROW),
    "a blank line of one column is missing": Good(
        b"a\n1\n\n2\n", {"a": INT}, [(1,), (None,), (2,)], ("blank line is a row",)
    ),
    "header only": Good(b"a,b\n", {"a": TEXT, "b": TEXT}, []),
    "header only, no end": Good(b"a,b", {"a": TEXT, "b": TEXT}, []),
    "UTF-8 with a mark": Good(b"\xef\xbb\xbfa,b\n1,2\n", TWO, ROW),
    "a mark before a quoted name": Good(b'\xef\xbb\xbf"a",b\n1,2\n', TWO, ROW),
    "UTF-16": Good("a,b\n1,ä€\n".encode("utf-16"), {"a": INT, "b": TEXT}, [(1, "ä€")], ("utf-16",)),
    "cp1252 when it is said": Good(
        "a,b\n1,ä€\n".encode("cp1252"),
        {"a": INT, "b": TEXT},
        [(1, "ä€")],
        ("encoding is cp1252",),
        {"encoding": "cp1252"},
    ),
    "shift_jis when it is said": Good(
        "a,b\n1,表示\n".encode("shift_jis"),
        {"a": INT, "b": TEXT},
        [(1, "表示")],
        (),
        {"encoding": "shift_jis"},
    ),
    "quotes in quotes": Good(b'a,b\n1,"x ""y"" z"\n', {"a": INT, "b": TEXT}, [(1, 'x "y" z')]),
    "a quote within a field": Good(b'a,b\n1,5" pipe\n', {"a": INT, "b": TEXT}, [(1, '5" pipe')]),
    "delimiters and ends in quotes": Good(
        b'a,b\n"1,\n2",x\n', {"a": TEXT, "b": TEXT}, [("1,\n2", "x")]
    ),
    "blank lines in quotes": Good(b'a,b\n"1\n\n2",x\n', {"a": TEXT, "b": TEXT}, [("1\n\n2", "x")]),
    "an end of line in a name": Good(b'"a\nb",c\n1,2\n', {"a\nb": INT, "c": INT}, ROW),
    "other quotes": Good(
        b"a,b\n1,'x,''y'''\n", {"a": INT, "b": TEXT}, [(1, "x,'y'")], (), {"quote": "'"}
    ),
    "no quotes": Good(b'a,b\n1,"x\n', {"a": INT, "b": TEXT}, [(1, '"x')], (), {"quote": ""}),
    "a backslash is a character": Good(b'a,b\n1,"\\"\n', {"a": INT, "b": TEXT}, [(1, "\\")]),
    "nothing is missing, quoted nothing is empty": Good(
        b'a,b\n1,\n2,""\n3,x\n', {"a": INT, "b": TEXT}, [(1, None), (2, ""), (3, "x")]
    ),
    "quoted nothing in a number is missing": Good(
        b'a,b\n"1","2"\n"","3"\n', TWO, [(1, 2), (None, 3)], ("empty texts",)
    ),
    "rows without values are rows": Good(
        b"a,b\n,\n1,2\n,\n", TWO, [(None, None), (1, 2), (None, None)]
    ),
    "words for missing stay": stays(("NULL", "NA", "n/a", "-", "\\N")),
    "words for missing when said": typed(INT, ("1", "NA"), (1, None), nulls=("NA", "-")),
    "a hint for Excel": Good(b"sep=|\na|b;c\n1|2\n", {"a": INT, "b;c": INT}, ROW),
    "tabs": Good(b"a\tb\n1\t2\n", TWO, ROW, ("delimiter is a tab",)),
    "bars": Good(b"a|b\n1|2\n", TWO, ROW, ("bar",)),
    "a tab as shells write it": Good(
        b"a\tb,c\n1\t2\n", {"a": INT, "b,c": INT}, ROW, (), {"delimiter": "\\t"}
    ),
    "semicolons and decimal commas": Good(
        b"a;b;c\n1,50;x,y;1.234,56\n2;z;0,10\n",
        {"a": DEC2, "b": TEXT, "c": DEC2},
        [(Decimal("1.50"), "x,y", Decimal("1234.56")), (Decimal(2), "z", Decimal("0.10"))],
        ("semicolon", "'a' has a decimal comma"),
    ),
    "a delimiter after each line": Good(b"a,b,\n1,2,\n", TWO, ROW, ("makes no column",)),
    "a delimiter after each row": Good(b"a,b\n1,2,\n1,2,\n", TWO, ROW * 2),
    "a column without a name": Good(b",b\n1,2\n", {"column0": INT, "b": INT}, ROW, ("column0",)),
    "blanks around names": Good(b"a, b \n1,2\n", TWO, ROW, ("Blanks",)),
    "no header": Good(b"1,2\n1,2\n", {"column0": INT, "column1": INT}, ROW * 2, ("No header",)),
    "no header when said": Good(
        b"a,b\nc,d\n",
        {"column0": TEXT, "column1": TEXT},
        [("a", "b"), ("c", "d")],
        (),
        {"header": False},
    ),
    "a header of years when said": Good(
        b"x,2020\ny,1\n", {"x": TEXT, "2020": INT}, [("y", 1)], (), {"header": True}
    ),
    "names over numbers are a header": Good(b"id,2020\n1,7\n", {"id": INT, "2020": INT}, [(1, 7)]),
    "lines before the header": Good(b'Report "x\n\na,b\n1,2\n', TWO, ROW, (), {"skip": 1}),
    "a line that looks like a comment": Good(b"a,b\n#1,2\n", {"a": TEXT, "b": INT}, [("#1", 2)]),
    "blanks around numbers": Good(b"a,b\n1 , 2\n", TWO, ROW),
    "blanks around text": Good(b"a,b\n1, x \n", {"a": INT, "b": TEXT}, [(1, " x ")]),
    "a field of 5 MB": Good(
        b"a,b\n1," + b"x" * 5_000_000 + b"\n", {"a": INT, "b": TEXT}, [(1, "x" * 5_000_000)]
    ),
    "a mark that is no first character": Good(
        "a,b\n1,x\ufeffy\n".encode(), {"a": INT, "b": TEXT}, [(1, "x\ufeffy")]
    ),
    "leading zeros": stays(("00123", "7"), "leading zeros", "--type v=BIGINT"),
    "leading zeros before a point": stays(("01.5", "7")),
    "a plus": stays(("+49123", "1"), "plus sign"),
    "64 bits": typed(
        INT,
        ("9223372036854775807", "-9223372036854775808"),
        (9223372036854775807, -9223372036854775808),
    ),
    "more than 64 bits": stays(("9223372036854775808", "1"), "more than 64 bits"),
    "money": typed(DEC2, ("0.10", "-12.5", "7"), (Decimal("0.10"), Decimal("-12.5"), Decimal(7))),
    "a fraction without a whole": typed(DEC2, (".25", "-.5"), (Decimal("0.25"), Decimal("-0.5"))),
    "17 digits that a DOUBLE keeps": typed(
        "DOUBLE", ("0.1234567890123456", "100.5", "2"), (0.1234567890123456, 100.5, 2.0)
    ),
    "20 digits that it does not": typed(
        "DECIMAL(38,2)",
        ("123456789012345678.01", "1"),
        (Decimal("123456789012345678.01"), Decimal(1)),
    ),
    "more digits than any type": stays(("0." + "123456789" * 5, "1"), "no type keeps"),
    "scientific": typed("DOUBLE", ("1.5e+05", "2e-07", "3.25"), (150000.0, 2e-07, 3.25)),
    "an article like a number": stays(("1e5", "2E10"), "exponent"),
    "beyond a DOUBLE": stays(("1.5e+999", "1.0")),
    "NaN": stays(("NaN", "1.5"), "'NaN' is no number"),
    "infinity": stays(("inf", "-Infinity")),
    "underscores and hexadecimal": stays(("1_000", "0x1F")),
    "decimal or thousands": stays(("1,234", "5"), "cannot be seen"),
    "thousands when said": typed(INT, ("1,234", "5"), (1234, 5), thousands=","),
    "a decimal comma when said": typed(
        "DECIMAL(18,3)", ("1,234", "5"), (Decimal("1.234"), Decimal(5)), decimal=","
    ),
    "points between thousands, where the decimal comma is said": typed(
        DEC2,
        ("12.345,67", "-1,5", "8"),
        (Decimal("12345.67"), Decimal("-1.5"), Decimal(8)),
        "has '.' between thousands",
        decimal=",",
    ),
    "commas between thousands, where the decimal point is said": typed(
        DEC2, ("12,345.67", "7.5"), (Decimal("12345.67"), Decimal("7.5")), decimal="."
    ),
    "only points, where the decimal comma is said": stays(
        ("1.234", "5.678"), "--thousands . tells", decimal=","
    ),
    "some points without a comma": stays(
        ("12.345,67", "1.234"), "'1.234' is between thousands cannot be seen", decimal=","
    ),
    "a decimal point beside a decimal comma that is said": stays(("12.345,67", "1.5"), decimal=","),
    "points and comma are said": typed(
        DEC2,
        ("12.345,67", "1.234"),
        (Decimal("12345.67"), Decimal(1234)),
        decimal=",",
        thousands=".",
    ),
    "a type is asked for beside the decimal comma": typed(
        "DECIMAL(12,2)",
        ("12.345,67", "1,5"),
        (Decimal("12345.67"), Decimal("1.5")),
        decimal=",",
        types={"v": "DECIMAL(12,2)"},
    ),
    "groups of digits with a blank": stays(("1 234,50", "7,25"), "--thousands", decimal=","),
    "thousands in wrong places": stays(("1,23,4", "5"), thousands=","),
    "thousands beside a point": typed(
        DEC2, ("1,234.50", "7.25"), (Decimal("1234.50"), Decimal("7.25")), "commas between"
    ),
    "Swiss thousands": typed(
        DEC2, ("1'234.50", "7.25"), (Decimal("1234.50"), Decimal("7.25")), thousands="'"
    ),
    "groups beside other decimal commas": Good(
        b"a;b\n1,5;1.234\n2,25;5.678\n",
        {"a": DEC2, "b": TEXT},
        [(Decimal("1.5"), "1.234"), (Decimal("2.25"), "5.678")],
        ("beside the decimal commas",),
    ),
    "true and false": typed("BOOLEAN", ("true", "FALSE"), (True, False)),
    "yes and t": stays(("yes", "no", "t", "f")),
    "dates": typed("DATE", ("2026-01-31", "1899-12-30"), (date(2026, 1, 31), date(1899, 12, 30))),
    "a day that is none": stays(("2026-02-30", "2026-02-01"), "'2026-02-30'"),
    "not a date": stays(("infinity", "epoch")),
    "before Christ": stays(("2026-01-01 (BC)",)),
    "day first": typed(
        "DATE", ("01/02/2026", "25/12/2026"), (date(2026, 2, 1), date(2026, 12, 25)), "%d/%m/%Y"
    ),
    "month first": typed(
        "DATE", ("1/2/2026", "12/25/2026"), (date(2026, 1, 2), date(2026, 12, 25))
    ),
    "points": typed("DATE", ("1.2.2026", "25.12.2026"), (date(2026, 2, 1), date(2026, 12, 25))),
    "neither first": stays(("13/01/2026", "01/13/2026"), "no valid date"),
    "day first when said": typed(
        "DATE", ("01/02/2026",), (date(2026, 2, 1),), date_format="%d/%m/%Y"
    ),
    "two digits of a year": stays(("01.02.26",), "two digits", "--date-format"),
    "two digits when said": typed(
        "DATE", ("01.02.26",), (date(2026, 2, 1),), date_format="%d.%m.%y"
    ),
    "a year of two digits as four": stays(("01.02.26",), date_format="%d.%m.%Y"),
    "compact numbers stay numbers": typed(INT, ("20260131",), (20260131,), date_format="%Y%m%d"),
    "compact dates when asked for": typed(
        "DATE", ("20260131",), (date(2026, 1, 31),), date_format="%Y%m%d", types={"v": "date"}
    ),
    "year first": typed("DATE", ("2026/1/5", "2026/10/25"), (date(2026, 1, 5), date(2026, 10, 25))),
    "names of months": typed("DATE", ("3-Jan-2026",), (date(2026, 1, 3),)),
    "times": typed(
        "TIMESTAMP",
        ("2026-01-31 08:30:00", "2026-01-31T08:30", "2026-01-31 08:30:00.000001"),
        (
            datetime(2026, 1, 31, 8, 30),
            datetime(2026, 1, 31, 8, 30),
            datetime(2026, 1, 31, 8, 30, 0, 1),
        ),
    ),
    "an hour that is none": stays(("2026-01-31 24:00:00", "2026-01-31 08:30:00"), "several kinds"),
    "nanoseconds": stays(("2026-01-31 08:30:00.1234567",), "6 digits"),
    "offsets on some": stays(("2026-01-31 08:30:00", "2026-01-31 08:30:00+02:00"), "several kinds"),
    "American times": typed(
        "TIMESTAMP",
        ("1/31/2026 8:30 PM", "1/1/2026 12:00 AM"),
        (datetime(2026, 1, 31, 20, 30), datetime(2026, 1, 1)),
        "%m/%d/%Y",
    ),
    "an offset in a format that is said": typed(
        "TIMESTAMP WITH TIME ZONE",
        ("01.02.2026 10:00 +0200",),
        (datetime(2026, 2, 1, 8, tzinfo=timezone.utc),),
        timestamp_format="%d.%m.%Y %H:%M %z",
    ),
    "offsets": typed(
        "TIMESTAMP WITH TIME ZONE",
        ("2026-01-31T10:00:00+02:00", "2026-01-31 10:00Z"),
        (
            datetime(2026, 1, 31, 8, tzinfo=timezone.utc),
            datetime(2026, 1, 31, 10, tzinfo=timezone.utc),
        ),
        "not their offsets",
    ),
    "a time of day": typed(
        "TIME", ("08:30:00", "23:59:59.5"), (time(8, 30), time(23, 59, 59, 500000))
    ),
    "a duration": stays(("08:30:00", "24:00:00")),
    "asked for as text": typed(TEXT, ("1", "2.50"), ("1", "2.50"), types={"v": "text"}),
    "zeros that are asked for": typed(
        INT, ("00123", "+7", "5.0"), (123, 7, 5), types={"V": "bigint"}
    ),
    "a decimal that is asked for": typed(
        "DECIMAL(10,1)", ("1.50", "2"), (Decimal("1.5"), Decimal(2)), types={"v": "DECIMAL(10,1)"}
    ),
    "a date as a time that is asked for": typed(
        "TIMESTAMP", ("2026-01-31",), (datetime(2026, 1, 31),), types={"v": "timestamp"}
    ),
    "a UUID that is asked for": Good(
        b"v\n00000000-0000-0000-0000-00000000000g\n",
        {"v": TEXT},
        [("00000000-0000-0000-0000-00000000000g",)],
    ),
}

BAD: Final = {
    "nothing at all": Bad(b"", ("x.csv is empty",)),
    "blank lines only": Bad(b"\n\n\n", ("x.csv is empty",)),
    "skipped to the end": Bad(b"a\n", ("is empty", "--skip"), {"skip": 3}),
    "a short row": Bad(b"a,b\n1,2\n3\n", ("x.csv, line 3: 1 field for 2 columns", "--skip")),
    "a long row": Bad(b"a,b\n1,2\n3,4,5\n", ("x.csv, line 3: 3 fields for 2 columns",)),
    "a long row after ends in quotes": Bad(b'a,b\n1,"x\n\ny"\n3,4,5\n', ("line 5: 3 fields",)),
    "a line of blanks": Bad(b"a,b\n1,2\n  \n", ("x.csv, line 3",)),
    "an unquoted decimal comma": Bad(b"a,b\nx,1,5\ny,2,5\n", ("x.csv, line 2", "--delimiter")),
    "a preamble": Bad(b"Report\nof May\na,b\n1,2\n", ("x.csv, line 3", "--skip")),
    "a quote that does not end": Bad(
        b'a,b\n1,"x\n2,y\n', ("x.csv, line 2", "no proper end", "--quote")
    ),
    "text after a quote": Bad(b'a,b\n1,"x" y\n', ("x.csv, line 2",)),
    "a NUL": Bad(b"a,b\n1,x\0y\n", ("x.csv, line 2: a NUL byte",)),
    "UTF-16 without a mark": Bad(
        "a,b\n1,2\n".encode("utf-16-le"), ("line 1", "--encoding utf-16-le")
    ),
    "cp1252": Bad(b"a,b\n1,caf\xe9 x\n", ("x.csv, line 2, byte 10", "e9 20", "--encoding cp1252")),
    "cp1252 past the first MB": Bad(
        b"a,b\n" + b"1,2\n" * 300_000 + b"1,\xfc\n", ("line 300002, byte 1200007",)
    ),
    "half a character at the end": Bad(b"a,b\n1,x\xc3", ("x.csv, line 2, byte 8", "c3")),
    "a surrogate": Bad(b"a,b\n1,\xed\xa0\x80\n", ("line 2, byte 7",)),
    "half of UTF-16": Bad("a,b\n".encode("utf-16") + b"1", ("x.csv", "utf-16")),
    "not that encoding": Bad("a,ü\n".encode(), ("x.csv, line 1", "ascii"), {"encoding": "ascii"}),
    "an encoding that the mark denies": Bad(
        b"\xef\xbb\xbfa\n1\n", ("mark of utf-8", "cp1252"), {"encoding": "cp1252"}
    ),
    "no encoding": Bad(b"a\n1\n", ("--encoding klingon",), {"encoding": "klingon"}),
    "no text encoding": Bad(b"a\n1\n", ("--encoding base64",), {"encoding": "base64"}),
    "files put together": Bad(
        b"a,b\n1,2\n\xef\xbb\xbfa,b\n3,4\n", ("x.csv, line 3: a byte order mark",)
    ),
    "names twice": Bad(b"a,b,a\n1,2,3\n", ("'a' and 'a'", "--no-header")),
    "names twice but for the case": Bad(b"a,A\n1,2\n", ("'a' and 'A'",)),
    "names or values": Bad(b"x,2020\ny,1\n", ("--header or --no-header", "x, 2020")),
    "day or month": Bad(
        b"d\n01/02/2026\n12/11/2026\n",
        ("column 'd'", "01/02/2026", "--date-format '%d/%m/%Y' or '%m/%d/%Y'", "--type"),
    ),
    "day or month of a time": Bad(
        b"d\n01/02/2026 10:00\n", ("--timestamp-format '%d/%m/%Y %H:%M:%S'",)
    ),
    "no format": Bad(b"d\n1\n", ("--date-format", "%d/%m/%Y"), {"date_format": "%"}),
    "a type that does not fit": Bad(
        b'a,b\n1,"x\ny"\n1.5,z\n',
        ("x.csv, line 4, column 'a': '1.5'", "--type a=INTEGER"),
        {"types": {"a": "int"}},
    ),
    "a decimal that would be rounded": Bad(
        b"a\n1.25\n", ("line 2, column 'a': '1.25'",), {"types": {"a": "DECIMAL(5,1)"}}
    ),
    "a number that is too big": Bad(b"a\n300\n", ("'300'",), {"types": {"a": "TINYINT"}}),
    "a time that would be cut": Bad(
        b"a\n2026-01-01 10:00:00\n", ("'2026-01-01 10:00:00'",), {"types": {"a": "DATE"}}
    ),
    "an offset that would be dropped": Bad(
        b"a\n2026-01-01 10:00:00+02:00\n", ("+02:00",), {"types": {"a": "TIMESTAMP"}}
    ),
    "a type of a column that is not there": Bad(
        b"a\n1\n", ("no column 'z'",), {"types": {"z": "int"}}
    ),
    "a type that is SQL": Bad(
        b"a\n1\n", ("no type of DuckDB",), {"types": {"a": "INT); DROP TABLE x; --"}}
    ),
    "a delimiter of two": Bad(b"a\n1\n", ("--delimiter",), {"delimiter": "||"}),
    "decimal and thousands alike": Bad(b"a\n1\n", ("--thousands",), {"thousands": "."}),
}
