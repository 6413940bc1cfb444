"""What a server makes of a file that is published: unpacking, opening, and adding rows.

The rules about formats and tables belong here; how Hyper is asked stands in `hyperfile`, and
whether the publisher may do it in `contents`. Every refusal is Tableau's catch-all 400011 with the
file's name; the reason goes to the sandbox's log, because a real server keeps it to itself too.
"""

import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from mds_tableau.sandbox import hyperfile
from mds_tableau.sandbox.config import MEGABYTE, SandboxConfig
from mds_tableau.sandbox.errors import ApiError, not_implemented
from mds_tableau.sandbox.hyperfile import UnusableExtract
from mds_tableau.sandbox.store import Store

# Servers up to 2019.4 want one table of this schema and name, those up to 2021.3 any one table.
LAST_WITH_FIXED_NAME = (3, 6)
LAST_WITH_ONE_TABLE = (3, 13)
FIXED_NAME = ("Extract", "Extract")
LARGEST_TDS = 16 * MEGABYTE


@dataclass(frozen=True)
class Content:
    """The files of a revision.

    Attributes:
        extract: The `.hyper`.
        package: The `.tdsx` that it came in; None for a bare `.hyper`.
    """

    extract: Path
    package: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All of its files."""
        return (self.extract, self.package) if self.package else (self.extract,)


def receive(store: Store, file_type: str, label: str, file: Path) -> Content:
    """Returns a published file's content, after looking into it.

    Args:
        store: The sandbox's state.
        file_type: hyper or tdsx.
        label: What error messages call the file.
        file: The file as it was sent; it is part of the content.

    Raises:
        ApiError: 400011; the file is not an extract that this server opens. What was unpacked is
            gone then, the file itself is not.
    """
    extract = file
    try:
        if file_type == "tdsx":
            extract = _unpack(store, file)
        _check(store, extract)
    except BaseException as error:
        if extract != file:
            store.discard([extract])
        if isinstance(error, UnusableExtract):
            raise _refusal(label, error) from error
        raise
    return Content(file) if extract == file else Content(extract, file)


def appended(store: Store, label: str, current: Path, content: Content) -> Content:
    """Returns new content: the current rows and those of a published extract.

    Raises:
        ApiError: 400011, they do not fit together; 501000, extracts are not opened here.
    """
    if not store.config.open_extracts:
        raise not_implemented("append=true without opening extracts (open_extracts)")
    result = store.stage()
    try:
        shutil.copyfile(current, result)
        store.hyper.append(result, content.extract)
    except BaseException as error:
        store.discard([result])
        if isinstance(error, UnusableExtract):
            raise _refusal(label, error) from error
        raise
    return Content(result)


def _refusal(label: str, error: UnusableExtract) -> ApiError:
    detail = f"There was a problem publishing the file '{label}'."
    return ApiError(400011, detail, reason=str(error))


def _check(store: Store, extract: Path) -> None:
    config = store.config
    version = hyperfile.file_version(extract)
    if not config.open_extracts:
        return
    if version > config.newest_file_version:
        raise UnusableExtract(
            f"its file version is {version}, and Tableau Server {config.product_version} opens"
            f" versions up to {config.newest_file_version}"
        )
    _check_tables(config, store.hyper.names(extract))


def _check_tables(config: SandboxConfig, tables: list[tuple[str, str]]) -> None:
    if not tables:
        raise UnusableExtract("it has no table")
    if config.version <= LAST_WITH_ONE_TABLE and len(tables) > 1:
        raise UnusableExtract(
            f"it has {len(tables)} tables, and Tableau Server {config.product_version} takes one"
        )
    if config.version <= LAST_WITH_FIXED_NAME:
        [table] = tables
        if table != FIXED_NAME:
            raise UnusableExtract(
                f"its table is {'.'.join(table)}, and Tableau Server"
                f" {config.product_version} takes Extract.Extract only"
            )


def _unpack(store: Store, package: Path) -> Path:
    """Returns the one extract of a packaged data source, as a staged file."""
    try:
        with zipfile.ZipFile(package) as archive:
            names = archive.namelist()
            descriptions = [name for name in names if name.lower().endswith(".tds")]
            extracts = [name for name in names if name.lower().endswith(".hyper")]
            if len(descriptions) != 1:
                raise UnusableExtract(f"the package has {len(descriptions)} .tds files, not one")
            _check_description(archive, descriptions[0])
            if len(extracts) != 1:
                raise not_implemented(f"publishing a .tdsx with {len(extracts)} .hyper files")
            return _extracted(store, archive, extracts[0])
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, zlib.error) as error:
        raise UnusableExtract(f"the package cannot be read: {error}") from error


def _check_description(archive: zipfile.ZipFile, name: str) -> None:
    if archive.getinfo(name).file_size > LARGEST_TDS:
        raise UnusableExtract(f"{name} is larger than {LARGEST_TDS // MEGABYTE} MB")
    try:
        root = fromstring(archive.read(name), forbid_dtd=True)
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
        raise UnusableExtract(f"{name} is not well-formed XML: {error}") from error
    if root.tag != "datasource":
        raise UnusableExtract(f"{name} holds a <{root.tag}>, not a <datasource>")


def _extracted(store: Store, archive: zipfile.ZipFile, name: str) -> Path:
    target = store.stage()
    try:
        with archive.open(name) as source, target.open("xb") as file:
            shutil.copyfileobj(source, file, MEGABYTE)
    except BaseException:
        store.discard([target])
        raise
    return target
