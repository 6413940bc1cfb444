"""Takes one input to Tableau in one go: load, check, export, convert, verify, publish.

The stages are those of the pipeline; what is remembered from one time to the next is kept in a
folder of its own. What an order is, and loading its input, belongs to `orders`; options and output
to `publish_command`.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from mds_tableau.conversion import convert
from mds_tableau.destination import Destination
from mds_tableau.errors import first_line
from mds_tableau.export import export_mart
from mds_tableau.export_plan import check_mart, plan_mart
from mds_tableau.extract_file import ExtractFile
from mds_tableau.files import sole_writer
from mds_tableau.hyper import Hyper
from mds_tableau.inputs import Loaded, Progress
from mds_tableau.losses import Limits, appended, appending, refuse_fall, refuse_loss
from mds_tableau.memories import Memory, memory_of
from mds_tableau.orders import Order, Ready, loading, writing
from mds_tableau.output_file import OutputFile
from mds_tableau.parquet import ParquetVersion
from mds_tableau.plan import TypesPlan
from mds_tableau.published import (
    changed_columns,
    confirm_published,
    earlier_publish,
    earlier_publish_of,
    record_published,
    unchanged_publish,
)
from mds_tableau.retention import keep_published
from mds_tableau.room import needed_for_extract, require_room
from mds_tableau.tableau import (
    Published,
    publish,
    refuse_other_columns,
    still_holds,
    uploading,
)


@dataclass(frozen=True)
class Done:
    """What came of an order.

    Attributes:
        made: The extract.
        published: What the server holds now; None when nothing was published.
        origin: What it was made of.
        notes: What was decided on the way, a sentence each.
        warnings: What somebody should look at, a sentence each.
        is_unchanged: Whether the server held it already, so that nothing was sent.
    """

    made: ExtractFile
    published: Published | None
    origin: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    is_unchanged: bool = False


@dataclass(frozen=True)
class Planned:
    """What would become of an order.

    Attributes:
        types: What would become of each column.
        loaded: What was found.
        warnings: What somebody should look at, a sentence each.
    """

    types: TypesPlan
    loaded: Loaded
    warnings: tuple[str, ...]


def plan(order: Order, folder: Path, target: str, progress: Progress) -> Planned:
    """Return what would become of an order, without making anything.

    Args:
        order: What is to be published.
        folder: Where temporary files are, and what is remembered of earlier times.
        target: The destination in words that stay the same from time to time.
        progress: Told how far it is.

    Raises:
        MdsTableauError: The input would be refused; as `carry_out` says before it makes anything.
    """
    with loading(order, folder, progress) as ready, writing(folder):
        connection, mart = ready.connection, ready.mart
        try:
            plans = plan_mart(connection, mart)
            warnings = check_mart(connection, mart, plans)
            [[rows]] = connection.execute(f"SELECT count(*) FROM {mart.relation}").fetchall()  # noqa: S608
        except duckdb.Error as error:
            raise mart.cannot(first_line(error)) from error
        if order.publishes:
            memory, limits = _memory(order, folder, target), _limits(order, ready.loaded.origin)
            refuse_fall(memory.folder, memory.name, rows, limits, target=target)
            columns = [(column.name, column.hyper_type) for column in plans]
            refuse_other_columns(
                order.mode,
                f"Publishing '{order.name}' to '{order.project}'",
                earlier_publish_of(memory.folder, memory.name, columns, target=target),
            )
        return Planned(TypesPlan(plans), ready.loaded, tuple(warnings))


def _memory(order: Order, folder: Path, target: str) -> Memory:
    return memory_of(folder, target=target, project=order.project, datasource=order.name)


def carry_out(
    order: Order, destination: Destination, folder: Path, target: str, progress: Progress
) -> Done:
    """Take an input to Tableau; on any failure the server and the output stay as they are.

    Args:
        order: What is to be published.
        destination: Where to.
        folder: Where temporary files are, and what is remembered of earlier times.
        target: The destination in words that stay the same from time to time.
        progress: Told how far it is.

    Raises:
        MdsTableauError: Something stopped it; the class says what.
    """
    memory, output = _memory(order, folder, target), OutputFile(order.output)
    with (
        output.reserved(),
        _starting(order.memory) as hyper,
        loading(order, folder, progress) as ready,
    ):
        with writing(folder):
            version, made = _made(order, ready, hyper, memory.name, progress)
        output.fill(made.path)
        published, changes, is_unchanged = None, list[str](), False
        if order.publishes:
            limits = _limits(order, ready.loaded.origin)
            published, changes, is_unchanged = _published(
                order, made, limits, destination, memory.folder, target, progress
            )
        output.put_in_place(
            "Nothing was published."
            if published is None
            else f"'{published.datasource}' in '{published.project}' has what was published "
            f"{published.published_at}: {published.url}."
        )
        warnings = (*version.warnings, *made.warnings, *changes)
        return Done(
            made, published, ready.loaded.origin, ready.loaded.notes, warnings, is_unchanged
        )


def _made(
    order: Order, ready: Ready, hyper: Callable[[], Hyper], known_as: str, progress: Progress
) -> tuple[ParquetVersion, ExtractFile]:
    progress("Exporting", 0, None)
    version = export_mart(ready.connection, ready.mart, ready.scratch / "parquet")
    progress("Converting", 0, None)
    needed = needed_for_extract(version, ready.scratch, order.name, verify=order.verify)
    require_room(ready.scratch, needed, f"Converting '{order.name}'")
    made = convert(hyper(), version, extract=known_as, folder=ready.scratch, verify=order.verify)
    return version, made


def _published(
    order: Order,
    made: ExtractFile,
    limits: Limits,
    destination: Destination,
    kept: Path,
    target: str,
    progress: Progress,
) -> tuple[Published, list[str], bool]:
    """Publish an extract, and write down what the server holds then.

    Returns:
        That, what somebody should look at, and whether the server held it already.
    """
    with ExitStack() as stack:
        with writing(kept):
            # what was published last is looked at and written down by one at a time
            stack.enter_context(sole_writer(kept / f"{made.extract}.json"))
        refuse_loss(kept, made, limits, target=target)
        published, is_unchanged = _publish(order, made, limits, destination, kept, target, progress)
        changes = changed_columns(kept, made, target=target)
        if is_unchanged:
            confirm_published(kept, made.extract)
            return published, changes, True
        record = record_published(
            kept, made, published, about=order.about, target=target, run_id=""
        )
        appended(kept, made.extract, limits)
        data = kept.parent.parent
        changes += keep_published(data, kept / "versions", made, record, order.limits)
        return published, changes, False


def _publish(
    order: Order,
    made: ExtractFile,
    limits: Limits,
    destination: Destination,
    kept: Path,
    target: str,
    progress: Progress,
) -> tuple[Published, bool]:
    """Return what the server holds, and whether it held it already."""
    last = None
    if not order.force:
        last = unchanged_publish(kept, made, order.about, target=target, mode=order.mode)
    progress("Signing in", 0, None)
    with (
        destination.session() as session,
        uploading(
            session, 1, told=lambda _, sent, size: progress("Uploading", sent, size)
        ) as uploads,
    ):
        if last and still_holds(
            session, last, datasource=order.name, project=order.project, about=order.about
        ):
            return last, True
        # not around the session: whatever fails when that ends, the rows are there
        with appending(kept, made, limits, target=target):
            done = publish(
                session,
                made.path,
                datasource=order.name,
                project=order.project,
                about=order.about,
                mode=order.mode,
                earlier=earlier_publish(kept, made, target=target),
                uploads=uploads,
                create_project=order.create_project,
            )
        return done, False


@contextmanager
def _starting(memory: str) -> Iterator[Callable[[], Hyper]]:
    """Start Hyper while the input is loaded; gives what waits for it."""
    with ThreadPoolExecutor(1, thread_name_prefix="hyper-start") as pool, ExitStack() as stack:
        begun = pool.submit(stack.enter_context, Hyper(memory))
        try:
            yield begun.result
        finally:
            # it has to have started before it can be ended
            wait([begun])


def _limits(order: Order, origin: str) -> Limits:
    return Limits(
        origin=origin,
        correct="the input",
        mode=order.mode,
        allow_empty=order.allow_empty,
        to_allow_empty="say --allow-empty",
        max_row_fall=order.max_row_fall,
        limit_from="MDS_MAX_ROW_FALL",
        allow_row_fall=order.allow_row_fall,
        to_allow_row_fall="say --allow-row-fall.",
        to_build="another input",
    )
