"""Says where a database is without saying how to get in, and keeps secrets out of what others say.

Drivers put whole URLs into their messages, so every message of one goes through `scrubbed`.
Connecting belongs to the readers.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote

from mds_tableau.errors import UsageError

_HIDDEN: Final = "***"
_SECRET_PARAMETER: Final = re.compile(
    r"(?i)([?&;\s]|^)([\w.-]*(?:pass|pwd|secret|token|odbc_connect|credential)[\w.-]*)(\s*=\s*)"
    r"('(?:[^'\\]|\\.)*'|[^&;\s]*)"
)
_USER_INFO: Final = re.compile(r"(://[^:/?#\s]*):[^/\s]*@")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


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


def file_of(url: str) -> Path:
    """Return the file that a `sqlite:///` or `duckdb:///` URL, or a path, is about.

    >>> file_of("sqlite:////data/shop.db").as_posix()
    '/data/shop.db'
    """
    if not is_url(url):
        return Path(url)
    rest = url.partition("://")[2].partition("?")[0]
    if not rest.startswith("/"):
        raise UsageError(
            f"{shown(url)} names no file. Write {scheme(url)}:///folder/file for a path from here, "
            f"{scheme(url)}:////folder/file for one from the root, or just the path."
        )
    return Path(unquote(rest[1:]))


def shown(url: str) -> str:
    """Return a URL without what is secret in it.

    >>> shown("postgresql://ann:hunter2@db/shop?sslpassword=x")
    'postgresql://ann:***@db/shop?sslpassword=***'
    """
    start, mark, query = url.partition("?")
    before, colons, rest = start.partition("://")
    user_info, at, after = rest.rpartition("@")
    user, colon, _ = user_info.partition(":")
    hidden = f"{colon}{_HIDDEN}" if colon else ""
    return before + colons + user + hidden + at + after + _without_secrets(mark + query)


def place(url: str) -> str:
    """Return what messages call a database: its file, or its name and host.

    >>> place("postgresql://ann:hunter2@db.example.com:5433/shop")
    'shop at db.example.com:5433'
    """
    if not is_url(url):
        return Path(url).name
    if scheme(url).partition("+")[0] in {"sqlite", "duckdb"}:
        return file_of(url).name
    start, _, query = shown(url).partition("://")[2].partition("?")
    host, _, name = start.rpartition("@")[2].partition("/")
    host = host or dict(parse_qsl(query)).get("host", "")
    return (
        " at ".join(part for part in (unquote(name), host) if part) or f"the {scheme(url)} server"
    )


def scrubbed(text: str, url: str) -> str:
    """Return a driver's message without anything secret of the URL.

    >>> scrubbed("cannot reach postgresql://ann:p%40ss@db: p@ss", "postgresql://ann:p%40ss@db/shop")
    'cannot reach postgresql://ann:***@db: ***'
    """
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return _without_secrets(_USER_INFO.sub(rf"\1:{_HIDDEN}@", text))


def with_parameters(url: str, defaults: Mapping[str, str]) -> str:
    """Return a URL with query parameters added where it does not have them yet."""
    present = {name for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True)}
    added = "&".join(f"{name}={value}" for name, value in defaults.items() if name not in present)
    joint = "&" if "?" in url else "?"
    return f"{url}{joint}{added}" if added else url


def _without_secrets(text: str) -> str:
    return _SECRET_PARAMETER.sub(rf"\1\2\3{_HIDDEN}", text)


def _secrets(url: str) -> set[str]:
    found = {match[4].strip("'") for match in _SECRET_PARAMETER.finditer(url)}
    user_info = url.partition("://")[2].partition("?")[0].rpartition("@")[0]
    found.add(user_info.partition(":")[2])
    # a text as short as that is more likely to be part of a word than the secret itself
    return {form for text in found for form in (text, unquote(text)) if len(form) > 2}
