import re
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mds_tableau.errors import ManifestError, MartConfigError
from mds_tableau.extracts import ALLOWED_META, Extract, plan_extracts
from mds_tableau.manifest import Manifest


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
    return plan_extracts(manifest, chosen, selection="fqn:*.marts.*", project="Default/Marts")


def problems(*models: dict[str, Any]) -> list[str]:
    """The lines of the error that these models give."""
    with pytest.raises(
        MartConfigError, match=r"^meta\.tableau of the dbt proj.* not valid:\n- "
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
            "Allowed: datasource, description, project, publish. Did you mean 'project'?",
        ),
        (
            {"colour": "red"},
            "Unknown key 'colour' under meta.tableau of 'sales' (models/marts/sales.sql). "
            "Allowed: datasource, description, project, publish.",
        ),
        (
            {7: "x"},
            "Unknown key '7' under meta.tableau of 'sales' (models/marts/sales.sql). "
            "Allowed: datasource, description, project, publish.",
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
            "Retail",
            "meta.tableau of 'sales' (models/marts/sales.sql) is 'Retail'. It must be true, false, "
            "or a mapping of datasource, description, project, publish.",
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


def test_all_problems_are_told_together() -> None:
    """Every problem of every model, selected or not, is in one error, ordered by model."""
    models = [
        model("b", {"projct": "x", "publish": 1, "datasource": ""}),
        model("a", 3),
        model("fine", {"project": "Retail"}),
    ]
    nodes = {model["unique_id"]: model for model in models}
    manifest = Manifest({"metadata": {}, "nodes": nodes, "sources": {}})
    with pytest.raises(MartConfigError, match="not valid") as caught:
        plan_extracts(manifest, ["model.p.fine"], selection="fine", project="x")
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
