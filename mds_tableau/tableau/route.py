"""How a server is reached: which certificates are trusted, through which proxy, as which client.

What may be repeated on the way belongs to `http`; time-outs to `patience`.
"""

import ipaddress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy

_NO_PROXY: Final = {"http": None, "https": None, "all": None}
"""What requests takes for "none at all", where nothing means "those of the environment"."""


@dataclass(frozen=True)
class Route:
    """How a server is reached; what is "" is left to the environment, as requests reads it.

    Attributes:
        ca_bundle: PEM file, or folder as OpenSSL indexes them, with the authorities to trust.
        proxy: URL of the proxy; may hold a user name and password.
        client_certificate: PEM file with our own certificate, and its key unless that is apart.
        client_key: PEM file with the key of that certificate.
    """

    ca_bundle: str = ""
    proxy: str = field(default="", repr=False)
    client_certificate: str = ""
    client_key: str = ""

    def options(self, server: str) -> dict[str, Any]:
        """Return what requests takes for each request to a server."""
        options: dict[str, Any] = {}
        if self.ca_bundle:
            options["verify"] = self.ca_bundle
        if self.client_certificate:
            key = self.client_key
            options["cert"] = (self.client_certificate, key) if key else self.client_certificate
        if is_loopback(server):
            # a proxy is for the way out of this machine
            options["proxies"] = dict(_NO_PROXY)
        elif self.proxy:
            options["proxies"] = {"http": self.proxy, "https": self.proxy}
        return options

    def in_use(self, server: str) -> "InUse":
        """Return what a request to a server uses, as requests itself decides it."""
        options = self.options(server)
        with requests.Session() as session:
            merged = session.merge_environment_settings(
                server, options.get("proxies", {}), None, options.get("verify"), None
            )
        proxy = select_proxy(server, merged["proxies"]) or ""
        verify = merged["verify"]
        return InUse(
            _without_credentials(proxy), DEFAULT_CA_BUNDLE_PATH if verify is True else str(verify)
        )


@dataclass(frozen=True)
class InUse:
    """What requests to a server use.

    Attributes:
        proxy: URL of the proxy, without what to sign in there with; "" for none.
        authorities: File or folder of the authorities that are trusted.
    """

    proxy: str
    authorities: str


def _without_credentials(url: str) -> str:
    if not url:
        return ""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        host = None
    # what cannot be taken apart may have a password anywhere
    return f"{parts.scheme}://{host}" if host else "a URL that cannot be read"


def is_loopback(url: str) -> bool:
    """Whether the host of a URL is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
