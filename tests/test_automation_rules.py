from hypothesis import given
from hypothesis import strategies as st

from mds_tableau.defs.automation import FileStates, Seen, compare

A, B = [1, 100], [2, 200]


def test_a_new_file_settles_on_the_second_look() -> None:
    """A file seen for the first time is moving; seen the same again it is settled and done."""
    first = compare({"a": A}, {}, {})
    assert first == Seen(settled=(), moving=("a",), gone=(), done={})
    second = compare({"a": A}, {"a": A}, first.done)
    assert second == Seen(settled=("a",), moving=(), gone=(), done={"a": A})


def test_a_file_that_is_still_written_is_left_alone() -> None:
    """While size or time of change differ from look to look, the file is moving."""
    for before in ([0, 100], [1, 99]):
        assert compare({"a": A}, {"a": before}, {}).moving == ("a",)


def test_a_done_file_is_neither_settled_nor_moving() -> None:
    """What a run was asked for is not asked for again until it changes."""
    seen = compare({"a": A}, {"a": A}, {"a": A})
    assert seen == Seen(settled=(), moving=(), gone=(), done={"a": A})


def test_a_changed_file_is_new_again() -> None:
    """Another size or time of change than that of the last run starts over."""
    assert compare({"a": B}, {"a": A}, {"a": A}).moving == ("a",)
    assert compare({"a": B}, {"a": B}, {"a": A}).done == {"a": B}


def test_a_file_that_is_gone_is_told_and_forgotten() -> None:
    """A file that went away asks for no run; when it comes back it is new."""
    seen = compare({}, {"a": A}, {"a": A, "b": B})
    assert seen == Seen(settled=(), moving=(), gone=("a", "b"), done={})
    assert compare({"a": A}, {"a": A}, seen.done).settled == ("a",)


def test_a_moving_file_keeps_its_last_done_state() -> None:
    """A file that changes and goes back to what the last run had asks for no run."""
    seen = compare({"a": B}, {"a": A}, {"a": A})
    assert compare({"a": A}, {"a": B}, seen.done) == Seen((), (), (), {"a": A})


STATES = st.dictionaries(
    st.sampled_from("abcd"), st.lists(st.integers(0, 2), min_size=2, max_size=2)
)


@given(now=STATES, before=STATES, done=STATES)
def test_each_file_is_in_one_state(now: FileStates, before: FileStates, done: FileStates) -> None:
    """Settled, moving and unchanged files make up the files now, sorted; gone ones the rest."""
    seen = compare(now, before, done)
    unchanged = {path for path in now if done.get(path) == now[path]}
    assert sorted([*seen.settled, *seen.moving, *unchanged]) == sorted(now)
    assert set(seen.gone) == done.keys() - now.keys()
    for paths in (seen.settled, seen.moving, seen.gone):
        assert list(paths) == sorted(paths)
    assert all(seen.done[path] == now[path] for path in (*seen.settled, *unchanged))
    assert seen.done.keys() <= now.keys()


@given(now=STATES, done=STATES)
def test_still_files_all_settle_and_ask_once(now: FileStates, done: FileStates) -> None:
    """When nothing moves, one look settles everything and the next has nothing to do."""
    seen = compare(now, now, done)
    assert seen.done == now
    assert compare(now, now, seen.done) == Seen((), (), (), now)
