"""Sends messages by apprise to the services that `MDS_NOTIFY` names.

A URL holds passwords, and for many services the very place of a host is a token: a service is
called by its kind, and by its host only where that can be nothing else. When to send, and what,
belongs to `ledger` and `messages`.
"""

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from threading import Lock, Thread
from typing import Any, Final

from mds_tableau.alerts.messages import Tone

_SECONDS: Final = 20.0
"""How long all services together may take to be told, before the others go on without them."""

# it logs URLs, errors of connections and contents of replies, and Dagster keeps what is logged
logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class Service:
    """Somebody who is told.

    Attributes:
        name: What it is called; shows nothing that is secret.
        plugin: What sends.
    """

    name: str
    plugin: Any

    def __repr__(self) -> str:
        return f"Service({self.name!r})"

    def send(self, title: str, body: str, tone: Tone) -> bool:
        """Send a message and return whether it arrived."""
        try:
            return bool(self.plugin.notify(title=title, body=body, notify_type=tone))
        except Exception:  # noqa: BLE001  # what 100 libraries raise, with who knows what in it
            return False


def services_of(urls: str) -> list[Service]:
    """Return the services of URLs of apprise; those that are none are left out.

    Two that would have one name are numbered, in their order.
    """
    services: list[Service] = []
    seen: dict[str, int] = {}
    for plugin in filter(None, map(_plugin, _split(urls))):
        name = _name(plugin)
        seen[name] = seen.get(name, 0) + 1
        number = f" ({seen[name]})" if seen[name] > 1 else ""
        services.append(Service(name + number, plugin))
    return services


def service_problems(urls: str) -> Iterator[str]:
    """Yield what is wrong with URLs of apprise, without showing any of them."""
    parsed = _split(urls)
    for number, url in enumerate(parsed, 1):
        if _plugin(url) is not None:
            continue
        yield (
            f"MDS_NOTIFY: URL {number} of {len(parsed)} {_refused(url)}. Write it as the "
            "documentation of apprise says, with a blank or a comma between two of them."
        )


class Sender:
    """Tells services, each at the same time as the others, and waits for none too long.

    One that hangs is left behind, and is told nothing else until it lets go.
    """

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._busy: dict[str, Thread] = {}
        self._lock = Lock()

    def send(
        self, waiting: Mapping[str, Sequence[tuple[str, str, str, Tone]]], services: list[Service]
    ) -> dict[str, tuple[set[str], bool]]:
        """Send each service what waits for it, in order, until one does not arrive.

        Args:
            waiting: By name of the service: id, title, body and tone of each message.
            services: Those that there are.

        Returns:
            By name of the service: ids of what arrived, and whether everything did.
        """
        arrived: dict[str, set[str]] = {name: set() for name in waiting}
        started = []
        for service in services:
            messages = waiting.get(service.name)
            if not messages:
                continue
            with self._lock:
                busy = self._busy.get(service.name)
                if busy is not None and busy.is_alive():
                    continue
                thread = Thread(
                    target=_send_all,
                    args=(service, messages, arrived[service.name]),
                    daemon=True,
                )
                self._busy[service.name] = thread
                thread.start()
            started.append(thread)
        end = time.monotonic() + self._seconds
        for thread in started:
            thread.join(max(0.0, end - time.monotonic()))
        return {
            name: (done := set(arrived[name]), done >= {identity for identity, *_ in messages})
            for name, messages in waiting.items()
        }


def _send_all(
    service: Service, messages: Sequence[tuple[str, str, str, Tone]], arrived: set[str]
) -> None:
    for identity, title, body, tone in messages:
        if not service.send(title, body, tone):
            return
        arrived.add(identity)


def _split(urls: str) -> list[str]:
    # loaded by those alone who want alerts, as it takes a while
    from apprise.utils.parse import parse_urls

    return list(parse_urls(urls))  # type: ignore[no-untyped-call]


def _plugin(url: str) -> Any:
    from apprise import Apprise, AppriseAsset

    # nothing of it is kept on disk, and no thread or loop of its own is started
    asset = AppriseAsset(app_id="mds_tableau", app_desc="mds_tableau", async_mode=False)
    try:
        return Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    except Exception:  # noqa: BLE001  # it may name the URL
        return None


def _refused(url: str) -> str:
    found = re.match(r"([a-z0-9]{1,32})://", url, re.IGNORECASE | re.ASCII)
    if found is None:
        return "has no scheme://"
    known, scheme = _schemes(), found[1].lower()
    if scheme in known:
        return f"begins with {scheme}://, and apprise cannot read the rest"
    # what it begins with may be a password that is in the wrong place
    near = get_close_matches(scheme, known, n=1)
    hint = f"; did you mean {near[0]}://?" if near else ""
    return f"has a scheme:// that apprise does not know{hint}"


def _schemes() -> set[str]:
    from apprise import Apprise

    details = Apprise().details()["schemas"]
    kinds = ("protocols", "secure_protocols")
    return {scheme for one in details for kind in kinds for scheme in one[kind] or ()}


def _name(plugin: Any) -> str:
    scheme = re.split(r"://", plugin.url(privacy=True), maxsplit=1)[0]
    has_host = all("{host}" in template for template in plugin.templates)
    host = f"{plugin.host}" if has_host and plugin.host else ""
    port = f":{plugin.port}" if host and plugin.port else ""
    return f"{plugin.service_name} ({scheme}://{host}{port})"
