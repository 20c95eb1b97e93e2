# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Found and wanted -> steps, and what of them is shown."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.config_tree.model import (
    Attributes,
    Found,
    State,
    Tree,
    TreeError,
    WantedDirectory,
    WantedFile,
    parents,
)
from ansible_collections.slipway.stack.plugins.module_utils.config_tree.plan import (
    IMPLICIT_DIRECTORY,
    SECRET_CHANGED,
    MakeDirectory,
    Remove,
    SetAttributes,
    Step,
    WriteFile,
    changed_directories,
    changed_files,
    diff,
    mask,
    plan,
    removed,
)
from hypothesis import given
from hypothesis import strategies as st

PLAIN = Attributes(0o644, "root", "root")
PRIVATE = Attributes(0o600, "app", "app")
FOLDER = Attributes(0o755, "root", "root")
A = WantedFile("/etc/p/a", b"one\n", PLAIN)
HERE = Found("directory", FOLDER)


def state(leftovers: tuple[str, ...] = (), **paths: Found) -> State:
    found = {"/etc": HERE, "/etc/p": HERE}
    found.update({"/" + name.replace("_", "/"): item for name, item in paths.items()})
    return State(found, {"/etc/p": tuple(posixpath.basename(p) for p in found if p.startswith("/etc/p/"))}, leftovers)


@pytest.mark.parametrize(
    ("found", "tree", "steps"),
    [
        (state(), Tree(files=(A,)), (WriteFile(A, Found("absent")),)),
        (state(etc_p_a=Found("file", PLAIN, b"one\n")), Tree(files=(A,)), ()),
        (
            state(etc_p_a=Found("file", PLAIN, b"two\n")),
            Tree(files=(A,)),
            (WriteFile(A, Found("file", PLAIN, b"two\n")),),
        ),
        (
            state(etc_p_a=Found("file", PRIVATE, b"one\n")),
            Tree(files=(A,)),
            (SetAttributes("/etc/p/a", PRIVATE, PLAIN, is_directory=False),),
        ),
        (
            state(etc_p_a=Found("link", target="/x")),
            Tree(files=(A,)),
            (WriteFile(A, Found("link", target="/x")),),
        ),
        (
            State({}, {}),
            Tree(files=(A,), directories=(WantedDirectory("/etc/p", PRIVATE),)),
            (
                MakeDirectory("/etc", IMPLICIT_DIRECTORY),
                MakeDirectory("/etc/p", PRIVATE),
                WriteFile(A, Found("absent")),
            ),
        ),
        (
            state(),
            Tree(directories=(WantedDirectory("/etc/p", PRIVATE),)),
            (SetAttributes("/etc/p", FOLDER, PRIVATE, is_directory=True),),
        ),
        (
            state(etc_p_a=Found("file", PLAIN, b"one\n"), etc_p_b=Found("file", PLAIN), etc_p_c=Found("link")),
            Tree(files=(A,), directories=(WantedDirectory("/etc/p", FOLDER, purge=True),)),
            (Remove("/etc/p/b"), Remove("/etc/p/c")),
        ),
        (state(etc_p_b=Found("file", PLAIN)), Tree(absent=("/etc/p/b", "/etc/p/z")), (Remove("/etc/p/b"),)),
        (state(("/etc/p/.a.slipway-new-01234567",)), Tree(), (Remove("/etc/p/.a.slipway-new-01234567"),)),
    ],
)
def test_steps(found: State, tree: Tree, steps: tuple[Step, ...]) -> None:
    assert plan(found, tree) == steps


@pytest.mark.parametrize(
    ("found", "tree", "message"),
    [
        (state(etc_p_a=HERE), Tree(files=(A,)), "/etc/p/a must be a file, but a directory is there"),
        (state(etc_p_a=Found("other")), Tree(files=(A,)), "/etc/p/a must be a file, but a device, socket or pipe"),
        (state(etc_p=Found("file", PLAIN)), Tree(files=(A,)), "/etc/p must be a directory, but a file is there"),
        (state(etc_p_b=HERE), Tree(absent=("/etc/p/b",)), "absent: /etc/p/b is not a file or link"),
    ],
)
def test_what_is_in_the_way_is_named(found: State, tree: Tree, message: str) -> None:
    with pytest.raises(TreeError) as caught:
        plan(found, tree)
    assert message in str(caught.value)


def after(found: State, steps: Iterable[Step]) -> State:
    """The state that the steps lead to, as a host would then be read."""
    paths = dict(found.paths)
    leftovers = set(found.leftovers)
    for step in steps:
        if isinstance(step, MakeDirectory):
            assert all(paths.get(parent, Found("absent")).kind == "directory" for parent in parents(step.path))
            paths[step.path] = Found("directory", step.attributes)
        elif isinstance(step, SetAttributes):
            paths[step.path] = Found(paths[step.path].kind, step.attributes, paths[step.path].content)
        elif isinstance(step, WriteFile):
            paths[step.file.dest] = Found("file", step.file.attributes, step.file.content)
        else:
            paths.pop(step.path, None)
            leftovers.discard(step.path)
    entries = {
        folder: tuple(
            posixpath.basename(path)
            for path, item in paths.items()
            if posixpath.dirname(path) == folder and item.kind in ("file", "link")
        )
        for folder in found.entries
    }
    return State(paths, entries, tuple(sorted(leftovers)))


attributes = st.builds(
    Attributes, st.sampled_from([0o600, 0o640, 0o644]), st.sampled_from(["root", "app"]), st.just("root")
)
contents = st.sampled_from([b"", b"one\n", b"two\n", b"\xff\x00"])
names = ("a", "b", "c", "d")
found_items = st.one_of(
    st.builds(Found, st.just("file"), attributes, contents),
    st.just(Found("link", target="/x")),
    st.just(Found("absent")),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[State, Tree]:
    folders = ("/etc/p", "/etc/q/r")
    all_paths = [f"{folder}/{name}" for folder in folders for name in names]
    use = {path: draw(st.sampled_from(["file", "absent", "unnamed"])) for path in all_paths}
    files = tuple(
        WantedFile(path, draw(contents), draw(attributes), draw(st.booleans()))
        for path in all_paths
        if use[path] == "file"
    )
    directories = tuple(
        WantedDirectory(folder, draw(attributes), draw(st.booleans())) for folder in folders if draw(st.booleans())
    )
    tree = Tree(files, directories, tuple(path for path in all_paths if use[path] == "absent"))
    paths: dict[str, Found] = {}
    for folder in folders:
        if draw(st.booleans()):
            paths.update(dict.fromkeys((*parents(folder), folder), HERE))
            paths.update({f"{folder}/{name}": draw(found_items) for name in names})
    purged = {directory.path for directory in directories if directory.purge}
    entries = {
        folder: tuple(name for name in names if paths.get(f"{folder}/{name}", Found("absent")).kind != "absent")
        for folder in folders
        if folder in purged
    }
    leftovers = ("/etc/p/.a.slipway-old-01234567",) if "/etc/p" in paths and draw(st.booleans()) else ()
    return State(paths, entries, leftovers), tree


@given(cases())
def test_planning_again_after_applying_is_empty(case: tuple[State, Tree]) -> None:
    found, tree = case
    assert plan(after(found, plan(found, tree)), tree) == ()


@given(cases())
def test_after_applying_everything_is_as_wanted(case: tuple[State, Tree]) -> None:
    found, tree = case
    then = after(found, plan(found, tree))
    for file in tree.files:
        assert then.at(file.dest) == Found("file", file.attributes, file.content)
    for directory in tree.directories:
        assert then.at(directory.path) == Found("directory", directory.attributes)
        if directory.purge:
            wanted = {posixpath.basename(f.dest) for f in tree.files if posixpath.dirname(f.dest) == directory.path}
            assert set(then.entries.get(directory.path, ())) <= wanted
    assert all(then.at(path).kind == "absent" for path in tree.absent)


@given(cases())
def test_every_step_is_reported_once(case: tuple[State, Tree]) -> None:
    found, tree = case
    steps = plan(found, tree)
    reported = [*changed_files(steps), *changed_directories(steps), *removed(steps)]
    assert len(reported) == len(set(reported)) == len(steps)
    assert {entry["before_header"] for entry in diff(steps, found)} == set(reported)


def test_a_secret_content_is_not_in_the_difference() -> None:
    old, new = b"PASSWORD=old-canary\n", b"PASSWORD=new-canary\n"
    file = WantedFile("/etc/p/a", new, PRIVATE, secret=True)
    found = state(etc_p_a=Found("file", PLAIN, old))
    entries = diff(plan(found, Tree(files=(file,))), found)
    assert "canary" not in str(entries)
    assert entries[0]["after"] == SECRET_CHANGED
    assert entries[1] == {
        "before_header": "/etc/p/a",
        "after_header": "/etc/p/a",
        "before": "mode 0644, owner root, group root\n",
        "after": "mode 0600, owner app, group app\n",
    }


def test_a_file_shows_its_content_before_and_after() -> None:
    found = state(etc_p_a=Found("file", PLAIN, b"zero\n"))
    (entry,) = diff(plan(found, Tree(files=(A,))), found)
    assert (entry["before"], entry["after"]) == ("zero\n", "one\n")


def test_content_that_is_not_text_is_only_measured() -> None:
    found = state(etc_p_a=Found("file", PLAIN, b"\xff\xfe"))
    (entry,) = diff(plan(found, Tree(files=(A,))), found)
    assert entry["before"] == "(binary content, 2 bytes)\n"


def test_the_content_in_found_files_is_not_in_their_text_form() -> None:
    assert "canary" not in repr(Found("file", PLAIN, b"canary"))
    assert "canary" not in repr(WantedFile("/a", b"canary", PLAIN))


def test_a_checkers_output_is_cleared_of_secrets() -> None:
    tree = Tree(files=(WantedFile("/a", b"user default on >hunter22hunter\nx\n", PRIVATE, secret=True), A))
    said = "line 1: 'user default on >hunter22hunter' bad; got >hunter22hunter; one x"
    cleared = mask(said, tree)
    assert "hunter22" not in cleared
    assert "one x" in cleared
