"""Remembers the latest result of every dbt node, across invocations that built only some of them.

dbt's own `run_results.json` holds one invocation; an export that runs later, or in another process,
has to know whether the last test of its mart failed. Running dbt and deciding what a failure means
for Dagster do not belong here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from mds_tableau.columns import counted
from mds_tableau.files import read_json, sole_writer, write_json
from mds_tableau.manifest import Manifest, Mart

STARTED: Final = "started"
"""Status of a node that dbt was told to build, until it says what came of it."""

_ADVICE: Final = re.compile(r"\* |Possible |This type was|\w+ = ")
_FAILED: Final = frozenset({"error", "fail", "runtime error", "partial success"})
_UNKNOWN: Final = frozenset({"skipped", STARTED})


@dataclass(frozen=True)
class NodeResult:
    """The latest result of one dbt node.

    Attributes:
        unique_id: Key in the manifest.
        status: dbt's word: `success`, `error`, `skipped`, `pass`, `fail`, `warn` ...
        message: dbt's message, or "".
        failures: Rows that a test found, or None.
        seconds: Wall time of the node.
        run: The chain of runs that it belongs to: a run and its re-executions share one.
        compiled: The SQL that dbt ran for a model, or "".
    """

    unique_id: str
    status: str
    message: str
    failures: int | None
    seconds: float
    run: str
    compiled: str = ""

    @property
    def failed(self) -> bool:
        """Whether the node itself failed; a skipped one did not."""
        return self.status in _FAILED

    @property
    def reason(self) -> str:
        """The message in one line of at most 700 characters."""
        lines = [line.strip() for line in self.message.splitlines() if line.strip()]
        # below an error in a CSV file DuckDB gives general advice, the file, and every option
        told = [line for line in lines if line.startswith("file =") or not _ADVICE.match(line)]
        return " ".join(told)[:700]


class ResultStore:
    """The latest results of a dbt project's nodes, kept in one JSON file.

    Args:
        path: The file; it appears with the first results.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, run_results: Mapping[str, Any], *, run: str) -> list[NodeResult]:
        """Take over the results of one invocation and return them; those of other nodes stay.

        Args:
            run_results: dbt's `run_results.json`.
            run: The chain of runs that they belong to.
        """
        fresh = {
            result["unique_id"]: NodeResult(
                unique_id=result["unique_id"],
                status=str(result["status"]),
                message=result.get("message") or "",
                failures=result.get("failures"),
                seconds=float(result.get("execution_time") or 0.0),
                run=run,
                # of a test it is of no use to anybody
                compiled=result.get("compiled_code") or "" if _is_model(result) else "",
            )
            for result in run_results["results"]
        }
        with sole_writer(self.path):
            merged = {**self.load(), **fresh}
            write_json(self.path, {key: asdict(result) for key, result in merged.items()})
        return list(fresh.values())

    def record_one(self, result: NodeResult) -> None:
        """Take over one result."""
        self._add([result])

    def record_skipped(
        self, unique_ids: Iterable[str], *, because: Sequence[NodeResult], run: str
    ) -> None:
        """Mark nodes as not built, because sources that they may read could not be read."""
        reasons = " ".join(source.reason for source in because)
        self._add([NodeResult(key, "skipped", reasons, None, 0.0, run) for key in unique_ids])

    def _add(self, results: Sequence[NodeResult]) -> None:
        if not results:
            return
        with sole_writer(self.path):
            merged = {**self.load(), **{result.unique_id: result for result in results}}
            write_json(self.path, {key: asdict(result) for key, result in merged.items()})

    def begin(self, unique_ids: Iterable[str], *, run: str) -> None:
        """Mark nodes as being built, so that a build that is killed does not look like the last."""
        with sole_writer(self.path):
            known = self.load()
            for unique_id in unique_ids:
                known[unique_id] = NodeResult(unique_id, STARTED, "", None, 0.0, run)
            write_json(self.path, {key: asdict(result) for key, result in known.items()})

    def load(self) -> dict[str, NodeResult]:
        """Return the latest result of each node, by unique id."""
        content = read_json(self.path) or {}
        try:
            return {key: NodeResult(**result) for key, result in content.items()}
        except TypeError:
            return {}  # another version of this program wrote it; the next build fills it again

    def compiled(self, mart: Mart) -> str:
        """Return the SQL that dbt ran last for a mart, or "" when it is not known."""
        result = self.load().get(mart.unique_id)
        return result.compiled if result is not None else ""


def _is_model(result: Mapping[str, Any]) -> bool:
    return str(result["unique_id"]).startswith("model.")


def refusals(mart: Mart, manifest: Manifest, results: Mapping[str, NodeResult]) -> tuple[str, ...]:
    """Return why a mart may not be exported, one sentence for each reason; none when it may.

    It may when dbt built it last time, and no test of error severity on it failed or was skipped
    since. A view shows what is below it now, so what is below it must have passed as well. A test
    that compares with another model may be older than the mart, when only the mart was built.
    """
    own = results.get(mart.unique_id)
    if own is None:
        return ("dbt was not seen building it.",)
    if own.status == STARTED:
        return ("dbt was stopped while it built or tested it.",)
    if own.failed or own.status == "skipped":
        return (f"dbt did not build it ({own.status}). {own.reason}".strip(),)
    reasons = []
    for test in mart.tests:
        result = results.get(test.unique_id)
        if result is not None and result.failed:
            rows = f" ({counted(result.failures, 'row')})" if result.failures else ""
            reasons.append(f"dbt test '{test.name}' failed{rows}: {result.reason}")
        elif result is not None and result.status in _UNKNOWN:
            reasons.append(f"dbt test '{test.name}' was skipped, because of a failure elsewhere.")
    if mart.materialized == "view":
        reasons += [
            f"it is a view, and {above.unique_id} below it failed: {above.reason}"
            for above in _failures_above(mart.unique_id, manifest, results)
        ]
    return tuple(reasons)


def why_not_built(
    mart: Mart, manifest: Manifest, results: Mapping[str, NodeResult]
) -> tuple[NodeResult, ...]:
    """Return the failures because of which dbt did not build a mart; the nearest ones first.

    They are its own error, or those of its unit tests, of its ancestors or of their tests.
    """
    own = results.get(mart.unique_id)
    if own is not None and own.failed:
        return (own,)
    return tuple(_failures_above(mart.unique_id, manifest, results))


def _failures_above(
    unique_id: str, manifest: Manifest, results: Mapping[str, NodeResult]
) -> Iterator[NodeResult]:
    seen: set[str] = set()
    level: Iterable[str] = [unique_id]
    while level := [node for node in level if node not in seen]:
        seen.update(level)
        for node in level:
            for candidate in (node, *manifest.tests_of(node)):
                result = results.get(candidate)
                if result is not None and result.failed and candidate != unique_id:
                    yield result
        level = [parent for node in level for parent in manifest.parents_of(node)]
