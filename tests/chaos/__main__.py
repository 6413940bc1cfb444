"""Kills a run at a random moment, looks at what is left, runs again, and does so many times.

    python -m tests.chaos --rounds 50 --seed 1 --append

Several kills may follow each other before a run is let through, as nothing may depend on one.

Prints a table at the end; exits with 1 if anything did not hold.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import dagster as dg

from tests.chaos.crowd import a_run_of_the_ui, run, two_runs_and_an_analyst
from tests.chaos.invariants import Look, Server, debris, looking
from tests.chaos.kills import STAGES, below, last_stage, newest_run, power_cut
from tests.chaos.place import APPENDED, RELATIONS, Place
from tests.pipeline import rows_in_duckdb

_ANCHORS: Final = ("from the start", "from dbt on", "from the first export on")
_DEADLINE: Final = 600.0


@dataclass
class Chaos:
    """Rounds of kills in one place.

    Attributes:
        place: The place.
        look: The look at it.
        dice: What is random.
        kills: Kills by stage.
        asked: Runs that asked somebody to look at what was appended.
        greens: Runs that went through after kills.
        in_states: The state that each datasource was in last.
        states: Those that it may be in.
    """

    place: Place
    look: Look
    dice: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    greens: int = 0
    in_states: dict[str, int | None] = field(default_factory=dict)
    states: list[int] = field(default_factory=lambda: [1])
    state: int = 1
    spans: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    arrived: set[int] = field(default_factory=set)
    last: Server = field(default_factory=Server)

    def begin(self) -> None:
        """Run once undisturbed, to know how long each part of a run takes."""
        self.place.write(self.state)
        code, said = self._run()
        self.look.holds("undisturbed run is green", code == 0, said)
        if self.place.appends:
            self.place.append_with("append")
            # what was published last is not appended again
            self.state += 1
            self.place.write(self.state)
            code, said = self._run()
            self.look.holds("undisturbed run is green", code == 0, said)
        self.last = self.look.server()
        if self.place.appends:
            self.arrived = self.look.never_doubled(self.last)
        self.states = [self.state]
        self.in_states = self._told("undisturbed run", self.states, self.last)

    def round(self, number: int, share: float, *, goes_through: bool) -> None:
        """Kill one run and look; perhaps let the next run end, and look again."""
        known = len(self.look.violations)
        self.state += 1
        self.states.append(self.state)
        self.place.write(self.state)
        if number % 5 == 0:
            self.place.change_project(self.state)
        stage, told = self._kill(number, share)
        self.kills[stage] += 1
        between = self._between()
        line = f"{number:3}  {told:34} {stage:20} {between.pending} pending"
        if goes_through:
            line += self._next_run(between)
        else:
            self.last = between
        left = ", ".join(f"{count} {what}" for what, count in debris(self.place).items())
        print(f"{line}; left: {left or 'nothing'}", flush=True)
        for violation in self.look.violations[known:]:
            print(f"     {violation}", flush=True)

    def _between(self) -> Server:
        """Look at what a killed run left, and return what the server holds."""
        self.look.files()
        self.look.locks()
        self.look.holds("no process is left", not below(self.place.home))
        between = self.look.server()
        was = self.in_states
        self.in_states = self._told("killed run", self.states, between)
        for name, revision in between.revisions.items():
            grown = revision - self.last.revisions.get(name, 0)
            # what was accepted before the last kill may be done now, too
            most = 0 if name == "price_list" else 1 + self.last.pending
            is_so = 0 <= grown <= most
            if name != APPENDED:
                is_so = is_so and (grown > 0) == (self.in_states[name] != was.get(name))
            self.look.holds("killed run published once or not", is_so, f"{name}: {grown}")
        return between

    def _next_run(self, between: Server) -> str:
        """Let a run end by itself, and look at what it left."""
        # half of the time the data goes on before somebody runs again
        goes_on = self.dice.random() < 0.5
        if goes_on:
            self.state += 1
            self.place.write(self.state)
        remembered = self._remembered()
        code, said = self._run()
        after = self.look.server()
        self._after(code, said, between, after, remembered)
        self.last, self.states = after, [self.state]
        self.greens += code == 0
        return f", then {'new' if goes_on else 'same'} data, exit {code}"

    def _after(
        self,
        code: int,
        said: str,
        between: Server,
        after: Server,
        remembered: dict[str, int],
    ) -> None:
        if code and self.place.appends and _asks(said):
            self.asked += 1
            # what the message says, the datasource having been looked at
            (self.place.work.data / "published" / f"{APPENDED}.appending").unlink(missing_ok=True)
        else:
            self.look.holds("next run is green", code == 0, said[-1500:])
        self.in_states = self._told("next run", [self.state], after)
        unchanged = {name for name, rows in between.rows.items() if rows == after.rows.get(name)}
        for name, revision in after.revisions.items():
            grown = revision - between.revisions.get(name, 0)
            if name == APPENDED:
                # what the server had accepted when the power went is done when it is back; whether
                # any row is there twice is looked at in the rows themselves
                most = 1 + between.pending
                self.look.holds("next run appended once or not", 0 <= grown <= most, str(grown))
                continue
            is_known = remembered.get(name) == between.revisions[name] and name in unchanged
            due = 0 if name == "price_list" or is_known else 1
            # what the server had accepted when the power went is done when it is back
            allowed = {due, due + 1} if between.pending else {due}
            self.look.holds(
                "next run published what was due, once",
                grown in allowed,
                f"{name}: {grown}, due {allowed}",
            )
        for extract, datasource in self.place.extracts.items():
            if extract != APPENDED:
                rows = rows_in_duckdb(self.place.warehouse, RELATIONS[extract])
                is_same = rows == after.rows.get(datasource)
                self.look.holds("server equals the warehouse", is_same, datasource)
        if self.place.appends:
            self.arrived |= self.look.never_doubled(after)
        self.look.locks()

    def _told(self, what: str, states: list[int], server: Server) -> dict[str, int | None]:
        found = self.look.states_of(server, states)
        for name, state in found.items():
            held = len(server.rows.get(name, []))
            self.look.holds(
                f"{what}: datasource is in one state", state is not None, f"{name}, {held} rows"
            )
        if self.place.appends:
            self.look.never_doubled(server)
        # a datasource that never changes is in all states
        return found

    def _remembered(self) -> dict[str, int]:
        """Return the revision of each datasource that the pipeline has written down."""
        folder = self.place.work.data / "published"
        records = {d: folder / f"{e}.json" for e, d in self.place.extracts.items()}
        return {
            datasource: json.loads(record.read_text())["revision"]
            for datasource, record in records.items()
            if record.exists()
        }

    def _run(self) -> tuple[int, str]:
        """Let a run come to its end, and note how long each of its parts took."""
        with tempfile.TemporaryFile() as said:
            started = time.time()
            run = self.place.start(said=said)
            begun = [self._reached(run, anchor, started) for anchor in range(len(_ANCHORS))]
            run.wait(_DEADLINE)
            ended = time.time()
            said.seek(0)
            text = said.read().decode(errors="replace")
        if run.returncode == 0:
            self.spans = [ended - one for one in begun]
        return run.returncode, text

    def _kill(self, number: int, share: float) -> tuple[str, str]:
        """Kill a run at a share of what remains of it after an anchor; return the stage hit."""
        before, _ = newest_run(self.place.home)
        anchor = number % len(_ANCHORS)
        seconds = self.spans[anchor] * share
        started = time.time()
        run = self.place.start()
        moment = self._reached(run, anchor, started) + seconds
        with suppress(subprocess.TimeoutExpired):
            run.wait(max(0.0, moment - time.time()))
        if run.poll() is None:
            power_cut(run, self.place.home)
        stage = last_stage(self.place.home, before)
        return stage, f"{seconds:5.2f} s {_ANCHORS[anchor]}"

    def _reached(self, run: "subprocess.Popen[bytes]", anchor: int, started: float) -> float:
        """Return the moment at which a part of a run began, or the run ended."""
        if anchor == 0:
            return started
        if anchor == 1:
            folder, pattern = self.place.home, "*.db"
        else:
            folder, pattern = self.place.work.data / "parquet", "*/*"
        look_again = threading.Event()
        while run.poll() is None and time.time() < started + _DEADLINE:
            for path in folder.glob(pattern):
                with suppress(OSError):
                    if path.stat().st_mtime >= started - 0.02 and path.stem != "index":
                        return time.time()
            look_again.wait(0.01)
        return time.time()


def _asks(said: str) -> bool:
    return "is not appended, because" in said or "rows were appended cannot be told" in said


def _table(chaos: Chaos, rounds: int, seconds: float) -> str:
    lines = [
        "",
        f"{rounds - chaos.kills['ended by itself']} of {rounds} runs killed, {chaos.greens} went "
        f"through in between, green; {seconds / 60:.1f} minutes",
        "",
        "kills by the last stage in the event log",
        *(f"  {stage:22}{chaos.kills[stage]:6}" for stage in STAGES),
        "",
        "invariants looked at",
        *(f"  {name:46}{count:6}" for name, count in sorted(chaos.look.checked.items())),
    ]
    if chaos.place.appends:
        lines += ["", f"runs that asked somebody to look at what was appended: {chaos.asked}"]
    with dg.DagsterInstance.from_config(str(chaos.place.home)) as instance:
        statuses = Counter(run.status.value for run in instance.get_runs())
    lines += [
        "",
        "runs, as Dagster shows them without a daemon: "
        + ", ".join(f"{count} {status}" for status, count in sorted(statuses.items())),
        "left in the end: "
        + (", ".join(f"{n} {what}" for what, n in debris(chaos.place).items()) or "nothing"),
        "",
        f"violations: {len(chaos.look.violations)}",
        *(f"  {violation}" for violation in chaos.look.violations),
    ]
    return "\n".join(lines)


def _crowd(folder: Path) -> tuple[Counter[str], list[str]]:
    """Have several want the same at once; return what was looked at, and what did not hold."""
    place = Place.create(folder / "crowd")
    with looking(place, folder / "look at the crowd") as look:
        place.write(1)
        with run(place) as first:
            look.holds("undisturbed run is green", first.code() == 0, first.text[-1500:])
        two_runs_and_an_analyst(place, look, 2, "reads")
        two_runs_and_an_analyst(place, look, 3, "writes")
        a_run_of_the_ui(place, look, 4)
    told = ", ".join(look.violations) or "all as it has to be"
    print(f"two runs at once, analysts, a run of the UI beside another: {told}", flush=True)
    return look.checked, look.violations


def main() -> int:
    """Do it as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--orders", type=int, default=2000, help="rows of the raw file")
    parser.add_argument("--every", type=int, default=3, help="kills before a run goes through")
    parser.add_argument("--append", action="store_true", help="append to one datasource too")
    asked = parser.parse_args()
    dice = random.Random(asked.seed)  # noqa: S311  # repeatable, and no secret
    # one in each of as many equal parts of a run, in any order
    shares = [(index + dice.random()) / asked.rounds for index in range(asked.rounds)]
    dice.shuffle(shares)
    print(f"seed {asked.seed}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mds chaos ", ignore_cleanup_errors=True) as folder:
        crowded, found = _crowd(Path(folder))
        place = Place.create(Path(folder) / "place", orders=asked.orders, appends=asked.append)
        with looking(place, Path(folder) / "look") as look:
            look.checked.update(crowded)
            look.violations += found
            chaos = Chaos(place, look, dice)
            chaos.begin()
            for number, share in enumerate(shares, start=1):
                is_last = number == asked.rounds
                chaos.round(number, share, goes_through=is_last or number % asked.every == 0)
            print(_table(chaos, asked.rounds, time.monotonic() - started))
    return 1 if look.violations else 0


if __name__ == "__main__":
    sys.exit(main())
