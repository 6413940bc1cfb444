"""What a check is and what comes of it; running checks belongs to `doctor`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """What came of a check.

    Attributes:
        check: What was looked at, in a word or two.
        status: `ok`, `warn` where work may go on, or `fail`.
        found: What was seen.
        advice: What to do; "" where there is nothing to do, or `found` says it.
    """

    check: str
    status: Status
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Check:
    """A check to be run.

    Attributes:
        name: What is looked at.
        look: Gives the findings; what it raises becomes one that fails.
    """

    name: str
    look: Callable[[], Iterable[Finding]]
