"""Publishing over what is there, with the content opened by Hyper."""

import os
import time
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import tableauserverclient as TSC  # noqa: N812 - its documentation's name
from tableauhyperapi import Connection, CreateMode, HyperProcess, Telemetry

from mds_tableau.sandbox import Sandbox
from mds_tableau.sandbox.choices import Choices
from mds_tableau.sandbox.hyperfile import HyperFiles

Publish = Callable[..., Any]
Hyper = Callable[..., Any]
pytestmark = pytest.mark.hyper


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Path]:
    """Makes an extract by SQL statements, with one version of the file format."""

    def make(*statements: str, version: int = 2) -> Path:
        path = tmp_path / f"{uuid.uuid4().hex}.hyper"
        with (
            HyperProcess(
                Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU,
                parameters={"log_config": "", "default_database_version": str(version)},
            ) as process,
            Connection(process.endpoint, path, CreateMode.CREATE) as connection,
        ):
            for statement in statements:
                connection.execute_command(statement)
        return path

    return make


@pytest.fixture
def rows_of(opening: Sandbox, hyper: Hyper, tmp_path: Path) -> Callable[..., list[Any]]:
    """Returns the rows of what a sandbox serves for a data source."""

    def read(datasource_id: str | None, sandbox: Sandbox = opening) -> list[Any]:
        path = tmp_path / f"{uuid.uuid4().hex}.hyper"
        response = requests.get(f"{sandbox.url}/download/{datasource_id}", timeout=30)
        path.write_bytes(response.content)
        rows: list[Any] = hyper(path)
        return rows

    return read


def revision_count(server: TSC.Server, item: Any) -> int:
    """Returns how many revisions a data source has."""
    server.datasources.populate_revisions(item)
    return len(item.revisions)


def described(server: TSC.Server, project: TSC.ProjectItem, path: Path) -> Any:
    """Publishes a data source with everything that can be said about one."""
    item = TSC.DatasourceItem(project.id, name="Sales")
    item.description, item.certified, item.certification_note = "each day's", True, "checked"
    item = server.datasources.publish(item, path, "CreateNew")
    server.datasources.add_tags(item, {"daily", "two words"})
    return item


def facts(item: Any) -> tuple[Any, ...]:
    """Returns what is said about a data source."""
    return item.description, item.certified, item.certification_note, item.tags, item.owner_id


@pytest.mark.parametrize("as_job", [False, True])
def test_append_adds_the_rows_and_keeps_what_is_said(
    opener: TSC.Server,
    place: TSC.ProjectItem,
    hyper: Hyper,
    publish: Publish,
    rows_of: Callable[..., list[Any]],
    tmp_path: Path,
    as_job: bool,
) -> None:
    """After Append there are all rows, one more revision, and nothing else is new."""
    item = described(opener, place, hyper(tmp_path / "a.hyper", [(1, "a"), (2, "b")]))
    before = facts(opener.datasources.get_by_id(item.id))
    more = hyper(tmp_path / "b.hyper", [(2, "b"), (3, "c")])
    result = publish(opener, place.id, "SALES", "Append", path=more, as_job=as_job)
    if as_job:
        assert len(rows_of(item.id)) == 2
        opener.jobs.wait_for_job(result)
    assert rows_of(item.id) == [(1, "a"), (2, "b"), (2, "b"), (3, "c")]
    after = opener.datasources.get_by_id(item.id)
    assert (after.name, facts(after)) == ("Sales", before)
    assert before[3] == {"daily", "two words"}
    assert revision_count(opener, item) == 2


def test_append_needs_a_target(
    opener: TSC.Server, place: TSC.ProjectItem, hyper: Hyper, publish: Publish, tmp_path: Path
) -> None:
    """Appending to what is not there is refused at once, also for a job."""
    path = hyper(tmp_path / "a.hyper", [(1, "a")])
    for as_job in (False, True):
        with pytest.raises(TSC.ServerResponseError, match="404004"):
            publish(opener, place.id, "Nothing", "Append", path=path, as_job=as_job)


@pytest.mark.parametrize(
    "statements",
    [
        ['CREATE SCHEMA "Extract"', 'CREATE TABLE "Extract"."Extract" (n int, other text)'],
        ['CREATE SCHEMA "Extract"', 'CREATE TABLE "Extract"."Extract" (n bigint, t text)'],
        ['CREATE SCHEMA "Extract"', 'CREATE TABLE "Extract"."Other" (n int, t text)'],
        [
            'CREATE SCHEMA "Extract"',
            'CREATE TABLE "Extract"."Extract" (n int, t text)',
            "CREATE TABLE more (n int)",
        ],
    ],
)
def test_append_of_other_tables_is_refused(
    opener: TSC.Server,
    place: TSC.ProjectItem,
    hyper: Hyper,
    made: Callable[..., Path],
    publish: Publish,
    rows_of: Callable[..., list[Any]],
    tmp_path: Path,
    statements: list[str],
) -> None:
    """Other columns, types, names or several tables are 400011, or a failed job without notes."""
    item = publish(opener, place.id, "A", path=hyper(tmp_path / "a.hyper", [(1, "a")]))
    other = made(*statements)
    with pytest.raises(TSC.ServerResponseError, match="400011"):
        publish(opener, place.id, "A", "Append", path=other)
    job = publish(opener, place.id, "A", "Append", path=other, as_job=True)
    with pytest.raises(TSC.JobFailedException) as caught:
        opener.jobs.wait_for_job(job)
    assert caught.value.notes == []
    assert rows_of(item.id) == [(1, "a")]
    assert revision_count(opener, item) == 1


def test_replace_is_new_data_and_nothing_else(
    opener: TSC.Server,
    place: TSC.ProjectItem,
    hyper: Hyper,
    publish: Publish,
    rows_of: Callable[..., list[Any]],
    tmp_path: Path,
) -> None:
    """Replace changes the rows, and keeps description, certification, tags and owner."""
    item = described(opener, place, hyper(tmp_path / "a.hyper", [(1, "a")]))
    before = facts(opener.datasources.get_by_id(item.id))
    path = hyper(tmp_path / "b.hyper", [(7, "new")])
    publish(opener, place.id, "Sales", "Replace", path=path, description="not taken")
    assert rows_of(item.id) == [(7, "new")]
    assert facts(opener.datasources.get_by_id(item.id)) == before
    assert revision_count(opener, item) == 2


def test_overwrite_erases_the_description_only(
    opener: TSC.Server,
    place: TSC.ProjectItem,
    hyper: Hyper,
    publish: Publish,
    tmp_path: Path,
) -> None:
    """Overwrite without a description erases it, and keeps certification, tags and owner."""
    path = hyper(tmp_path / "a.hyper", [(1, "a")])
    item = described(opener, place, path)
    before = facts(opener.datasources.get_by_id(item.id))
    publish(opener, place.id, "Sales", path=path)
    after = facts(opener.datasources.get_by_id(item.id))
    assert not after[0]
    assert after[1:] == before[1:]


def test_other_choices_about_overwriting(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    publish: Publish,
    extract: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """What Overwrite keeps and Replace makes follows the choices."""
    choices = Choices(
        overwrite_erases_description=False,
        overwrite_resets=("tags", "certification", "owner"),
        replace_creates=False,
        content_url_suffix="-{number}",
        datasource_type="dataengine",
    )
    with make_sandbox(tmp_path / "data", choices=choices) as sandbox:
        server = client(sandbox)
        project = server.projects.get()[0][0]
        with pytest.raises(TSC.ServerResponseError, match="404004"):
            publish(server, None, "Sales", "Replace")
        item = described(server, project, extract())
        other = client(sandbox, TSC.TableauAuth("Grace Hopper", "battery:staple"))
        publish(other, project.id, "Sales")
        after = server.datasources.get_by_id(item.id)
        assert facts(after) == ("each day's", False, None, set(), other.user_id)
        assert after.datasource_type == "dataengine"
        child = server.projects.create(TSC.ProjectItem("Child"))
        assert publish(server, child.id, "Sales").content_url == "Sales-1"
        assert len(list(server.datasources.filter(type="dataengine"))) == 2


def test_broken_files_are_refused(
    opener: TSC.Server,
    opening: Sandbox,
    place: TSC.ProjectItem,
    hyper: Hyper,
    made: Callable[..., Path],
    publish: Publish,
    rows_of: Callable[..., list[Any]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Garbage, a cut-off file and one without tables are 400011; the log says why."""
    good = hyper(tmp_path / "good.hyper", [(number, "x") for number in range(1000)])
    item = publish(opener, place.id, "A", path=good)
    before = set((opening.config.data_dir / "files").iterdir())
    broken = {
        "not a valid database": b"Hyper\x08\0\0\1\0\2\0" + os.urandom(1000),
        "does not begin as": b"SQLite format 3",
        "truncated": good.read_bytes()[:-4096],
        "has no table": made().read_bytes(),
    }
    for reason, content in broken.items():
        path = tmp_path / "bad.hyper"
        path.write_bytes(content)
        with pytest.raises(TSC.ServerResponseError, match="400011") as caught:
            publish(opener, place.id, "A", path=path)
        assert caught.value.detail == "There was a problem publishing the file 'bad.hyper'."
        job = publish(opener, place.id, "A", path=path, as_job=True)
        with pytest.raises(TSC.JobFailedException) as failed:
            opener.jobs.wait_for_job(job)
        assert failed.value.notes == []
        assert caplog.text.count(reason) == 2
    assert len(rows_of(item.id)) == 1000
    assert set((opening.config.data_dir / "files").iterdir()) == before


def test_stored_content_is_what_was_sent(
    opener: TSC.Server, opening: Sandbox, hyper: Hyper, publish: Publish, tmp_path: Path
) -> None:
    """Opening a file with Hyper does not change a byte of it."""
    path = hyper(tmp_path / "a.hyper", [(1, "a")])
    item = publish(opener, None, uuid.uuid4().hex, path=path)
    response = requests.get(f"{opening.url}/download/{item.id}", timeout=30)
    assert response.content == path.read_bytes()


@pytest.mark.parametrize(
    ("api_version", "version", "taken"),
    [
        ("3.25", 4, True),
        ("3.23", 4, False),
        ("3.23", 3, True),
        ("3.15", 3, False),
        ("3.15", 2, True),
    ],
)
def test_newer_file_versions_are_refused(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    made: Callable[..., Path],
    publish: Publish,
    tmp_path: Path,
    api_version: str,
    version: int,
    taken: bool,
) -> None:
    """A server does not open a file of a version that came after it."""
    path = made("CREATE TABLE t (n int)", version=version)
    config: dict[str, Any] = {"api_version": api_version, "open_extracts": True}
    with make_sandbox(tmp_path / "data", **config) as sandbox:
        server = client(sandbox)
        if taken:
            publish(server, None, "A", path=path)
        else:
            with pytest.raises(TSC.ServerResponseError, match="400011"):
                publish(server, None, "A", path=path)
    choices = Choices(newest_file_version=version - 1)
    config = {**config, "choices": choices}
    with (
        make_sandbox(tmp_path / "data", **config) as sandbox,
        pytest.raises(TSC.ServerResponseError, match="400011"),
    ):
        publish(client(sandbox), None, "B", path=path)


def test_old_servers_want_certain_tables(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    hyper: Hyper,
    made: Callable[..., Path],
    publish: Publish,
    tmp_path: Path,
) -> None:
    """Up to 2019.4 Extract.Extract, up to 2021.3 any one table, from then on several."""
    files = {
        "Extract.Extract": hyper(tmp_path / "a.hyper", [(1, "a")]),
        "one": made("CREATE TABLE t (n int)", version=1),
        "two": made("CREATE TABLE t (n int)", "CREATE TABLE u (n int)", version=1),
    }
    taken: dict[str, set[str]] = {}
    for api_version in ("3.6", "3.13", "3.14"):
        choices = Choices(newest_file_version=2)
        with make_sandbox(
            tmp_path / api_version, api_version=api_version, open_extracts=True, choices=choices
        ) as sandbox:
            server = client(sandbox)
            jobs = {
                name: publish(server, None, name, path=path, as_job=True)
                for name, path in files.items()
            }
            for job in jobs.values():
                server.jobs.get_by_id(job.id)
            done = {name: server.jobs.get_by_id(job.id) for name, job in jobs.items()}
            taken[api_version] = {name for name, job in done.items() if job.finish_code == 0}
    assert taken == {
        "3.6": {"Extract.Extract"},
        "3.13": {"Extract.Extract", "one"},
        "3.14": {"Extract.Extract", "one", "two"},
    }


def package_of(folder: Path, **members: bytes) -> Path:
    """Makes a .tdsx of members whose names' last underscore stands for a dot."""
    path = folder / f"{uuid.uuid4().hex}.tdsx"
    with zipfile.ZipFile(path, "w") as package:
        for name, content in members.items():
            package.writestr(".".join(name.rsplit("_", 1)), content)
    return path


def test_packages_keep_their_description_of_the_data(
    opener: TSC.Server,
    place: TSC.ProjectItem,
    hyper: Hyper,
    publish: Publish,
    rows_of: Callable[..., list[Any]],
    tmp_path: Path,
) -> None:
    """A .tdsx is served as it was sent, its extract also alone; nothing is added to it."""
    extract = hyper(tmp_path / "a.hyper", [(1, "a")])
    tds = b"<datasource formatted-name='x'><column name='n'><desc/></column></datasource>"
    path = package_of(tmp_path, x_tds=tds, data_hyper=extract.read_bytes())
    item = publish(opener, place.id, "Packed", path=path)
    assert rows_of(item.id) == [(1, "a")]
    served = Path(opener.datasources.download(item.id, str(tmp_path / "served")))
    assert served.read_bytes() == path.read_bytes()
    bare = Path(opener.datasources.download(item.id, str(tmp_path / "bare"), include_extract=False))
    with zipfile.ZipFile(bare) as package:
        assert package.namelist() == ["x.tds"]
        assert package.read("x.tds") == tds
    for mode in ("Append", "Replace"):
        with pytest.raises(TSC.server.endpoint.exceptions.InternalServerError, match="501"):
            publish(opener, place.id, "Packed", mode, path=extract)
    publish(opener, place.id, "Packed", path=extract)
    assert revision_count(opener, item) == 2


def test_broken_packages_are_refused(
    opener: TSC.Server,
    opening: Sandbox,
    hyper: Hyper,
    publish: Publish,
    tmp_path: Path,
) -> None:
    """A package needs one well-formed .tds, and an extract that Hyper opens."""
    content = hyper(tmp_path / "a.hyper", [(1, "a")]).read_bytes()
    before = set((opening.config.data_dir / "files").iterdir())
    good = package_of(tmp_path, x_tds=b"<datasource/>", a_hyper=content)
    cut = tmp_path / "cut.tdsx"
    cut.write_bytes(good.read_bytes()[:-30])
    for path in (
        cut,
        package_of(tmp_path, a_hyper=content),
        package_of(tmp_path, x_tds=b"<datasource", a_hyper=content),
        package_of(tmp_path, x_tds=b"<workbook/>", a_hyper=content),
        package_of(tmp_path, x_tds=b"<!DOCTYPE x><datasource/>", a_hyper=content),
        package_of(tmp_path, x_tds=b"<datasource/>", a_hyper=content[:-4096]),
    ):
        with pytest.raises(TSC.ServerResponseError, match="400011"):
            publish(opener, None, uuid.uuid4().hex, path=path)
    live = package_of(tmp_path, x_tds=b"<datasource/>")
    with pytest.raises(TSC.server.endpoint.exceptions.InternalServerError, match="501"):
        publish(opener, None, "Live", path=live)
    assert set((opening.config.data_dir / "files").iterdir()) == before


def test_failed_job_may_say_why(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    publish: Publish,
    tmp_path: Path,
) -> None:
    """Where that was chosen, the notes of a failed publish hold code and reason."""
    path = tmp_path / "bad.hyper"
    path.write_bytes(b"no extract")
    choices = Choices(failed_job_notes=True)
    # The schema has no place for these notes, so this sandbox is not one that is recorded.
    config = make_sandbox(tmp_path / "data", choices=choices).config
    with Sandbox(config) as sandbox:
        server = client(sandbox)
        job = publish(server, None, "A", path=path, as_job=True)
        with pytest.raises(TSC.JobFailedException) as caught:
            server.jobs.wait_for_job(job)
        [note] = caught.value.notes
        assert "400011" in note
        assert "does not begin as" in note


def test_hyper_starts_late_and_ends_with_the_sandbox(
    make_sandbox: Callable[..., Sandbox],
    client: Callable[..., TSC.Server],
    hyper: Hyper,
    publish: Publish,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No process runs before the first extract, one from then on, none after the sandbox."""
    started: list[Any] = []
    real = HyperProcess.__init__

    def note(self: Any, *values: Any, **named: Any) -> None:
        started.append(self)
        real(self, *values, **named)

    monkeypatch.setattr(HyperProcess, "__init__", note)
    path = hyper(tmp_path / "a.hyper", [(1, "a")])
    with make_sandbox(tmp_path / "data", open_extracts=True) as sandbox:
        server = client(sandbox)
        server.datasources.get()
        assert started == []
        for _ in range(3):
            publish(server, None, "A", path=path)
        [process] = started
        assert process.is_open
        process.close()  # a process that has died is replaced
        publish(server, None, "A", path=path)
        assert len(started) == 2
    assert not any(process.is_open for process in started)


def test_opening_costs_little(hyper: Hyper, tmp_path: Path) -> None:
    """Looking into an extract takes the time of a few requests, however many rows it has."""
    path = hyper(tmp_path / "a.hyper", [(number, str(number)) for number in range(100_000)])
    files = HyperFiles()
    files.names(path)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        files.names(path)
        times.append(time.perf_counter() - start)
    files.close()
    assert min(times) < 0.05
