"""Has processes of one user on one machine take turns where a server cannot tell them apart.

File locks, which end with their owner. What is done in a turn belongs to who takes it.
"""

import getpass
import hashlib
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from mds_tableau.errors import BeingPublished, TokenInUse
from mds_tableau.tableau.credentials import Token

_log = logging.getLogger(__name__)


@contextmanager
def token_turn(server: str, token: Token, seconds: float) -> Iterator[None]:
    """Have a token, of which a second sign-in ends the first.

    Raises:
        TokenInUse: Another process had it for all of these seconds.
    """
    # within a process the lock is not in the way: a server cannot tell two of its sessions apart
    lock = _lock("tokens", server, token.name, token.value, is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _log.warning("Another process is signed in with %s; waiting for it to end.", token)
        try:
            lock.acquire(timeout=seconds)
        except Timeout as error:
            raise TokenInUse(
                f"Another process of this user is signed in with {token} since more than "
                f"{seconds:,.0f} seconds. A token has one session at a time: let that process end, "
                "or give this one a token of its own."
            ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def datasource_turn(place: tuple[str, ...], doing: str, seconds: float) -> Iterator[None]:
    """Publish a datasource while no other thread or process does: one could be taken for another.

    Args:
        place: Server, site, project and name of the datasource.
        doing: What is being done, for the message.
        seconds: How long to wait for the turn.

    Raises:
        BeingPublished: Somebody else had it for all of these seconds.
    """
    lock = _lock("datasources", *place)
    try:
        lock.acquire(timeout=seconds)
    except Timeout as error:
        raise BeingPublished(
            f"{doing} failed: it is being published from this machine since more than "
            f"{seconds:,.0f} seconds. Let that end, and run this again."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _lock(kind: str, *names: str, is_singleton: bool = False) -> FileLock:
    # a digest, because there may be a secret among the names
    digest = hashlib.sha256("\0".join(names).encode()).hexdigest()
    folder = platformdirs.user_cache_path("mds_tableau") / kind
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        # a service may have no home that it can write to
        folder = Path(tempfile.gettempdir()) / f"mds_tableau-{getpass.getuser()}" / kind
        folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{digest[:32]}.lock", is_singleton=is_singleton, thread_local=False)
