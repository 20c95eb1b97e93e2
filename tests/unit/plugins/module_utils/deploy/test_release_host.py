# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Releases on a real file system, below a temporary folder."""

from __future__ import annotations

import grp
import hashlib
import io
import os
import pwd
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.deploy import release_host as host
from ansible_collections.slipway.stack.plugins.module_utils.deploy.release import (
    Activate,
    Drop,
    Mark,
    ReleaseError,
    State,
    Wanted,
    plan,
    predict,
)

OWNER = pwd.getpwuid(os.geteuid()).pw_name
GROUP = grp.getgrgid(os.getegid()).gr_name
NOW = 1700000000

Member = tuple[str, str, str]


def pack(*members: Member, compression: str = "gz") -> bytes:
    """An archive of (name, kind, content or target)."""
    kinds = {"dir": tarfile.DIRTYPE, "sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "fifo": tarfile.FIFOTYPE}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{compression}") as tar:  # type: ignore[call-overload]
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type = kinds.get(kind, tarfile.REGTYPE)
            info.mode = 0o4777 if kind == "exe" else 0o600
            if kind in ("sym", "hard"):
                info.linkname = text
                tar.addfile(info)
            elif kind in ("dir", "fifo"):
                tar.addfile(info)
            else:
                info.size = len(text.encode())
                tar.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()


GOOD = pack(
    ("./", "dir", ""),
    ("./bin/run", "exe", "#!/bin/sh\n"),
    ("./lib/a.js", "file", "a"),
    ("./lib/b.js", "sym", "a.js"),
    ("./lib/c.js", "hard", "lib/a.js"),
    ("./node_modules/.bin", "dir", ""),
    ("./node_modules/.bin/run", "sym", "../../bin/run"),
)


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "slipway" / "shop")


@pytest.fixture
def ship(root: str, tmp_path: Path) -> Callable[..., State]:
    """Run what the module runs: lock, read, plan, open, apply, read again."""

    def run(release: str, data: bytes = GOOD, **more: Any) -> State:
        src = tmp_path / "archive"
        src.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        wanted = Wanted(release, sha256=digest, **more)
        with host.locked(root, OWNER, GROUP), host.opened_archive(str(src), digest) as stream:
            before = host.read(root)
            steps = plan(before, wanted)
            host.apply(root, before, steps, stream, OWNER, GROUP, NOW)
        after = host.read(root)
        assert after == predict(before, steps, NOW)
        assert plan(after, wanted) == ()
        return after

    return run


def test_a_release_is_unpacked_and_becomes_current_on_an_empty_host(root: str, ship: Callable[..., State]) -> None:
    state = ship("r1")
    assert (state.current, state.previous) == ("r1", None)
    current = Path(root) / "current"
    assert current.readlink() == Path("releases/r1")
    assert (current / "bin/run").stat().st_mode & 0o7777 == 0o755
    assert (current / "lib/a.js").stat().st_mode & 0o7777 == 0o640
    assert (current / "lib").stat().st_mode & 0o7777 == 0o755
    assert (current / "lib/b.js").read_text() == (current / "lib/c.js").read_text() == "a"
    assert (current / "node_modules/.bin/run").read_text() == "#!/bin/sh\n"


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_every_usual_compression_is_unpacked(ship: Callable[..., State], compression: str) -> None:
    assert ship("r1", pack(("a", "file", "x"), compression=compression)).current == "r1"


def test_releases_come_and_go_in_order(root: str, ship: Callable[..., State]) -> None:
    for number in range(1, 6):
        state = ship(f"r{number}", activate="always", keep=3)
    assert [item.release for item in state.newest_first] == ["r5", "r4", "r3"]
    assert (state.current, state.previous) == ("r5", "r4")
    state = ship("r3", activate="always", keep=1)
    assert (state.current, state.previous) == ("r3", "r5")
    assert {item.release for item in state.stored} == {"r3", "r5"}
    assert sorted(path.name for path in Path(root).iterdir()) == [".slipway-state.json", "current", "releases"]


EVIL = {
    "absolute": [("/tmp/evil", "file", "x")],
    "dotdot": [("../../evil", "file", "x")],
    "link out": [("a", "sym", "../../../../etc/passwd")],
    "link absolute": [("a", "sym", "/etc/passwd")],
    "write through a link": [("d", "dir", ""), ("a", "sym", "d"), ("a/evil", "file", "x")],
    "directory over a link": [("d", "dir", ""), ("a", "sym", "d"), ("a", "dir", "")],
    "chain of links": [("d/e", "dir", ""), ("d/e/up", "sym", "../.."), ("out", "sym", "d/e/up/../x")],
    "hard link out": [("a", "hard", "../../../etc/passwd")],
    "hard link through a link": [("d/x", "file", ""), ("a", "sym", "d"), ("h", "hard", "a/x")],
    "hard link to nothing": [("h", "hard", "nothing")],
    "fifo": [("a", "fifo", "")],
    "twice": [("a", "file", "1"), ("a", "file", "2")],
    "over a link": [("a", "sym", "b"), ("a", "file", "2")],
    "below a file": [("a", "file", "1"), ("a/b", "file", "2")],
    "own record": [(".slipway-release.json", "file", "{}")],
}


@pytest.mark.parametrize("members", EVIL.values(), ids=EVIL.keys())
def test_an_archive_that_leads_outside_leaves_nothing(
    root: str, ship: Callable[..., State], tmp_path: Path, members: list[Member]
) -> None:
    ship("r1")
    with pytest.raises(ReleaseError):
        ship("r2", pack(("good", "file", "x"), *members))
    assert [path.name for path in (Path(root) / "releases").iterdir()] == ["r1"]
    assert not list(tmp_path.rglob("evil"))
    assert host.read(root).current == "r1"


@pytest.mark.parametrize(
    "data", [b"", b"not an archive", GOOD[: len(GOOD) // 2], pack(("a", "file", "x" * 9999), compression="xz")[:-60]]
)
def test_what_is_not_a_whole_archive_is_refused(root: str, ship: Callable[..., State], data: bytes) -> None:
    with pytest.raises(ReleaseError, match="not a whole tar archive"):
        ship("r1", data)
    assert not list((Path(root) / "releases").iterdir())


def test_a_wrong_checksum_names_both(tmp_path: Path) -> None:
    src = tmp_path / "archive"
    src.write_bytes(b"x")
    with pytest.raises(ReleaseError) as caught:
        host.opened_archive(str(src), "0" * 64)
    assert hashlib.sha256(b"x").hexdigest() in str(caught.value)
    assert "0" * 64 in str(caught.value)


def test_a_full_disk_leaves_the_releases_as_they_were(
    root: str, ship: Callable[..., State], monkeypatch: pytest.MonkeyPatch
) -> None:
    ship("r1")

    def full(*_args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(host.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        ship("r2", pack(("new", "file", "x")), activate="always")
    assert [path.name for path in (Path(root) / "releases").iterdir()] == ["r1"]
    assert host.read(root).current == "r1"


def test_what_an_interrupted_run_left_is_cleaned(root: str, ship: Callable[..., State]) -> None:
    ship("r1")
    releases = Path(root) / "releases"
    (releases / ".r2.partial" / "deep").mkdir(parents=True)
    (releases / ".r0.removing").mkdir()
    (Path(root) / ".current.0123abcd").symlink_to("releases/r1")
    (Path(root) / "..slipway-state.json.new").write_text("{")
    assert len(host.read(root).debris) == 4
    ship("r2")
    assert host.read(root).debris == ()
    assert sorted(path.name for path in releases.iterdir()) == ["r1", "r2"]


@pytest.mark.parametrize("call", ["replace", "symlink"])
def test_a_run_cut_off_while_activating_converges(
    root: str, ship: Callable[..., State], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    ship("r1")
    ship("r2", activate="never")
    before = host.read(root)
    steps = plan(before, Wanted("r2", activate="always"))

    def cut(*_args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(host.os, call, cut)
    with pytest.raises(KeyboardInterrupt):
        host.apply(root, before, steps, None, OWNER, GROUP, NOW)
    monkeypatch.undo()
    assert host.read(root).current == "r1"
    state = ship("r2", activate="always")
    assert (state.current, state.previous) == ("r2", "r1")


def test_a_run_cut_off_before_it_remembers_is_remembered_all_the_same(
    root: str, ship: Callable[..., State], monkeypatch: pytest.MonkeyPatch
) -> None:
    ship("r1")
    before = ship("r2", activate="never")

    def cut(*_args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(host.state_file, "write", cut)
    with pytest.raises(KeyboardInterrupt):
        host.apply(root, before, (Activate("r2", "r1"),), None, OWNER, GROUP, NOW)
    monkeypatch.undo()
    state = host.read(root)
    assert (state.current, state.previous) == ("r2", "r1")
    assert [item.release for item in state.history] == ["r1", "r2"]
    assert abs(state.history[-1].at - time.time()) < 60
    state = ship("r3", activate="always")
    assert [item.release for item in state.history] == ["r1", "r2", "r3"]
    assert state.previous == "r2"


def test_marks_are_kept_on_the_host(root: str, ship: Callable[..., State]) -> None:
    ship("r1")
    before = ship("r2", activate="always")
    host.apply(root, before, plan(before, Wanted("r2", "bad", reason="exits")), None, OWNER, GROUP, NOW)
    state = host.read(root)
    assert state.bad == (Mark("r2", "exits", NOW),)
    assert state.find("r2") == before.find("r2")
    state = ship("r1", activate="always")
    assert state.previous is None
    host.apply(root, state, plan(state, Wanted("r2", "good")), None, OWNER, GROUP, NOW)
    assert host.read(root).bad == ()
    assert host.read(root).previous == "r2"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"history": 1}', '{"bad": []}'])
def test_a_damaged_record_of_activations_is_named(root: str, ship: Callable[..., State], text: str) -> None:
    ship("r1")
    (Path(root) / ".slipway-state.json").write_text(text)
    with pytest.raises(ReleaseError, match=r"\.slipway-state\.json: .*correct it, or remove it to start anew"):
        host.read(root)


BIG = "0123456789abcdef" * (3 * host.BLOCK // 32)


def test_what_did_not_change_is_one_file_in_both_releases(root: str, ship: Callable[..., State]) -> None:
    same = [
        ("lib/same", "file", BIG),
        ("lib/empty", "file", ""),
        ("lib/link", "sym", "same"),
        ("lib/hard", "hard", "lib/same"),
    ]
    ship(
        "r1",
        pack(
            *same, ("end", "file", BIG + "x"), ("begin", "file", "x" + BIG), ("run", "file", "x"), ("was", "file", "x")
        ),
    )
    ship(
        "r2",
        pack(
            *same, ("end", "file", BIG + "y"), ("begin", "file", "y" + BIG), ("run", "exe", "x"), ("was", "sym", "run")
        ),
    )
    old, new = Path(root) / "releases/r1", Path(root) / "releases/r2"
    assert (old / "lib/same").stat().st_ino == (new / "lib/same").stat().st_ino
    assert (new / "lib/hard").stat().st_ino == (new / "lib/same").stat().st_ino
    for name in ("end", "begin", "run"):
        assert (old / name).stat().st_ino != (new / name).stat().st_ino
    assert (old / "end").read_text() == BIG + "x"
    assert (new / "end").read_text() == BIG + "y"
    assert (old / "begin").read_text() == "x" + BIG
    assert (new / "begin").read_text() == "y" + BIG
    assert (new / "run").stat().st_mode & 0o777 == 0o755
    assert (old / "was").read_text() == "x"


def test_a_release_stays_whole_when_the_one_that_it_shares_files_with_goes(
    root: str, ship: Callable[..., State]
) -> None:
    for number in range(1, 6):
        ship(f"r{number}", activate="always", keep=1)
    assert (Path(root) / "current/lib/a.js").read_text() == "a"
    assert (Path(root) / "current/lib/a.js").stat().st_nlink == 4


def test_a_file_that_somebody_changed_is_not_linked_to(root: str, ship: Callable[..., State]) -> None:
    ship("r1")
    changed = Path(root) / "releases/r1/lib/a.js"
    changed.write_text("b")
    ship("r2", activate="always")
    assert (Path(root) / "current/lib/a.js").read_text() == "a"
    assert changed.read_text() == "b"


def test_a_release_that_a_process_works_in_is_in_use(root: str, ship: Callable[..., State], tmp_path: Path) -> None:
    ship("r1")
    ship("r2")
    processes = tmp_path / "proc"
    for pid, cwd in (("1", "/"), ("12", f"{root}/releases/r1/lib"), ("13", f"{root}-x/releases/r9"), ("self", "/")):
        (processes / pid).mkdir(parents=True)
        (processes / pid / "cwd").symlink_to(cwd)
    (processes / "13" / "exe").symlink_to(f"{root}/releases/r2/bin/run")
    (processes / "14").mkdir()
    assert host.in_use(root, str(processes)) == {"r1", "r2"}
    child = subprocess.Popen(["sleep", "60"], cwd=f"{root}/current/lib")
    try:
        assert host.in_use(root) == {"r1"}
    finally:
        child.kill()
        child.wait()
    assert host.in_use(root) == frozenset()


SHOWN = """\
Id=slipway-shop@3001.service
MainPID=12

Id=slipway-shop@3000.service
MainPID=11

Id=slipway-shop@3002.service
MainPID=0

Id=slipway-shop@blue.service
MainPID=13
"""


@pytest.mark.parametrize(("text", "processes"), [(SHOWN, {3000: 11, 3001: 12}), ("", {}), ("\n", {})])
def test_the_main_processes_of_running_instances(text: str, processes: dict[int, int]) -> None:
    assert host.main_processes(text, "slipway-shop") == processes


def test_a_process_works_in_a_release_or_elsewhere(root: str, ship: Callable[..., State]) -> None:
    ship("r1")
    ship("r2", activate="always")
    child = subprocess.Popen(["sleep", "60"], cwd=f"{root}/releases/r1")
    try:
        assert host.working_in(root, child.pid) == "r1"
        before = host.read(root)
        host.apply(root, before, (Drop("r1", "remove"),), None, OWNER, GROUP, NOW)
        assert host.working_in(root, child.pid) is None
    finally:
        child.kill()
        child.wait()
    assert host.working_in(root, os.getpid()) is None
    assert host.working_in(root, 0) is None


def test_space_is_told_before_the_folder_is_there(tmp_path: Path) -> None:
    assert host.free_mb(str(tmp_path / "a" / "b")) == pytest.approx(host.free_mb(str(tmp_path)), abs=100)


def test_a_dangling_link_counts_as_none(root: str, ship: Callable[..., State]) -> None:
    ship("r1")
    (Path(root) / "current").unlink()
    (Path(root) / "current").symlink_to("releases/gone")
    assert host.read(root).current is None
    assert ship("r1").current == "r1"


@pytest.mark.parametrize("target", ["/etc", "releases/../../x", "elsewhere/r1", "releases/foreign"])
def test_a_current_that_is_somebody_elses_is_refused(root: str, ship: Callable[..., State], target: str) -> None:
    ship("r1")
    (Path(root) / "releases" / "foreign").mkdir()
    (Path(root) / "current").unlink()
    (Path(root) / "current").symlink_to(target)
    with pytest.raises(ReleaseError, match="move it away"):
        host.read(root)


def test_a_current_that_is_a_directory_is_refused(root: str) -> None:
    (Path(root) / "current").mkdir(parents=True)
    with pytest.raises(ReleaseError, match="is not a link"):
        host.read(root)


def test_a_second_run_at_the_same_time_is_refused(root: str) -> None:
    with (
        host.locked(root, OWNER, GROUP),
        pytest.raises(ReleaseError, match="being changed by another run"),
        host.locked(root, OWNER, GROUP),
    ):
        pass


def test_a_reader_finds_a_release_during_200_swaps(root: str, ship: Callable[..., State]) -> None:
    ship("r1")
    state = ship("r2")
    current = os.path.join(root, "current", "lib", "a.js")  # noqa: PTH118
    errors: list[OSError] = []
    reads = 0
    done = threading.Event()

    def reader() -> None:
        nonlocal reads
        while not done.is_set():
            try:
                with open(current) as stream:
                    assert stream.read() == "a"
                reads += 1
            except OSError as error:
                errors.append(error)

    thread = threading.Thread(target=reader)
    thread.start()
    for number in range(200):
        new, old = ("r2", "r1") if number % 2 == 0 else ("r1", "r2")
        host.apply(root, state, (Activate(new, old),), None, OWNER, GROUP, NOW)
    done.set()
    thread.join()
    assert errors == []
    assert reads > 50
