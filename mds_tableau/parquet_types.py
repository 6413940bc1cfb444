"""Knows what Hyper makes of each type that a Parquet file can declare, and what to write instead.

A type is looked at as the file declares it, whoever wrote it; files are read in `parts`, and what
becomes of a mart's own types is decided in `column_rules`. Measured with Hyper API 0.0.26963; the
tests repeat the measurement.
"""

import re
from dataclasses import dataclass
from typing import Final

from mds_tableau.columns import HyperType

CODECS: Final = ("UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD", "LZ4_RAW")
"""Compressions that Hyper reads, in DuckDB's words."""

_INTEGERS: Final = ("SMALL_INT", "INT", "BIG_INT")


@dataclass(frozen=True)
class Field:
    """One column as the footer of a Parquet file declares it, in the words of `parquet_schema`.

    Attributes:
        name: Its name.
        physical: How its values are stored; None for a group of columns.
        length: Bytes of a value of FIXED_LEN_BYTE_ARRAY.
        repetition: REQUIRED, OPTIONAL or REPEATED.
        converted: The older annotation.
        scale: Digits after the point, as the older annotation of a decimal has it.
        precision: Digits in all, likewise.
        logical: The newer annotation, which counts when both are there.
    """

    name: str
    physical: str | None
    length: str | None
    repetition: str | None
    converted: str | None
    scale: int | None
    precision: int | None
    logical: str | None

    def __str__(self) -> str:
        if self._is_nested:
            return self._annotation or "group" if self.physical is None else "REPEATED"
        length = f"({self.length})" if self.length else ""
        return f"{self.physical}{length} {self._annotation}".rstrip()

    @property
    def becomes(self) -> "HyperType | str":
        """Narrowest type that Hyper reads it as without a change; a text says why there is none."""
        if self._is_nested:
            return (
                "is nested, and an extract is flat. Write it as text, for example with to_json, "
                "or as one column for each of its values, or leave it out"
            )
        annotation = self._annotation
        if annotation.startswith("DECIMAL"):
            return self._decimal()
        found = _READ.get((str(self.physical), annotation))
        if found:
            return HyperType(found)
        return _REFUSED.get(annotation or str(self.physical), _UNKNOWN)

    @property
    def _is_nested(self) -> bool:
        return self.physical is None or self.repetition == "REPEATED"

    @property
    def _digits(self) -> tuple[int, int]:
        found = re.search(r"scale=(\d+), precision=(\d+)", self.logical or "")
        if found:
            return int(found[2]), int(found[1])
        return self.precision or 0, self.scale or 0

    @property
    def _annotation(self) -> str:
        found = re.fullmatch(r"(\w+?)Type\((.*)\)", self.logical or "", re.DOTALL)
        if found is None:
            name = {"UTF8": "STRING"}.get(self.converted or "", self.converted or "")
        else:
            name = found[1].upper()
        if name == "DECIMAL":
            return "DECIMAL({},{})".format(*self._digits)
        if found is None:
            return name
        if name == "INT":
            return _integer(found[2])
        if name in {"TIME", "TIMESTAMP"}:
            unit = re.search(r"(MILLIS|MICROS|NANOS)=[^<]", found[2])
            local = "" if "isAdjustedToUTC=1" in found[2] else " local"
            return f"{name}_{unit[1] if unit else ''}{local}"
        return name

    def _decimal(self) -> HyperType | str:
        precision, scale = self._digits
        if not 0 < precision <= 38:
            return "has more digits than an extract holds. Cast it to DECIMAL(38) or fewer digits"
        if self.physical in {"INT32", "INT64"}:
            return HyperType("NUMERIC", precision, scale)
        # of up to 18 digits Hyper reads 8 bytes: of longer ones the first 8, and says nothing
        most = 8 if precision <= 18 else 16
        if self.physical == "FIXED_LEN_BYTE_ARRAY" and 0 < int(self.length or 0) <= most:
            return HyperType("NUMERIC", precision, scale)
        return (
            f"is stored in a way that Hyper misreads or refuses: of {precision} digits it reads "
            f"INT32, INT64 and FIXED_LEN_BYTE_ARRAY of up to {most} bytes. Write it in one of "
            f"these, or cast it to DECIMAL(38,{scale}) in 16 bytes"
        )


def fits(narrowest: HyperType, declared: HyperType) -> bool:
    """Whether Hyper loads what it reads as `narrowest` into a column of type `declared`.

    >>> fits(HyperType("INT"), HyperType("BIG_INT")), fits(HyperType("BIG_INT"), HyperType("INT"))
    (True, False)
    """
    if narrowest.name in _INTEGERS and declared.name in _INTEGERS:
        return _INTEGERS.index(narrowest.name) <= _INTEGERS.index(declared.name)
    if narrowest.name == declared.name == "NUMERIC":
        return narrowest.scale == declared.scale and (narrowest.precision or 0) <= (
            declared.precision or 0
        )
    return narrowest == declared or (narrowest.name, declared.name) == ("TEXT", "GEOGRAPHY")


def _integer(parameters: str) -> str:
    found = re.fullmatch(r"bitWidth=(.{1,2}), isSigned=([01])", parameters, re.DOTALL)
    if found is None:
        return "INT"
    # DuckDB prints the width as the character of that code
    width = int(found[1]) if found[1].isdigit() else ord(found[1][0])
    return f"{'' if found[2] == '1' else 'U'}INT_{width}"


_READ: Final = {
    ("BOOLEAN", ""): "BOOL",
    ("INT32", "INT_8"): "SMALL_INT",
    ("INT32", "INT_16"): "SMALL_INT",
    ("INT32", "UINT_8"): "SMALL_INT",
    ("INT32", ""): "INT",
    ("INT32", "INT_32"): "INT",
    ("INT32", "UINT_16"): "INT",
    ("INT32", "UINT_32"): "BIG_INT",
    ("INT64", ""): "BIG_INT",
    ("INT64", "INT_64"): "BIG_INT",
    ("FLOAT", ""): "DOUBLE",
    ("DOUBLE", ""): "DOUBLE",
    ("BYTE_ARRAY", "STRING"): "TEXT",
    ("INT32", "DATE"): "DATE",
    ("INT64", "TIME_MICROS"): "TIME",
    ("INT64", "TIME_MICROS local"): "TIME",
    # nanoseconds are cut off without a word; `values` looks for them
    **{("INT64", f"TIMESTAMP_{unit}"): "TIMESTAMP_TZ" for unit in ("MILLIS", "MICROS", "NANOS")},
    **{("INT64", f"TIMESTAMP_{unit} local"): "TIMESTAMP" for unit in ("MILLIS", "MICROS", "NANOS")},
}

_UNKNOWN: Final = "is not a type that Hyper reads. Cast it to another one, or leave it out"
_AS_STRING: Final = "Hyper does not read as text. Cast it to a string, annotated as STRING"
_TIME: Final = "Hyper does not read: it reads microseconds in INT64. Cast it to them, or to text"
_SHAPE: Final = "Hyper does not read. Write it as text, for example as WKT, or leave it out"
_BINARY: Final = (
    "is binary, which an extract cannot hold. If it is text, annotate it as STRING (in Spark, cast "
    "it to string); else write it as text, in hex or base64, or leave it out"
)
_REFUSED: Final = {
    "INT96": (
        "is an old form of a timestamp that some engines take for UTC and others for local time. "
        "Write microseconds in INT64: in Spark with "
        "spark.sql.parquet.outputTimestampType=TIMESTAMP_MICROS, in pyarrow without "
        "use_deprecated_int96_timestamps"
    ),
    "BYTE_ARRAY": _BINARY,
    "FIXED_LEN_BYTE_ARRAY": _BINARY,
    "UINT_64": (
        "Hyper does not read. Cast it to DECIMAL(20,0), or to a signed 64-bit integer if it fits"
    ),
    "JSON": _AS_STRING,
    "ENUM": _AS_STRING,
    "BSON": _AS_STRING,
    "UUID": _AS_STRING,
    "FLOAT16": "Hyper does not read. Cast it to a float of 32 or 64 bits",
    "NULL": "has no type at all. Cast it to the type that its values would have",
    "TIME_MILLIS": _TIME,
    "TIME_MILLIS local": _TIME,
    "TIME_NANOS": _TIME,
    "TIME_NANOS local": _TIME,
    "INTERVAL": "Tableau does not have. Write a number of microseconds, or text",
    "GEOMETRY": _SHAPE,
    "GEOGRAPHY": _SHAPE,
}
