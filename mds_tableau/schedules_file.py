"""Reads `schedules.yml`, which stands beside `dbt_project.yml`, and says what is wrong with it.

What a cron expression means is left to whoever runs the schedules; which extract ends up on which
schedule is decided in `schedules`.
"""

import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final
from zoneinfo import available_timezones

import yaml

from mds_tableau.deadlines import is_zone
from mds_tableau.schedules import DEFAULT, FILE, Declared, Schedule

_KEYS: Final = ("cron", "timezone", "select")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,49}")
_TAKEN: Final = {"all": "the job refresh_all"}

CronProblem = Callable[[str, str], str | None]
"""Says why a cron expression never ticks in a zone, None when it does."""


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
    wrong_setting = cron_problem(default.cron, default.timezone)
    by_settings = [f"MDS_SCHEDULE is {default.cron!r}; {wrong_setting}"] if wrong_setting else []
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
        problems += _problems(name, options, path, default, is_default_set=is_default_set)
        # what is no text, or no zone, is told already, and the rest is looked at without it
        texts = {
            key: value
            for key, value in (options.items() if isinstance(options, Mapping) else ())
            if isinstance(value, str) and value.strip()
        }
        zone = texts.get("timezone", default.timezone)
        known = zone if is_zone(zone) else default.timezone
        if "cron" in texts and (wrong := cron_problem(texts["cron"], known)):
            problems.append(f"schedules.{name} in {path} has cron {texts['cron']!r}; {wrong}")
        if name == DEFAULT and "cron" in texts:
            by_settings = []  # that of the file counts
        if isinstance(name, str):
            schedules[name] = Schedule(
                name, texts.get("cron", default.cron), zone, texts.get("select", "")
            )
    return Declared(list(schedules.values()), [*problems, *by_settings], frozenset(map(str, given)))


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
