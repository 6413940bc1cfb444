"""Publishing and finding projects, with the real client against a running sandbox."""

import zipfile
from pathlib import Path

import pytest
import tableauserverclient as TSC  # noqa: N812

from mds_tableau.errors import ExtractRefused, ProjectNotFound
from mds_tableau.sandbox import Sandbox
from mds_tableau.tableau import About, Password, Session, projects, publish, sign_in
from mds_tableau.tableau.projects import find_project


def _project(session: Session, name: str, parent: str | None = None) -> str:
    item = TSC.ProjectItem(name, parent_id=parent)
    return str(session.client.projects.create(item).id)


def _held(session: Session, datasource_id: str, folder: Path) -> bytes:
    """Return the bytes of the extract that the server has."""
    path = session.client.datasources.download(datasource_id, str(folder / "download"))
    with zipfile.ZipFile(path) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".hyper")]
        return archive.read(name)


@pytest.mark.parametrize("chunked", [False, True], ids=["one request", "chunks"])
def test_published_bytes_are_the_extract(
    session: Session,
    extract: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chunked: bool,
) -> None:
    """The server holds the file byte for byte, in the project and with the name asked for."""
    if chunked:
        # the client decides by size; 0 MB makes every file a large one
        monkeypatch.setenv("TSC_FILESIZE_LIMIT_MB", "0")
        monkeypatch.setenv("TSC_CHUNK_SIZE_MB", "1")
    published = publish(session, extract, datasource="Sales", project="default", about=About("d"))
    assert _held(session, published.id, tmp_path) == extract.read_bytes()
    item = session.client.datasources.get_by_id(published.id)
    assert (item.name, item.project_name, item.description) == ("Sales", "Default", "d")
    assert (published.project, published.revision) == ("Default", 1)
    assert published.url == item.webpage_url
    assert published.bytes == extract.stat().st_size


def test_second_publish_overwrites_the_first(session: Session, extract: Path) -> None:
    """Publishing again keeps the id and makes the next revision, and no second datasource."""
    first, second = (
        publish(session, extract, datasource="Sales", project="Default") for _ in range(2)
    )
    assert second.id == first.id
    assert (first.revision, second.revision) == (1, 2)
    items, _ = session.client.datasources.get()
    assert [item.name for item in items] == ["Sales"]


def test_same_name_in_two_projects_is_two_datasources(session: Session, extract: Path) -> None:
    """A datasource is looked up within its project."""
    retail = _project(session, "Retail")
    _project(session, "Daily", retail)
    ids = {
        publish(session, extract, datasource="Sales", project=path).id
        for path in ("Retail", "Retail/Daily")
    }
    assert len(ids) == 2


def test_project_is_found_by_path_and_not_by_name(session: Session) -> None:
    """Of several projects of one name, the one at the path is found, in any case of letters."""
    for parent in ("Retail", "Wholesale"):
        _project(session, "Daily", _project(session, parent))
    found = find_project(session, " wholesale / DAILY ")
    assert found.path == "Wholesale/Daily"


def test_every_page_of_projects_is_looked_at(session: Session) -> None:
    """A project beyond the first page of the list is found."""
    parent = _project(session, "Many")
    for number in range(105):
        _project(session, f"P{number:03}", parent)
    assert find_project(session, "Many/P104").path == "Many/P104"


def test_missing_project_lists_near_ones(session: Session, extract: Path) -> None:
    """A path that is not there is an error with the near paths, and nothing is published."""
    _project(session, "Daily", _project(session, "Retail"))
    with pytest.raises(ProjectNotFound, match=r"no project 'Retial/Daily'.*'Retail/Daily'.*Create"):
        publish(session, extract, datasource="Sales", project="Retial/Daily")
    assert session.client.datasources.get()[0] == []


def test_refused_extract_keeps_the_one_before(
    session: Session, extract: Path, tmp_path: Path
) -> None:
    """A file that the server does not take is an error with its code; the old bytes stay."""
    published = publish(session, extract, datasource="Sales", project="Default")
    broken = tmp_path / "broken.hyper"
    broken.write_bytes(b"not an extract" * 100)
    with pytest.raises(ExtractRefused, match=r"Publishing 'Sales' to 'Default' failed: "):
        publish(session, broken, datasource="Sales", project="Default")
    assert _held(session, published.id, tmp_path) == extract.read_bytes()


def test_project_is_found_by_its_luid(session: Session) -> None:
    """A LUID names one project, also where two have one path's name in other places."""
    parent = _project(session, "Retail")
    child = _project(session, "Daily", parent)
    assert find_project(session, child).path == "Retail/Daily"
    assert find_project(session, f" {child.upper()} ").id == child
    with pytest.raises(ProjectNotFound, match="There is no project '0000"):
        find_project(session, "00000000-0000-0000-0000-000000000000", create=True)


def test_missing_project_is_created_when_that_is_asked_for(session: Session, extract: Path) -> None:
    """Each missing level is made once; what is there is used."""
    for _ in range(2):
        published = publish(
            session,
            extract,
            datasource="Sales",
            project="default/Retail/ Daily",
            create_project=True,
        )
        assert published.project.casefold() == "default/retail/daily"
    items, _ = session.client.projects.get()
    by_id = {str(item.id): item for item in items}
    [daily] = [item for item in items if item.name == "Daily"]
    assert by_id[str(daily.parent_id)].name == "Retail"
    assert by_id[str(by_id[str(daily.parent_id)].parent_id)].name == "Default"


def test_a_project_that_somebody_else_just_created_is_used(
    session: Session, server: Sandbox
) -> None:
    """The server's word that it exists already is good news."""
    assert find_project(session, "Default")  # the projects are listed now
    with sign_in(server.url, "", Password("ada", "a-password")) as other:
        mine = _project(other, "Retail")
    made = projects._create(session, "Retail", list(session.known_projects))
    assert made.id == mine
