# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stored releases and the request -> steps; which archive members may be unpacked, and where."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy.release import (
    HISTORY_KEPT,
    Activate,
    Activation,
    Clean,
    Drop,
    Mark,
    MarkBad,
    MarkGood,
    ReleaseError,
    State,
    Step,
    Store,
    Stored,
    Wanted,
    check_member,
    check_root,
    describe,
    member_mode,
    outcome,
    parse_record,
    parse_state,
    parse_wanted,
    plan,
    predict,
    render_record,
    render_state,
    report_bad,
    report_history,
    summary,
)
from hypothesis import given
from hypothesis import strategies as st

SUM = "a" * 64
OTHER_SUM = "b" * 64


def stored(*releases: str) -> tuple[Stored, ...]:
    """Releases in the order in which they were stored."""
    return tuple(Stored(release, SUM, number, 1700000000 + number) for number, release in enumerate(releases, 1))


def activations(*releases: str) -> tuple[Activation, ...]:
    """Releases in the order in which they became current."""
    return tuple(Activation(release, 1700000000 + number) for number, release in enumerate(releases, 1))


BROKEN = Mark("r2", "answers 500", 1700000000)


@pytest.mark.parametrize("release", ["1", "2025-06-01.1", "v1.2.3_rc-1", "A" * 64])
def test_a_release_id_is_taken(release: str) -> None:
    wanted = parse_wanted(release, state="present", src="/x", sha256=SUM.upper(), activate="never", keep=1)
    assert wanted == Wanted(release, "present", SUM, "never", 1)


@pytest.mark.parametrize(
    "release", ["", "../../etc", "a;rm -rf /", ".hidden", "-rf", "a/b", "a b", "A" * 65, "a\n", "$(id)", "ä"]
)
def test_any_other_release_id_is_refused_by_name(release: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        parse_wanted(release, state="present", src=None, sha256=None, activate="never", keep=5)
    assert str(caught.value).startswith(f"release: {release!r} is not a release id; expected")


@pytest.mark.parametrize(
    ("src", "sha256", "keep", "message"),
    [
        ("/x.tar", None, 5, "sha256: is missing"),
        ("/x.tar", "abc", 5, "sha256: 'abc' is not a checksum"),
        ("/x.tar", SUM + "\n", 5, "is not a checksum"),
        (None, None, 0, "keep: 0 is out of range"),
        (None, None, -1, "keep: -1 is out of range"),
    ],
)
def test_bad_options_are_refused_by_name(src: str | None, sha256: str | None, keep: int, message: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        parse_wanted("r1", state="present", src=src, sha256=sha256, activate="never", keep=keep)
    assert message in str(caught.value)


@pytest.mark.parametrize("reason", [None, "", " \n"])
def test_a_release_is_bad_for_a_reason(reason: str | None) -> None:
    with pytest.raises(ReleaseError, match="reason: is missing; expected what is wrong"):
        parse_wanted("r1", state="bad", src=None, sha256=None, activate="never", keep=5, reason=reason)


@pytest.mark.parametrize("root", ["", "/", "/srv", "srv/x", "/srv/../etc", "/srv/x/", "//srv/x"])
def test_a_root_that_is_dangerous_or_relative_is_refused(root: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        check_root(root)
    assert f"root: {root!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("state", "wanted", "steps"),
    [
        (State(), Wanted("r1", sha256=SUM), (Store("r1", SUM, 1), Activate("r1", None))),
        (State(), Wanted("r1", sha256=SUM, activate="never"), (Store("r1", SUM, 1),)),
        (State(stored("r1"), "r1"), Wanted("r1", sha256=SUM), ()),
        (State(stored("r1"), "r1"), Wanted("r1"), ()),
        (State(stored("r1"), "r1"), Wanted("r2", sha256=SUM), (Store("r2", SUM, 2),)),
        (
            State(stored("r1"), "r1"),
            Wanted("r2", sha256=SUM, activate="always"),
            (Store("r2", SUM, 2), Activate("r2", "r1")),
        ),
        (
            State(stored("r1", "r2"), "r2", activations("r1", "r2")),
            Wanted("r1", activate="always"),
            (Activate("r1", "r2"),),
        ),
        (State(stored("r1", "r2")), Wanted("r1"), (Activate("r1", None),)),
        (
            State(stored("r1", "r2", "r3"), "r3", activations("r2", "r3")),
            Wanted("r4", sha256=SUM, activate="always", keep=2),
            (Store("r4", SUM, 4), Activate("r4", "r3"), Drop("r2", "prune"), Drop("r1", "prune")),
        ),
        # The current one and the one before it are the oldest, and stay.
        (
            State(stored("r1", "r2", "r3", "r4"), "r1", activations("r2", "r1")),
            Wanted("r5", sha256=SUM, keep=1),
            (Store("r5", SUM, 5), Drop("r4", "prune"), Drop("r3", "prune")),
        ),
        (
            State(stored("r1", "r2"), "r2", activations("r1", "r2")),
            Wanted("r1", state="absent"),
            (Drop("r1", "remove"),),
        ),
        (State(stored("r2"), "r2"), Wanted("r1", state="absent"), ()),
        (State(debris=("/x/.r1.partial",)), Wanted("r1", state="absent"), (Clean("/x/.r1.partial"),)),
        (State(stored("r2"), "r2"), Wanted("r2", "bad", reason="exits"), (MarkBad("r2", "exits"),)),
        (State(stored("r2"), "r2", bad=(BROKEN,)), Wanted("r2", "bad", reason="exits"), ()),
        (State(stored("r2"), bad=(BROKEN,)), Wanted("r2", "good"), (MarkGood("r2"),)),
        (State(bad=(BROKEN,)), Wanted("r2", "good"), (MarkGood("r2"),)),
        (State(stored("r2")), Wanted("r2", "good"), ()),
        (State(stored("r1", "r2"), bad=(BROKEN,)), Wanted("r2", "absent"), (Drop("r2", "remove"), MarkGood("r2"))),
        # A bad release may be fetched, and stays where it is current.
        (State(bad=(BROKEN,)), Wanted("r2", sha256=SUM, activate="never"), (Store("r2", SUM, 1),)),
        (State(stored("r2"), "r2", bad=(BROKEN,)), Wanted("r2"), ()),
        # Not the bad one before it stays, but the good one before that.
        (
            State(stored("r1", "r2", "r3"), "r3", activations("r1", "r2", "r3"), (BROKEN,)),
            Wanted("r4", sha256=SUM, keep=1),
            (Store("r4", SUM, 4), Drop("r2", "prune")),
        ),
    ],
)
def test_steps(state: State, wanted: Wanted, steps: tuple[Step, ...]) -> None:
    assert plan(state, wanted) == steps


@pytest.mark.parametrize(
    ("state", "wanted", "message"),
    [
        (State(stored("r1"), "r1"), Wanted("r1", state="absent"), "release r1 is current"),
        (State(), Wanted("r1"), "release r1 is not stored on this host; give its archive"),
        (State(stored("r1")), Wanted("r1", sha256=OTHER_SUM), f"stored from an archive with SHA-256 {SUM}"),
        (State(stored("r1")), Wanted("r7", "bad", reason="x"), "release r7 is not stored on this host, which has r1"),
        (
            State(stored("r1", "r2"), "r1", bad=(BROKEN,)),
            Wanted("r2", activate="always"),
            "release r2 was found bad on 2023-11-14T22:13:20Z: answers 500; deploy a release that mends it",
        ),
        (State(stored("r2"), "r2", bad=(BROKEN,)), Wanted("r2", activate="always"), "release r2 was found bad"),
        (State(stored("r2"), bad=(BROKEN,)), Wanted("r2"), "release r2 was found bad"),
        (State(foreign=("r1",)), Wanted("r1", sha256=SUM), "releases/r1 is there but has no .slipway-release.json"),
    ],
)
def test_what_cannot_be_is_refused(state: State, wanted: Wanted, message: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        plan(state, wanted)
    assert message in str(caught.value)


Case = tuple[State, Wanted, frozenset[str]]


def test_a_release_in_use_is_neither_pruned_nor_removed() -> None:
    state = State(stored("r1", "r2", "r3"), "r3")
    assert plan(state, Wanted("r3", keep=1), {"r1"}) == (Drop("r2", "prune"),)
    with pytest.raises(ReleaseError, match="release r1 is in use"):
        plan(state, Wanted("r1", "absent"), {"r1"})


@pytest.mark.parametrize(
    ("history", "bad", "previous"),
    [
        ((), (), None),
        (("r3",), (), None),
        (("r1", "r3"), (), "r1"),
        (("r1", "r2", "r3"), (), "r2"),
        (("r1", "r2", "r3"), ("r2",), "r1"),
        (("r1", "gone", "r3"), (), "r1"),
        # After going back, what was left is the one to go to, unless that was why.
        (("r1", "r2", "r3", "r2", "r3"), ("r2",), "r1"),
        (("r3", "r2", "r3"), ("r2",), None),
    ],
)
def test_the_release_to_go_back_to(history: tuple[str, ...], bad: tuple[str, ...], previous: str | None) -> None:
    marks = tuple(Mark(release, "x", 1) for release in bad)
    assert State(stored("r1", "r2", "r3"), "r3", activations(*history), marks).previous == previous


def test_the_history_has_an_end() -> None:
    state = State(stored("r1", "r2"), "r2")
    for number in range(HISTORY_KEPT + 5):
        state = predict(state, [Activate("r1" if number % 2 == 0 else "r2", state.current)], number)
    assert len(state.history) == HISTORY_KEPT
    assert state.history[-1] == Activation("r1", HISTORY_KEPT + 4)


def test_what_is_remembered_is_read_as_it_was_written() -> None:
    state = State(stored("r1", "r2"), "r2", activations("r1", "r2"), (BROKEN,))
    assert parse_state(render_state(state)) == (state.history, state.bad)
    assert parse_state({}) == ((), ())
    assert report_bad(state) == {"r2": {"reason": "answers 500", "at": "2023-11-14T22:13:20Z"}}
    assert report_history(state)[0] == {"release": "r1", "at": "2023-11-14T22:13:21Z"}


@pytest.mark.parametrize(
    "raw", [{"history": {"r1": 1}}, {"history": [{"release": "r1"}]}, {"bad": ["r1"]}, {"bad": {"r1": "x"}}]
)
def test_what_is_no_record_of_activations_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(ReleaseError, match="not a record of activations"):
        parse_state(raw)


names = st.sampled_from([f"r{number}" for number in range(9)])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    have = draw(st.lists(names, unique=True))
    current = draw(st.sampled_from([None, *have]))
    past = draw(st.lists(names, max_size=4))
    history = activations(*past, *([current] if current else []))
    debris = draw(st.sampled_from([(), ("/srv/x/releases/.r1.partial",)]))
    wanted = Wanted(
        draw(names),
        draw(st.sampled_from(["present", "absent"])),
        SUM,
        draw(st.sampled_from(["if_none", "always", "never"])),
        draw(st.integers(1, 6)),
    )
    in_use = draw(st.frozensets(names, max_size=3))
    bad = draw(st.frozensets(names.filter(lambda name: name != wanted.release), max_size=3))
    marks = tuple(Mark(name, "broken", 5) for name in sorted(bad))
    return State(stored(*have), current, history, marks, debris), wanted, in_use


@given(cases())
def test_planning_again_after_the_steps_is_empty(case: Case) -> None:
    state, wanted, in_use = case
    if wanted.state == "absent" and wanted.release in {state.current, *in_use}:
        return
    assert plan(predict(state, plan(state, wanted, in_use)), wanted, in_use) == ()


@given(cases())
def test_neither_the_current_nor_the_previous_release_is_pruned(case: Case) -> None:
    state, wanted, in_use = case
    if wanted.state == "absent" and wanted.release in {state.current, *in_use}:
        return
    steps = plan(state, wanted, in_use)
    then = predict(state, steps)
    dropped = {step.release for step in steps if isinstance(step, Drop)}
    assert then.current not in dropped
    assert not in_use & dropped
    if wanted.state == "present":
        assert wanted.release not in dropped
        assert then.previous == predict(state, [step for step in steps if not isinstance(step, Drop)]).previous
        assert len(then.stored) <= wanted.keep + 3 + len(in_use)
        assert all(release in dropped or then.find(release) for release in (item.release for item in state.stored))
        if state.current is not None and then.current != state.current and not state.mark(state.current):
            assert then.previous == state.current


@given(cases())
def test_only_activation_moves_current(case: Case) -> None:
    state, wanted, in_use = case
    if state.current is None or wanted.activate == "always" or wanted.state == "absent":
        return
    assert predict(state, plan(state, wanted, in_use)).current == state.current


def test_a_record_says_what_was_stored() -> None:
    item = Stored("r1", SUM, 3, 1700000003)
    assert parse_record(render_record(item)) == item
    assert json.loads(render_record(item))["id"] == "r1"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"id": "r1", "sha256": "x", "sequence": "y", "stored_at": 1}']
)
def test_what_is_not_a_record_is_told_from_one(text: str) -> None:
    with pytest.raises(ReleaseError, match="not a release record"):
        parse_record(text)


@pytest.mark.parametrize(
    ("name", "kind", "target", "place"),
    [
        (".", "directory", "", ""),
        ("./", "directory", "", ""),
        ("./a/b", "file", "", "a/b"),
        ("a//b/", "directory", "", "a/b"),
        ("a/b", "symlink", "../c", "a/b"),
        ("a/b", "hardlink", "./a/c", "a/b"),
        ("a/../b", "file", "", "b"),
        ("..a", "file", "", "..a"),
    ],
)
def test_members_inside_are_placed(name: str, kind: str, target: str, place: str) -> None:
    assert check_member(name, kind, target) == place


@pytest.mark.parametrize(
    ("name", "kind", "target", "message"),
    [
        ("/etc/passwd", "file", "", "outside the release"),
        ("../x", "file", "", "outside the release"),
        ("a/../../x", "file", "", "outside the release"),
        ("..", "directory", "", "outside the release"),
        ("a", "symlink", "/etc", "is a link to '/etc', outside"),
        ("a/b", "symlink", "../../x", "outside the release"),
        ("a", "symlink", "..", "outside the release"),
        ("a/b", "hardlink", "../x", "outside the release"),
        ("dev", "other", "", "neither a file, a directory nor a link"),
        ("./.slipway-release.json", "file", "", "kept for the release's own record"),
    ],
)
def test_members_that_lead_outside_are_refused(name: str, kind: str, target: str, message: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        check_member(name, kind, target)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(0o644, 0o644), (0o666, 0o644), (0o777, 0o755), (0o600, 0o640), (0o700, 0o750), (0o4755, 0o755), (0, 0o440)],
)
def test_only_the_owner_may_write_and_the_group_reads_what_the_owner_reads(mode: int, expected: int) -> None:
    assert member_mode(mode, directory=False) == expected
    assert member_mode(mode, directory=True) == 0o755


def test_steps_and_state_in_words() -> None:
    state = State(stored("r1"), "r1", activations("r1"), debris=("/x",))
    wanted = Wanted("r2", sha256=SUM, activate="always", keep=1)
    steps = plan(state, wanted)
    assert describe(steps) == [
        {"action": "clean", "path": "/x"},
        {"action": "store", "release": "r2"},
        {"action": "activate", "release": "r2"},
    ]
    then = predict(state, steps)
    assert summary(then) == "current: r2\nprevious: r1\nstored: r2\nstored: r1\n"
    assert outcome("/srv/slipway/shop", wanted, steps, then) == "shop: r2 becomes current, after r1"


@pytest.mark.parametrize(
    ("state", "wanted", "sentence"),
    [
        (State(stored("r1"), "r1"), Wanted("r1"), "shop: r1 is already current, nothing to do"),
        (State(stored("r1", "r2"), "r1"), Wanted("r2"), "shop: r2 is already stored, r1 stays current"),
        (State(stored("r1"), "r1"), Wanted("r2", sha256=SUM), "shop: r2 gets stored, r1 stays current"),
        (State(stored("r1")), Wanted("r1", state="absent"), "shop: r1 gets removed"),
        (State(), Wanted("r1", state="absent"), "shop: r1 is not stored, nothing to do"),
        (State(stored("r2")), Wanted("r2", "bad", reason="exits"), "shop: r2 gets marked bad: exits"),
        (State(bad=(BROKEN,)), Wanted("r2", "bad", reason="exits"), "shop: r2 is already marked bad, nothing to do"),
        (State(bad=(BROKEN,)), Wanted("r2", "good"), "shop: r2 is no longer marked bad"),
        (State(), Wanted("r2", "good"), "shop: r2 is not marked bad, nothing to do"),
    ],
)
def test_the_outcome_says_what_came_of_it(state: State, wanted: Wanted, sentence: str) -> None:
    steps = plan(state, wanted)
    assert outcome("/srv/slipway/shop", wanted, steps, predict(state, steps)) == sentence
