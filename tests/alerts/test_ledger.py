"""What is remembered, when something is told once more, and how messages read."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from mds_tableau.alerts.ledger import Ledger, State
from mds_tableau.alerts.messages import Problem, Words

NOW = datetime(2026, 11, 25, 7, 16, tzinfo=timezone.utc)
DUE = datetime(2026, 11, 25, 7, 30, tzinfo=timezone.utc)
WORDS = Words("Europe/London", "http://ui.example.com", ["hushhush"])
SERVES = "The server still has 27 rows published 2026-11-24T06:41:00+00:00, revision 4"


def at_risk(**changes: str) -> Problem:
    """A deadline that is going to be missed."""
    known = Problem(
        key="deadline:sales",
        kind="at_risk",
        label="Sales (Retail/Daily)",
        reason="No run has started; it usually takes 12 minutes.",
        signature=DUE.isoformat(),
        since=NOW.isoformat(),
        ends_after=(DUE - timedelta(hours=12)).isoformat(),
        serves=SERVES,
        due=DUE.isoformat(),
        deadline="07:30 Europe/London",
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def failed(name: str, reason: str = "The server does not answer.") -> Problem:
    """An extract whose run failed."""
    at = NOW.isoformat()
    label = f"{name.capitalize()} (Retail)"
    return Problem(f"run:{name}", "failed", label, reason, reason, at, at, SERVES, "r1")


def told(state: State, now: datetime = NOW) -> list[str]:
    """Titles of what is told now."""
    return [message.title for message in state.compose(WORDS, ["hook"], now)]


def test_words_show_no_secret() -> None:
    """What may not be shown is not in their repr either."""
    assert "hushhush" not in repr(WORDS)


def test_messages_read_well() -> None:
    """A warning says what, when, why, what is still there, and where to look."""
    state = State()
    state.report(at_risk())
    [message] = state.compose(WORDS, ["hook"], NOW)
    assert message == (
        "AT RISK Sales (Retail/Daily): due 07:30 Europe/London, no run has started",
        "Due 2026-11-25 07:30 UTC (07:30 Europe/London).\n"
        "At risk since 2026-11-25 07:16 UTC (07:16 Europe/London).\n"
        "\n"
        "No run has started; it usually takes 12 minutes.\n"
        f"- Sales (Retail/Daily): {SERVES}\n"
        "\n"
        "Dagster: http://ui.example.com",
        "warning",
    )


@pytest.mark.parametrize(
    ("minutes", "words"), [(-1, ", in time. "), (0, ", in time. "), (11, ", 11 minutes late. ")]
)
def test_the_end_says_how_late_it_was(minutes: int, words: str) -> None:
    """What was told is told to be over, with how late that was, and only once."""
    state = State()
    state.report(at_risk())
    told(state)
    for _ in range(2):
        state.over("sales", at=DUE + timedelta(minutes=minutes), run_id="r2")
    [message] = state.compose(WORDS, ["hook"], NOW)
    assert message.title == "RECOVERED Sales (Retail/Daily)"
    assert message.tone == "success"
    assert f"(07:{30 + minutes} Europe/London){words}" in message.body
    assert message.body.endswith("Run: http://ui.example.com/runs/r2")
    assert told(state) == []


def test_each_change_is_told_once() -> None:
    """At risk, missed, and the next day: each once, however often it is reported."""
    state = State()
    said = []
    tomorrow = DUE + timedelta(days=1)
    for problem in (
        at_risk(),
        at_risk(reason="A run goes on."),
        at_risk(kind="missed"),
        at_risk(kind="missed"),
        at_risk(due=tomorrow.isoformat(), signature=tomorrow.isoformat()),
        # what was due before is no news then
        at_risk(kind="missed"),
    ):
        state.report(problem)
        said.append([title.split(" Sales")[0] for title in told(state)])
    assert said == [["AT RISK"], [], ["MISSED"], [], ["AT RISK"], []]


def test_what_was_over_before_it_was_told_is_not_told() -> None:
    """Nobody has to hear of what is right again."""
    state = State()
    state.report(failed("sales"))
    state.over("sales", at=NOW + timedelta(seconds=1), run_id="r2")
    assert told(state) == []


def test_a_publish_of_before_ends_nothing() -> None:
    """A failure is over with a publish after it, and with no other."""
    state = State()
    state.report(failed("sales"))
    told(state)
    state.over("sales", at=NOW - timedelta(seconds=1), run_id="r0")
    assert list(state.problems) == ["run:sales"]


def test_a_failure_and_its_deadline_end_together() -> None:
    """One message tells that both are over, since the first of them."""
    state = State()
    state.report(failed("sales"))
    told(state)
    state.report(at_risk(kind="missed", since=DUE.isoformat()))
    told(state)
    state.over("sales", at=DUE + timedelta(minutes=5), run_id="r2")
    [message] = state.compose(WORDS, ["hook"], DUE)
    assert ", 5 minutes late. Wrong since 2026-11-25 07:16 UTC" in message.body


def test_reasons_are_grouped_and_cut(tmp_path: Path) -> None:
    """Many reasons are one message with the most common first, of a length that services take."""
    state = State()
    for number in range(30):
        state.report(failed(f"alone_{number}", f"Reason {number} hushhush " + "x" * 1000))
        state.report(failed(f"mart_{number}"))
    [message] = state.compose(WORDS, ["hook"], NOW)
    assert message.title == "FAILED 60 datasources"
    body = message.body.splitlines()
    assert body[3] == "The server does not answer."
    assert "... and 10 more." in body
    assert "... and 21 more reasons." in body
    assert max(map(len, body)) <= 400
    assert "hushhush" not in message.body


def test_state_survives_and_what_nobody_can_read_is_begun_anew(tmp_path: Path) -> None:
    """It is read back as it was written; a file of another version or half a file stops nothing."""
    ledger = Ledger(tmp_path)
    with ledger.opened() as state:
        state.report(failed("sales"))
        state.compose(WORDS, ["hook", "other"], NOW)
        written = state
    with Ledger(tmp_path).opened() as state:
        assert state == written
        assert told(state) == []
        state.arrived({"hook": {state.waiting[0].id}})
        assert [one.left for one in state.waiting] == [["other"]]
    for content in ("", '{"problems": {"a": {"x": 1}}}', '{"other": 1}', "[]", '{"waiting": 7}'):
        (tmp_path / "state.json").write_text(content)
        with ledger.opened() as state:
            assert state == State()


def test_an_error_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    """What fails halfway is not written, so that it is done again."""
    ledger = Ledger(tmp_path)

    def fail() -> None:
        with ledger.opened() as state:
            state.report(failed("sales"))
            raise OSError("stopped")

    with pytest.raises(OSError, match="stopped"):
        fail()
    with ledger.opened() as state:
        assert state.problems == {}


def test_messages_do_not_wait_for_ever() -> None:
    """After seven days, or where nobody is left to be told, a message is given up."""
    state = State()
    state.report(failed("sales"))
    told(state)
    assert state.drop_old(["hook"], NOW + timedelta(days=6, hours=23)) == 0
    assert state.drop_old(["hook"], NOW + timedelta(days=7)) == 1
    state.report(failed("orders", "Another reason."))
    told(state)
    assert state.drop_old(["other"], NOW) == 0
    assert state.waiting == []
