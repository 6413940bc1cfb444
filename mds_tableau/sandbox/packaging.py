"""The .tdsx that a download of a published .hyper is: a zip of a generated .tds and the extract.

The layout of that file belongs here; who may download what does not. The layout is that of files
which Tableau's own programs write; that Tableau Desktop opens ours has not been tried.
"""

import re
import shutil
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

EXTRACTS = "Data/Extracts"


def write_tdsx(target: Path, name: str, extract: Path | None) -> None:
    """Writes a packaged data source.

    Args:
        target: The file to write.
        name: Name of the data source.
        extract: The `.hyper` to pack; None leaves it out.
    """
    member = f"{EXTRACTS}/{_file_name(name)}.hyper"
    # Hyper has compressed its data already; packing it again costs much time and saves little.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as package:
        package.writestr(f"{_file_name(name)}.tds", _tds(name, member))
        if extract is not None:
            package.write(extract, member)


def copy_tdsx(target: Path, source: Path, *, with_extract: bool) -> None:
    """Writes a packaged data source anew, with or without the extract in it.

    Args:
        target: The file to write.
        source: The packaged data source.
        with_extract: Whether its `.hyper` files are copied as well.
    """
    if with_extract:
        shutil.copyfile(source, target)
        return
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            if not member.filename.lower().endswith(".hyper"):
                new.writestr(member, old.read(member))


def _file_name(name: str) -> str:
    """Returns the name without what archives and file systems give a meaning to."""
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", name).strip(". ") or "datasource"


def _tds(name: str, member: str) -> bytes:
    root = ET.Element("datasource", {"formatted-name": name, "inline": "true", "version": "18.1"})
    federated = ET.SubElement(root, "connection", {"class": "federated"})
    named = ET.SubElement(federated, "named-connections")
    connection = ET.SubElement(named, "named-connection", {"caption": name, "name": "hyper.0"})
    ET.SubElement(
        connection,
        "connection",
        {"class": "hyper", "dbname": member, "schema": "Extract", "tablename": "Extract"},
    )
    ET.SubElement(
        federated,
        "relation",
        {
            "connection": "hyper.0",
            "name": "Extract",
            "table": "[Extract].[Extract]",
            "type": "table",
        },
    )
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document
