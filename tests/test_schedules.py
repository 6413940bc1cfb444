"""What `schedules.yml` may say, and which extract ends up on which schedule."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from mds_tableau.defs.schedules import cron_problem
from mds_tableau.errors import ScheduleError
from mds_tableau.extracts import Extract
from mds_tableau.manifest import Mart
from mds_tableau.schedules import Declared, Schedule, plan_schedules
from mds_tableau.schedules_file import read_schedules

BY_SETTINGS = Schedule("daily", "30 6 * * *", "Europe/London")


def extract(name: str, schedule: str | None = "") -> Extract:
    """An extract of one mart."""
    mart = Mart(f"model.p.{name}", name, name, f"models/{name}.sql", "", "table", {}, ())
    return Extract(name, (mart,), name, "Default", "", publish=True, schedule=schedule)


def read(folder: Path, *, is_default_set: bool) -> Declared:
    """What the file says."""
    return read_schedules(
        folder, BY_SETTINGS, is_default_set=is_default_set, cron_problem=cron_problem
    )


def plan(
    folder: Path,
    text: str | None,
    *extracts: Extract,
    selections: Mapping[str, list[str] | str] | None = None,
    is_default_set: bool = False,
) -> dict[str, list[str]]:
    """Names of the extracts by schedule, for what the file says."""
    if text is not None:
        (folder / "schedules.yml").write_text(text, encoding="utf-8")
    planned = plan_schedules(
        read(folder, is_default_set=is_default_set),
        extracts,
        file=folder / "schedules.yml",
        selected=(selections or {}).__getitem__,
    )
    return {one.schedule.name: [e.name for e in one.extracts] for one in planned}


def problems(folder: Path, text: str, *extracts: Extract, **given: object) -> list[str]:
    """What is said to be wrong."""
    with pytest.raises(ScheduleError, match=r"^The schedules cannot be used as they are:") as error:
        plan(folder, text, *(extracts or (extract("a"),)), **given)  # type: ignore[arg-type]
    return str(error.value).replace(str(folder), "p").split("\n- ")[1:]


def test_without_a_file_all_are_on_the_schedule_of_the_settings(tmp_path: Path) -> None:
    """`daily` has every extract, when and where the settings say."""
    assert plan(tmp_path, None, extract("a"), extract("b")) == {"daily": ["a", "b"]}
    [daily] = read(tmp_path, is_default_set=True).schedules
    assert daily == BY_SETTINGS


def test_extracts_are_assigned_by_meta_by_selection_or_by_default(tmp_path: Path) -> None:
    """A model's own word, dbt's selection, the default schedule, or none of them."""
    text = """
schedules:
  weekdays: {cron: "0 7 * * 1-5", timezone: America/New_York, select: "tag:us"}
  month: {cron: "0 5 1 * *"}
"""
    extracts = [extract("a"), extract("b"), extract("c", "month"), extract("d", None)]
    found = plan(tmp_path, text, *extracts, selections={"tag:us": ["model.p.b", "model.p.x"]})
    assert found == {"daily": ["a"], "weekdays": ["b"], "month": ["c"]}
    said = read(tmp_path, is_default_set=False)
    assert list(said.schedules) == [
        BY_SETTINGS,
        Schedule("weekdays", "0 7 * * 1-5", "America/New_York", "tag:us"),
        Schedule("month", "0 5 1 * *", "Europe/London"),
    ]


def test_the_file_may_say_when_daily_is(tmp_path: Path) -> None:
    """What stands in the file wins over the default of the setting, and not over the setting."""
    text = "schedules: {daily: {cron: '0 5 * * *', timezone: Asia/Tokyo}}"
    assert plan(tmp_path, text, extract("a")) == {"daily": ["a"]}
    [daily] = read(tmp_path, is_default_set=False).schedules
    assert daily == Schedule("daily", "0 5 * * *", "Asia/Tokyo")
    assert problems(tmp_path, text, is_default_set=True) == [
        "schedules.daily in p/schedules.yml has cron '0 5 * * *', and MDS_SCHEDULE is "
        "'30 6 * * *'. Remove one of them."
    ]


def test_a_default_schedule_without_extracts_is_not_missed(tmp_path: Path) -> None:
    """When all extracts name another schedule, there is no daily one, and nothing is wrong."""
    text = "schedules: {month: {cron: '0 5 1 * *'}}"
    assert plan(tmp_path, text, extract("a", "month")) == {"month": ["a"]}


@pytest.mark.parametrize("cron", ["null", "['0 1 * * *']", "''", "5"])
def test_a_cron_that_is_no_text_is_told_once(tmp_path: Path, cron: str) -> None:
    """What its form lacks is said, and not what it would mean as one."""
    [said] = problems(tmp_path, f"schedules: {{x: {{cron: {cron}}}}}", extract("a", "x"))
    assert said.endswith("It must be a text that is not empty.")


def test_a_wrong_setting_is_told_as_that(tmp_path: Path) -> None:
    """Not with the schedules of the file that have no cron of their own."""
    path = tmp_path / "schedules.yml"
    path.write_text("schedules: {daily: [1, 2], z: 17}")
    default = Schedule("daily", "every day", "UTC")
    said = read_schedules(
        tmp_path, default, is_default_set=True, cron_problem=cron_problem
    ).problems
    assert [line.partition("; ")[0] for line in said] == [
        f"schedules.daily in {path} is [1, 2]. It must be a mapping of cron, timezone, select.",
        f"schedules.z in {path} is 17. It must be a mapping of cron, timezone, select.",
        "MDS_SCHEDULE is 'every day'",
    ]


def test_all_problems_are_told_together(tmp_path: Path) -> None:
    """Each with its schedule, its file and what to do."""
    text = """
schedules:
  weekdays: {cron: "0 7 * * 1-8", select: "tag:us"}
  leap: {cron: "0 7 30 2 *", timezone: London}
  never: {cron: "0 7 31 4,6 *", selct: "tag:eu"}
  Month: {timezone: ""}
  eu: {cron: "0 5 1 * *", select: "tag:us"}
  odd: daily
"""
    found = problems(
        tmp_path,
        text,
        extract("a", "weekday"),
        extract("b", "weekdays"),
        selections={"tag:us": ["model.p.b"]},
    )
    assert found == [
        "schedules.weekdays in p/schedules.yml has cron '0 7 * * 1-8'; it must be a cron "
        "expression of five fields that happens, such as 30 6 * * * for half past six every day.",
        "schedules.leap in p/schedules.yml has timezone 'London', which is no IANA time zone such "
        "as Europe/London. Did you mean 'Europe/London'?",
        "schedules.leap in p/schedules.yml has cron '0 7 30 2 *'; it must be a cron expression of "
        "five fields that happens, such as 30 6 * * * for half past six every day.",
        "Unknown key 'selct' in schedules.never in p/schedules.yml. Allowed: cron, timezone, "
        "select. Did you mean 'select'?",
        "schedules.never in p/schedules.yml has cron '0 7 31 4,6 *'; that never happens. Name a "
        "day that its months have; L is the last day of any.",
        "schedules.Month in p/schedules.yml has a name that a job cannot have. It must be of at "
        "most 50 small letters, digits and '_', and begin with a letter, such as month_start.",
        "schedules.Month in p/schedules.yml has timezone ''. It must be a text that is not empty.",
        "schedules.Month in p/schedules.yml has no cron. Give it one, such as cron: '0 7 * * 1-5'.",
        "schedules.odd in p/schedules.yml is 'daily'. It must be a mapping of cron, timezone, "
        "select.",
        "meta.tableau.schedule of 'a' (models/a.sql) is 'weekday', which is no schedule. There "
        "are: daily, weekdays, leap, never, Month, eu, odd. Did you mean 'weekdays'? Others are "
        "added in p/schedules.yml.",
        "'b' (models/b.sql) is on 2 schedules: weekdays (by select 'tag:us') and eu (by select "
        "'tag:us'). Change a select in p/schedules.yml, or the model's meta.tableau.schedule, so "
        "that one is left.",
        *(
            f"schedules.{name} in p/schedules.yml has no extract. Name it in a model's "
            "config.meta.tableau.schedule, give it a select that names exported models, or remove "
            "it."
            for name in ("leap", "never", "Month", "odd")
        ),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has nothing at its top. It must have one key, schedules"),
        ("[]", "has nothing at its top"),
        ("schedules:", "has schedules at its top"),
        ("schedule: {a: {cron: '0 5 * * *'}}", "has schedule at its top"),
        ("{schedules: {a: {cron: '0 5 * * *'}}, version: 2}", "has schedules, version at its top"),
        (
            "schedules: {a: {cron: * 5 * * *}}",
            r"cannot be read: .*(?s:.*)Put cron expressions in quotes",
        ),
        ("schedules: {a: {cron: '0 5 * * *'}, a: {cron: '0 6 * * *'}}", "'a' stands there twice"),
    ],
)
def test_a_file_of_another_form_is_told_with_what_it_has(
    tmp_path: Path, text: str, said: str
) -> None:
    """What is no mapping of schedules, or no YAML, is an error that shows the form."""
    with pytest.raises(ScheduleError, match=said):
        plan(tmp_path, text, extract("a"))


def test_an_empty_file_or_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    """A file in another encoding is no traceback."""
    (tmp_path / "schedules.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(ScheduleError, match=r"schedules\.yml cannot be read: .*codec"):
        plan(tmp_path, None, extract("a"))


def test_what_may_be_meant_for_a_schedule_is_not_missed_there(tmp_path: Path) -> None:
    """Where it is not known what a model says of its schedule, none is called empty."""
    (tmp_path / "schedules.yml").write_text("schedules: {month: {cron: '0 5 1 * *'}}")
    declared = read(tmp_path, is_default_set=False)

    def planned(*extracts: Extract, unclear: Collection[str]) -> list[str]:
        plan = plan_schedules(
            declared, extracts, file=tmp_path, selected=lambda _: (), unclear=unclear
        )
        return [one.schedule.name for one in plan]

    assert planned(extract("a"), unclear=["a"]) == ["daily"]
    # without any extract that is what is wrong
    assert planned(unclear=[]) == []
    with pytest.raises(ScheduleError, match="has no extract"):
        planned(extract("a"), unclear=[])


def test_false_and_a_selection_contradict_each_other(tmp_path: Path) -> None:
    """An extract that wants no schedule is on none, and no selection may name it."""
    text = "schedules: {us: {cron: '0 5 * * *', select: 'tag:us'}}"
    found = problems(tmp_path, text, extract("a", None), selections={"tag:us": ["model.p.a"]})
    assert found == [
        "'a' (models/a.sql) has meta.tableau.schedule: false, and us in p/schedules.yml selects "
        "it. Remove one of them."
    ]


def test_a_selection_that_dbt_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    """The reason stands beside the schedule; that it has no extract is no second problem."""
    text = "schedules: {us: {cron: '0 5 * * *', select: 'tga:us'}}"
    found = problems(tmp_path, text, selections={"tga:us": "'tga' is not a valid method name"})
    assert found == [
        "schedules.us in p/schedules.yml has select 'tga:us', which dbt does not understand: "
        "'tga' is not a valid method name"
    ]


@pytest.mark.parametrize(
    "cron", ["* * * * *", "30 6 * * *", "0 7 * * mon-fri", "0 0 29 2 *", "0 7 L * *", "@daily"]
)
def test_a_cron_expression_that_happens_is_accepted(cron: str) -> None:
    """Also one that happens every fourth year."""
    assert cron_problem(cron, "America/New_York") is None


@pytest.mark.parametrize(
    "cron",
    ["", "x", "0 7 * *", "0 0 7 * * *", "60 7 * * *", "@reboot", "0 0 30 2 *", "0 0 31 4,6,9,11 *"],
)
def test_a_cron_expression_that_never_happens_is_refused(cron: str) -> None:
    """Of another form, with seconds, or of a day that its months have not."""
    assert cron_problem(cron, "UTC")


def test_the_example_of_the_page_is_valid(tmp_path: Path) -> None:
    """What the page on automation shows can be copied."""
    page = Path(__file__).parents[1] / "docs" / "automation.md"
    [example] = re.findall(r"```yaml\n(schedules:\n.*?)```", page.read_text("utf-8"), re.DOTALL)
    extracts = [extract("a"), extract("b"), extract("c", "month")]
    found = plan(tmp_path, example, *extracts, selections={"tag:us": ["model.p.b"]})
    assert found == {"daily": ["a"], "weekdays": ["b"], "month": ["c"]}
