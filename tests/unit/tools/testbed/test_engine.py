# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an engine that was killed leaves behind must not keep the next one from starting."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from testbed import engine

pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked up in /proc")


@pytest.mark.parametrize("content", ["", "no number", "4194305"])
def test_a_pid_file_without_a_process_means_dead(tmp_path: Path, content: str) -> None:
    pid_file = tmp_path / "docker.pid"
    pid_file.write_text(content)
    assert not engine._forget_dead(pid_file, "dockerd")


def test_no_pid_file_means_dead(tmp_path: Path) -> None:
    assert not engine._forget_dead(tmp_path / "docker.pid", "dockerd")


def test_a_number_that_another_process_has_now_is_forgotten(tmp_path: Path) -> None:
    pid_file = tmp_path / "docker.pid"
    pid_file.write_text(str(os.getpid()))
    assert not engine._forget_dead(pid_file, "dockerd")
    assert not pid_file.exists()


def test_a_killed_process_that_was_not_waited_for_is_forgotten(tmp_path: Path) -> None:
    pid_file = tmp_path / "docker.pid"
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pid_file.write_text(str(process.pid))
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not engine._forget_dead(pid_file, Path(sys.executable).name)
    assert not pid_file.exists()


def test_a_living_process_of_that_name_is_left_alone(tmp_path: Path) -> None:
    pid_file = tmp_path / "docker.pid"
    pid_file.write_text(str(os.getpid()))
    command = Path("/proc/self/cmdline").read_bytes().split(b"\0")[0].decode()
    assert engine._forget_dead(pid_file, Path(command).name)
    assert pid_file.exists()
