"""Opens an Excel workbook (.xlsx, .xlsm), and finds the sheet that is meant.

What is in the sheet belongs to `excel_sheets`.
"""

import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import SEEK_END
from typing import Any, BinaryIO, Final

from defusedxml.ElementTree import iterparse

from mds_tableau.errors import InputError, UsageError
from mds_tableau.inputs.places import Place

_OLE: Final = b"\xd0\xcf\x11\xe0"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_DAMAGED: Final = (
    *(zipfile.BadZipFile, zlib.error, EOFError),
    # a part that is missing, that is no XML of a workbook, or that is encrypted
    *(KeyError, ValueError, RuntimeError),
)
_SAVE: Final = "Save it in Excel as a workbook (.xlsx), or the sheet as 'CSV UTF-8'."


@contextmanager
def opened(place: Place) -> Iterator[tuple[Any, dict[str, tuple[zipfile.ZipFile, str]]]]:
    """Give the workbook of a file, and where the XML of each of its sheets is.

    Raises:
        InputError: It is none, protected by a password, or damaged; also by what is read within.
    """
    from openpyxl.reader.excel import ExcelReader
    from openpyxl.utils.exceptions import InvalidFileException

    with place.path.open("rb") as file:
        _refuse_others(place, file)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader = ExcelReader(file, read_only=True, data_only=True, keep_links=False)
                reader.read()
            _read_texts_again(reader)
            parts = {
                sheet.name: (reader.archive, rel.target)
                for sheet, rel in reader.parser.find_sheets()
            }
            yield reader.wb, parts
        except (*_DAMAGED, InvalidFileException) as error:
            raise InputError(
                f"{place.name} is damaged, or no Excel workbook ({error}). Open it in Excel, and "
                "save it again."
            ) from error
        except SyntaxError as error:  # how XML that is none is told
            raise InputError(f"{place.name} is damaged: {error}. Get it again.") from error


def _read_texts_again(reader: Any) -> None:
    """Put texts as the file has them in place of those that openpyxl made of them.

    It takes `x005F_` out of them, by which a text that looks like an escape is told from one.
    """
    from openpyxl.xml.constants import SHARED_STRINGS

    part = reader.package.find(SHARED_STRINGS)
    if part is None:
        return
    texts: list[str] = []
    with reader.archive.open(part.PartName[1:]) as file:
        for _, element in iterparse(file, events=("end",)):
            if element.tag.rpartition("}")[2] != "si":
                continue
            # a text is whole or in runs, beside which its reading aid in Japanese is none of it
            runs = [one for one in element if one.tag.rpartition("}")[2] in {"t", "r"}]
            texts.append(
                "".join(
                    one.text or ""
                    for run in runs
                    for one in run.iter()
                    if one.tag.rpartition("}")[2] == "t"
                )
            )
            element.clear()
    reader.shared_strings[:] = texts


def _refuse_others(place: Place, file: BinaryIO) -> None:
    start = file.read(2000)
    file.seek(max(0, file.seek(0, SEEK_END) - 20_000))
    end = file.read()
    file.seek(0)
    if start.startswith(_OLE):
        if _ENCRYPTED in file.read():
            raise InputError(
                f"{place.name} is protected by a password, so it cannot be read. Save it without "
                "one: File, Info, Protect Workbook, Encrypt with Password, and leave it empty."
            )
        raise InputError(f"{place.name} is a workbook of Excel 97 to 2003, not read. {_SAVE}")
    if not start.startswith(b"PK"):
        raise InputError(f"{place.name} is no Excel workbook: it begins otherwise. {_SAVE}")
    for mark, what in ((b"xl/workbook.bin", "a binary workbook (.xlsb)"), (b"opendocument", "ODS")):
        if mark in start or mark in end:
            raise InputError(f"{place.name} is {what}, which is not read. {_SAVE}")


def chosen(place: Place, workbook: Any, wanted: str) -> Any:
    """Return the sheet that is asked for, or the only one that is not hidden.

    Raises:
        UsageError: There is none, or there are several; lists them.
    """
    sheets = workbook.worksheets
    if wanted:
        found = [s for s in sheets if s.title == wanted]
        # as Excel does it
        found = found or [s for s in sheets if s.title.casefold() == wanted.casefold()]
    else:
        found = [s for s in sheets if s.sheet_state == "visible"]
    if len(found) == 1:
        return found[0]
    listed = "".join(
        f"\n- {s.title}{'' if s.sheet_state == 'visible' else ' (hidden)'}" for s in sheets
    )
    if wanted:
        raise UsageError(f"{place.name} has no sheet '{wanted}'. There are:{listed}")
    raise UsageError(
        f"{place.name} has {len(found) or 'no'} sheets to choose from; say which with --sheet. "
        f"There are:{listed}"
    )
