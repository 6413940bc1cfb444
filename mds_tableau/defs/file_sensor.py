"""The sensor that starts a run when the files of a dbt source have changed.

Which source has changed is decided in `mds_tableau.watching`, finding its files belongs to
`mds_tableau.sources`, and what a run has to build to `affected`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import dagster as dg

from mds_tableau.defs.affected import asking, goes_on, listed
from mds_tableau.manifest import Source
from mds_tableau.sources import FileState, file_states, fingerprint
from mds_tableau.watching import Look, Memory, Verdict, judge, mark_of, remembering

SENSOR: Final = "raw_files_changed"

_READ_UP_TO: Final = 200_000_000
"""Bytes of a source that are read to learn whether a file was only written again; a look has to end
within the minute that Dagster gives it."""

_TOLD_AFTER: Final = 1800
"""Seconds after which a source that never rests is worth a warning."""


def file_sensor(
    sources: Mapping[dg.AssetKey, Source],
    *,
    base: Path,
    cache: Path,
    seconds: int,
    status: dg.DefaultSensorStatus,
) -> dg.SensorDefinition:
    """Return the sensor.

    Args:
        sources: The sources that are read from files, by the key of their assets.
        base: Folder that relative locations start from: the dbt project's.
        cache: JSON file with what was seen of each file, as of the assets of these sources.
        seconds: Between two looks, at the least.
        status: Whether it runs before anybody has switched it on or off.
    """
    by_id = {source.unique_id: (key, source) for key, source in sources.items()}

    @dg.sensor(
        name=SENSOR,
        target=dg.AssetSelection.all(),
        minimum_interval_seconds=seconds,
        default_status=status,
        description=(
            "Builds and publishes what is made of a raw file that is new, changed or gone, when "
            "two looks found the same, so that a file that is still being written is left alone."
        ),
    )
    def raw_files_changed(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        memory = Memory.load(context.cursor)
        states: dict[str, Mapping[Path, FileState]] = {}
        looks = {}
        for unique_id, (_, source) in by_id.items():
            looks[unique_id], states[unique_id] = _look(source, base)
        verdict = judge(looks, memory)
        lines = _told(verdict, states, by_id, seconds)
        if verdict.settled and goes_on(context):
            changed = listed([by_id[one][1].name for one in verdict.settled])
            lines.append(f"{changed} changed; waiting for the run that was started before.")
            waiting = Memory(verdict.known, memory.runs)
            return dg.SensorResult(skip_reason=" ".join(lines), cursor=waiting.dump())
        contents = {one: _content(states[one], cache) for one in verdict.settled}
        started = {
            one: by_id[one][0]
            for one in verdict.settled
            if not contents[one] or contents[one] != verdict.known[one].content
        }
        if same := [by_id[one][1].name for one in verdict.settled if one not in started]:
            lines.append(f"{listed(same)} was written again with the content that it had.")
        following = remembering(memory, verdict, contents, started)
        if started:
            for line in lines:
                context.log.warning(line)
            return asking(context, following, started)
        if not lines:
            count = sum(map(len, states.values()))
            none = f"None of {count} raw files is new or changed."
            lines.append(none if count else "There are no raw files.")
        return dg.SensorResult(skip_reason=" ".join(lines), cursor=following.dump())

    return raw_files_changed


def _look(source: Source, base: Path) -> tuple[Look, Mapping[Path, FileState]]:
    try:
        states = file_states(source, base=base)
    except OSError as error:
        at = f" ({error.filename})" if error.filename else ""
        return Look(problem=f"{error.strerror or error}{at}"), {}
    return Look(mark_of(states)), states


def _content(states: Mapping[Path, FileState], cache: Path) -> str:
    """Return a digest of what is in files, or "" when they are too large to be read here."""
    if sum(state.size for state in states.values()) > _READ_UP_TO:
        return ""
    try:
        return fingerprint(states, cache=cache)
    except OSError:
        return ""


def _told(
    verdict: Verdict,
    states: Mapping[str, Mapping[Path, FileState]],
    by_id: Mapping[str, tuple[dg.AssetKey, Source]],
    seconds: int,
) -> list[str]:
    """Return what there is to say of the sources that no run is started for."""
    name = {unique_id: source.name for unique_id, (_, source) in by_id.items()}
    lines = [
        f"Cannot look at the files of {listed(names)}: {why}. Nothing is started for this, and "
        "what was seen before still counts; see that the drive is there and may be read."
        for why, names in verdict.blind_by_reason(name).items()
    ]
    if verdict.gone:
        lines.append(
            f"There is no file any more of {listed([name[one] for one in verdict.gone])}. Nothing "
            "is started for this; if files are on a network drive, see that it is there."
        )
    patient = {one: n for one, n in verdict.moving.items() if (n - 1) * seconds < _TOLD_AFTER}
    if patient:
        lines.append(
            f"{listed([name[one] for one in patient])} changed; waiting until the next look finds "
            "the same."
        )
    lines += [
        f"{name[one]} has changed at {n} looks in a row, and no run is started before it rests. "
        f"Last written: {_newest(states[one])}. Have it written beside and then moved into place."
        for one, n in verdict.moving.items()
        if one not in patient
    ]
    return lines


def _newest(states: Mapping[Path, FileState]) -> str:
    return max(states, key=lambda path: states[path].changed).name
