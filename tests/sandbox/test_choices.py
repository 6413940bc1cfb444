"""The answers to what no evidence settles, and folders of older versions."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name

from mds_tableau.errors import SandboxError
from mds_tableau.sandbox import Sandbox, SandboxConfig
from mds_tableau.sandbox.choices import Choices, listed
from mds_tableau.sandbox.store import FIRST, SCHEMA_VERSION, Store

Ask = Callable[..., requests.Response]
CodeOf = Callable[[requests.Response], str]
DAY = 24 * 60 * 60


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"overwrite_resets": ("name",)},
            "overwrite_resets names 'name'; certification, connections",
        ),
        ({"refresh_outcome": "hang"}, "refresh_outcome is 'hang'; fail and succeed"),
        ({"opposite_permission": "x"}, "opposite_permission is 'x'; change and refuse"),
        ({"content_url_suffix": "_"}, "no {number} in it"),
    ],
)
def test_bad_choices_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """A choice of another form is refused before the sandbox starts."""
    with pytest.raises(SandboxError, match=re.escape(message)):
        SandboxConfig(data_dir=tmp_path, choices=Choices(**change))
    with pytest.raises(SandboxError, match="publishers names eve, who are no users"):
        SandboxConfig(data_dir=tmp_path, publishers=frozenset({"eve"}))


def test_each_choice_is_a_question_with_a_default() -> None:
    """What is listed for each choice is its name, its default and one sentence."""
    rows = listed()
    assert ("refresh_outcome", "'fail'") in [row[:2] for row in rows]
    assert all(question.endswith(".") for _, _, question in rows)


def test_codes_follow_the_choices(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    make_jwt: Callable[..., str],
    multipart: Callable[..., dict[str, Any]],
    ask: Ask,
    code_of: CodeOf,
    tmp_path: Path,
) -> None:
    """Codes and statuses that nobody could show are those that were chosen."""
    choices = Choices(
        bad_filter_code=400000,
        missing_scope_code=403004,
        other_site_code=403069,
        jwt_error_numbers=False,
        upload_append_status=201,
        connection_type="dataengine",
    )
    # Codes of choices are no codes of the reference, so this sandbox is not one that is recorded.
    with Sandbox(make_sandbox(tmp_path, choices=choices).config) as sandbox:
        server, other = client(sandbox), client(sandbox, site="Acme")
        assert code_of(ask(server, "GET", "datasources?filter=color:eq:red")) == "400000"
        assert code_of(ask(server, "GET", f"/sites/{other.site_id}/projects")) == "403069"
        unknown = "00000000-0000-0000-0000-000000000000"
        assert code_of(ask(server, "GET", f"/sites/{unknown}/projects")) == "404000"
        scoped = client(sandbox, TSC.JWTAuth(make_jwt()))
        assert code_of(ask(scoped, "POST", "fileUploads")) == "403004"
        client(sandbox, TSC.JWTAuth(make_jwt(jti="once")))
        for token in (make_jwt("x" * 40), make_jwt(jti="once")):
            with pytest.raises(TSC.FailedSignInError) as caught:
                client(sandbox, TSC.JWTAuth(token))
            assert caught.value.detail == "Error signing in to Tableau Server"
        upload_id = server.fileuploads.initiate()
        piece = multipart("", ("tableau_file", "file", b"x"))
        assert ask(server, "PUT", f"fileUploads/{upload_id}", **piece).status_code == 201


def test_tokens_end_where_that_was_chosen(
    make_sandbox: Callable[..., Sandbox], client: Callable[..., TSC.Server], tmp_path: Path
) -> None:
    """A token ends after its days, or when it was not used for some; by default it does not."""
    now = 1_800_000_000.0
    token = TSC.PersonalAccessTokenAuth("first", "token-secret-1", "")
    choices = Choices(token_days=30, unused_token_days=15)
    with make_sandbox(tmp_path / "a", choices=choices, clock=lambda: now) as sandbox:
        for _ in range(3):
            client(sandbox, token)
            now += 10 * DAY
        client(sandbox, token)
        now += DAY
        with pytest.raises(TSC.FailedSignInError):
            client(sandbox, token)
        second = TSC.PersonalAccessTokenAuth("second", "token-secret-2", "")
        client(sandbox, second)
        now += 16 * DAY
        with pytest.raises(TSC.FailedSignInError):
            client(sandbox, second)
    with make_sandbox(tmp_path / "b", clock=lambda: now) as sandbox:
        client(sandbox, token)
        now += 1000 * DAY
        client(sandbox, token)


def test_folder_of_the_first_version_is_used_on(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    publish: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """A folder of an older version gets the new tables; its unfinished jobs are over, as failed."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "content").write_bytes(b"Hyper")
    db = sqlite3.connect(tmp_path / "sandbox.sqlite3", isolation_level=None)
    for statement in FIRST:
        db.execute(statement)
    db.execute(
        "INSERT INTO jobs (id, site_id, kind, request, file, user_id, created, created_at,"
        " updated_at) VALUES ('j', 's', 'PublishDatasource', '{}', 'content', 'u', 0, '', 'then')"
    )
    db.execute("PRAGMA user_version=1")
    db.close()
    config = make_sandbox(tmp_path).config
    with make_sandbox(tmp_path) as sandbox:
        server = client(sandbox)
        item = publish(server, None, "Old")
    db = sqlite3.connect(tmp_path / "sandbox.sqlite3")
    assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    ended = db.execute("SELECT finish_code, completed_at FROM jobs WHERE id = 'j'").fetchone()
    assert ended == (1, "then")
    db.close()
    Store(config).close()
    with make_sandbox(tmp_path) as sandbox:
        assert client(sandbox).datasources.get_by_id(item.id).name == "Old"
