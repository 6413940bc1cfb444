"""Runs a selection of the assets in this process, and tells of each step as it comes and goes.

It is what `dagster asset materialize` does, for a program that says it in words of its own. What is
printed belongs to `refresh_command`; what is said of extracts that did not arrive to `report`.
"""

import logging
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any, Final

import dagster as dg
from dagster import DagsterEvent, DagsterEventType
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.events import RunFailureReason
from dagster._core.execution.api import execute_run_iterator
from dagster._utils.interrupts import capture_interrupts

from mds_tableau.columns import counted
from mds_tableau.defs.instance import opened
from mds_tableau.defs.report import failure_message
from mds_tableau.defs.stages import FORCE, STAGES
from mds_tableau.errors import UsageError

_MODULE: Final = "mds_tableau.definitions"


@dataclass(frozen=True)
class Step:
    """What is known of one step.

    Attributes:
        name: Its asset; of a step that makes several, the step's own name.
        state: "begun", or how it ended: "done", "same" where nothing had to be done, or "FAILED".
        seconds: How long it took until then.
        made: The asset that it has just made, where it makes several and goes on.
        note: What was made or published, in a few words.
    """

    name: str
    state: str
    seconds: float = 0.0
    made: str = ""
    note: str = ""


@dataclass(frozen=True)
class Refreshed:
    """What a run came to.

    Attributes:
        run_id: Dagster's id of it.
        is_done: Whether every step was done.
        is_stopped: Whether it was interrupted.
        warnings: What was warned of, in order, each once.
        failures: Why those steps failed that are none of an extract, in order, each once.
    """

    run_id: str
    is_done: bool
    is_stopped: bool
    warnings: tuple[str, ...]
    failures: tuple[str, ...]


class Refresh:
    """A run that is chosen and has not begun: everything, some extracts, or a selection of assets.

    Args:
        extracts: Names of extracts; all that they need is done too.
        selection: Instead, a selection of assets in Dagster's syntax. Without either: everything.

    Raises:
        UsageError: There is no such extract, or no asset is selected.
        MdsTableauError: The pipeline cannot be loaded.
    """

    def __init__(self, extracts: Sequence[str] = (), selection: str = "") -> None:
        repository = ReconstructableRepository.for_module(_MODULE, "defs")
        definition = repository.get_definition()
        graph = definition.asset_graph
        wanted: dg.AssetSelection = dg.AssetSelection.all()
        if extracts:
            last = _last_stages(graph.materializable_asset_keys)
            unknown = sorted(set(extracts) - last.keys())
            if unknown:
                near = [m for name in unknown for m in get_close_matches(name, last, n=1)]
                meant = f"Did you mean {' and '.join(near)}? " if near else ""
                raise UsageError(
                    f"There is no extract {' and no '.join(unknown)}. {meant}"
                    f"There are: {', '.join(sorted(last))}."
                )
            wanted = dg.AssetSelection.assets(*(last[name] for name in extracts)).upstream()
        elif selection:
            wanted = _parsed(selection)
        try:
            self._keys = frozenset(wanted.resolve(graph)) & graph.materializable_asset_keys
        except dg.DagsterInvalidSubsetError:
            self._keys = frozenset()  # a key that is none is said as nothing selected
        if not self._keys:
            raise UsageError(
                f"--select {selection} selects no asset, or one that is not there. An asset is "
                "named by its whole key, such as 'tableau/fct_sales', and by '*tableau/fct_sales' "
                "with all that it needs."
            )
        job = definition.get_implicit_job_def_for_assets(self._keys)
        assert job is not None  # noqa: S101  # none of ours has partitions, so they share one
        self._job = repository.get_reconstructable_job(job.name)

    def run(
        self,
        home: Path,
        tell: Callable[[Step], None],
        *,
        force: bool = False,
        allow_row_fall: bool = False,
    ) -> Refreshed:
        """Do it.

        Args:
            home: Folder of Dagster's instance, where the run and its events are kept.
            tell: Is told when a step begins, goes on and has ended.
            force: Whether what did not change is made and published again.
            allow_row_fall: Whether any number of rows may be gone.

        Raises:
            ServiceError: The instance cannot be opened, or its storage not be written.
        """
        config: dict[str, Any] = {}
        if allow_row_fall:
            steps = [k.to_python_identifier() for k in self._keys if k.path[0] == "tableau"]
            config = {"ops": {step: {"config": {"allow_row_fall": True}} for step in steps}}
        with capture_interrupts(), hearing_hang_ups(), opened(home) as instance:
            run = instance.create_run_for_job(
                self._job.get_definition(),
                run_config=config,
                tags={FORCE: "true"} if force else {},
                asset_selection=self._keys,
                job_code_origin=self._job.get_python_origin(),
            )
            is_done = is_stopped = False
            failures: list[str] = []
            teller = _Teller(self._keys)
            for event in execute_run_iterator(self._job, run, instance):
                for step in teller.steps(event):
                    tell(step)
                is_done = is_done or event.event_type == DagsterEventType.RUN_SUCCESS
                is_stopped = is_stopped or _tells_of_a_stop(event)
                if (
                    event.event_type == DagsterEventType.STEP_FAILURE
                    and not teller.is_of_an_extract(event)
                ):
                    failures.append(failure_message(event))
            warnings = [
                entry.user_message
                for entry in instance.all_logs(run.run_id)
                if entry.level == logging.WARNING and not entry.is_dagster_event
            ]
        return Refreshed(
            run.run_id,
            is_done,
            is_stopped,
            tuple(dict.fromkeys(warnings)),
            tuple(dict.fromkeys(failures)),
        )


def _tells_of_a_stop(event: DagsterEvent) -> bool:
    if event.event_type == DagsterEventType.RUN_FAILURE:
        reason = event.job_failure_data.failure_reason
        return reason == RunFailureReason.UNEXPECTED_TERMINATION
    return event.event_type == DagsterEventType.RUN_CANCELED


@contextmanager
def hearing_hang_ups() -> Iterator[None]:
    """Take the end of the terminal as Ctrl-C is taken; Dagster does so of SIGTERM alone.

    Where it is ignored already, as by nohup, it stays so.
    """
    # Windows has none
    number = getattr(signal, "SIGHUP", None)
    if number is None or signal.getsignal(number) is not signal.SIG_DFL:
        yield
        return

    def hear(_: int, frame: FrameType | None) -> None:
        # Dagster changes it all the time
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):
            handler(signal.SIGINT, frame)

    signal.signal(number, hear)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL)


class _Teller:
    """Makes what is told of events, with what it remembers of each step."""

    def __init__(self, keys: frozenset[dg.AssetKey]) -> None:
        self._names = {key.to_python_identifier(): key.to_user_string() for key in keys}
        self._begun: dict[str, float] = {}
        self._made: dict[str, Mapping[str, dg.MetadataValue[Any]]] = {}

    def is_of_an_extract(self, event: DagsterEvent) -> bool:
        """Return whether an event is of one of the stages of an extract."""
        name = self._names.get(event.step_key or "", "")
        return name.partition("/")[0] in STAGES

    def steps(self, event: DagsterEvent) -> Iterator[Step]:
        key = event.step_key
        if key is None:
            return
        # a step that makes several assets, or a check, has a name of its own
        name = self._names.get(key, key.replace("__", "/", 1))
        seconds = monotonic() - self._begun.setdefault(key, monotonic())
        if event.event_type == DagsterEventType.STEP_START:
            yield Step(name, "begun")
        elif event.event_type == DagsterEventType.ASSET_MATERIALIZATION:
            made = event.step_materialization_data.materialization
            if key in self._names:
                self._made[key] = made.metadata
            else:
                yield Step(name, "begun", seconds, made.asset_key.to_user_string())
        elif event.event_type == DagsterEventType.STEP_SUCCESS:
            metadata = self._made.get(key, {})
            state = "same" if _value(metadata, "unchanged") else "done"
            yield Step(name, state, seconds, note=_note(metadata))
        elif event.event_type == DagsterEventType.STEP_FAILURE:
            yield Step(name, "FAILED", seconds)


def _value(metadata: Mapping[str, dg.MetadataValue[Any]], name: str) -> Any:
    return metadata[name].value if name in metadata else None


def _note(metadata: Mapping[str, dg.MetadataValue[Any]]) -> str:
    rows, place = _value(metadata, "dagster/row_count"), _value(metadata, "datasource")
    if rows is None:
        return ""
    where = f" in '{place}' in '{_value(metadata, 'project')}'" if place else ""
    return f"{counted(rows, 'row')}{where}"


def _last_stages(keys: Set[dg.AssetKey]) -> dict[str, dg.AssetKey]:
    """Return the asset that an extract ends with, by the extract's name."""
    ends: dict[str, dg.AssetKey] = {}
    for stage in STAGES[1:]:  # Parquet alone is no extract
        ends |= {key.path[1]: key for key in keys if len(key.path) == 2 and key.path[0] == stage}
    return ends


def _parsed(selection: str) -> dg.AssetSelection:
    try:
        return dg.AssetSelection.from_string(selection)
    except dg.DagsterError as error:
        raise UsageError(
            f"--select {selection} is none of Dagster's selections of assets."
        ) from error
