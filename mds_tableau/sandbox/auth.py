"""Sessions: signing in by password, token or connected app, finding a request's, signing out.

Who may be let in, for how long and with which scopes belongs here; what they may then do does not.
Codes and numbers follow Tableau's reference for signing in and its page on troubleshooting
connected apps; where these are silent, `COVERAGE.md` says what was chosen.
"""

import fnmatch
import hashlib
import hmac
import json
import secrets
import sqlite3
import time
from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element

import jwt
from starlette.responses import Response

from mds_tableau.sandbox import xmlio
from mds_tableau.sandbox.calls import Call, Session
from mds_tableau.sandbox.config import SandboxConfig
from mds_tableau.sandbox.errors import (
    bad_credentials,
    bad_request,
    no_credentials,
    not_found,
    sign_in_error,
)
from mds_tableau.sandbox.store import Store

LONGEST_JWT_SECONDS = 10 * 60
# Writing on every request would make readers wait for writers; a minute of idling more or less
# does not matter.
LAST_USED_SECONDS = 60.0

KINDS = (
    ("name", "password"),
    ("personalAccessTokenName", "personalAccessTokenSecret"),
    ("jwt",),
)


def sign_in(call: Call) -> Response:
    """Opens a session: POST auth/signin."""
    credentials = xmlio.read_request(call.body, "credentials")
    xmlio.check_children(credentials, {"site", "user"})
    kind = _kind(credentials)
    config = call.store.config
    claims: dict[str, Any] = {}
    if kind == "jwt":
        claims = _check_jwt(config, credentials.get("jwt", ""))
        user_name, credential = claims["sub"], "jwt"
    elif kind == "name":
        user_name = _check_password(config, credentials)
        credential = "password"
    else:
        user_name = config.user_names[0]
        credential = _check_token(config, credentials)
    site_node = credentials.find("site")
    content_url = "" if site_node is None else site_node.get("contentUrl", "")
    with call.store.writing() as db:
        site = _site(db, config, content_url)
        user_id = _user_id(db, user_name, credentials.find("user"))
        if claims:
            _use_up(db, claims)
        if config.one_session_per_token and credential.startswith("token:"):
            db.execute("DELETE FROM sessions WHERE credential = ?", (credential,))
        _drop_idle(db, call.store)
        token = f"{secrets.token_urlsafe(22)}|{secrets.token_urlsafe(24)}|{site['id']}"
        scopes = json.dumps(claims["scp"]) if claims else None
        db.execute(
            "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)",
            (_digest(token), user_id, site["id"], credential, scopes, call.store.time()),
        )
    return call.reply(
        xmlio.element(
            "credentials",
            {"token": token, "estimatedTimeToExpiration": f"{config.idle_minutes}:00:00"},
            xmlio.element("site", {"id": site["id"], "contentUrl": site["content_url"]}),
            xmlio.element("user", {"id": user_id}),
        )
    )


def sign_out(call: Call) -> Response:
    """Ends the caller's session: POST auth/signout."""
    with call.store.writing() as db:
        db.execute("DELETE FROM sessions WHERE token_digest = ?", (call.session.token_digest,))
    return Response(status_code=204)


def find_session(store: Store, token: str | None) -> Session:
    """Returns the session of a token.

    Raises:
        ApiError: 401000, no token; 401002, a token that is unknown or idled too long.
    """
    if not token:
        raise no_credentials()
    digest, now = _digest(token), store.time()
    with store.reading() as db:
        row = db.execute("SELECT * FROM sessions WHERE token_digest = ?", (digest,)).fetchone()
    if row is None or row["last_used"] < _idle_limit(store):
        raise bad_credentials()
    if now - row["last_used"] > LAST_USED_SECONDS:
        with store.writing() as db:
            db.execute("UPDATE sessions SET last_used = ? WHERE token_digest = ?", (now, digest))
    scopes = None if row["scopes"] is None else tuple(json.loads(row["scopes"]))
    return Session(digest, row["user_id"], row["site_id"], scopes)


def check_scopes(session: Session, needed: Sequence[str]) -> None:
    """Refuses what a JWT's scopes do not allow.

    Raises:
        ApiError: 401002; a needed scope is missing.
    """
    if session.scopes is None:
        return
    for scope in needed:
        if not any(fnmatch.fnmatchcase(scope, allowed) for allowed in session.scopes):
            raise bad_credentials()


def _kind(credentials: Element) -> str:
    given = [kind for kind in KINDS if any(name in credentials.attrib for name in kind)]
    if len(given) != 1 or any(name not in credentials.attrib for name in given[0]):
        raise bad_request(xmlio.MALFORMED)
    return given[0][0]


def _check_password(config: SandboxConfig, credentials: Element) -> str:
    wanted = credentials.get("name", "").casefold()
    name = next((one for one in config.users if one.casefold() == wanted), None)
    if name is None or not _same(config.users[name], credentials.get("password", "")):
        raise sign_in_error()
    return name


def _check_token(config: SandboxConfig, credentials: Element) -> str:
    name = credentials.get("personalAccessTokenName", "")
    secret = config.tokens.get(name)
    if secret is None or not _same(secret, credentials.get("personalAccessTokenSecret", "")):
        raise sign_in_error()
    return f"token:{name}"


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())


def _site(db: sqlite3.Connection, config: SandboxConfig, content_url: str) -> sqlite3.Row:
    key = content_url.casefold()
    if key not in {"", config.site.casefold()}:
        raise sign_in_error()
    row: sqlite3.Row = db.execute(
        "SELECT * FROM sites WHERE content_url_key = ?", (key,)
    ).fetchone()
    return row


def _user_id(db: sqlite3.Connection, name: str, impersonated: Element | None) -> str:
    if impersonated is None:
        key = name.casefold()
        row = db.execute("SELECT id FROM users WHERE name_key = ?", (key,)).fetchone()
    else:
        wanted = impersonated.get("id", "").lower()
        row = db.execute("SELECT id FROM users WHERE id = ?", (wanted,)).fetchone()
        if row is None:
            raise not_found(404002, "User", wanted)
    return str(row["id"])


def _drop_idle(db: sqlite3.Connection, store: Store) -> None:
    db.execute("DELETE FROM sessions WHERE last_used < ?", (_idle_limit(store),))


def _idle_limit(store: Store) -> float:
    return store.time() - store.config.idle_minutes * 60


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


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


def _use_up(db: sqlite3.Connection, claims: dict[str, Any]) -> None:
    used = db.execute(
        "INSERT OR IGNORE INTO used_jwts VALUES (?, ?)", (str(claims["jti"]), int(claims["exp"]))
    )
    if not used.rowcount:
        raise sign_in_error(10091, "JTI_ALREADY_USED")
