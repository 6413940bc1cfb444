"""Finds the encoding of a text file, and makes UTF-8 of its bytes or says where they are no text.

Nothing is guessed: the encoding is the one that is given, that of a byte order mark, or UTF-8.
Files are opened, and their lines counted, in `csv_bytes`.
"""

import codecs
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

from mds_tableau.errors import InputError, UsageError
from mds_tableau.inputs.places import Place

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_USUAL: Final = (
    "cp1252",
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp932",
    "gb18030",
    "big5",
    "cp949",
)
_AROUND: Final = 4096
"""Bytes around a bad one that are shown to the detector of encodings."""


def marked_encoding(start: bytes) -> str:
    """Return the encoding that the first bytes of a file tell by their mark; "" without one."""
    return next((name for mark, name in _MARKS if start.startswith(mark)), "")


def codec_of(place: Place, given: str, found: str) -> str:
    """Return the codec of Python that a file is read with.

    Args:
        place: The file.
        given: The encoding that was given, or "".
        found: The one that its mark tells, or "".

    Raises:
        UsageError: What was given is no encoding, or is not that of the mark.
    """
    if not given:
        return found or "utf-8"
    try:
        name = codecs.lookup(given).name
        "".encode(name)
    except LookupError as error:
        raise UsageError(
            f"--encoding {given} is no encoding that Python knows; for example cp1252, latin-1, "
            "utf-16 or shift_jis."
        ) from error
    if found and not name.startswith(found.removesuffix("-sig")):
        raise UsageError(
            f"{place.name} begins with the byte order mark of {found.removesuffix('-sig')}, but "
            f"--encoding {given} was given; leave --encoding out."
        )
    return found if name == "utf-8" and found else name


def as_utf8(
    chunks: Iterator[bytes],
    codec: str,
    place: Place,
    newlines: Callable[[], int],
    *,
    was_given: bool,
) -> Iterator[bytes]:
    """Yield the same text in UTF-8; of UTF-8, the bytes as they are.

    Args:
        chunks: The bytes of the file.
        codec: What they are read with.
        place: The file, for messages.
        newlines: Tells how many ends of lines there are in what was yielded.
        was_given: Whether somebody has named the encoding.

    Raises:
        InputError: Bytes are no text in it; names line, position and bytes, and what is likely.
    """
    decoder = codecs.getincrementaldecoder(codec)("strict")
    is_utf8, done, first = codec in ("utf-8", "utf-8-sig"), 0, True
    for chunk in chain(chunks, (b"",)):
        rest = b"" if is_utf8 and not done else _pending(decoder)
        if is_utf8 and not rest and done and chunk and chunk.isascii():
            done += len(chunk)
            yield chunk
            continue
        try:
            text = decoder.decode(chunk, not chunk)
        except UnicodeError as error:
            start = error.start if isinstance(error, UnicodeDecodeError) else 0
            where = done - len(rest), rest + chunk, start
            raise _not_text(place, newlines(), codec, where, was_given) from error
        done += len(chunk)
        if is_utf8:
            yield chunk
        else:
            yield (text.removeprefix("\ufeff") if first else text).encode()
        first = first and not text


def _pending(decoder: codecs.IncrementalDecoder) -> bytes:
    """Return the bytes of a character that the last chunk did not hold to its end."""
    return decoder.getstate()[0]


def _not_text(
    place: Place, newlines: int, codec: str, where: tuple[int, bytes, int], was_given: bool
) -> InputError:
    """Return the error for bytes that are no text.

    `where` is the position of some bytes in the file, the bytes, and where in them the bad begin.
    """
    base, data, start = where
    line = newlines + data.count(b"\n", 0, start) + 1
    seen = data[start : start + 4].hex(" ")
    name = "utf-8" if codec == "utf-8-sig" else codec
    if was_given:
        remedy = "Give the encoding it is written in with --encoding."
    else:
        likely = _likely(data[max(0, start - _AROUND) : start + _AROUND])
        remedy = (
            f"If it is {likely}, which is likely, give --encoding {likely}; nothing is guessed."
        )
    return InputError(
        f"{place.name}, line {line}, byte {base + start + 1}: the bytes {seen} are no text "
        f"in {name}. {remedy}"
    )


def _likely(data: bytes) -> str:
    try:
        # lazily: its tables take time to load, and it comes with requests only
        from charset_normalizer import from_bytes

        best = from_bytes(data, cp_isolation=list(_USUAL)).best()
    except ImportError:
        best = None
    # western and central European look alike in a few letters, and the first is far more common
    return "cp1252" if best is None or "cp1252" in best.could_be_from_charset else best.encoding
