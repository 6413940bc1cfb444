"""Says where a database is without saying how to get in, and keeps secrets out of what others say.

Drivers put whole URLs into their messages, so every message of one goes through `scrubbed`. They
quote pieces of what they cannot parse, too, so nothing else than a URL of the form reaches one.
Connecting belongs to the readers.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, unquote_plus

from mds_tableau.errors import UsageError

_HIDDEN: Final = "***"
_SECRET_PARAMETER: Final = re.compile(
    r"(?i)([?&;\s]|^)([\w.-]*(?:pass|pwd|secret|token|odbc_connect|credential)[\w.-]*)(\s*=\s*)"
    r"('(?:[^'\\]|\\.)*'|[^&;\s]*)"
)
_USER_INFO: Final = re.compile(r"(://[^:/?#\s]*):[^/\s]*@")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_PIECE: Final = r"(?:[^\x00-\x20\x7f:/?#@\[\]%]|%(?!00)[0-9A-Fa-f]{2})*"
_HOST: Final = r"(?:\[[\w:.%-]+\]|[\w.%-]*)(?::\d{0,5})?"
_FORM: Final = re.compile(
    rf"[A-Za-z][A-Za-z0-9+.-]+://(?:{_PIECE}(?P<password>:{_PIECE})?@)?"
    rf"(?P<host>{_HOST}(?:,{_HOST})*)(?:/(?P<name>[^\x00-\x20?#@]*))?"
    r"(?:\?(?P<query>[\w.-]+=[^\x00-\x20#@&]*(?:&[\w.-]+=[^\x00-\x20#@&]*)*)?)?"
)
_WANTED: Final = (
    "Give scheme://user:password@host:port/database, such as postgresql://ann@db.example.com/shop, "
    "where each of : / ? # @ % & and space in a name or a password is percent-encoded (@ as %40), "
    "or the path of a SQLite or DuckDB file that is there."
)


class FromVariable(str):
    """What an environment variable says of a database, which messages call by the variable's name.

    Attributes:
        variable: The name.
    """

    __slots__ = ("variable",)
    variable: str

    def __new__(cls, content: str, variable: str) -> "FromVariable":
        """Return the content, with the name of its variable."""
        made = super().__new__(cls, content)
        made.variable = variable
        return made

    def __repr__(self) -> str:
        """Return what says nothing of the content."""
        return f"<the database of {self.variable}>"


def is_url(given: str) -> bool:
    """Return whether something is a URL and not a path.

    >>> is_url("sqlite:///shop.db"), is_url("shop.db")
    (True, False)
    """
    return _SCHEME.match(given) is not None


def scheme(url: str) -> str:
    """Return what stands before `://`, in lower case; "" for a path.

    >>> scheme("PostgreSQL://host/shop")
    'postgresql'
    """
    return url.partition("://")[0].lower() if is_url(url) else ""


def require_form(given: str) -> None:
    """Stop before anything is opened where it cannot be told what of a text is secret.

    Raises:
        UsageError: It is neither a URL of the form nor a file that is there; does not show it.
    """
    if is_url(given):
        if _names_file(given) or _FORM.fullmatch(given):
            return
        raise UsageError(f"{_called(given)} is not of the form of a database's URL. {_WANTED}")
    # a path on a command line is no secret, and its name is what helps
    is_path = not isinstance(given, FromVariable) and not re.search(r"[@=]|^\w[\w+.-]+:", given)
    if not (is_path or _is_file(given)):
        raise UsageError(
            f"{_called(given)} is neither a database's URL nor a file that is there. {_WANTED}"
        )


def file_of(url: str) -> Path:
    """Return the file that a `sqlite:///` or `duckdb:///` URL, or a path, is about.

    >>> file_of("sqlite:////data/shop.db").as_posix()
    '/data/shop.db'
    """
    if not is_url(url):
        return Path(str(url))
    rest = url.partition("://")[2].partition("?")[0]
    if not rest.startswith("/"):
        raise UsageError(
            f"{shown(url)} names no file. Write {scheme(url)}:///folder/file for a path from here, "
            f"{scheme(url)}:////folder/file for one from the root, or just the path."
        )
    return Path(unquote(rest[1:]))


def holds_secret(given: str) -> bool:
    """Return whether a URL has a password in it, or may have one somewhere.

    >>> holds_secret("postgresql://ann@db/shop"), holds_secret("postgresql://ann:x@db/shop")
    (False, True)
    """
    if not is_url(given) or _names_file(given):
        return False
    parts = _FORM.fullmatch(given)
    return parts is None or bool(parts["password"]) or _without_secrets(given) != given


def shown(url: str) -> str:
    """Return what messages call the way to a database: its variable, or scheme and host.

    >>> shown("postgresql://ann:hunter2@db/shop?sslpassword=x")
    'postgresql://db'
    >>> shown("postgresql://ann:hun?ter2@db/shop")
    'the database'
    >>> shown(FromVariable("postgresql://ann:hunter2@db/shop", "SHOP"))
    'the database of SHOP'
    """
    if isinstance(url, FromVariable):
        return f"the database of {url.variable}"
    if not is_url(url) or _names_file(url):
        return str(url)
    parts = _FORM.fullmatch(url)
    return f"{scheme(url)}://{parts['host']}" if parts else "the database"


def place(url: str) -> str:
    """Return what messages call a database: its variable, its file, or its name and host.

    >>> place("postgresql://ann:hunter2@db.example.com:5433/shop")
    'shop at db.example.com:5433'
    >>> place(FromVariable("postgresql://ann:hunter2@db/shop", "SHOP"))
    'SHOP'
    """
    return url.variable if isinstance(url, FromVariable) else location(url)


def location(url: str) -> str:
    """Return what tells a database from others, and nothing secret; messages have `place`."""
    if not is_url(url):
        return Path(str(url)).name
    if scheme(url).partition("+")[0] in {"sqlite", "duckdb"}:
        return file_of(url).name
    parts = _FORM.fullmatch(url)
    if parts is None:
        return "the database"
    host = parts["host"] or dict(parse_qsl(parts["query"] or "")).get("host", "")
    named = (unquote(parts["name"] or ""), host)
    return " at ".join(part for part in named if part) or f"the {scheme(url)} server"


def scrubbed(text: str, url: str) -> str:
    """Return a driver's message without anything secret of the URL.

    >>> scrubbed("cannot reach postgresql://ann:p%40ss@db: p@ss", "postgresql://ann:p%40ss@db/shop")
    'cannot reach postgresql://ann:***@db: ***'
    """
    whole = {str(url), unquote(url)}
    if isinstance(url, FromVariable) and (not is_url(url) or _names_file(url)):
        # the path is part of the content, and drivers write it out from the root
        whole |= {str(file_of(url)), str(file_of(url).absolute())}
    for form in sorted(whole, key=len, reverse=True):
        text = text.replace(form, shown(url)) if len(form) > 2 else text
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return _without_secrets(_USER_INFO.sub(rf"\1:{_HIDDEN}@", text))


def with_parameters(url: str, defaults: Mapping[str, str]) -> str:
    """Return a URL with query parameters added where it does not have them yet."""
    present = {name for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True)}
    added = "&".join(f"{name}={value}" for name, value in defaults.items() if name not in present)
    joint = "&" if "?" in url else "?"
    return f"{url}{joint}{added}" if added else url


def _called(given: str) -> str:
    return given.variable if isinstance(given, FromVariable) else "What was given as a database"


def _names_file(url: str) -> bool:
    return re.match(r"(?i)(sqlite|duckdb)(\+\w+)?:///", url) is not None


def _is_file(path: str) -> bool:
    try:
        return Path(str(path)).is_file()
    except (OSError, ValueError):  # too long a name, for one
        return False


def _without_secrets(text: str) -> str:
    return _SECRET_PARAMETER.sub(rf"\1\2\3{_HIDDEN}", text)


def _secrets(url: str) -> set[str]:
    found = {match[4].strip("'") for match in _SECRET_PARAMETER.finditer(url)}
    user_info = url.partition("://")[2].partition("?")[0].rpartition("@")[0]
    found.add(user_info.partition(":")[2])
    forms = {form for text in found for form in (text, unquote(text), unquote_plus(text))}
    forms |= {repr(form)[1:-1] for form in forms}
    # a text as short as that is more likely to be part of a word than the secret itself
    return {form for form in forms if len(form) > 2}
