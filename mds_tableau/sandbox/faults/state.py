"""Faults of the server's own state: sessions, uploads, jobs, and a search that lags behind.

Kinds that change what the sandbox holds or what an operation does belong here; those that only
change a reply or a connection do not. None of them takes away what was published.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from starlette.concurrency import run_in_threadpool
from starlette.types import Message

from mds_tableau.sandbox import auth, uploads
from mds_tableau.sandbox.config import MEGABYTE
from mds_tableau.sandbox.effects import Rows
from mds_tableau.sandbox.faults.exchange import Exchange, Fault, Proceed, When
from mds_tableau.sandbox.store import Store


@dataclass(frozen=True)
class Change(Fault):
    """A fault that changes the state, before the work or between it and the reply."""

    conditional: ClassVar[bool] = True

    def change(self, exchange: Exchange) -> bool:
        """Changes the state, in a thread; returns whether there was anything to change."""
        raise NotImplementedError

    async def strike(self, exchange: Exchange, proceed: Proceed) -> None:
        """Changes the state at its time."""

        async def apply() -> None:
            if await run_in_threadpool(self.change, exchange):
                exchange.record()

        if getattr(self, "when", "before") == "before":
            await apply()
            await proceed(exchange)
            return

        async def send(message: Message) -> None:
            # Once the client has the reply, its next request may already be here.
            if message["type"] == "http.response.start":
                await apply()
            await exchange.send(message)

        await proceed(exchange.sending(send))


@dataclass(frozen=True)
class ExpireSession(Change):
    """Ends the caller's session; only requests with a token count.

    Attributes:
        when: Before this call, which is then refused, or after it.
    """

    kind: ClassVar[str] = "expire_session"
    when: When = "before"

    def concerns(self, exchange: Exchange) -> bool:
        """Only a caller with a token has a session."""
        return "x-tableau-auth" in exchange.headers

    def change(self, exchange: Exchange) -> bool:
        """Ends it."""
        return auth.end_session(exchange.store, exchange.headers["x-tableau-auth"])


@dataclass(frozen=True)
class SecondSignIn(ExpireSession):
    """Ends the caller's session as a second sign-in with its personal access token would.

    Attributes:
        when: Before this call, which is then refused, or after it.
    """

    kind: ClassVar[str] = "second_sign_in"

    def change(self, exchange: Exchange) -> bool:
        """Ends all sessions of the token; there are none where a password was used."""
        token = exchange.headers["x-tableau-auth"]
        return auth.end_session(exchange.store, token, second_sign_in=True)


@dataclass(frozen=True)
class LoseUploads(Change):
    """Forgets all upload sessions, with what was sent to them.

    Attributes:
        when: Before this call or after it.
    """

    kind: ClassVar[str] = "lose_uploads"
    when: When = "before"

    def change(self, exchange: Exchange) -> bool:
        """Forgets them."""
        return bool(uploads.lose_all(exchange.store))


@dataclass(frozen=True)
class LimitChunk(Fault):
    """Refuses larger pieces of an upload: 400016.

    Attributes:
        megabytes: How many MB (of 1,048,576 bytes) a piece may have.
    """

    kind: ClassVar[str] = "limit_chunk"
    conditional: ClassVar[bool] = True
    megabytes: int = 1

    async def strike(self, exchange: Exchange, proceed: Proceed) -> None:
        """Lets the operation look at the size, as only it knows the piece from its wrapping."""

        def check(size: int) -> None:
            if size > self.megabytes * MEGABYTE:
                exchange.record()
                raise uploads.chunk_too_large(self.megabytes * MEGABYTE)

        exchange.effects.on_chunk.append(check)
        await proceed(exchange)


@dataclass(frozen=True)
class ListLag(Fault):
    """Leaves what is new out of lists and filters for a while; getting it by id works.

    New is what is made after the fault was added; what is overwritten stays in the list.

    Attributes:
        seconds: For how long after it was made, by the sandbox's clock.
        requests: From how many lists, at least.
    """

    kind: ClassVar[str] = "list_lag"
    conditional: ClassVar[bool] = True
    seconds: float = 0.0
    requests: int = 0
    _known: set[str] = field(init=False, repr=False, compare=False, default_factory=set)
    _missed: dict[str, int] = field(init=False, repr=False, compare=False, default_factory=dict)
    _lock: threading.Lock = field(
        init=False, repr=False, compare=False, default_factory=threading.Lock
    )

    def prepare(self, store: Store) -> None:
        """Takes what there is for known, the first time; a restart makes nothing known."""
        with self._lock, store.reading() as db:
            if not self._known:
                for table in ("datasources", "projects"):
                    self._known.update(row["id"] for row in db.execute(f"SELECT id FROM {table}"))  # noqa: S608

    async def strike(self, exchange: Exchange, proceed: Proceed) -> None:
        """Lets the operation leave rows out, so that pages and totals agree."""

        def shown(rows: Rows) -> Rows:
            now = exchange.store.time()
            with self._lock:
                kept = [row for row in rows if not self._is_missed(row, now)]
            if len(kept) < len(rows):
                exchange.record()
            return kept

        exchange.effects.on_list.append(shown)
        await proceed(exchange)

    def _is_missed(self, row: Mapping[str, Any], now: float) -> bool:
        item_id = str(row["id"])
        if item_id in self._known:
            return False
        made = datetime.fromisoformat(row["created_at"].replace("Z", "+00:00")).timestamp()
        missed = self._missed.get(item_id, 0)
        if missed >= self.requests and now >= made + self.seconds:
            self._known.add(item_id)
            return False
        self._missed[item_id] = missed + 1
        return True


@dataclass(frozen=True)
class JobFault(Fault):
    """A fault of the job that a request starts; a request without a job is left alone."""

    conditional: ClassVar[bool] = True

    def plan(self) -> Mapping[str, Any]:
        """Returns what the job does; see `job_plans`."""
        raise NotImplementedError

    async def strike(self, exchange: Exchange, proceed: Proceed) -> None:
        """Lets the operation keep the plan with its job."""

        def planned() -> Mapping[str, Any]:
            exchange.record()
            return self.plan()

        exchange.effects.on_job.append(planned)
        await proceed(exchange)


@dataclass(frozen=True)
class FailJob(JobFault):
    """Has the job fail: finishCode 1, and nothing is published.

    Attributes:
        notes: What it says about it; real ones often say nothing.
    """

    kind: ClassVar[str] = "fail_job"
    notes: tuple[str, ...] = ()

    def plan(self) -> Mapping[str, Any]:
        """Returns the failure."""
        return {"finish_code": 1, "notes": list(self.notes)}


@dataclass(frozen=True)
class KeepJobRunning(JobFault):
    """Has the job run until it was looked at often enough; nothing is published before.

    Attributes:
        polls: After how many looks it is complete; None means never.
    """

    kind: ClassVar[str] = "keep_job_running"
    polls: int | None = None

    def plan(self) -> Mapping[str, Any]:
        """Returns the number of looks."""
        return {"polls": self.polls}


@dataclass(frozen=True)
class PurgeJob(JobFault):
    """Has the job be gone once it is complete: 404018.

    Attributes:
        done: Whether it has published before.
    """

    kind: ClassVar[str] = "purge_job"
    done: bool = True

    def plan(self) -> Mapping[str, Any]:
        """Returns the purge."""
        return {"purged": True} if self.done else {"purged": True, "finish_code": 1}


@dataclass(frozen=True)
class JobErrorNote(JobFault):
    """Has the job end with finishCode 0 and a status note of an error; nothing is published.

    Attributes:
        code: The note's value.
        text: The note's text.
    """

    kind: ClassVar[str] = "job_error_note"
    code: str = "400011"
    text: str = "There was a problem publishing the file."

    def plan(self) -> Mapping[str, Any]:
        """Returns the note."""
        return {"finish_code": 0, "error_code": self.code, "text": self.text}
