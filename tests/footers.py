"""Rewrites the footer of a Parquet file, to declare what the writers at hand do not write.

A footer is a Thrift structure in the compact protocol; here a structure is a dict of field number
to (type, value), and a list is (type of its elements, elements).
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

Struct = dict[int, tuple[int, Any]]

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 12


def edit(path: Path, change: Callable[[Struct], object]) -> None:
    """Read the footer of the file at `path`, have it changed, and write it back."""
    content = path.read_bytes()
    [size] = struct.unpack("<I", content[-8:-4])
    footer = _Reader(content[-8 - size : -8]).value(STRUCT)
    change(footer)
    written = _written(STRUCT, footer)
    path.write_bytes(content[: -8 - size] + written + struct.pack("<I", len(written)) + b"PAR1")


def annotate(
    converted: int | None = None, logical: Struct | None = None, **digits: int
) -> Callable[[Struct], None]:
    """A change of the first column's annotations: the older and the newer one, by their numbers."""

    def change(footer: Struct) -> None:
        column = footer[2][1][1][1]
        for field in (6, 7, 8, 10):
            column.pop(field, None)
        if converted is not None:
            column[6] = (I32, converted)
        if digits:
            column.update({7: (I32, digits["scale"]), 8: (I32, digits["precision"])})
        if logical is not None:
            column[10] = (STRUCT, logical)

    return change


def decimal(precision: int, scale: int) -> Callable[[Struct], None]:
    """A change of the first column into a decimal."""
    logical = {5: (STRUCT, {1: (I32, scale), 2: (I32, precision)})}
    return annotate(5, logical, precision=precision, scale=scale)


def compress(codec: int) -> Callable[[Struct], None]:
    """A change of what the first column claims to be compressed with."""

    def change(footer: Struct) -> None:
        chunk = footer[4][1][1][0][1][1][1][0]
        chunk[3][1][4] = (I32, codec)

    return change


def repeat(footer: Struct) -> None:
    """Make the first column a list without a group, as old writers do."""
    footer[2][1][1][1][3] = (I32, 2)


def pad(length: int) -> Callable[[Struct], None]:
    """A change that puts some 16 MB of values into the footer, and one of this length."""

    def change(footer: Struct) -> None:
        values = [*(1000,) * 16_000, length]
        pairs = [{1: (BINARY, b"k"), 2: (BINARY, b"x" * value)} for value in values]
        footer[5] = (LIST, (STRUCT, pairs))

    return change


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def value(self, kind: int) -> Any:
        if kind == BYTE:
            return self._take(1)[0]
        if kind in {I16, I32, I64}:
            number = self._number()
            return (number >> 1) ^ -(number & 1)
        if kind == DOUBLE:
            return self._take(8)
        if kind == BINARY:
            return self._take(self._number())
        if kind == LIST:
            return self._list()
        return self._struct()

    def _list(self) -> tuple[int, list[Any]]:
        head = self._take(1)[0]
        count, kind = head >> 4, head & 15
        count = self._number() if count == 15 else count
        boolean = kind in {TRUE, FALSE}
        return kind, [
            self._take(1)[0] == TRUE if boolean else self.value(kind) for _ in range(count)
        ]

    def _struct(self) -> Struct:
        found: Struct = {}
        field = 0
        while head := self._take(1)[0]:
            field = field + (head >> 4) if head >> 4 else self.value(I16)
            kind = head & 15
            found[field] = (kind, kind == TRUE if kind in {TRUE, FALSE} else self.value(kind))
        return found

    def _take(self, count: int) -> bytes:
        self._at += count
        return self._content[self._at - count : self._at]

    def _number(self) -> int:
        number = shift = 0
        while True:
            byte = self._take(1)[0]
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number


def _written(kind: int, value: Any) -> bytes:
    if kind == BYTE:
        return bytes([value])
    if kind in {I16, I32, I64}:
        return _number((value << 1) ^ (value >> 63))
    if kind == DOUBLE:
        return bytes(value)
    if kind == BINARY:
        return _number(len(value)) + bytes(value)
    if kind == LIST:
        return _written_list(*value)
    return _written_struct(value)


def _written_list(kind: int, values: list[Any]) -> bytes:
    short = len(values) < 15
    head = bytes([len(values) << 4 | kind]) if short else bytes([0xF0 | kind])
    if kind in {TRUE, FALSE}:
        content = bytes(TRUE if value else FALSE for value in values)
    else:
        content = b"".join(_written(kind, value) for value in values)
    return head + (b"" if short else _number(len(values))) + content


def _written_struct(fields: Struct) -> bytes:
    written, last = b"", 0
    for field, (kind, value) in sorted(fields.items()):
        boolean = kind in {TRUE, FALSE}
        head = (TRUE if value else FALSE) if boolean else kind
        near = field - last < 16
        written += bytes([(field - last) << 4 | head]) if near else bytes([head])
        written += b"" if near else _written(I16, field)
        written += b"" if boolean else _written(kind, value)
        last = field
    return written + b"\0"


def _number(value: int) -> bytes:
    written = b""
    while value > 127:
        written += bytes([value & 127 | 128])
        value >>= 7
    return written + bytes([value])
