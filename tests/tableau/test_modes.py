"""What becomes of a datasource that is there, with the real client against a running sandbox."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest
import tableauserverclient as TSC  # noqa: N812

from mds_tableau.conversion import convert
from mds_tableau.errors import (
    Conflict,
    DatasourceNotFound,
    ExtractRefused,
    MayHaveArrived,
    PublishError,
    SchemaChanged,
    Transient,
)
from mds_tableau.export import export_mart
from mds_tableau.export_plan import MartExport
from mds_tableau.hyper import Hyper
from mds_tableau.sandbox import Sandbox, SandboxConfig, faults
from mds_tableau.sandbox.choices import Choices
from mds_tableau.tableau import (
    About,
    Earlier,
    Password,
    Patience,
    Published,
    publish,
    sign_in,
    still_holds,
    uploading,
)
from mds_tableau.tableau.jobs import wait_for_job

ADA, BOB = Password("ada", "a-password"), Password("bob", "b-password")
PATIENCE = Patience(
    attempts=4,
    first_pause=0.01,
    longest_pause=0.02,
    connect_seconds=5,
    read_seconds=1,
    shown_seconds=0.5,
)
RESET = Choices(overwrite_resets=("tags", "certification", "owner"))


@pytest.fixture(scope="module")
def extracts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three extracts: `ten` and `five` rows of the same columns, and `other` columns."""
    folder = tmp_path_factory.mktemp("extracts")
    made = {}
    with duckdb.connect() as connection, Hyper() as hyper:
        for name, select in (
            ("ten", "SELECT range AS id FROM range(10)"),
            ("five", "SELECT range + 100 AS id FROM range(5)"),
            ("other", "SELECT range::VARCHAR AS name FROM range(3)"),
        ):
            connection.execute(f"CREATE TABLE {name} AS {select}")
            version = export_mart(connection, MartExport(name, name, f"{name}.sql"), folder / name)
            made[name] = convert(hyper, version, extract=name, folder=folder).path
    return made


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Sandbox]]:
    """Starts a sandbox with two users and such choices; every file goes by an upload."""
    monkeypatch.setenv("TSC_FILESIZE_LIMIT_MB", "0")
    started: list[Sandbox] = []

    def run(choices: Choices = RESET) -> Sandbox:
        config = SandboxConfig(
            data_dir=tmp_path / "sandbox",
            users={one.username: one.password for one in (ADA, BOB)},
            choices=choices,
            job_seconds=0.2,
        )
        sandbox = Sandbox(config, host="127.0.0.1", port=0)
        started.append(sandbox)
        return sandbox.__enter__()

    yield run
    for sandbox in started:
        sandbox.__exit__(None, None, None)


def _publish(sandbox: Sandbox, path: Path, **how: Any) -> Published:
    with (
        sign_in(sandbox.url, "", ADA, PATIENCE) as session,
        uploading(session, chunk_bytes=64 * 1024) as uploads,
    ):
        return publish(session, path, datasource="Sales", project="Default", uploads=uploads, **how)


@pytest.fixture
def look(
    query_hyper: Callable[..., list[list[Any]]], tmp_path: Path
) -> Callable[[Sandbox], tuple[TSC.DatasourceItem, list[Any], int]]:
    """Shows the one datasource, the first column of its rows and its number of revisions."""
    import zipfile

    def ask(sandbox: Sandbox) -> tuple[TSC.DatasourceItem, list[Any], int]:
        client = TSC.Server(sandbox.url, use_server_version=True)
        with client.auth.sign_in(TSC.TableauAuth(BOB.username, BOB.password)):
            [listed] = client.datasources.get()[0]
            item = client.datasources.get_by_id(str(listed.id))
            archive = client.datasources.download(str(item.id), str(tmp_path / "held"))
            client.datasources.populate_revisions(item)
            revisions = len(item.revisions)  # asked for now, as the client does it lazily
            client.session.close()
        with zipfile.ZipFile(archive) as opened:
            [name] = [name for name in opened.namelist() if name.endswith(".hyper")]
            inner = Path(opened.extract(name, tmp_path / "held.d"))
        return item, sorted(row[0] for row in query_hyper(inner)), revisions

    return ask


def _as_analyst(sandbox: Sandbox, change: Callable[[TSC.DatasourceItem], object]) -> None:
    """Change the datasource on the server, as an analyst does."""
    client = TSC.Server(sandbox.url, use_server_version=True)
    with client.auth.sign_in(TSC.TableauAuth(BOB.username, BOB.password)):
        [listed] = client.datasources.get()[0]
        item = client.datasources.get_by_id(str(listed.id))
        change(item)
        client.datasources.update(item)
        client.session.close()


def _earlier(published: Published, *, same: bool = True) -> Earlier:
    return Earlier(published.id, published.revision, same)


def test_same_columns_are_replaced_and_others_overwrite(
    start: Callable[..., Sandbox], extracts: dict[str, Path], look: Any
) -> None:
    """By default only the data changes while the columns stay, else the whole datasource does."""
    sandbox = start()
    first = _publish(sandbox, extracts["ten"])
    second = _publish(sandbox, extracts["five"], earlier=_earlier(first))
    assert look(sandbox)[1] == [100, 101, 102, 103, 104]
    third = _publish(sandbox, extracts["other"], earlier=_earlier(second, same=False))
    assert [one.mode for one in (first, second, third)] == ["overwrite", "replace", "overwrite"]
    assert [one.revision for one in (first, second, third)] == [1, 2, 3]
    assert look(sandbox)[1] == ["0", "1", "2"]


def test_what_overwriting_drops_is_put_back(
    start: Callable[..., Sandbox], extracts: dict[str, Path], look: Any
) -> None:
    """Tags, certification, description and owner survive on a server that drops all of them."""
    sandbox = start()
    _publish(sandbox, extracts["ten"])

    def change(item: TSC.DatasourceItem) -> None:
        item.tags, item.certified, item.certification_note = {"a b", "c"}, True, "by finance"
        item.description = "what it is"

    _as_analyst(sandbox, change)
    published = _publish(sandbox, extracts["five"], about=About(tags=["daily"]))
    item, rows, _ = look(sandbox)
    assert (published.mode, len(rows)) == ("overwrite", 5)
    assert (item.tags, item.certified) == ({"a b", "c", "daily"}, True)
    assert (item.certification_note, item.description) == ("by finance", "what it is")


@pytest.mark.parametrize("fault", [faults.Status(503), faults.Disconnect("after")], ids=str)
@pytest.mark.parametrize("on", ["PUT tags", "PUT datasource", "GET connections"])
def test_a_fault_while_putting_back_is_survived(
    start: Callable[..., Sandbox],
    extracts: dict[str, Path],
    look: Any,
    on: str,
    fault: faults.Fault,
) -> None:
    """What stands beside the data is put back although the first request for it fails."""
    datasource = "/sites/{site_id}/datasources/{datasource_id}"
    operation = {
        "PUT tags": f"PUT {datasource}/tags",
        "PUT datasource": f"PUT {datasource}",
        "GET connections": f"GET {datasource}/connections",
    }[on]
    sandbox = start()
    _publish(sandbox, extracts["ten"], about=About(tags=["daily"]))
    _as_analyst(sandbox, lambda item: setattr(item, "certified", True))
    sandbox.faults.add(fault, operation, nth=1)
    _publish(sandbox, extracts["five"])
    assert len(sandbox.faults.applied) == 1
    sandbox.faults.clear()
    item, rows, _ = look(sandbox)
    assert (item.tags, item.certified, len(rows)) == ({"daily"}, True, 5)


def test_what_cannot_be_put_back_is_told_with_its_value(
    start: Callable[..., Sandbox], extracts: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """A publish that arrived is no failure; what is missing beside it can be read in the log."""
    sandbox = start()
    _publish(sandbox, extracts["ten"], about=About(tags=["daily"]))
    tags = "PUT /sites/{site_id}/datasources/{datasource_id}/tags"
    sandbox.faults.add(faults.Status(403, code=403004), tags)
    assert _publish(sandbox, extracts["five"]).revision == 2
    [record] = [r for r in caplog.records if "has arrived, but what stands beside" in r.message]
    assert record.levelno == logging.WARNING
    assert "tags ['daily']" in record.message


def test_replacing_keeps_what_is_there_and_dbt_is_heard(
    start: Callable[..., Sandbox], extracts: dict[str, Path], look: Any
) -> None:
    """After a replacement the description and tags of the project are on the datasource too."""
    sandbox = start()
    first = _publish(sandbox, extracts["ten"], about=About("old"))
    _as_analyst(sandbox, lambda item: item.tags.add("mine"))
    about = About("new", ["daily", "with space"])
    assert (
        _publish(sandbox, extracts["five"], earlier=_earlier(first), about=about).mode == "replace"
    )
    item, *_ = look(sandbox)
    assert (item.description, item.tags) == ("new", {"mine", "daily", "with space"})


def test_owner_is_looked_up_by_name(
    start: Callable[..., Sandbox],
    extracts: dict[str, Path],
    look: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A user of that name becomes the owner; an unknown one is told and changes nothing."""
    sandbox = start()
    _publish(sandbox, extracts["ten"], about=About(owner="BOB"))
    bob = look(sandbox)[0].owner_id
    _publish(sandbox, extracts["five"])
    assert look(sandbox)[0].owner_id == bob
    _publish(sandbox, extracts["ten"], about=About(owner="eve@example.com"))
    assert look(sandbox)[0].owner_id == bob
    [record] = [r for r in caplog.records if "no user 'eve@example.com'" in r.message]
    assert record.levelno == logging.WARNING
    caplog.clear()
    _publish(sandbox, extracts["ten"], about=About(owner="the team", requires_owner=False))
    assert not [r for r in caplog.records if r.levelno > logging.INFO]


def test_server_that_cannot_replace_is_overwritten(
    start: Callable[..., Sandbox],
    extracts: dict[str, Path],
    look: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An older server, which does not know how to replace, gets the data all the same."""
    sandbox = start(Choices(offers_replace=False))
    first = _publish(sandbox, extracts["ten"])
    second = _publish(sandbox, extracts["five"], earlier=_earlier(first))
    assert (second.mode, second.revision, len(look(sandbox)[1])) == ("overwrite", 2, 5)
    assert "fields cannot be kept" in caplog.text


def test_unfit_data_overwrites_by_default_and_fails_where_replacing_was_asked_for(
    start: Callable[..., Sandbox], extracts: dict[str, Path], look: Any
) -> None:
    """A job that fails while replacing is not the end, unless nothing else may be done."""
    sandbox = start()
    first = _publish(sandbox, extracts["ten"])
    for mode, wanted in (("replace", 10), ("auto", 5)):
        sandbox.faults.add(faults.FailJob(), "publish_datasource", nth=1)
        how = {"mode": mode, "earlier": _earlier(first)}
        if mode == "replace":
            with pytest.raises(ExtractRefused):
                _publish(sandbox, extracts["five"], **how)
        else:
            assert _publish(sandbox, extracts["five"], **how).mode == "overwrite"
        sandbox.faults.clear()
        assert len(look(sandbox)[1]) == wanted


def test_modes_do_only_what_they_say(
    start: Callable[..., Sandbox], extracts: dict[str, Path], look: Any
) -> None:
    """Appending needs something to append to, creating needs nothing, and columns have to fit."""
    sandbox = start()
    with pytest.raises(DatasourceNotFound, match=r"no such datasource.*mode overwrite"):
        _publish(sandbox, extracts["ten"], mode="append")
    first = _publish(sandbox, extracts["ten"], mode="create")
    with pytest.raises(Conflict, match=r"is there already.*auto or overwrite"):
        _publish(sandbox, extracts["five"], mode="create")
    for mode in ("append", "replace"):
        with pytest.raises(SchemaChanged, match=rf"no longer those.*mode {mode}.*overwrite"):
            _publish(sandbox, extracts["other"], mode=mode, earlier=_earlier(first, same=False))
    assert look(sandbox)[1] == list(range(10))
    appended = _publish(sandbox, extracts["five"], mode="append", earlier=_earlier(first))
    assert (appended.mode, appended.revision) == ("append", 2)
    assert look(sandbox)[1] == [*range(10), 100, 101, 102, 103, 104]


@pytest.mark.parametrize(
    "fault",
    [
        faults.Status(502),
        faults.Status(504, when="after"),
        faults.Disconnect("before"),
        faults.Disconnect("after"),
        faults.Truncate(),
        faults.BrokenXml("after"),
        faults.LoginPage("after"),
        faults.Hang("after"),
        faults.PurgeJob(),
    ],
    ids=lambda fault: f"{fault.kind}-{getattr(fault, 'when', '')}",
)
@pytest.mark.parametrize("mode", ["append", "create"])
def test_lost_answers_neither_double_nor_lose_rows(
    start: Callable[..., Sandbox],
    extracts: dict[str, Path],
    look: Any,
    mode: str,
    fault: faults.Fault,
) -> None:
    """Rows arrive once, or it is said that they may have; they never arrive twice."""
    sandbox = start()
    expected = list(range(10)) if mode == "create" else [*range(10), *range(100, 105)]
    if mode == "append":
        _publish(sandbox, extracts["ten"])
    sandbox.faults.add(fault, "publish_datasource", nth=1)
    try:
        _publish(sandbox, extracts["five" if mode == "append" else "ten"], mode=mode)
    except MayHaveArrived:
        assert mode == "append"
    assert [one.kind for one in sandbox.faults.applied] == [fault.kind]
    sandbox.faults.clear()
    assert look(sandbox)[1] == expected


@pytest.mark.parametrize("mode", ["auto", "create"])
def test_what_a_server_lists_late_is_waited_for(
    start: Callable[..., Sandbox], extracts: dict[str, Path], look: Any, mode: str
) -> None:
    """A new datasource that lists leave out for longer than usual is not published twice."""
    sandbox = start()
    lists = PATIENCE.attempts + 3
    sandbox.faults.add(faults.ListLag(requests=lists), ["query_datasources"])
    published = _publish(sandbox, extracts["ten"], mode=mode)
    sandbox.faults.clear()
    assert (published.revision, look(sandbox)[1]) == (1, list(range(10)))


def test_what_a_server_never_lists_is_told(
    start: Callable[..., Sandbox], extracts: dict[str, Path], look: Any
) -> None:
    """What is said to be done and is never shown is not published again; where to look is said."""
    sandbox = start()
    sandbox.faults.add(faults.ListLag(requests=10**9), ["query_datasources"])
    with pytest.raises(MayHaveArrived, match=r"shows nothing new .* said that it was done"):
        _publish(sandbox, extracts["ten"])
    sandbox.faults.clear()
    assert look(sandbox)[2] == 1


def test_append_without_an_upload_of_its_own_is_not_sent_twice(
    start: Callable[..., Sandbox],
    extracts: dict[str, Path],
    look: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file that goes with the publish itself cannot be told from one sent before: it says so."""
    sandbox = start()
    _publish(sandbox, extracts["ten"])
    monkeypatch.setenv("TSC_FILESIZE_LIMIT_MB", "64")
    sandbox.faults.add(faults.Disconnect("before"), "publish_datasource", nth=1)
    with pytest.raises(MayHaveArrived, match=r"cannot be told.*Look at the datasource") as raised:
        _publish(sandbox, extracts["five"], mode="append")
    assert not isinstance(raised.value, Transient)
    assert look(sandbox)[1] == list(range(10))


@pytest.mark.parametrize("offers_replace", [True, False])
def test_credentials_that_overwriting_drops_are_told(
    start: Callable[..., Sandbox],
    extracts: dict[str, Path],
    caplog: pytest.LogCaptureFixture,
    *,
    offers_replace: bool,
) -> None:
    """Whose they were is read, also where it is only overwritten for want of something better."""
    sandbox = start(Choices(overwrite_resets=("connections",), offers_replace=offers_replace))
    first = _publish(sandbox, extracts["ten"])
    client = TSC.Server(sandbox.url, use_server_version=True)
    with client.auth.sign_in(TSC.TableauAuth(BOB.username, BOB.password)):
        item = client.datasources.get_by_id(first.id)
        client.datasources.populate_connections(item)
        [connection] = item.connections
        connection.username, connection.server_address = "etl", "db.example.com"
        client.datasources.update_connection(item, connection)
        client.session.close()
    _publish(sandbox, extracts["five"], earlier=None if offers_replace else _earlier(first))
    [record] = [r for r in caplog.records if "kept credentials" in r.message]
    assert "those of 'etl' for the hyper connection to db.example.com" in record.message


def test_one_right_that_is_missing_does_not_cost_the_others(
    start: Callable[..., Sandbox], extracts: dict[str, Path], look: Any
) -> None:
    """Where tags may not be set, certification and description are put back all the same."""
    sandbox = start()
    _publish(sandbox, extracts["ten"], about=About("what it is", ["daily"]))
    _as_analyst(sandbox, lambda item: setattr(item, "certified", True))
    tags = "PUT /sites/{site_id}/datasources/{datasource_id}/tags"
    sandbox.faults.add(faults.Status(403, code=403004), tags)
    _publish(sandbox, extracts["five"])
    item, *_ = look(sandbox)
    assert (item.certified, item.description, item.tags) == (True, "what it is", set())


def test_what_is_changed_while_the_file_is_uploaded_stays(
    start: Callable[..., Sandbox], extracts: dict[str, Path], look: Any
) -> None:
    """An analyst who corrects the description meanwhile finds the corrected one."""
    sandbox = start()
    _publish(sandbox, extracts["ten"], about=About("wrong", ["old"]))

    def correct(item: TSC.DatasourceItem) -> None:
        item.description, item.tags = "right", {"new"}

    with (
        sign_in(sandbox.url, "", ADA, PATIENCE) as session,
        uploading(
            session,
            chunk_bytes=64 * 1024,
            told=lambda *_: _as_analyst(sandbox, correct),
        ) as uploads,
    ):
        publish(session, extracts["five"], datasource="Sales", project="Default", uploads=uploads)
    item, rows, _ = look(sandbox)
    assert (item.description, item.tags, len(rows)) == ("right", {"new"}, 5)


@pytest.mark.parametrize("refusal", [faults.Status(403, code=403008), faults.Status(400)], ids=str)
def test_only_what_does_not_fit_is_overwritten_instead(
    start: Callable[..., Sandbox], extracts: dict[str, Path], look: Any, refusal: faults.Fault
) -> None:
    """A full site, or a request that is not understood, is no reason to lose fields."""
    sandbox = start()
    first = _publish(sandbox, extracts["ten"])
    sandbox.faults.add(refusal, "publish_datasource", nth=1)
    with pytest.raises(PublishError):
        _publish(sandbox, extracts["five"], earlier=_earlier(first))
    sandbox.faults.clear()
    assert look(sandbox)[2] == 1


def test_an_append_that_may_go_on_is_not_called_passing(
    start: Callable[..., Sandbox], extracts: dict[str, Path], look: Any
) -> None:
    """What ends without it being known what became of it is not to be tried again as it is."""
    sandbox = start()
    _publish(sandbox, extracts["ten"])
    sandbox.faults.add(faults.Disconnect("after"), "publish_datasource", nth=1)
    sandbox.faults.add(faults.Status(502), "publish_datasource", nth=2)
    sandbox.faults.add(faults.Status(502), "publish_datasource", nth=3)
    sandbox.faults.add(faults.Status(502), "publish_datasource", nth=4)
    with pytest.raises(MayHaveArrived):
        _publish(sandbox, extracts["five"], mode="append")


def test_what_was_moved_away_meanwhile_is_not_looked_for_there(
    start: Callable[..., Sandbox], extracts: dict[str, Path]
) -> None:
    """A session that knows a datasource from before notices that it has another name now."""
    sandbox = start()
    with (
        sign_in(sandbox.url, "", ADA, PATIENCE) as session,
        uploading(session, chunk_bytes=64 * 1024) as uploads,
    ):
        send = partial(publish, session, datasource="Sales", project="Default", uploads=uploads)
        first = send(extracts["ten"])
        _as_analyst(sandbox, lambda item: setattr(item, "name", "Sales of old"))
        second = send(extracts["five"])
    assert second.id != first.id
    assert (first.revision, second.revision) == (1, 1)


def test_a_server_that_shows_no_history_is_published_to_once(
    start: Callable[..., Sandbox], extracts: dict[str, Path], look: Any
) -> None:
    """What its job says is believed, also within the same second; an edit is not taken for it."""
    sandbox = start()
    _publish(sandbox, extracts["ten"])
    sandbox.faults.add(faults.Status(403), "query_revisions")
    assert _publish(sandbox, extracts["five"]).revision is None
    sandbox.faults.add(faults.Status(502), "publish_datasource")
    with pytest.raises(Transient):
        _publish(sandbox, extracts["ten"])
    sandbox.faults.clear()
    assert look(sandbox)[1:] == (list(range(100, 105)), 2)


def test_newer_revisions_of_others_are_told(
    start: Callable[..., Sandbox], extracts: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """Fields of a revision that somebody else published are kept, and that is said."""
    sandbox = start()
    first = _publish(sandbox, extracts["ten"])
    _publish(sandbox, extracts["ten"])
    assert "somebody has published" not in caplog.text
    assert _publish(sandbox, extracts["five"], earlier=_earlier(first)).mode == "replace"
    assert "somebody has published revision 2 since 1 was published from here" in caplog.text


def test_what_was_published_is_known_again_by_more_than_a_number(
    start: Callable[..., Sandbox], extracts: dict[str, Path]
) -> None:
    """A restored server counts again, and what is said of a datasource may be edited there."""
    sandbox = start(Choices())
    about = About("Every sale.", ("daily",))
    with sign_in(sandbox.url, "", ADA, patience=PATIENCE) as session:

        def holds(published: Published, about: About = about) -> bool:
            return still_holds(session, published, datasource="S", project="Default", about=about)

        done = publish(session, extracts["ten"], datasource="S", project="Default", about=about)
        assert holds(done)
        assert not holds(replace(done, revision_at="2020-01-01T00:00:00+00:00"))
        assert not holds(replace(done, revision_at=""))
        assert not holds(done, replace(about, tags=("daily", "gold")))
        assert holds(done, About())
        item = session.client.datasources.get_by_id(done.id)
        item.description = "edited by hand"
        session.client.datasources.update(item)
        assert not holds(done)
        assert holds(done, replace(about, description=""))


def test_a_revision_between_is_nobodys(
    start: Callable[..., Sandbox], extracts: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who publishes between our job and our look at it is not taken for us the next time."""
    sandbox = start(Choices())
    with sign_in(sandbox.url, "", ADA, patience=PATIENCE) as session:

        def wait_and_be_late(*arguments: Any) -> bool:
            is_done = wait_for_job(*arguments)
            client = TSC.Server(sandbox.url, use_server_version=True)
            with client.auth.sign_in(TSC.TableauAuth(ADA.username, ADA.password)):
                [there] = [one for one in TSC.Pager(client.datasources) if one.name == "S"]
                client.datasources.publish(
                    TSC.DatasourceItem(there.project_id, name="S"),
                    extracts["other"],
                    TSC.Server.PublishMode.Overwrite,
                )
            return is_done

        monkeypatch.setattr("mds_tableau.tableau.attempt.wait_for_job", wait_and_be_late)
        done = publish(session, extracts["ten"], datasource="S", project="Default")
        assert (done.revision, done.revision_at) == (2, "")
        assert not still_holds(session, done, datasource="S", project="Default", about=About())


def test_rows_are_appended_to_what_is_not_known_with_a_warning(
    start: Callable[..., Sandbox], extracts: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """After a restore from a backup they may be there already, which nobody can tell."""
    sandbox = start(Choices())
    with sign_in(sandbox.url, "", ADA, patience=PATIENCE) as session:
        send = partial(publish, session, extracts["five"], datasource="S", project="Default")
        first = send()
        assert first.revision is not None
        send(mode="append", earlier=Earlier(first.id, first.revision, True))
        assert "rows may be there twice" not in caplog.text
        send(mode="append", earlier=Earlier(first.id, first.revision, True))
        assert "revision 1 was published last from here, and the server has 2" in caplog.text
