# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The release on disk and the one that runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slipway.stack.plugins.module_utils.health.model import Status
from ansible_collections.slipway.stack.plugins.module_utils.health.tools import Completed, Tools

OK, WARNING, CRITICAL = Status.OK, Status.WARNING, Status.CRITICAL


@pytest.mark.parametrize(
    ("options", "current", "running", "status", "words"),
    [
        ({}, "r1", "r1", OK, "r1"),
        ({}, "r1", "", OK, "r1"),
        ({"release": "r1"}, "r1", "", OK, ""),
        ({"release": "r2"}, "r1", "", CRITICAL, "the current release is r1"),
        ({}, "r2", "r1", WARNING, "still runs r1 while r2 is the current release"),
        ({}, "", "", CRITICAL, "leads to no release"),
    ],
)
def test_judges(
    make_check: Callable[..., Any], options: dict[str, str], current: str, running: str, status: Status, words: str
) -> None:
    outcome = make_check(type="release", root="/srv/shop", unit="shop.service", **options).judge(current, running)
    assert outcome.status is status
    assert words in outcome.message


def test_looks(
    make_check: Callable[..., Any], look: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "releases" / "r1" / "app").mkdir(parents=True)
    (tmp_path / "releases" / "r2").mkdir()
    (tmp_path / "current").symlink_to("releases/r2")
    monkeypatch.chdir(tmp_path / "releases" / "r1" / "app")
    # This very process stands for the unit's.
    tools = Tools(run=lambda argv, timeout: Completed(0, f"{os.getpid()}\n", ""))
    outcome = look(make_check(type="release", root=str(tmp_path), unit="x.service"), tools)
    assert (outcome.status, outcome.seen) == (WARNING, "r1")
    assert look(make_check(type="release", root=str(tmp_path)), tools).seen == "r2"
    shutil.rmtree(tmp_path / "releases" / "r2")
    assert look(make_check(type="release", root=str(tmp_path)), tools).status is CRITICAL
