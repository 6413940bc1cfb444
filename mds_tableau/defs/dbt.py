"""Runs dbt as assets, in such a way that one broken mart does not hold back the others.

dbt's tests are declared as checks that do not block, because a blocking one abandons everything
behind the step; what failed is recorded, and each export decides about its own mart. Preparing the
project belongs to `project`, exporting to `extracts`.
"""

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject
from dagster_dbt.asset_utils import build_dbt_specs
from filelock import FileLock, Timeout

from mds_tableau.defs.failing import told_plainly
from mds_tableau.defs.ingest import IngestConfig, Ingester
from mds_tableau.defs.project import Dbt, remove_old_builds
from mds_tableau.manifest import Manifest, Mart
from mds_tableau.results import NodeResult, ResultStore
from mds_tableau.warehouse import is_about_lock, wait_until_free

RUN_RESULTS: Final = dg.AssetKey(["dbt", "run_results"])
POOL: Final = "duckdb"
_LAST: Final = {"dagster/priority": "-100"}  # a step that runs when nothing else can
_STARTS: Final = 5
"""How often dbt is started, when others open the warehouse while it starts."""
_UNIQUE_ID: Final = "dagster_dbt/unique_id"


class FolderTranslator(DagsterDbtTranslator):
    """Groups dbt assets by folder below `models/`, unless `meta.dagster.group` says otherwise.

    Their descriptions are for people: what the project says, without the SQL.
    """

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return what the project says of the asset, and where it is."""
        said = dbt_resource_props.get("description") or (
            f"dbt {dbt_resource_props['resource_type']} {dbt_resource_props['name']}"
        )
        return f"{said}\n\n{dbt_resource_props['original_file_path']}"

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Return the asset's group."""
        chosen = dbt_resource_props.get("meta", {}).get("dagster", {}).get("group")
        folders = dbt_resource_props.get("fqn", [])[1:-1]
        if chosen or not folders:
            return chosen or super().get_group_name(dbt_resource_props)
        return dg.AssetKey(folders[0]).to_python_identifier()


@contextmanager
def held(turn: FileLock) -> Iterator[None]:
    """Hold the lock, saying so when another process has to be waited for."""
    try:
        turn.acquire(timeout=0)
    except Timeout:
        dg.get_dagster_logger().warning("Another run builds or exports; waiting for its turn.")
        turn.acquire()
    try:
        yield
    finally:
        turn.release()


@dataclass(frozen=True)
class DbtRunner:
    """Runs `dbt build` and records what came of it.

    Attributes:
        dbt: dbt's command line.
        project: The project.
        manifest: Its manifest.
        translator: Names, groups and describes the assets.
        results: Where the results of each invocation are recorded.
        warehouse: The DuckDB file that the project writes.
        turn: Held from the start of a build until its results are recorded, and while a mart is
            judged and exported: between the two, another process must not build. Re-entrant.
    """

    dbt: Dbt
    project: DbtProject
    manifest: Manifest
    translator: DagsterDbtTranslator
    results: ResultStore
    warehouse: Path
    turn: FileLock

    def key_of(self, mart: Mart) -> dg.AssetKey:
        """Return the asset key of a mart."""
        spec = self.translator.get_asset_spec(self.manifest.content, mart.unique_id, self.project)
        return spec.key

    def build(
        self,
        unique_ids: Collection[str],
        *,
        run: str,
        context: dg.AssetExecutionContext | None = None,
        without: Sequence[NodeResult] = (),
    ) -> Generator[Any, None, list[NodeResult]]:
        """Build and test nodes, yield what dagster-dbt makes of dbt's events, record the results.

        Args:
            unique_ids: The nodes; none for the whole project.
            run: The chain of runs that the results belong to.
            context: The context of the dbt asset; without it the events are such as any op may log.
            without: Sources that could not be ingested: nothing that reads them is built.

        Returns:
            What failed.

        Raises:
            DatabaseLocked: Another process holds the warehouse.
            dagster.Failure: dbt stopped before it built anything.
        """
        with held(self.turn):
            failed = yield from self._build(unique_ids, run, context, without)
        return failed

    def _build(
        self,
        unique_ids: Collection[str],
        run: str,
        context: dg.AssetExecutionContext | None,
        without: Sequence[NodeResult],
    ) -> Generator[Any, None, list[NodeResult]]:
        wait_until_free(self.warehouse, read_only=False, log=dg.get_dagster_logger().warning)
        marts = self.manifest.marts.keys()
        behind = self.manifest.behind([source.unique_id for source in without])
        wanted = set(unique_ids) or marts | self.manifest.tests
        self.results.begin(marts & wanted - behind, run=run)
        # a test is run with the last of what it compares
        wanted |= {t for t in self.manifest.tests if wanted.issuperset(self._tested(t))}
        self.results.record_skipped(wanted & behind, because=without, run=run)
        if not wanted - behind:
            return []
        remove_old_builds(self.project)
        arguments = ["build", *self._selection(unique_ids), *self._exclusion(without)]
        for start in range(1, _STARTS + 1):
            artifact = yield from self._invoke(arguments, context, is_last=start == _STARTS)
            if artifact is not None:
                break
            # dbt takes seconds to start, in which another program may have opened the file
            dg.get_dagster_logger().warning("dbt found the warehouse held; it is started again.")
            wait_until_free(self.warehouse, read_only=False, log=dg.get_dagster_logger().warning)
        assert artifact is not None  # noqa: S101  # the last start gives it or raises
        return [result for result in self.results.record(artifact, run=run) if result.failed]

    def _invoke(
        self,
        arguments: Sequence[str],
        context: dg.AssetExecutionContext | None,
        *,
        is_last: bool,
    ) -> Generator[Any, None, dict[str, Any] | None]:
        """Run dbt; return its results, or None when it could not open the warehouse.

        Raises:
            dagster.Failure: It stopped before it built anything, for that reason if it is the last
                start, or else for another.
        """
        invocation = self.dbt.cli(
            arguments,
            manifest=self.manifest.content,
            dagster_dbt_translator=self.translator,
            raise_on_error=False,
        )
        held_by = ""
        for event in invocation.stream_raw_events():
            info = event.raw_event["info"]
            if info.get("level") == "error" and is_about_lock(str(info.get("msg"))):
                held_by = str(info["msg"])
            yield from event.to_default_asset_events(
                manifest=self.manifest.content,
                dagster_dbt_translator=self.translator,
                context=context,
                target_path=invocation.target_path,
                project=self.project,
            )
        try:
            return dict(invocation.get_artifact("run_results.json"))
        except (OSError, ValueError) as error:
            if held_by and not is_last:
                return None
            raise dg.Failure(
                "dbt stopped before it built anything, with exit code "
                f"{invocation.process.returncode}. Its last words are in the output above and in "
                f"{invocation.target_path / 'dbt.log'}.",
                allow_retries=False,
            ) from error

    def unread_above(self, mart: Mart) -> list[NodeResult]:
        """Return the sources of a mart whose last ingest failed."""
        results = self.results.load()
        above = (results.get(unique_id) for unique_id in self.manifest.above([mart.unique_id]))
        return [r for r in above if r and r.failed and r.unique_id.startswith("source.")]

    def failed(self, run: str) -> list[NodeResult]:
        """Return the nodes whose latest result is a failure of this chain of runs."""
        return [r for r in self.results.load().values() if r.failed and r.run == run]

    def _tested(self, test: str) -> set[str]:
        return set(self.manifest.parents_of(test)) & self.manifest.marts.keys() or {test}

    def _exclusion(self, sources: Sequence[NodeResult]) -> list[str]:
        # a source's id is source.package.source name.table name
        names = [f"source:{source.unique_id.partition('.')[2]}+" for source in sources]
        return ["--exclude", " ".join(names)] if names else []

    def _selection(self, unique_ids: Collection[str]) -> list[str]:
        if not unique_ids:
            return []
        nodes = self.manifest.content["nodes"]
        names = [".".join(nodes[unique_id]["fqn"]) for unique_id in sorted(unique_ids)]
        # tests that compare with a model outside of the selection wait for a run that has it
        return ["--select", " ".join(names), "--indirect-selection", "buildable"]


def dbt_definitions(
    runner: DbtRunner, ingester: Ingester
) -> tuple[dg.AssetsDefinition, dg.AssetChecksDefinition]:
    """Return the assets of a dbt project, and the check that fails when dbt did.

    The sources that are read from databases belong to the same step as the models: one that cannot
    be read then keeps back what is built of it and nothing else, where a step of its own would have
    Dagster skip all of dbt.
    """
    specs, check_specs = build_dbt_specs(
        translator=runner.translator,
        manifest=runner.manifest.content,
        select="fqn:*",
        exclude="",
        selector="",
        io_manager_key=None,
        project=runner.project,
    )
    by_key = {spec.key: str(spec.metadata[_UNIQUE_ID]) for spec in specs}

    @dg.multi_asset(
        name="dbt",
        specs=[*ingester.specs(), *specs, _run_results_spec(runner.results, specs)],
        check_specs=[spec._replace(blocking=False) for spec in check_specs],
        can_subset=True,
        pool=POOL,
        allow_arbitrary_check_specs=True,
    )
    def dbt_build(
        context: dg.AssetExecutionContext, config: IngestConfig
    ) -> Generator[Any, None, None]:
        chain = run_chain(context)
        with told_plainly(), held(runner.turn):
            unread = yield from ingester.run(context, run=chain, again=config.read_all)
            models, tests = _selected(context, by_key)
            ingester.warn_of_older(context, runner.manifest.above(models | tests))
            failed = list(unread)
            if models or tests:
                whole = models == set(by_key.values())
                failed += yield from runner.build(
                    () if whole else models | tests, run=chain, context=context, without=unread
                )
        if RUN_RESULTS in context.selected_asset_keys:
            yield dg.MaterializeResult(
                asset_key=RUN_RESULTS, metadata=_summary(runner.results, chain, failed)
            )
        elif failed:
            # nobody else is going to say it
            raise dg.Failure(_complaint(failed), allow_retries=False)

    @dg.asset_check(
        asset=RUN_RESULTS,
        name="dbt_succeeded",
        description="Fails when dbt could not build a model or a test of error severity failed.",
        op_tags=_LAST,
    )
    def dbt_succeeded(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        failed = runner.failed(run_chain(context))
        if failed:
            raise dg.Failure(_complaint(failed), allow_retries=False)
        return dg.AssetCheckResult(passed=True)

    return dbt_build, dbt_succeeded


def run_chain(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> str:
    """Return what a run and its re-executions have in common: the id of the first of them."""
    return str(context.run.root_run_id or context.run.run_id)


def node_name(unique_id: str) -> str:
    """Return kind and name of a dbt node.

    >>> node_name("model.retail.fct_sales")
    'model fct_sales'
    """
    kind, _, rest = unique_id.partition(".")
    if kind == "source":
        return f"source {rest.partition('.')[2]}"
    # behind the name, a generic test has a hash and a unit test has none
    return f"{kind.replace('_', ' ')} {rest.split('.', 1)[-1].split('.')[0]}"


def _run_results_spec(results: ResultStore, specs: Sequence[dg.AssetSpec]) -> dg.AssetSpec:
    return dg.AssetSpec(
        RUN_RESULTS,
        description=(
            "What dbt did: one result for each model and test, the latest of each kept in "
            f"`{results.path.name}`. Exports look here before they take a mart."
        ),
        group_name="dbt",
        kinds={"dbt"},
        owners=sorted({owner for spec in specs for owner in spec.owners}),
        skippable=True,
    )


def _selected(
    context: dg.AssetExecutionContext, by_key: Mapping[dg.AssetKey, str]
) -> tuple[set[str], set[str]]:
    """Return the models that are selected, and the tests of others."""
    models = {by_key[key] for key in context.selected_asset_keys if key in by_key}
    checks = {
        str((context.assets_def.get_spec_for_check_key(key).metadata or {})[_UNIQUE_ID])
        for key in context.selected_asset_check_keys
        if by_key.get(key.asset_key) not in models
    }
    return models, checks


def _complaint(failed: Sequence[NodeResult]) -> str:
    lines = "".join(f"\n- {node_name(result.unique_id)}: {result.reason}" for result in failed)
    return f"dbt failed for {len(failed)} of its sources, models and tests:{lines}"


def _summary(
    results: ResultStore, run: str, failed: Sequence[NodeResult]
) -> Mapping[str, dg.MetadataValue[Any]]:
    counts: dict[str, int] = {}
    seconds = 0.0
    for result in results.load().values():
        if result.run == run:
            counts[result.status] = counts.get(result.status, 0) + 1
            seconds += result.seconds
    return {
        "failed": dg.MetadataValue.int(len(failed)),
        "results": dg.MetadataValue.json(counts),
        "seconds": dg.MetadataValue.float(round(seconds, 3)),
    }
