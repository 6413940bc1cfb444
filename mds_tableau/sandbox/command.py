"""The `sandbox` command: a sandbox for as long as somebody wants it.

Options, what is printed and waiting for the end belong here; everything else does not. Secrets that
were given are never printed; a password that was made up is, because nobody could learn it
otherwise.
"""

import secrets
import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from mds_tableau.errors import SandboxError
from mds_tableau.sandbox.config import SandboxConfig
from mds_tableau.sandbox.server import Sandbox

DEFAULT_PORT = 8850
DEFAULT_DATA_DIR = Path("data/sandbox")


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port to listen on; 0 picks a free one.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of what it is sent.  [default: sandbox in the data folder]",
)
@click.option("--site", default="", help="contentUrl of a second site beside Default.")
@click.option(
    "--project",
    "projects",
    metavar="PATH",
    multiple=True,
    help="A project that it has, such as Retail/Daily; may be repeated.",
)
@click.option(
    "--user", "users", metavar="NAME:PASSWORD", multiple=True, help="A user; may be repeated."
)
@click.option(
    "--token",
    "tokens",
    metavar="NAME:SECRET",
    multiple=True,
    help="A personal access token of the first user; may be repeated.",
)
@click.option(
    "--connected-app",
    "connected_apps",
    metavar="CLIENT_ID:SECRET_ID:SECRET_VALUE",
    multiple=True,
    help="A connected app for signing in with a JWT; may be repeated.",
)
@click.option(
    "--tls",
    nargs=2,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="CERT KEY",
    help="Serve HTTPS with these PEM files.",
)
@click.option(
    "--api-version",
    default=SandboxConfig.api_version,
    show_default=True,
    help="Newest REST API version that it speaks.",
)
@click.pass_context
def sandbox(
    context: click.Context,
    port: int,
    data_dir: Path | None,
    site: str,
    projects: tuple[str, ...],
    users: tuple[str, ...],
    tokens: tuple[str, ...],
    connected_apps: tuple[str, ...],
    tls: tuple[Path, Path] | None,
    api_version: str,
) -> None:
    """Serve a local stand-in for Tableau Server until Ctrl-C.

    It speaks the part of the REST API that publishing needs, keeps what it is sent on disk, and
    shows it on a web page. It listens on this machine only.

    \b
    Example:
      mds-tableau sandbox --port 8850 --project Retail/Daily
    """  # noqa: D301  # click takes the escaped character itself
    passwords = dict(_split(users, 2, "--user"))
    made_up = None
    if not users and not tokens:
        made_up = secrets.token_urlsafe(12)
        passwords = {"admin": made_up}
    try:
        config = SandboxConfig(
            data_dir=data_dir or _default_data_dir(context),
            site=site,
            projects=projects or _default_projects(context),
            users=passwords,
            tokens=dict(_split(tokens, 2, "--token")),
            connected_apps={
                (client_id, secret_id): value
                for client_id, secret_id, value in _split(connected_apps, 3, "--connected-app")
            },
            api_version=api_version,
        )
    except SandboxError as error:
        raise click.UsageError(str(error)) from error
    try:
        with _until_stopped() as wait, Sandbox(config, port=port, tls=tls) as server:
            _announce(config, server.url, made_up)
            wait()
    except SandboxError as error:
        raise click.ClickException(str(error)) from error


def _default_data_dir(context: click.Context) -> Path:
    """Returns the folder that the surrounding program asks for, where there is one."""
    if isinstance(context.obj, dict) and "sandbox_dir" in context.obj:
        return Path(context.obj["sandbox_dir"]())
    return DEFAULT_DATA_DIR


def _default_projects(context: click.Context) -> tuple[str, ...]:
    """Returns the projects that the surrounding program asks for, where there is one."""
    if isinstance(context.obj, dict) and "sandbox_projects" in context.obj:
        return tuple(context.obj["sandbox_projects"]())
    return ()


def _split(values: Sequence[str], count: int, option: str) -> Iterator[list[str]]:
    """Yields the pieces of `A:B` values; only the last piece, the secret, may hold a colon."""
    for value in values:
        pieces = value.split(":", count - 1)
        if len(pieces) < count or not all(pieces):
            # The value holds a secret, so the message does not show it.
            raise click.UsageError(
                f"A value of {option} is not {count} pieces with colons between them."
            )
        yield pieces


def _announce(config: SandboxConfig, url: str, made_up: str | None) -> None:
    site = f"sites Default and {config.site}" if config.site else "site Default"
    click.echo(f"Sandbox ready at {url} (API {config.api_version}, {site})")
    click.echo("To sign in:")
    click.echo(f"  export TABLEAU_SERVER={url}")
    click.echo(f"  export TABLEAU_SITE={config.site}")
    if config.tokens:
        click.echo(f"  export TABLEAU_TOKEN_NAME={shlex.quote(next(iter(config.tokens)))}")
        click.echo("and TABLEAU_TOKEN_VALUE with the secret given to --token.")
    else:
        click.echo(f"  export TABLEAU_USERNAME={shlex.quote(config.user_names[0])}")
        if made_up:
            click.echo(f"  export TABLEAU_PASSWORD={shlex.quote(made_up)}")
        else:
            click.echo("and TABLEAU_PASSWORD with the password given to --user.")
    click.echo(f"Its folder is {config.data_dir}. Ctrl-C ends it.")


@contextmanager
def _until_stopped() -> Iterator[Callable[[], None]]:
    """Lends a function that returns at Ctrl-C or SIGTERM; both end the command in good order."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    def wait() -> None:
        # Without a time limit, Windows would not deliver Ctrl-C to a waiting thread.
        while not stopped.wait(0.5):
            pass

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wait
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
