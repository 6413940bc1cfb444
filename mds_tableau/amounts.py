"""Reads amounts of memory and of disk as people write them: `8 GB`, or `50%` of what there is.

How much there is belongs to who asks; which settings are amounts belongs to `settings`.
"""

import re
from dataclasses import dataclass
from typing import Final

from pydantic import ByteSize, TypeAdapter, ValidationError

_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_SIZE: Final = TypeAdapter(ByteSize)
_UNITS: Final = ("bytes", "KB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Amount:
    """A number of bytes, or a share of what there is; one of the two.

    Attributes:
        bytes: The number; None for a share.
        percent: The share, in percent.
    """

    bytes: int | None = None
    percent: float = 0

    @classmethod
    def parse(cls, text: str) -> "Amount":
        """Return the amount that a text says.

        Raises:
            ValueError: It says none, or more than all there is.

        >>> Amount.parse("1.5 GB").bytes, Amount.parse("50%").percent
        (1500000000, 50.0)
        """
        share = _SHARE.fullmatch(text.strip())
        if share is not None:
            percent = float(share[1])
            if percent > 100:
                raise ValueError(f"{text!r} is more than there is")
            return cls(percent=percent)
        try:
            size = int(_SIZE.validate_python(text.strip()))
        except ValidationError:
            raise ValueError(f"{text!r} is neither a size nor a share") from None
        if size < 0:
            raise ValueError(f"{text!r} is less than nothing")
        return cls(bytes=size)

    @property
    def half_for_duckdb(self) -> str:
        """Half of it, as a `memory_limit` of DuckDB, which knows itself how much there is."""
        if self.bytes is None:
            return f"{self.percent / 2:g}%"
        return f"{self.bytes // 2000} KB"

    def of(self, total: int) -> int:
        """Return the number of bytes where there are `total`.

        >>> Amount(percent=10).of(500)
        50
        """
        return int(total * self.percent / 100) if self.bytes is None else self.bytes


def shown(size: int) -> str:
    """Return a number of bytes as people write it.

    >>> shown(1_234_567), shown(999), shown(1)
    ('1.2 MB', '999 bytes', '1 byte')
    """
    if size < 1000:
        return "1 byte" if size == 1 else f"{size} bytes"
    number, unit = float(size), 0
    while number >= 999.95 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:,.1f} {_UNITS[unit]}"
