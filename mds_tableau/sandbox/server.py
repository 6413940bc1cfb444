"""The sandbox as a running server: its socket, its thread, its end.

Starting, readiness and stopping belong here; what is served does not. It listens on loopback
addresses only, because it is a tool for one person's machine and not a server.
"""

import asyncio
import contextlib
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import uvicorn
from starlette.types import ASGIApp

from mds_tableau.errors import SandboxError
from mds_tableau.sandbox import auth, uploads
from mds_tableau.sandbox.app import build_app
from mds_tableau.sandbox.config import SandboxConfig
from mds_tableau.sandbox.faults import Faults
from mds_tableau.sandbox.faults.admin import with_admin
from mds_tableau.sandbox.store import Store
from mds_tableau.sandbox.wire import Connection

START_SECONDS = 30
# Requests under way get this long to finish when the sandbox stops.
STOP_SECONDS = 5
ACCEPT_SECONDS = 0.01


class Sandbox:
    """A local stand-in for Tableau Server, running in a thread of this process.

    Use it in a `with` block: it answers once the block is entered, and nothing of it runs any more
    once the block is left. What it was sent stays in its folder.

    Args:
        config: What it serves.
        host: A loopback address.
        port: 0 picks a free one.
        tls: Files of a certificate and its key; None means plain HTTP.

    Attributes:
        config: What it serves.
        faults: What goes wrong on purpose; nothing, unless rules are added.

    Raises:
        SandboxError: The host is not a loopback address, the port is taken, the certificate or key
            cannot be read, or the folder cannot be used. All but the first on entering.

    Example:
        >>> import tempfile
        >>> config = SandboxConfig(data_dir=Path(tempfile.mkdtemp()), users={"ada": "secret"})
        >>> with Sandbox(config) as sandbox:
        ...     sandbox.url.startswith("http://127.0.0.1:")
        True
    """

    def __init__(
        self,
        config: SandboxConfig,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        if not _is_loopback(host):
            raise SandboxError(
                f"Cannot start the sandbox on '{host}': it listens on this machine's own addresses"
                " only. Use 127.0.0.1, ::1 or localhost."
            )
        self.config = config
        self.faults = Faults(config.clock)
        self._host = host
        self._port = port
        self._tls = tls
        self._url: str | None = None
        self._server: _Server | None = None
        self._cleanup = contextlib.ExitStack()

    @property
    def url(self) -> str:
        """The server's address, without a slash at the end."""
        if self._url is None:
            raise SandboxError("The sandbox has no address before it runs. Use it in a with block.")
        return self._url

    def application(self, store: Store, base_url: str) -> ASGIApp:
        """Returns what answers the requests; a subclass may wrap it.

        Args:
            store: The sandbox's state.
            base_url: Base of every webpageUrl.
        """
        return build_app(store, base_url)

    def restart(self, *, keep_sessions: bool = False, keep_uploads: bool = False) -> None:
        """Stops it in the middle of whatever it does, and starts it again at the same address.

        Connections are reset. Work that was begun on the state ends first, as a whole or not at
        all; what was published stays.

        Args:
            keep_sessions: Whether clients stay signed in.
            keep_uploads: Whether half uploads can go on.

        Raises:
            SandboxError: It does not run, or cannot start again; it is stopped then.
        """
        port = int(self.url.rpartition(":")[2])
        if self._server is not None:
            self._server.is_abrupt = True
        self._cleanup.close()
        with contextlib.closing(Store(self.config)) as store:
            if not keep_sessions:
                auth.end_all_sessions(store)
            if not keep_uploads:
                uploads.lose_all(store)
        self._start(port)

    def __enter__(self) -> "Sandbox":
        self._start(self._port)
        return self

    def _start(self, port: int) -> None:
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(self._listen(port))
            scheme = "http" if self._tls is None else "https"
            shown = f"[{self._host}]" if ":" in self._host else self._host
            self._url = f"{scheme}://{shown}:{listener.getsockname()[1]}"
            store = stack.enter_context(contextlib.closing(Store(self.config)))
            base_url = (self.config.public_url or self._url).rstrip("/")
            app = with_admin(
                self.faults.wrap(self.application(store, base_url), store), self.faults
            )
            self._server = _Server(self._server_config(app), self.faults)
            self.faults.begin(store)
            stack.enter_context(self._server.running(listener))
            self._cleanup = stack.pop_all()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._cleanup.close()
        self._url = None

    def _listen(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # asyncio switches off Nagle's algorithm only where the protocol is named; with it, each
        # reply would wait 40 ms for an acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if os.name != "nt":  # on Windows it would allow two servers on one port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, port))
            listener.listen()
        except (OSError, OverflowError) as error:
            listener.close()
            raise SandboxError(
                f"Cannot start the sandbox on {self._host} port {port}: {error}."
                " Stop what uses the port, or choose another one (0 picks a free one)."
            ) from error
        return listener

    def _server_config(self, app: ASGIApp) -> uvicorn.Config:
        certificate, key = self._tls or (None, None)
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        try:
            config.load()
        except (OSError, ssl.SSLError) as error:
            raise SandboxError(
                f"Cannot start the sandbox with TLS: certificate {certificate} and key {key} cannot"
                f" be used ({error}). Give two PEM files that belong together."
            ) from error
        return config


class _Server(uvicorn.Server):
    """A uvicorn server that tells when it accepts connections, and can stop as if it crashed.

    Attributes:
        is_abrupt: Whether stopping resets all connections.
    """

    def __init__(self, config: uvicorn.Config, faults: Faults) -> None:
        super().__init__(config)
        self.is_abrupt = False
        self._faults = faults
        self._settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._settled.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._faults.end()  # or requests that wait because of one would be waited for
        for server in self.servers:
            server.close()
        if self.is_abrupt:
            await self._reset_connections()
        # what is being accepted comes in now, and not after all others were told to end
        await asyncio.sleep(ACCEPT_SECONDS)
        await super().shutdown(sockets)
        await self._reset_connections()  # nobody else would close those that were waited for

    async def _reset_connections(self) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.reset()
        await asyncio.sleep(0)  # lets them learn that they are gone

    @contextlib.contextmanager
    def running(self, listener: socket.socket) -> Iterator[None]:
        """Runs the server in a thread as long as the block."""
        # uvicorn installs signal handlers in the main thread only, so none are touched here.
        thread = threading.Thread(
            target=self._serve_on, args=(listener,), name="sandbox", daemon=True
        )
        thread.start()
        try:
            if not self._settled.wait(START_SECONDS) or not self.started:
                raise SandboxError(
                    "Cannot start the sandbox: its server did not come up; see its log."
                )
            yield
        finally:
            self.should_exit = True
            thread.join()

    def _serve_on(self, listener: socket.socket) -> None:
        try:
            self.run(sockets=[listener])
        finally:
            self._settled.set()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
