"""The SQL that DuckDB reads Parquet files with: these and no others, whatever they are called.

Only texts are made here. What is in the files is looked at in `parts`.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from mds_tableau.columns import quote_text
from mds_tableau.errors import ExtractError

_PATTERN: Final = re.compile(r"[*?\[]")


def parts_relation(paths: Sequence[Path]) -> str:
    """Return the SQL by which DuckDB reads these files, and no others, as one relation.

    Columns are matched by name, and take the widest type that a file has for them.

    Raises:
        ExtractError: DuckDB has no way to name one of the files.

    >>> print(parts_relation([Path("it's/part-[0].parquet")]))
    read_parquet(['it''s/part-[[]0].parquet'], union_by_name = true, hive_partitioning = false)
    """
    return f"read_parquet({quote_paths(paths)}, union_by_name = true, hive_partitioning = false)"


def quote_paths(paths: Iterable[Path]) -> str:
    """Return the SQL list by which DuckDB reads these files, and no others.

    Raises:
        ExtractError: DuckDB has no way to name one of the files.
    """
    return f"[{', '.join(map(_literal, paths))}]"


def _literal(path: Path) -> str:
    """Quote a path so that DuckDB takes it for one file, although it takes paths for patterns."""
    text = direct_path(path).as_posix()
    if not _PATTERN.search(text):
        return quote_text(text)
    if "\\" in text:
        raise ExtractError(
            f"DuckDB cannot read {path}: of the characters *, ? and [ there may be none in a path "
            "that has a backslash in it. Rename the file or its folder."
        )
    return quote_text(_PATTERN.sub(r"[\g<0>]", text))


def direct_path(path: Path) -> Path:
    """Return a path without `..`, which DuckDB takes out by itself as if there were no links."""
    return path.resolve() if ".." in path.parts else path
