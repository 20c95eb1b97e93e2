# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kept releases and the request -> steps, and what is served after them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy.assets import (
    PATHS_SHOWN,
    Add,
    Kept,
    Link,
    Renew,
    Step,
    Store,
    Unlink,
    Wanted,
    describe,
    is_below,
    next_time,
    outcome,
    parents,
    parse_directory,
    parse_record,
    parse_wanted,
    plan,
    predict,
    render_record,
    summary,
    union,
)
from ansible_collections.slipway.stack.plugins.module_utils.deploy.release import Clean, Drop, ReleaseError
from hypothesis import given
from hypothesis import strategies as st

SUM = "a" * 64
OTHER_SUM = "b" * 64
DIRECTORIES = ("public",)


def kept(release: str, sequence: int, files: Mapping[str, str] | None = None) -> Kept:
    """A release that arrived as the ``sequence``-th."""
    return Kept(release, SUM, sequence, 1700000000 + sequence, DIRECTORIES, files or {})


def wanted(release: str, files: Mapping[str, str] | None = None, **more: object) -> Wanted:
    """A release whose archive is at hand."""
    return Wanted(release, sha256=SUM, directories=DIRECTORIES, files=files, **more)  # type: ignore[arg-type]


R1 = kept("r1", 1, {"public/a": "1", "public/old": "2"})
R2 = kept("r2", 2, {"public/a": "3", "public/new": "4"})
SERVED = {"public/a": "3", "public/old": "2", "public/new": "4"}
BOTH = Store((R1, R2), SERVED)


@pytest.mark.parametrize(
    ("store", "request_", "steps"),
    [
        pytest.param(
            Store(),
            wanted("r1", {"public/a": "new:public/a"}),
            (Add("r1", SUM, 1, DIRECTORIES), Link("public/a", "r1")),
            id="the first release",
        ),
        pytest.param(Store(), wanted("r1"), (Add("r1", SUM, 1, DIRECTORIES),), id="files are not known yet"),
        pytest.param(BOTH, wanted("r2"), (), id="already there"),
        pytest.param(BOTH, wanted("r1"), (), id="an older one is already there"),
        pytest.param(
            BOTH,
            wanted("r1", renew=True),
            (Renew("r1", 3), Link("public/a", "r1")),
            id="an older one wins again",
        ),
        pytest.param(BOTH, wanted("r2", renew=True), (), id="the newest is the newest"),
        pytest.param(
            BOTH,
            wanted("r3", {"public/a": "3", "public/c": "new:public/c"}, keep=2),
            (
                Add("r3", SUM, 3, DIRECTORIES),
                Link("public/c", "r3"),
                Drop("r1", "prune"),
                Unlink("public/old"),
            ),
            id="the same content needs no link, the oldest goes",
        ),
        pytest.param(
            BOTH,
            Wanted("r2", present=False),
            (Link("public/a", "r1"), Drop("r2", "remove"), Unlink("public/new")),
            id="the release before wins where one is removed",
        ),
        pytest.param(BOTH, Wanted("r9", present=False), (), id="what is not there need not be removed"),
        pytest.param(
            Store((R1,), {"public/a": "1", "public/old": "2", "public/stray": "9"}, debris=("/x/.r1.partial",)),
            wanted("r1"),
            (Clean("/x/.r1.partial"), Unlink("public/stray")),
            id="leftovers go",
        ),
        pytest.param(
            Store((R1,), {"public/a": "1"}), wanted("r1"), (Link("public/old", "r1"),), id="what is missing comes back"
        ),
        pytest.param(
            Store((kept("r1", 1, {"public/a": "1"}),), {"public/a": "1"}),
            wanted("r2", {"public/a/b": "new:public/a/b"}),
            (Add("r2", SUM, 2, DIRECTORIES), Unlink("public/a"), Link("public/a/b", "r2")),
            id="a file becomes a directory",
        ),
        pytest.param(
            Store((kept("r1", 1, {"public/a/b": "1"}),), {"public/a/b": "1"}),
            wanted("r2", {"public/a": "new:public/a"}),
            (Add("r2", SUM, 2, DIRECTORIES), Unlink("public/a/b"), Link("public/a", "r2")),
            id="a directory becomes a file",
        ),
        pytest.param(
            BOTH,
            Wanted("r1", sha256=SUM, directories=("public", "static"), files={**R1.files, "static/x": "new:static/x"}),
            (Add("r1", SUM, 1, ("public", "static")), Link("static/x", "r1")),
            id="another directory of an old release",
        ),
        pytest.param(BOTH, Wanted("r2", directories=("public/deep",)), (), id="a directory inside one that is kept"),
    ],
)
def test_steps(store: Store, request_: Wanted, steps: tuple[Step, ...]) -> None:
    assert plan(store, request_) == steps


@pytest.mark.parametrize(
    ("store", "request_", "message"),
    [
        (BOTH, Wanted("r3", directories=DIRECTORIES), "release r3 is not kept on this host; give its archive"),
        (BOTH, Wanted("r2", directories=("public", "static")), "release r2 is without static kept on this host"),
        (BOTH, Wanted("r1", sha256=OTHER_SUM, directories=DIRECTORIES), f"kept from an archive with SHA-256 {SUM}"),
        (Store(foreign=("r1",)), wanted("r1"), "releases/r1 is there but has no .slipway-release.json"),
    ],
)
def test_what_cannot_be_is_refused(store: Store, request_: Wanted, message: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        plan(store, request_)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"release": "../x"}, "release: '../x' is not a release id"),
        ({"keep": 0}, "keep: 0 is out of range"),
        ({"sha256": None}, "sha256: is missing"),
        ({"sha256": "abc"}, "sha256: 'abc' is not a checksum"),
        ({"directories": []}, "directories: is empty"),
        *(
            ({"directories": ["public", directory]}, f"directories: {directory!r} is not usable")
            for directory in ("", ".", "./", "..", "/etc", "a/../..", "a/../b", "../x", "a\nb", "//x")
        ),
    ],
)
def test_bad_options_are_refused_by_name(change: dict[str, object], message: str) -> None:
    options = {"release": "r1", "present": True, "src": "/x", "sha256": SUM, "directories": ["public"], "keep": 5}
    with pytest.raises(ReleaseError) as caught:
        parse_wanted(**{**options, "renew": False, **change})  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_good_options_are_taken_in_their_shortest_form() -> None:
    got = parse_wanted(
        "r1",
        present=True,
        src="/x",
        sha256=SUM.upper(),
        directories=["public/", "./.next//static", "public"],
        keep=2,
        renew=True,
    )
    assert got == Wanted("r1", True, SUM, (".next/static", "public"), 2, True)
    assert parse_wanted("r1", present=False, src=None, sha256=None, directories=[], keep=1, renew=False).sha256 is None


def test_paths() -> None:
    assert is_below("public", ["public"])
    assert is_below("public/a", ["x", "public"])
    assert not is_below("publicity/a", ["public"])
    assert list(parents("a/b/c")) == ["a/b", "a"]
    assert parse_directory("..a") == "..a"


def test_a_record_says_what_is_kept() -> None:
    item = Kept("r1", SUM, 3, 1700000003, ("a", "b"))
    assert parse_record(render_record(item)) == item


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": "r", "sha256": "x", "sequence": 1, "stored_at": 1}'])
def test_what_is_not_a_record_is_told_from_one(text: str) -> None:
    with pytest.raises(ReleaseError, match="not a record"):
        parse_record(text)


def test_no_two_releases_bring_files_of_the_same_time() -> None:
    assert next_time(Store(), 5) == 5
    assert next_time(BOTH, 5) == R2.stored_at + 1


def test_steps_and_store_in_words() -> None:
    request_ = wanted("r3", {"public/a": "new:public/a"}, keep=1)
    steps = plan(Store((R1, R2), SERVED, debris=("/x",)), request_)
    assert describe(steps) == [
        {"action": "clean", "path": "/x"},
        {"action": "add", "release": "r3"},
        {"action": "prune", "release": "r2"},
        {"action": "prune", "release": "r1"},
        {"action": "link", "files": 1},
        {"action": "unlink", "files": 2},
    ]
    assert summary(BOTH, steps).splitlines() == [
        "release: r2 (public)",
        "release: r1 (public)",
        "files: 3",
        "  public/a (r2)",
        "  public/new (r2)",
        "  public/old (r1)",
    ]
    many = tuple(Unlink(f"public/{number}") for number in range(1000))
    store = Store((R1,), {step.path: "1" for step in many})
    assert len(summary(store, many).splitlines()) == PATHS_SHOWN + 2


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (wanted("r2"), "shop: r2 is already there, nothing to do"),
        (Wanted("r9", present=False), "shop: r9 is not there, nothing to do"),
        (wanted("r3", {}), "shop: r3 gets added, 3 files of 3 releases are served"),
        (wanted("r3"), "shop: r3 gets added"),
        (wanted("r1", renew=True), "shop: r1 becomes the newest again, 3 files of 2 releases are served"),
        (Wanted("r2", present=False), "shop: r2 gets removed, 2 files of 1 release are served"),
    ],
)
def test_the_outcome_in_a_sentence(request_: Wanted, sentence: str) -> None:
    steps = plan(BOTH, request_)
    assert outcome("/srv/slipway/assets/shop", request_, steps, predict(BOTH, steps, request_.files)) == sentence


# Properties ------------------------------------------------------------------------------------------------------

names = st.sampled_from(["r1", "r2", "r3", "r4", "r5", "r6"])
# Few names, so that releases share paths and a file of one is a directory of another.
paths = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map(
    lambda parts: "/".join(["public", *parts])
)


def consistent(found: set[str]) -> list[str]:
    """Without those below another: what a directory can hold."""
    return sorted(path for path in found if not any(above in found for above in parents(path)))


trees = st.sets(paths, max_size=6).map(consistent)


@st.composite
def stores(draw: st.DrawFn) -> Store:
    have = draw(st.lists(names, unique=True, max_size=5))
    identity = iter(range(1000))
    items = tuple(
        kept(release, number, {path: str(next(identity)) for path in draw(trees)})
        for number, release in enumerate(have, 1)
    )
    served: dict[str, str]
    if draw(st.booleans()):
        served = {path: item.files[path] for path, item in union(items).items()}
    else:
        served = {path: draw(st.sampled_from(["other", "0", "1", "2"])) for path in draw(trees)}
    return Store(items, served, draw(st.sampled_from([(), ("/x/.r1.partial",)])))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Store, Wanted]:
    store = draw(stores())
    release = draw(names)
    found = {path: draw(st.sampled_from([f"new:{path}", store.files.get(path, f"new:{path}")])) for path in draw(trees)}
    present = draw(st.integers(0, 4)) > 0
    request_ = wanted(release, found, present=present, keep=draw(st.integers(1, 4)), renew=draw(st.booleans()))
    return store, request_


@given(cases())
def test_planning_again_after_applying_is_empty(case: tuple[Store, Wanted]) -> None:
    store, request_ = case
    assert plan(predict(store, plan(store, request_), request_.files), request_) == ()


@given(cases())
def test_what_is_served_is_the_newest_of_each_path(case: tuple[Store, Wanted]) -> None:
    store, request_ = case
    after = predict(store, plan(store, request_), request_.files)
    newest = after.newest_first
    for place, item in enumerate(newest):
        for path, identity in item.files.items():
            newer = {one for later in newest[:place] for one in later.files}
            if path in newer or any(above in newer for above in parents(path)):
                continue
            if any(path in parents(one) for one in newer):
                continue
            assert after.files[path] == identity
    assert set(after.files) <= {path for item in newest for path in item.files}
    assert consistent(set(after.files)) == sorted(after.files)


@given(cases())
def test_pruning_keeps_the_newest_and_never_a_path_of_a_kept_release_goes(case: tuple[Store, Wanted]) -> None:
    store, request_ = case
    steps = plan(store, request_)
    after = predict(store, steps, request_.files)
    # The release asked for stays also where it is older than those.
    others = [item.sequence for item in after.kept if item.release != request_.release]
    assert len(others) <= request_.keep
    assert (after.find(request_.release) is not None) == request_.present
    pruned = {step.release for step in steps if isinstance(step, Drop) and step.reason == "prune"}
    assert all(item.sequence < min(others, default=10) for item in store.kept if item.release in pruned)
    wanted_paths = union(after.kept)
    assert not [step.path for step in steps if isinstance(step, Unlink) and step.path in wanted_paths]


@given(cases())
def test_at_every_moment_each_path_served_before_and_after_is_served(case: tuple[Store, Wanted]) -> None:
    """A reader between any two steps finds what it could find before and can find after."""
    store, request_ = case
    steps = plan(store, request_)
    end = predict(store, steps, request_.files)
    lasting = set(store.files) & set(end.files)
    for count in range(len(steps) + 1):
        moment = predict(store, steps[:count], request_.files)
        assert lasting <= set(moment.files)


@given(cases(), st.integers(0, 20))
def test_a_run_cut_short_is_finished_by_the_next(case: tuple[Store, Wanted], count: int) -> None:
    store, request_ = case
    steps = plan(store, request_)
    halfway = predict(store, steps[:count], request_.files)
    resumed = plan(halfway, request_)
    end = predict(halfway, resumed, request_.files)
    assert plan(end, request_) == ()
    whole = predict(store, steps, request_.files)
    assert {item.release for item in end.kept} == {item.release for item in whole.kept}
    assert set(end.files) == set(whole.files)
