"""Loads files of JSON lines: one object on each line, whose keys are the columns.

Written as CSV for the same load, as DuckDB's reader of JSON makes a DOUBLE of numbers with more
digits, and leaves out keys that its sample did not have. Types belong to `text_table`.
"""

import codecs
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import duckdb

from mds_tableau.errors import InputError
from mds_tableau.inputs import Loaded, Progress, kinds
from mds_tableau.inputs.csv_bytes import TextFile, open_lines, stamp
from mds_tableau.inputs.csv_dialect import Dialect
from mds_tableau.inputs.csv_errors import SomeFile
from mds_tableau.inputs.csv_files import run
from mds_tableau.inputs.csv_options import CsvOptions
from mds_tableau.inputs.places import CHUNK, Place, origin, spool_folder
from mds_tableau.inputs.text_table import TextTable
from mds_tableau.inputs.text_types import Found

_OF_TIME: Final = (kinds.DATE, kinds.TIMESTAMP, kinds.TIMESTAMPTZ, kinds.TIME)


def load_json_lines(
    connection: duckdb.DuckDBPyConnection,
    places: Sequence[Place],
    types: Mapping[str, str],
    *,
    table: str,
    progress: Progress,
) -> Loaded:
    """Load the objects of files of JSON lines into a new table.

    A key that an object does not have is a missing value. Objects and lists stay JSON text.

    Raises:
        InputError: A line is no JSON object, has a key twice, or a value is not of the type asked
            for.
    """
    with tempfile.TemporaryDirectory(dir=spool_folder(connection), prefix="json-") as folder:
        path = Path(folder) / "rows.csv"
        writer = _Writer(places, progress)
        writer.write(path)
        if writer.grew:
            writer.write(path)
        names = tuple(writer.columns)
        if not names:
            raise InputError(f"{origin(places)} has no line with a key.")
        _refuse_doubles(places, names)
        stamped = stamp(path)
        place = places[0] if len(places) == 1 else Place(path, origin(places))
        text = TextFile(
            place, path, "utf-8", writer.rows, (0, 0), True, False, True, stamped[0], stamped
        )
        file = SomeFile(
            text, Dialect(",", '"', names, (), False, 0, 0, ()), row_lines=len(places) == 1
        )
        table_load = TextTable(
            connection, [file], CsvOptions(), types, table=table, progress=progress,
            limit=writer.limit,
        )  # fmt: skip
        return replace(run(table_load, Path(folder)), origin=origin(places))


def _refuse_doubles(places: Sequence[Place], names: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower() if name.isascii() else name, name)
        if other != name or not name:
            raise InputError(
                f"{origin(places)}: the keys {other!r} and {name!r} are not told apart as names "
                "of columns, or are empty; give them other names."
            )


class _Number(str):
    """The text of a number, as the file has it."""

    __slots__ = ()


class _Writer:
    """Writes objects as CSV: texts in quotes, all else without, and nothing for a missing value."""

    def __init__(self, places: Sequence[Place], progress: Progress) -> None:
        self.columns: dict[str, set[str]] = {}
        self.grew = False
        self.rows = 0
        self._places = places
        self._progress = progress

    def write(self, path: Path) -> None:
        self.grew, self.rows = False, 0
        with path.open("w", encoding="utf-8", newline="") as out:
            for place in self._places:
                for number, row in _objects(place, self._progress):
                    known = len(self.columns)
                    out.write(self._line(place, number, row))
                    # rows before lack a field for a key that is new
                    self.grew |= self.rows > 0 and known < len(self.columns)
                    self.rows += 1

    def _line(self, place: Place, number: int, row: Mapping[str, Any]) -> str:
        for name, value in row.items():
            if value is not None:
                self.columns.setdefault(name, set()).add(_class(value))
            elif name not in self.columns:
                self.columns[name] = set()
        line = ",".join([_field(row.get(name)) for name in self.columns])
        if "\0" in line or not _encodable(line):
            raise InputError(
                f"{place.name}, line {number}: a text has a NUL or half a surrogate pair, which no "
                "extract can hold; take it out."
            )
        # a missing value alone would be a blank line
        return line + "\n"

    def limit(self, index: int, found: Found) -> Found:
        """Keep texts of JSON as text, other than dates and times in ISO 8601."""
        classes = list(self.columns.values())[index]
        if classes <= {"number"} or classes == {"boolean"}:
            return found
        if classes == {"text"}:
            return found if found.kind in _OF_TIME else Found()
        if classes == {"nested"}:
            return Found(note="has objects or lists, which stay JSON text")
        return Found(note=f"stays text: it has values of several kinds ({_listed(classes)})")


def _listed(classes: set[str]) -> str:
    return ", ".join(sorted(classes))


def _class(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, _Number):
        return "number"
    return "text" if isinstance(value, str) else "nested"


def _field(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (bool, _Number)):
        return _json(value)
    text = value if isinstance(value, str) else _json(value)
    return '"' + text.replace('"', '""') + '"'


def _json(value: object) -> str:
    """Return JSON with the numbers as they were."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_json(key)}:{_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _objects(place: Place, progress: Progress) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each line that is not blank, and the object on it."""
    size, done = place.path.stat().st_size, 0
    decoder = json.JSONDecoder(
        parse_int=_Number, parse_float=_Number, parse_constant=_refuse, object_pairs_hook=_object
    )
    with open_lines(place) as lines:
        for number, line in enumerate(lines, start=1):
            done += len(line)
            if done // CHUNK != (done - len(line)) // CHUNK:
                progress(f"Reading {place.name}", min(done, size), size)
            content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if not content.strip():
                continue
            try:
                value = decoder.decode(content.decode())
            except ValueError as error:
                raise InputError(f"{place.name}, line {number}: {_reason(error)}") from error
            if not isinstance(value, dict):
                raise InputError(
                    f"{place.name}, line {number}: {content[:60].decode()!r} is no JSON object; "
                    'each line must be one, such as {"id": 1}.'
                )
            yield number, value


def _reason(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} of the line is no UTF-8; JSON lines must be."
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON: {error.msg} at character {error.colno}. Each line must be one object."
    return f"{error}."


def _refuse(text: str) -> object:
    raise ValueError(f"{text} is no value of JSON; write null, or a text")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {double!r} is there twice in one object")
    return found
