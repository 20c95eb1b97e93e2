# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Assets on a real file system, below a temporary folder."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy import assets_host as host
from ansible_collections.slipway.stack.plugins.module_utils.deploy.assets import Store, Wanted, plan
from ansible_collections.slipway.stack.plugins.module_utils.deploy.release import ReleaseError

NOW = 1700000000
KINDS = {"dir": tarfile.DIRTYPE, "sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "fifo": tarfile.FIFOTYPE}

Member = tuple[str, str, str]


def pack(*members: Member) -> bytes:
    """An archive of (name, kind, content or target)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type = KINDS.get(kind, tarfile.REGTYPE)
            info.mode = 0o600
            info.linkname = text if kind in ("sym", "hard") else ""
            content = b"" if kind in KINDS else text.encode()
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def tree(**files: str) -> bytes:
    """An archive of public/NAME, and a program beside it."""
    return pack(
        ("./server.js", "file", "secret"), *((f"./public/{name}", "file", text) for name, text in files.items())
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "assets" / "shop"


@pytest.fixture
def ship(root: Path, tmp_path: Path) -> Callable[..., Store]:
    """Run what the module runs: read, open, plan, lock, apply, read again."""

    def run(release: str, data: bytes, directories: tuple[str, ...] = ("public",), **more: Any) -> Store:
        src = tmp_path / "archive"
        src.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        before = host.read(str(root))
        wanted = Wanted(release, sha256=digest, directories=directories, **more)
        with host.opened_archive(str(src), digest) as stream:
            files = host.archive_files(stream, directories, str(root), before)
            wanted = replace(wanted, files=files)
            steps = plan(before, wanted)
            with host.locked(str(root)):
                host.apply(str(root), steps, before, stream, files, NOW)
        after = host.read(str(root))
        assert plan(after, wanted) == ()
        return after

    return run


def served(root: Path) -> dict[str, str]:
    """Path and content of all that is served."""
    files = root / "files"
    return {path.relative_to(files).as_posix(): path.read_text() for path in files.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_only_the_directories_are_kept_and_everybody_may_read_them(root: Path, ship: Callable[..., Store]) -> None:
    mask = os.umask(0o077)
    try:
        store = ship("r1", pack(("server.js", "file", "x"), ("public/css/a.css", "file", "a"), ("logs", "dir", "")))
    finally:
        os.umask(mask)
    assert served(root) == {"public/css/a.css": "a"}
    assert names(root / "releases/r1") == [".slipway-release.json", "public"]
    assert [item.release for item in store.newest_first] == ["r1"]
    for path in (root, root / "files", root / "files/public", root / "files/public/css", root / "releases/r1/public"):
        assert path.stat().st_mode & 0o777 == 0o755
    assert (root / "files/public/css/a.css").stat().st_mode & 0o777 == 0o644


def test_files_of_all_kept_releases_are_served_and_the_newest_wins(root: Path, ship: Callable[..., Store]) -> None:
    ship("r1", tree(page="one", a1="a"))
    ship("r2", tree(page="two", a2="b"))
    assert served(root) == {"public/page": "two", "public/a1": "a", "public/a2": "b"}
    ship("r3", tree(page="six", a3="c"), keep=2)
    assert served(root) == {"public/page": "six", "public/a2": "b", "public/a3": "c"}
    assert names(root / "releases") == ["r2", "r3"]


def test_an_unchanged_file_stays_the_same_and_a_changed_one_has_a_new_time(
    root: Path, ship: Callable[..., Store]
) -> None:
    ship("r1", tree(page="one", same="s"))
    same, page = (root / "files/public" / name for name in ("same", "page"))
    before = same.stat(), page.stat()
    ship("r2", tree(page="two", same="s"))
    assert (same.stat().st_ino, same.stat().st_mtime) == (before[0].st_ino, before[0].st_mtime)
    assert same.stat().st_nlink == 3
    assert page.stat().st_mtime > before[1].st_mtime
    assert (root / "releases/r1/public/page").read_text() == "one"


def test_an_older_release_wins_again_when_it_is_renewed(root: Path, ship: Callable[..., Store]) -> None:
    first = tree(page="one")
    ship("r1", first)
    ship("r2", tree(page="two"))
    ship("r1", first)
    assert served(root) == {"public/page": "two"}
    store = ship("r1", first, renew=True)
    assert served(root) == {"public/page": "one"}
    assert [item.release for item in store.newest_first] == ["r1", "r2"]


def test_a_release_that_is_removed_takes_only_its_own_files(root: Path, ship: Callable[..., Store]) -> None:
    ship("r1", tree(page="one", a1="a"))
    second = tree(page="two", a2="b")
    ship("r2", second)
    ship("r2", second, present=False)
    assert served(root) == {"public/page": "one", "public/a1": "a"}


def test_a_file_and_a_directory_take_turns(root: Path, ship: Callable[..., Store]) -> None:
    ship("r1", pack(("public/a", "file", "one"), ("public/b/c", "file", "x")))
    ship("r2", pack(("public/a/b/c", "file", "two"), ("public/b", "file", "y")))
    assert served(root) == {"public/a/b/c": "two", "public/b": "y"}
    ship("r3", pack(("public/a", "file", "three")))
    assert served(root) == {"public/a": "three", "public/b": "y"}


def test_more_directories_of_a_kept_release_are_unpacked_in_its_place(root: Path, ship: Callable[..., Store]) -> None:
    data = pack(("public/a", "file", "a"), ("static/b", "file", "b"))
    ship("r1", data)
    ship("r2", tree(a="new"))
    store = ship("r1", data, ("public", "static"))
    assert served(root) == {"public/a": "new", "static/b": "b"}
    assert [item.release for item in store.newest_first] == ["r2", "r1"]


def test_links_inside_become_the_files_that_they_lead_to(root: Path, ship: Callable[..., Store]) -> None:
    ship(
        "r1",
        pack(
            ("lib/a.js", "file", "a"),
            ("public/soft.js", "sym", "../lib/a.js"),
            ("public/chain.js", "sym", "soft.js"),
            ("public/hard.js", "hard", "lib/a.js"),
        ),
    )
    assert served(root) == dict.fromkeys(("public/soft.js", "public/chain.js", "public/hard.js"), "a")
    assert not any(path.is_symlink() for path in root.rglob("*"))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("../evil", "file", "x")], "would lie outside the release"),
        ([("/etc/evil", "file", "x")], "would lie outside the release"),
        ([("bin", "sym", "/etc")], "is a link to '/etc', outside the release"),
        ([("public/x", "sym", "../../etc")], "outside the release"),
        ([("public/pipe", "fifo", "")], "neither a file, a directory nor a link"),
        ([("public/x", "sym", "y")], "is a link that leads to no file in it"),
        ([("public/x", "sym", "x")], "is a link that leads to no file in it"),
        ([("lib", "dir", ""), ("public/x", "sym", "../lib")], "is a link to a directory"),
        ([("public/a", "file", "1"), ("public/a", "file", "2")], "'public/a' twice, or below a file"),
        ([("public/a", "file", "1"), ("public/a/b", "file", "2")], "'public/a/b' twice, or below a file"),
        ([("public", "sym", "lib"), ("lib/a", "file", "x")], "directories: 'public' is a file or link"),
        (
            [("static/a", "file", "x"), ("app.js", "file", "")],
            "directories: 'public' is not in the archive, which has app.js, static",
        ),
    ],
)
def test_archives_that_lead_elsewhere_leave_no_trace(
    root: Path, tmp_path: Path, ship: Callable[..., Store], members: list[Member], message: str
) -> None:
    with pytest.raises(ReleaseError) as caught:
        ship("r1", pack(*members))
    assert message in str(caught.value)
    assert not root.exists()
    assert names(tmp_path) == ["archive"]


def test_a_damaged_archive_is_refused(ship: Callable[..., Store]) -> None:
    with pytest.raises(ReleaseError, match="is not a whole tar archive"):
        ship("r1", tree(a="x" * 10000)[:-40])


def test_what_an_interrupted_run_left_behind_is_put_right(root: Path, ship: Callable[..., Store]) -> None:
    first = tree(a="a", b="b")
    ship("r1", first)
    (root / "releases/.r9.partial/public").mkdir(parents=True)
    os.link(root / "releases/r1/public/a", root / ".link.partial")
    (root / "releases/.r8.removing").mkdir()
    (root / "files/public/a").unlink()
    (root / "files/public/stray").write_text("x")
    (root / "files/public/a").mkdir()
    (root / "files/public/b").unlink()
    (root / "files/public/b").symlink_to("/etc/passwd")
    store = ship("r1", first)
    assert served(root) == {"public/a": "a", "public/b": "b"}
    assert store.debris == ()
    assert not (root / "files/public/b").is_symlink()


def test_a_failing_unpacking_leaves_the_store_as_it_was(
    root: Path, ship: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    ship("r1", tree(a="a"))
    before = host.read(str(root))

    def full(*_given: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(host, "_write_file", full)
        with pytest.raises(OSError, match="No space left"):
            ship("r2", tree(a="b"))
    assert host.read(str(root)) == before


def test_a_directory_that_is_no_release_is_named(root: Path, ship: Callable[..., Store]) -> None:
    (root / "releases/r1").mkdir(parents=True)
    with pytest.raises(ReleaseError, match="releases/r1 is there but has no"):
        ship("r1", tree(a="a"))
    (root / "files").write_text("x")
    with pytest.raises(ReleaseError, match="files is not a directory"):
        host.read(str(root))


def test_a_second_run_at_once_is_refused(root: Path) -> None:
    taken = pytest.raises(ReleaseError, match="is being changed by another run")
    with host.locked(str(root)), taken, host.locked(str(root)):
        pass


def test_readers_find_a_whole_file_at_every_moment(root: Path, ship: Callable[..., Store]) -> None:
    ship("r0", tree(page="0" * 50000, only="x"))
    page = root / "files/public/page"
    stop = threading.Event()
    seen: list[str] = []

    def watch() -> None:
        while not stop.is_set():
            try:
                text = page.read_text()
                seen.append("whole" if len(text) == 50000 and len(set(text)) == 1 else "partial")
            except OSError as error:
                seen.append(repr(error))

    reader = threading.Thread(target=watch)
    reader.start()
    try:
        for number in range(1, 10):
            ship(f"r{number}", tree(page=str(number) * 50000), keep=2)
    finally:
        stop.set()
        reader.join()
    assert set(seen) == {"whole"}
