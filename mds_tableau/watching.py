"""Decides which dbt sources have changed since a run was last asked for on their behalf.

A source is what a run reads as a whole, so it is judged as a whole: by one mark of all its files,
or of its table in a database. Looking belongs to `sources` and `inputs`, starting runs to `defs`.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from mds_tableau.sources import FileState

VERSION: Final = 2
"""Of the form that `Memory` is kept in. Form 1 was of single files, and had no number."""


@dataclass(frozen=True)
class Look:
    """One look at a source.

    Attributes:
        mark: Two looks at the same content have the same mark; "" when there is nothing.
        problem: Why it could not be looked at; then the mark says nothing.
    """

    mark: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Known:
    """What is remembered of a source.

    Attributes:
        seen: Its mark at the last look.
        done: Its mark when a run was last asked for; "" for never.
        content: Digest of its content then; "" when that was not read.
        looks: At how many looks in a row it was another than at the look before.
    """

    seen: str = ""
    done: str = ""
    content: str = ""
    looks: int = 0


@dataclass(frozen=True)
class Memory:
    """What a sensor remembers from one look to the next: its cursor.

    Its size grows with the number of sources, not with that of their files, because Dagster keeps
    a copy for each look.

    Attributes:
        sources: What is known of each source, by unique id.
        runs: How many runs were asked for.
    """

    sources: Mapping[str, Known] = field(default_factory=dict)
    runs: int = 0

    @classmethod
    def load(cls, text: str | None) -> "Memory":
        """Read what `dump` returned; anything else is as if nothing had been remembered.

        Then each source counts as new, so that at worst one run is started too many.
        """
        try:
            content: Any = json.loads(text or "")
            if content["version"] != VERSION:
                return cls()
            sources = {str(name): Known(**known) for name, known in content["sources"].items()}
            return cls(sources, int(content["runs"]))
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def dump(self) -> str:
        """Return it as a text."""
        sources = {name: asdict(known) for name, known in sorted(self.sources.items())}
        return json.dumps({"version": VERSION, "runs": self.runs, "sources": sources})


@dataclass(frozen=True)
class Verdict:
    """What is concluded of all sources after one look.

    Attributes:
        settled: Sources that have changed, and were the same at the look before.
        moving: Sources that have changed, and were not; with how many looks that went on.
        gone: Sources that have nothing now and had something before.
        blind: Sources that could not be looked at, and why.
        known: What is known of them from now on, before any run is asked for.
    """

    settled: tuple[str, ...]
    moving: Mapping[str, int]
    gone: tuple[str, ...]
    blind: Mapping[str, str]
    known: Mapping[str, Known]

    def blind_by_reason(self, names: Mapping[str, str]) -> dict[str, list[str]]:
        """Return the names of the sources that could not be looked at, by the reason why."""
        found: dict[str, list[str]] = {}
        for one, why in self.blind.items():
            found.setdefault(why, []).append(names[one])
        return found


def judge(looks: Mapping[str, Look], memory: Memory, *, settles: bool = True) -> Verdict:
    """Compare one look with what is remembered.

    What cannot be looked at, or has nothing any more, as a folder has whose network drive went
    away, is remembered as it was: when it comes back unchanged, nothing has happened. A source that
    is not among the looks is forgotten.

    Args:
        looks: One look at each source.
        memory: What is remembered.
        settles: Whether a change has to be seen twice, as a file may be half-written.

    >>> judge({"a": Look("1")}, Memory()).moving
    {'a': 1}
    >>> judge({"a": Look("1")}, Memory({"a": Known(seen="1")})).settled
    ('a',)
    """
    settled, gone = [], []
    moving, blind, known = {}, {}, {}
    for name, look in sorted(looks.items()):
        before = memory.sources.get(name, Known())
        known[name] = before
        if look.problem:
            blind[name] = look.problem
        elif not look.mark:
            if before.done or before.seen:
                gone.append(name)
        elif look.mark == before.done:
            known[name] = replace(before, seen=look.mark, looks=0)
        elif look.mark == before.seen or not settles:
            settled.append(name)
            known[name] = replace(before, seen=look.mark, looks=0)
        else:
            moving[name] = before.looks + 1
            known[name] = replace(before, seen=look.mark, looks=before.looks + 1)
    return Verdict(tuple(settled), moving, tuple(gone), blind, known)


def remembering(
    memory: Memory, verdict: Verdict, contents: Mapping[str, str], started: Iterable[str]
) -> Memory:
    """Return what is remembered after a look.

    Args:
        memory: What was remembered before.
        verdict: What the look came to.
        contents: Of settled sources, the digest of their content, as far as it was read.
        started: The settled sources that a run is started for; the others have the content that
            the last run had.
    """
    known = dict(verdict.known)
    for name in verdict.settled:
        known[name] = replace(known[name], done=known[name].seen, content=contents.get(name, ""))
    return Memory(known, memory.runs + bool(list(started)))


def run_key(memory: Memory, started: Iterable[str]) -> str:
    """Return a key that is the same when the same look is judged again, and at no other time.

    Args:
        memory: What is remembered with the run that is asked for.
        started: The sources that it is asked for.
    """
    marks = {name: memory.sources[name].done for name in sorted(started)}
    digest = hashlib.sha256(json.dumps(marks, sort_keys=True).encode()).hexdigest()
    # counted, because files may go back to what they were, and that is another run
    return f"{memory.runs}-{digest[:32]}"


def mark_of(states: Mapping[Path, FileState]) -> str:
    """Return the mark of a source of files; "" when there are none."""
    digest = hashlib.sha256()
    for path, state in states.items():
        digest.update(f"{path}\0{state.size}\0{state.changed}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32] if states else ""
