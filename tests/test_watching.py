"""Which sources have changed, by tables of cases and by random sequences of looks."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mds_tableau.watching import Known, Look, Memory, judge, remembering, run_key

NOTHING = Look("")
BLIND = Look(problem="Stale file handle")


@pytest.mark.parametrize(
    ("look", "before", "verdict"),
    [
        (Look("1"), Known(), "moving"),
        (Look("1"), Known(seen="1"), "settled"),
        (Look("1"), Known(seen="1", done="1"), "same"),
        (Look("2"), Known(seen="1", done="1"), "moving"),
        (Look("2"), Known(seen="2", done="1"), "settled"),
        (Look("1"), Known(seen="2", done="1"), "same"),
        (NOTHING, Known(), "same"),
        (NOTHING, Known(seen="1"), "gone"),
        (NOTHING, Known(seen="1", done="1"), "gone"),
        (BLIND, Known(), "blind"),
        (BLIND, Known(seen="1", done="1"), "blind"),
    ],
)
def test_a_source_is_in_one_state(look: Look, before: Known, verdict: str) -> None:
    """Each look at a source comes to one conclusion."""
    found = judge({"a": look}, Memory({"a": before}))
    states = {
        "settled": found.settled,
        "moving": found.moving,
        "gone": found.gone,
        "blind": found.blind,
    }
    assert [name for name, sources in states.items() if sources] == [verdict] * (verdict != "same")


def test_where_nothing_can_be_half_written_one_look_is_enough() -> None:
    """A change counts at once when it need not settle, and once."""
    found = judge({"a": Look("1")}, Memory(), settles=False)
    assert found.settled == ("a",)
    memory = remembering(Memory(), found, {}, ["a"])
    assert judge({"a": Look("1")}, memory, settles=False).settled == ()


def test_what_is_gone_or_out_of_sight_is_remembered() -> None:
    """A source that comes back as it was has not changed; with something else it has."""
    memory = Memory({"a": Known(seen="1", done="1")}, runs=1)
    for look in (NOTHING, BLIND, NOTHING):
        memory = remembering(memory, judge({"a": look}, memory), {}, [])
    assert judge({"a": Look("1")}, memory).settled == ()
    assert judge({"a": Look("1")}, memory).moving == {}
    assert judge({"a": Look("2")}, memory).moving == {"a": 1}


def test_what_is_no_source_any_more_is_forgotten() -> None:
    """The memory does not grow by sources that were removed from the project."""
    memory = Memory({"a": Known(seen="1", done="1"), "b": Known(seen="1", done="1")})
    assert set(remembering(memory, judge({"b": Look("1")}, memory), {}, []).sources) == {"b"}


def test_a_source_that_never_rests_is_counted() -> None:
    """The number of looks in a row at which it was another one is told."""
    memory = Memory()
    for number in range(1, 5):
        found = judge({"a": Look(str(number))}, memory)
        assert found.moving == {"a": number}
        memory = remembering(memory, found, {}, [])
    assert judge({"a": Look("4")}, memory).settled == ("a",)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "not JSON",
        "[]",
        "3",
        json.dumps({"before": {"/raw/a.csv": [1, 2]}, "done": {"/raw/a.csv": [1, 2]}}),
        json.dumps({"version": 3, "runs": 1, "sources": {}}),
        json.dumps({"version": 2, "runs": 1, "sources": {"a": {"mark": "1"}}}),
        json.dumps({"version": 2, "runs": 1, "sources": {"a": 1}}),
        json.dumps({"version": 2, "runs": 1, "sources": []}),
        json.dumps({"version": 2, "sources": {}}),
    ],
)
def test_a_memory_of_another_form_is_none(text: str | None) -> None:
    """What an older or newer release left, or nobody, is as if nothing had been remembered."""
    assert Memory.load(text) == Memory()


MARKS = st.sampled_from(["", "1", "2"])
KNOWN = st.builds(Known, MARKS, MARKS, MARKS, st.integers(0, 9))
MEMORIES = st.builds(Memory, st.dictionaries(st.sampled_from("abc"), KNOWN), st.integers(0, 9))
LOOKS = st.dictionaries(
    st.sampled_from("abc"), st.one_of(st.builds(Look, MARKS), st.just(BLIND)), min_size=1
)


@given(memory=MEMORIES)
def test_a_memory_survives_being_kept(memory: Memory) -> None:
    """What is loaded is what was dumped."""
    assert Memory.load(memory.dump()) == memory


@given(memory=MEMORIES, looks=LOOKS)
def test_two_looks_at_the_same_start_at_most_one_run(
    memory: Memory, looks: dict[str, Look]
) -> None:
    """Whatever is remembered, the third look at the same content never starts anything."""
    for _ in range(2):
        found = judge(looks, memory)
        memory = remembering(memory, found, {}, found.settled)
    assert judge(looks, memory).settled == ()


@given(marks=st.lists(st.one_of(st.sampled_from("12").map(Look), st.just(NOTHING), st.just(BLIND))))
def test_what_rests_at_last_has_had_a_run(marks: list[Look]) -> None:
    """After any sequence of looks, what rests is what the last run was started for."""
    memory, last = Memory(), ""
    for look in [*marks, Look("1"), Look("1")]:
        found = judge({"a": look}, memory)
        memory = remembering(memory, found, {}, found.settled)
        last = look.mark if found.settled else last
    assert last == "1"


def test_a_run_key_is_of_one_look() -> None:
    """Judging a look again gives its key; going back to earlier content gives another."""
    memory, keys = Memory(), []
    for mark in "121":
        for _ in range(2):
            found = judge({"a": Look(mark)}, memory)
            following = remembering(memory, found, {}, found.settled)
            if found.settled:
                again = remembering(memory, judge({"a": Look(mark)}, memory), {}, found.settled)
                keys.append(run_key(following, found.settled))
                assert run_key(again, found.settled) == keys[-1]
            memory = following
    assert len(set(keys)) == 3
