"""What people are told, in words: one message for all that has one reason.

What is wrong is decided by others, and nothing is sent here.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import groupby
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from mds_tableau.columns import counted
from mds_tableau.deadlines import span

Kind = Literal["failed", "refused", "canceled", "at_risk", "missed"]
"""What is wrong: a run failed, our checks refused the data, a run was canceled, a deadline is going
to be missed, a deadline was missed."""

Tone = Literal["failure", "warning", "success", "info"]
"""How a message is marked, by those services that mark them."""

_NAMES: Final[dict[Kind, str]] = {
    "failed": "FAILED",
    "refused": "REFUSED",
    "canceled": "CANCELED",
    "at_risk": "AT RISK",
    "missed": "MISSED",
}
_TONES: Final[dict[Kind, Tone]] = {"at_risk": "warning", "canceled": "warning"}
_TELLS: Final[dict[Kind, str]] = {
    "failed": "A run failed.",
    "refused": "The checks refused the data, so it was not published. Nothing crashed.",
    "canceled": "A run was canceled.",
}
_MOST_LISTED: Final = 20
_MOST_REASONS: Final = 10
_LONGEST_LINE: Final = 400


class Message(NamedTuple):
    """What a service is sent."""

    title: str
    body: str
    tone: Tone


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with one datasource, or with a run that has none.

    Attributes:
        key: What and whom it is about.
        kind: What is wrong.
        label: Datasource and project, or the run, for people.
        reason: Why, as it was said.
        signature: The same for all that have the same reason, and when nothing has changed.
        since: Since when, in ISO 8601.
        ends_after: A publish after that moment ends it, in ISO 8601.
        serves: What the server still has, or "".
        run_id: The run that it is about, or "".
        due: The moment of the deadline, in ISO 8601, or "".
        deadline: The deadline as people wrote it, or "".
        told: When it was told, in ISO 8601, or "".
        was_told: When another problem was told that this one took the place of, or "".
    """

    key: str
    kind: Kind
    label: str
    reason: str
    signature: str
    since: str
    ends_after: str
    serves: str = ""
    run_id: str = ""
    due: str = ""
    deadline: str = ""
    told: str = ""
    was_told: str = ""

    @property
    def reason_key(self) -> str:
        """What is the same for all that are told in one breath."""
        return f"{self.kind} {self.signature}"


@dataclass(frozen=True)
class Recovery:
    """A problem that was told and is over.

    Attributes:
        label: Datasource and project, or the run.
        since: Since when it was wrong, in ISO 8601.
        at: Since when it is right, in ISO 8601.
        due: The moment of the deadline, in ISO 8601, if there was one.
        run_id: The run that did it.
    """

    label: str
    since: str
    at: str
    due: str
    run_id: str


@dataclass(frozen=True)
class Words:
    """Makes messages.

    Attributes:
        zone: IANA name of the time zone that the team lives in.
        ui: URL of the Dagster UI.
        secrets: What may not be shown.
    """

    zone: str
    ui: str
    secrets: Sequence[str] = field(default=(), repr=False)

    def moment(self, at: str) -> str:
        """Return a moment in UTC and by the team's clock.

        >>> Words("Europe/London", "").moment("2026-07-01T06:30:00+00:00")
        '2026-07-01 06:30 UTC (07:30 Europe/London)'
        """
        utc = datetime.fromisoformat(at).astimezone(timezone.utc)
        there = utc.astimezone(ZoneInfo(self.zone))
        if self.zone == "UTC":
            return f"{utc:%Y-%m-%d %H:%M} UTC"
        day = "" if there.date() == utc.date() else f"{there:%Y-%m-%d} "
        return f"{utc:%Y-%m-%d %H:%M} UTC ({day}{there:%H:%M} {self.zone})"

    def problems(self, problems: Iterable[Problem]) -> Iterator[Message]:
        """Yield one message for each kind of problem and deadline."""

        def place(problem: Problem) -> tuple[str, str, str]:
            return problem.kind, problem.due, problem.deadline

        for _, same in groupby(sorted(problems, key=place), key=place):
            listed = list(same)
            yield self._late(listed) if listed[0].due else self._stopped(listed)

    def _stopped(self, problems: list[Problem]) -> Message:
        kind = problems[0].kind
        lines = [_TELLS[kind], f"Since {self._since(problems)}."]
        problems.sort(key=lambda problem: problem.signature)
        groups = [list(same) for _, same in groupby(problems, lambda problem: problem.signature)]
        groups.sort(key=lambda same: (-len(same), same[0].label))
        for same in groups[:_MOST_REASONS]:
            lines += ["", useful_line(same[0].reason), *_listed(same)]
        if len(groups) > _MOST_REASONS:
            lines += ["", f"... and {counted(len(groups) - _MOST_REASONS, 'more reason')}."]
        return self._message(kind, f"{_NAMES[kind]} {_titled(problems)}", lines, problems)

    def _late(self, problems: list[Problem]) -> Message:
        kind, due = problems[0].kind, problems[0].due
        title = f"{_NAMES[kind]} {_titled(problems)}: due {problems[0].deadline}"
        if kind == "at_risk" and len({problem.reason for problem in problems}) == 1:
            why = problems[0].reason.partition(";")[0]
            title += f", {why[0].lower()}{why[1:]}"
        lines = [f"Due {self.moment(due)}."]
        if kind == "at_risk":
            lines.append(f"At risk since {self._since(problems)}.")
        problems.sort(key=lambda problem: problem.reason)
        for reason, same in groupby(problems, lambda problem: problem.reason):
            lines += ["", useful_line(reason), *_listed(list(same))]
        return self._message(kind, title, lines, problems)

    def recovered(self, recoveries: list[Recovery]) -> Iterator[Message]:
        """Yield one message for all that is over, if anything is."""
        if not recoveries:
            return
        lines = [
            f"- {one.label}: {self.moment(one.at)}{_lateness(one)}. "
            f"Wrong since {self.moment(one.since)}."
            for one in recoveries[:_MOST_LISTED]
        ]
        lines += _more(len(recoveries))
        lines += ["", *self._links(one.run_id for one in recoveries)]
        name = recoveries[0].label if len(recoveries) == 1 else _many(len(recoveries))
        yield Message(
            f"RECOVERED {name}", self.clean("\n".join(["Fresh again:", *lines])), "success"
        )

    def summary(
        self, problems: Sequence[Problem], fresh: Sequence[tuple[str, str]], total: int
    ) -> Message:
        """Return the summary of a day.

        Args:
            problems: What is wrong.
            fresh: Label of each extract that was published in the last 24 hours, and when.
            total: How many extracts there are.
        """
        wrong = sorted({problem.label for problem in problems})
        lines = [f"{len(fresh)} of {counted(total, 'datasource')} published in the last 24 hours."]
        if fresh:
            lines.append(f"The last one: {self.moment(max(at for _, at in fresh))}.")
        lines += [
            f"- {_NAMES[problem.kind]} {problem.label}, since {self.moment(problem.since)}: "
            f"{useful_line(problem.reason)}"
            for problem in sorted(problems, key=lambda problem: problem.label)[:_MOST_LISTED]
        ]
        lines += [*_more(len(problems)), "", *self._links(())]
        title = f"{counted(len(wrong), 'datasource')} with problems" if wrong else "all is well"
        return Message(
            f"SUMMARY {title}", self.clean("\n".join(lines)), "warning" if wrong else "info"
        )

    def _since(self, problems: Iterable[Problem]) -> str:
        return self.moment(min(problem.since for problem in problems))

    def _message(
        self, kind: Kind, title: str, lines: Sequence[str], problems: Iterable[Problem]
    ) -> Message:
        links = self._links(problem.run_id for problem in problems)
        body = "\n".join([*lines, "", *links])
        return Message(self.clean(title), self.clean(body), _TONES.get(kind, "failure"))

    def _links(self, run_ids: Iterable[str]) -> list[str]:
        runs = list(dict.fromkeys(filter(None, run_ids)))
        base = self.ui.rstrip("/")
        return [f"Run: {base}/runs/{run}" for run in runs[:3]] or [f"Dagster: {base}"]

    def clean(self, text: str) -> str:
        """Return a text with asterisks in the place of what may not be shown."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            if len(secret) > 3:
                text = text.replace(secret, "****")
        return text


def useful_line(reason: str) -> str:
    """Return the first line of an error that says something, and what it leads to.

    >>> useful_line("Cannot export 'tags':" + chr(10) + "- column 'note' has no type")
    "Cannot export 'tags': column 'note' has no type"
    """
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    if not lines:
        return "No reason was given."
    line = lines[0]
    if line.endswith(":") and len(lines) > 1:
        line = f"{line} {lines[1].removeprefix('- ')}"
        if len(lines) > 2:
            line += " ..."
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 4]} ..."


def signature_of(reason: str, names: Iterable[str]) -> str:
    """Return what reasons have in common that differ in figures and in whom they are about.

    >>> signature_of("Extract 'sales' lost 41 rows", ["sales"])
    "Extract '*' lost # rows"
    """
    text = useful_line(reason)
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = text.replace(name, "*")
    return re.sub(r"\d+", "#", text)


def _titled(problems: Sequence[Problem]) -> str:
    return problems[0].label if len(problems) == 1 else _many(len(problems))


def _many(number: int) -> str:
    return counted(number, "datasource")


def _listed(problems: Sequence[Problem]) -> list[str]:
    lines = [
        f"- {problem.label}" + (f": {problem.serves}" if problem.serves else "")
        for problem in problems[:_MOST_LISTED]
    ]
    return lines + _more(len(problems))


def _more(number: int) -> list[str]:
    return [f"... and {number - _MOST_LISTED} more."] if number > _MOST_LISTED else []


def _lateness(recovery: Recovery) -> str:
    if not recovery.due:
        return ""
    late = datetime.fromisoformat(recovery.at) - datetime.fromisoformat(recovery.due)
    return ", in time" if late <= timedelta(0) else f", {span(late)} late"
