# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checksums and archives of folders, which depend on content alone."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy.content import content_sha256, file_sha256, pack
from ansible_collections.slipway.stack.plugins.module_utils.deploy.release import ReleaseError


def make(folder: Path, names: tuple[str, ...] = ("b/z", "b.js", "a")) -> Path:
    """A folder with files, a program, a link and an empty directory."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "link").symlink_to("b/z")
    (folder / "empty").mkdir()
    return folder


def packed(folder: Path, name: str = "packed.tar.gz") -> str:
    target = folder.parent / name
    pack(folder, target, {".git"})
    return file_sha256(target)


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    one = make(tmp_path / "one")
    two = make(tmp_path / "two", ("a", "b.js", "b/z"))
    (two / ".git").mkdir()
    (two / ".git" / "HEAD").write_text("x")
    for path in two.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() or path.name == "run" else 0o600)
    assert content_sha256(one, {".git"}) == content_sha256(two, {".git"}) != content_sha256(two)
    assert packed(one) == packed(two, "other.tar.gz")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda top: (top / "a").write_text("b"),
    "name": lambda top: (top / "a").rename(top / "c"),
    "mode": lambda top: (top / "a").chmod(0o755),
    "place": lambda top: (top / "a").rename(top / "empty" / "a"),
    "more": lambda top: (top / "new").write_text(""),
    "directory": lambda top: (top / "new").mkdir(),
    "link": lambda top: ((top / "link").unlink(), (top / "link").symlink_to("a")),
    "link or file": lambda top: ((top / "link").unlink(), (top / "link").write_text("b/z")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_any_change_gives_others(tmp_path: Path, change: Callable[[Path], object]) -> None:
    folder = make(tmp_path / "one")
    before = content_sha256(folder), packed(folder)
    change(folder)
    after = content_sha256(folder), packed(folder)
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    folder = make(tmp_path / "one")
    os.link(folder / "a", folder / "same")
    packed(folder)
    with tarfile.open(tmp_path / "packed.tar.gz") as tar:
        members = {member.name: member for member in tar}
        assert members["same"].isreg()
        content = tar.extractfile("same")
        assert content is not None
        assert content.read() == b"a"
    assert list(members) == ["a", "b", "b/z", "b.js", "empty", "link", "run", "same"]
    assert (members["run"].mode, members["a"].mode, members["empty"].mode) == (0o755, 0o644, 0o755)
    assert {(member.uid, member.uname, member.mtime) for member in members.values()} == {(0, "root", 0)}


def test_what_a_release_must_not_have_is_refused(tmp_path: Path) -> None:
    folder = make(tmp_path / "one")
    (folder / "out").symlink_to("/etc/passwd")
    with pytest.raises(ReleaseError, match="'out' is a link to '/etc/passwd', outside the release"):
        packed(folder)
    (folder / "out").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(ReleaseError, match="pipe is neither a file, a directory nor a link"):
        packed(folder)
    with pytest.raises(ReleaseError, match="pipe is neither"):
        content_sha256(folder)
