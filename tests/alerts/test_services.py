"""What is sent arrives, what cannot be sent delays nothing, and URLs stay secret."""

import logging
import time
from typing import Any

import pytest

from mds_tableau.alerts.messages import Tone
from mds_tableau.alerts.services import Sender, service_problems, services_of
from tests.alerts.catchers import http_catcher, mail_catcher, silent_server, unused_port

MESSAGE: tuple[str, str, str, Tone] = ("1", "FAILED Sales", "A run failed.\nWhy: ü", "failure")
SECRETS = ("hushhush", "verysecret", "T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ", "topix")
URLS = (
    "json://bob:hushhush@127.0.0.1:8/hook?+X-Key=verysecret, "
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ\n"
    "ntfy://topix mailtos://bob:hushhush@mail.example.com?to=a@example.com,b@example.com; "
    "json://other:hushhush@127.0.0.1:8"
)


def send(urls: str, *messages: Any, seconds: float = 20) -> dict[str, tuple[set[str], bool]]:
    """Send messages to each service and return what came of it."""
    services = services_of(urls)
    waiting = {service.name: list(messages) for service in services}
    return Sender(seconds).send(waiting, services)


def test_services_are_called_by_what_is_no_secret() -> None:
    """Each URL is a service, named by kind and host; where a host may be a token it is left out."""
    services = services_of(URLS)
    assert [service.name for service in services] == [
        "JSON (json://127.0.0.1:8)",
        "Slack (slack://)",
        "ntfy (ntfys://)",
        "E-Mail (mailtos://mail.example.com:587)",
        "JSON (json://127.0.0.1:8) (2)",
    ]
    assert not [secret for secret in SECRETS if secret in repr(services)]


def test_what_is_no_url_is_told_without_showing_it() -> None:
    """Its number is told, a scheme that apprise knows or a near one, and nothing else."""
    urls = "json://a slak://topix, json://b topix://hushhush json://c secretword"
    near, unknown, rest = service_problems(urls)
    assert near.startswith(
        "MDS_NOTIFY: URL 2 of 5 has a scheme:// that apprise does not know; did you mean slack://?"
    )
    assert unknown.startswith("MDS_NOTIFY: URL 4 of 5 has a scheme:// that apprise does not know. ")
    assert rest.startswith("MDS_NOTIFY: URL 5 of 5 begins with json://, and apprise cannot read ")
    [alone] = service_problems("secretword")
    assert alone.startswith("MDS_NOTIFY: URL 1 of 1 has no scheme://. ")
    said = near + unknown + rest + alone
    assert not [secret for secret in (*SECRETS, "secretword", "slak") if secret in said]
    assert not list(service_problems(URLS))


def test_web_hook_and_mail_get_title_and_text() -> None:
    """What arrives is what was sent, by both ways at once, letter for letter."""
    with http_catcher() as hook, mail_catcher() as (port, mails):
        mail = f"mailto://127.0.0.1:{port}?from=bot@example.com&to=team@example.com&mode=insecure"
        sent = send(f"{hook.url} {mail}", MESSAGE)
    assert [done for _, done in sent.values()] == [True, True]
    [caught] = hook.caught
    assert (caught["title"], caught["message"], caught["type"]) == MESSAGE[1:]
    [received] = mails
    assert received["Subject"] == "FAILED Sales"
    assert "team@example.com" in received["To"]
    texts = [part.get_payload(decode=True) for part in received.walk() if not part.is_multipart()]
    assert any("Why: ü" in text.decode() for text in texts)


def test_broken_services_delay_and_break_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """Refused, silent, failing: one that works is told all the same, and no secret is logged."""
    caplog.set_level(logging.DEBUG)
    with http_catcher() as works, http_catcher() as fails, silent_server() as (silent, hang_up):
        fails.status = 500
        hangs = f"json://bob:hushhush@127.0.0.1:{silent}/?+X-Key=verysecret&rto=60"
        refuses = f"json://bob:hushhush@127.0.0.1:{unused_port()}/?+X-Key=verysecret"
        services = services_of(" ".join([hangs, refuses, fails.url, works.url]))
        waiting = {service.name: [MESSAGE] for service in services}
        sender = Sender(seconds=1)
        begun = time.monotonic()
        sent = sender.send(waiting, services)
        again = sender.send({services[0].name: [MESSAGE]}, services[:1])
        assert time.monotonic() - begun < 5
        hang_up()
    assert [sent[service.name][1] for service in services] == [False, False, False, True]
    assert works.titles() == ["FAILED Sales"]
    # one that hangs is left alone
    assert again == {services[0].name: (set(), False)}
    assert not [secret for secret in SECRETS if secret in caplog.text]


def test_messages_come_in_order_and_stop_at_the_first_that_fails() -> None:
    """After one that did not arrive nothing else is tried, so that order stays."""
    messages: list[tuple[str, str, str, Tone]] = [(str(n), f"t{n}", "text", "info") for n in "123"]
    with http_catcher() as hook:
        services = services_of(hook.url)
        hook.status = 503
        assert Sender().send({hook.name: messages}, services) == {hook.name: (set(), False)}
        hook.status = 200
        assert Sender().send({hook.name: messages}, services) == {
            hook.name: ({"1", "2", "3"}, True)
        }
    assert hook.titles() == ["t1", "t2", "t3"]
