"""The folder of Dagster's instance: where it is, what it must have, and who serves it now.

Starting what serves it belongs to `service`, and what Dagster keeps in it to Dagster.
"""

import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml
from filelock import FileLock, Timeout

from mds_tableau.children import created, end_at_once, find
from mds_tableau.errors import ServiceError, SettingsError, first_line
from mds_tableau.files import read_json, write_json
from mds_tableau.settings import Settings, variable

_LOCK: Final = ".up.lock"
_STATE: Final = ".up.json"
POSTGRES_URL: Final = "DAGSTER_POSTGRES_URL"
_PACKAGED: Final = Path(__file__).with_name("dagster.yaml")
_COMMITTED: Final = Path(__file__).parents[1] / "data" / "dagster" / "dagster.yaml"


def home_of(settings: Settings) -> Path:
    """Return the folder: `DAGSTER_HOME`, or `dagster` in the data folder."""
    chosen = variable("DAGSTER_HOME")
    return Path(chosen).expanduser().absolute() if chosen else settings.mds_data_dir / "dagster"


def prepare_home(home: Path) -> bool:
    """Make the folder and put our `dagster.yaml` there, unless it has one; return whether it did.

    An empty `dagster.yaml` is left alone too: it is somebody's choice.

    Raises:
        ServiceError: It cannot be made or written to.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        target = home / "dagster.yaml"
        if target.exists():
            return False
        beside = home / f".dagster.yaml.{os.getpid()}.tmp"
        shutil.copyfile(_PACKAGED if _PACKAGED.is_file() else _COMMITTED, beside)
        beside.replace(target)
    except OSError as error:
        raise _unusable(home, error) from error
    return True


def _unusable(home: Path, error: OSError) -> ServiceError:
    return ServiceError(
        f"{home} cannot be the folder of Dagster's instance: {error}. Set DAGSTER_HOME to a folder "
        "that this user may make or write to; without it, it is dagster in MDS_DATA_DIR."
    )


def refuse_wrong_config(home: Path) -> None:
    """Return when `dagster.yaml` can be read, and a URL of PostgreSQL names the driver that works.

    Raises:
        ServiceError: It cannot be read, or is not YAML.
        SettingsError: The URL names none, or another. It is not shown, as a password is in it.
    """
    path = home / "dagster.yaml"
    config = _read(path)
    url = variable(POSTGRES_URL)
    if POSTGRES_URL in config and not url.startswith("postgresql+psycopg2://"):
        seen = f"begins with {url.partition('://')[0]}://" if "://" in url else "is not set"
        raise SettingsError(
            f"{POSTGRES_URL} {seen}, and {path} reads it. It must be "
            "postgresql+psycopg2://USER:PASSWORD@HOST:PORT/DATABASE, with the driver."
        )


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
        if isinstance(content, dict | None):
            return text
        wrong = "it is no list of settings with their names"
    except OSError as error:
        wrong = error.strerror or str(error)
    except UnicodeDecodeError as error:
        wrong = f"it is not UTF-8: {error}"
    except yaml.MarkedYAMLError as error:
        line = f", in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        wrong = f"it is not YAML: {error.problem}{line}"
    except yaml.YAMLError as error:
        wrong = f"it is not YAML: {first_line(error)}"
    raise ServiceError(
        f"{path}, which says how Dagster's instance is kept, cannot be read: {wrong}. Mend it, or "
        "move it away: `mds-tableau up` and `refresh` then put ours there."
    )


@contextmanager
def sole_service(home: Path) -> Iterator[list[str]]:
    """Be the only one that serves an instance; end what one that was killed left behind.

    Yields:
        What was left behind and is ended now, in words.

    Raises:
        ServiceError: Another one serves it, or its folder cannot be written to.
    """
    lock = FileLock(home / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        other = read_json(home / _STATE) or {}
        where = f", as process {other['pid']}, with its UI on {other['url']}" if other else ""
        raise ServiceError(
            f"Another `mds-tableau up` serves {home}{where}. Use that one, or stop it first."
        ) from None
    except OSError as error:
        raise _unusable(home, error) from error
    try:
        yield _end_leftovers(home)
    finally:
        (home / _STATE).unlink(missing_ok=True)
        lock.release()


def is_served(home: Path) -> bool:
    """Return whether an `mds-tableau up` serves an instance now."""
    if not (home / _LOCK).exists():
        return False
    lock = FileLock(home / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def write_state(home: Path, url: str, pids: Sequence[tuple[str, int]]) -> None:
    """Write down who serves the instance, for whoever finds it locked or left behind."""
    children = [[name, pid, created(pid)] for name, pid in pids]
    write_json(home / _STATE, {"pid": os.getpid(), "url": url, "children": children})


def refuse_taken_port(host: str, port: int) -> None:
    """Return when nobody listens on a port.

    Raises:
        ServiceError: Somebody does, or the host is none of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as listening:
            if os.name == "posix":
                # one that was just closed is not taken
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
    except OSError as error:
        raise ServiceError(
            f"Cannot listen on port {port} of {host}: {error.strerror or error}. Stop what listens "
            "there, or choose another one with --port."
        ) from error


def _end_leftovers(home: Path) -> list[str]:
    said = []
    left = read_json(home / _STATE) or {}
    for name, pid, since in left.get("children", ()):
        process = find(int(pid), float(since))
        if process is not None:
            end_at_once([*process.children(recursive=True), process])
            said.append(f"{name} (process {pid})")
    return said
