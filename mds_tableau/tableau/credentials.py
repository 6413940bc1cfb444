"""The three ways to sign in to Tableau Server, as values that never show their secret.

How each becomes what the client sends stands here; sending it belongs to `session`.
"""

import time
import uuid
from dataclasses import dataclass, field
from typing import Final

import tableauserverclient as TSC  # noqa: N812  # the name that its documentation uses

_TOKEN_LIFE_SECONDS: Final = 300  # the server accepts ten minutes at the most
_SCOPES: Final = (
    "tableau:content:read",
    "tableau:datasource_tags:update",
    "tableau:datasources:create",
    "tableau:datasources:download",
    "tableau:datasources:update",
    "tableau:file_uploads:create",
    "tableau:projects:create",
    "tableau:jobs:read",
    "tableau:users:read",
)
"""What publishing, listing and downloading need, and no more."""


@dataclass(frozen=True)
class Token:
    """A personal access token. A server allows it one session at a time."""

    name: str
    value: str = field(repr=False)

    def __str__(self) -> str:
        return f"token '{self.name}'"

    def authentication(self, site: str) -> TSC.PersonalAccessTokenAuth:
        """Return what the client signs in with."""
        return TSC.PersonalAccessTokenAuth(self.name, self.value, site_id=site)


@dataclass(frozen=True)
class Password:
    """A user name and its password."""

    username: str
    password: str = field(repr=False)

    def __str__(self) -> str:
        return f"user '{self.username}'"

    def authentication(self, site: str) -> TSC.TableauAuth:
        """Return what the client signs in with."""
        return TSC.TableauAuth(self.username, self.password, site_id=site)


@dataclass(frozen=True)
class ConnectedApp:
    """A connected app with direct trust, acting for a user; needs Tableau 2022.3 or later."""

    client_id: str
    secret_id: str
    secret_value: str = field(repr=False)
    username: str = ""

    def __str__(self) -> str:
        return f"connected app '{self.client_id}' for user '{self.username}'"

    def authentication(self, site: str) -> TSC.JWTAuth:
        """Return what the client signs in with: a token made now, valid for five minutes."""
        # loads a cryptographic library, which the other ways to sign in do without
        import jwt

        token = jwt.encode(
            {
                "iss": self.client_id,
                "sub": self.username,
                "aud": "tableau",
                "exp": int(time.time()) + _TOKEN_LIFE_SECONDS,
                "jti": str(uuid.uuid4()),
                "scp": list(_SCOPES),
            },
            self.secret_value,
            algorithm="HS256",
            headers={"kid": self.secret_id, "iss": self.client_id},
        )
        return TSC.JWTAuth(token, site_id=site)


Credentials = Token | Password | ConnectedApp
