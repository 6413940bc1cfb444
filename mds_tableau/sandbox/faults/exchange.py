"""What every fault is made of: one request on its way, and the base class of the kinds.

What a fault may do to a request and how its parameters are checked belong here; the kinds, and when
one strikes, do not.
"""

import asyncio
import types
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from mds_tableau.errors import SandboxError
from mds_tableau.sandbox.effects import Effects
from mds_tableau.sandbox.store import Store
from mds_tableau.sandbox.wire import Connection


@dataclass(frozen=True)
class Exchange:
    """One request that a fault strikes, and the reply to it.

    Attributes:
        operation: What is asked for.
        store: The sandbox's state.
        connection: Where it came in.
        effects: Hooks of the operation.
        scope: The request's head.
        receive: Gives the request's body.
        send: Takes the reply.
        pause: Waits so many seconds, or until the sandbox stops.
        ticks: A clock in seconds, for speeds.
        stopping: Set when the sandbox stops.
        record: Notes that the fault struck.
    """

    operation: str
    store: Store
    connection: Connection
    effects: Effects
    scope: Scope
    receive: Receive
    send: Send
    pause: Callable[[float], Awaitable[None]]
    ticks: Callable[[], float]
    stopping: asyncio.Event
    record: Callable[[], None]

    @property
    def headers(self) -> Headers:
        """The request's headers."""
        return Headers(scope=self.scope)

    @property
    def target(self) -> str:
        """Path and query string, as they were sent."""
        query = self.scope["query_string"].decode("ascii")
        path: str = self.scope["raw_path"].decode("ascii")
        return f"{path}?{query}" if query else path

    async def drain(self) -> None:
        """Reads the rest of the request's body and forgets it."""
        while (message := await self.receive())["type"] == "http.request":
            if not message.get("more_body", False):
                return

    async def disconnected(self) -> None:
        """Waits until the connection is gone."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def answer(self, response: Response) -> None:
        """Sends a reply."""
        await response(self.scope, self.receive, self.send)

    def sending(self, send: Send) -> "Exchange":
        """Returns the same with another way for the reply."""
        return replace(self, send=send)

    def recording(self, record: Callable[[], None]) -> "Exchange":
        """Returns the same with another way to note that a fault struck."""
        return replace(self, record=record)

    def without_reply(self) -> "Exchange":
        """Returns the same with nobody who gets the reply."""

        async def forget(_message: Message) -> None:
            pass

        return replace(self, send=forget)


Proceed = Callable[[Exchange], Awaitable[None]]
# Whether the operation is carried out before the fault shows, or not at all.
When = Literal["before", "after"]


@dataclass(frozen=True)
class Fault:
    """What happens to a request; each kind is a subclass, whose fields are its parameters.

    Raises:
        SandboxError: A parameter is not of its type, or a number is negative.
    """

    # The name in JSON and in the records.
    kind: ClassVar[str] = ""
    # Whether the fault itself notes that it struck, because it may turn out to have no effect.
    conditional: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, expected in self.hints().items():
            value = getattr(self, name)
            if isinstance(value, list):
                value = tuple(value)  # JSON has no tuples
                object.__setattr__(self, name, value)
            if not _fits(value, expected):
                wanted = str(getattr(expected, "__name__", expected)).replace("typing.", "")
                raise SandboxError(
                    f"Cannot use the fault '{self.kind}': its '{name}' is {value!r}, and must be"
                    f" {wanted}; numbers are not negative."
                )

    @classmethod
    def hints(cls) -> Mapping[str, Any]:
        """Returns the type of each parameter."""
        hints = get_type_hints(cls)
        return {field.name: hints[field.name] for field in fields(cls) if field.init}

    def parameters(self) -> dict[str, Any]:
        """Returns the value of each parameter."""
        return {name: getattr(self, name) for name in self.hints()}

    def concerns(self, exchange: Exchange) -> bool:
        """Returns whether a request counts for this kind at all."""
        return True

    def prepare(self, store: Store) -> None:
        """Gets to know a sandbox's state, when the fault is added or the sandbox starts."""

    async def strike(self, exchange: Exchange, proceed: Proceed) -> None:
        """Does it.

        Args:
            exchange: The request.
            proceed: Goes on to what comes next, which is the operation in the end.
        """
        raise NotImplementedError


def _fits(value: object, expected: Any) -> bool:
    origin = get_origin(expected)
    if origin is Literal:
        return value in get_args(expected)
    if origin in {Union, types.UnionType}:
        return any(_fits(value, one) for one in get_args(expected))
    if origin is tuple:
        return isinstance(value, tuple) and all(isinstance(one, str) for one in value)
    if expected in {int, float}:
        fitting = isinstance(value, int) or (expected is float and isinstance(value, float))
        return fitting and not isinstance(value, bool) and float(str(value)) >= 0
    return isinstance(value, expected)
