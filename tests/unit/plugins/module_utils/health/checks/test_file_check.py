# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files: age, size, mode, owner."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.checks.file import FileCheck, Seen
from ansible_collections.slipway.stack.plugins.module_utils.health.model import Status

OK, WARNING, CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL
NOW = 1e9
DAY = 86400
NEW = Seen("/b/2.dump", NOW - DAY, 5_000_000, 0o640, "root", "adm")
OLD = Seen("/b/1.dump", NOW - 9 * DAY, 10, 0o644, "ops", "adm")


@pytest.mark.parametrize(
    ("options", "found", "status", "words"),
    [
        ({}, [NEW], OK, "/b/2.dump is 24 h old and has 5.0 MB"),
        ({}, [], CRITICAL, "no file matches /b/*.dump"),
        ({"path": "/b/x"}, [], CRITICAL, "/b/x is not there"),
        ({"age_warn_seconds": DAY}, [NEW], WARNING, "/b/2.dump was last written 24 h ago"),
        ({"age_warn_seconds": 1, "age_crit_seconds": DAY}, [NEW], CRITICAL, "last written 24 h ago"),
        ({"age_crit_seconds": DAY + 1}, [NEW], OK, ""),
        # The newest counts for age and size.
        ({"age_crit_seconds": 2 * DAY, "min_bytes": 1000}, [NEW, OLD], OK, ""),
        ({"age_warn_seconds": 5}, [Seen("/b/3.dump", NOW + 3600, 1, 0o600, "a", "a")], WARNING, "60 min in the future"),
        ({"age_warn_seconds": 5}, [Seen("/b/3.dump", NOW + 3, 1, 0o600, "a", "a")], OK, "0 s old"),
        ({}, [Seen("/b/3.dump", NOW + 3600, 1, 0o600, "a", "a")], OK, ""),
        ({"min_bytes": 6_000_000}, [NEW], CRITICAL, "has 5.0 MB, less than 6.0 MB"),
        ({"min_bytes": 5_000_000, "max_bytes": 5_000_000}, [NEW], OK, ""),
        ({"max_bytes": 1000}, [NEW], CRITICAL, "has 5.0 MB, more than 1.0 kB"),
        ({"count_min": 3}, [NEW, OLD], CRITICAL, "2 of 3 files are there"),
        # Each counts for mode and owner.
        ({"mode": "0640"}, [NEW], OK, ""),
        ({"mode": "0640"}, [NEW, OLD], CRITICAL, "/b/1.dump has mode 0644, more than 0640"),
        ({"mode": "600"}, [NEW], CRITICAL, "/b/2.dump has mode 0640, more than 0600"),
        ({"owner": "root", "group": "adm"}, [NEW], OK, ""),
        ({"owner": "root"}, [NEW, OLD], CRITICAL, "/b/1.dump belongs to ops, not to root"),
        ({"group": "root"}, [NEW], CRITICAL, "/b/2.dump is of group adm, not of root"),
        ({"exists": False}, [], OK, "there is no such file"),
        ({"exists": False}, [NEW], CRITICAL, "/b/2.dump is there"),
    ],
)
def test_judges(
    make_check: Callable[..., Any], options: dict[str, Any], found: list[Seen], status: Status, words: str
) -> None:
    outcome = make_check(**{"type": "file", "path": "/b/*.dump", **options}).judge(found, NOW)
    assert outcome.status is status
    assert words in outcome.message
    assert bool(outcome.next_step) == (status is not OK)


def test_says_what_is_wanted_and_seen(make_check: Callable[..., Any]) -> None:
    check = make_check(
        type="file", path="/b/*", age_warn_seconds=DAY * 2, min_bytes=10, max_bytes=1e9, mode="640", owner="root",
        group="adm", count_min=2,
    )  # fmt: skip
    outcome = check.judge([NEW, Seen("/b/1.dump", NOW - 9 * DAY, 10, 0o600, "root", "adm")], NOW)
    assert outcome.wanted == (
        "2 files, newer than 2.0 days, at least 10 B, at most 1.0 GB, mode at most 0640, owner root, group adm"
    )
    assert outcome.seen == "/b/2.dump: 24 h old, 5.0 MB, mode 0640, root:adm, the newest of 2"
    assert outcome.measures == {"age_seconds": DAY, "size_bytes": 5_000_000, "files": 2}


def test_looks_at_files(make_check: Callable[..., Any], look: Callable[..., Any], tmp_path: Path) -> None:
    for number, age in enumerate((300, 100, 200)):
        path = tmp_path / f"{number}.dump"
        path.write_bytes(b"x" * number)
        path.chmod(0o600)
        os.utime(path, (time.time() - age,) * 2)
    (tmp_path / "link.dump").symlink_to("nowhere")
    (tmp_path / ".hidden.dump").write_text("x")
    outcome = look(make_check(type="file", path=f"{tmp_path}/*.dump", mode="0600", max_bytes=1, count_min=3))
    assert outcome.status is OK, outcome
    assert "1.dump" in outcome.message
    assert outcome.measures["files"] == 3
    assert 100 <= outcome.measures["age_seconds"] < 120
    missing = look(make_check(type="file", path=f"{tmp_path}/0.dump/x"))
    assert missing.status is CRITICAL


def test_brackets_in_a_name_that_is_there_are_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "a1").write_text("x")
    assert [Path(seen.path).name for seen in FileCheck(path=f"{tmp_path}/a[0-9]").look()] == ["a1"]


def test_numbers_stand_for_users_that_have_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    for module in ("pwd.getpwuid", "grp.getgrgid"):
        monkeypatch.setattr(module, unknown)
    (tmp_path / "a").write_text("x")
    seen = FileCheck(path=f"{tmp_path}/a").look()[0]
    assert (seen.owner, seen.group) == (str(os.getuid()), str(os.getgid()))
