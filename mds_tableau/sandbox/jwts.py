"""JWTs of connected apps: who they say that somebody is, and whether that is to be believed.

Reading and checking them belongs here; opening a session with one does not. Numbers follow
Tableau's page on troubleshooting connected apps; where it is silent, `COVERAGE.md` says what was
chosen.
"""

import sqlite3
import time
from typing import Any

import jwt

from mds_tableau.sandbox.config import SandboxConfig
from mds_tableau.sandbox.errors import ApiError, sign_in_error

LONGEST_JWT_SECONDS = 10 * 60


def read(config: SandboxConfig, token: str) -> dict[str, Any]:
    """Returns a JWT's claims.

    Raises:
        ApiError: 401001; it lets nobody in. The detail has Tableau's number for why.
    """
    try:
        return _check_jwt(config, token)
    except ApiError as error:
        raise _unnumbered(config, error) from error


def _unnumbered(config: SandboxConfig, error: ApiError) -> ApiError:
    return error if config.choices.jwt_error_numbers else sign_in_error()


def _check_jwt(config: SandboxConfig, token: str) -> dict[str, Any]:
    secret_value, client_id = _signing_key(config, token)
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            secret_value,
            algorithms=["HS256"],
            audience="tableau",
            issuer=client_id,
            options={"require": ["exp", "iss", "aud", "sub", "jti"]},
        )
    except jwt.InvalidTokenError as error:
        raise sign_in_error(10084, "JWT_PARSE_ERROR") from error
    if int(claims["exp"]) > time.time() + LONGEST_JWT_SECONDS:
        raise sign_in_error(10096, "JWT_EXPIRATION_EXCEEDS_CONFIGURED_EXPIRATION_PERIOD")
    scopes = claims.get("scp")
    if not scopes:
        raise sign_in_error(10099, "SCOPES_MISSING")
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise sign_in_error(10097, "SCOPES_MALFORMED")
    # Unlike at a sign-in by password, case matters here.
    if claims["sub"] not in config.user_names:
        raise sign_in_error(5, "SYSTEM_USER_NOT_FOUND")
    return claims


def _signing_key(config: SandboxConfig, token: str) -> tuple[str, str]:
    """Returns the secret value and the client id that a JWT's header names."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError as error:
        raise sign_in_error(10084, "JWT_PARSE_ERROR") from error
    if header.get("alg") != "HS256":
        raise sign_in_error(10087, "BLOCKLISTED_JWS_ALGORITHM")
    client_id, secret_id = header.get("iss"), header.get("kid")
    if not isinstance(client_id, str) or not isinstance(secret_id, str):
        raise sign_in_error(10083, "BAD_JWT")
    if client_id not in {known for known, _ in config.connected_apps}:
        raise sign_in_error(10089, "CONNECTED_APP_NOT_FOUND")
    if (client_id, secret_id) not in config.connected_apps:
        raise sign_in_error(10085, "COULD_NOT_FETCH_JWT_KEYS")
    return config.connected_apps[client_id, secret_id], client_id


def use_up(db: sqlite3.Connection, config: SandboxConfig, claims: dict[str, Any]) -> None:
    """Notes that a JWT let somebody in.

    Raises:
        ApiError: 401001; it did so before.
    """
    used = db.execute(
        "INSERT OR IGNORE INTO used_jwts VALUES (?, ?)", (str(claims["jti"]), int(claims["exp"]))
    )
    if not used.rowcount:
        raise _unnumbered(config, sign_in_error(10091, "JTI_ALREADY_USED"))
