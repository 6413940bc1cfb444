"""What must hold of the settings together, beyond the form of each one.

Every rule says what was seen, what is allowed and what to do, and never shows a secret. Reading the
settings belongs to `settings`.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mds_tableau.amounts import Amount, shown
from mds_tableau.deadlines import deadline_problem, is_zone

if TYPE_CHECKING:
    from mds_tableau.settings import Settings

_SECONDS: Final = "a number of seconds above 0, up to 86400"
EXPECTED: Final = {
    "mds_automation": "on or off",
    "mds_connect_timeout": _SECONDS,
    "mds_create_projects": "true or false",
    "mds_force": "true or false",
    "mds_keep": "a whole number from 0 to 1000; 0 keeps none",
    "mds_keep_days": "a whole number of days, 1 or more",
    "mds_keep_runs": "a whole number of days, 1 or more",
    "mds_keep_size": "a size such as 20 GB, or a share of the disk such as 10%",
    "mds_max_row_fall": "a number from 0 to 1, such as 0.5; 1 lets every fall through",
    "mds_memory": "a size such as 8 GB, or a share of the machine such as 50%",
    "mds_publish_timeout": _SECONDS,
    "mds_read_timeout": _SECONDS,
    "mds_sandbox_port": "a port, from 1 to 65535",
    "mds_sensor_seconds": "a whole number of seconds from 1 to 86400",
    "mds_upload_workers": "a whole number from 1 to 16",
    "mds_verify": "exact or rows",
}
"""What to say of a value that is not of the form of its setting. No secrets: the value is shown."""

LEAST_MEMORY = 1_000_000_000
"""Bytes below which Hyper does not convert what is a little larger."""

_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def settings_problems(settings: "Settings") -> list[str]:
    """Return what is wrong with the settings, one sentence or two for each problem."""
    return [
        *server_problems(settings),
        *sign_in_problems(settings),
        *route_problems(settings),
        *memory_problems(settings),
        *folder_problems(settings),
        *_misc(settings),
        *alert_problems(settings),
    ]


def server_problems(settings: "Settings") -> list[str]:
    """Return why no server can be asked for anything."""
    url = settings.tableau_server
    if not url:
        given = [
            name.upper()
            for name in type(settings).model_fields
            if name.startswith("tableau_")
            and name != "tableau_project"
            and name in settings.model_fields_set
            and getattr(settings, name)
        ]
        if given:
            return [
                f"TABLEAU_SERVER is missing, but {_listed(given)} is set. Set TABLEAU_SERVER to "
                "the server's URL, or unset the others to publish to the local sandbox."
            ]
        return []
    if "@" in url:
        return ["TABLEAU_SERVER holds a user name or password; give them as settings of their own."]
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # reading it checks it
    except ValueError as error:
        return [f"TABLEAU_SERVER is {url!r}, which is not a URL: {error}."]
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return [f"TABLEAU_SERVER is {url!r}; it must be a URL such as https://tableau.example.com."]
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        return [
            f"TABLEAU_SERVER is {url!r}; credentials are never sent over plain http except to this "
            "machine. Use https://."
        ]
    return []


def one_spelling(url: str) -> str:
    """Return the URL of a server in the spelling that stands for all others of it.

    >>> one_spelling("HTTPS://Tableau.Example.com:443/")
    'https://tableau.example.com'
    >>> one_spelling("http://localhost:8877")
    'http://localhost:8877'
    """
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return url  # which `server_problems` tells
    # what stands before the host is refused, and all else of this part has no case
    place = parts.netloc.lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, ":"))
    return parts._replace(netloc=place, path=parts.path.rstrip("/")).geturl()


def sign_in_problems(settings: "Settings") -> list[str]:
    """Return why nobody can be signed in; nothing where nobody wants to be."""
    token = {
        "TABLEAU_TOKEN_NAME": settings.tableau_token_name,
        "TABLEAU_TOKEN_VALUE": settings.tableau_token_value.get_secret_value(),
    }
    app = {
        "TABLEAU_CONNECTED_APP_CLIENT_ID": settings.tableau_connected_app_client_id,
        "TABLEAU_CONNECTED_APP_SECRET_ID": settings.tableau_connected_app_secret_id,
        "TABLEAU_CONNECTED_APP_SECRET_VALUE": (
            settings.tableau_connected_app_secret_value.get_secret_value()
        ),
    }
    user = {"TABLEAU_USERNAME": settings.tableau_username}
    password = {"TABLEAU_PASSWORD": settings.tableau_password.get_secret_value()}
    # a connected app acts for a user, so the user name belongs to whichever way is begun
    ways = [token, {**app, **user}, {**user, **password}]
    begun = [
        way for way, marks in zip(ways, (token, app, password), strict=True) if any(marks.values())
    ]
    if not begun and any(user.values()):
        begun = [ways[2]]
    if not begun and settings.uses_sandbox:
        return []
    if not begun:
        return [
            "TABLEAU_SERVER is set, but no way to sign in. Set TABLEAU_TOKEN_NAME and "
            "TABLEAU_TOKEN_VALUE, or TABLEAU_USERNAME and TABLEAU_PASSWORD, or the three "
            "TABLEAU_CONNECTED_APP_* variables and TABLEAU_USERNAME."
        ]
    if len(begun) > 1:
        given = [name for way in begun for name, value in way.items() if value]
        return [
            f"More than one way to sign in is configured ({_listed(sorted(set(given)))}). "
            "Keep one: a token, a user with password, or a connected app."
        ]
    missing = [name for name, value in begun[0].items() if not value]
    given = [name for name, value in begun[0].items() if value]
    if missing:
        return [f"{_listed(missing)} is missing; {_listed(given)} is set and needs it."]
    return []


def route_problems(settings: "Settings") -> Iterator[str]:
    """Yield what is wrong with certificates and proxy."""
    yield from _proxy_problems(settings.tableau_proxy.get_secret_value())
    bundle = settings.tableau_ca_bundle
    certificate, key = settings.tableau_client_certificate, settings.tableau_client_key
    for name, path in (
        ("TABLEAU_CA_BUNDLE", bundle),
        ("TABLEAU_CLIENT_CERTIFICATE", certificate),
        ("TABLEAU_CLIENT_KEY", key),
    ):
        if path is not None and not path.exists():
            yield f"{name} is {str(path)!r}, and there is nothing. Set it to a PEM file."
    if key is not None and certificate is None:
        yield "TABLEAU_CLIENT_CERTIFICATE is missing; TABLEAU_CLIENT_KEY is set and needs it."
    if bundle is not None and bundle.is_file() and not _holds_authorities(bundle):
        yield (
            f"TABLEAU_CA_BUNDLE is {str(bundle)!r}, which holds no certificate in PEM form "
            "(-----BEGIN CERTIFICATE-----). Ask for your company's authority in that form."
        )
    are_there = all(path is None or path.exists() for path in (certificate, key))
    if certificate is not None and are_there and not _is_usable(certificate, key):
        yield (
            f"TABLEAU_CLIENT_CERTIFICATE ({str(certificate)!r}) and "
            f"{'TABLEAU_CLIENT_KEY' if key else 'the key in it'} cannot be used together: both "
            "must be in PEM form, belong to each other, and the key must have no passphrase."
        )


def _proxy_problems(proxy: str) -> Iterator[str]:
    # it may hold a password, so it is not shown
    if not proxy:
        return
    try:
        parts = urlsplit(proxy)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        yield "TABLEAU_PROXY must be a URL such as http://proxy.example.com:8080."


def _holds_authorities(bundle: Path) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=bundle)
    except (ssl.SSLError, OSError):
        return False
    return bool(context.cert_store_stats()["x509"])


def _is_usable(certificate: Path, key: Path | None) -> bool:
    try:
        # without a password given, OpenSSL would ask for one on the terminal and wait
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError):
        return False
    return True


def folder_problems(settings: "Settings") -> Iterator[str]:
    """Return what is wrong with the folder of everything derived."""
    folder = settings.mds_data_dir
    if any(path.exists() and not path.is_dir() for path in (folder, *folder.parents)):
        yield f"MDS_DATA_DIR is {folder}, which is a file or within one. Give the path of a folder."


def memory_problems(settings: "Settings") -> list[str]:
    """Return why no engine could work with its share of the memory."""
    memory = Amount.parse(settings.mds_memory)
    is_too_little = memory.percent < 5 if memory.bytes is None else memory.bytes < LEAST_MEMORY
    if not is_too_little:
        return []
    return [
        f"MDS_MEMORY is {settings.mds_memory!r}, too little for DuckDB and Hyper together. Set it "
        f"to {shown(LEAST_MEMORY)} or more, or to 5% of the machine or more."
    ]


def _misc(settings: "Settings") -> list[str]:
    if is_zone(settings.mds_timezone):
        return []
    return [
        f"MDS_TIMEZONE is {settings.mds_timezone!r}; it must be an IANA time zone such as "
        "Europe/London."
    ]


def alert_problems(settings: "Settings") -> Iterator[str]:
    """Yield what is wrong with deadlines, and with who is told of them."""
    for name, text in (
        ("MDS_DEADLINE", settings.mds_deadline),
        ("MDS_NOTIFY_SUMMARY", settings.mds_notify_summary),
    ):
        if text and (problem := deadline_problem(text)):
            yield f"{name} is {text!r}; it must be {problem}."
    parts = urlsplit(settings.mds_ui_url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        yield (
            f"MDS_UI_URL is {settings.mds_ui_url!r}; it must be a URL such as "
            "http://dagster.example.com:3000."
        )
    urls = settings.mds_notify.get_secret_value()
    if urls.strip():
        # apprise is loaded by nobody who wants no alerts
        from mds_tableau.alerts.services import service_problems

        yield from service_problems(urls)
    elif settings.mds_notify_summary:
        yield "MDS_NOTIFY is missing; MDS_NOTIFY_SUMMARY is set and needs it."


def _listed(names: list[str]) -> str:
    return ", ".join(names)
