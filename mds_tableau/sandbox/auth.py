"""Sessions: signing in by password, token or connected app, finding a request's, signing out.

Who may be let in, for how long and with which scopes belongs here; what they may then do does not,
and JWTs are read in `jwts`. Codes follow Tableau's reference for signing in; where it is silent,
`COVERAGE.md` says what was chosen.
"""

import fnmatch
import hashlib
import hmac
import json
import secrets
import sqlite3
from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element

from starlette.responses import Response

from mds_tableau.sandbox import jwts, xmlio
from mds_tableau.sandbox.calls import Call, Session
from mds_tableau.sandbox.config import SandboxConfig
from mds_tableau.sandbox.errors import (
    ApiError,
    bad_credentials,
    bad_request,
    no_credentials,
    not_found,
    sign_in_error,
)
from mds_tableau.sandbox.store import Store

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
        claims = jwts.read(config, credentials.get("jwt", ""))
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
            jwts.use_up(db, config, claims)
        if credential.startswith("token:"):
            _age(db, call.store, credential)
        if config.one_session_per_token and credential.startswith("token:"):
            db.execute("DELETE FROM sessions WHERE credential = ?", (credential,))
        _drop_idle(db, call.store)
        scopes = json.dumps(claims["scp"]) if claims else None
        token = _open_session(db, call.store, user_id, site["id"], credential, scopes)
    return _opened(call, token, site, user_id)


def switch_site(call: Call) -> Response:
    """Opens a session on another site and ends the caller's: POST auth/switchSite."""
    node = xmlio.read_request(call.body, "site")
    store, session = call.store, call.session
    with store.writing() as db:
        site = db.execute(
            "SELECT * FROM sites WHERE content_url_key = ?",
            (node.get("contentUrl", "").casefold(),),
        ).fetchone()
        if site is None or site["content_url"].casefold() not in _site_keys(store.config):
            raise ApiError(401003, "There was a problem switching sites.")
        if site["id"] == session.site_id:
            raise ApiError(403070, "The site is the one that the session is for already.")
        key = (session.token_digest,)
        row = db.execute("SELECT * FROM sessions WHERE token_digest = ?", key).fetchone()
        if row is None:
            raise bad_credentials()
        db.execute("DELETE FROM sessions WHERE token_digest = ?", key)
        token = _open_session(
            db, store, session.user_id, site["id"], row["credential"], row["scopes"]
        )
    return _opened(call, token, site, session.user_id)


def sign_out(call: Call) -> Response:
    """Ends the caller's session: POST auth/signout."""
    with call.store.writing() as db:
        db.execute("DELETE FROM sessions WHERE token_digest = ?", (call.session.token_digest,))
    return Response(status_code=204)


def end_session(store: Store, token: str, *, second_sign_in: bool = False) -> bool:
    """Ends a session; returns whether there was any.

    Args:
        store: The sandbox's state.
        token: The session's token.
        second_sign_in: Whether to end what a second sign-in with the session's personal access
            token ends, which is nothing where a session has none.
    """
    digest = _digest(token)
    query = "DELETE FROM sessions WHERE token_digest = ?"
    if second_sign_in:
        query = (
            "DELETE FROM sessions WHERE credential LIKE 'token:%' AND credential IN"
            " (SELECT credential FROM sessions WHERE token_digest = ?)"
        )
    with store.writing() as db:
        return bool(db.execute(query, (digest,)).rowcount)


def end_all_sessions(store: Store) -> None:
    """Ends all sessions."""
    with store.writing() as db:
        db.execute("DELETE FROM sessions")


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


def check_scopes(store: Store, session: Session, needed: Sequence[str]) -> None:
    """Refuses what a JWT's scopes do not allow.

    Raises:
        ApiError: 401002, or the code that was chosen for this; a needed scope is missing.
    """
    if session.scopes is None:
        return
    for scope in needed:
        if not any(fnmatch.fnmatchcase(scope, allowed) for allowed in session.scopes):
            raise ApiError(store.config.choices.missing_scope_code, bad_credentials().detail)


def _open_session(
    db: sqlite3.Connection,
    store: Store,
    user_id: str,
    site_id: str,
    credential: str,
    scopes: str | None,
) -> str:
    """Returns the token of a new session."""
    token = f"{secrets.token_urlsafe(22)}|{secrets.token_urlsafe(24)}|{site_id}"
    db.execute(
        "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)",
        (_digest(token), user_id, site_id, credential, scopes, store.time()),
    )
    return token


def _opened(call: Call, token: str, site: sqlite3.Row, user_id: str) -> Response:
    idle = f"{call.store.config.idle_minutes}:00:00"
    return call.reply(
        xmlio.element(
            "credentials",
            {"token": token, "estimatedTimeToExpiration": idle},
            xmlio.element("site", {"id": site["id"], "contentUrl": site["content_url"]}),
            xmlio.element("user", {"id": user_id}),
        )
    )


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


def _age(db: sqlite3.Connection, store: Store, credential: str) -> None:
    """Refuses a token that has ended; notes that the others were used."""
    now, choices = store.time(), store.config.choices
    db.execute("INSERT OR IGNORE INTO tokens VALUES (?, ?, ?)", (credential, now, now))
    row = db.execute("SELECT * FROM tokens WHERE name = ?", (credential,)).fetchone()
    for since, days in (
        (row["created"], choices.token_days),
        (row["last_used"], choices.unused_token_days),
    ):
        if days is not None and now > since + days * 24 * 60 * 60:
            raise sign_in_error()
    db.execute("UPDATE tokens SET last_used = ? WHERE name = ?", (now, credential))


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())


def _site_keys(config: SandboxConfig) -> set[str]:
    """Returns the sites that this sandbox serves; its folder may know others."""
    return {"", config.site.casefold()}


def _site(db: sqlite3.Connection, config: SandboxConfig, content_url: str) -> sqlite3.Row:
    key = content_url.casefold()
    if key not in _site_keys(config):
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
