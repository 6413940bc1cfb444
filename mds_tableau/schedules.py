"""Decides when each extract is refreshed: reads `schedules.yml` and assigns extracts to schedules.

The file stands beside `dbt_project.yml`. What a cron expression means is left to whoever runs the
schedules, and resolving a dbt selection to whoever knows dbt; jobs are made in `defs`.
"""

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final
from zoneinfo import available_timezones

import yaml

from mds_tableau.deadlines import is_zone
from mds_tableau.errors import MdsTableauError, ScheduleError
from mds_tableau.extracts import Extract

FILE: Final = "schedules.yml"
DEFAULT: Final = "daily"
"""Name of the schedule of all extracts that name none."""

_KEYS: Final = ("cron", "timezone", "select")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,49}")
_TAKEN: Final = {"all": "the job refresh_all"}

CronProblem = Callable[[str, str], str | None]
"""Says why a cron expression never ticks in a zone, None when it does."""


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


def read_schedules(
    folder: Path, default: Schedule, *, is_default_set: bool, cron_problem: CronProblem
) -> Declared:
    """Read the schedules of a dbt project; without a file there is the default one.

    Args:
        folder: Folder of the dbt project.
        default: The schedule by the settings; its zone is that of all that name none.
        is_default_set: Whether the settings name its cron expression themselves.
        cron_problem: Knows cron expressions.
    """
    path = folder / FILE
    by_settings = list(_cron_problems([default], (), path, cron_problem))
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # a SafeLoader
    except FileNotFoundError:
        return Declared([default], by_settings)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return Declared(
            [default],
            [
                *by_settings,
                f"{path} cannot be read: {error}\nPut cron expressions in quotes, as in "
                "daily: {cron: '30 6 * * *'}.",
            ],
        )
    given = content.get("schedules") if isinstance(content, Mapping) else None
    if not isinstance(given, Mapping) or not given or len(content) > 1:
        found = ", ".join(map(str, content)) if isinstance(content, Mapping) else content
        return Declared(
            [default],
            [
                *by_settings,
                f"{path} has {found or 'nothing'} at its top. It must have one key, schedules, "
                "with a mapping of names to cron, timezone and select: "
                "schedules: {daily: {cron: '30 6 * * *'}}.",
            ],
        )
    schedules: dict[str, Schedule] = {DEFAULT: default}
    problems: list[str] = []
    for name, options in given.items():
        wrong = list(_problems(name, options, path, default, is_default_set=is_default_set))
        problems += wrong
        if isinstance(name, str):
            known = options if isinstance(options, Mapping) else {}
            schedules[name] = Schedule(
                name,
                cron=str(known.get("cron", default.cron)),
                timezone=str(known.get("timezone", default.timezone)),
                select=str(known.get("select", "")),
            )
    written = frozenset(map(str, given))
    problems += _cron_problems(schedules.values(), written, path, cron_problem)
    return Declared(list(schedules.values()), problems, written)


def _cron_problems(
    schedules: Iterable[Schedule], written: Collection[str], path: Path, problem: CronProblem
) -> Iterator[str]:
    for schedule in schedules:
        is_written = schedule.name in written
        where = f"schedules.{schedule.name} in {path} has cron" if is_written else "MDS_SCHEDULE is"
        # a zone that there is not is told already
        if is_zone(schedule.timezone) and (wrong := problem(schedule.cron, schedule.timezone)):
            yield f"{where} {schedule.cron!r}; {wrong}"


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


def _problems(
    name: object, options: object, path: Path, default: Schedule, *, is_default_set: bool
) -> Iterator[str]:
    where = f"schedules.{name} in {path}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield (
            f"{where} has a name that a job cannot have. It must be of at most 50 small letters, "
            "digits and '_', and begin with a letter, such as month_start."
        )
    elif name in _TAKEN:
        yield f"{where} has the name of {_TAKEN[name]}. Give it another."
    if not isinstance(options, Mapping):
        yield f"{where} is {options!r}. It must be a mapping of {', '.join(_KEYS)}."
        return
    for key, value in options.items():
        if key not in _KEYS:
            near = get_close_matches(str(key), _KEYS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            yield f"Unknown key '{key}' in {where}. Allowed: {', '.join(_KEYS)}.{hint}"
        elif not isinstance(value, str) or not value.strip():
            yield f"{where} has {key} {value!r}. It must be a text that is not empty."
    if "cron" not in options and name != DEFAULT:
        yield f"{where} has no cron. Give it one, such as cron: '0 7 * * 1-5'."
    if name == DEFAULT and is_default_set and options.get("cron", default.cron) != default.cron:
        yield (
            f"{where} has cron {options['cron']!r}, and MDS_SCHEDULE is {default.cron!r}. Remove "
            "one of them."
        )
    zone = options.get("timezone")
    if isinstance(zone, str) and zone.strip() and not is_zone(zone):
        yield (
            f"{where} has timezone {zone!r}, which is no IANA time zone such as Europe/London."
            f"{_nearest_zone(zone)}"
        )


def _nearest_zone(zone: str) -> str:
    known = {part.casefold(): name for name in available_timezones() for part in _parts(name)}
    near = get_close_matches(zone.casefold().replace(" ", "_"), known, n=1)
    return f" Did you mean '{known[near[0]]}'?" if near else ""


def _parts(zone: str) -> tuple[str, str]:
    # so that London finds Europe/London
    return zone, zone.rpartition("/")[2]


def _where(extract: Extract) -> str:
    [mart] = extract.marts
    return f"'{extract.name}' ({', '.join(filter(None, (mart.yaml, mart.file)))})"


def _but(schedule: Schedule) -> str:
    return f" ({schedule.select!r} names none)" if schedule.select else ""


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands there twice, of which YAML would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"'{key}' stands there twice", node.value[position][0].start_mark
                )
        return super().construct_mapping(node, deep=deep)
