"""Loads texts of several columns into a table, each column with the type that keeps its values.

The values of the first rows choose the types; all values are then checked against them in the same
pass that loads them, and only if one does not fit is everything looked at before loading again.
Making files that DuckDB can read belongs to the readers of each format.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import duckdb

from mds_tableau.columns import quote_identifier, quote_text
from mds_tableau.errors import InputError
from mds_tableau.inputs import Loaded, Progress
from mds_tableau.inputs.csv_dialect import glob_safe
from mds_tableau.inputs.csv_errors import SomeFile, check_rows, first_misfit
from mds_tableau.inputs.csv_options import CsvOptions
from mds_tableau.inputs.kinds import TEXT, Kind
from mds_tableau.inputs.places import origin
from mds_tableau.inputs.requested_types import requested_kind, requested_types
from mds_tableau.inputs.text_shapes import Shape, shapes
from mds_tableau.inputs.text_types import Found, find_all
from mds_tableau.inputs.watched import watched

Limit = Callable[[int, Found], Found]
"""Says for a column by its position what it may be at most, when the format knows more."""

_BUFFER: Final = 8 << 20
"""Bytes that DuckDB reads at a time; four times as many take no less time, but memory."""
_WIDE: Final = 500
"""Columns from which looking for what they have in common takes longer than it saves."""
_SAMPLE_ROWS: Final = 2000
_SAMPLE_VALUES: Final = 400_000


def _unlimited(index: int, found: Found) -> Found:
    """Allow everything."""
    return found


class TextTable:
    """One load of files with the same columns; columns are known by their position.

    Attributes:
        files: The files, which the caller may replace by others with the same rows.
        parallel: Whether DuckDB may read a file in several parts at once, which it cannot do with
            some that have ends of lines within quotes.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        files: list[SomeFile],
        csv: CsvOptions,
        types: Mapping[str, str],
        *,
        table: str,
        progress: Progress,
        limit: Limit = _unlimited,
    ) -> None:
        self.connection = connection
        self.files = files
        self.parallel = True
        self.csv = csv
        self.table = table
        self.progress = progress
        self.limit = limit
        self.names = files[0].dialect.names
        self.requested = requested_types(connection, types, self.names)
        self.columns = [f"c{index}" for index in range(len(self.names))]

    def sources(self, line_size: int) -> list[tuple[SomeFile, str]]:
        """Return each file with SQL that selects its texts, as `c0` and so on."""
        return [(file, self._source(file, line_size)) for file in self.files]

    def run(self, line_size: int) -> Loaded:
        """Load the files, whose lines have at most so many bytes."""
        texts = "(" + " UNION ALL ".join(sql for _, sql in self.sources(line_size)) + ")"
        sampled, complete = self._sample(line_size)
        found = self._found(sampled)
        if not complete:
            unsettled = [index for index, one in enumerate(found) if not one.settled]
            found = self._again(texts, sampled, unsettled)
        kinds = self._kinds(found, sampled)
        try:
            self._create(texts, kinds)
        except duckdb.InvalidInputException as error:
            if "another kind: " not in str(error):
                raise
            misfits = self._misfits(texts, kinds)
            self._refuse_requested(misfits, kinds, line_size)
            found = self._again(texts, sampled, misfits)
            kinds = self._kinds(found, sampled)
            self._create(texts, kinds)
        check_rows(self.connection, self.table, self.files)
        for file in self.files:
            file.text.unchanged()
        dropped = self._finish()
        return Loaded(
            quote_identifier(self.table),
            origin([file.text.place for file in self.files]),
            self._notes(found, sampled, dropped),
        )

    def _source(self, file: SomeFile, line_size: int) -> str:
        dialect = file.dialect
        quote = quote_text(dialect.quote)
        places = {name: index for index, name in enumerate(dialect.names)}
        nulls = ", ".join(quote_text(text) for text in self.csv.nulls)
        selected = ", ".join(
            (f"CASE WHEN f{places[name]} NOT IN ({nulls}) THEN f{places[name]} END" if nulls
             else f"f{places[name]}") + f" AS c{index}"
            for index, name in enumerate(self.names)
        )  # fmt: skip
        fields = ", ".join(f"'f{index}': 'VARCHAR'" for index in range(len(self.names)))
        return (
            f"SELECT {selected} FROM read_csv({glob_safe(file.text.path)}, auto_detect = false, "  # noqa: S608
            f"delim = {quote_text(dialect.delimiter)}, quote = {quote}, escape = {quote}, "
            f"header = {dialect.has_header}, skip = {dialect.skip}, comment = '', "
            "strict_mode = true, null_padding = false, ignore_errors = false, "
            "allow_quoted_nulls = false, nullstr = '', hive_partitioning = false, "
            f"parallel = {self.parallel}, max_line_size = {line_size}, "
            f"buffer_size = {max(_BUFFER, 2 * line_size)}, "
            f"columns = {{{fields}}})"
        )

    def _sample(self, line_size: int) -> tuple[list[dict[str, Shape]], bool]:
        """Return the shapes of the first rows, and whether there are no others."""
        most = max(100, min(_SAMPLE_ROWS, _SAMPLE_VALUES // len(self.names)) // len(self.files))
        parts = [f"(FROM ({sql}) LIMIT {most})" for _, sql in self.sources(line_size)]
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE csv_sample AS {' UNION ALL '.join(parts)}"
        ).fetchall()
        rows = self.connection.execute("SELECT count(*) FROM csv_sample").fetchone()
        found = shapes(self.connection, "csv_sample", self.columns, self.csv)
        self.connection.execute("DROP TABLE csv_sample").fetchall()
        return found, rows is not None and rows[0] < most

    def _again(
        self, texts: str, known: list[dict[str, Shape]], columns: Sequence[int]
    ) -> list[Found]:
        """Look at all values of some columns, and return what is found for every column."""
        if columns:
            names = [self.columns[index] for index in columns]
            for index, found in zip(
                columns, shapes(self.connection, texts, names, self.csv), strict=True
            ):
                known[index] = found
        return self._found(known)

    def _found(self, known: Sequence[Mapping[str, Shape]]) -> list[Found]:
        return [self.limit(index, one) for index, one in enumerate(find_all(known, self.csv))]

    def _kinds(self, found: Sequence[Found], known: Sequence[Mapping[str, Shape]]) -> list[Kind]:
        """Return the kind of each column: what was asked for, or else what was found."""
        kinds = []
        ambiguous = []
        for index, (name, one) in enumerate(zip(self.names, found, strict=True)):
            wanted = self.requested.get(index)
            kind = requested_kind(wanted, one, self.csv) if wanted else one.kind
            if one.orders and kind.value == one.kind.value:
                example = next(
                    shape.example for key, shape in known[index].items() if key[0] == "d"
                )
                ambiguous.append(f"- column {name!r}, for example {example!r}: {_either(one)}")
            kinds.append(kind)
        if ambiguous:
            raise InputError(
                f"{origin([file.text.place for file in self.files])}: the day and the month of "
                "dates cannot be told apart, as all of them can be read both ways:\n"
                + "\n".join(ambiguous[:10])
                + "\nSay which it is, or keep the text with --type COLUMN=VARCHAR."
            )
        return kinds

    def _create(self, texts: str, kinds: Sequence[Kind]) -> None:
        selected = ", ".join(
            f"{kind.converted(column)} AS {quote_identifier(name)}"
            for kind, column, name in zip(kinds, self.columns, self.names, strict=True)
        )
        if len(self.names) > _WIDE:
            self.connection.execute("SET disabled_optimizers = 'common_subexpressions'")
        watched(
            self.connection,
            f"CREATE TABLE {quote_identifier(self.table)} AS SELECT {selected} FROM {texts}",  # noqa: S608
            what=f"Reading {origin([file.text.place for file in self.files])}",
            size=sum(file.text.size for file in self.files),
            progress=self.progress,
        )
        self.connection.execute("RESET disabled_optimizers")

    def _misfits(self, texts: str, kinds: Sequence[Kind]) -> list[int]:
        """Return the columns that have a value of another kind."""
        looked = [index for index, kind in enumerate(kinds) if kind.takes]
        counts = ", ".join(
            f"bool_and({kinds[index].fits(self.columns[index])})" for index in looked
        )
        row = self.connection.execute(f"SELECT {counts} FROM {texts}").fetchone()  # noqa: S608
        return [index for index, fits in zip(looked, row or (), strict=True) if not fits]

    def _refuse_requested(
        self, misfits: Sequence[int], kinds: Sequence[Kind], line_size: int
    ) -> None:
        problems = [
            first_misfit(
                self.connection,
                self.sources(line_size),
                self.columns[index],
                self.names[index],
                kinds[index],
                self.requested[index],
            )
            for index in misfits
            if index in self.requested
        ]
        if problems:
            raise InputError("\n".join(problems))

    def _finish(self) -> str:
        """Drop the column that a delimiter at the end of each line makes, and return its name."""
        last = len(self.names) - 1
        unnamed = all(last in file.dialect.unnamed for file in self.files)
        if not unnamed or last == 0:
            return ""
        column, table = quote_identifier(self.names[last]), quote_identifier(self.table)
        row = self.connection.execute(f"SELECT count({column}) FROM {table}").fetchone()  # noqa: S608
        if row and row[0]:
            return ""
        self.connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}").fetchall()
        return self.names[last]

    def _notes(
        self, found: Sequence[Found], known: Sequence[Mapping[str, Shape]], dropped: str
    ) -> tuple[str, ...]:
        notes = [note for file in self.files for note in file.notes]
        for index, (name, one) in enumerate(zip(self.names, found, strict=True)):
            if index in self.requested or name == dropped:
                continue
            if one.note:
                notes.append(f"Column {name!r} {one.note.replace('{name}', name)}.")
            if one.kind is not TEXT and "empty" in known[index]:
                notes.append(f"Column {name!r} has empty texts, which are read as missing values.")
        if len(self.names) == 1 and any(file.text.blank for file in self.files):
            notes.append("A blank line is a row with a missing value, as there is one column.")
        if dropped:
            notes.append("The delimiter at the end of each line makes no column.")
        notes += [
            f"The column without a name is called {self.names[index]!r}."
            for index in self.files[0].dialect.unnamed
            if self.names[index] != dropped
        ]
        return tuple(dict.fromkeys(notes))


def _either(found: Found) -> str:
    day, month = found.orders
    flag = "--timestamp-format" if found.kind.sql_type == "TIMESTAMP" else "--date-format"
    return f"{flag} '{day}' or '{month}'"
