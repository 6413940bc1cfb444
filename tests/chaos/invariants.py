"""What has to hold whenever nothing runs, whatever was killed before.

All of it is asked of others: Hyper, DuckDB, SQLite and the operating system. Each look is at a copy
where looking could repair something.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import tableauhyperapi
from filelock import FileLock, Timeout
from tableauhyperapi import Connection, HyperProcess, TableName, Telemetry, escape_name

from tests.chaos.place import APPENDED, Place, Rows

_HYPERD = Path(tableauhyperapi.__file__).parent / "bin" / "hyper" / "hyperd"


@dataclass(frozen=True)
class Server:
    """What the sandbox's folder holds, read without the sandbox.

    Attributes:
        rows: Rows of each datasource's newest revision, as sorted texts, by its name.
        revisions: Its number of revisions, and the newest one.
        pending: Publishes that were accepted and are not done.
    """

    rows: dict[str, Rows] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    pending: int = 0


class Look:
    """Looks at a place, and counts what it looked at and what was wrong.

    Attributes:
        checked: How often each invariant was looked at.
        violations: What was found, in sentences.
    """

    def __init__(self, place: Place, hyper: HyperProcess, scratch: Path) -> None:
        self.place = place
        self.checked: Counter[str] = Counter()
        self.violations: list[str] = []
        self._hyper = hyper
        self._scratch = scratch
        scratch.mkdir(parents=True, exist_ok=True)

    def holds(self, invariant: str, is_so: object, told: str = "") -> None:
        """Count an invariant, and note where it does not hold."""
        self.checked[invariant] += 1
        if not is_so:
            self.violations.append(f"{invariant}: {told}")

    def files(self) -> None:
        """Every file that has its name is whole."""
        data = self.place.work.data
        for path in sorted(data.glob("hyper/*.hyper")):
            if not path.name.startswith("."):
                self._hyper_file(path)
        for manifest in sorted(data.glob("parquet/*/*/_manifest.json")):
            if not manifest.parent.name.startswith("."):
                self._parquet_version(manifest)
        for path in sorted(data.rglob("*.json")):
            if not path.name.startswith("."):
                self._ask("JSON file is whole", path, lambda p: json.loads(p.read_bytes()))
        if self.place.warehouse.exists():
            self._ask("DuckDB file opens", self.place.warehouse, self._duckdb)
        databases = [*self.place.home.rglob("*.db"), *data.rglob("*.sqlite3")]
        for path in sorted(databases):
            self._ask("SQLite file is whole", path, self._sqlite)

    def locks(self) -> None:
        """Nobody holds a lock, as nobody runs."""
        folder = self.place.work.folder
        for path in [*folder.rglob("*.lock"), *folder.rglob(".*.turn")]:
            lock = FileLock(path)
            try:
                with lock.acquire(timeout=0):
                    self.holds("lock is free", True)
            except Timeout:
                self.holds("lock is free", False, str(path))

    def server(self) -> Server:
        """Return what the server holds, by its own database and files."""
        folder = self.place.work.data / "sandbox"
        if not (folder / "sandbox.sqlite3").exists():
            return Server()
        with self._copied(folder / "sandbox.sqlite3") as copy, closing(sqlite3.connect(copy)) as db:
            known = db.execute(
                "SELECT name, revision, file FROM datasources JOIN revisions"
                " ON datasource_id = datasources.id AND revisions.number = revision"
            ).fetchall()
            [[pending]] = db.execute("SELECT count(*) FROM jobs WHERE completed_at IS NULL")
            files = db.execute("SELECT file FROM revisions").fetchall()
        for [file] in files:
            self.holds("revision has its file", (folder / "files" / file).is_file(), file)
        rows = {name: self.rows_of(folder / "files" / file) for name, _, file in known}
        return Server(rows, {name: number for name, number, _ in known}, pending)

    def rows_of(self, path: Path) -> Rows:
        """Return the rows of an extract as sorted texts."""
        with (
            self._copied(path, ".hyper", "rows") as copy,
            Connection(self._hyper.endpoint, str(copy)) as connection,
        ):
            table = TableName("Extract", "Extract")
            columns = connection.catalog.get_table_definition(table).columns
            texts = ", ".join(f"CAST({escape_name(c.name.unescaped)} AS TEXT)" for c in columns)
            rows = connection.execute_list_query(f"SELECT {texts} FROM {table}")
        return sorted((tuple(row) for row in rows), key=repr)

    def states_of(self, server: Server, states: Sequence[int]) -> dict[str, int | None]:
        """Return which of some states each datasource is in; None where it is in none of them."""
        found: dict[str, int | None] = {}
        for extract, datasource in self.place.extracts.items():
            if extract == APPENDED:
                continue
            rows = server.rows.get(datasource)
            found[datasource] = next(
                (one for one in states if rows == self.place.expected(extract, one)), None
            )
        return found

    def never_doubled(self, server: Server) -> set[int]:
        """Look at the datasource that is appended to; return the states whose rows it has."""
        rows = Counter(server.rows.get(APPENDED, []))
        doubled = [row for row, count in rows.items() if count > 1]
        self.holds("appended rows are there once", not doubled, f"{doubled[:3]} of {len(doubled)}")
        states = {int(str(state)) for _, state in rows}
        for state in states:
            have = sorted((row for row in rows if row[1] == str(state)), key=repr)
            is_whole = have == self.place.expected(APPENDED, state)
            self.holds("appended rows are whole", is_whole, f"those of state {state}")
        return states

    def _hyper_file(self, path: Path) -> None:
        def ask(copy: Path) -> None:
            found = subprocess.run(
                [str(_HYPERD), "validate", "-d", str(copy), "--log-config="],
                capture_output=True,
                text=True,
                check=False,
            )
            if found.returncode:
                raise ValueError(found.stdout + found.stderr)
            self.rows_of(copy)

        self._ask("extract is whole", path, ask)

    def _parquet_version(self, manifest: Path) -> None:
        def ask(copy: Path) -> None:
            content = json.loads(copy.read_bytes())
            rows = 0
            for part in content["parts"]:
                path = manifest.parent / part["file"]
                if hashlib.sha256(path.read_bytes()).hexdigest() != part["sha256"]:
                    raise ValueError(f"{path} is not what its manifest says")
                with duckdb.connect() as memory:
                    rows += len(
                        memory.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
                    )
            if rows != content["rows"]:
                raise ValueError(f"{rows} rows, {content['rows']} in the manifest")

        self._ask("Parquet version is whole", manifest, ask)

    def _ask(self, invariant: str, path: Path, ask: Callable[[Path], Any]) -> None:
        try:
            with self._copied(path, path.suffix) as copy:
                ask(copy)
        except Exception as error:  # noqa: BLE001  # whatever is said of it
            self.holds(invariant, False, f"{path}: {error}")
        else:
            self.holds(invariant, True)

    def _duckdb(self, path: Path) -> None:
        with duckdb.connect(str(path)) as connection:
            for [name] in connection.execute(
                'SELECT format(\'"{}"."{}"\', table_schema, table_name)'
                " FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
            ).fetchall():
                connection.execute(f"SELECT * FROM {name}").fetchall()

    def _sqlite(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as db:
            [[told]] = db.execute("PRAGMA integrity_check").fetchall()
            if told != "ok":
                raise ValueError(told)

    @contextmanager
    def _copied(self, path: Path, suffix: str = "", name: str = "look") -> Iterator[Path]:
        """Give a copy of a file, with what belongs to it beside it."""
        folder = self._scratch / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        copy = folder / f"copy{suffix}"
        try:
            shutil.copy(path, copy)
            for more in ("-wal", ".wal"):
                beside = path.with_name(path.name + more)
                if beside.exists():
                    shutil.copy(beside, copy.with_name(copy.name + more))
            yield copy
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def looking(place: Place, scratch: Path) -> Iterator[Look]:
    """Give a look at a place, with a Hyper that is not the pipeline's."""
    with HyperProcess(
        Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}
    ) as hyper:
        # not before it runs: whoever knows the instance is taken for a part of the run
        os.environ["DAGSTER_HOME"] = str(place.home)
        yield Look(place, hyper, scratch)


def debris(place: Place) -> Counter[str]:
    """Count what a run leaves while it works, and takes away or moves into place at its end."""
    found: Counter[str] = Counter()
    data = place.work.data
    for path in data.rglob("*"):
        if ".tmp" in path.name or path.name.startswith(".publish-"):
            found[f"{path.parent.relative_to(data)}/*.tmp"] += 1
    named = set()
    database = data / "sandbox" / "sandbox.sqlite3"
    if database.exists():
        with closing(sqlite3.connect(database)) as db:
            named = {
                row[0]
                for row in db.execute(
                    "SELECT file FROM revisions UNION SELECT file FROM upload_chunks"
                    " UNION SELECT file FROM jobs WHERE completed_at IS NULL"
                )
            }
            [[uploads]] = db.execute("SELECT count(*) FROM uploads").fetchall()
            found["uploads that nobody goes on with"] += uploads
    files = data / "sandbox" / "files"
    found["files of the sandbox that no row names"] += sum(
        path.name not in named for path in files.glob("*")
    )
    found["files of processes in the temporary folder"] += len(
        list((place.work.folder / "tmp").iterdir())
    )
    target = place.work.project / "target"
    found["folders of dbt's results"] += sum(path.is_dir() for path in target.glob("???????"))
    found["target/*.tmp"] += len(list(target.glob(".*.tmp")))
    return +found
