from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from mds_tableau.files import write_json
from mds_tableau.manifest import Manifest, Mart
from mds_tableau.results import NodeResult, ResultStore, refusals, why_not_built


def result(unique_id: str, status: str, message: str | None = None, **changes: Any) -> Any:
    """A result as dbt writes it."""
    return {
        "unique_id": unique_id,
        "status": status,
        "message": message,
        "failures": None,
        "execution_time": 0.5,
        **changes,
    }


def node_result(unique_id: str, status: str, message: str = "") -> NodeResult:
    """A result as we keep it."""
    return NodeResult(unique_id, status, message, None, 0.5, "run 1")


def by_id(*results: NodeResult) -> dict[str, NodeResult]:
    """Results by unique id."""
    return {result.unique_id: result for result in results}


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    """A store without results."""
    return ResultStore(tmp_path / "data" / "dbt_results.json")


def test_nothing_is_known_before_the_first_results(store: ResultStore) -> None:
    """An empty store has no results and no file."""
    assert store.load() == {}
    assert not store.path.exists()


def test_results_are_kept_as_dbt_tells_them(store: ResultStore) -> None:
    """Status, message, failures and time are taken over, with the run they belong to."""
    failing = result("test.p.a", "fail", "Got 3 results", failures=3, execution_time=1)
    store.record({"results": [failing, result("model.p.a", "success")]}, run="run 1")
    assert store.load() == {
        "test.p.a": NodeResult("test.p.a", "fail", "Got 3 results", 3, 1.0, "run 1"),
        "model.p.a": NodeResult("model.p.a", "success", "", None, 0.5, "run 1"),
    }


@pytest.mark.parametrize(
    "content",
    [
        {"model.p.a": {"unique_id": "model.p.a"}},
        {"model.p.a": {**asdict(node_result("model.p.a", "error")), "later": 1}},
        {"model.p.a": ["error"]},
    ],
)
def test_results_of_another_form_are_none(store: ResultStore, content: dict[str, Any]) -> None:
    """What another version of the program wrote is forgotten, and does not hinder new results."""
    write_json(store.path, content)
    assert store.load() == {}
    store.record({"results": [result("model.p.b", "success")]}, run="run 1")
    assert list(store.load()) == ["model.p.b"]


def test_results_of_other_nodes_stay(store: ResultStore) -> None:
    """An invocation replaces the results of its own nodes only, also from another store."""
    store.record({"results": [result("a", "success"), result("b", "error")]}, run="run 1")
    ResultStore(store.path).record({"results": [result("b", "success")]}, run="run 2")
    store.record({"results": []}, run="run 3")
    found = store.load()
    assert {key: (one.status, one.run) for key, one in found.items()} == {
        "a": ("success", "run 1"),
        "b": ("success", "run 2"),
    }


def test_no_result_is_lost_between_writers(store: ResultStore) -> None:
    """Two writers at the same time both leave all their results."""

    def write(writer: int) -> None:
        for number in range(20):
            key = f"model.p.{writer}_{number}"
            ResultStore(store.path).record({"results": [result(key, "success")]}, run=str(writer))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(2)))
    assert len(store.load()) == 40


@pytest.mark.parametrize(
    ("status", "failed"),
    [
        *[(status, True) for status in ("error", "fail", "runtime error", "partial success")],
        *[(status, False) for status in ("success", "pass", "warn", "skipped", "no-op")],
    ],
)
def test_a_node_failed_when_dbt_says_so(status: str, failed: bool) -> None:
    """A warning is no failure, and a skipped node did not fail itself."""
    assert node_result("a", status).failed is failed


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", ""),
        ("\n \n", ""),
        ("Got 3 results, configured to fail if != 0", "Got 3 results, configured to fail if != 0"),
        (
            "Runtime Error in model fct (models/fct.sql)\n  Binder Error: no column\n\n  LINE 1: x",
            "Runtime Error in model fct (models/fct.sql) Binder Error: no column LINE 1: x",
        ),
        ("x" * 1000, "x" * 700),
        ("Error (m.sql)\n" + "y" * 1000, "Error (m.sql) " + "y" * 686),
        (
            "Conversion Error: CSV Error on Line: 3\nPossible fixes:\n* Disable the parser\n"
            "  file = raw/sales.csv\n  delimiter = , (Auto-Detected)",
            "Conversion Error: CSV Error on Line: 3 file = raw/sales.csv",
        ),
    ],
)
def test_the_reason_is_one_short_line(message: str, reason: str) -> None:
    """All lines are joined and cut; DuckDB's advice on CSV files is left out, the file is not."""
    assert node_result("a", "error", message).reason == reason


@pytest.fixture
def manifest() -> Manifest:
    """Chain of raw.x -> stg -> int -> fct, each with a test, and a unit test of int and of fct."""

    def model(name: str, *parents: str) -> dict[str, Any]:
        return {
            "resource_type": "model",
            "name": name,
            "original_file_path": f"{name}.sql",
            "config": {},
            "depends_on": {"nodes": list(parents)},
        }

    def test(of: str, severity: str = "error") -> dict[str, Any]:
        config = {"severity": severity}
        depends = {"nodes": [of]}
        return {"resource_type": "test", "name": "t", "config": config, "depends_on": depends}

    nodes = {
        "model.p.stg": model("stg", "source.p.raw.x"),
        "model.p.int": model("int", "model.p.stg"),
        "model.p.fct": model("fct", "model.p.int", "model.p.stg"),
        "test.p.raw": test("source.p.raw.x"),
        "test.p.stg": test("model.p.stg"),
        "test.p.int": test("model.p.int"),
        "test.p.int.warns": test("model.p.int", "warn"),
        "test.p.fct": test("model.p.fct"),
    }
    unit_tests = {
        "unit_test.p.int": {"depends_on": {"nodes": ["model.p.int"]}},
        "unit_test.p.fct": {"depends_on": {"nodes": ["model.p.fct"]}},
    }
    return Manifest({"metadata": {}, "sources": {}, "nodes": nodes, "unit_tests": unit_tests})


@pytest.fixture
def fct(manifest: Manifest) -> Mart:
    """The mart at the end."""
    return manifest.marts["model.p.fct"]


BUILT = node_result("model.p.fct", "success")


def test_mart_that_was_built_and_passed_may_be_exported(manifest: Manifest, fct: Mart) -> None:
    """A built mart goes, also when a test of another mart failed and one of its own never ran."""
    passed = node_result("test.p.fct", "pass")
    assert refusals(fct, manifest, by_id(BUILT, passed)) == ()
    assert refusals(fct, manifest, by_id(BUILT, node_result("test.p.int", "fail"))) == ()


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], "dbt was not seen building it."),
        ([node_result("model.p.fct", "started")], "dbt was stopped while it built or tested it."),
        ([node_result("model.p.fct", "skipped")], "dbt did not build it (skipped)."),
        ([BUILT, node_result("test.p.fct", "fail")], "dbt test 't' failed"),
        ([BUILT, node_result("test.p.fct", "error")], "dbt test 't' failed"),
        ([BUILT, node_result("test.p.fct", "skipped")], "dbt test 't' was skipped"),
    ],
    ids=["never built", "killed", "not built", "failed", "error", "skipped"],
)
def test_mart_that_is_not_known_to_be_right_is_held_back(
    manifest: Manifest, fct: Mart, results: list[NodeResult], expected: str
) -> None:
    """Failed, skipped, unfinished and unknown all hold the mart back, each with its reason."""
    [reason] = refusals(fct, manifest, by_id(*results))
    assert reason.startswith(expected)


def test_view_is_held_back_by_what_is_below_it(manifest: Manifest, fct: Mart) -> None:
    """A failed test below holds back a view, which shows what is there now, but not a table."""
    results = by_id(BUILT, node_result("test.p.stg", "fail"))
    assert refusals(fct, manifest, results) == ()
    [reason] = refusals(replace(fct, materialized="view"), manifest, results)
    assert "test.p.stg below it failed" in reason


def test_killed_build_leaves_its_mark(tmp_path: Path) -> None:
    """What dbt was told to build counts as unfinished until its results are recorded."""
    store = ResultStore(tmp_path / "results.json")
    store.begin(["model.p.fct"], run="r")
    assert store.load()["model.p.fct"].status == "started"
    done = {"unique_id": "model.p.fct", "status": "success", "execution_time": 1.0}
    store.record({"results": [done]}, run="r")
    assert store.load()["model.p.fct"].status == "success"


def test_an_own_error_is_the_only_reason(manifest: Manifest, fct: Mart) -> None:
    """What failed above does not matter when the mart itself was tried and failed."""
    own = node_result("model.p.fct", "error", "own")
    assert why_not_built(fct, manifest, by_id(own, node_result("model.p.stg", "error"))) == (own,)


@pytest.mark.parametrize(
    "culprit",
    [
        "model.p.int",
        "model.p.stg",
        "test.p.int",
        "test.p.stg",
        "test.p.raw",
        "unit_test.p.int",
        "unit_test.p.fct",
    ],
)
def test_what_failed_above_is_the_reason(manifest: Manifest, fct: Mart, culprit: str) -> None:
    """Errors of ancestors, their tests and unit tests, and own unit tests, however far above."""
    failing = node_result(culprit, "fail" if "test" in culprit else "error", "boom")
    results = by_id(node_result("model.p.fct", "skipped"), failing)
    assert why_not_built(fct, manifest, results) == (failing,)


def test_the_nearest_failures_come_first(manifest: Manifest, fct: Mart) -> None:
    """Each failure is told once, in order of distance from the mart."""
    failing = [
        node_result(key, "error")
        for key in ("unit_test.p.fct", "test.p.int", "model.p.stg", "test.p.raw")
    ]
    assert why_not_built(fct, manifest, by_id(*reversed(failing))) == tuple(failing)


def test_no_reason_where_nothing_failed(manifest: Manifest, fct: Mart) -> None:
    """Warnings, skipped nodes and nodes of other marts are no reason."""
    results = by_id(
        node_result("model.p.fct", "skipped"),
        node_result("model.p.int", "skipped"),
        node_result("test.p.int.warns", "warn"),
        node_result("model.p.other", "error"),
    )
    assert why_not_built(fct, manifest, results) == ()
    assert why_not_built(fct, manifest, {}) == ()


def test_what_reads_a_source_that_failed_is_held_back(
    store: ResultStore, manifest: Manifest, fct: Mart
) -> None:
    """It was not built, with the source's own reason; results of others stay."""
    store.record_one(node_result("model.p.other", "success"))
    source = node_result("source.p.raw.orders", "error", "Cannot read the dbt source 'raw.orders'")
    store.record_one(source)
    store.record_skipped([fct.unique_id], because=[source], run="run")
    [reason] = refusals(fct, manifest, store.load())
    assert reason == "dbt did not build it (skipped). Cannot read the dbt source 'raw.orders'"
    assert store.load()["model.p.other"].status == "success"
    store.record_skipped([], because=[source], run="run")
    assert len(store.load()) == 3
