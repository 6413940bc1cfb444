"""What is left when all processes of a run are killed at once, and several want the same at once.

`make chaos` does it at random moments, for longer.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.chaos.crowd import analyst, run, two_runs_and_an_analyst, wait_for
from tests.chaos.invariants import Look, Server, debris, looking
from tests.chaos.kills import below, power_cut
from tests.chaos.place import Place

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.dbt,
    pytest.mark.hyper,
    pytest.mark.skipif(shutil.which("kill") is None, reason="kills as a Linux system does"),
]


def _kill_when(place: Place, look: Look, appears: Callable[[], object]) -> Server:
    """Kill a run when something appears; return what the server has then, all being whole."""
    run = place.start()
    wait_for(lambda: appears() or run.poll() is not None, "the moment of a kill")
    assert run.poll() is None
    power_cut(run, place.home)
    assert below(place.home) == []
    look.files()
    look.locks()
    return look.server()


def _count(place: Place, table: str) -> int:
    database = place.work.data / "sandbox" / "sandbox.sqlite3"
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db,
    ):
        [[count]] = db.execute(f"SELECT count(*) FROM {table}").fetchall()
        return int(count)
    return 0


def test_killed_runs_and_two_at_once(tmp_path: Path) -> None:
    """Whenever a run is killed, all is whole, and the next runs go on without a hand.

    Killed are runs in dbt, while Hyper converts, when the server has been told to publish, and when
    it has published what nobody has written down yet. In the end two runs begin at once while
    an analyst has the DuckDB file open: both wait, end well, and publish once.
    """
    place = Place.create(tmp_path / "with space", orders=200)
    place.write(1)
    with looking(place, tmp_path / "look") as look:
        server = _kill_when(place, look, place.warehouse.exists)
        assert server.rows == {}
        converted = place.work.data / "hyper"
        server = _kill_when(place, look, lambda: list(converted.glob(".*.tmp.hyper")))
        assert server.rows == {}
        server = _kill_when(place, look, lambda: _count(place, "jobs"))
        assert set(look.states_of(server, [1]).values()) <= {1, None}
        known = sum(server.revisions.values())
        place.write(2)
        server = _kill_when(place, look, lambda: _count(place, "revisions") > known)
        # each as a whole, as it was or as it is to be
        for name, state in look.states_of(server, [1, 2]).items():
            assert (state is None) == (name not in server.rows), name
        two_runs_and_an_analyst(place, look, 3, "reads")
        assert look.violations == []
        left = debris(place)
    assert not any("tmp" in what for what in left), left
    assert look.checked["extract is whole"] > 3


def test_the_warehouse_is_taken_while_dbt_starts(tmp_path: Path) -> None:
    """Who opens the DuckDB file just before dbt does is waited for, too; nothing fails by it."""
    place = Place.create(tmp_path, orders=10)
    place.write(1)
    place.warehouse.parent.mkdir()
    builds = place.work.project / "target"
    with run(place) as one:
        wait_for(lambda: list(builds.glob("[0-9a-f]" * 7)), "the start of dbt")
        with analyst(place.warehouse, "writes"):
            wait_for(
                lambda: "Could not set lock" in one.text or one.process.poll() is not None,
                "dbt that finds the file taken",
            )
        assert one.code() == 0, one.text[-3000:]
        assert "dbt found the warehouse held" in one.text
