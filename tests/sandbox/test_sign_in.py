import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name

from mds_tableau.errors import SandboxError
from mds_tableau.sandbox import Sandbox
from mds_tableau.sandbox.store import Store

Client = Callable[..., TSC.Server]


def token_auth(name: str = "first", secret: str = "", site: str = "") -> Any:
    """Returns the credentials of a token, by default with its own secret."""
    return TSC.PersonalAccessTokenAuth(name, secret or "token-secret-1", site)


def sign_in_with(sandbox: Sandbox, token: str) -> requests.Response:
    """Sends a JWT to the sign-in."""
    body = f'<tsRequest><credentials jwt="{token}"><site contentUrl="" /></credentials></tsRequest>'
    return requests.post(f"{sandbox.url}/api/3.25/auth/signin", data=body, timeout=30)


@pytest.mark.parametrize("site", ["", "Acme", "acme"])
@pytest.mark.parametrize(
    "auth",
    [
        lambda site: TSC.TableauAuth("ada", "correct horse", site),
        lambda site: TSC.TableauAuth("GRACE hopper", "battery:staple", site),
        lambda site: token_auth(site=site),
    ],
)
def test_user_or_token_signs_in_to_either_site(
    sandbox: Sandbox, client: Client, auth: Callable[[str], Any], site: str
) -> None:
    """A user by password and a token get a session for the site that they name, in any case."""
    server = client(sandbox, auth(site))
    assert server.version == "3.25"
    assert [project.name for project in server.projects.get()[0]][:1] == ["Default"]
    default = client(sandbox)
    assert (server.site_id == default.site_id) == (site == "")


def test_token_belongs_to_the_first_user(sandbox: Sandbox, client: Client) -> None:
    """A token's session is a session of the first user."""
    assert client(sandbox, token_auth()).user_id == client(sandbox).user_id


@pytest.mark.parametrize(
    "auth",
    [
        TSC.TableauAuth("ada", "wrong", ""),
        TSC.TableauAuth("nobody", "correct horse", ""),
        TSC.TableauAuth("ada", "correct horse", "elsewhere"),
        token_auth(secret="wrong"),
        token_auth(name="nothing"),
        token_auth(name="FIRST"),
        TSC.JWTAuth("not.a.jwt"),
    ],
)
def test_wrong_credentials_are_401001(sandbox: Sandbox, client: Client, auth: Any) -> None:
    """Whatever is wrong about credentials, the answer is one and the same code."""
    with pytest.raises(TSC.FailedSignInError, match="401001"):
        client(sandbox, auth)


@pytest.mark.parametrize(
    "credentials",
    [
        "",
        "<credentials/>",
        '<credentials name="ada"/>',
        '<credentials name="ada" password="x" personalAccessTokenName="t"/>',
        '<credentials jwt="x" personalAccessTokenName="t" personalAccessTokenSecret="s"/>',
        '<credentials name="ada" password="x"><workbook/></credentials>',
        "<user/>",
        "<credentials/><credentials/>",
    ],
)
def test_incomplete_credentials_are_400000(
    api: Callable[..., requests.Response],
    code_of: Callable[[requests.Response], str],
    credentials: str,
) -> None:
    """No credentials, half of them, or two kinds at once are a malformed request."""
    body = f"<tsRequest>{credentials}</tsRequest>"
    assert code_of(api("POST", "/auth/signin", data=body)) == "400000"


def test_impersonation(
    api: Callable[..., requests.Response],
    code_of: Callable[[requests.Response], str],
    sandbox: Sandbox,
    client: Client,
) -> None:
    """A session is the impersonated user's, and an unknown one is refused by its own code."""
    grace = client(sandbox, TSC.TableauAuth("Grace Hopper", "battery:staple", ""))
    acting = client(sandbox, TSC.TableauAuth("ada", "correct horse", "", grace.user_id))
    assert acting.user_id == grace.user_id
    body = (
        '<tsRequest><credentials name="ada" password="correct horse"><user id="none"/>'
        "</credentials></tsRequest>"
    )
    assert code_of(api("POST", "/auth/signin", data=body)) == "404002"


def test_sign_out_ends_the_session(
    api: Callable[..., requests.Response], code_of: Callable[[requests.Response], str]
) -> None:
    """A token is worth nothing after signing out, not even for signing out."""
    assert api("GET", "projects").status_code == 200
    assert api("POST", "/auth/signout").status_code == 204
    assert code_of(api("GET", "projects")) == "401002"
    assert code_of(api("POST", "/auth/signout")) == "401002"


def test_missing_and_unknown_sessions_have_codes_of_their_own(
    api: Callable[..., requests.Response], code_of: Callable[[requests.Response], str]
) -> None:
    """No token is 401000, and a token that nobody has is 401002."""
    assert code_of(api("GET", "projects", headers={"x-tableau-auth": None})) == "401000"
    assert code_of(api("GET", "projects", headers={"x-tableau-auth": "made up"})) == "401002"


def test_second_sign_in_with_a_token_ends_the_first_session(
    make_sandbox: Callable[..., Sandbox], client: Client, tmp_path: Path
) -> None:
    """One personal access token has one session; other tokens and users are left alone."""
    with make_sandbox(tmp_path) as sandbox:
        first, other, user = (
            client(sandbox, token_auth()),
            client(sandbox, token_auth("second", "token-secret-2")),
            client(sandbox),
        )
        again = client(sandbox, token_auth(site="Acme"))
        with pytest.raises(TSC.NotSignedInError, match="401002"):
            first.projects.get()
        for server in (other, user, again):
            server.projects.get()


def test_tokens_may_be_allowed_several_sessions(
    make_sandbox: Callable[..., Sandbox], client: Client, tmp_path: Path
) -> None:
    """The rule of one session for each token can be switched off."""
    with make_sandbox(tmp_path, one_session_per_token=False) as sandbox:
        first, second = client(sandbox, token_auth()), client(sandbox, token_auth())
        first.projects.get()
        second.projects.get()


def test_session_ends_after_idling(
    make_sandbox: Callable[..., Sandbox], client: Client, tmp_path: Path
) -> None:
    """A session lives as long as it is used, and ends after 240 minutes without."""
    now = 1_800_000_000.0
    with make_sandbox(tmp_path, clock=lambda: now) as sandbox:
        server = client(sandbox)
        for _ in range(3):
            now += 200 * 60
            server.projects.get()
        now += 241 * 60
        with pytest.raises(TSC.NotSignedInError, match="401002"):
            server.projects.get()


def test_session_outlives_the_process(
    make_sandbox: Callable[..., Sandbox], client: Client, tmp_path: Path
) -> None:
    """A session is good in another sandbox over the same folder; ids stay, too."""
    with make_sandbox(tmp_path) as sandbox:
        before = client(sandbox)
    with make_sandbox(tmp_path) as sandbox:
        url = f"{sandbox.url}/api/3.25/sites/{before.site_id}/projects"
        headers = {"x-tableau-auth": before.auth_token}
        assert requests.get(url, headers=headers, timeout=30).status_code == 200
        assert client(sandbox).user_id == before.user_id


def test_folder_holds_no_session_token(
    make_sandbox: Callable[..., Sandbox], client: Client, tmp_path: Path
) -> None:
    """Nobody who reads the folder can use a session or learn a secret."""
    with make_sandbox(tmp_path) as sandbox:
        token = client(sandbox).auth_token
        kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert token.encode() not in kept
    assert b"correct horse" not in kept


def test_jwt_signs_in_once(
    sandbox: Sandbox,
    client: Client,
    make_jwt: Callable[..., str],
    code_of: Callable[[requests.Response], str],
) -> None:
    """A connected app's JWT signs its user in, and only once."""
    token = make_jwt()
    server = client(sandbox, TSC.JWTAuth(token))
    assert server.user_id == client(sandbox).user_id
    server.projects.get()
    response = sign_in_with(sandbox, token)
    assert code_of(response) == "401001"
    assert "errorCode=10091" in response.text


def test_refused_site_does_not_use_up_a_jwt(
    sandbox: Sandbox, client: Client, make_jwt: Callable[..., str]
) -> None:
    """A JWT of a sign-in that failed for another reason can still be used."""
    token = make_jwt()
    with pytest.raises(TSC.FailedSignInError, match="401001"):
        client(sandbox, TSC.JWTAuth(token, site_id="elsewhere"))
    client(sandbox, TSC.JWTAuth(token, site_id="Acme"))


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        (5, {"sub": "nobody"}),
        (5, {"sub": "ADA"}),
        (10083, {"headers": {"kid": None}}),
        (10083, {"headers": {"iss": None}}),
        (10084, {"aud": "elsewhere"}),
        (10084, {"aud": None}),
        (10084, {"sub": None}),
        (10084, {"iss": None}),
        (10084, {"jti": None}),
        (10084, {"exp": None}),
        (10084, {"exp": 1}),
        (10084, {"secret": "f" * 48}),
        (10085, {"headers": {"kid": "other"}}),
        (10089, {"headers": {"iss": "other"}}),
        (10096, {"exp": int(time.time()) + 3600}),
        (10097, {"scp": "tableau:content:read"}),
        (10097, {"scp": [1]}),
        (10099, {"scp": None}),
        (10099, {"scp": []}),
    ],
)
def test_refused_jwt_says_why(
    sandbox: Sandbox,
    make_jwt: Callable[..., str],
    code_of: Callable[[requests.Response], str],
    number: int,
    changes: dict[str, Any],
) -> None:
    """Every flaw of a JWT is 401001 with Tableau's number for it in the detail."""
    response = sign_in_with(sandbox, make_jwt(**changes))
    assert code_of(response) == "401001"
    assert f"errorCode={number}," in response.text


@pytest.mark.parametrize("algorithm", ["none", "HS512"])
def test_jwt_of_another_algorithm_is_refused(
    sandbox: Sandbox, make_jwt: Callable[..., str], algorithm: str
) -> None:
    """Only HS256 is accepted; an unsigned JWT above all is not."""
    claims = jwt.decode(make_jwt(), options={"verify_signature": False})
    key = "" if algorithm == "none" else "0123456789abcdef" * 4
    token = jwt.encode(claims, key, algorithm, {"kid": "secret-1", "iss": "client-1"})
    assert "errorCode=10087" in sign_in_with(sandbox, token).text


def test_jwt_needs_a_scope_for_each_operation(
    sandbox: Sandbox, client: Client, make_jwt: Callable[..., str], publish: Callable[..., Any]
) -> None:
    """A JWT session does what its scopes allow, and nothing else."""
    reader = client(sandbox, TSC.JWTAuth(make_jwt()))
    reader.datasources.get()
    with pytest.raises(TSC.NotSignedInError, match="401002"):
        publish(reader, None, "Not allowed")
    scopes = ["tableau:datasources:*", "tableau:projects:create"]
    writer = client(sandbox, TSC.JWTAuth(make_jwt(scp=scopes)))
    project = writer.projects.create(TSC.ProjectItem("By JWT"))
    item = publish(writer, project.id, "Allowed")
    with pytest.raises(TSC.NotSignedInError, match="401002"):
        writer.datasources.get()
    with pytest.raises(TSC.NotSignedInError, match="401002"):
        writer.fileuploads.initiate()
    writer.datasources.delete(item.id)


def test_users_of_one_name_are_refused(
    make_sandbox: Callable[..., Sandbox], tmp_path: Path
) -> None:
    """Users whose names differ only in case are a mistake in the configuration."""
    with pytest.raises(SandboxError, match="differ only in case"):
        make_sandbox(tmp_path, users={"ada": "1", "Ada": "2"})


def test_idle_sessions_are_forgotten(
    make_sandbox: Callable[..., Sandbox], client: Client, tmp_path: Path
) -> None:
    """Sessions that ended by idling leave no row behind after the next sign-in."""
    now = 1_800_000_000.0
    with make_sandbox(tmp_path, clock=lambda: now) as sandbox:
        client(sandbox)
        now += 300 * 60
        client(sandbox)
        store = Store(sandbox.config)
        try:
            with store.reading() as db:
                assert db.execute("SELECT count(*) FROM sessions").fetchone()[0] == 1
        finally:
            store.close()
