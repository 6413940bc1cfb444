"""Says what to do with Excel files, which are not read.

DuckDB's own reader is an extension that would be downloaded, and a sheet has neither the types of
a table nor its one header.
"""

from collections.abc import Sequence

from mds_tableau.errors import InputError
from mds_tableau.inputs.places import Place


def refuse_excel(places: Sequence[Place]) -> InputError:
    """Return the error for Excel files, which says how to get at their rows."""
    return InputError(
        f"{places[0].name} is an Excel file, which is not read. Save the sheet in Excel as 'CSV "
        "UTF-8' and give that file, or as plain CSV with --encoding cp1252."
    )
