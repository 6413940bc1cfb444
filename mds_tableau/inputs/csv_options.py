"""What an analyst may say about how CSV files are written.

Only the words and what is allowed for each belong here; acting on them belongs to the readers.
"""

from dataclasses import dataclass

from mds_tableau.errors import UsageError


@dataclass(frozen=True)
class CsvOptions:
    r"""How CSV files are written; what is left out is found in the files.

    Attributes:
        delimiter: Character between two fields; "" finds it.
        quote: Character around fields that hold a delimiter; "" for files without, None for `"`.
        encoding: Any codec of Python; "" means what the byte order mark says, or else UTF-8.
        header: Whether the first row gives the names; None finds it.
        decimal: `.` or `,`; "" finds it.
        thousands: One character that groups digits; "" for none.
        date_format: As for strptime, such as `%d/%m/%Y`; "" finds it.
        timestamp_format: As for strptime, such as `%d.%m.%Y %H:%M`; "" finds it.
        nulls: Texts that mean a missing value, beside an empty field without quotes.
        skip: Lines before the header, or before the first row.
    """

    delimiter: str = ""
    quote: str | None = None
    encoding: str = ""
    header: bool | None = None
    decimal: str = ""
    thousands: str = ""
    date_format: str = ""
    timestamp_format: str = ""
    nulls: tuple[str, ...] = ()
    skip: int = 0

    def __post_init__(self) -> None:
        r"""Check what was given; `\t` is taken as the tab that shells make hard to type.

        Raises:
            InputError: A value is not allowed; all of them are listed together.
        """
        if self.delimiter == "\\t":
            object.__setattr__(self, "delimiter", "\t")
        wrong = [
            _wrong("--delimiter", self.delimiter, self.delimiter == "" or _single(self.delimiter)),
            _wrong("--quote", self.quote or "", not self.quote or _single(self.quote)),
            _wrong("--decimal", self.decimal, self.decimal in ("", ".", ","), "'.' or ','"),
            _wrong(
                "--thousands",
                self.thousands,
                not self.thousands
                or (
                    len(self.thousands) == 1
                    and not self.thousands.isalnum()
                    and self.thousands not in "+-"
                    and self.thousands != self.decimal_sign
                ),
                f"one character, neither a digit, a letter, a sign nor the decimal sign "
                f"'{self.decimal_sign}'",
            ),
            _wrong("--skip", str(self.skip), self.skip >= 0, "0 or more"),
        ]
        if self.quote and self.quote == self.delimiter:
            wrong.append("--quote and --delimiter are the same character.")
        if any(wrong):
            raise UsageError("\n".join(line for line in wrong if line))

    @property
    def decimal_sign(self) -> str:
        """The decimal sign that numbers have when nothing else is found."""
        return self.decimal or "."

    @property
    def quote_sign(self) -> str:
        """The quote, or "" for files without quotes."""
        return '"' if self.quote is None else self.quote


def _single(text: str) -> bool:
    return len(text) == 1 and text.isascii() and text not in "\r\n\0"


def _wrong(flag: str, seen: str, allowed: bool, what: str = "one character of ASCII") -> str:
    return "" if allowed else f"{flag} {seen!r} is not allowed; it must be {what}."
