"""Takes the extract out of what a server sends of a datasource: a `.tdsx`, which is a zip.

Downloading belongs to `tableau`.
"""

import shutil
import zipfile
import zlib
from pathlib import Path

from mds_tableau.errors import ExtractError


def take_extract(package: Path, target: Path, *, what: str) -> None:
    """Write the one `.hyper` of a package to a file, in little memory whatever its size.

    Args:
        package: What a server sent: a zip with the extract in it, or the extract itself.
        target: The file to write.
        what: What it is, for messages.

    Raises:
        ExtractError: There is no extract in it, more than one, or it is damaged.
    """
    if not zipfile.is_zipfile(package):
        with package.open("rb") as file:
            begin = file.read(5)
        if begin == b"Hyper":
            shutil.copyfile(package, target)
            return
        raise ExtractError(_without_extract(what))
    try:
        with zipfile.ZipFile(package) as zipped:
            members = [one for one in zipped.infolist() if not one.is_dir()]
            extracts = [one for one in members if one.filename.casefold().endswith(".hyper")]
            if len(extracts) != 1:
                raise ExtractError(_not_one(what, [one.filename for one in members], extracts))
            # by its name on no disk: a package may name any path
            with zipped.open(extracts[0]) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
        raise ExtractError(f"What the server sent of {what} is damaged: {error}.") from error


def _not_one(what: str, names: list[str], extracts: list[zipfile.ZipInfo]) -> str:
    if extracts:
        listed = ", ".join(f"'{one.filename}'" for one in extracts)
        return (
            f"{what} has {len(extracts)} extracts ({listed}), and one becomes a file. Download it "
            "in the browser and unpack it."
        )
    if any(name.casefold().endswith(".tde") for name in names):
        return (
            f"{what} has an extract of the format before Hyper (.tde). Refresh or upgrade it on "
            "the server, which makes it a .hyper."
        )
    return _without_extract(what)


def _without_extract(what: str) -> str:
    return (
        f"{what} has no extract in what the server sent, so that there is nothing to take out of "
        "it: the data of a live connection is in the database that it names."
    )
