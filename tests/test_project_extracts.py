import math
import re
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mds_tableau.column_options import ColumnOptions
from mds_tableau.errors import ConfigurationError, ManifestError, MartConfigError
from mds_tableau.extracts import Extract
from mds_tableau.manifest import Manifest
from mds_tableau.mart_meta import ALLOWED_META
from mds_tableau.project_extracts import plan_extracts


def model(name: str, tableau: Any = ..., package: str = "p", **changes: Any) -> dict[str, Any]:
    """A model of a manifest, with that `meta.tableau` if one is given."""
    config = {
        "materialized": changes.pop("materialized", "table"),
        "meta": {} if tableau is ... else {"tableau": tableau},
    }
    content = {
        "unique_id": f"model.{package}.{name}",
        "resource_type": "model",
        "name": name,
        "original_file_path": f"models/marts/{name}.sql",
        "relation_name": f'"db"."main"."{name}"',
        "description": f"About {name}.",
        "config": config,
        "depends_on": {"nodes": []},
    }
    return {**content, **changes}


def plan(*models: dict[str, Any], selected: Collection[str] | None = None) -> tuple[Extract, ...]:
    """The extracts of a project of these models, all of them selected unless told otherwise."""
    nodes = {model["unique_id"]: model for model in models}
    manifest = Manifest({"metadata": {"project_name": "retail"}, "nodes": nodes, "sources": {}})
    chosen = nodes if selected is None else selected
    return plan_extracts(
        manifest, chosen, selection="fqn:*.marts.*", project="Default/Marts"
    ).valid()


def problems(*models: dict[str, Any]) -> list[str]:
    """The lines of the error that these models give."""
    with pytest.raises(
        MartConfigError, match=r"^The dbt project cannot be exported as it is:\n- "
    ) as caught:
        plan(*models)
    return str(caught.value).split("\n- ")[1:]


@pytest.mark.parametrize("tableau", [..., None, True, {}])
def test_a_model_without_meta_has_the_defaults(tableau: Any) -> None:
    """Datasource and description are the model's, the project is the default one."""
    [extract] = plan(model("sales", tableau))
    assert (extract.name, extract.datasource, extract.project) == (
        "sales",
        "sales",
        "Default/Marts",
    )
    assert (extract.description, extract.publish) == ("About sales.", True)
    assert [mart.name for mart in extract.marts] == ["sales"]


def test_meta_changes_the_defaults() -> None:
    """Each key changes what it names, and nothing else."""
    given = {
        "datasource": "Sales",
        "project": "Retail/Daily",
        "description": "Net",
        "publish": False,
    }
    [extract] = plan(model("sales", given))
    assert (extract.name, extract.datasource, extract.project) == ("sales", "Sales", "Retail/Daily")
    assert (extract.description, extract.publish) == ("Net", False)
    [extract] = plan(model("sales", {"project": "Retail"}))
    assert (extract.datasource, extract.project) == ("sales", "Retail")


def test_false_keeps_a_model_out() -> None:
    """`tableau: false` exports nothing, though the model is selected."""
    assert [extract.name for extract in plan(model("a", False), model("b"))] == ["b"]


def test_only_selected_models_are_extracts_in_order_of_name() -> None:
    """What the selection does not name is ignored, and so is what is no model."""
    models = [model("c"), model("a", package="z"), model("b")]
    selected = ["model.p.c", "model.z.a", "test.p.x", "model.p.missing"]
    assert [extract.name for extract in plan(*models, selected=selected)] == ["a", "c"]


def test_an_ephemeral_model_is_no_extract() -> None:
    """A selected ephemeral model is passed over, because it is no relation."""
    assert [e.name for e in plan(model("a"), model("b", materialized="ephemeral"))] == ["a"]


@pytest.mark.parametrize("tableau", [{}, {"project": "Retail"}, True])
def test_an_ephemeral_model_that_asks_for_an_extract_is_a_problem(tableau: Any) -> None:
    """`meta.tableau` on an ephemeral model is told, with what to do."""
    [line] = problems(model("a"), model("b", tableau, materialized="ephemeral"))
    assert line == (
        "'b' (models/marts/b.sql) has meta.tableau but is ephemeral, so there is no relation to "
        "export. Materialize it as a table, or remove meta.tableau."
    )


@pytest.mark.parametrize(
    ("tableau", "expected"),
    [
        (
            {"projct": "Retail"},
            "Unknown key 'projct' under meta.tableau of 'sales' (models/marts/sales.sql). "
            f"Allowed: {', '.join(ALLOWED_META)}. "
            "Did you mean 'project'?",
        ),
        (
            {"colour": "red"},
            "Unknown key 'colour' under meta.tableau of 'sales' (models/marts/sales.sql). "
            f"Allowed: {', '.join(ALLOWED_META)}.",
        ),
        (
            {7: "x"},
            "Unknown key '7' under meta.tableau of 'sales' (models/marts/sales.sql). "
            f"Allowed: {', '.join(ALLOWED_META)}.",
        ),
        (
            {"publish": "no"},
            "meta.tableau.publish of 'sales' (models/marts/sales.sql) is 'no'. "
            "It must be true or false.",
        ),
        (
            {"project": "Retail//Daily"},
            "meta.tableau.project of 'sales' (models/marts/sales.sql) is 'Retail//Daily'. "
            "It must be a project path such as Retail/Daily.",
        ),
        (
            {"datasource": " "},
            "meta.tableau.datasource of 'sales' (models/marts/sales.sql) is ' '. "
            "It must be a text that is not empty.",
        ),
        (
            {"allow_empty": "yes"},
            "meta.tableau.allow_empty of 'sales' (models/marts/sales.sql) is 'yes'. "
            "It must be true or false.",
        ),
        (
            "Retail",
            "meta.tableau of 'sales' (models/marts/sales.sql) is 'Retail'. It must be true, false, "
            f"or a mapping of {', '.join(ALLOWED_META)}.",
        ),
    ],
)
def test_each_problem_says_what_where_and_what_to_do(tableau: Any, expected: str) -> None:
    """The message has key, model, file, what was seen, what is allowed, and a near miss."""
    assert problems(model("sales", tableau)) == [expected]


@pytest.mark.parametrize("value", ["", "/", "a/", "/a", "a// /b", None, 1, True, ["a"]])
def test_a_project_is_a_path_of_names(value: object) -> None:
    """Every part of a project's path is a name."""
    [line] = problems(model("sales", {"project": value}))
    assert line.endswith(f"is {value!r}. It must be a project path such as Retail/Daily.")


@pytest.mark.parametrize("value", [None, True, False, -0.1, 1.1, 50, "0.5", math.nan, math.inf])
def test_a_fall_of_rows_is_a_share(value: object) -> None:
    """What is no number from 0 to 1 is told, true and false among it."""
    [line] = problems(model("sales", {"max_row_fall": value}))
    assert line == (
        f"meta.tableau.max_row_fall of 'sales' (models/marts/sales.sql) is {value!r}. "
        "It must be a number from 0 to 1, such as 0.5; 1 lets every fall through."
    )


@pytest.mark.parametrize("value", [None, True, -1, 1001, 2.5, "7"])
def test_versions_that_are_kept_are_a_number(value: object) -> None:
    """What is no whole number up to 1000 is told; a model without it leaves it to the setting."""
    [line] = problems(model("sales", {"keep": value}))
    assert line.endswith(f"is {value!r}. It must be a whole number from 0 to 1000; 0 keeps none.")
    [extract] = plan(model("sales", {"keep": 0}))
    assert extract.keep == 0
    [extract] = plan(model("sales"))
    assert extract.keep is None


@pytest.mark.parametrize("value", [0, 0.25, 1])
def test_a_model_says_how_many_rows_it_may_lose(value: float) -> None:
    """Both ends are allowed; a model that says nothing leaves it to the setting."""
    [extract] = plan(model("sales", {"max_row_fall": value, "allow_empty": True}))
    assert (extract.max_row_fall, extract.allow_empty) == (value, True)
    [extract] = plan(model("sales"))
    assert (extract.max_row_fall, extract.allow_empty) == (None, False)


@pytest.mark.parametrize(
    ("meta", "schedule"),
    [({}, ""), ({"schedule": "month"}, "month"), ({"schedule": False}, None), (None, "")],
)
def test_a_model_names_its_schedule_or_none(
    meta: dict[str, object] | None, schedule: str | None
) -> None:
    """Nothing leaves it to `schedules.yml`; false is no schedule at all."""
    [extract] = plan(model("sales", meta))
    assert extract.schedule == schedule


@pytest.mark.parametrize("value", [True, "", "  ", 7, ["daily"], None])
def test_a_schedule_is_a_name_or_false(value: object) -> None:
    """Anything else is told with what is expected."""
    [line] = problems(model("sales", {"schedule": value}))
    assert line == (
        f"meta.tableau.schedule of 'sales' (models/marts/sales.sql) is {value!r}. It must be the "
        "name of a schedule, such as daily, or false for none."
    )


def test_a_deadline_is_the_models_or_the_settings() -> None:
    """A model's own comes first, false is none, and what is not published has none."""
    manifest = [
        model("own", {"deadline": "08:00 mon"}),
        model("none", {"deadline": False}),
        model("silent"),
        model("unpublished", {"publish": False}),
    ]
    nodes = {one["unique_id"]: one for one in manifest}
    content = {"metadata": {"project_name": "retail"}, "nodes": nodes, "sources": {}}
    given = {"selection": "s", "project": "Default", "zone": "Asia/Tokyo"}
    extracts = plan_extracts(
        Manifest(content), nodes, **given, deadline="07:30 Europe/London"
    ).valid()
    assert {one.name: str(one.deadline) for one in extracts} == {
        "own": "08:00 Asia/Tokyo mon",
        "none": "None",
        "silent": "07:30 Europe/London",
        "unpublished": "None",
    }
    assert [one.deadline for one in plan(model("silent"))] == [None]


def test_deadlines_that_are_none_are_told_together() -> None:
    """Each has its model, what was seen and what is allowed, also the number that YAML makes."""
    first, second, third = problems(
        model("a", {"deadline": "07:30 Europe/Londn"}),
        # 12:30 without quotes
        model("b", {"deadline": 750}),
        model("c", {"deadline": "07:30", "publish": False}),
    )
    assert first.startswith(
        "meta.tableau.deadline of 'a' (models/marts/a.sql) is '07:30 Europe/Londn'. It must be a "
        "time of day, and if need be a time zone, days (daily, weekdays, mon,thu or monthly) and "
    )
    assert "did you mean 'Europe/London'?" in first
    assert second.startswith("meta.tableau.deadline of 'b' (models/marts/b.sql) is 750. It must be")
    assert "in quotes: '07:30 Europe/London weekdays'; or false for none." in second
    assert third == (
        "meta.tableau of 'c' (models/marts/c.sql) has a deadline and publish: false, so nothing "
        "would ever be there in time. Remove one of them."
    )


def test_tags_and_owner_of_dbt_go_to_the_datasource() -> None:
    """The model's tags and owner are the datasource's, unless its meta has others or none."""
    owned = {"meta": {"owner": "ada"}}
    [extract] = plan(model("sales", tags=["daily", "pii"], config=owned))
    assert (extract.tags, extract.owner, extract.requires_owner) == (("daily", "pii"), "ada", False)
    assert extract.mode == "auto"
    given = {"tags": [], "owner": "bob@example.com", "mode": "replace"}
    [extract] = plan(model("sales", given, tags=["daily"]))
    assert (extract.tags, extract.owner, extract.requires_owner) == ((), "bob@example.com", True)
    assert extract.mode == "replace"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("mode", "upsert", "one of auto, overwrite, replace, append, create"),
        ("mode", ["append"], "one of auto, overwrite, replace, append, create"),
        ("tags", "daily", "a list of texts, such as [finance, daily]; [] for none"),
        ("tags", ["daily", ""], "a list of texts, such as [finance, daily]; [] for none"),
        ("owner", 7, "a text that is not empty"),
    ],
)
def test_what_is_said_of_a_datasource_has_a_form(key: str, value: object, expected: str) -> None:
    """A mode that there is not, or tags that are no list, are told with what is allowed."""
    [line] = problems(model("sales", {key: value}))
    assert line.endswith(f"is {value!r}. It must be {expected}.")


def test_the_yaml_file_is_named_too() -> None:
    """The file that describes the model comes first, as most of `meta` is written there."""
    [line] = problems(model("sales", {"projct": "x"}, patch_path="p://models/marts/_marts.yml"))
    assert line.startswith(
        "Unknown key 'projct' under meta.tableau of 'sales' (models/marts/_marts.yml, "
        "models/marts/sales.sql). Allowed: "
    )


def columns(**tableau: Any) -> dict[str, Any]:
    """The columns of a model, each with that `meta.tableau` in its config."""
    return {
        name: {"name": name, "config": {"meta": {"tableau": meta}}}
        for name, meta in tableau.items()
    }


def test_columns_have_their_options() -> None:
    """What a column asks for is in the extract, under the name that the project writes."""
    described = columns(**{"Net Amount": {"as": "numeric( 12, 2 )"}, "at": {"timezone": "UTC"}})
    described["plain"] = {"name": "plain", "config": {"meta": {"owner": "x"}}}
    [extract] = plan(model("sales", columns=described))
    assert extract.options == {
        "Net Amount": ColumnOptions(as_="numeric(12,2)"),
        "at": ColumnOptions(timezone="UTC"),
    }
    [extract] = plan(model("sales"))
    assert extract.options == {}


def test_problems_of_columns_are_told_with_the_others() -> None:
    """Column, model and YAML file are named; a model that is not exported is not looked at."""
    yaml = {"patch_path": "p://models/marts/_marts.yml"}
    wrong = columns(a={"as": "txt"}, b={"infinty": None}, c=False)
    found = problems(
        model("no", False, columns=wrong),
        model("sales", {"projct": "Retail"}, columns=wrong, **yaml),
        model("unplaced", columns=columns(a={})),
    )
    assert [line.split(". ")[0] for line in found] == [
        "Unknown key 'projct' under meta.tableau of 'sales' (models/marts/_marts.yml, "
        "models/marts/sales.sql)",
        "meta.tableau.as of column 'a' of 'sales' (models/marts/_marts.yml) is 'txt'",
        "Unknown key 'infinty' under meta.tableau of column 'b' of 'sales' "
        "(models/marts/_marts.yml)",
        "meta.tableau of column 'c' of 'sales' (models/marts/_marts.yml) is False",
        "meta.tableau of column 'a' of 'unplaced' (models/marts/unplaced.sql) is {}",
    ]


def test_names_that_dagster_refuses_are_a_problem() -> None:
    """The characters are named with the file and what to do, together with other problems."""
    found = problems(model("o'café", alias="cafe"), model("sales", {"publish": 1}))
    assert found[1] == (
        "'o'café' (models/marts/o'café.sql) has \"'\", 'é' in its name, and Dagster can make no "
        "asset of that. Rename the model, with letters of ASCII, digits, '_', '-' and '.' only; "
        "an alias does not help, as extracts are named after the model."
    )
    assert "meta.tableau.publish of 'sales'" in found[0]
    assert len(found) == 2


def test_names_that_are_one_step_to_dagster_are_a_problem() -> None:
    """Dagster writes '-' and '.' as '_', so that such models cannot stand side by side."""
    assert problems(model("a-b"), model("a.b"), model("a_b"), model("ab")) == [
        "3 models differ only in '-', '.' and '_', which Dagster takes for the same: 'a-b', 'a.b', "
        "'a_b' (models/marts/a-b.sql, models/marts/a.b.sql, models/marts/a_b.sql). Rename all but "
        "one; an alias does not help, as extracts are named after the model."
    ]


def test_models_of_one_name_are_told_once() -> None:
    """Those of two packages share their step too, which says nothing more."""
    found = problems(model("sales"), model("sales", package="q"))
    assert [line.split(" the ")[0] for line in found] == [
        "2 models share",
        "2 extracts go to",
    ]


def test_names_too_long_for_files_are_a_problem() -> None:
    """A name of 200 bytes is exported, one of 201 is told, counted in UTF-8."""
    assert plan(model("x" * 200))
    [line] = problems(model("x" * 201))
    assert "has a name of 201 bytes, too long for the files of an extract, which take 200" in line
    assert "Rename the model" in line
    assert any("a name of 202 bytes" in line for line in problems(model("é" * 101)))


def test_names_that_are_not_exported_do_not_matter() -> None:
    """Only what becomes an extract needs a name for it."""
    others = [model("é", False), model("a-b"), model("x" * 300, materialized="ephemeral")]
    selected = ["model.p.a_b", "model.p.é", f"model.p.{'x' * 300}"]
    assert len(plan(*others, model("a_b"), selected=selected)) == 1


def test_all_problems_are_told_together() -> None:
    """Every problem of every model, selected or not, is in one error, ordered by model."""
    models = [
        model("b", {"projct": "x", "publish": 1, "datasource": ""}),
        model("a", 3),
        model("fine", {"project": "Retail"}),
    ]
    nodes = {model["unique_id"]: model for model in models}
    manifest = Manifest({"metadata": {}, "nodes": nodes, "sources": {}})
    with pytest.raises(MartConfigError, match="cannot be exported") as caught:
        plan_extracts(manifest, ["model.p.fine"], selection="fine", project="x").valid()
    heads = re.findall(r"\n- (.*?) of ", str(caught.value))
    assert heads == [
        "meta.tableau",
        "Unknown key 'projct' under meta.tableau",
        "meta.tableau.publish",
        "meta.tableau.datasource",
    ]


def test_extracts_of_one_name_are_a_problem() -> None:
    """Upper and lower case are the same to file systems, and so here."""
    other = model("SALES", package="q", original_file_path="models/other/SALES.sql")
    [line, _] = problems(model("sales"), other)
    assert line == (
        "2 models share the extract name 'sales': models/marts/sales.sql, models/other/SALES.sql. "
        "Rename one, or set meta.tableau: false on all but one."
    )
    assert len(plan(model("sales"), {**other, "config": {"meta": {"tableau": False}}})) == 1


def test_extracts_of_one_place_are_a_problem() -> None:
    """Tableau Server takes names of upper and lower case for the same, and so here."""
    one = model("a", {"datasource": "Sales", "project": "Retail"})
    two = model("b", {"datasource": "SALES", "project": "retail"})
    assert problems(one, two, model("c")) == [
        "2 extracts go to the datasource 'Sales' in the project 'Retail': models/marts/a.sql, "
        "models/marts/b.sql. Give each a datasource or a project of its own."
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"datasource": "Sales", "project": "Finance"},
        {"datasource": "Returns", "project": "Retail"},
        {"datasource": "Sales", "project": "Retail", "publish": False},
        {"datasource": "Daily/Sales", "project": "Shop"},
    ],
)
def test_extracts_of_different_places_are_fine(other: dict[str, Any]) -> None:
    """Only the same datasource in the same project is the same place, when it is published."""
    models = [
        model("a", {"datasource": "Sales", "project": "Retail"}),
        model("b", {"datasource": "Sales", "project": "Shop/Daily"}),
        model("c", other),
    ]
    assert len(plan(*models)) == 3


def test_places_are_compared_though_something_else_is_wrong() -> None:
    """Unless what is wrong may say that the place is another one."""
    twice = model("b", {"datasource": "a"})
    two = "2 extracts go to the datasource 'a'"
    for other in ({"keep": -1}, {"schedule": 7}, {"mode": "auto", "deadline": "noon"}):
        first, second = problems(model("a", other), twice)
        assert (first.startswith("meta.tableau."), second.startswith(two)) == (True, True)
    for other in ({"projct": "B"}, {"project": "a//b"}, {"publish": "no"}):
        [only] = problems(model("a", other), twice)
        assert not only.startswith(two)


def test_what_can_be_understood_is_there_beside_what_is_wrong() -> None:
    """One extract of each name; unclear are those that may have meant another schedule."""
    models = (
        model("a", {"schedule": "month", "keep": -1}),
        model("b", {"schedul": "month"}),
        model("c", {"schedule": 1, "project": "P"}),
        model("c", package="z"),
        model("d", "yes"),
        model("e", {"schedul": "month", "schedule": "month"}),
    )
    nodes = {one["unique_id"]: one for one in models}
    manifest = Manifest({"metadata": {"project_name": "retail"}, "nodes": nodes, "sources": {}})
    planned = plan_extracts(manifest, nodes, selection="s", project="Default")
    assert [(one.name, one.schedule) for one in planned.extracts] == [
        ("a", "month"),
        ("b", ""),
        ("c", ""),
        ("d", ""),
        ("e", "month"),
    ]
    assert planned.unclear == {"b", "c", "d"}
    [error] = planned.errors
    assert str(error).count("\n- ") == 6


def test_a_selection_of_nothing_hides_no_other_problem() -> None:
    """What is wrong with any model is told with it."""
    nodes = {"model.p.a": model("a", {"keep": -1})}
    manifest = Manifest({"metadata": {"project_name": "retail"}, "nodes": nodes, "sources": {}})
    planned = plan_extracts(manifest, [], selection="tag:none", project="Default")
    with pytest.raises(ConfigurationError) as caught:
        planned.valid()
    assert "meta.tableau.keep of 'a'" in str(caught.value)
    assert "The dbt selection 'tag:none' names no model" in str(caught.value)


def test_nothing_selected_is_an_error() -> None:
    """The error names selection, project, setting, and the folders that could be selected."""
    message = (
        r"selection 'fqn:\*\.marts\.\*' names no model of the dbt project 'retail' .*Set MDS_MARTS "
        r".*Folders and models there are: models/marts, models/other\."
    )
    models = [model("a"), model("b", original_file_path="models\\other\\b.sql")]
    with pytest.raises(ManifestError, match=message):
        plan(*models, selected=[])
    with pytest.raises(ManifestError, match=r"there are: models/marts\."):
        plan(model("a", False))
    with pytest.raises(ManifestError, match=r"there are: none\."):
        plan()


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
MAPPINGS = st.dictionaries(
    st.sampled_from(sorted(ALLOWED_META)) | st.text(max_size=9) | st.integers(), ANYTHING
)


@given(metas=st.lists(MAPPINGS | ANYTHING, min_size=1, max_size=3))
@example(metas=[{"project": "{project}"}, {"datasource": "%s"}])
def test_any_meta_is_planned_or_told(metas: list[Any]) -> None:
    """Whatever YAML can say, it is an extract or a problem, never another error."""
    models = [model(f"m{number}", meta) for number, meta in enumerate(metas)]
    try:
        extracts = plan(model("always"), *models)
    except MartConfigError as error:
        assert "models/marts/m" in str(error)  # noqa: PT017
    else:
        assert {extract.name for extract in extracts} >= {"always"}
        assert all(extract.datasource and extract.project for extract in extracts)
