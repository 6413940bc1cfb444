"""Answers whether a mart may be exported: the latest results of its error-severity tests.

Where dbt runs under our own asset the results are in the store, which outlives Dagster's instance;
where a team runs dbt under its own assets they are in the instance's check records.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import dagster as dg
from dagster_dbt import DagsterDbtTranslator

from mds_tableau.defs.dbt import DbtRunner, held, run_chain
from mds_tableau.defs.stages import Gate
from mds_tableau.manifest import Manifest, Mart
from mds_tableau.results import refusals


def gate_by_results(runner: DbtRunner) -> Gate:
    """Return a gate that asks the results of dbt as our own asset recorded them.

    A re-execution from failure selects an export that failed, but not its mart, which dbt did
    build. What was mended since was mended in the data, the model or the test, so there the mart is
    built and tested once more before the answer. Nobody else builds before the export is done.
    """

    @contextmanager
    def gate(context: dg.AssetExecutionContext, mart: Mart) -> Iterator[Sequence[str]]:
        with held(runner.turn):
            unread = runner.unread_above(mart)
            if not unread and _is_re_execution_without(context, runner.key_of(mart)):
                context.log.info(f"Building and testing '{mart.name}' again before it is exported.")
                results = runner.results.load()
                tests = [test.unique_id for test in mart.tests if test.unique_id in results]
                for event in runner.build([mart.unique_id, *tests], run=run_chain(context)):
                    context.log_event(event)
            yield refusals(mart, runner.manifest, runner.results.load())

    return gate


def gate_by_checks(manifest: Manifest, translator: DagsterDbtTranslator) -> Gate:
    """Return a gate that asks Dagster for the latest evaluation of the mart's dbt checks."""

    @contextmanager
    def gate(context: dg.AssetExecutionContext, mart: Mart) -> Iterator[Sequence[str]]:
        spec = translator.get_asset_spec(manifest.content, mart.unique_id, None)
        reasons = []
        for test in mart.tests:
            check = translator.get_asset_check_spec(
                asset_spec=spec, manifest=manifest.content, unique_id=test.unique_id, project=None
            )
            if check is None:
                continue
            record = context.instance.get_latest_asset_check_evaluation_record(check.key)
            if record is not None and record.evaluation and not record.evaluation.passed:
                reasons.append(f"dbt test '{test.name}' failed.")
        yield reasons

    return gate


def _is_re_execution_without(context: dg.AssetExecutionContext, mart: dg.AssetKey) -> bool:
    run = context.run
    if run.parent_run_id is None:
        return False
    steps = run.step_keys_to_execute
    return (steps is not None and "dbt" not in steps) or mart not in (run.asset_selection or [mart])
