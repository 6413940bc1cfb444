"""The types of DuckDB, each way that a column of one can go, and what is expected of it.

Expectations are written by hand, as text: none is computed by DuckDB or by the code under test.
"""

from tests.type_cases import Case, Refused, Sql, Values, same
from tests.types_of_time import CLOCK_TIMES, DATES, INTERVALS, MOMENTS, NANOS, WITH_ZONE

TEXT = "::VARCHAR"
DIGITS = "digits beyond 15 to 17"
GEOGRAPHY = (
    "digits beyond 7 decimals, Z and M; long edges get points in between; longitudes beyond "
    "180 degrees go round; WGS 84 only"
)
CLOCK = "the zone of moments within: a table's are in UTC, a view's in that of dbt"
MAX_64, MIN_64 = str(2**63 - 1), str(-(2**63))
NINES = "9" * 38
THROUGH = "CAST(CAST(… AS VARCHAR)"
INSTEAD = " (NULL instead)"
ORDER = "the order of its values"
WITHIN = "the types within"
TOP: Values = {MAX_64: "9223372036854775807", "9007199254740993": "9007199254740992"}
"""Integers that a DOUBLE rounds; as floats, the texts of both sides are the same number."""


def _plain() -> list[Case]:
    found = []
    for sql, hyper, values in (
        ("BOOLEAN", "BOOL", ("true", "false")),
        ("TINYINT", "SMALL_INT", ("-128", "0", "127")),
        ("SMALLINT", "SMALL_INT", ("-32768", "0", "32767")),
        ("UTINYINT", "SMALL_INT", ("0", "128", "255")),
        # neighbours further apart than 2^31, which Parquet V2 of DuckDB 2.0.0 spoils
        ("INTEGER", "INT", ("3", "-2147483648", "2147483647", "0")),
        ("USMALLINT", "INT", ("0", "32768", "65535")),
        ("BIGINT", "BIG_INT", (MIN_64, "0", "9007199254740993", MAX_64)),
        ("UINTEGER", "BIG_INT", ("0", "2147483648", "4294967295")),
    ):
        found += [
            Case(sql, hyper, same(*values)),
            Case(sql, "TEXT", same(*values), "as: text", TEXT),
        ]
    return found


def _numbers() -> list[Case]:
    found = []
    for sql, word, cast, hyper, values in (
        ("BIGINT", "double", "DOUBLE", "DOUBLE", TOP),
        ("BIGINT", "numeric(19,0)", "DECIMAL(19,0)", "NUMERIC(19,0)", same(MIN_64, "0", MAX_64)),
        ("BIGINT", "numeric(6,2)", "DECIMAL(6,2)", "NUMERIC(6,2)", {"-9999": "-9999.00"}),
        ("UINTEGER", "double", "DOUBLE", "DOUBLE", same("4294967295")),
        ("UINTEGER", "numeric(9,0)", "DECIMAL(9,0)", "NUMERIC(9,0)", same("999999999")),
        ("UINTEGER", "numeric(10,0)", "DECIMAL(10,0)", "NUMERIC(10,0)", same("4294967295")),
        ("HUGEINT", "", "BIGINT", "BIG_INT", same(MIN_64, "9007199254740993", MAX_64)),
        ("HUGEINT", "bigint", "BIGINT", "BIG_INT", same(MIN_64, MAX_64)),
        ("HUGEINT", "numeric", "DECIMAL(38,0)", "NUMERIC(38,0)", same("-" + NINES, "0", NINES)),
        ("HUGEINT", "numeric(12,2)", "DECIMAL(12,2)", "NUMERIC(12,2)", {"-9999": "-9999.00"}),
        ("HUGEINT", "double", "DOUBLE", "DOUBLE", {**TOP, str(2**126): str(2**126)}),
        ("HUGEINT", "text", "VARCHAR", "TEXT", same(str(-(2**127)), str(2**127 - 1))),
        ("UHUGEINT", "", "DECIMAL(38,0)", "NUMERIC(38,0)", same("0", "9007199254740993", NINES)),
        ("UHUGEINT", "bigint", "BIGINT", "BIG_INT", same("0", MAX_64)),
        ("UHUGEINT", "numeric", "DECIMAL(38,0)", "NUMERIC(38,0)", same(NINES)),
        ("UHUGEINT", "numeric(18,0)", "DECIMAL(18,0)", "NUMERIC(18,0)", same("9" * 18)),
        ("UHUGEINT", "double", "DOUBLE", "DOUBLE", {**TOP, str(2**127): str(2**127)}),
        ("UHUGEINT", "text", "VARCHAR", "TEXT", same("0", str(2**128 - 1))),
        ("UBIGINT", "", "DECIMAL(20,0)", "NUMERIC(20,0)", same("0", str(2**64 - 1))),
        ("UBIGINT", "bigint", "BIGINT", "BIG_INT", same("0", MAX_64)),
        ("UBIGINT", "numeric", "DECIMAL(20,0)", "NUMERIC(20,0)", same(str(2**64 - 1))),
        ("UBIGINT", "numeric(18,0)", "DECIMAL(18,0)", "NUMERIC(18,0)", same("9" * 18)),
        ("UBIGINT", "double", "DOUBLE", "DOUBLE", TOP),
        ("UBIGINT", "text", "VARCHAR", "TEXT", same(str(2**64 - 1))),
        (
            "DECIMAL(9,0)",
            "numeric(18,9)",
            "DECIMAL(18,9)",
            "NUMERIC(18,9)",
            {"-1": "-1." + "0" * 9},
        ),
    ):
        asked = f"as: {word}" if word else ""
        loses = DIGITS if cast == "DOUBLE" else ""
        found.append(Case(sql, hyper, values, asked, cast and f"::{cast}", loses))
    return found


def _decimals() -> list[Case]:
    found = []
    for precision, scale, values in (
        (9, 0, same("-999999999", "0", "999999999")),
        (4, 1, same("-999.9", "-0.1", "0.0", "999.9")),
        (9, 9, same("-0.999999999", "-0.050000000", "0.000000001")),
        (18, 2, same("-9999999999999999.99", "-0.05", "9999999999999999.99")),
        (19, 4, same("-999999999999999.9999", "-0.0001", "0.0000")),
        (38, 0, same(MIN_64, "0", MAX_64)),
        (38, 2, same("-9999999999999999.99", "-0.05", "0.01")),
        (38, 38, same(f"-0.{NINES}", f"0.{'0' * 37}1")),
    ):
        sql, wide = f"DECIMAL({precision},{scale})", f"(38,{scale})"
        edge = same(f"-{NINES[scale:]}.{NINES[:scale]}".strip(".")) if precision == 38 else {}
        edges = {**values, **edge}
        # DuckDB writes no zero before the point where a type has no digit there
        texts: Values = {
            key: key.replace("0.", ".") if precision == scale else key for key in edges
        }
        found += [
            Case(sql, f"NUMERIC({precision},{scale})", edges),
            Case(
                *(sql, f"NUMERIC{wide}", values, f"as: numeric{wide}"),
                f"::DECIMAL{wide}",
            ),
            Case(sql, "DOUBLE", values, "as: double", "::DOUBLE", DIGITS),
            Case(sql, "TEXT", texts, "as: text", TEXT),
        ]
        if scale == 0:
            found.append(Case(sql, "BIG_INT", values, "as: bigint", "::BIGINT"))
    narrow = same("-9999999999999999.99", "-0.05")
    return [
        *found,
        Case("DECIMAL(38,2)", "NUMERIC(18,2)", narrow, "as: numeric(18,2)", "::DECIMAL(18,2)"),
        Case(
            *("DECIMAL(38,2)", "NUMERIC(38,3)", {"0.25": "0.250"}),
            *("as: numeric(38,3)", "::DECIMAL(38,3)"),
        ),
    ]


# no 0.0 beside the -0.0: Hyper keeps one of the two signs when a column has both
ODD_FLOATS = same("nan", "inf", "-inf", "-0.0", "3.4028234663852886e+38")
FLOATS: Values = {**ODD_FLOATS, "1e-45": "1.401298464324817e-45", "0.1": "0.10000000149011612"}
DOUBLES = {**ODD_FLOATS, **same("5e-324", "1.7976931348623157e+308", "0.1", "-1e-310")}
NO_FLOATS: Values = {"nan": None, "inf": None, "-inf": None}
LONG = "-" + "123456789" * 20
ODD_NUMBERS = [
    Case("BIGNUM", "TEXT", same("0", "-1", LONG), "", TEXT),
    Case("BIGNUM", "TEXT", same("0", "-1", LONG), "as: text", TEXT),
    Case("BIGNUM", "BIG_INT", same(MIN_64, MAX_64), "as: bigint", f"{THROUGH} AS BIGINT)"),
    Case(
        *("BIGNUM", "NUMERIC(38,0)", same("-" + NINES, "0", NINES), "as: numeric"),
        f"{THROUGH} AS DECIMAL(38,0))",
    ),
    Case(
        *("BIGNUM", "NUMERIC(6,2)", {"-9999": "-9999.00"}, "as: numeric(6,2)"),
        f"{THROUGH} AS DECIMAL(6,2))",
    ),
    Case("BIGNUM", "DOUBLE", {**TOP, LONG: LONG}, "as: double", f"{THROUGH} AS DOUBLE)", DIGITS),
    Case("FLOAT", "DOUBLE", FLOATS, "", "::DOUBLE"),
    Case(
        *("FLOAT", "DOUBLE", {**FLOATS, **NO_FLOATS}, "infinity: null"),
        "CASE WHEN isfinite(…) THEN CAST(… AS DOUBLE) END",
        f"infinity and NaN{INSTEAD}",
    ),
    Case("FLOAT", "TEXT", same("nan", "-inf", "-0.0", "0.1", "1e-45"), "as: text", TEXT),
    Case("DOUBLE", "DOUBLE", DOUBLES),
    Case(
        *("DOUBLE", "DOUBLE", {**DOUBLES, **NO_FLOATS}, "infinity: null"),
        *("CASE WHEN isfinite(…) THEN … END", f"infinity and NaN{INSTEAD}"),
    ),
    Case("DOUBLE", "TEXT", same("nan", "inf", "-0.0", "0.1", "5e-324"), "as: text", TEXT),
]

CHARACTERS = same(
    *("", " ", "NULL", "ends with spaces  ", 'it\'s "quoted", \\ and ; -- '),
    *("zażółć gęślą jaźń", "👩‍👩‍👧‍👦", "\uffff", "\U0010ffff", "\r\n\t"),
    "e\u0301",  # combining, must not be normalised
    "a\0b",
    "\ufeffafter a byte order mark",
    "x" * 1_000_000,
)
POINTS: Values = {
    "POINT (1.5 -2.25)": "POINT(1.5000000 -2.2500000)",
    "POINT (0.12345678 1)": "POINT(0.1234568 1.0000000)",
    "POINT Z (1 2 3)": "POINT(1.0000000 2.0000000)",
    "POINT (500 1)": "POINT(140.0000000 1.0000000)",
}
JSONS = same('{"a": [1, null, "é"]}', "null", '"x"')
UUIDS = same(f"{'0' * 8}-0000-0000-0000-{'0' * 12}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
BYTES = {"": "", "\\x00\\xFF": "00FF", "a": "61"}
TEXTS = [
    Case("VARCHAR", "TEXT", CHARACTERS),
    Case("VARCHAR", "TEXT", CHARACTERS, "as: text", TEXT),
    Case("VARCHAR", "GEOGRAPHY", POINTS, "as: geography", "", GEOGRAPHY),
    *(
        Case("ENUM('b', 'a''s ]', '')", "TEXT", same("b", "a's ]", ""), asked, TEXT, ORDER)
        for asked in ("", "as: text")
    ),
    *(Case("JSON", "TEXT", JSONS, asked, TEXT) for asked in ("", "as: text", "as: json")),
    *(Case("BIT", "TEXT", same("0", "1", "0010101"), asked, TEXT) for asked in ("", "as: text")),
    *(Case("UUID", "TEXT", UUIDS, asked, TEXT) for asked in ("", "as: text")),
    *(
        Case("TYPE", "TEXT", {Sql("get_type(1::DECIMAL(9,2))"): "DECIMAL(9,2)"}, asked, TEXT)
        for asked in ("", "as: text")
    ),
    Case('"NULL"', "TEXT", {}, "as: text", TEXT),
    Case("BLOB", "TEXT", BYTES, "as: hex", "hex(…)"),
    Case("BLOB", "TEXT", {"": "", "\\x00\\xFF": "AP8="}, "as: base64", "base64(…)"),
    Case("GEOMETRY", "TEXT", same(*POINTS, "POINT EMPTY"), "as: wkt", "ST_AsText(…)"),
    Case("GEOMETRY", "GEOGRAPHY", POINTS, "as: geography", "ST_AsText(…)", GEOGRAPHY),
]

_NESTED: list[tuple[str, str, Values]] = [
    ("BIGINT[]", WITHIN, {"[]": "[]", f"[{MAX_64}, NULL]": f"[{MAX_64},null]"}),
    ("DATE[3]", WITHIN, {"[2026-01-31, NULL, infinity]": '["2026-01-31",null,"infinity"]'}),
    (
        "DECIMAL(38,2)[][]",
        WITHIN,
        {f"[[-0.05], [{NINES[2:]}.99]]": f"[[-0.05],[{NINES[2:]}.99]]"},
    ),
    ("DOUBLE[]", WITHIN, {"[nan, -inf, 0.1]": "[NaN,-Infinity,0.1]"}),
    (
        "STRUCT(a INTEGER, b VARCHAR[])",
        WITHIN,
        {"{a: 1, b: [x, NULL]}": '{"a":1,"b":["x",null]}'},
    ),
    ("MAP(VARCHAR, INTEGER)", WITHIN, {"{}": "{}", "{k=1, 'a b'=NULL}": '{"k":1,"a b":null}'}),
    (
        "UNION(number INTEGER, words VARCHAR)",
        WITHIN,
        {
            Sql("union_value(number := 1)"): '{"number":1}',
            Sql("union_value(words := '1')"): '{"words":"1"}',
        },
    ),
    ("TUPLE(INTEGER, VARCHAR)", WITHIN, {Sql("row(1, 'a')"): '[1,"a"]'}),
    ("VARIANT", f"{WITHIN}, {CLOCK}", {Sql("{'a': 1}::VARIANT"): '{"a":1}', Sql("5"): "5"}),
    (
        "TIMESTAMP WITH TIME ZONE[]",
        f"{WITHIN}, {CLOCK}",
        {"[2026-07-01 12:00:00+02]": '["2026-07-01 10:00:00+00"]'},
    ),
]
NESTED = [
    Case(sql, "TEXT", values, "as: json", "CAST(to_json(…) AS VARCHAR)", loses)
    for sql, loses, values in _NESTED
]

CASES = [
    *_plain(),
    *_numbers(),
    *_decimals(),
    *ODD_NUMBERS,
    *TEXTS,
    *DATES,
    *CLOCK_TIMES,
    *MOMENTS,
    *NANOS,
    *WITH_ZONE,
    *INTERVALS,
    *NESTED,
]
"""Everything that a column may become."""

_JSON = "Hyper reads no nested values. Ask for as: json"
REFUSED = [
    Refused("BLOB", "Tableau has no type for bytes. Ask for as: hex or as: base64"),
    Refused("GEOMETRY", "Tableau reads no well-known binary. Ask for as: wkt or as: geography"),
    Refused(
        "INTERVAL",
        "Tableau has no such type. Ask for as: seconds or as: microseconds or as: text",
    ),
    *(Refused(case.sql, _JSON) for case in NESTED),
    Refused(
        '"NULL"',
        "It has no type at all; the model can give it one: CAST(NULL AS VARCHAR). Ask for as: text",
    ),
]
"""Types that have no default."""

VIEW_ONLY = {"TYPE", '"NULL"', "TUPLE(INTEGER, VARCHAR)"}
"""Types that no column of a table can be declared with."""
