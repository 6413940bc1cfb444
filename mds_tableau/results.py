"""Remembers the latest result of every dbt node, across invocations that built only some of them.

dbt's own `run_results.json` holds one invocation; an export that runs later, or in another process,
has to know whether the last test of its mart failed. Running dbt and deciding what a failure means
for Dagster do not belong here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from mds_tableau.files import read_json, sole_writer, write_json
from mds_tableau.manifest import Manifest, Mart

_ADVICE: Final = re.compile(r"\* |Possible |This type was|\w+ = ")
_FAILED: Final = frozenset({"error", "fail", "runtime error", "partial success"})


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
    """

    unique_id: str
    status: str
    message: str
    failures: int | None
    seconds: float
    run: str

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
            )
            for result in run_results["results"]
        }
        with sole_writer(self.path):
            merged = {**self.load(), **fresh}
            write_json(self.path, {key: asdict(result) for key, result in merged.items()})
        return list(fresh.values())

    def load(self) -> dict[str, NodeResult]:
        """Return the latest result of each node, by unique id."""
        content = read_json(self.path) or {}
        try:
            return {key: NodeResult(**result) for key, result in content.items()}
        except TypeError:
            return {}  # another version of this program wrote it; the next build fills it again


def failed_tests(mart: Mart, results: Mapping[str, NodeResult]) -> tuple[NodeResult, ...]:
    """Return the error-severity tests of a mart whose latest result is a failure."""
    latest = (results.get(test.unique_id) for test in mart.tests)
    return tuple(result for result in latest if result is not None and result.failed)


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
