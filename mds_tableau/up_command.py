"""The `up` command: what keeps the pipeline going on one machine, for as long as it runs.

Options, refusals and the log belong here; the processes to `service`.
"""

import ipaddress
import logging
import sys
import threading
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

import click

from mds_tableau.dagster_home import home_of, prepare_home, refuse_wrong_config, sole_service
from mds_tableau.errors import UsageError
from mds_tableau.service import Service
from mds_tableau.settings import load_settings

_LOG_BYTES: Final = 10_000_000
_OLD_LOGS: Final = 5


@click.command("up")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=3000,
    show_default=True,
    help="Port of the UI.",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address that the UI listens on."
)
@click.option(
    "--without-sign-in",
    is_flag=True,
    help="Let a --host of the network be, although the UI has no sign-in.",
)
@click.option(
    "--log",
    "log_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file instead; 10 MB each, the last 5 are kept.",
)
def up(port: int, host: str, without_sign_in: bool, log_file: Path | None) -> None:
    """Serve the UI and run what is due, until Ctrl-C.

    The schedules and sensors that are switched on in the UI work while this runs. It makes
    DAGSTER_HOME (by default dagster in the data folder) where there is none. On Ctrl-C or SIGTERM
    no process is left; a run under way ends as failed and is started once more the next time.

    \b
    Example:
      mds-tableau up --port 3000
    """  # noqa: D301  # click takes the escaped character itself
    if not _is_of_this_machine(host) and not without_sign_in:
        raise click.UsageError(
            f"--host {host} is open to the network, and Dagster's UI has no sign-in: whoever "
            "reaches it could start and stop runs and read what they log. Leave --host out and put "
            "a proxy with a sign-in before it, or reach it by SSH (ssh -L 3000:127.0.0.1:3000). "
            "Where the network itself lets nobody else in, add --without-sign-in."
        )
    settings = load_settings()
    say = _sayer(log_file)
    home = home_of(settings)
    if prepare_home(home):
        say("up", f"Made {home}, with our dagster.yaml.")
    refuse_wrong_config(home)
    with sole_service(home) as left_behind:
        if left_behind:
            say("up", f"Ended what another `mds-tableau up` left: {', '.join(left_behind)}.")
        service = Service(home=home, host=host, port=port, say=say)
        say("up", f"Starting Dagster on {home}; its UI will be on {service.url}")
        if not _is_of_this_machine(host):
            say("up", f"WARNING: whoever reaches {service.url} can start and stop runs.")
        service.run()


def _is_of_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _sayer(log_file: Path | None) -> Callable[[str, str], None]:
    """Return what writes a line of somebody, in one log for all of them."""
    handler: logging.Handler
    if log_file is None:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        try:
            log_file.parent.mkdir(parents=True, exist_ok=True)
            handler = RotatingFileHandler(
                log_file, maxBytes=_LOG_BYTES, backupCount=_OLD_LOGS, encoding="utf-8"
            )
        except OSError as error:
            raise UsageError(
                f"--log {log_file} cannot be written: {error.strerror}. Give a file in a folder "
                "that this user may write to, or leave --log out to have it all on the terminal."
            ) from error
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    one_at_a_time = threading.Lock()

    def say(name: str, line: str) -> None:
        record = logging.LogRecord(name, logging.INFO, "", 0, f"{name:<9} | {line}", None, None)
        with one_at_a_time:
            handler.emit(record)

    return say
