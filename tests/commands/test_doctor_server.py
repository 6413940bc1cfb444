"""`mds-tableau doctor`: what it looks at on the way to a server and there, with real servers."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mds_tableau import doctor_server
from mds_tableau.sandbox import Sandbox, SandboxConfig, faults
from mds_tableau.tableau import turns
from tests.certificates import self_signed
from tests.commands.conftest import APP, PUBLISHER, TOKEN, Run
from tests.commands.test_doctor import of, statuses
from tests.pipeline import DERIVED, ROOT

pytestmark = pytest.mark.hyper

WAY = {"TABLEAU_TOKEN_NAME": TOKEN.name, "TABLEAU_TOKEN_VALUE": TOKEN.value}
SERVER_INFO = b"""<?xml version='1.0' encoding='UTF-8'?>
<tsResponse xmlns="http://tableau.com/api"><serverInfo>
<productVersion build="20253.25.1010.1000">2025.3.0</productVersion>
<restApiVersion>3.27</restApiVersion></serverInfo></tsResponse>"""


@contextmanager
def serving(body: bytes, kind: str = "text/xml", ahead: float = 0.0) -> Iterator[str]:
    """A server that answers everything so, by a clock that is ahead by so many seconds."""

    class Answer(BaseHTTPRequestHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(time.time() + ahead, usegmt=True)

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.do_GET()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_server_that_is_well(on_server: Run, published: Sandbox) -> None:
    """Version, clock, sign-in, project and rights are each told."""
    result = on_server("doctor", "--json", TABLEAU_PROJECT="retail/daily")
    assert result.exit_code == 0
    for check in ("proxy", "certificates", "server", "clock", "sign-in", "project", "rights"):
        assert [one["status"] for one in of(result, check)] == ["ok"], check
    assert "REST API 3.25" in of(result, "server")[0]["found"]
    assert of(result, "project")[0]["found"].startswith("'Retail/Daily' (")
    assert "user 'ada' with the role ServerAdministrator" in of(result, "rights")[0]["found"]
    assert published.url in of(result, "server")[0]["found"]
    assert TOKEN.value not in result.output


def test_user_without_rights_is_told(run: Run, published: Sandbox) -> None:
    """Before anything is uploaded, with whom to ask."""
    result = run(
        "doctor",
        "--json",
        TABLEAU_SERVER=published.url,
        TABLEAU_USERNAME=PUBLISHER.username,
        TABLEAU_PASSWORD=PUBLISHER.password,
        TABLEAU_PROJECT="Retail/Daily",
    )
    assert result.exit_code == 1
    [one] = of(result, "rights")
    assert one["status"] == "fail"
    assert "user 'grace'" in one["found"]
    assert "Ask the owner of the project" in one["advice"]


@pytest.mark.dbt
def test_each_project_that_an_extract_goes_to_is_looked_at(
    on_server: Run, run: Run, published: Sandbox, tmp_path: Path
) -> None:
    """One line if all are well, else one for each that is not, with what was to go there."""
    project = tmp_path / "counter"
    shutil.copytree(ROOT / "tests" / "projects" / "counter", project, ignore=DERIVED)
    marts = project / "models" / "marts"
    (marts / "more.sql").write_text("select 1 as n")

    def going(**places: str) -> None:
        models = [
            {"name": name, "config": {"meta": {"tableau": {"project": place}}}}
            for name, place in places.items()
        ]
        (marts / "marts.yml").write_text(json.dumps({"models": models}))

    # the default project is none of them, so that it need not be there
    given = {"MDS_DBT_PROJECT": str(project), "TABLEAU_PROJECT": "Nobody's"}
    going(sales="Retail/Daily", people="retail / daily", more="Archive/Daily")
    result = on_server("doctor", "--json", **given)
    [one], [right] = of(result, "project"), of(result, "rights")
    assert (one["status"], right["status"]) == ("ok", "ok"), result.output
    assert one["found"] == "all 2 that extracts go to are there: 'Archive/Daily', 'Retail/Daily'"
    assert "may write to all 2 projects" in right["found"]

    going(sales="Retail/Dialy", people="Gone", more="Archive/Daily")
    result = on_server("doctor", "--json", **given)
    gone, misspelt = of(result, "project")
    assert [gone["status"], misspelt["status"]] == ["fail", "fail"]
    assert "There is no project 'Gone'" in gone["found"]
    assert (gone["advice"], misspelt["advice"]) == ("For people.", "For sales.")
    assert "'Retail/Daily'" in misspelt["found"]
    # and what is there is looked at all the same
    assert "may write to 'Archive/Daily'" in of(result, "rights")[0]["found"]
    assert result.exit_code == 1
    result = on_server("doctor", "--json", **given, MDS_CREATE_PROJECTS="true")
    assert [one["status"] for one in of(result, "project")] == ["warn", "warn"]

    going(sales="Retail/Daily", people="Default", more="Archive/Daily")
    as_grace = {
        "TABLEAU_SERVER": published.url,
        "TABLEAU_USERNAME": PUBLISHER.username,
        "TABLEAU_PASSWORD": PUBLISHER.password,
    }
    result = run("doctor", "--json", **given, **as_grace)
    assert [one["status"] for one in of(result, "project")] == ["ok"]
    refused = [one["found"] for one in of(result, "rights") if one["status"] == "fail"]
    assert sorted(text.rpartition(" to ")[2] for text in refused) == [
        "'Archive/Daily'",
        "'Default'",
        "'Retail/Daily'",
    ]


def test_missing_project_fails_unless_it_is_created(on_server: Run) -> None:
    """A misspelt one names its neighbours; one that publishing creates is worth a word."""
    result = on_server("doctor", "--json", TABLEAU_PROJECT="Retial/Daily")
    assert result.exit_code == 1
    assert "'Retail/Daily'" in of(result, "project")[0]["found"]
    given = {"TABLEAU_PROJECT": "New", "MDS_CREATE_PROJECTS": "true"}
    result = on_server("doctor", "--json", **given)
    assert (result.exit_code, statuses(result)["project"]) == (0, "warn")


def test_refused_sign_in_hides_nothing_and_tells_no_secret(on_server: Run) -> None:
    """The server is looked at all the same, and what needs a session is not tried."""
    result = on_server("doctor", "--json", TABLEAU_TOKEN_VALUE="an-older-secret")
    assert result.exit_code == 1
    assert statuses(result)["server"] == "ok"
    assert "refused the sign-in of token 'looker'" in of(result, "sign-in")[0]["found"]
    for check in ("project", "rights"):
        assert of(result, check)[0]["found"] == "not tried"
    assert "an-older-secret" not in result.output


def test_token_of_another_process_is_not_taken_from_it(
    on_server: Run, published: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second sign-in would end the session of the first, so that it is left alone."""
    monkeypatch.setattr(doctor_server, "_TURN_SECONDS", 0.05)
    with turns._lock("tokens", published.url, TOKEN.name, TOKEN.value):
        result = on_server("doctor", "--json")
    assert result.exit_code == 0
    [one] = of(result, "sign-in")
    assert (one["status"], "is signed in with token 'looker'" in one["found"]) == ("warn", True)


def test_server_that_is_not_there(run: Run, free_port: int) -> None:
    """It is told at once, and the sign-in is not tried."""
    started = time.monotonic()
    server = f"http://127.0.0.1:{free_port}"
    result = run("doctor", "--json", TABLEAU_SERVER=server, **WAY)
    assert result.exit_code == 1
    assert "cannot be reached" in of(result, "server")[0]["found"]
    assert [of(result, one)[0]["found"] for one in ("clock", "sign-in")] == ["not tried"] * 2
    assert time.monotonic() - started < 30


def test_server_that_is_silent_is_given_up_soon(
    on_server: Run, published: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time-outs of a run are minutes, and a person does not wait for these."""
    monkeypatch.setattr(doctor_server, "_READ_SECONDS", 0.2)
    published.faults.add(faults.Hang(), "server_info")
    try:
        result = on_server("doctor", "--json")
    finally:
        published.faults.clear()
    assert "did not answer in time" in of(result, "server")[0]["found"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"<html>Sign in</html>", "text/html"), (b"<page/>", "text/xml"), (b"{}", "application/json")],
)
def test_what_is_no_server_of_tableau_is_told(run: Run, body: bytes, kind: str) -> None:
    """A page or another XML instead of the version names the setting to look at."""
    with serving(body, kind) as url:
        result = run("doctor", "--json", TABLEAU_SERVER=url, **WAY)
    [one] = of(result, "server")
    assert (one["status"], "TABLEAU_SERVER" in one["found"]) == ("fail", True)
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("ahead", "by_token", "by_app"),
    [(0, "ok", "ok"), (-100, "warn", "warn"), (400, "warn", "fail")],
)
def test_clocks_are_compared(run: Run, ahead: float, by_token: str, by_app: str) -> None:
    """A minute is told; more than the life of a connected app's token ends that way in."""
    names = ("CLIENT_ID", "SECRET_ID", "SECRET_VALUE")
    app = {f"TABLEAU_CONNECTED_APP_{name}": v for name, v in zip(names, APP, strict=True)}
    with serving(SERVER_INFO, ahead=ahead) as url:
        for way, status in ((WAY, by_token), ({**app, "TABLEAU_USERNAME": "ada"}, by_app)):
            result = run("doctor", "--json", TABLEAU_SERVER=url, **way)
            [one] = of(result, "clock")
            assert one["status"] == status
            assert ("ahead of" if ahead > 1 else "seconds") in one["found"]
            assert (
                "2025.3.0 (build 20253.25.1010.1000), REST API 3.27"
                in (of(result, "server")[0]["found"])
            )


def test_certificates_are_checked(run: Run, tmp_path: Path) -> None:
    """An authority of one's own is needed and enough, and which file is used is told."""
    certificate, key = self_signed(tmp_path)
    config = SandboxConfig(data_dir=tmp_path / "tls", users={"ada": "a-password"})
    way = {"TABLEAU_USERNAME": "ada", "TABLEAU_PASSWORD": "a-password"}
    with Sandbox(config, host="127.0.0.1", port=0, tls=(certificate, key)) as sandbox:
        given = {"TABLEAU_SERVER": sandbox.url, **way}
        result = run("doctor", "--json", **given, TABLEAU_CA_BUNDLE=str(certificate))
        assert result.exit_code == 0
        assert str(certificate) in of(result, "certificates")[0]["found"]
        result = run("doctor", "--json", **given)
        assert "is not trusted" in of(result, "server")[0]["found"]
        result = run("doctor", "--json", **given, REQUESTS_CA_BUNDLE=str(tmp_path / "gone.pem"))
        assert statuses(result)["certificates"] == "fail"
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("http://ada:hid%23den@127.0.0.1:{port}", "http://127.0.0.1:{port}"),
        ("ada:hidden@127.0.0.1:{port}", "http://127.0.0.1:{port}"),
        ("http://ada:hidden@127.0.0.1:port", "a URL that cannot be read"),
    ],
)
def test_proxy_is_told_without_its_password(
    run: Run, free_port: int, proxy: str, shown: str
) -> None:
    """Whoever set it, and whatever else goes wrong with it."""
    given = {"TABLEAU_SERVER": "https://tableau.test", **WAY}
    url = proxy.format(port=free_port)
    for variable in ("HTTPS_PROXY", "TABLEAU_PROXY"):
        if variable == "TABLEAU_PROXY" and not proxy.startswith("http://ada:hid%"):
            continue  # these are refused as settings
        result = run("doctor", "--json", **given, **{variable: url})
        [one] = of(result, "proxy")
        assert one["found"].startswith(shown.format(port=free_port))
        assert variable in one["found"]
        assert statuses(result)["server"] == "fail"
        assert "hid" not in result.output
        assert result.exit_code == 1


def test_settings_that_hold_a_secret_are_not_repeated(run: Run) -> None:
    """Neither in a line nor in JSON, also where the proxy itself is refused."""
    secret = "ftp://ada:hidden@proxy"
    for words in ((), ("--json",)):
        result = run(
            "doctor", *words, TABLEAU_SERVER="https://ada:hidden@tableau.test", TABLEAU_PROXY=secret
        )
        assert result.exit_code == 1
        assert "hidden" not in result.output
        assert "TABLEAU_PROXY must be a URL such as" in result.output
