"""Faults of the way to the server: lost connections, time, speed, and a gateway's limit.

Kinds that concern the connection or the clock belong here; those that change a reply's text or the
sandbox's state do not.
"""

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from starlette.types import Message

from mds_tableau.errors import SandboxError
from mds_tableau.sandbox.faults.exchange import Exchange, Fault, Proceed, When
from mds_tableau.sandbox.faults.replies import Status


@dataclass(frozen=True)
class Disconnect(Fault):
    """Ends the connection instead of replying.

    Attributes:
        when: "before" anything of the body was read, once it was "read" and nothing done, or
            "after" the work was done.
        reset: Whether the client gets a TCP reset; otherwise an ordinary end, which a system turns
            into a reset where a part of the body was not read.
    """

    kind: ClassVar[str] = "disconnect"
    when: Literal["before", "read", "after"] = "before"
    reset: bool = True

    async def strike(self, exchange: Exchange, proceed: Proceed) -> None:
        """Reads and works as far as it should, then hangs up."""
        if self.when == "read":
            await exchange.drain()
        elif self.when == "after":
            await proceed(exchange.without_reply())
        if self.reset:
            exchange.connection.reset()
        else:
            exchange.connection.close()
        await exchange.disconnected()


@dataclass(frozen=True)
class StaleConnection(Fault):
    """Resets a connection when a second or later request comes on it, before anything is read."""

    kind: ClassVar[str] = "stale_connection"

    def concerns(self, exchange: Exchange) -> bool:
        """Only a connection that was used before can have been forgotten."""
        return exchange.connection.requests > 1

    async def strike(self, exchange: Exchange, proceed: Proceed) -> None:
        """Hangs up, as what stands between does that has forgotten the connection."""
        exchange.connection.reset()
        await exchange.disconnected()


@dataclass(frozen=True)
class CloseIdle(Fault):
    """Closes all connections on which nothing is under way, after the reply and unannounced."""

    kind: ClassVar[str] = "close_idle"

    async def strike(self, exchange: Exchange, proceed: Proceed) -> None:
        """Replies, then closes this connection too."""
        await proceed(exchange)
        exchange.connection.close_idle()


@dataclass(frozen=True)
class Delay(Fault):
    """Waits, and then goes on as ever.

    Attributes:
        seconds: How long.
        when: "before" the work, "after" it and before the reply, or "during" the reply, between
            its head and its body.
    """

    kind: ClassVar[str] = "delay"
    seconds: float = 1.0
    when: Literal["before", "after", "during"] = "before"

    async def strike(self, exchange: Exchange, proceed: Proceed) -> None:
        """Waits where it should."""
        if self.when == "before":
            await exchange.pause(self.seconds)
            await proceed(exchange)
            return
        awaited = "http.response.start" if self.when == "after" else "http.response.body"
        waited = False

        async def send(message: Message) -> None:
            nonlocal waited
            if message["type"] == awaited and not waited:
                waited = True
                await exchange.pause(self.seconds)
            await exchange.send(message)

        await proceed(exchange.sending(send))


@dataclass(frozen=True)
class Hang(Fault):
    """Never answers: it lasts until the client gives up or the sandbox stops.

    Attributes:
        when: Whether the work is done.
    """

    kind: ClassVar[str] = "hang"
    when: When = "before"

    async def strike(self, exchange: Exchange, proceed: Proceed) -> None:
        """Waits for either end."""
        if self.when == "after":
            await proceed(exchange.without_reply())
        gone = asyncio.ensure_future(exchange.disconnected())
        stopping = asyncio.ensure_future(exchange.stopping.wait())
        try:
            await asyncio.wait({gone, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not gone.done():
                exchange.connection.reset()
            await gone
        finally:
            for waiting in (gone, stopping):
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await waiting


@dataclass(frozen=True)
class Throttle(Fault):
    """Takes request bodies no faster than so many bytes per second.

    Attributes:
        bytes_per_second: The speed.
        shared: Whether all connections share it; otherwise each has it for itself.
    """

    kind: ClassVar[str] = "throttle"
    conditional: ClassVar[bool] = True
    bytes_per_second: int = 5_000_000
    shared: bool = True
    _line: "_Line" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.bytes_per_second:
            raise SandboxError(
                "Cannot use the fault 'throttle': its 'bytes_per_second' is 0. Use 'hang' instead."
            )
        object.__setattr__(self, "_line", _Line(self.bytes_per_second))

    async def strike(self, exchange: Exchange, proceed: Proceed) -> None:
        """Hands on each piece of the body once it could have come at this speed."""
        line = self._line if self.shared else _Line(self.bytes_per_second)
        noted = False

        async def receive() -> Message:
            nonlocal noted
            message = await exchange.receive()
            size = len(message.get("body", b""))
            if size and not noted:
                noted = True
                exchange.record()
            if size:
                await exchange.pause(line.seconds(size, exchange.ticks()))
            return message

        await proceed(replace(exchange, receive=receive))


class _Line:
    """A line of a certain speed, and until when it is busy."""

    def __init__(self, bytes_per_second: int) -> None:
        self._bytes_per_second = bytes_per_second
        self._busy_until = 0.0
        self._lock = threading.Lock()

    def seconds(self, size: int, now: float) -> float:
        """Returns how long it takes until so many more bytes are through."""
        with self._lock:
            self._busy_until = max(now, self._busy_until) + size / self._bytes_per_second
            return self._busy_until - now


@dataclass(frozen=True)
class LimitBody(Fault):
    """Refuses larger request bodies, by their Content-Length, as a gateway does: 413 in HTML.

    Attributes:
        largest: How many bytes a body may have.
    """

    kind: ClassVar[str] = "limit_body"
    largest: int = 1_000_000

    def concerns(self, exchange: Exchange) -> bool:
        """Only larger bodies are refused."""
        length = exchange.headers.get("content-length", "")
        return length.isdecimal() and int(length) > self.largest

    async def strike(self, exchange: Exchange, proceed: Proceed) -> None:
        """Answers for the gateway."""
        await Status(413).strike(exchange, proceed)
