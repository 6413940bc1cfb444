"""The `notify` command: sends a test message to each service that alerts go to.

What services there are and how they are told belongs to `alerts.services`.
"""

from datetime import datetime, timezone

import click

from mds_tableau.alerts.messages import Tone, Words
from mds_tableau.alerts.services import Sender, services_of
from mds_tableau.errors import SettingsError
from mds_tableau.settings import load_settings


@click.command("notify")
@click.pass_context
def notify(ctx: click.Context) -> None:
    """Send a test message to each service of MDS_NOTIFY.

    Each line says ok or fail, and which service by its kind and host; no secret is shown. Exit
    code 1 when one of them did not take it.

    \b
    Example:
      mds-tableau notify
    """  # noqa: D301  # click takes the escaped character itself
    settings = load_settings()
    services = services_of(settings.mds_notify.get_secret_value())
    if not services:
        raise SettingsError(
            "MDS_NOTIFY is not set, so alerts go to nobody. Set it to one or more URLs of apprise, "
            "such as mailtos://user:password@example.com."
        )
    now = datetime.now(timezone.utc).isoformat()
    words = Words(settings.mds_timezone, settings.mds_ui_url)
    body = (
        f"Sent {words.moment(now)} by `mds-tableau notify`. Nothing is wrong: this shows that "
        f"alerts arrive.\nDagster: {settings.mds_ui_url}"
    )
    message: tuple[str, str, str, Tone] = ("test", "TEST of mds_tableau", body, "info")
    sent = Sender().send({service.name: [message] for service in services}, services)
    for name, (_, is_done) in sent.items():
        click.echo(f"{'ok  ' if is_done else 'fail'} {name}")
    if failed := sum(not is_done for _, is_done in sent.values()):
        click.echo(
            f"{failed} of {len(sent)} did not take it. Look at its URL in MDS_NOTIFY, and whether "
            "this machine can reach it.",
            err=True,
        )
        ctx.exit(1)
