"""Measures what an upload of 1 GB takes while every tenth chunk fails: memory, repeats and seconds.

The sandbox and each upload have a process of their own, so that the memory of client and server is
told apart. A small file and a clean upload stand beside it, as does the client without this
publisher. Faults take turns: one that surely kept a chunk from arriving, then one that leaves it in
doubt and costs the whole upload. The exit code is 1 when what the server holds is not what was
sent; no figure decides it. Memory is read from /proc, so this runs on Linux.
"""

import hashlib
import json
import logging
import multiprocessing
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import tableauserverclient as TSC  # noqa: N812  # the name that its documentation uses
from tableauhyperapi import (
    Connection,
    CreateMode,
    HyperProcess,
    Inserter,
    SqlType,
    TableDefinition,
    TableName,
    Telemetry,
)
from tableauserverclient.config import BYTES_PER_MB, config

from mds_tableau.tableau import Password, Patience, publish, sign_in, uploading
from mds_tableau.tableau.uploads import CHUNK_BYTES

MEGABYTES: Final = {"small": 100, "large": 1000}
EVERY: Final = 10
FAULTS: Final[tuple[Mapping[str, object], ...]] = (
    {"kind": "disconnect", "when": "before"},
    {"kind": "disconnect", "when": "after"},
    {"kind": "status", "status": 429, "retry_after": 1},
    {"kind": "status", "status": 502, "when": "after"},
    {"kind": "disconnect", "when": "before", "reset": False},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429},
    {"kind": "truncate"},
    {"kind": "disconnect", "when": "before"},
    {"kind": "hang", "when": "after"},
)
_CLEAN: Final = "clean"
_FAULTS: Final = "faults"
_SMALL_CHUNKS: Final = "faults, chunks of 2 MB at first"
_ALONE: Final = "the client alone, clean"
RUNS: Final = (
    ("small", _CLEAN),
    ("large", _CLEAN),
    ("large", _FAULTS),
    ("large", _SMALL_CHUNKS),
    ("large", _ALONE),
)
_USER: Final = "benchmark"
_READ_SECONDS: Final = 10.0
_PAYLOAD: Final = 1_000_000
_BLOCK: Final = 1024**2


@dataclass(frozen=True)
class Run:
    """What one upload took.

    Attributes:
        seconds: From before the upload until the server has published it.
        client: Bytes of memory that the client's process took above what it had when signed in.
        server: The same of the server's process.
        chunks: Chunks that the server confirmed.
        appends: Requests to append that reached the server.
        uploads: Upload sessions that were begun.
        struck: How often each kind of fault struck.
    """

    seconds: float
    client: int
    server: int
    chunks: int
    appends: int
    uploads: int
    struck: Mapping[str, int]

    @property
    def repeated(self) -> int:
        """Requests that were sent again within an upload; all but the last ended in doubt."""
        return self.appends - self.chunks - (self.uploads - 1)


class Server:
    """The sandbox in its own process.

    Attributes:
        url: Its address.
        password: Of its one user.
        pid: Of its process.
    """

    def __init__(self, url: str, password: str, pid: int) -> None:
        self.url = url
        self.password = password
        self.pid = pid

    def fault(self, method: str, rule: Mapping[str, object] | None = None) -> Any:
        """Ask the sandbox about its faults, add one or remove all."""
        body = None if rule is None else json.dumps(rule).encode()
        request = Request(  # noqa: S310  # the sandbox's own address
            f"{self.url}/sandbox/faults", body, {"content-type": "application/json"}, method=method
        )
        with urlopen(request, timeout=30) as response:  # noqa: S310
            return json.loads(response.read() or b"null")

    def digest(self, name: str, folder: Path) -> str:
        """Return the SHA-256 of a datasource's extract, as a bystander downloads it."""
        client = TSC.Server(self.url, use_server_version=True)
        with client.auth.sign_in(TSC.TableauAuth(_USER, self.password)):
            [item] = [i for i in TSC.Pager(client.datasources) if i.name == name]
            package = Path(client.datasources.download(str(item.id), str(folder / "held")))
            client.datasources.delete(str(item.id))
        with zipfile.ZipFile(package) as archive:
            [inner] = [entry for entry in archive.namelist() if entry.endswith(".hyper")]
            with archive.open(inner) as content:
                digest = _sha256(content)
        package.unlink()
        return digest


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Run the sandbox as long as the block."""
    password = secrets.token_urlsafe(16)
    command = "from mds_tableau.sandbox.command import sandbox; sandbox()"
    options = {"--port": "0", "--data-dir": str(folder), "--user": f"{_USER}:{password}"}
    with subprocess.Popen(
        [sys.executable, "-c", command, *(text for pair in options.items() for text in pair)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None  # noqa: S101  # asked for just above
            ready = re.search(r"http://\S+", process.stdout.readline())
            if ready is None:
                raise SystemExit("The sandbox did not start.")
            yield Server(ready[0], password, process.pid)
        finally:
            process.terminate()


def make_extract(path: Path, megabytes: int) -> str:
    """Write a valid extract that cannot be compressed; return its SHA-256."""
    columns = [("id", SqlType.big_int()), ("noise", SqlType.bytes())]
    table = TableDefinition(
        TableName("Extract", "Extract"), [TableDefinition.Column(*column) for column in columns]
    )
    with (
        HyperProcess(
            Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
        ) as hyper,
        Connection(hyper.endpoint, path, CreateMode.CREATE_AND_REPLACE) as connection,
    ):
        connection.catalog.create_schema("Extract")
        connection.catalog.create_table(table)
        with Inserter(connection, table) as inserter:
            for number in range(megabytes):
                inserter.add_row([number, os.urandom(_PAYLOAD)])
            inserter.execute()
    with path.open("rb") as file:
        return _sha256(file)


def upload(url: str, password: str, path: Path, way: str) -> tuple[float, int, int]:
    """Publish a file in this process; return seconds, bytes of memory, and chunks confirmed."""
    os.environ["TSC_FILESIZE_LIMIT_MB"] = "0"
    logging.disable(logging.WARNING)  # the table has what they would say
    if way == _ALONE:
        return _upload_bare(url, password, path)
    patience = Patience(first_pause=0.1, longest_pause=2.0, read_seconds=_READ_SECONDS)
    chunk_bytes = 2 * 1024**2 if way == _SMALL_CHUNKS else CHUNK_BYTES
    confirmed = 0
    with (
        sign_in(url, "", Password(_USER, password), patience) as session,
        uploading(session, chunk_bytes=chunk_bytes) as uploads,
    ):
        append = uploads.append

        def counted(*arguments: Any) -> Any:
            nonlocal confirmed
            reply = append(*arguments)
            confirmed += 1
            return reply

        uploads.append = counted  # type: ignore[method-assign, assignment]
        before, started = reset_peak(os.getpid()), time.perf_counter()
        publish(session, path, datasource=path.stem, project="Default", uploads=uploads)
        return time.perf_counter() - started, peak(os.getpid()) - before, confirmed


def _upload_bare(url: str, password: str, path: Path) -> tuple[float, int, int]:
    client = TSC.Server(url, use_server_version=True)
    with client.auth.sign_in(TSC.TableauAuth(_USER, password)):
        [project] = [p for p in TSC.Pager(client.projects) if p.name == "Default"]
        before, started = reset_peak(os.getpid()), time.perf_counter()
        item = TSC.DatasourceItem(str(project.id), name=path.stem)
        job = client.datasources.publish(item, path, TSC.Server.PublishMode.Overwrite, as_job=True)
        client.jobs.wait_for_job(job)
        seconds = time.perf_counter() - started
        chunk_bytes = config.CHUNK_SIZE_MB * BYTES_PER_MB
        return seconds, peak(os.getpid()) - before, -(-path.stat().st_size // chunk_bytes)


def reset_peak(pid: int) -> int:
    """Let a process's peak of memory begin anew; return what it has now, in bytes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak(pid)


def peak(pid: int) -> int:
    """Return the most memory that a process had at once, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def measure(server: Server, path: Path, way: str) -> Run:
    """Publish a file in a fresh process, with or without faults."""
    server.fault("DELETE")
    # these two only count, as a delay of nothing
    for operation in ("append_upload", "initiate_upload"):
        server.fault("POST", {"kind": "delay", "seconds": 0, "probability": 0, "on": operation})
    for number, fault in enumerate(FAULTS if way.startswith(_FAULTS) else ()):
        first, every = EVERY * (number + 1), EVERY * len(FAULTS)
        server.fault("POST", {**fault, "on": "append_upload", "first": first, "every": every})
    before = reset_peak(server.pid)
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, fresh) as pool:
        seconds, memory, chunks = pool.submit(
            upload, server.url, server.password, path, way
        ).result()
    told = server.fault("GET")
    appends, uploads = (rule["matched"] for rule in told["rules"][:2])
    struck = Counter(applied["kind"] for applied in told["applied"])
    server.fault("DELETE")
    return Run(seconds, memory, peak(server.pid) - before, chunks, appends, uploads, struck)


def _sha256(file: Any) -> str:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def main() -> int:
    """Measure and print; return the exit code."""
    memory: dict[tuple[str, str], int] = {}
    right = True
    print(
        f"A fault on every {EVERY}th append. Memory is the peak above what the process had when it "
        "had signed in.\n"
        f"{'file and way':42}{'MB/s':>7}{'s':>7}{'client MB':>11}{'server MB':>11}"
        f"{'chunks':>8}{'appends':>9}{'uploads':>9}{'faults':>8}{'repeated':>10}",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="upload-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        paths = {size: folder / f"{size}.hyper" for size in MEGABYTES}
        digests = {size: make_extract(paths[size], MEGABYTES[size]) for size in MEGABYTES}
        with serving(folder / "sandbox") as server:
            for size, way in RUNS:
                run = measure(server, paths[size], way)
                memory[size, way] = run.client
                sent = paths[size].stat().st_size / 1e6
                print(
                    f"{f'{sent:,.0f} MB, {way}':42}{sent / run.seconds:7.0f}{run.seconds:7.1f}"
                    f"{run.client / 1e6:11.1f}{run.server / 1e6:11.1f}{run.chunks:8}"
                    f"{run.appends:9}{run.uploads:9}{sum(run.struck.values()):8}{run.repeated:10}",
                    flush=True,
                )
                if run.struck:
                    print(f"    {', '.join(f'{k} {n}' for k, n in run.struck.items())}")
                if server.digest(paths[size].stem, folder) != digests[size]:
                    right = False
                    print("    The server does not hold what was sent.", flush=True)
    small, clean, faulty, _, alone = (memory[run] for run in RUNS)
    print(
        f"\nclient's memory: large/small {clean / small:.2f}, with faults/clean "
        f"{faulty / clean:.2f}, the client alone/with faults {alone / faulty:.0f}\n"
        f"what the server holds {'equals what was sent' if right else 'DIFFERS FROM WHAT WAS SENT'}"
    )
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
