"""The sandbox's folder: one SQLite database and the files beside it.

Opening, the tables, transactions, staging of files and tidying belong here; what rows mean and when
they change does not. Several processes may use one folder: every change is one immediate
transaction, and no file that a row names is ever written again.
"""

import contextlib
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout

from mds_tableau.errors import SandboxError
from mds_tableau.sandbox import seeding
from mds_tableau.sandbox.config import SandboxConfig
from mds_tableau.sandbox.hyperfile import HyperFiles

LOCK_SECONDS = 60.0
STALE_SECONDS = 24 * 60 * 60

FIRST = (
    """CREATE TABLE sites (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, content_url TEXT NOT NULL,
        content_url_key TEXT NOT NULL UNIQUE, last_number INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE users (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, name_key TEXT NOT NULL UNIQUE)""",
    # Only a digest of a session's token is kept, so that the folder does not let anybody in.
    """CREATE TABLE sessions (
        token_digest TEXT PRIMARY KEY, user_id TEXT NOT NULL, site_id TEXT NOT NULL,
        credential TEXT NOT NULL, scopes TEXT, last_used REAL NOT NULL)""",
    "CREATE TABLE used_jwts (jti TEXT PRIMARY KEY, expires REAL NOT NULL)",
    # A top-level project's parent is '' and not NULL, because NULLs are never equal to each other.
    """CREATE TABLE projects (
        sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, site_id TEXT NOT NULL,
        parent_id TEXT NOT NULL, name TEXT NOT NULL, name_key TEXT NOT NULL,
        description TEXT NOT NULL, content_permissions TEXT NOT NULL, owner_id TEXT NOT NULL,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
        UNIQUE (site_id, parent_id, name_key))""",
    """CREATE TABLE datasources (
        id TEXT PRIMARY KEY, site_id TEXT NOT NULL, number INTEGER NOT NULL,
        project_id TEXT NOT NULL, name TEXT NOT NULL, name_key TEXT NOT NULL,
        content_url TEXT NOT NULL, content_url_key TEXT NOT NULL, description TEXT,
        certified INTEGER NOT NULL, certification_note TEXT,
        use_remote_query_agent INTEGER NOT NULL, owner_id TEXT NOT NULL,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, revision INTEGER NOT NULL,
        UNIQUE (site_id, project_id, name_key), UNIQUE (site_id, number),
        UNIQUE (site_id, content_url_key))""",
    """CREATE TABLE revisions (
        datasource_id TEXT NOT NULL, number INTEGER NOT NULL, published_at TEXT NOT NULL,
        publisher_id TEXT NOT NULL, size INTEGER NOT NULL, file TEXT NOT NULL,
        PRIMARY KEY (datasource_id, number))""",
    "CREATE TABLE uploads (id TEXT PRIMARY KEY, site_id TEXT NOT NULL, created REAL NOT NULL)",
    """CREATE TABLE upload_chunks (
        sequence INTEGER PRIMARY KEY, upload_id TEXT NOT NULL, file TEXT NOT NULL,
        size INTEGER NOT NULL)""",
    """CREATE TABLE jobs (
        id TEXT PRIMARY KEY, site_id TEXT NOT NULL, kind TEXT NOT NULL, request TEXT NOT NULL,
        file TEXT NOT NULL, user_id TEXT NOT NULL, created REAL NOT NULL,
        created_at TEXT NOT NULL, started_at TEXT, completed_at TEXT, updated_at TEXT NOT NULL,
        finish_code INTEGER, polls INTEGER NOT NULL DEFAULT 0)""",
)
SECOND = (
    # The packaged data source that a revision's extract came in; NULL for a bare .hyper.
    "ALTER TABLE revisions ADD COLUMN package TEXT",
    "ALTER TABLE jobs ADD COLUMN notes TEXT",
    "ALTER TABLE jobs ADD COLUMN item_id TEXT",
    # An older version wrote down what such a job has to do in another form.
    """UPDATE jobs SET finish_code = 1, completed_at = updated_at,
        started_at = coalesce(started_at, updated_at) WHERE completed_at IS NULL""",
    """CREATE TABLE tags (
        item_id TEXT NOT NULL, label TEXT NOT NULL, label_key TEXT NOT NULL,
        PRIMARY KEY (item_id, label_key))""",
    """CREATE TABLE permissions (
        item_id TEXT NOT NULL, grantee_kind TEXT NOT NULL, grantee_id TEXT NOT NULL,
        capability TEXT NOT NULL, mode TEXT NOT NULL,
        PRIMARY KEY (item_id, grantee_kind, grantee_id, capability))""",
    """CREATE TABLE connections (
        datasource_id TEXT PRIMARY KEY, server_address TEXT, server_port TEXT, user_name TEXT,
        embed_password INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE groups (
        id TEXT PRIMARY KEY, site_id TEXT NOT NULL, name TEXT NOT NULL,
        UNIQUE (site_id, name))""",
    "CREATE TABLE tokens (name TEXT PRIMARY KEY, created REAL NOT NULL, last_used REAL NOT NULL)",
    """CREATE TABLE workbooks (
        id TEXT PRIMARY KEY, site_id TEXT NOT NULL, number INTEGER NOT NULL,
        project_id TEXT NOT NULL, name TEXT NOT NULL, content_url TEXT NOT NULL,
        datasource_name TEXT NOT NULL, owner_id TEXT NOT NULL, created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL, UNIQUE (site_id, name))""",
    """CREATE TABLE views (
        id TEXT PRIMARY KEY, workbook_id TEXT NOT NULL, position INTEGER NOT NULL,
        name TEXT NOT NULL, content_url TEXT NOT NULL, kind TEXT NOT NULL)""",
)
# One step for each format that a folder may have had; a folder goes through those it lacks.
STEPS = (FIRST, SECOND)
SCHEMA_VERSION = len(STEPS)


class Store:
    """The state of one sandbox, as kept in its folder.

    Attributes:
        config: What the sandbox serves.
        hyper: Opens extracts; starts Hyper when it is first asked to.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.hyper = HyperFiles()
        self._folder = config.data_dir.resolve()
        try:
            self._files.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SandboxError(
                f"Cannot start the sandbox: its folder {self._folder} cannot be made ({error})."
                " Choose another data folder."
            ) from error
        try:
            with FileLock(self._folder / "sandbox.lock", timeout=LOCK_SECONDS):
                # SQLite folds its log into the database whenever the last connection closes;
                # keeping one open spares every request that work.
                self._anchor = self._connect()
                try:
                    self._prepare()
                except BaseException:
                    self._anchor.close()
                    raise
        except Timeout as error:
            raise SandboxError(
                f"Cannot start the sandbox: another one has been starting in {self._folder} for"
                f" {LOCK_SECONDS:.0f} seconds. Stop it, or choose another data folder."
            ) from error

    def close(self) -> None:
        """Lets go of the database and ends Hyper; the folder stays."""
        self._anchor.close()
        self.hyper.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lends a connection that sees one unchanging state."""
        with contextlib.closing(self._connect()) as db:
            db.execute("BEGIN")
            yield db

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lends a connection that is the only writer; an exception undoes its changes."""
        with contextlib.closing(self._connect()) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def time(self) -> float:
        """Returns the time in seconds since 1970."""
        return self.config.clock()

    def now(self) -> str:
        """Returns the time as the API writes it."""
        moment = datetime.fromtimestamp(self.time(), timezone.utc)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def stage(self) -> Path:
        """Returns a path for a new file, which counts for nothing until a row names it."""
        return self._files / uuid.uuid4().hex

    def file(self, name: str) -> Path:
        """Returns the path of a file that a row names."""
        return self._files / name

    def snapshot(self, name: str) -> Path:
        """Returns a second name for a file, which outlives the removal of the first.

        Raises:
            FileNotFoundError: The file was removed.
        """
        copy = self.stage()
        try:
            os.link(self.file(name), copy)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without hard links
            shutil.copyfile(self.file(name), copy)
        return copy

    def discard(self, paths: Iterable[Path]) -> None:
        """Removes files that no row names any more."""
        for path in paths:
            # Windows does not remove a file that somebody reads; the next start tidies it up.
            with contextlib.suppress(OSError):
                path.unlink()

    @property
    def _files(self) -> Path:
        return self._folder / "files"

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._folder / "sandbox.sqlite3",
            timeout=LOCK_SECONDS,
            isolation_level=None,  # transactions are begun and ended here, visibly
            check_same_thread=False,
        )
        db.row_factory = sqlite3.Row
        return db

    def _prepare(self) -> None:
        try:
            self._anchor.execute("PRAGMA journal_mode=WAL")
            version = self._anchor.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise self._unusable(str(error)) from error
        if version > SCHEMA_VERSION:
            raise self._unusable(f"its format is {version}, this version's is {SCHEMA_VERSION}")
        with self.writing() as db:
            for step in STEPS[version:]:
                for statement in step:
                    db.execute(statement)
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            seeding.seed(db, self.config, self.now())
        self._tidy()

    def _unusable(self, why: str) -> SandboxError:
        return SandboxError(
            f"Cannot start the sandbox: {self._folder / 'sandbox.sqlite3'} is not a database that"
            f" it can use ({why}). Choose another data folder, or delete this one."
        )

    def _tidy(self) -> None:
        """Removes what a process left behind that ended in the middle of something."""
        oldest = self.time() - STALE_SECONDS
        with self.writing() as db:
            db.execute(
                "DELETE FROM upload_chunks WHERE upload_id IN"
                " (SELECT id FROM uploads WHERE created < ?)",
                (oldest,),
            )
            db.execute("DELETE FROM uploads WHERE created < ?", (oldest,))
            db.execute("DELETE FROM used_jwts WHERE expires < ?", (oldest,))
            named = {
                row["file"]
                for row in db.execute(
                    "SELECT file FROM revisions UNION ALL SELECT package FROM revisions"
                    " UNION ALL SELECT file FROM upload_chunks"
                    " UNION ALL SELECT file FROM jobs WHERE completed_at IS NULL"
                )
            }
        for path in self._files.iterdir():
            with contextlib.suppress(OSError):
                status = path.stat()
                # A second name for an old file has its time of change, but a new status.
                if path.name not in named and max(status.st_mtime, status.st_ctime) < oldest:
                    path.unlink()
