"""Clients' connections as TCP knows them: closing and resetting one under the HTTP that runs on it.

What ASGI cannot say belongs here; when it is done does not. uvicorn makes one protocol object per
connection and lets its class be chosen; this one puts itself into each request's scope, as an
extension in ASGI's sense.
"""

import asyncio
import os
import socket
import struct
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

EXTENSION = "mds_tableau.connection"


class Connection(H11Protocol):
    """One client's connection.

    Attributes:
        requests: How many requests came on it, with the one under way.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.requests = 0
        app: Any = self.app

        async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
            self.requests += 1
            scope["extensions"] = {**scope.get("extensions", {}), EXTENSION: self}
            await app(scope, receive, send)

        self.app = with_connection

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way on it."""
        return self.cycle is None or self.cycle.response_complete

    def close(self) -> None:
        """Ends it in the ordinary way, after what was written is sent."""
        self.transport.close()

    def reset(self) -> None:
        """Ends it at once: the client gets a TCP reset, also where it waits for a reply."""
        # Closing a socket that lingers for no time is what makes the system send a reset.
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        connected: socket.socket | None = self.transport.get_extra_info("socket")
        if connected is not None and not self.transport.is_closing():
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    def shutdown(self) -> None:
        """Ends it because the server stops: at once where it is idle, else after the reply."""
        super().shutdown()
        if self.is_idle and self.transport.get_extra_info("ssl_object") is not None:
            # TLS would wait for the client's own farewell, which one that is idle does not send.
            # What was written is on its way by now.
            self.transport.abort()

    def close_idle(self) -> None:
        """Closes all of the server's connections that wait for a next request."""
        for connection in list(self.connections):
            if isinstance(connection, Connection) and connection.is_idle:
                connection.shutdown()
