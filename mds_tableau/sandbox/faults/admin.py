"""Faults over HTTP: the endpoint `/sandbox/faults`, for tests that run in another process.

Rules as JSON and who may send them belong here; what rules do does not. It is no part of the API:
no real server has it, and it answers this machine's own addresses only.
"""

import ipaddress
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mds_tableau.errors import SandboxError
from mds_tableau.sandbox.app import HOSTS
from mds_tableau.sandbox.config import MEGABYTE
from mds_tableau.sandbox.faults.kinds import KINDS
from mds_tableau.sandbox.faults.rules import Faults, Rule

PATH = "/sandbox/faults"
RULE_KEYS = ("on", "nth", "first", "last", "every", "probability", "seed")


def with_admin(app: ASGIApp, faults: Faults) -> ASGIApp:
    """Returns the application with the endpoint beside it."""
    admin = Starlette(
        routes=[
            Route(PATH, _show(faults), methods=["GET"]),
            Route(PATH, _add(faults), methods=["POST"]),
            Route(PATH, _clear(faults), methods=["DELETE"]),
            Route(f"{PATH}/{{number:int}}", _remove(faults), methods=["DELETE"]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)],
        exception_handlers={HTTPException: _refuse, SandboxError: _refuse},
    )

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        chosen = admin if f"{scope['path']}/".startswith(f"{PATH}/") else app
        await chosen(scope, receive, send)

    return route


def read_rule(faults: Faults, given: Any) -> Rule:
    """Adds the rule that JSON describes.

    Raises:
        SandboxError: It is not an object, of no known kind, or has other keys or values than the
            kind has.
    """
    if not isinstance(given, dict):
        raise SandboxError("Cannot add the fault: a JSON object is expected.")
    values = dict(given)
    name = values.pop("kind", None)
    if not isinstance(name, str) or name not in KINDS:
        raise SandboxError(
            f"Cannot add the fault: there is no kind {name!r}. There are {', '.join(KINDS)}."
        )
    kind = KINDS[name]
    rule = {key: values.pop(key) for key in RULE_KEYS if key in values}
    unknown = values.keys() - kind.hints().keys()
    if unknown:
        raise SandboxError(
            f"Cannot add the fault: '{name}' has no {', '.join(sorted(unknown))}."
            f" It has {', '.join((*kind.hints(), *RULE_KEYS))}."
        )
    on = rule.pop("on", ())
    if not isinstance(on, str | list | tuple):
        raise SandboxError("Cannot add the fault: 'on' is no name and no list of names.")
    return faults.add(kind(**values), on, **rule)


def show_rule(rule: Rule) -> dict[str, Any]:
    """Returns a rule as JSON shows it."""
    return {
        "number": rule.number,
        "kind": rule.fault.kind,
        "on": rule.on,
        "first": rule.first,
        "last": rule.last,
        "every": rule.every,
        "probability": rule.probability,
        "seed": rule.seed,
        "matched": rule.matched,
        **rule.fault.parameters(),
    }


def _show(faults: Faults) -> Any:
    async def show(request: Request) -> Response:
        _check_caller(request)
        return JSONResponse(
            {
                "rules": [show_rule(rule) for rule in faults.rules],
                "applied": [vars(applied) for applied in faults.applied],
            }
        )

    return show


def _add(faults: Faults) -> Any:
    async def add(request: Request) -> Response:
        _check_caller(request)
        # A page on the internet can have a browser send a form here, but no JSON.
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise HTTPException(415, "Send JSON, with Content-Type: application/json.")
        if int(request.headers.get("content-length", "0")) > MEGABYTE:
            raise HTTPException(413, "A rule is smaller than this.")
        try:
            given = await request.json()
        except ValueError as error:
            raise HTTPException(400, f"This is not JSON: {error}.") from error
        return JSONResponse(show_rule(read_rule(faults, given)), 201)

    return add


def _clear(faults: Faults) -> Any:
    async def clear(request: Request) -> Response:
        _check_caller(request)
        faults.clear()
        return Response(status_code=204)

    return clear


def _remove(faults: Faults) -> Any:
    async def remove(request: Request) -> Response:
        _check_caller(request)
        if not faults.remove(request.path_params["number"]):
            raise HTTPException(404, "There is no rule of this number.")
        return Response(status_code=204)

    return remove


def _check_caller(request: Request) -> None:
    """Refuses who does not call from this machine, also where a local proxy says so."""
    host = request.client.host if request.client else ""
    try:
        here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = False
    if not here:
        raise HTTPException(403, "Only this machine's own addresses may change faults.")


def _refuse(_request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code)
    return JSONResponse({"error": str(error)}, 400)
