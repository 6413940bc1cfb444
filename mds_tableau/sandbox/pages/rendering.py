"""From what a page shows to its HTML: the templates, their filters, and the policy of all pages.

How values are written for a person belongs here; which values does not. Jinja escapes all of them,
and the policy forbids scripts and foreign assets, because names come from whoever publishes.
"""

import base64
import hashlib
import re
import unicodedata

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from mds_tableau.sandbox.pages.profile import BINS, FINITE, NUMBER, POSITIONS

_environment = Environment(
    loader=PackageLoader("mds_tableau.sandbox.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
STYLE = _environment.get_template("style.css").render()
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
# Characters that show nothing or change how their neighbours are shown. The joiners are parts of
# emoji and of words.
HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
JOINERS = "\u200c\u200d"
ESCAPES = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}
UNITS = ("bytes", "kB", "MB", "GB", "TB")
STEP = 1000.0
LARGEST_IN_BYTES = 10_000
SMALLEST_SHARE = 0.1


def page(template: str, status: int = 200, **values: object) -> Response:
    """Returns a page.

    Args:
        template: Name of its template.
        status: The HTTP status.
        values: What the template shows.
    """
    text = _environment.get_template(template).render(style=Markup(STYLE), bins=BINS, **values)  # noqa: S704 - our own
    return HTMLResponse(text, status, HEADERS)


def visible(text: str) -> Markup:
    """Returns a text as HTML in which characters that show nothing are named."""
    return Markup("").join(
        Markup("<span class=control>{}</span>").format(_name(part)) if _is_hidden(part) else part
        for part in _parts(text)
    )


def prose(text: str) -> Markup:
    """Returns a text of several lines as HTML that keeps the lines; see `visible`."""
    return Markup("\n").join(visible(line) for line in text.splitlines())


def number(value: int) -> str:
    """Returns a number with separators."""
    return f"{value:,}"


def size(value: int) -> str:
    """Returns a number of bytes as a person reads it."""
    if value < LARGEST_IN_BYTES:
        return f"{value:,} bytes"
    amount, unit = float(value), 0
    while amount >= STEP and unit < len(UNITS) - 1:
        amount, unit = amount / STEP, unit + 1
    return f"{amount:,.1f} {UNITS[unit]}"


def moment(value: str) -> Markup:
    """Returns a time as the API writes it, in UTC, as HTML."""
    shown = value.replace("T", " ").removesuffix("Z")
    return Markup("<time datetime={}>{}</time>").format(value, shown)


def share(part: int, whole: int) -> str:
    """Returns a part in per cent; nothing is 0 %, and all is 100 %, only where it really is."""
    if not part or part == whole:
        return "100 %" if part else "0 %"
    percent = 100 * part / whole
    if percent < SMALLEST_SHARE:
        return f"< {SMALLEST_SHARE} %"
    if percent > 100 - SMALLEST_SHARE:
        return f"> {100 - SMALLEST_SHARE} %"
    return f"{percent:.1f} %"


def _parts(text: str) -> list[str]:
    hidden = "".join({re.escape(one) for one in text if _is_hidden(one)})
    return re.split(f"([{hidden}])", text) if hidden else [text]


def _is_hidden(text: str) -> bool:
    return (
        len(text) == 1 and text not in JOINERS and unicodedata.category(text) in HIDDEN_CATEGORIES
    )


def _name(character: str) -> str:
    return ESCAPES.get(character) or f"U+{ord(character):04X}"


def _is_numeric_type(name: str) -> bool:
    return POSITIONS.get(name.partition("(")[0]) in {NUMBER, FINITE}


_environment.filters.update(
    visible=visible, prose=prose, number=number, size=size, moment=moment, share=share
)
_environment.tests["numeric_type"] = _is_numeric_type
