"""Reads what was written down of a publish, and only when it is whole.

Writing it down belongs to `published` and `versions`. A record that lacks something, or has it in
another form, is as good as none: what is not known for certain is not known.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, NonNegativeInt, TypeAdapter, ValidationError

from mds_tableau.files import read_json
from mds_tableau.tableau import Published


def _moment(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("no time zone")
    return text


_Moment = Annotated[str, AfterValidator(_moment)]


@dataclass(frozen=True)
class _Besides:
    """What a record has besides `Published`; what older versions did not write has a default."""

    extract: str
    target: str
    rows: NonNegativeInt | None
    sha256: str
    fingerprint: str
    published_at: _Moment
    columns: tuple[tuple[str, str], ...] | None = None
    about: tuple[str, tuple[str, ...], str] | None = None
    run_id: str | None = None
    confirmed_at: _Moment | None = None
    keep: NonNegativeInt = 0
    rolled_back_to: str | None = None


_WHOLE: Final = (TypeAdapter(Published), TypeAdapter(_Besides))


def read_record(path: Path) -> dict[str, Any] | None:
    """Return what was written down of a publish, or None when there is no whole record of one."""
    record = read_json(path)
    if record is None:
        return None
    text = json.dumps(record)
    try:
        for whole in _WHOLE:
            # of JSON, as Python's lists would be no tuples
            whole.validate_json(text, strict=True)
    except ValidationError:
        return None
    return record
