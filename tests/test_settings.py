import ast
import itertools
import os
import re
import sys
import traceback
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import mds_tableau
from mds_tableau.errors import SettingsError
from mds_tableau.settings import (
    TELEMETRY_OFF,
    Settings,
    child_environment,
    dbt_environment_digest,
    load_settings,
)
from mds_tableau.settings_rules import EXPECTED
from tests.certificates import self_signed

SERVER = "https://tableau.example.com"
TOKEN = ("TABLEAU_TOKEN_NAME", "TABLEAU_TOKEN_VALUE")
USER = ("TABLEAU_USERNAME", "TABLEAU_PASSWORD")
APP = (
    "TABLEAU_CONNECTED_APP_CLIENT_ID",
    "TABLEAU_CONNECTED_APP_SECRET_ID",
    "TABLEAU_CONNECTED_APP_SECRET_VALUE",
)
SECRETS = (
    "TABLEAU_PROXY",
    "TABLEAU_TOKEN_VALUE",
    "TABLEAU_PASSWORD",
    "TABLEAU_CONNECTED_APP_SECRET_VALUE",
    "MDS_NOTIFY",
)
COMPLETE = [{*TOKEN}, {*TOKEN, USER[0]}, {*USER}, {*APP, USER[0]}]
"""Every set of variables that is one whole way to sign in."""


def load(**variables: str) -> Settings:
    """The settings that these variables give, without a `.env`."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        return load_settings(None)


def problems(**variables: str) -> list[str]:
    """The lines of the error that these variables give."""
    with pytest.raises(
        SettingsError, match=r"^Settings are missing or wrong; see \.env\.example"
    ) as e:
        load(**variables)
    return str(e.value).split("\n- ")[1:]


def subsets(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Every selection of some of the names, but neither none nor all."""
    return [s for n in range(1, len(names)) for s in itertools.combinations(names, n)]


def test_without_any_variable_the_sandbox_is_published_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Defaults run offline, and paths are absolute from the working directory."""
    monkeypatch.chdir(tmp_path)
    settings = load()
    assert settings.uses_sandbox
    assert settings.tableau_project == "Default"
    assert settings.mds_data_dir == tmp_path / "data"
    assert settings.mds_raw_dir == tmp_path / "data" / "raw"
    assert settings.mds_dbt_project == tmp_path / "dbt_project"
    assert settings.warehouse == tmp_path / "data" / "warehouse.duckdb"


def test_an_empty_variable_is_not_set() -> None:
    """What is set to nothing has its default."""
    settings = load(TABLEAU_SERVER="", TABLEAU_TOKEN_NAME="", MDS_SANDBOX_PORT="", MDS_MARTS="")
    assert settings == load()


def test_every_way_of_signing_in_alone_is_enough() -> None:
    """Of all combinations of the seven variables, exactly the whole ways are accepted."""
    names = (*TOKEN, *USER, *APP)
    accepted = []
    for count in range(len(names) + 1):
        for chosen in itertools.combinations(names, count):
            try:
                load(TABLEAU_SERVER=SERVER, **dict.fromkeys(chosen, "x"))
            except SettingsError:
                continue
            accepted.append(set(chosen))
    assert sorted(map(sorted, accepted)) == sorted(map(sorted, COMPLETE))


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        *[(some, set(way) - set(some)) for way in (TOKEN, USER) for some in subsets(way)],
        *[
            (some, {*APP, USER[0]} - set(some))
            for some in subsets((*APP, USER[0]))
            if some != (USER[0],)
        ],
        (APP, {USER[0]}),
    ],
)
def test_half_a_way_to_sign_in_names_what_is_missing(
    given: tuple[str, ...], missing: set[str]
) -> None:
    """The message names all variables that are missing, and those that need them."""
    [line] = problems(TABLEAU_SERVER=SERVER, **dict.fromkeys(given, "x"))
    found = re.fullmatch(r"(.*) is missing; (.*) is set and needs it\.", line)
    assert found is not None
    assert set(found[1].split(", ")) == missing
    assert set(found[2].split(", ")) == set(given)


def test_a_server_without_a_way_to_sign_in_names_all_ways() -> None:
    """A server alone is told about the three ways."""
    [line] = problems(TABLEAU_SERVER=SERVER)
    assert line.startswith("TABLEAU_SERVER is set, but no way to sign in. Set TABLEAU_TOKEN_NAME")
    assert "TABLEAU_USERNAME and TABLEAU_PASSWORD" in line
    assert "the three TABLEAU_CONNECTED_APP_* variables" in line


@pytest.mark.parametrize(
    "given",
    [
        (*TOKEN, *USER),
        (*TOKEN, *APP, USER[0]),
        (*USER, *APP),
        (*TOKEN, *USER, *APP),
        (TOKEN[0], USER[1]),
    ],
)
def test_two_ways_to_sign_in_are_a_problem(given: tuple[str, ...]) -> None:
    """Nobody guesses which of two ways was meant; all variables of both are named."""
    [line] = problems(TABLEAU_SERVER=SERVER, **dict.fromkeys(given, "x"))
    listed = ", ".join(sorted(given))
    assert line == (
        f"More than one way to sign in is configured ({listed}). "
        "Keep one: a token, a user with password, or a connected app."
    )


@pytest.mark.parametrize("name", [*TOKEN, *USER, *APP, "TABLEAU_SITE"])
def test_credentials_without_a_server_are_a_problem(name: str) -> None:
    """Whoever gives credentials or a site does not mean the sandbox."""
    line, *_ = problems(**{name: "x"})
    assert line.startswith(f"TABLEAU_SERVER is missing, but {name} is set. Set TABLEAU_SERVER to")


def test_what_is_missing_beside_the_server_is_told_with_it() -> None:
    """So that nobody sets the server first and is told of the rest then."""
    server, rest = problems(TABLEAU_TOKEN_NAME="x")
    assert server.startswith("TABLEAU_SERVER is missing, but TABLEAU_TOKEN_NAME is set.")
    assert rest == "TABLEAU_TOKEN_VALUE is missing; TABLEAU_TOKEN_NAME is set and needs it."


def test_what_was_given_is_looked_at_though_something_is_not_of_its_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An option takes the place of a setting also where another setting is wrong."""
    monkeypatch.setenv("MDS_KEEP", "many")
    monkeypatch.setenv("TABLEAU_SERVER", "ftp://of.the.environment")
    with pytest.raises(SettingsError) as caught:
        load_settings(None, tableau_server="http://tableau.test", mds_memory="lots")
    said = str(caught.value)
    assert "MDS_KEEP is 'many'" in said
    assert "MDS_MEMORY is 'lots'" in said
    assert "TABLEAU_SERVER is 'http://tableau.test'; credentials are never sent" in said
    assert "ftp://" not in said


def test_files_of_the_route_are_looked_at_apart_from_each_other(tmp_path: Path) -> None:
    """One that is missing does not hide that another is none."""
    (tmp_path / "none.pem").write_text("nothing")
    # certificate and key cannot be looked at together before both are there
    missing, bundle = problems(
        TABLEAU_SERVER=SERVER,
        **dict.fromkeys(TOKEN, "x"),
        TABLEAU_CA_BUNDLE=str(tmp_path / "none.pem"),
        TABLEAU_CLIENT_CERTIFICATE=str(tmp_path / "none.pem"),
        TABLEAU_CLIENT_KEY=str(tmp_path / "gone.pem"),
    )
    assert missing.startswith("TABLEAU_CLIENT_KEY is")
    assert bundle.startswith("TABLEAU_CA_BUNDLE is")


def test_a_project_is_for_the_sandbox_too() -> None:
    """The default project may be given without a server."""
    assert load(TABLEAU_PROJECT="Retail/Daily").tableau_project == "Retail/Daily"


@pytest.mark.parametrize(
    "url",
    [
        "https://tableau.example.com",
        "https://tableau.example.com:8443/",
        "HTTPS://tableau.example.com",
        "http://localhost:8850",
        "http://LOCALHOST",
        "http://127.0.0.1:8850",
        "http://[::1]:8850",
    ],
)
def test_servers_that_may_be_signed_in_to(url: str) -> None:
    """The server may be anywhere by https, and on this machine by http."""
    settings = load(TABLEAU_SERVER=url, **dict.fromkeys(TOKEN, "x"))
    assert settings.tableau_server == url
    assert not settings.uses_sandbox


@pytest.mark.parametrize(
    "url",
    [
        "http://tableau.example.com",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "HTTP://tableau",
    ],
)
def test_credentials_are_not_sent_over_http(url: str) -> None:
    """Plain http to another machine is refused, with what to use."""
    [line] = problems(TABLEAU_SERVER=url, **dict.fromkeys(TOKEN, "x"))
    assert line == (
        f"TABLEAU_SERVER is {url!r}; credentials are never sent over plain http except to this "
        "machine. Use https://."
    )


@pytest.mark.parametrize(
    "url",
    [
        "tableau.example.com",
        "tableau",
        "ftp://tableau.example.com",
        "https://",
        "https:///x",
        "//tableau.example.com",
        " ",
    ],
)
def test_what_is_no_url_is_a_problem(url: str) -> None:
    """The message shows what was seen and an example."""
    [line] = problems(TABLEAU_SERVER=url, **dict.fromkeys(TOKEN, "x"))
    assert line.startswith(
        f"TABLEAU_SERVER is {url!r}; it must be a URL such as https://tableau.ex"
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://[tableau", "Invalid IPv6 URL"),
        ("https://tableau.example.com:84430", "Port out of range 0-65535"),
        ("https://tableau.example.com:https", "Port could not be cast to integer .*"),
        ("http://localhost:-1", "Port .*"),
    ],
)
def test_a_url_that_cannot_be_split_is_a_problem(url: str, reason: str) -> None:
    """The message shows what was seen and what Python says about it."""
    [line] = problems(TABLEAU_SERVER=url, **dict.fromkeys(TOKEN, "x"))
    seen = re.escape(f"TABLEAU_SERVER is {url!r}, which is not a URL: ")
    assert re.fullmatch(rf"{seen}{reason}\.", line)


@pytest.mark.parametrize(
    "url",
    [
        "https://ada:hunter2@tableau.example.com",
        "http://hunter2@localhost",
        "ftp://ada:hunter2@tableau",
        "ada:hunter2@tableau.example.com",
        "https://ada:hunter2@[tableau",
    ],
)
def test_a_password_in_the_url_is_a_problem_and_not_shown(url: str) -> None:
    """Credentials do not belong into the URL, and the message does not repeat them."""
    [line] = problems(TABLEAU_SERVER=url, **dict.fromkeys(TOKEN, "x"))
    assert line == (
        "TABLEAU_SERVER holds a user name or password; give them as settings of their own."
    )


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        *(
            (
                {"MDS_SANDBOX_PORT": value},
                rf"MDS_SANDBOX_PORT is '{value}'; it must be a port, from 1 to 65535\.",
            )
            for value in ("many", "65536", "0")
        ),
        *(
            (
                {"MDS_READ_TIMEOUT": value},
                rf"MDS_READ_TIMEOUT is '{value}'; it must be a number of seconds above 0, up to.*",
            )
            for value in ("0", "soon", "nan", "inf", "86401")
        ),
        (
            {"MDS_TIMEZONE": "Mars/Base"},
            r"MDS_TIMEZONE is 'Mars/Base'; it must be an IANA time zo.*",
        ),
        ({"MDS_TIMEZONE": "../etc/passwd"}, r"MDS_TIMEZONE is '\.\./etc/passwd'; it must be an .*"),
        (
            {"MDS_TIMEZONE": "Europe"},
            r"MDS_TIMEZONE is 'Europe'; it must be an IANA time zone such as Europe/London\.",
        ),
        (
            {"MDS_DEADLINE": "07:30 weekday"},
            r"MDS_DEADLINE is '07:30 weekday'; it must be a time of day, .* mean 'weekdays'\?\)\.",
        ),
        (
            {"MDS_NOTIFY": "json://a", "MDS_NOTIFY_SUMMARY": "noon"},
            r"MDS_NOTIFY_SUMMARY is 'noon'; it must be a time of day, .*",
        ),
        (
            {"MDS_NOTIFY_SUMMARY": "08:00"},
            r"MDS_NOTIFY is missing; MDS_NOTIFY_SUMMARY is set and needs it\.",
        ),
        (
            {"MDS_UI_URL": "localhost:3000"},
            r"MDS_UI_URL is 'localhost:3000'; it must be a URL such as http://dagster\..*",
        ),
        *(
            (
                {"MDS_MAX_ROW_FALL": value},
                rf"MDS_MAX_ROW_FALL is '{value}'; it must be a number from 0 to 1, such as 0\.5; "
                r"1 lets every fall through\.",
            )
            for value in ("50%", "-0.1", "1.1", "50", "nan", "inf")
        ),
        ({"MDS_VERIFY": "EXACT"}, r"MDS_VERIFY is 'EXACT'; it must be exact or rows\."),
    ],
)
def test_values_of_another_form_are_a_problem(variables: dict[str, str], line: str) -> None:
    """The variable is named, with what it must be."""
    [found] = problems(**variables)
    assert re.fullmatch(line, found)


def test_what_a_setting_must_be_is_known_of_all_that_are_not_any_text() -> None:
    """Else pydantic's own words would be shown, which say nothing of the setting."""
    texts = {name for name in Settings.model_fields if is_any_text(name)}
    assert set(EXPECTED) == Settings.model_fields.keys() - texts


def is_any_text(name: str) -> bool:
    """Whether pydantic takes any text for the setting, an odd one too."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(name.upper(), "\u2203 neither number nor word")
        try:
            Settings()
        except ValidationError:
            return False
    return True


def test_rules_for_publishing() -> None:
    """Half of the rows may be lost and every value is compared, unless it is set otherwise."""
    settings = load()
    assert (settings.mds_max_row_fall, settings.mds_verify) == (0.5, "exact")
    settings = load(MDS_MAX_ROW_FALL="1", MDS_VERIFY="rows")
    assert (settings.mds_max_row_fall, settings.mds_verify) == (1, "rows")
    assert load(MDS_MAX_ROW_FALL="0").mds_max_row_fall == 0


def test_files_of_the_route_are_looked_at(tmp_path: Path) -> None:
    """What is missing, no certificate, or no pair is told with its setting before anything runs."""
    signed_in = {"TABLEAU_SERVER": SERVER, **dict.fromkeys(TOKEN, "x")}
    certificate, key = map(str, self_signed(tmp_path))
    (tmp_path / "other").mkdir()
    other = str(self_signed(tmp_path / "other")[1])
    good = {
        "TABLEAU_CA_BUNDLE": certificate,
        "TABLEAU_CLIENT_CERTIFICATE": certificate,
        "TABLEAU_CLIENT_KEY": key,
        "TABLEAU_PROXY": "http://ada:hidden@proxy.example.com:8080",
    }
    assert load(**signed_in, **good).tableau_ca_bundle == Path(certificate)
    for wrong, said in (
        ({"TABLEAU_CA_BUNDLE": str(tmp_path / "gone.pem")}, "TABLEAU_CA_BUNDLE is .*is nothing"),
        ({"TABLEAU_CA_BUNDLE": key}, "TABLEAU_CA_BUNDLE is .*holds no certificate in PEM"),
        ({"TABLEAU_CLIENT_KEY": other}, "TABLEAU_CLIENT_KEY cannot be used together"),
        ({"TABLEAU_CLIENT_CERTIFICATE": ""}, "TABLEAU_CLIENT_CERTIFICATE is missing"),
        ({"TABLEAU_PROXY": "socks5://hidden:1080"}, "TABLEAU_PROXY must be a URL such as http:"),
        ({"TABLEAU_PROXY": "http://ada:hid:den@[x"}, "TABLEAU_PROXY must be a URL such as http:"),
    ):
        [line] = problems(**signed_in, **{**good, **wrong})
        assert re.search(said, line)
        assert "hid" not in line


def test_all_problems_are_told_together() -> None:
    """One error has every problem of server, credentials and other settings."""
    found = problems(TABLEAU_SERVER="http://far", TABLEAU_TOKEN_NAME="x", MDS_TIMEZONE="Mars")
    assert [line.split()[0] for line in found] == [
        "TABLEAU_SERVER",
        "TABLEAU_TOKEN_VALUE",
        "MDS_TIMEZONE",
    ]


def test_a_wrong_type_does_not_hide_other_problems() -> None:
    """A port that is no number is told together with everything else."""
    found = problems(
        TABLEAU_SERVER="http://far",
        TABLEAU_TOKEN_NAME="x",
        MDS_SANDBOX_PORT="many",
        MDS_TIMEZONE="Mars",
    )
    assert [re.split("[ :]", line)[0] for line in found] == [
        "MDS_SANDBOX_PORT",
        "TABLEAU_SERVER",
        "TABLEAU_TOKEN_VALUE",
        "MDS_TIMEZONE",
    ]


SECRET = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=4, max_size=20
).map(lambda text: f"s3cr3t:{text}:s3cr3t")


@settings(max_examples=30)
@given(secret=SECRET)
def test_secrets_are_never_shown(secret: str) -> None:
    """Neither settings as text or JSON, nor errors with all that led to them, have a secret."""
    user = {"TABLEAU_USERNAME": "ada"}
    settings = load(TABLEAU_SERVER=SERVER, **user, TABLEAU_PASSWORD=secret)
    assert settings.tableau_password.get_secret_value() == secret
    shown = [repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump())]
    wrong = [
        *[{"TABLEAU_SERVER": SERVER, name: secret} for name in SECRETS],
        *[{name: secret} for name in SECRETS],
        {"TABLEAU_SERVER": SERVER, **user, **dict.fromkeys(SECRETS, secret)},
        {"TABLEAU_SERVER": "far", **user, "TABLEAU_PASSWORD": secret, "MDS_SANDBOX_PORT": "x"},
    ]
    for variables in wrong:
        with pytest.raises(SettingsError, match="missing or wrong") as caught:
            load(**variables)
        shown += [str(caught.value), repr(caught.value), *traceback.format_exception(caught.value)]
    assert not [text for text in shown if secret in text or "s3cr3t" in text]


def test_the_env_file_is_read_and_does_not_override(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`.env` of the working directory fills in what the environment leaves open."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MDS_TIMEZONE", "Europe/London")
    lines = ["# a comment", "MDS_TIMEZONE=Asia/Tokyo", "MDS_MARTS='tag:daily'", "MDS_DATA_DIR=d"]
    (tmp_path / ".env").write_text("\n".join(lines))
    settings = load_settings()
    assert (settings.mds_timezone, settings.mds_marts) == ("Europe/London", "tag:daily")
    assert settings.mds_data_dir == tmp_path / "d"


def test_the_env_file_may_be_elsewhere_or_missing(tmp_path: Path) -> None:
    """A file can be named, a missing one is none, and None reads none."""
    (tmp_path / "other").write_text("MDS_MARTS=tag:x")
    assert load_settings(tmp_path / "missing").mds_marts == "fqn:*.marts.*"
    assert load_settings(tmp_path / "other").mds_marts == "tag:x"


def test_a_selection_is_taken_as_it_is() -> None:
    """What looks like JSON is still dbt's syntax."""
    for selection in ("[1, 2]", "tag:a,tag:b", "path:marts config.materialized:table"):
        assert load(MDS_MARTS=selection).mds_marts == selection


def test_a_home_folder_is_expanded() -> None:
    """`~` is the home folder in every path."""
    assert load(MDS_DATA_DIR="~/mds").mds_data_dir == Path.home() / "mds"


def test_profiles_are_looked_for_where_dbt_does(tmp_path: Path) -> None:
    """The variable first, then the project's own, then the home folder's."""
    project = tmp_path / "project"
    project.mkdir()
    assert load(MDS_DBT_PROJECT=str(project)).profiles_dir == Path.home() / ".dbt"
    (project / "profiles.yml").touch()
    assert load(MDS_DBT_PROJECT=str(project)).profiles_dir == project
    named = load(MDS_DBT_PROJECT=str(project), DBT_PROFILES_DIR=str(tmp_path))
    assert named.profiles_dir == tmp_path


def test_exporting_sets_what_dbt_and_dagster_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths are always set, telemetry is switched off unless somebody decided about it."""
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    monkeypatch.delenv("DAGSTER_DISABLE_TELEMETRY")
    load(MDS_DATA_DIR=str(tmp_path / "d"), MDS_RAW_DIR=str(tmp_path / "r")).export()
    assert os.environ["MDS_RAW_DIR"] == f"{tmp_path}/r"
    assert os.environ["MDS_WAREHOUSE"] == f"{tmp_path}/d/warehouse.duckdb"
    assert os.environ["DO_NOT_TRACK"] == "0"
    assert os.environ["DAGSTER_DISABLE_TELEMETRY"] == "1"


def test_a_child_has_this_environment_and_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter's folder comes first in PATH, and telemetry is off unless decided."""
    monkeypatch.setenv("PATH", f"a{os.pathsep}b")
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    monkeypatch.delenv("DAGSTER_DISABLE_TELEMETRY")
    child = child_environment(EXTRA="1", DO_NOT_TRACK="2")
    scripts = str(Path(sys.executable).parent)
    assert child["PATH"] == os.pathsep.join([scripts, "a", "b"])
    assert (child["EXTRA"], child["DO_NOT_TRACK"]) == ("1", "2")
    assert TELEMETRY_OFF.items() <= {**child, "DO_NOT_TRACK": "1"}.items()
    assert child_environment()["DO_NOT_TRACK"] == "0"
    monkeypatch.delenv("PATH")
    assert child_environment()["PATH"] == scripts
    assert "EXTRA" not in os.environ


def test_the_digest_is_of_what_dbt_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """It changes with a variable of dbt's, with no other, and shows none of them."""
    digests = [dbt_environment_digest()]
    monkeypatch.setenv("TABLEAU_PASSWORD", "hunter2")
    assert dbt_environment_digest() == digests[0]
    for name in ("DBT_ENV_SECRET_KEY", "MDS_RAW_DIR", "MDS_WAREHOUSE"):
        for value in ("hunter2", "hunter3"):
            monkeypatch.setenv(name, value)
            digests.append(dbt_environment_digest())
    assert len(set(digests)) == 7
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in digests)


def test_nothing_else_reads_the_environment() -> None:
    """No other module of the package names `os.environ` or `os.getenv`."""
    package = Path(mds_tableau.__file__).parent
    readers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"})
        or (isinstance(node, ast.ImportFrom) and node.module == "os")
    }
    assert readers == {"settings.py"}


def test_every_field_says_what_it_is() -> None:
    """Each setting has a description of one sentence."""
    for name, field in Settings.model_fields.items():
        assert re.fullmatch(r"\S.*\.", field.description or ""), name


TOOLS = {"DAGSTER_HOME", *TELEMETRY_OFF}
"""Variables that we do not read ourselves, but that a user may want to know."""


def test_the_example_file_has_every_setting_and_no_other() -> None:
    """`.env.example` names each setting once, and beside them only what tools read."""
    example = Path(__file__).parents[1] / ".env.example"
    if not example.is_file():
        pytest.skip(".env.example is not written yet")
    written = re.findall(r"^(?:# ?)?([A-Z][A-Z0-9_]*)=", example.read_text(), re.MULTILINE)
    settings = sorted(name.upper() for name in Settings.model_fields)
    assert sorted(name for name in written if name not in TOOLS) == settings


def test_automation_is_off_and_looks_each_minute_unless_told_otherwise() -> None:
    """Words of a switch are understood; what is none is told with what is allowed."""
    assert (load().mds_automation, load().mds_sensor_seconds) == (False, 60)
    found = load(MDS_AUTOMATION="on", MDS_SENSOR_SECONDS="5")
    assert (found.mds_automation, found.mds_sensor_seconds) == (True, 5)
    assert not load(MDS_AUTOMATION="off").mds_automation
    assert problems(MDS_AUTOMATION="maybe", MDS_SENSOR_SECONDS="0") == [
        "MDS_AUTOMATION is 'maybe'; it must be on or off.",
        "MDS_SENSOR_SECONDS is '0'; it must be a whole number of seconds from 1 to 86400.",
    ]
