"""Decides when each extract is refreshed: assigns extracts to schedules.

Reading them belongs to `schedules_file`, and resolving a dbt selection to whoever knows dbt; jobs
are made in `defs`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from mds_tableau.errors import MdsTableauError, ScheduleError
from mds_tableau.extracts import Extract

FILE: Final = "schedules.yml"
DEFAULT: Final = "daily"
"""Name of the schedule of all extracts that name none."""


@dataclass(frozen=True)
class Schedule:
    """When something runs.

    Attributes:
        name: Its name, such as `daily`.
        cron: Cron expression of five fields.
        timezone: IANA name of the zone that the expression is of.
        select: dbt selection of the models whose extracts it has beside those that name it.
    """

    name: str
    cron: str
    timezone: str
    select: str = ""


@dataclass(frozen=True)
class Declared:
    """What `schedules.yml` says.

    Attributes:
        schedules: Its schedules, as far as they can be understood; the default one is among them.
        problems: What is wrong with it.
        written: Names of the schedules that stand there.
    """

    schedules: Sequence[Schedule]
    problems: Sequence[str] = ()
    written: frozenset[str] = frozenset()

    @property
    def selections(self) -> tuple[str, ...]:
        """The dbt selections that have to be resolved."""
        return tuple(sorted({one.select for one in self.schedules if one.select}))

    @property
    def errors(self) -> tuple[MdsTableauError, ...]:
        """What is wrong, where no extracts are known; a ScheduleError at the most."""
        return (_error(self.problems),) if self.problems else ()


@dataclass(frozen=True)
class Assigned:
    """A schedule and what it refreshes.

    Attributes:
        schedule: The schedule.
        extracts: Its extracts, by name; at least one.
    """

    schedule: Schedule
    extracts: tuple[Extract, ...]


def plan_schedules(
    declared: Declared,
    extracts: Sequence[Extract],
    *,
    file: Path,
    selected: Callable[[str], Collection[str] | str],
    unclear: Collection[str] = (),
) -> tuple[Assigned, ...]:
    """Return which schedule refreshes which extracts, the default one first.

    Args:
        declared: The schedules.
        extracts: All extracts.
        file: Path of `schedules.yml`, for the messages.
        selected: Resolves a dbt selection to unique ids; a text says why it cannot be.
        unclear: Names of extracts of which it is not known which schedule was meant.

    Raises:
        ScheduleError: A schedule is not valid or has no extract, an extract names a schedule that
            there is not, or is on two. Names every problem with its file.
    """
    problems = [*declared.problems]
    by_name = {schedule.name: schedule for schedule in declared.schedules}
    chosen: dict[str, dict[str, str]] = {extract.name: {} for extract in extracts}
    unresolved = set()
    for schedule in declared.schedules:
        found = selected(schedule.select) if schedule.select else ()
        if isinstance(found, str):
            problems.append(
                f"schedules.{schedule.name} in {file} has select {schedule.select!r}, which dbt "
                f"does not understand: {found}"
            )
            unresolved.add(schedule.name)
            continue
        for extract in extracts:
            if any(mart.unique_id in found for mart in extract.marts):
                chosen[extract.name][schedule.name] = f"select {schedule.select!r}"
    for extract in extracts:
        problems += _named(extract, by_name, chosen[extract.name], file)
        if len(chosen[extract.name]) > 1:
            by = " and ".join(f"{name} (by {why})" for name, why in chosen[extract.name].items())
            problems.append(
                f"{_where(extract)} is on {len(chosen[extract.name])} schedules: {by}. Change a "
                f"select in {file}, or the model's meta.tableau.schedule, so that one is left."
            )
    plan = [
        Assigned(schedule, tuple(e for e in extracts if _is_on(e, schedule, chosen[e.name])))
        for schedule in declared.schedules
    ]
    problems += [
        f"schedules.{one.schedule.name} in {file} has no extract. Name it in a model's "
        f"config.meta.tableau.schedule, give it a select that names exported models"
        f"{_but(one.schedule)}, or remove it."
        for one in plan
        # it may be the one that was meant, and without any extract that is what is wrong
        if not unclear and extracts
        if not one.extracts and one.schedule.name in declared.written - unresolved
    ]
    if problems:
        raise _error(problems)
    return tuple(one for one in plan if one.extracts)


def _error(problems: Sequence[str]) -> ScheduleError:
    lines = "".join(f"\n- {problem}" for problem in problems)
    return ScheduleError(f"The schedules cannot be used as they are:{lines}")


def _is_on(extract: Extract, schedule: Schedule, chosen: Collection[str]) -> bool:
    if chosen:
        return schedule.name in chosen
    return schedule.name == DEFAULT and extract.schedule == ""


def _named(
    extract: Extract, known: Mapping[str, Schedule], chosen: dict[str, str], file: Path
) -> Iterator[str]:
    """Add the schedule that a model names to those that are chosen; yield what is wrong."""
    if extract.schedule is None and chosen:
        yield (
            f"{_where(extract)} has meta.tableau.schedule: false, and {', '.join(chosen)} in "
            f"{file} selects it. Remove one of them."
        )
    if not extract.schedule:
        return
    if extract.schedule in known:
        chosen.setdefault(extract.schedule, "meta.tableau.schedule")
        return
    near = get_close_matches(extract.schedule, known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    yield (
        f"meta.tableau.schedule of {_where(extract)} is {extract.schedule!r}, which is no "
        f"schedule. There are: {', '.join(known)}.{hint} Others are added in {file}."
    )
    # told once: it is not on the default one for that
    chosen.setdefault(extract.schedule, "meta.tableau.schedule")


def _where(extract: Extract) -> str:
    [mart] = extract.marts
    return f"'{extract.name}' ({', '.join(filter(None, (mart.yaml, mart.file)))})"


def _but(schedule: Schedule) -> str:
    return f" ({schedule.select!r} names none)" if schedule.select else ""
