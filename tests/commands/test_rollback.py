"""An earlier version is published again, and what analysts then have is what they had."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tableauserverclient as TSC  # noqa: N812

from mds_tableau.sandbox import Sandbox
from tests.commands.conftest import TOKEN, Run, told
from tests.pipeline import Held, held_by_sandbox

pytestmark = pytest.mark.hyper


@pytest.fixture
def publish(run: Run, tmp_path: Path) -> Callable[..., Any]:
    """Publishes a few numbers as `Sales`, as a user does; returns what was told."""

    def published(*numbers: int, column: str = "n", **variables: str) -> Any:
        path = tmp_path / "sales.csv"
        path.write_text("\n".join([column, *map(str, numbers)]) + "\n")
        words = ("-i", path, "-n", "Sales", "--allow-row-fall", "--json")
        return told(run("publish", *words, **variables))

    return published


def _held(tmp_path: Path) -> Held:
    return held_by_sandbox(tmp_path / "data", tmp_path / "scratch")["Sales"]


def _numbers(held: Held) -> list[int]:
    return sorted(int(row[0] or 0) for row in held.rows)


def test_the_version_before_is_published_again(
    run: Run, publish: Callable[..., Any], tmp_path: Path
) -> None:
    """It has its rows and columns again as the next revision; going back again goes further back.

    The publish after it takes its place, and each is in the list of versions.
    """
    publish(1, 2, 3)
    publish(1, 2, 3, 4)
    publish(9, column="other")
    seen = run("rollback", "sales", "--dry-run")
    assert seen.exit_code == 0, seen.output
    assert "Would publish again to 'Sales' in 'Default'" in seen.stdout
    assert "4 rows of" in seen.stdout
    assert "instead of 1 of" in seen.stdout
    assert _held(tmp_path).revision == 3
    done = run("rollback", "sales")
    assert done.exit_code == 0, done.output
    assert "Analysts now see in 'Sales' in 'Default'" in done.stdout
    assert "The next `mds-tableau publish` of that name takes its place" in done.stdout
    assert "Column 'other' of extract 'Sales' is gone" in done.stderr
    held = _held(tmp_path)
    assert (held.revision, [name for name, _ in held.columns]) == (4, ["n"])
    assert _numbers(held) == [1, 2, 3, 4]
    # what was wrong is not gone back to
    assert told(run("rollback", "Sales", "--json"))["rows"] == 3
    assert _numbers(_held(tmp_path)) == [1, 2, 3]
    refused = run("rollback", "Sales")
    assert refused.exit_code == 1
    assert "No version is kept from before the one that is published now" in refused.output
    publish(7, 8)
    assert _numbers(_held(tmp_path)) == [7, 8]
    versions = told(run("versions", "SALES", "--json"))
    assert [one["revision"] for one in versions] == [6, 5, 4, 3, 2, 1]
    assert [one["rows"] for one in versions] == [2, 3, 4, 1, 4, 3]
    assert [one["is_on_server"] for one in versions] == [True, *[False] * 5]
    origins = {one["version"]: one["revision"] for one in versions}
    assert [origins.get(one["rolled_back_to"]) for one in versions[1:3]] == [1, 2]
    shown = run("versions", "Sales")
    assert "on the server now" in shown.stdout
    assert "6 versions of 'Sales'" in shown.stdout


def test_a_version_is_named_by_its_moment(
    run: Run, publish: Callable[..., Any], tmp_path: Path
) -> None:
    """By the whole of it or a beginning that only one has; several, or none, are told."""
    publish(1)
    publish(1, 2)
    publish(1, 2, 3)
    first = told(run("versions", "Sales", "--json"))[-1]["version"]
    several = run("rollback", "Sales", "--to", first[:8])
    assert several.exit_code == 1
    assert (
        f"3 versions begin with '{first[:8]}'. Versions that are kept: {first}," in several.output
    )
    nothing = run("rollback", "Sales", "--to", "1999-12-31")
    assert nothing.exit_code == 1
    assert "No version is kept of '1999-12-31'" in nothing.output
    assert _held(tmp_path).revision == 3
    spelled = f"{first[:4]}-{first[4:6]}-{first[6:8]} {first[9:11]}:{first[11:13]}:{first[13:15]}"
    assert told(run("rollback", "Sales", "--to", spelled, "--json"))["version"] == first
    assert _numbers(_held(tmp_path)) == [1]


def test_an_unknown_name_is_told_with_those_that_are_near(
    run: Run, publish: Callable[..., Any]
) -> None:
    """Both commands name what there is, and end as failed."""
    publish(1)
    for command in ("versions", "rollback"):
        result = run(command, "Slaes")
        assert result.exit_code == 1
        assert "as extract or datasource 'Slaes'. Did you mean 'Sales'?" in result.output
        assert run(command).exit_code == 2


def test_names_are_told_as_users_have_given_them(run: Run, tmp_path: Path) -> None:
    """Not as files are called after them, which is nobody's business."""
    (tmp_path / "n.csv").write_text("n\n1\n")
    for name in ("Größe / EU", "Sales: daily"):
        told(run("publish", "-i", tmp_path / "n.csv", "-n", name, "--json"))
    for command in ("versions", "rollback"):
        unknown = run(command, "NOPE").output
        assert "There are: 'Größe / EU', 'Sales: daily'." in unknown
        assert "Did you mean 'Sales: daily'?" in run(command, "Sales:daily").output
    assert "1 version of 'Sales: daily'" in run("versions", "sales: daily").stdout
    [version] = told(run("versions", "Größe / EU", "--json"))
    Path(version["file"]).write_bytes(b"")
    damaged = run("rollback", "Größe / EU", "--to", version["version"]).output
    assert f"The version {version['version']} of 'Größe / EU' cannot be used" in damaged
    assert "mds-tableau versions 'Größe / EU'" in damaged
    for path in (tmp_path / "data" / "one_shot").glob("*/*.json"):
        path.unlink()
    # where the newest version alone says so
    assert "There are: 'Größe / EU', 'Sales: daily'." in run("versions", "NOPE").output


def test_an_unknown_name_is_told_where_nothing_was_published(run: Run) -> None:
    """There is no name to choose from, and that is said."""
    assert "Nothing was published from" in run("versions", "NOPE").output


def test_the_same_content_is_not_gone_back_to(
    run: Run, publish: Callable[..., Any], tmp_path: Path
) -> None:
    """Whoever publishes what was there already, and rolls back, wants what was before both."""
    publish(1)
    publish(1, 2)
    publish(1, 2, MDS_FORCE="true")
    assert [one["rows"] for one in told(run("versions", "Sales", "--json"))] == [2, 2, 1]
    assert told(run("rollback", "Sales", "--json"))["rows"] == 1
    assert _numbers(_held(tmp_path)) == [1]


def test_another_spelling_is_the_same_datasource(run: Run, tmp_path: Path) -> None:
    """It is compared with what was published before, and is a version of the same."""
    path = tmp_path / "c.csv"
    for name, count in (("Größe / EU", 3), ("größe / eu", 4)):
        path.write_text("\n".join(["n", *map(str, range(count))]) + "\n")
        done = run("publish", "-i", path, "-n", name, "--json")
        told(done)
        assert "somebody" not in done.stderr
    path.write_text("n\n1\n")
    fell = run("publish", "-i", path, "-n", "GRÖSSE / EU")
    assert (fell.exit_code, "75.0% fewer than the 4" in fell.stderr) == (3, True)
    assert [one["rows"] for one in told(run("versions", "größe / eu", "--json"))] == [4, 3]


def test_two_memories_of_one_datasource(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each goes back to what was published under it; any other means what was published last.

    So it is where a mart and a command publish to one datasource, and was of each spelling before.
    """
    path = tmp_path / "c.csv"
    memories = tmp_path / "data" / "one_shot"
    for name, counts in (("Cars", (1, 2)), ("cars", (3, 4))):
        for count in counts:
            path.write_text("\n".join(["n", *map(str, range(count))]) + "\n")
            told(run("publish", "-i", path, "-n", name, "--allow-row-fall", "--json"))
        memories.rename(tmp_path / name)
    shutil.copytree(tmp_path / "Cars", memories)
    shutil.copytree(tmp_path / "cars", memories, dirs_exist_ok=True)

    def rows() -> int:
        [held] = held_by_sandbox(tmp_path / "data", tmp_path / "scratch").values()
        return len(held.rows)

    assert rows() == 4
    assert [one["rows"] for one in told(run("versions", "CARS", "--json"))] == [4, 3]
    assert told(run("rollback", "CARS", "--project", "default", "--json"))["rows"] == 3
    assert rows() == 3
    again = run("rollback", "Cars", "--json")
    assert told(again)["rows"] == 2
    assert rows() == 2
    # it was nobody else, and what they see no more is what was under the other name
    assert "somebody" not in (again.stderr + caplog.text).lower()
    assert told(again)["rows_before"] == 3
    assert "3 versions of 'Cars'" in run("versions", "Cars").stdout
    there = run("versions", "NOPE").output
    assert "There are: 'Cars', 'cars'." in there
    assert "was published from here last under the name 'cars'" in again.stderr
    assert told(again)["warnings"] == [again.stderr.strip().removeprefix("Warning: ")]
    assert [one["is_on_server"] for one in told(run("versions", "cars", "--json"))] == [False] * 3


def test_a_version_that_has_changed_is_not_published(
    run: Run, publish: Callable[..., Any], tmp_path: Path
) -> None:
    """The server keeps what it has, nothing is left behind, and other versions can be used."""
    publish(1)
    publish(1, 2)
    publish(1, 2, 3)
    versions = told(run("versions", "Sales", "--json"))
    rotten = Path(versions[1]["file"])
    content = bytearray(rotten.read_bytes())
    content[len(content) // 2] ^= 1
    rotten.write_bytes(content)
    result = run("rollback", "Sales")
    assert result.exit_code == 1
    assert f"The version {versions[1]['version']} of 'Sales' is not what was published" in (
        result.output
    )
    assert _held(tmp_path).revision == 3
    assert not list(tmp_path.rglob("*.tmp"))
    rotten.write_bytes(content[:-1])
    short = run("rollback", "Sales").output
    assert f"{rotten} is not of the size that was published" in short
    assert "mds-tableau versions 'Sales'" in short
    assert "Build it again" not in short
    assert ".rollback.tmp" not in short
    Path(versions[2]["file"]).unlink()
    gone = run("rollback", "Sales", "--to", versions[2]["version"])
    assert gone.exit_code == 1
    assert "is not whole any more" in gone.output
    assert told(run("rollback", "Sales", "--to", versions[0]["version"], "--json"))["rows"] == 3


def test_what_somebody_else_has_published_is_undone(
    run: Run, publish: Callable[..., Any], published: Sandbox, tmp_path: Path
) -> None:
    """The last version from here is the one before it, and that is said."""
    way = {
        "TABLEAU_SERVER": published.url,
        "TABLEAU_TOKEN_NAME": TOKEN.name,
        "TABLEAU_TOKEN_VALUE": TOKEN.value,
    }
    publish(1, 2, **way)
    other = {**way, "MDS_DATA_DIR": str(tmp_path / "another machine")}
    publish(1, 2, 3, 4, **other)
    assert not any(one["is_on_server"] for one in told(run("versions", "Sales", "--json", **way)))
    assert "the server holds none of them" in run("versions", "Sales", **way).stdout
    done = run("rollback", "Sales", "--json", **way)
    assert "Somebody else has published 'Sales'" in done.stderr
    assert told(done)["rows"] == 2
    # what somebody has deleted is there again as it was last
    server = TSC.Server(published.url, use_server_version=True)
    with server.auth.sign_in(TSC.TableauAuth("ada", "a-password")):
        [item] = [i for i in TSC.Pager(server.datasources) if _is_ours(i)]
        server.datasources.delete(str(item.id))
        done = run("rollback", "Sales", "--json", **way)
        assert "'Sales' was deleted on the server" in done.stderr
        assert told(done)["rows"] == 2
        [again] = [i for i in TSC.Pager(server.datasources) if _is_ours(i)]
        assert again.id == told(done)["published"]["id"]
    # with the sandbox of this machine it is another server
    refused = run("rollback", "Sales")
    assert refused.exit_code == 1
    assert "'Sales' was published last to" in refused.output


def _is_ours(item: TSC.DatasourceItem) -> bool:
    return (item.name, item.project_name) == ("Sales", "Default")


def test_a_server_that_is_not_there_spoils_the_list_only_so_far(
    run: Run, publish: Callable[..., Any], free_port: int
) -> None:
    """What is kept is listed, and what is not known is said."""
    publish(1)
    way = {"TABLEAU_SERVER": f"http://127.0.0.1:{free_port}"}
    token = {"TABLEAU_TOKEN_NAME": "a", "TABLEAU_TOKEN_VALUE": "b", "MDS_PUBLISH_TIMEOUT": "0.1"}
    result = run("versions", "Sales", "--json", **way, **token)
    assert result.exit_code == 0, result.output
    [one] = json.loads(result.stdout)
    assert one["is_on_server"] is None
    assert "which one the server holds is not known" in result.stderr


def test_as_many_versions_are_kept_as_is_said(
    run: Run, publish: Callable[..., Any], tmp_path: Path
) -> None:
    """The oldest go first; appended rows make none; with 0 none is kept and none is left."""
    for number in range(1, 4):
        publish(*range(number + 1), MDS_KEEP="2")
    assert [one["rows"] for one in told(run("versions", "Sales", "--json"))] == [4, 3]
    assert len(list(tmp_path.rglob("versions/*/*/Sales.hyper"))) == 2
    path = tmp_path / "sales.csv"
    path.write_text("n\n77\n")
    words = ("publish", "-i", path, "-n", "Sales", "--mode", "append", "--json")
    told(run(*words))
    assert [one["rows"] for one in told(run("versions", "Sales", "--json"))] == [4, 3]
    # the one before the rows that were appended
    assert told(run("rollback", "Sales", "--json"))["rows"] == 4
    assert _numbers(_held(tmp_path)) == [0, 1, 2, 3]
    publish(5, MDS_KEEP="0")
    assert told(run("versions", "Sales", "--json")) == []
    assert "No version of 'Sales' is kept" in run("versions", "Sales").stdout
    assert not list(tmp_path.rglob("versions/*/*"))
