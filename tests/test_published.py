import json
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import pytest

from mds_tableau.columns import HyperType
from mds_tableau.errors import (
    AppendedAlready,
    EmptyExtract,
    MayHaveArrived,
    RowsFell,
    ServerUnreachable,
)
from mds_tableau.extract_file import ExtractFile
from mds_tableau.extracts import Extract
from mds_tableau.losses import appended, appending, limits_of, refuse_loss
from mds_tableau.manifest import Mart
from mds_tableau.published import (
    changed_columns,
    confirm_published,
    earlier_publish,
    last_published,
    left_behind,
    record_published,
    rows_known,
    still_serves,
    unchanged_publish,
)
from mds_tableau.tableau import About, Earlier, Published


def made(path: Path, rows: int = 1234567, **changes: Any) -> ExtractFile:
    """An extract of that many rows."""
    content = ExtractFile(
        extract="sales",
        path=path,
        rows=rows,
        columns=(("id", HyperType("BIG_INT")),),
        not_null=(rows,),
        row_hash=None,
        bytes=65536,
        sha256="ab" * 32,
        file_version=2,
        raised_by=(),
        fingerprint="cd" * 32,
        seconds=0.5,
        created_at="2026-11-22T05:59:00+00:00",
    )
    return replace(content, **changes)


NOTHING = "nothing is known to have been published there"


def published(**changes: Any) -> Published:
    """What the server tells after a publish."""
    values: dict[str, Any] = {
        "server": "https://tableau.example.com",
        "site": "acme",
        "project": "Retail/Daily",
        "datasource": "Sales",
        "id": "1f3c",
        "url": "https://tableau.example.com/#/site/acme/datasources/7",
        "mode": "overwrite",
        "revision": 3,
        "bytes": 65536,
        "seconds": 1.25,
        "published_at": "2026-11-22T06:00:00+00:00",
        "revision_at": "2026-11-22T05:59:59+00:00",
        "project_id": "9a2b",
    }
    return Published(**{**values, **changes})


def test_what_is_left_at_another_place_is_told(tmp_path: Path) -> None:
    """When the project or the name changes; not for what was moved on the server, or is first."""
    extract = made(tmp_path)
    moved = published(project="Retail/New", id="2a4b")

    def left(now: Published) -> str:
        return left_behind(tmp_path, extract, now)

    assert left(published()) == ""
    record_published(
        tmp_path, extract, published(), about=About(), target="here: retail/daily/sales", run_id=""
    )
    told = left(moved)
    assert "was 'Sales' in 'Retail/Daily' until now (https://tableau.example.com/#/site" in told
    assert "is 'Sales' in 'Retail/New' from now on" in told
    assert "then delete it on the server" in told
    assert left(published(datasource="Sales 2", id="2a4b")) != ""
    assert left(published(id="deleted and made anew")) == ""
    assert left(published(project="Retail/New")) == ""
    assert left(replace(moved, server="https://another.example.com")) == ""


def test_what_was_published_last_is_remembered(tmp_path: Path) -> None:
    """The record has what the server told, what was sent, and the run; the newest one counts."""
    folder = tmp_path / "published"
    assert last_published(folder, "sales") is None
    record_published(
        folder,
        made(tmp_path, 1),
        published(revision=2),
        about=About(),
        target="here",
        run_id="run 1",
    )
    record_published(
        folder, made(tmp_path), published(), about=About(), target="here", run_id="run 2"
    )
    assert last_published(folder, "sales") == {
        "server": "https://tableau.example.com",
        "target": "here",
        "site": "acme",
        "project": "Retail/Daily",
        "datasource": "Sales",
        "id": "1f3c",
        "url": "https://tableau.example.com/#/site/acme/datasources/7",
        "mode": "overwrite",
        "revision": 3,
        "bytes": 65536,
        "seconds": 1.25,
        "published_at": "2026-11-22T06:00:00+00:00",
        "extract": "sales",
        "rows": 1234567,
        "columns": [["id", "BIG_INT"]],
        "sha256": "ab" * 32,
        "fingerprint": "cd" * 32,
        "revision_at": "2026-11-22T05:59:59+00:00",
        "project_id": "9a2b",
        "row_hash": None,
        "about": ["", [], ""],
        "confirmed_at": "2026-11-22T06:00:00+00:00",
        "run_id": "run 2",
    }
    assert last_published(folder, "returns") is None


@pytest.mark.parametrize(
    ("revision", "expected"),
    [
        (
            3,
            "the server still has 1,234,567 rows published 2026-11-22T06:00:00+00:00, revision 3 "
            "as 'Sales' in 'Retail/Daily'",
        ),
        (
            None,
            "the server still has 1,234,567 rows published 2026-11-22T06:00:00+00:00 "
            "as 'Sales' in 'Retail/Daily'",
        ),
    ],
)
def test_what_analysts_still_see_is_one_sentence(
    tmp_path: Path, revision: int | None, expected: str
) -> None:
    """Rows, time, place, and the revision where the server keeps one."""
    record_published(
        tmp_path,
        made(tmp_path),
        published(revision=revision),
        about=About(),
        target="here",
        run_id="run",
    )
    assert still_serves(tmp_path, "sales", target="here") == expected


def test_nothing_is_said_of_a_server_that_was_not_published_to(tmp_path: Path) -> None:
    """What one server holds is not said of another."""
    record_published(
        tmp_path, made(tmp_path), published(), about=About(), target="here", run_id="run"
    )
    assert still_serves(tmp_path, "sales", target="elsewhere") == NOTHING


def test_nothing_published_is_said(tmp_path: Path) -> None:
    """Without a record, or with one that was cut off, nothing was published before."""
    assert still_serves(tmp_path, "sales", target="here") == NOTHING
    (tmp_path / "sales.json").write_text("{")
    assert still_serves(tmp_path, "sales", target="here") == NOTHING


def sales(*, yaml: str = "models/marts/_marts.yml", **changes: Any) -> Extract:
    """An extract of the mart `sales`."""
    mart = Mart("model.p.sales", "sales", "", "models/sales.sql", "", "table", {}, (), (), yaml)
    values = {"datasource": "Sales", "project": "Retail", "description": "", "publish": True}
    return Extract(**{**values, "name": "sales", "marts": (mart,), **changes})


def refused(folder: Path, rows: int, **changes: Any) -> str | None:
    """Why that many rows are not published `here`, where a half may be lost; None when they are."""
    given = {"extract": sales(), "target": "here", "max_row_fall": 0.5, **changes}
    target, content = given.pop("target"), made(folder, rows, extract=given["extract"].name)
    try:
        refuse_loss(folder, content, limits_of(**given), target=target)
    except (EmptyExtract, RowsFell) as error:
        return str(error)
    return None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The records, with 4000 rows of `sales` that were published `here`."""
    record_published(
        tmp_path, made(tmp_path, 4000), published(), about=About(), target="here", run_id="run"
    )
    return tmp_path


@pytest.mark.parametrize("target", ["here", "elsewhere"])
def test_no_rows_are_refused_everywhere(folder: Path, target: str) -> None:
    """Also where nothing is known to have been published; the message names both files."""
    assert refused(folder, 0, target=target, max_row_fall=1, allow_row_fall=True) == (
        "Extract 'sales' is not published, because mart 'sales' (models/sales.sql) has no rows. "
        "Correct the data or the model; if a datasource without rows is right, set "
        "allow_empty: true under config.meta.tableau of the model (models/marts/_marts.yml)."
    )
    said = refused(folder, 0, extract=sales(yaml=""), target=target)
    assert said is not None
    assert said.endswith("config.meta.tableau of the model (models/sales.sql).")


def test_no_rows_may_be_allowed(folder: Path) -> None:
    """A model that may be empty is published without rows, whatever was there."""
    assert refused(folder, 0, extract=sales(allow_empty=True, max_row_fall=0)) is None


def test_a_fall_is_told_with_both_numbers_and_the_way_out(folder: Path) -> None:
    """The message has rows, share, time, limit, where it is from, and how to publish once."""
    assert refused(folder, 1000) == (
        "Extract 'sales' is not published, because it has 1,000 rows, 75.0% fewer than the 4,000 "
        "that the server has since 2026-11-22T06:00:00+00:00. At most 50% may be lost in one "
        "publish: that is 0.5 from MDS_MAX_ROW_FALL. Correct the data or the model; or, if so few "
        "rows are right, let them through once: materialize tableau/sales with the run config "
        "`ops: {tableau__sales: {config: {allow_row_fall: true}}}` in the UI (Open launchpad), or "
        "on the command line: mds-tableau refresh --select tableau/sales --allow-row-fall"
    )


def test_the_limit_of_the_model_comes_first(folder: Path) -> None:
    """What the model says is more, or less, than the setting, and is named as the reason."""
    assert refused(folder, 1000, extract=sales(max_row_fall=0.75)) is None
    said = refused(folder, 3000, extract=sales(max_row_fall=0.125))
    assert said is not None
    assert "it has 3,000 rows, 25.0% fewer than the 4,000" in said
    assert (
        "At most 12.5% may be lost in one publish: that is 0.125 from max_row_fall under "
        "config.meta.tableau of the model (models/marts/_marts.yml)."
    ) in said
    assert refused(folder, 3999, extract=sales(max_row_fall=0)) is not None


@pytest.mark.parametrize(
    ("rows", "limit", "passes"),
    [
        (2000, 0.5, True),
        (1999, 0.5, False),
        (4000, 0, True),
        (3999, 0, False),
        (5000, 0, True),
        (1, 1, True),
        (2800, 0.3, True),
        (2799, 0.3, False),
    ],
)
def test_a_fall_up_to_the_limit_passes(
    folder: Path, rows: int, limit: float, *, passes: bool
) -> None:
    """The limit itself is allowed; growth always is."""
    assert (refused(folder, rows, max_row_fall=limit) is None) == passes


def test_a_fall_may_be_let_through_once(folder: Path) -> None:
    """Who publishes may allow the fall, and the rows that are there then are what counts."""
    assert refused(folder, 1) is not None
    assert refused(folder, 1, allow_row_fall=True) is None
    record_published(
        folder, made(folder, 1), published(), about=About(), target="here", run_id="run"
    )
    assert refused(folder, 1) is None


def test_a_fall_is_measured_where_it_is_published(folder: Path) -> None:
    """Another server, another extract, and one that was empty before have lost nothing."""
    assert refused(folder, 1, target="elsewhere") is None
    assert refused(folder, 1, extract=sales(name="returns")) is None
    record_published(
        folder, made(folder, 0), published(), about=About(), target="here", run_id="run"
    )
    assert refused(folder, 1) is None


def test_what_is_remembered_for_the_next_publish(folder: Path) -> None:
    """Datasource, revision and whether the columns are the same, in any order; only for there."""
    same = made(folder, 1)
    assert earlier_publish(folder, same, target="here") == Earlier("1f3c", 3, True)
    for columns in (
        (("id", HyperType("INT")),),
        (("ID", HyperType("BIG_INT")),),
        (("id", HyperType("BIG_INT")), ("new", HyperType("TEXT"))),
        (),
    ):
        other = made(folder, columns=columns)
        assert earlier_publish(folder, other, target="here") == Earlier("1f3c", 3, False)
    assert earlier_publish(folder, same, target="elsewhere") is None
    assert earlier_publish(folder / "nothing", same, target="here") is None


def test_rows_are_appended_once(folder: Path) -> None:
    """The rows of the last publish are not appended again; other rows and other places are."""
    appending = limits_of(sales(mode="append"), max_row_fall=0.5)
    with pytest.raises(
        AppendedAlready, match=r"the same 4,000 rows that were published 2026-11-22"
    ):
        refuse_loss(folder, made(folder, 4000), appending, target="here")
    refuse_loss(folder, made(folder, 4000), appending, target="elsewhere")
    refuse_loss(folder, made(folder, 1, fingerprint="ef" * 32), appending, target="here")
    assert refused(folder, 4000) is None


@pytest.mark.parametrize("end", [MayHaveArrived, KeyboardInterrupt])
def test_rows_whose_append_ended_in_the_dark_are_not_appended_again(
    folder: Path, end: type[BaseException]
) -> None:
    """Not before somebody has looked; other rows, and other places, are appended."""
    limits = limits_of(sales(mode="append"), max_row_fall=0.5)
    rows = made(folder, 10, fingerprint="ef" * 32)
    with pytest.raises(end), appending(folder, rows, limits, target="here"):
        raise end
    with (
        pytest.raises(AppendedAlready, match=r"how that ended is not known.*delete .*appending"),
        appending(folder, rows, limits, target="here"),
    ):
        pass
    with appending(folder, rows, limits, target="elsewhere"):
        pass
    appended(folder, rows.extract, limits)
    with pytest.raises(ServerUnreachable), appending(folder, rows, limits, target="here"):
        raise ServerUnreachable("nothing was sent")
    with appending(folder, rows, limits, target="here"):
        pass
    # the rows are there: the note stays until that is written down
    assert list(folder.glob("*.appending"))
    appended(folder, rows.extract, limits)
    assert not list(folder.glob("*.appending"))


def test_other_rows_are_appended_with_a_word_about_those_before(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows that may be missing are told of, before their note is gone; told once."""
    limits = limits_of(sales(mode="append"), max_row_fall=0.5)
    with (
        pytest.raises(KeyboardInterrupt),
        appending(folder, made(folder, 1), limits, target="here"),
    ):
        raise KeyboardInterrupt
    for number in ("ef", "ba"):
        rows = made(folder, 10, fingerprint=number * 32)
        with appending(folder, rows, limits, target="here"):
            pass
        appended(folder, rows.extract, limits)
    [told] = caplog.messages
    assert "appended to here 20" in told
    assert "how that ended is not known" in told


@pytest.mark.parametrize(
    ("revision", "rows", "said"),
    [
        (4, 4010, "the server still has 4,010 rows published"),
        # somebody else published in between, or the server tells no revisions
        (5, None, "the server still has the rows published"),
        (None, None, "the server still has the rows published"),
    ],
)
def test_appended_rows_are_added_up_while_nobody_else_publishes(
    folder: Path, revision: int | None, rows: int | None, said: str
) -> None:
    """What the server has after an append is known only if it is known what it had before."""
    after = published(mode="append", revision=revision)
    record_published(folder, made(folder, 10), after, about=About(), target="here", run_id="run")
    last = last_published(folder, "sales")
    assert last is not None
    assert last["rows"] == rows
    assert still_serves(folder, "sales", target="here").startswith(said)
    # appending takes nothing away, so few rows or none are no loss
    appending = limits_of(sales(mode="append"), max_row_fall=0.5)
    refuse_loss(folder, made(folder, 0, fingerprint="ef" * 32), appending, target="here")


def test_columns_that_workbooks_will_miss_are_told_with_both_types(tmp_path: Path) -> None:
    """A column of another type and one that is gone are; one that is only new is not."""
    folder = tmp_path / "published"
    first = (
        ("day", HyperType("DATE")),
        ("net", HyperType("NUMERIC", 12, 2)),
        ("note", HyperType("TEXT")),
    )
    then = made(tmp_path, columns=first)
    assert changed_columns(folder, then, target="here") == []
    record_published(folder, then, published(), about=About(), target="here", run_id="run 1")
    assert changed_columns(folder, then, target="here") == []
    more = made(tmp_path, columns=(("more", HyperType("INT")), *first))
    assert changed_columns(folder, more, target="here") == []
    second = (("net", HyperType("DOUBLE")), ("day", HyperType("DATE")), ("Note", HyperType("TEXT")))
    now = made(tmp_path, columns=second)
    assert changed_columns(folder, now, target="here") == [
        "Column 'net' of extract 'sales' is DOUBLE now, and was NUMERIC(12,2) when it was "
        "published last. Workbooks that use it may break.",
        "Column 'note' of extract 'sales' is gone; it was TEXT when it was published last. "
        "Workbooks that use it may break. New since then: 'Note'.",
    ]
    assert changed_columns(folder, now, target="elsewhere") == []


def test_a_record_without_columns_tells_of_no_change(tmp_path: Path) -> None:
    """An older version wrote none down."""
    folder = tmp_path / "published"
    now = made(tmp_path, columns=(("day", HyperType("DATE")),))
    record_published(folder, now, published(), about=About(), target="here", run_id="run 1")
    record = json.loads((folder / "sales.json").read_text())
    del record["columns"]
    (folder / "sales.json").write_text(json.dumps(record))
    assert changed_columns(folder, now, target="here") == []


ABOUT = About("Every sale.", ("daily", "retail"), "ada")


def test_the_same_rows_and_words_are_the_same_publish(tmp_path: Path) -> None:
    """What would be sent is compared with what was sent; the order of tags is no difference."""
    now = made(tmp_path, row_hash=2**70)
    record_published(tmp_path, now, published(), about=ABOUT, target="here", run_id="run")
    again = replace(ABOUT, tags=("retail", "daily"))
    assert unchanged_publish(tmp_path, now, again, target="here") == published()


@pytest.mark.parametrize(
    ("change", "about", "target", "last"),
    [
        ({"fingerprint": "ef" * 32}, ABOUT, "here", {}),
        # equal rows of which another engine says something else
        ({"row_hash": 2**70 + 1}, ABOUT, "here", {}),
        # only counted, so that nobody knows whether the values are the same
        ({"row_hash": None}, ABOUT, "here", {}),
        ({}, replace(ABOUT, tags=("daily",)), "here", {}),
        ({}, replace(ABOUT, description="Sales."), "here", {}),
        ({}, replace(ABOUT, owner="grace"), "here", {}),
        ({}, ABOUT, "elsewhere", {}),
        ({}, ABOUT, "here", {"revision": None}),
        ({}, ABOUT, "here", {"revision_at": ""}),
        ({}, ABOUT, "here", {"mode": "append"}),
    ],
)
def test_anything_else_is_another_publish(
    tmp_path: Path, change: dict[str, Any], about: About, target: str, last: dict[str, Any]
) -> None:
    """Other rows, words or places; or a last publish of which too little is known."""
    then = made(tmp_path, row_hash=2**70)
    record_published(tmp_path, then, published(**last), about=ABOUT, target="here", run_id="run")
    now = replace(then, **change)
    assert unchanged_publish(tmp_path, now, about, target=target) is None


def test_a_record_of_an_older_version_is_no_proof(tmp_path: Path) -> None:
    """What was written down without the hash of the rows is published once more."""
    now = made(tmp_path, row_hash=1)
    record_published(tmp_path, now, published(), about=ABOUT, target="here", run_id="run")
    record = json.loads((tmp_path / "sales.json").read_text())
    del record["row_hash"], record["about"]
    (tmp_path / "sales.json").write_text(json.dumps(record))
    assert unchanged_publish(tmp_path, now, ABOUT, target="here") is None


_NEEDED = {field.name for field in fields(Published) if field.default is MISSING}
_KEYS = sorted({*_NEEDED, "fingerprint", "rows", "sha256"})


@pytest.mark.parametrize(
    "change",
    [
        *[{key: ...} for key in _KEYS],
        *[{key: ["odd"]} for key in _KEYS],
        {"published_at": "yesterday"},
        {"published_at": "2026-11-22T06:00:00"},
        {"confirmed_at": "never"},
        {"revision": "3"},
        {"rows": -1},
        {"columns": {"id": 1}},
        {"about": 1},
        {"mode": "sideways"},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["overwrite", "append"])
def test_a_damaged_record_is_no_record(tmp_path: Path, change: dict[str, Any], mode: str) -> None:
    """Whatever is lacking or odd in it: nothing is known of the last publish, and nothing fails."""
    extract = made(tmp_path)
    record = record_published(
        tmp_path, extract, published(), about=About(), target="here", run_id=""
    )
    assert last_published(tmp_path, "sales") == record
    damaged = {key: value for key, value in {**record, **change}.items() if value is not ...}
    (tmp_path / "sales.json").write_text(json.dumps(damaged))
    limits = limits_of(sales(mode=mode), max_row_fall=0.5)
    assert last_published(tmp_path, "sales") is None
    assert unchanged_publish(tmp_path, extract, About(), target="here") is None
    assert earlier_publish(tmp_path, extract, target="here") is None
    assert changed_columns(tmp_path, extract, target="here") == []
    assert left_behind(tmp_path, extract, published()) == ""
    assert still_serves(tmp_path, "sales", target="here") == NOTHING
    assert rows_known([tmp_path]) == {}
    refuse_loss(tmp_path, extract, limits, target="here")
    confirm_published(tmp_path, "sales")
    now = published(mode=mode, revision=4)
    again = record_published(tmp_path, extract, now, about=About(), target="here", run_id="")
    assert again["rows"] == (extract.rows if mode == "overwrite" else None)
    assert last_published(tmp_path, "sales") == again
