"""From an HTTP request to an operation and back: the checks that all operations share.

Version, method, session, site, scopes, parameters and bodies are seen to here, and errors become
replies; the table of operations and the operations themselves stand elsewhere. Everything that may
wait for the disk runs in a thread.
"""

import contextlib
import logging
from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from mds_tableau.sandbox import auth, xmlio
from mds_tableau.sandbox.calls import Call, Operation, Session
from mds_tableau.sandbox.config import MEGABYTE, OLDEST_API_VERSION, parse_version
from mds_tableau.sandbox.errors import (
    SUMMARIES,
    ApiError,
    GatewayError,
    bad_request,
    not_found,
    not_implemented,
    unknown_resource,
)
from mds_tableau.sandbox.jobs import Jobs
from mds_tableau.sandbox.multipart import Parts, malformed, read_parts
from mds_tableau.sandbox.store import Store

LARGEST_BODY = MEGABYTE

logger = logging.getLogger("mds_tableau.sandbox")

# What a path can do, by method; None marks what a real server does there and this one does not.
Methods = Mapping[str, Operation | None]


class Resource:
    """One path of the API, with all its methods: an ASGI application.

    Attributes:
        store: The sandbox's state.
        base_url: Base of every webpageUrl.
        jobs: The sandbox's jobs.
        methods: What the path can do; None for all paths that are not in the table.
    """

    def __init__(
        self, store: Store, base_url: str, jobs: Jobs, methods: Methods | None = None
    ) -> None:
        self.store = store
        self.base_url = base_url
        self.jobs = jobs
        self.methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        request = Request(scope, receive)
        response = await self._answer(request)
        # A client that is still sending would take an early answer for a broken connection.
        with contextlib.suppress(ClientDisconnect, RuntimeError):
            async for _ in request.stream():
                pass
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        parts = Parts()
        try:
            version = self._version(request)
            operation = self._operation(request)
            caller = await run_in_threadpool(self._admit, request, operation)
            _check_parameters(request, operation)
            body = b""
            if operation.largest_file:
                parts = await self._parts(request, operation)
            else:
                body = await _body(request)
            call = Call(
                store=self.store,
                base_url=self.base_url,
                version=version,
                path=request.path_params,
                query=dict(request.query_params),
                body=body,
                parts=parts if operation.largest_file else None,
                caller=caller,
            )
            return await run_in_threadpool(operation.run, call)
        except ApiError as error:
            if error.reason:
                logger.warning("%s %s: %s", request.method, request.url.path, error)
            return xmlio.error_reply(error)
        except GatewayError as error:
            return HTMLResponse(
                f"<html><body><h1>{error.status} {SUMMARIES[error.status]}</h1></body></html>",
                error.status,
            )
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            logger.exception("%s %s failed", request.method, request.url.path)
            return xmlio.error_reply(ApiError(500000, "The sandbox failed; its log says why."))
        finally:
            if parts.files:
                await run_in_threadpool(self.store.discard, [file.path for file in parts.files])

    def _version(self, request: Request) -> tuple[int, int]:
        version = parse_version(request.path_params.get("version", ""))
        if version is not None and OLDEST_API_VERSION <= version <= self.store.config.version:
            return version
        if version is None and self.methods is None:
            raise _unknown(request)
        raise unknown_resource(request.url.path.removeprefix("/api"))

    def _operation(self, request: Request) -> Operation:
        if self.methods is None:
            raise _unknown(request)
        if request.method not in self.methods:
            raise ApiError(405000, f"{request.method} is not allowed on {request.url.path}.")
        operation = self.methods[request.method]
        if operation is None:
            raise _unknown(request)
        if request.headers.get("content-type", "").startswith("application/json"):
            raise not_implemented("requests in JSON (Content-Type: application/json)")
        accept = request.headers.get("accept", "*/*").lower()
        if "json" in accept and "xml" not in accept and "*/*" not in accept:
            raise not_implemented("replies in JSON (Accept: application/json)")
        return operation

    def _admit(self, request: Request, operation: Operation) -> Session | None:
        """Returns the caller's session, None where none is needed."""
        if operation.anonymous:
            return None
        session = auth.find_session(self.store, request.headers.get("x-tableau-auth"))
        site_id = request.path_params.get("site_id", session.site_id)
        if site_id.lower() != session.site_id:
            raise not_found(self._site_code(site_id), "Site", site_id)
        auth.check_scopes(self.store, session, operation.scopes)
        self.jobs.settle(self.store)
        return session

    def _site_code(self, site_id: str) -> int:
        """Returns the code for a site that is not the session's: unknown, or another one."""
        with self.store.reading() as db:
            known = db.execute("SELECT 1 FROM sites WHERE id = ?", (site_id.lower(),)).fetchone()
        return self.store.config.choices.other_site_code if known else 404000

    async def _parts(self, request: Request, operation: Operation) -> Parts:
        if operation.needs_length and "content-length" not in request.headers:
            raise malformed()
        return await read_parts(
            request.stream(),
            request.headers.get("content-type", ""),
            self.store.stage,
            operation.largest_file,
            operation.too_large(),
        )


def _unknown(request: Request) -> ApiError:
    return not_implemented(f"{request.method} {request.url.path}")


def _check_parameters(request: Request, operation: Operation) -> None:
    for name in request.query_params:
        if name not in operation.parameters:
            raise not_implemented(f"the parameter '{name}' of {request.method} {request.url.path}")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY:
            raise bad_request(f"The request is larger than {LARGEST_BODY} bytes.")
    return bytes(body)
