# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tree on a real file system, below a temporary folder."""

from __future__ import annotations

import grp
import os
import pwd
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.config_tree import host
from ansible_collections.slipway.stack.plugins.module_utils.config_tree.model import (
    Attributes,
    Tree,
    TreeError,
    WantedDirectory,
    WantedFile,
)
from ansible_collections.slipway.stack.plugins.module_utils.config_tree.plan import Remove, plan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

OWNER = pwd.getpwuid(os.geteuid()).pw_name
GROUP = grp.getgrgid(os.getegid()).gr_name

CONTENTS = st.sampled_from(["", "one\n", "grüß\n"])


def mine(mode: int) -> Attributes:
    return Attributes(mode, OWNER, GROUP)


def tree_at(folder: Path, contents: dict[str, str], absent: tuple[str, ...] = (), purge: bool = False) -> Tree:
    return Tree(
        tuple(WantedFile(str(folder / name), text.encode(), mine(0o640)) for name, text in contents.items()),
        (WantedDirectory(str(folder), mine(0o750), purge),),
        tuple(str(folder / name) for name in absent),
    )


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents_of(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Name -> content, mode and inode of each entry."""
    return {
        path.name: (path.read_text(), path.lstat().st_mode & 0o7777, path.lstat().st_ino) for path in folder.iterdir()
    }


def test_applied_once_and_then_nothing_is_left_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    tree = tree_at(folder, {"a": "one\n", "b": "two\n"}, absent=("c",), purge=True)
    folder.mkdir()
    (folder / "a").symlink_to("/nowhere")
    (folder / "c").write_text("old")
    (folder / "d").write_text("stray")
    (folder / "sub").mkdir()
    host.apply(plan(host.read(tree), tree))
    assert (folder / "a").read_text() == "one\n"
    assert not (folder / "a").is_symlink()
    assert (folder / "b").stat().st_mode & 0o777 == 0o640
    assert folder.stat().st_mode & 0o777 == 0o750
    assert names_in(folder) == ["a", "b", "sub"]
    assert plan(host.read(tree), tree) == ()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcd"), st.text(max_size=5)), st.dictionaries(st.sampled_from("abcd"), st.text())
)
def test_planning_again_on_a_real_host_is_empty(
    tmp_path_factory: pytest.TempPathFactory, first: dict[str, str], second: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("host") / "p"
    for wanted in (first, second):
        tree = tree_at(folder, wanted, purge=True)
        host.apply(plan(host.read(tree), tree))
        assert plan(host.read(tree), tree) == ()
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
            name: text.encode() for name, text in wanted.items()
        }


@pytest.mark.parametrize("broken", range(1, 12))
@pytest.mark.parametrize("call", ["replace", "rename", "link", "chown", "open", "chmod"])
def test_whatever_fails_everything_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, broken: int
) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    for name in "abcd":
        (folder / name).write_text(f"old {name}")
        (folder / name).chmod(0o604)
    tree = tree_at(folder, {"a": "new a", "b": "new b", "c": "old c", "e": "new e", "sub/f": "new f"}, absent=("d",))
    before = contents_of(folder)
    real = getattr(os, call)
    count = 0

    def fails_once(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count == broken:
            raise OSError(28, "No space left on device", args[0])
        return real(*args, **kwargs)

    steps = plan(host.read(tree), tree)
    monkeypatch.setattr(host.os, call, fails_once)
    failure = ""
    try:
        host.apply(steps)
    except TreeError as error:
        failure = str(error)
    monkeypatch.undo()
    if failure:
        assert "No space left on device" in failure
        assert "Everything is as before." in failure
        assert contents_of(folder) == before
    else:
        # Fewer calls than that are made.
        assert count < broken
        assert (folder / "a").read_text() == "new a"


def test_what_an_interrupted_run_left_is_removed(tmp_path: Path) -> None:
    tree = tree_at(tmp_path, {"a": "one"})
    host.apply(plan(host.read(tree), tree))
    (tmp_path / ".a.slipway-new-0123abcd").write_text("half")
    (tmp_path / ".other.slipway-new-0123abcd").write_text("of another tree")
    steps = plan(host.read(tree), tree)
    assert steps == (Remove(str(tmp_path / ".a.slipway-new-0123abcd")),)
    host.apply(steps)
    assert names_in(tmp_path) == [".other.slipway-new-0123abcd", "a"]


def test_the_stage_holds_the_whole_set_and_goes_away(tmp_path: Path) -> None:
    tree = tree_at(tmp_path / "p", {"a": "one", "b": "two"})
    with host.staged(tree, host.read(tree)) as stage:
        staged = Path(stage + str(tmp_path / "p" / "b"))
        assert staged.read_text() == "two"
        assert staged.stat().st_mode & 0o777 == 0o640
        assert Path(stage).stat().st_mode & 0o777 == 0o711
    assert not Path(stage).exists()
    assert not (tmp_path / "p").exists()


def test_an_owner_that_is_not_here_is_named_and_can_still_be_staged(tmp_path: Path) -> None:
    file = WantedFile(str(tmp_path / "a"), b"", Attributes(0o600, "nobody-by-this-name", GROUP))
    tree, findings = host.resolve(Tree(files=(file,)))
    assert findings == (
        f"{tmp_path}/a: its owner 'nobody-by-this-name' is not a user of this host; create the user first",
    )
    with host.staged(tree, host.read(tree)) as stage:
        assert Path(stage + str(tmp_path / "a")).exists()
    assert len(plan(host.read(tree), tree)) == 1


def test_numbers_as_owners_are_the_names_they_stand_for(tmp_path: Path) -> None:
    file = WantedFile(str(tmp_path / "a"), b"", Attributes(0o600, str(os.geteuid()), str(os.getegid())))
    tree, findings = host.resolve(Tree(files=(file,)))
    assert findings == ()
    assert tree.files[0].attributes == mine(0o600)


def test_a_checker_sees_the_stage_and_speaks_of_the_real_path(tmp_path: Path) -> None:
    script = "import sys; print('bad:', sys.argv[1]); sys.exit(3)"
    verdict = host.check([sys.executable, "-c", script, "{stage}/etc/x"], str(tmp_path))
    assert verdict == host.Check(sys.executable, accepted=False, output="bad: /etc/x")


def test_a_checker_accepts_is_missing_or_says_nothing() -> None:
    assert host.check(["true"], "/s").accepted
    assert host.check(["no-such-program-here"], "/s").missing
    assert host.check(["false"], "/s").output == "exit status 1, without a message"


def test_a_checker_that_hangs_has_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "CHECK_SECONDS", 0.05)
    verdict = host.check(["sleep", "5"], "/s")
    assert not verdict.accepted
    assert "no answer within" in verdict.output
